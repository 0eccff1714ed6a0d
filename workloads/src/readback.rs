//! Final reads, after the cluster has recovered.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::perform::Performer;
use crate::record::Record;
use crate::wire::Connection;
use crate::worker::connect_options;
use crate::workload::{Operation, Workload};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a server that could not be used is left alone.
const REST: Duration = Duration::from_secs(1);
/// Pause when every server is left alone.
const PAUSE: Duration = Duration::from_millis(50);

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

/// Reads every object that the workload touched, each through one server in turn (and through the next one if that
/// fails), recorded as client operations with `"final":true` of the processes from `first_process` on.
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
    let deadline = Instant::now() + limit;
    let mut desk = Desk::new(servers, workload, &**record, first_process);
    let mut result = ReadBack::default();
    for (turn, operation) in workload.final_reads().into_iter().enumerate() {
        if desk.read(&operation, turn, deadline).await? {
            result.read += 1;
        } else {
            result.unread.push(operation.key.to_string());
        }
    }
    result.next_process = desk.next_process;
    desk.close().await;
    Ok(result)
}

/// A reader at one server.
struct Reader<'a> {
    server: &'a Server,
    connection: Option<Connection>,
    process: u64,
    rests_until: Instant,
}

/// One reader for each server.
struct Desk<'a> {
    readers: Vec<Reader<'a>>,
    workload: &'a dyn Workload,
    record: &'a dyn Record,
    next_process: u64,
}

impl<'a> Desk<'a> {
    fn new(
        servers: &'a [Server],
        workload: &'a dyn Workload,
        record: &'a dyn Record,
        first_process: u64,
    ) -> Desk<'a> {
        let now = Instant::now();
        let reader = |server| Reader {
            server,
            connection: None,
            process: first_process,
            rests_until: now,
        };
        let readers = servers.iter().map(reader).collect();
        Desk {
            readers,
            workload,
            record,
            next_process: first_process,
        }
    }

    /// Tries one reader after the other, beginning with `turn`'s; whether the object was read by the deadline.
    async fn read(
        &mut self,
        operation: &Operation,
        turn: usize,
        deadline: Instant,
    ) -> Result<bool, HarnessFailure> {
        let count = self.readers.len();
        let mut at = turn;
        let mut resting = 0;
        while Instant::now() < deadline && count > 0 {
            let index = at % count;
            at += 1;
            if Instant::now() < self.readers[index].rests_until {
                resting += 1;
                if resting >= count {
                    sleep(PAUSE).await;
                    resting = 0;
                }
                continue;
            }
            if self.read_at(index, operation).await? {
                return Ok(true);
            }
            self.readers[index].rests_until = Instant::now() + REST;
        }
        Ok(false)
    }

    /// One try at one server.
    async fn read_at(
        &mut self,
        index: usize,
        operation: &Operation,
    ) -> Result<bool, HarnessFailure> {
        let reader = &mut self.readers[index];
        let mut connection = match reader.connection.take() {
            Some(connection) => connection,
            None => {
                let options = connect_options(self.workload.options());
                match Connection::open(reader.server, None, &options).await {
                    Ok(connection) => {
                        // A new session is a new process.
                        reader.process = self.next_process;
                        self.next_process += 1;
                        connection
                    }
                    Err(error) => {
                        error.by_system()?;
                        return Ok(false);
                    }
                }
            }
        };
        let performer = Performer {
            process: reader.process,
            workload: self.workload,
            record: self.record,
        };
        let performed = performer.perform(&mut connection, operation).await?;
        if performed.answered() {
            reader.connection = Some(connection);
        }
        Ok(performed.answered())
    }

    async fn close(self) {
        for reader in self.readers {
            if let Some(connection) = reader.connection {
                // A session that cannot be closed now expires by itself.
                let _ = connection.close(Instant::now() + PAUSE * 10).await;
            }
        }
    }
}
