//! The raw client of the ZooKeeper protocol: the instrument of every measurement.
//!
//! One [`Connection`] is one TCP connection to one server. It never reconnects, never retries and never hides anything:
//! the order of frames, each reply's zxid, the session, and whether the bytes of a request may have left are all there
//! to be recorded. The codec is this crate's own; it shares no code with any server that it judges.
//!
//! - [`jute`]: the encoding of single values, and how decoding can fail.
//! - [`frame`]: length-prefixed frames, with limits.
//! - [`request`], [`reply`]: the protocol's records, as ZooKeeper 3.8 speaks them.
//! - [`code`]: the server's error codes.
//! - [`session`]: the handshake, and what it takes to come back to a session.
//! - [`connection`]: a connection; [`error`]: how connecting and asking can go wrong.

pub mod code;
pub mod connection;
mod dial;
pub mod error;
pub mod frame;
pub mod jute;
pub mod reply;
pub mod request;
pub mod session;

pub use code::ErrorCode;
pub use connection::{ConnectOptions, Connection};
pub use error::{CallError, ConnectError, ConnectTrouble, Garbled, Sent, Trouble};
pub use reply::{Answer, PartAnswer, Reply, Stat};
pub use request::{CreateMode, Part, Request};
pub use session::{Session, SessionId};

use serde::{Deserialize, Serialize};
use std::fmt;

/// A transaction's number: epoch in the upper 32 bits, counter in the lower.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Zxid(pub i64);

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
