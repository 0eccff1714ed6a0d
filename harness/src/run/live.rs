//! The part of a run in which the cluster lives, phase by phase.

use super::interrupt::Interrupts;
use super::progress::{Progress, Screen, Sources};
use crate::alarm::Alarm;
use crate::cluster::{Cluster, Deployment};
use crate::control::Faults;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::roles::Roles;
use crate::stall::Watchdog;
use crate::store::{HistoryWriter, RunDirectory};
use crate::supervisor::NodeProcess;
use crate::undo::UndoLog;
use keelhaul_nemesis::driver;
use keelhaul_workloads::probe::{self, ServesError};
use keelhaul_workloads::{
    Meter, Record, WorkerSetup, WorkerSummary, Workload, build, prepare, read_back, replicas,
    run_worker,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long the nodes may take until a cluster stands, and then until it has taken its first writes.
const SETUP_LIMIT: Duration = Duration::from_secs(30);

/// How long the final reads may take.
const READ_BACK_LIMIT: Duration = Duration::from_secs(20);

/// How long the comparison of the replicas may take.
const COMPARE_LIMIT: Duration = Duration::from_secs(15);

/// How long the driver and the workers may take to end when they are told to, beyond their own time-outs.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How the living part of a run ended, if the harness did not fail.
#[derive(Debug)]
pub(super) enum Ending {
    /// All phases were gone through.
    Complete,
    /// The user ended it early; a sentence that says when.
    Interrupted(String),
}

/// A run whose cluster lives.
pub(super) struct Live<'a> {
    plan: &'a Plan,
    history: &'a Arc<HistoryWriter>,
    interrupts: &'a Interrupts,
    alarm: &'a Alarm,
    screen: &'a Screen,
    cluster: Arc<Cluster>,
    faults: Arc<Faults>,
    workload: Arc<dyn Workload>,
    roles: Roles,
    _watchdog: Watchdog,
    _watch_nodes: AbortOnDrop,
}

/// Makes a history that cannot be written end the run.
pub(super) fn alarm_when_history_fails(history: &HistoryWriter, alarm: &Alarm) {
    let (mut failure, alarm) = (history.failure(), alarm.clone());
    tokio::spawn(async move {
        if let Ok(reason) = failure.wait_for(Option::is_some).await {
            alarm.raise(reason.clone().unwrap_or_default());
        }
    });
}

