//! The edge: sockets, clock, threads, and the loop that drives the pure core.
//!
//! ```text
//! clients ──► client::serve ──┐                        ┌──► disk thread (one fsync for all that is queued)
//! peers   ◄─► peer::{listen, dial} ──► Event ──► Engine ┤
//! disk    ──► DiskDone ───────┘                        └──► replies, peer frames: once per turn
//! ```
//!
//! One task, the `Engine`, owns replica, tree, sessions and pipelines; the others only move bytes. It takes all
//! events that are ready, then sends what came of them: one write per connection, one hand-over to the disk.
//!
//! - `door`: who may come in. `port`, `listener`: where. `stream`: a connection, plain or over TLS. `complaints`: what is not said too often.
//! - `client`, `pipeline`, `outbox`: a client's connection, the order of its answers, and their way to it. `reads`: answers from the tree.
//!   `watching`: watches, and who is told of a change.
//! - `engine`: the loop. `outputs`: what the replica wants. `serving`: clients' events. `leading`: the leader's part.
//!   `links`, `forward`: what servers tell each other about their clients.
//! - `peer`, `wire`: connections between members, and their frames. `disk`: the disk thread.
//! - `canary`, `lookout`: what the lookout is told, and what comes of it (see [`crate::warn`]). `alerts`: its alerts as znodes.
//! - `divergence`, `jury`: what is done about a state that is not the others'.
//! - `restoring`: a leader's snapshot becomes the tree. `read_only`: serving without a leader.
//! - `words`, `listings`: the four-letter words. `admin`: the admin server. `metrics`: what is counted. `facts`: what is seen by
//!   looking.
//! - `ensemble`: whom this server connects to, and how the ensemble changes. `seats`: changes that the leader makes by itself.

mod admin;
mod alerts;
mod canary;
mod client;
mod complaints;
mod disk;
mod divergence;
mod door;
mod engine;
mod ensemble;
mod event;
mod facts;
mod forward;
mod jury;
mod leading;
mod links;
mod listener;
mod listings;
mod lookout;
mod metrics;
mod outbox;
mod outputs;
mod peer;
mod pipeline;
mod port;
mod read_only;
mod reads;
mod restoring;
mod seats;
mod secure;
mod serving;
mod stream;
mod watching;
mod wire;
mod words;

pub(crate) use leading::wall_clock_ms;
pub use peer::{peer_message, peer_stream};

