//! A worker: one client after another, each doing the workload's operations one at a time.
//!
//! A pinned worker stays at one server, and opens a new session there whenever the connection is lost. A roaming worker
//! (the last fifth of them) changes the server every few hundred milliseconds and keeps its session. Neither repeats an
//! operation: what was not answered is recorded as what it is.

use crate::failure::HarnessFailure;
use crate::meter::Meter;
use crate::options::{Server, WorkloadOptions};
use crate::outcome::Class;
use crate::pace::Pace;
use crate::perform::{Performed, Performer};
use crate::record::Record;
use crate::roam::Roam;
use crate::wire::frame::FrameLimits;
use crate::wire::{ConnectError, ConnectOptions, ConnectTrouble, Connection, Session, SessionId};
use crate::workload::{Generator, Place, Workload};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long closing the session may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a worker needs.
#[derive(Clone)]
pub struct WorkerSetup {
    /// Which worker, from 0; also its first process number.
    pub index: u64,
    /// How many workers there are: a crashed process p continues as p + workers.
    pub workers: u64,
    /// The servers, at least one; a pinned worker stays at `index` mod their number.
    pub servers: Vec<Server>,
    /// The run's seed.
    pub seed: u64,
    /// Operations per second of this worker; 0: as fast as answers come.
    pub rate: f64,
    /// Where history lines go.
    pub record: Arc<dyn Record>,
    /// Turns true when the worker must stop; a sender that is gone stops it too.
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
    Worker::new(setup, workload).run().await
}

struct Worker {
    setup: WorkerSetup,
    workload: Arc<dyn Workload>,
    generator: Box<dyn Generator>,
    /// The process number at present.
    process: u64,
    /// The session that this process number has used, if any: a process never has a second one.
    process_session: Option<SessionId>,
    connection: Option<Connection>,
    /// The session to come back to; only roaming workers do.
    resume: Option<Session>,
    /// Whether the next try to connect comes after a pause.
    pause: bool,
    /// The server, by its place in the list.
    at: usize,
    roam: Option<Roam>,
    pace: Pace,
    summary: WorkerSummary,
}

impl Worker {
    fn new(setup: WorkerSetup, workload: Arc<dyn Workload>) -> Worker {
        assert!(
            !setup.servers.is_empty(),
            "a worker needs a server to work at"
        );
        let place = Place {
            worker: setup.index,
            workers: setup.workers,
            servers: setup.servers.len() as u64,
        };
        let generator = workload.generator(place, setup.seed);
        let roams = setup.index + setup.workers / 5 >= setup.workers;
        let interval = Duration::from_millis(workload.options().roam_interval_ms);
        Worker {
            process: setup.index,
            process_session: None,
            connection: None,
            resume: None,
            pause: false,
            at: (setup.index % setup.servers.len() as u64) as usize,
            roam: roams.then(|| Roam::new(setup.seed, setup.index, interval)),
            pace: Pace::new(setup.rate, setup.index, setup.workers),
            summary: WorkerSummary::default(),
            generator,
            setup,
            workload,
        }
    }

    async fn run(mut self) -> Result<WorkerSummary, HarnessFailure> {
        while !self.stopped() {
            let Some(connection) = self.connection.take() else {
                self.connect().await?;
                continue;
            };
            let Some(connection) = self.wait_for_turn(connection).await? else {
                continue;
            };
            if self.roam.as_mut().is_some_and(Roam::is_due) {
                self.move_on(&connection);
            } else {
                self.operate(connection).await?;
            }
        }
        if let Some(connection) = self.connection.take() {
            // A session that cannot be closed now expires by itself.
            let _ = connection.close(Instant::now() + CLOSE_TIMEOUT).await;
        }
        self.summary.next_process = self.process + self.setup.workers;
        Ok(self.summary)
    }

    fn stopped(&self) -> bool {
        *self.setup.stop.borrow() || self.setup.stop.has_changed().is_err()
    }

