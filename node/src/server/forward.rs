//! What servers tell each other about their clients, as messages of the layer above the protocol core.
//!
//! They travel within a conversation of the core, on the same connection as its commits and in order with them: an
//! answer that was sent after a commit arrives after it.

use crate::request::{Identity, Password, SessionId, Write};
use crate::txn::Incarnation;
use crate::zab::Zxid;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A server's word to its leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Upward {
    /// A client's write; answered by the transaction that it becomes.
    Write {
        number: u64,
        session: SessionId,
        cxid: i32,
        identity: Identity,
        write: Write,
    },
    /// Ask a majority whether you lead; answered by [`Downward::Synced`].
    Sync { number: u64 },
    /// A client wants to go on with this session here; answered by [`Downward::Revalidated`].
    Revalidate {
        number: u64,
        session: SessionId,
        password: Password,
    },
    /// These sessions showed signs of life.
    Touched(Vec<SessionId>),
}

/// A leader's word to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Downward {
    /// Everything committed before the question came is at or below this zxid.
    Synced { number: u64, zxid: Zxid },
    /// The session lives, with this time-out in milliseconds, and has moved to the asking server; or it is gone.
    Revalidated {
        number: u64,
        timeout_ms: Option<i32>,
    },
}

/// One message; numbers belong to the given run of the asking server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Envelope {
    Up(Incarnation, Vec<Upward>),
    Down(Incarnation, Vec<Downward>),
}

impl Envelope {
    pub(super) fn encode(&self) -> Bytes {
        postcard::to_extend(self, Vec::new())
            .expect("a Vec grows, and every field has an encoding")
            .into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Envelope, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

impl Upward {
    /// Its size, in bytes, roughly.
    pub(super) fn size(&self) -> usize {
        match self {
            Upward::Write {
                write, identity, ..
            } => 64 + write.size() + identity.size(),
            Upward::Sync { .. } | Upward::Revalidate { .. } => 64,
            Upward::Touched(sessions) => 8 * sessions.len(),
        }
    }
}
