//! The configuration file: its keys, defaults and bounds. `zoo`: ZooKeeper's own.
//!
//! Reads one file, and nothing else. Every error names the file, the key and what is legal there.

mod check;
mod foreign;
mod member;
#[cfg(test)]
mod tests;
mod tls;
mod zoo;

use crate::sasl::Users;
use crate::seats::Terms;
use crate::zab::{Config as ZabConfig, Members, NodeId};
use check::{Illegal, check};
pub use foreign::beside;
pub use member::{Address, Member, NoAddress, Role, shared_address};
pub(crate) use member::{in_order, is_legal as is_legal_id};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
pub use tls::{ClientAuth, Keys, PeerTls, SecureClients, Tls};
pub use zoo::{Zoo, in_zookeepers_words};

/// The complete list of keys with comments and defaults, itself a legal configuration.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {path}: {source}; `keelhaul-node --example-config` prints one"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that the configuration names cannot be read.
    #[error("the configuration {path} has {what} in {file}, which cannot be read: {source}")]
    Named {
        /// The configuration.
        path: PathBuf,
        /// What stands in the file, and which option names it.
        what: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error(
        "the configuration {path} cannot be understood:\n{source}`keelhaul-node --example-config` prints every key"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// Several values are not legal.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ConfigError>),
    /// A value is not legal.
    #[error("the configuration {path} has {key} = {value}: {legal}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is legal.
        legal: String,
    },
    /// A value is not given.
    #[error("the configuration {path} has no {key}: {legal}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is legal.
        legal: String,
    },
    /// Apache ZooKeeper's data is where a server's own is to begin.
    #[error(
        "the configuration {path} is for a new server, and in {found} is the data of an Apache ZooKeeper: its files are not read, and the service \
         would begin empty beside them. Give another dataDir, or move that folder away if its data is not wanted. The data itself comes over through \
         a client, which reads it there and creates it here; as a member of Apache's ensemble this node cannot join, and so cannot be given it"
    )]
    Foreign {
        /// The configuration.
        path: PathBuf,
        /// The folder.
        found: PathBuf,
    },
}

fn default_cluster() -> String {
    "keelhaul".into()
}

/// Delays of the protocol, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Between two heartbeats.
    pub tick_ms: u64,
    /// How long leader and followers bear silence.
    pub sync_limit_ms: u64,
    /// How long discovery and synchronisation may take.
    pub init_limit_ms: u64,
    /// How long a member waits for a better vote once a majority agrees.
    pub finalize_wait_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            tick_ms: 100,
            sync_limit_ms: 800,
            init_limit_ms: 5000,
            finalize_wait_ms: 50,
        }
    }
}

/// Sizes of the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Transactions between two snapshots.
    pub snapshot_every: u64,
    /// Bytes at which a log segment is closed.
    pub segment_bytes: u64,
    /// Transactions kept in memory for followers that lag a little.
    pub window: usize,
    /// The same, in bytes.
    pub window_bytes: usize,
    /// Transactions read from the log at a time.
    pub read_batch: usize,
    /// The counter before the first zxid of each epoch.
    pub first_counter: u32,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            snapshot_every: 100_000,
            segment_bytes: 64 << 20,
            window: 10_000,
            window_bytes: 32 << 20,
            read_batch: 1000,
            first_counter: 0,
        }
    }
}

/// Bounds of what clients and peers can make this server hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The shortest time-out of a session, in milliseconds.
    pub session_timeout_min_ms: i32,
    /// The longest time-out of a session, in milliseconds.
    pub session_timeout_max_ms: i32,
    /// Client connections at a time.
    pub connections: usize,
    /// Client connections from one address at a time; 0: as many as there may be.
    pub connections_per_address: usize,
    /// Unanswered requests of one connection.
    pub outstanding: usize,
    /// Bytes of answers that one connection may leave unread.
    pub unsent_bytes: usize,
    /// Bytes that one connection may leave unread when events of its watches are added to answers.
    pub unsent_event_bytes: usize,
    /// The longest request, in bytes.
    pub frame_bytes: usize,
    /// Connections at a time that have not said yet what they want.
    pub greetings: usize,
    /// How long a connection may take to say what it wants, in milliseconds.
    pub greeting_ms: u64,
    /// Bytes that may wait for a peer.
    pub peer_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            session_timeout_min_ms: 500,
            session_timeout_max_ms: 40_000,
            connections: 10_000,
            connections_per_address: 0,
            outstanding: 1000,
            unsent_bytes: 4 << 20,
            unsent_event_bytes: 32 << 20,
            frame_bytes: 1 << 20,
            greetings: 2000,
            greeting_ms: 10_000,
            peer_queue_bytes: 1 << 30,
        }
    }
}

