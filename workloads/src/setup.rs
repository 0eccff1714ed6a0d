//! What must exist before the work begins: the fence and the workload's parents.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::steps;
use crate::wire::{Connection, ErrorCode};
use crate::worker::connect_options;
use crate::workload::{FENCE, ROOT, Workload};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

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

/// Why one try failed, and at what.
struct Failed {
    path: String,
    why: String,
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
    let began = Instant::now();
    let mut paths = vec![ROOT.to_owned(), FENCE.to_owned()];
    paths.extend(workload.parents());
    let mut last = Failed {
        path: ROOT.to_owned(),
        why: "there is no server".to_owned(),
    };
    for server in servers.iter().cycle() {
        if began.elapsed() >= limit {
            break;
        }
        match make_all(server, &paths, workload).await? {
            Ok(()) => return Ok(()),
            Err(failed) => last = failed,
        }
        sleep(PAUSE).await;
    }
    Err(PrepareError::NotServing {
        path: last.path,
        limit,
        last: last.why,
    })
}

/// One try at one server: everything, or what failed first.
async fn make_all(
    server: &Server,
    paths: &[String],
    workload: &dyn Workload,
) -> Result<Result<(), Failed>, HarnessFailure> {
    let options = connect_options(workload.options());
    let mut connection = match Connection::open(server, None, &options).await {
        Ok(connection) => connection,
        Err(error) => {
            let why = error.by_system()?.to_string();
            return Ok(Err(Failed {
                path: paths[0].clone(),
                why,
            }));
        }
    };
    for path in paths {
        if let Err(why) = make(&mut connection, path, workload).await? {
            let why = format!("{}: {why}", server.name);
            return Ok(Err(Failed {
                path: path.clone(),
                why,
            }));
        }
    }
    // A session that cannot be closed now expires by itself.
    let _ = connection
        .close(Instant::now() + workload.options().operation_timeout())
        .await;
    Ok(Ok(()))
}

async fn make(
    connection: &mut Connection,
    path: &str,
    workload: &dyn Workload,
) -> Result<Result<(), String>, HarnessFailure> {
    let deadline = Instant::now() + workload.options().operation_timeout();
    match connection
        .call(&steps::create(path, Vec::new()), deadline)
        .await
    {
        Ok(reply) => Ok(match reply.result {
            Ok(_) | Err(ErrorCode::NodeExists) => Ok(()),
            Err(code) => Err(format!("the server answered {code}")),
        }),
        Err(error) => Ok(Err(error.by_system()?.to_string())),
    }
}
