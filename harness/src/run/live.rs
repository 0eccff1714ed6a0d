//! The part of a run in which the cluster lives: from the first start of a node to the last end.

use super::interrupt::Interrupts;
use super::progress::Screen;
use super::watch::{self, Watch};
use crate::alarm::Alarm;
use crate::cluster::{Cluster, Deployment};
use crate::control::Faults;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::roles::Roles;
use crate::stall::Watchdog;
use crate::store::{HistoryWriter, RunDirectory};
use crate::undo::UndoLog;
use keelhaul_workloads::{Workload, build, prepare};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the nodes may take until a cluster stands, and then until it has taken its first writes.
const SETUP_LIMIT: Duration = Duration::from_secs(30);

/// How the living part of a run ended, if the harness did not fail.
#[derive(Debug)]
pub(super) enum Ending {
    /// All phases were gone through.
    Complete,
    /// The user ended it early; a sentence that says when.
    Interrupted(String),
}

/// What a run has before its cluster lives.
pub(super) struct Stage<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a RunDirectory,
    pub(super) history: Arc<HistoryWriter>,
    pub(super) undo: Arc<UndoLog>,
    pub(super) interrupts: Interrupts,
    pub(super) alarm: Alarm,
    pub(super) screen: &'a Screen,
}

/// A run whose cluster lives.
pub(super) struct Live<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) faults: Arc<Faults>,
    pub(super) workload: Arc<dyn Workload>,
    pub(super) roles: Roles,
    _watchdog: Watchdog,
    nodes_watch: Watch,
}

impl<'a> Live<'a> {
    /// Goes through all phases. Whatever happens, nothing is left broken and no node is left running.
    pub(super) async fn run(stage: &'a Stage<'a>, keelhaul: PathBuf) -> Result<Ending, Failure> {
        let options = &stage.plan.options;
        let workload = build(&options.workload, &options.for_workload())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        stage.phase("setup");
        stage.screen.show("starting the nodes".to_owned());
        let deployment = Deployment {
            keelhaul,
            node: stage.plan.node.path.clone(),
            bug: options.bug.clone(),
            nodes: options.nodes,
            first_port: None,
            seed: stage.plan.seed,
        };
        let cluster = Cluster::deploy(&deployment, stage.run, stage.undo.clone()).await?;
        let live = Live::on(stage, Arc::new(cluster), workload);
        let ended = live.phases().await;
        stage.phase("end");
        // From here on the supervisor's end is no failure.
        let raised = stage.alarm.raised();
        drop(live.nodes_watch);
        live.cluster.shut_down().await?;
        match raised {
            Some(reason) => Err(Failure::Machinery(reason)),
            None => ended,
        }
    }

    fn on(stage: &'a Stage<'a>, cluster: Arc<Cluster>, workload: Arc<dyn Workload>) -> Live<'a> {
        let roles = Roles::poll(cluster.for_controller(), &stage.history);
        let faults = Arc::new(Faults::new(
            cluster.clone(),
            roles.board(),
            stage.undo.clone(),
            stage.history.clone(),
            stage.alarm.clone(),
        ));
        Live {
            stage,
            workload,
            _watchdog: Watchdog::start(stage.history.clone()),
            nodes_watch: watch::nodes(stage, &cluster, &faults),
            cluster,
            faults,
            roles,
        }
    }

    async fn phases(&self) -> Result<Ending, Failure> {
        match self.unless_ended(self.set_up()).await {
            None => return Ok(self.ended_early("while the nodes were starting")),
            Some(done) => done?,
        }
        let next_process = self.work().await;
        if self.stage.is_ended() {
            return Ok(self.ended_early("before all of the plan was carried out"));
        }
        match self.unless_ended(self.recover(next_process)).await {
            None => Ok(self.ended_early("before everything was read back")),
            Some(done) => done.map(|()| Ending::Complete),
        }
    }

    async fn set_up(&self) -> Result<(), Failure> {
        self.cluster.ready(SETUP_LIMIT).await?;
        prepare(&self.cluster.for_clients(), &*self.workload, SETUP_LIMIT)
            .await
            .map_err(|error| {
                Failure::Machinery(format!("the cluster cannot be worked on: {error}"))
            })
    }

    /// The work's result; `None` if the user or a failure of the harness ended it first.
    pub(super) async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.stage.interrupts.wait() => None,
            () = self.stage.alarm.wait() => None,
        }
    }

    fn ended_early(&self, when: &str) -> Ending {
        if !self.stage.interrupts.is_interrupted() {
            // The alarm says why.
            return Ending::Complete;
        }
        let seconds = self.stage.history.now().0 as f64 / 1e9;
        let text =
            format!("interrupted after {seconds:.1} s, {when}: what there was has been checked");
        Ending::Interrupted(text)
    }
}

impl Stage<'_> {
    /// A phase begins.
    pub(super) fn phase(&self, name: &str) {
        self.history
            .controller("phase", serde_json::json!({ "phase": name }));
    }

    fn is_ended(&self) -> bool {
        self.interrupts.is_interrupted() || self.alarm.raised().is_some()
    }
}