/// Znodes that the leader removes, and those that it refuses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Znodes {
    /// Between two looks for containers without children and times to live that are over, in milliseconds.
    pub container_check_ms: u64,
    /// After how long a container goes that never had a child, in milliseconds; 0: never.
    pub container_never_used_ms: u64,
    /// Whether the hard limits of quotas hold; they are counted in any case.
    pub enforce_quotas: bool,
}

impl Default for Znodes {
    fn default() -> Znodes {
        Znodes {
            container_check_ms: 60_000,
            container_never_used_ms: 0,
            enforce_quotas: false,
        }
    }
}

/// Early warning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Warn {
    /// Between two beats of each member to each other, in milliseconds.
    pub beat_ms: u64,
    /// Whether the server acts on what it sees: hands over, or leaves its leader.
    pub act: bool,
    /// Whether the leader keeps the alerts as znodes.
    pub znodes: bool,
}

impl Default for Warn {
    fn default() -> Warn {
        Warn {
            beat_ms: 100,
            act: true,
            znodes: true,
        }
    }
}

/// What operators can ask.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// The four-letter words that are answered.
    pub words: Vec<String>,
    /// Where the admin server listens, if there is one.
    pub address: Option<SocketAddr>,
    /// Where its commands are, below its address.
    pub command_url: String,
    /// Where the metrics are served beside it, for Prometheus.
    pub metrics_address: Option<SocketAddr>,
    /// The address was not given but follows from what ZooKeeper does without it: if it is taken, the node starts without.
    #[serde(skip)]
    pub address_is_implied: bool,
}

impl Default for Admin {
    fn default() -> Admin {
        let words = [
            "ruok", "srvr", "stat", "mntr", "isro", "conf", "envi", "dirs", "wchs", "warn",
        ];
        Admin {
            words: words.map(str::to_owned).to_vec(),
            address: None,
            command_url: "/commands".into(),
            metrics_address: None,
            address_is_implied: false,
        }
    }
}

impl Admin {
    /// Whether the word is answered.
    pub fn answers(&self, word: &str) -> bool {
        self.words
            .iter()
            .any(|allowed| allowed == word || allowed == "*")
    }
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// The digest whose owner may do everything, as `name:BASE64(SHA1(name:password))`.
    pub super_digest: Option<String>,
    /// Who may come by SASL.
    pub sasl: Sasl,
    /// The schemes of which a client must have shown one; none: it need not.
    pub require: Vec<String>,
}

/// The users of SASL (DIGEST-MD5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sasl {
    /// Names and passwords.
    pub users: Users,
    /// The users who may do everything. The user `super` is only everybody of the scheme `sasl`, as in ZooKeeper.
    pub super_users: Vec<String>,
    /// A file in Java's format that names more users, in its section `Server`.
    pub jaas: Option<PathBuf>,
}

/// How the ensemble's members may change while it works.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconfig {
    /// It can be asked to change; the same on every member.
    pub enabled: bool,
    /// Whether a leader lends the seat of a voter that is away to an observer: see [`crate::seats`].
    pub lend_seats: bool,
    /// How long a voter is away before its seat is lent, in milliseconds.
    pub grace_ms: u64,
    /// How long somebody is here and up to date before it gets a seat, in milliseconds.
    pub settle_ms: u64,
}

impl Default for Reconfig {
    fn default() -> Reconfig {
        Reconfig {
            enabled: false,
            lend_seats: false,
            grace_ms: 60_000,
            settle_ms: 5_000,
        }
    }
}

