//! What a workload can be told, and where its servers are.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// A node as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The node's name: `n1`, `n2`, …
    pub name: String,
    /// Where this node is dialled: a link proxy, or the node itself.
    pub address: SocketAddr,
}

/// What stands before a read, and so what the read owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// A write through the quorum (a multi with only a check), then the read in the same session: linearizable on any
    /// system whose writes are.
    Fenced,
    /// `sync`, then the read: linearizable where the system confirms a `sync` with a majority, as the node promises. The
    /// default, because it puts that promise to the test as well.
    #[default]
    Sync,
    /// The read alone: owes the session's order only.
    Local,
}

impl Reads {
    /// The mode's name, as options and history lines have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reads::Fenced => "fenced",
            Reads::Sync => "sync",
            Reads::Local => "local",
        }
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A read mode of no known name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown read mode `{0}`: use fenced, sync or local")]
pub struct UnknownReads(pub String);

impl FromStr for Reads {
    type Err = UnknownReads;

    fn from_str(name: &str) -> Result<Reads, UnknownReads> {
        match name {
            "fenced" => Ok(Reads::Fenced),
            "sync" => Ok(Reads::Sync),
            "local" => Ok(Reads::Local),
            other => Err(UnknownReads(other.to_owned())),
        }
    }
}

/// What a workload can be told. Missing fields take their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadOptions {
    /// How many keys are worked on at a time; at least 1.
    pub keys: u64,
    /// How reads are done.
    pub reads: Reads,
    /// Operations on a key before it retires and a fresh one takes its place.
    pub ops_per_key: u64,
    /// Indeterminate operations on a key before it retires: each of them widens the checker's search.
    pub indeterminate_per_key: u64,
    /// Session time-out asked of the server: milliseconds.
    pub session_timeout_ms: u64,
    /// How long an operation may take before it is given up as indeterminate: milliseconds.
    pub operation_timeout_ms: u64,
    /// How long one try to connect, session included, may take: milliseconds.
    pub connect_timeout_ms: u64,
    /// Pause between two tries to connect: milliseconds.
    pub reconnect_delay_ms: u64,
    /// How long a roaming worker stays at a server on average: milliseconds.
    pub roam_interval_ms: u64,
}

impl Default for WorkloadOptions {
    fn default() -> WorkloadOptions {
        WorkloadOptions {
            keys: 8,
            reads: Reads::default(),
            ops_per_key: 500,
            indeterminate_per_key: 8,
            session_timeout_ms: 4_000,
            operation_timeout_ms: 2_000,
            connect_timeout_ms: 1_000,
            reconnect_delay_ms: 50,
            roam_interval_ms: 400,
        }
    }
}

impl WorkloadOptions {
    /// Session time-out asked of the server.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.session_timeout_ms)
    }

    /// How long an operation may take.
    pub fn operation_timeout(&self) -> Duration {
        Duration::from_millis(self.operation_timeout_ms)
    }

    /// How long one try to connect may take.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Pause between two tries to connect.
    pub fn reconnect_delay(&self) -> Duration {
        Duration::from_millis(self.reconnect_delay_ms)
    }
}