impl<'a> Live<'a> {
    /// Goes through all phases. Whatever happens, nothing is left broken and no node is left running.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn run(
        plan: &'a Plan,
        run: &RunDirectory,
        keelhaul: PathBuf,
        history: &'a Arc<HistoryWriter>,
        undo: Arc<UndoLog>,
        interrupts: &'a Interrupts,
        alarm: &'a Alarm,
        screen: &'a Screen,
    ) -> Result<Ending, Failure> {
        let workload = build(&plan.options.workload, &plan.options.for_workload())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        phase(history, "setup");
        screen.show("starting the nodes".to_owned());
        let deployment = Deployment {
            keelhaul,
            node: plan.node.path.clone(),
            bug: plan.options.bug.clone(),
            nodes: plan.options.nodes,
            first_port: None,
            seed: plan.seed,
        };
        let cluster = Arc::new(Cluster::deploy(&deployment, run, undo.clone()).await?);
        let roles = Roles::poll(cluster.for_controller(), history);
        let faults = Arc::new(Faults::new(
            cluster.clone(),
            roles.board(),
            undo,
            history.clone(),
            alarm.clone(),
        ));
        let live = Live {
            plan,
            history,
            interrupts,
            alarm,
            screen,
            workload,
            _watchdog: Watchdog::start(history.clone()),
            _watch_nodes: watch_nodes(&cluster, &faults, history, alarm, screen),
            cluster,
            faults,
            roles,
        };
        let ended = live.phases().await;
        phase(history, "end");
        // From here on the supervisor's end is no failure.
        let raised = alarm.raised();
        drop(live._watch_nodes);
        live.cluster.shut_down().await?;
        match raised {
            Some(reason) => Err(Failure::Machinery(reason)),
            None => ended,
        }
    }

    async fn phases(&self) -> Result<Ending, Failure> {
        let setup = async {
            self.cluster.ready(SETUP_LIMIT).await?;
            prepare(&self.cluster.for_clients(), &*self.workload, SETUP_LIMIT)
                .await
                .map_err(|error| {
                    Failure::Machinery(format!("the cluster cannot be worked on: {error}"))
                })
        };
        match self.unless_ended(setup).await {
            None => return Ok(self.interrupted("while the nodes were starting")),
            Some(done) => done?,
        }
        let next_process = self.work().await;
        if self.alarm.raised().is_some() {
            return Ok(Ending::Complete);
        }
        if self.interrupts.is_interrupted() {
            return Ok(self.interrupted("before all of the plan was carried out"));
        }
        match self.unless_ended(self.after(next_process)).await {
            None => Ok(self.interrupted("before everything was read back")),
            Some(done) => done.map(|()| Ending::Complete),
        }
    }

    /// The work, with faults beside it, until everything is healed and every worker has ended; the next free process.
    async fn work(&self) -> u64 {
        phase(self.history, "work");
        let meter = Arc::new(Meter::new());
        let (stop_workers, stopped) = watch::channel(false);
        let mut workers = self.start_workers(&meter, &stopped);
        let (stop_nemesis, stopped) = watch::channel(false);
        let nemesis = driver::run(&self.plan.schedule, &*self.faults, stopped);
        let progress = Progress::start(
            self.screen.clone(),
            Sources {
                meter,
                board: self.roles.board(),
                faults: self.faults.clone(),
                time_limit: self.plan.options.time_limit(),
            },
        );
        let time_limit = self.plan.options.time_limit();
        let clock = async {
            self.unless_ended(tokio::time::sleep(time_limit)).await;
            phase(self.history, "heal");
            drop(progress);
            self.screen.show("healing".to_owned());
            stop_nemesis.send_replace(true);
        };
        let both = async { tokio::join!(nemesis, clock) };
        if tokio::time::timeout(time_limit + STOP_LIMIT, both)
            .await
            .is_err()
        {
            self.alarm
                .raise(format!("the faults were not healed within {STOP_LIMIT:?}"));
        }
        self.faults.heal_all().await;
        stop_workers.send_replace(true);
        self.await_workers(&mut workers).await
    }

    fn start_workers(
        &self,
        meter: &Arc<Meter>,
        stop: &watch::Receiver<bool>,
    ) -> JoinSet<Option<WorkerSummary>> {
        let options = &self.plan.options;
        let record: Arc<dyn Record> = self.history.clone();
        let mut workers = JoinSet::new();
        for index in 0..options.workers {
            let setup = WorkerSetup {
                index,
                workers: options.workers,
                servers: self.cluster.for_clients(),
                seed: self.plan.seed,
                rate: options.rate / options.workers as f64,
                record: record.clone(),
                stop: stop.clone(),
                meter: meter.clone(),
            };
            let (workload, alarm) = (self.workload.clone(), self.alarm.clone());
            workers.spawn(async move {
                match run_worker(setup, workload).await {
                    Ok(summary) => Some(summary),
                    Err(failure) => {
                        alarm.raise(format!("worker {index}: {failure}"));
                        None
                    }
                }
            });
        }
        workers
    }

    async fn await_workers(&self, workers: &mut JoinSet<Option<WorkerSummary>>) -> u64 {
        let mut next_process = self.plan.options.workers;
        let all = async {
            while let Some(ended) = workers.join_next().await {
                match ended {
                    Ok(Some(summary)) => next_process = next_process.max(summary.next_process),
                    Ok(None) => {}
                    Err(error) => self.alarm.raise(format!("a worker failed: {error}")),
                }
            }
        };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            self.alarm.raise(format!(
                "workers did not end within {STOP_LIMIT:?} of being told to"
            ));
        }
        next_process
    }

    /// Recovery, final reads, and the comparison of the replicas.
    async fn after(&self, next_process: u64) -> Result<(), Failure> {
        phase(self.history, "recover");
        self.screen
            .show("waiting for every node to serve again".to_owned());
        self.await_recovery().await?;

        phase(self.history, "read-back");
        self.screen.show("reading everything back".to_owned());
        let record: Arc<dyn Record> = self.history.clone();
        let servers = self.cluster.for_clients();
        let read = read_back(
            &servers,
            &*self.workload,
            &record,
            next_process,
            READ_BACK_LIMIT,
        )
        .await
        .map_err(|failure| Failure::Machinery(failure.to_string()))?;
        if !read.unread.is_empty() {
            let keys = read.unread.len();
            self.screen.say(&format!(
                "{keys} keys could not be read back within {READ_BACK_LIMIT:?}"
            ));
        }
        let comparison = replicas::compare(&self.cluster.for_controller(), COMPARE_LIMIT).await;
        let value =
            serde_json::to_value(&comparison).expect("a comparison is plain data with string keys");
        self.history.controller("replicas", value);
        Ok(())
    }

    /// Each node must serve again by itself; who does not within the limit has no line, and the checkers judge that.
    async fn await_recovery(&self) -> Result<(), Failure> {
        let began = self.history.now();
        let limit = self.plan.options.recovery_limit();
        let mut probes = JoinSet::new();
        for server in self.cluster.for_controller() {
            let history = self.history.clone();
            probes.spawn(async move {
                let served = probe::serves(&server, limit).await;
                if served.is_ok() {
                    let after = history.now().0 - began.0;
                    let value = serde_json::json!({"node": server.name, "after_ns": after});
                    history.controller("serving", value);
                }
                served
            });
        }
        while let Some(probed) = probes.join_next().await {
            match probed {
                Ok(Ok(())) => {}
                Ok(Err(error @ ServesError::NotServing { .. })) => {
                    self.screen.say(&error.to_string())
                }
                Ok(Err(ServesError::Harness(failure))) => {
                    return Err(Failure::Machinery(failure.to_string()));
                }
                Err(error) => return Err(Failure::Machinery(format!("a probe failed: {error}"))),
            }
        }
        Ok(())
    }

    /// The work's result; `None` if the user or a failure of the harness ended it first.
    async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.interrupts.wait() => None,
            () = self.alarm.wait() => None,
        }
    }

    fn interrupted(&self, when: &str) -> Ending {
        let seconds = self.history.now().0 as f64 / 1e9;
        let text =
            format!("interrupted after {seconds:.1} s, {when}: what there was has been checked");
        self.screen.say(&text);
        Ending::Interrupted(text)
    }
}