impl Reconfig {
    /// When seats are lent, and when they go back.
    pub fn terms(&self) -> Terms {
        Terms {
            grace_ms: self.grace_ms,
            settle_ms: self.settle_ms,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: NodeId,
    #[serde(default = "default_cluster")]
    cluster: String,
    data_dir: PathBuf,
    client_address: Option<SocketAddr>,
    peer_address: Option<SocketAddr>,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    members: Vec<Member>,
    #[serde(default)]
    dial: BTreeMap<String, SocketAddr>,
    #[serde(default)]
    timing: Timing,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    znodes: Znodes,
    #[serde(default)]
    security: Security,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    reconfig: Reconfig,
    #[serde(default)]
    admin: Admin,
    #[serde(default)]
    warn: Warn,
}

/// What `zoo.cfg` says of time, as it says it. What is done about it stands in [`Timing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    /// `tickTime`, in milliseconds.
    pub tick_ms: u64,
    /// `initLimit`, in ticks.
    pub init_limit: u64,
    /// `syncLimit`, in ticks.
    pub sync_limit: u64,
}

/// A whole, legal configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// This server.
    pub id: NodeId,
    /// The cluster's name: members and data directories of another one are refused.
    pub cluster: String,
    /// Where its disk is.
    pub data_dir: PathBuf,
    /// Where it serves clients.
    pub client_address: SocketAddr,
    /// Where it listens for its peers.
    pub peer_address: SocketAddr,
    /// Whether clients that allow it are served for reading while there is no leader.
    pub read_only: bool,
    /// All members by id, this server among them.
    pub members: BTreeMap<NodeId, Member>,
    /// Where it connects to reach a member, instead of the member's address.
    pub dial: BTreeMap<NodeId, SocketAddr>,
    /// Delays.
    pub timing: Timing,
    /// ZooKeeper's words for them, if they come from a `zoo.cfg`.
    pub ticks: Option<Ticks>,
    /// Sizes of the log.
    pub log: Log,
    /// Bounds.
    pub limits: Limits,
    /// Znodes that the leader removes.
    pub znodes: Znodes,
    /// Who may do what.
    pub security: Security,
    /// TLS.
    pub tls: Tls,
    /// Whether the members may change.
    pub reconfig: Reconfig,
    /// What operators can ask.
    pub admin: Admin,
    /// Early warning.
    pub warn: Warn,
}

impl NodeConfig {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<NodeConfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        NodeConfig::parse(path, &text)
    }

    /// Reads a configuration from `text`; `path` is named in errors.
    pub fn parse(path: &Path, text: &str) -> Result<NodeConfig, ConfigError> {
        let file: File = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        check(file).map_err(|Illegal { key, value, legal }| ConfigError::Value {
            path: path.to_owned(),
            key,
            value,
            legal,
        })
    }

    /// Where this server connects to reach `member`.
    pub fn dial_address(&self, member: &Member) -> Address {
        match self.dial.get(&member.id) {
            Some(address) => (*address).into(),
            None => member.peer_address.clone(),
        }
    }

    /// The delays in ZooKeeper's words: as its file says them, or else as whole ticks of this node's own.
    pub fn told_ticks(&self) -> Ticks {
        let timing = &self.timing;
        self.ticks.unwrap_or(Ticks {
            tick_ms: timing.tick_ms,
            init_limit: timing.init_limit_ms.div_ceil(timing.tick_ms),
            sync_limit: timing.sync_limit_ms.div_ceil(timing.tick_ms),
        })
    }

    /// The schemes of authentication that this configuration has.
    pub fn schemes(&self) -> crate::acl::Schemes {
        crate::acl::Schemes {
            sasl: !self.security.sasl.users.0.is_empty(),
            x509: self.tls.clients.is_some(),
        }
    }

    /// Who votes, and who observes.
    pub fn zab_members(&self) -> Members {
        crate::ensemble::members(&self.members)
    }

    /// The protocol core's part.
    pub fn zab(&self) -> ZabConfig {
        ZabConfig {
            id: self.id,
            members: self.zab_members(),
            reading: crate::ensemble::READING,
            tick: self.timing.tick_ms,
            sync_limit: self.timing.sync_limit_ms,
            init_limit: self.timing.init_limit_ms,
            finalize_wait: self.timing.finalize_wait_ms,
            window: self.log.window,
            window_bytes: self.log.window_bytes,
            snapshot_every: self.log.snapshot_every,
            read_batch: self.log.read_batch,
            first_counter: self.log.first_counter,
            #[cfg(feature = "bugs")]
            bug: None,
        }
    }
}
