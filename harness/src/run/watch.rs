//! What is watched beside a run: the history's writer, the supervisor, and nodes that end by themselves.

use super::live::Stage;
use crate::alarm::Alarm;
use crate::cluster::Cluster;
use crate::control::Faults;
use crate::store::HistoryWriter;
use crate::supervisor::{NodeProcess, Processes};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A watch, until it is dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Raises the alarm when the history cannot be written any more.
pub(super) fn history(history: &HistoryWriter, alarm: &Alarm) -> Watch {
    let (mut failure, alarm) = (history.failure(), alarm.clone());
    Watch(tokio::spawn(async move {
        if let Ok(reason) = failure.wait_for(Option::is_some).await {
            alarm.raise(reason.clone().unwrap_or_default());
        }
    }))
}

/// Raises the alarm when the supervisor is gone, and records nodes that end without having been killed.
pub(super) fn nodes(stage: &Stage<'_>, cluster: &Arc<Cluster>, faults: &Arc<Faults>) -> Watch {
    let mut processes = cluster.processes();
    let (faults, history) = (faults.clone(), stage.history.clone());
    let (alarm, screen) = (stage.alarm.clone(), stage.screen.clone());
    Watch(tokio::spawn(async move {
        let mut known = processes.borrow_and_update().clone();
        while processes.changed().await.is_ok() {
            let now = processes.borrow_and_update().clone();
            if now.supervisor_gone {
                alarm.raise(
                    "the supervisor process is gone, and all nodes with it; was it killed from outside?".to_owned(),
                );
                return;
            }
            for (node, code, signal) in newly_ended(&known, &now) {
                if faults.killed(node) {
                    continue;
                }
                let value = serde_json::json!({"node": node, "code": code, "signal": signal});
                history.controller("exited", value);
                screen.say(&format!(
                    "{node} ended by itself ({}); see its log",
                    end(code, signal)
                ));
            }
            known = now;
        }
    }))
}

fn newly_ended<'a>(
    before: &'a Processes,
    now: &'a Processes,
) -> impl Iterator<Item = (&'a str, Option<i32>, Option<i32>)> {
    now.nodes
        .iter()
        .filter_map(|(node, process)| match process {
            NodeProcess::Ended { code, signal, .. } if before.nodes.get(node) != Some(process) => {
                Some((node.as_str(), *code, *signal))
            }
            _ => None,
        })
}

fn end(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no reason that is known".to_owned(),
    }
}