    /// One try to connect; on success `self.connection` is there.
    async fn connect(&mut self) -> Result<(), HarnessFailure> {
        let mut stop = self.setup.stop.clone();
        let options = connect_options(self.workload.options());
        let pause = if self.pause {
            self.workload.options().reconnect_delay()
        } else {
            Duration::ZERO
        };
        let server = &self.setup.servers[self.at];
        let resume = self.resume.as_ref();
        let attempt = async {
            sleep(pause).await;
            Connection::open(server, resume, &options).await
        };
        let opened = tokio::select! {
            opened = attempt => opened,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        self.pause = true;
        match opened {
            Ok(connection) => self.connected(connection),
            Err(error) => self.not_connected(error)?,
        }
        Ok(())
    }

    fn connected(&mut self, connection: Connection) {
        let id = connection.session().id;
        if self.resume.is_none() {
            self.summary.sessions += 1;
        }
        if self.process_session.is_some_and(|session| session != id) {
            self.next_process();
        }
        self.process_session = Some(id);
        self.setup.meter.connected();
        self.connection = Some(connection);
    }

    fn not_connected(&mut self, error: ConnectError) -> Result<(), HarnessFailure> {
        if let ConnectTrouble::SessionExpired = error.by_system()?.why {
            self.resume = None;
        }
        if let Some(roam) = &mut self.roam {
            self.at = roam.next_server(self.at, self.setup.servers.len());
        }
        Ok(())
    }

    /// Keeps the session alive until the next operation is due; `None` if the connection was lost or it is time to stop.
    async fn wait_for_turn(
        &mut self,
        mut connection: Connection,
    ) -> Result<Option<Connection>, HarnessFailure> {
        let Some(due) = self.pace.next_turn(Instant::now()) else {
            return Ok(Some(connection));
        };
        let mut stop = self.setup.stop.clone();
        let idled = tokio::select! {
            idled = connection.idle(due) => idled,
            _ = stop.wait_for(|stop| *stop) => {
                self.connection = Some(connection);
                return Ok(None);
            }
        };
        match idled {
            Ok(()) => Ok(Some(connection)),
            Err(error) => {
                self.leave(&connection);
                error.by_system()?;
                Ok(None)
            }
        }
    }

    async fn operate(&mut self, mut connection: Connection) -> Result<(), HarnessFailure> {
        let operation = self.generator.next();
        let performer = Performer {
            process: self.process,
            workload: &*self.workload,
            record: &*self.setup.record,
        };
        let performed = performer.perform(&mut connection, &operation).await?;
        self.generator.learn(&operation, performed.lesson());
        self.count(&performed);
        if performed.answered() {
            self.connection = Some(connection);
        } else {
            // An answer may still come on this connection: it must not be taken for another's.
            self.leave(&connection);
        }
        if performed.class == Class::Info {
            self.next_process();
        }
        Ok(())
    }

    fn count(&mut self, performed: &Performed) {
        match performed.class {
            Class::Ok | Class::OkError => {
                self.summary.ok += 1;
                self.setup.meter.ok(performed.latency);
            }
            Class::Fail => {
                self.summary.fail += 1;
                self.setup.meter.fail();
            }
            Class::Info | Class::Harness => {
                self.summary.info += 1;
                self.setup.meter.info();
            }
        }
    }

    /// Gives a connection up; a roaming worker will come back to its session.
    fn leave(&mut self, connection: &Connection) {
        self.resume = self.roam.is_some().then(|| connection.session().clone());
    }

    /// Gives a sound connection up for another server, at once.
    fn move_on(&mut self, connection: &Connection) {
        self.leave(connection);
        self.pause = false;
        if let Some(roam) = &mut self.roam {
            self.at = roam.next_server(self.at, self.setup.servers.len());
        }
    }

    /// The process is dead, or its session is: the worker goes on under the next number.
    fn next_process(&mut self) {
        self.process += self.setup.workers;
        self.process_session = None;
    }
}

/// How this workload's clients connect.
pub(crate) fn connect_options(options: &WorkloadOptions) -> ConnectOptions {
    ConnectOptions {
        session_timeout: options.session_timeout(),
        connect_timeout: options.connect_timeout(),
        limits: FrameLimits::default(),
    }
}