use crate::belonging;
use crate::config::{Member, NodeConfig, Role};
use crate::storage::{StorageError, Store, StoreOptions};
use crate::tls::{self, TlsError};
use crate::tree::{Diverged, ImageError, Mismatch, Tree};
use crate::txn::{Incarnation, TxnError};
use crate::zab::{Config as ZabConfig, Millis, Replica, Zxid};
use admin::Ports;
use door::Door;
use engine::Engine;
use listener::{Home, Listener};
use metrics::Metrics;
use port::Port;
use rand::{RngExt, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use secure::SecurePort;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Why a node stops.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nobody can bring this server up to date.
    #[error(
        "{directory} was never formatted, or what it held was damaged and is in its folder damaged-N; this server has no other voter beside it that \
         could bring it up to date. To begin with nothing, run `keelhaul-node format FILE` (where it is damaged, move the directory away \
         first); else put a backup in its place"
    )]
    Forgotten {
        /// The data directory.
        directory: String,
    },
    /// An address is not to be had.
    #[error(
        "cannot listen for {whom} on {address}: {source}; choose another {key}, or stop what uses it"
    )]
    Listen {
        /// For whom.
        whom: &'static str,
        /// The address.
        address: SocketAddr,
        /// The configuration's key.
        key: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// TLS cannot be offered.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system gave no random bytes, or no thread.
    #[error("cannot start: {what}: {problem}")]
    Start {
        /// What was tried.
        what: &'static str,
        /// Why not.
        problem: String,
    },
    /// A snapshot cannot be read.
    #[error("the snapshot at {zxid} cannot be used: {source}")]
    Image {
        /// Which.
        zxid: Zxid,
        /// Why.
        source: ImageError,
    },
    /// A transaction cannot be read.
    #[error("transaction {zxid} cannot be used: {source}")]
    Txn {
        /// Which.
        zxid: Zxid,
        /// Why.
        source: TxnError,
    },
    /// A transaction does not fit the tree, and no other server could give this one its state.
    #[error("{0}; restore an earlier copy of the data directory")]
    Misfit(#[from] Diverged),
    /// The state is wrong, and no leader has given another: the disk makes a new one.
    #[error("the state is made anew from the disk")]
    Rebuild,
    /// The state is not what it was when the log was written, and no other server could give this one its state.
    #[error("{0}; restore an earlier copy of the data directory")]
    Diverged(#[from] Mismatch),
}

/// The node's monotonic clock: milliseconds since it started.
#[derive(Debug, Clone, Copy)]
struct Clock(Instant);

/// The same clock, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Micros(u64);

impl Micros {
    /// The time that has passed since `earlier`; 0 if `earlier` is later.
    fn since(self, earlier: Micros) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Clock {
    fn micros(self) -> Micros {
        self.at(Instant::now())
    }

    fn at(self, instant: Instant) -> Micros {
        let passed = instant.saturating_duration_since(self.0);
        Micros(u64::try_from(passed.as_micros()).expect("no process runs for 500,000 years"))
    }

    fn now(self) -> Millis {
        Millis(
            u64::try_from(self.0.elapsed().as_millis())
                .expect("no process runs for 500 million years"),
        )
    }
}

/// Runs a node until `stop` is ready, or something fails that it must not survive.
///
/// `zab` is `config.zab()`, with a planted bug perhaps. Everything runs on the calling runtime, but for the disk, which
/// has a thread of its own.
pub async fn run(
    config: NodeConfig,
    zab: ZabConfig,
    stop: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    tokio::pin!(stop);
    let mut begun = Instant::now();
    let mut ports_in_hand = false;
    loop {
        let long = begun.elapsed() >= AGAIN_AFTER;
        let result = run_once(config.clone(), zab.clone(), &mut stop).await;
        match result {
            Err(NodeError::Rebuild | NodeError::Storage(StorageError::Damaged(_)))
                if begun.elapsed() >= AGAIN_AFTER =>
            {
                tracing::warn!("starting again, from what is on the disk");
                (begun, ports_in_hand) = (Instant::now(), true);
            }
            // The threads that had the ports are about to end.
            Err(NodeError::Listen { .. }) if ports_in_hand && !long => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

/// A server that starts again by itself, because of its own disk or state, does not do so more often than this: what is wrong
/// would not be mended by it.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

async fn run_once(
    config: NodeConfig,
    zab: ZabConfig,
    stop: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let mut random = seeded()?;
    let incarnation = Incarnation(random.random());
    let options = StoreOptions {
        segment_bytes: config.log.segment_bytes,
        mark: random.random(),
        ..StoreOptions::default()
    };
    let files = raise_file_limit();
    if files < config.limits.connections as u64 {
        let connections = config.limits.connections;
        tracing::warn!(
            files,
            connections,
            "this process may have fewer files than clients may connect: see ulimit -Hn"
        );
    }
    let peer_security = config.tls.peers.as_ref().map(tls::for_peers).transpose()?;
    belonging::check(&config)?;
    // Whoever cannot have its ports leaves no trace on the disk. With a port over TLS the plain one is not needed.
    let clients = match config.client_address.port() {
        0 if config.tls.clients.is_some() => None,
        _ => Some(Port::take(
            "clients",
            "client_address",
            config.client_address,
        )?),
    };
    let secure = SecurePort::take(&config)?;
    let peers = Port::take("peers", "peer_address", config.peer_address)?;
    let operators = Ports::take(&config)?;
    let metrics = Arc::new(Metrics::default());
    let (timed, start) = (metrics.clone(), Instant::now());
    let hear = move |timing| disk::count(&timed, timing);
    let (store, recovered) = Store::open_timed(&config.data_dir, options, hear)?;
    belonging::claim(&config)?;
    if recovered.epochs.amnesiac {
        can_remember(&config)?;
    }
    let read = Instant::now();
    let tree = match &recovered.snapshot {
        Some(snapshot) => restoring::read(store.snapshot(snapshot.zxid)?)?,
        None => Tree::new(),
    };
    metrics
        .startup_txns_loaded
        .add(recovered.entries.len() as u64);
    metrics
        .startup_snap_load_time
        .add(disk::micros(read.elapsed()));
    metrics.dbinittime.add(disk::micros(start.elapsed()));
    tracing::info!(
        id = config.id.0, clients = %config.client_address, peers = %config.peer_address,
        zxid = %tree.zxid(), log = recovered.entries.len(), amnesiac = recovered.epochs.amnesiac, "started"
    );

    let clock = Clock(Instant::now());
    let patience = patience(&zab);
    #[cfg(feature = "bugs")]
    let bug = zab.bug;
    let replica = Replica::new(zab, recovered, clock.now());
    ensemble::compare_with_file(&config, &replica);
    let (events, inbox) = mpsc::channel(4096);
    let (disk, disk_thread) = disk::start(store, patience, metrics.clone(), events.clone())?;
    canary::start(&config.data_dir, events.clone())?;
    let config = Arc::new(config);
    // The tasks below end with this function.
    let mut tasks = tokio::task::JoinSet::new();
    let door = Door::new(config.clone(), metrics.clone(), events.clone());
    let at_clients = match clients.map(Listener::new).transpose()? {
        Some((listener, place)) => {
            tasks.spawn(client::listen(listener, door.clone(), None));
            Some(place)
        }
        None => None,
    };
    let (at_peers, peers) = Listener::new(peers)?;
    let home = Home {
        clients: at_clients,
        peers,
    };
    let _secure = secure.map(|port| port.serve(door)).transpose()?;
    let mut engine = Engine::new(
        config.clone(),
        incarnation,
        random,
        clock,
        (replica, tree),
        disk,
        home,
    );
    let wanted = (engine.dials.subscribe(), engine.founded.subscribe());
    peer::start(
        &mut tasks,
        at_peers,
        (&config, peer_security),
        incarnation,
        &mut engine.random,
        &events,
        wanted,
    );
    #[cfg(feature = "bugs")]
    {
        engine.bug = bug;
    }
    operators.serve(&mut tasks, &events, &engine)?;
    let result = engine.run(inbox, stop).await;
    tasks.shutdown().await;
    // The engine's end of the disk queue is gone, so that the thread ends when it has done what it was given.
    let joined = tokio::task::spawn_blocking(move || disk_thread.join()).await;
    if !matches!(joined, Ok(Ok(()))) {
        tracing::error!("the disk thread did not end in order");
    }
    result
}

/// A server without memory needs another that has it. Where the members can change, others may know of more members than its own file.
fn can_remember(config: &NodeConfig) -> Result<(), NodeError> {
    let other_votes = |member: &Member| member.id != config.id && member.role == Role::Voter;
    let forgotten = NodeError::Forgotten {
        directory: config.data_dir.display().to_string(),
    };
    match config.members.values().any(other_votes) {
        true => Ok(()),
        false if config.reconfig.enabled => {
            tracing::warn!("{forgotten}; it waits for others to connect");
            Ok(())
        }
        false => Err(forgotten),
    }
}

/// Lets this process have as many files as it may: each connection is one. How many that is.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_) => current.unwrap_or(u64::MAX),
    }
}

fn seeded() -> Result<ChaCha8Rng, NodeError> {
    let mut seed = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|e| NodeError::Start {
            what: "random bytes from the operating system",
            problem: e.to_string(),
        })?;
    Ok(ChaCha8Rng::from_seed(seed))
}

/// How long the disk thread lets appended entries wait in memory: not at all, unless a planted bug wants it.
fn patience(_zab: &crate::zab::Config) -> std::time::Duration {
    #[cfg(feature = "bugs")]
    if _zab.bug == Some(crate::zab::Bug::AckBeforeWrite) {
        // As in stores that flush every now and then, and acknowledge before.
        return std::time::Duration::from_millis(500);
    }
    std::time::Duration::ZERO
}
