//! The work of a run: clients on one side, faults on the other, until everything is healed.

use super::live::Live;
use super::progress::{Progress, Sources};
use keelhaul_nemesis::driver;
use keelhaul_workloads::{Meter, Record, WorkerSetup, WorkerSummary, run_worker};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the driver and the workers may take to end when they are told to, beyond their own time-outs.
const STOP_LIMIT: Duration = Duration::from_secs(20);

impl Live<'_> {
    /// The work, with faults beside it, until everything is healed and every worker has ended; the next free process.
    pub(super) async fn work(&self) -> u64 {
        self.stage.phase("work");
        let meter = Arc::new(Meter::new());
        let (stop_workers, stopped) = watch::channel(false);
        let mut workers = self.start_workers(&meter, &stopped);
        let (stop_nemesis, stopped) = watch::channel(false);
        let nemesis = driver::run(&self.stage.plan.schedule, &*self.faults, stopped);
        let progress = Progress::start(
            self.stage.screen.clone(),
            Sources {
                meter,
                board: self.roles.board(),
                faults: self.faults.clone(),
                time_limit: self.stage.plan.options.time_limit(),
            },
        );
        let time_limit = self.stage.plan.options.time_limit();
        let clock = async {
            self.unless_ended(tokio::time::sleep(time_limit)).await;
            self.stage.phase("heal");
            drop(progress);
            self.stage.screen.show("healing".to_owned());
            stop_nemesis.send_replace(true);
        };
        let both = async { tokio::join!(nemesis, clock) };
        if tokio::time::timeout(time_limit + STOP_LIMIT, both)
            .await
            .is_err()
        {
            self.stage
                .alarm
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
        let options = &self.stage.plan.options;
        let record: Arc<dyn Record> = self.stage.history.clone();
        let mut workers = JoinSet::new();
        for index in 0..options.workers {
            let setup = WorkerSetup {
                index,
                workers: options.workers,
                servers: self.cluster.for_clients(),
                seed: self.stage.plan.seed,
                rate: options.rate / options.workers as f64,
                record: record.clone(),
                stop: stop.clone(),
                meter: meter.clone(),
            };
            let (workload, alarm) = (self.workload.clone(), self.stage.alarm.clone());
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
        let mut next_process = self.stage.plan.options.workers;
        let all = async {
            while let Some(ended) = workers.join_next().await {
                match ended {
                    Ok(Some(summary)) => next_process = next_process.max(summary.next_process),
                    Ok(None) => {}
                    Err(error) => self.stage.alarm.raise(format!("a worker failed: {error}")),
                }
            }
        };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            self.stage.alarm.raise(format!(
                "workers did not end within {STOP_LIMIT:?} of being told to"
            ));
        }
        next_process
    }
}
