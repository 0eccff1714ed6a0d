//! What is watched beside a run: the history's writer, the supervisor, and nodes that end by themselves.

use super::interrupt::Interrupts;
use super::live::Stage;
use super::progress::Screen;
use crate::alarm::Alarm;
use crate::cluster::Cluster;
use crate::control::Faults;
use crate::store::HistoryWriter;
use crate::supervisor::EndedNode;
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

/// Says what the first Ctrl-C does, if it comes while this lives.
pub(super) fn interruption(
    interrupts: &Interrupts,
    screen: &Screen,
    answer: &'static str,
) -> Watch {
    let (interrupts, screen) = (interrupts.clone(), screen.clone());
    Watch(tokio::spawn(async move {
        interrupts.wait().await;
        screen.say(answer);
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
            for ended in now.newly_ended(&known) {
                let EndedNode { node, code, signal } = ended;
                if faults.killed(node) {
                    continue;
                }
                let value = serde_json::json!({"node": node, "code": code, "signal": signal});
                history.controller("exited", value);
                screen.say(&format!(
                    "{node} ended by itself ({}); see its log",
                    ended.how()
                ));
            }
            known = now;
        }
    }))
}