fn phase(history: &HistoryWriter, name: &str) {
    history.controller("phase", serde_json::json!({ "phase": name }));
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Records nodes that end without having been killed, and raises the alarm when the supervisor is gone.
fn watch_nodes(
    cluster: &Arc<Cluster>,
    faults: &Arc<Faults>,
    history: &Arc<HistoryWriter>,
    alarm: &Alarm,
    screen: &Screen,
) -> AbortOnDrop {
    let mut processes = cluster.processes();
    let (faults, history) = (faults.clone(), history.clone());
    let (alarm, screen) = (alarm.clone(), screen.clone());
    AbortOnDrop(tokio::spawn(async move {
        let mut known = processes.borrow_and_update().clone();
        while processes.changed().await.is_ok() {
            let now = processes.borrow_and_update().clone();
            for (node, process) in &now.nodes {
                let NodeProcess::Ended { code, signal, .. } = process else {
                    continue;
                };
                if known.nodes.get(node) == Some(process) || faults.killed(node) {
                    continue;
                }
                let value = serde_json::json!({"node": node, "code": code, "signal": signal});
                history.controller("exited", value);
                screen.say(&format!(
                    "{node} ended by itself (code {code:?}, signal {signal:?}); see its log"
                ));
            }
            if now.supervisor_gone {
                alarm.raise("the supervisor process is gone, and all nodes with it; was it killed from outside?".to_owned());
            }
            known = now;
        }
    }))
}
