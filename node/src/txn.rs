//! Transactions: what the log holds.
//!
//! A transaction says what happens, not what was asked: versions and sequence numbers are decided, so that every
//! replica that applies the same transactions has the same tree.

use crate::request::{Acl, ErrorCode, Password, SessionId};
use crate::tree::Checkpoint;
use crate::zab::NodeId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One run of a server's process. Numbers of requests are only comparable within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The server that waits for a transaction, and under which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The server.
    pub node: NodeId,
    /// Its run: a restarted server must not take an earlier run's transaction for its own.
    pub incarnation: Incarnation,
    /// Its number for the request; 0 if nobody waits (an expired session).
    pub number: u64,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    /// Who waits for it.
    pub origin: Origin,
    /// The session that asked.
    pub session: SessionId,
    /// The client's number for its request.
    pub cxid: i32,
    /// The leader's wall clock, in milliseconds since 1970.
    pub time_ms: i64,
    /// The leader's state when it proposed this, which every replica had or has when it has applied as much.
    pub state: Option<Checkpoint>,
    /// What happens.
    pub body: Body,
}

/// What happens to the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A znode comes into being.
    Create {
        /// Its whole path, sequence number included.
        path: String,
        /// Its data.
        data: Option<Bytes>,
        /// Its access control list.
        acl: Vec<Acl>,
        /// What its life is bound to, see [`crate::request::Lifetime`].
        owner: SessionId,
        /// The parent's counter of creates afterwards.
        parent_creates: i32,
    },
    /// A znode goes.
    Delete {
        /// Its path.
        path: String,
    },
    /// A znode's data is replaced.
    SetData {
        /// Its path.
        path: String,
        /// The new data.
        data: Option<Bytes>,
        /// Its version afterwards.
        version: i32,
    },
    /// Nothing happens: a version was checked, and was right.
    Check,
    /// All of these happen, at one zxid.
    #[serde(deserialize_with = "crate::flat::parts")]
    Multi(Vec<Body>),
    /// Nothing happens: the request failed.
    Error(ErrorCode),
    /// Nothing happens: one operation of a multi failed.
    FailedMulti {
        /// How many operations it had.
        operations: u32,
        /// The one that failed, from 0.
        failed: u32,
        /// Why.
        code: ErrorCode,
    },
    /// A session comes into being. Its id is made of origin and zxid, see [`crate::tree::Tree::apply`].
    OpenSession {
        /// How long it lives without a sign of life, in milliseconds.
        timeout_ms: i32,
        /// What its client must show to take it elsewhere.
        password: Password,
    },
    /// The transaction's session goes, with all its ephemeral znodes.
    CloseSession,
    /// A znode's access control list is replaced.
    SetAcl {
        /// Its path.
        path: String,
        /// The new list.
        acl: Vec<Acl>,
        /// The list's version afterwards.
        version: i32,
    },
    /// The ensemble begins to change; see [`crate::zab::Change`]. Both are texts, see [`crate::ensemble`].
    Join {
        /// The configuration so far.
        from: String,
        /// The one to come.
        to: String,
    },
    /// The one to come is the configuration.
    Activate,
    /// This is the configuration, of an ensemble that goes on from what is left of another: a text, see [`crate::ensemble`].
    Found {
        /// Its members.
        members: String,
        /// What tells it from every other; see [`crate::zab::Change`].
        mark: u64,
    },
}

/// The version of the encoding, the first byte of every transaction.
const FORMAT: u8 = 3;

/// The same encoding, of a transaction that changes the ensemble: it is told from the others without decoding them.
const MEMBERS: u8 = 4;

/// A transaction in the log that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TxnError {
    /// Another version wrote it.
    #[error(
        "the transaction has format {found}, and this node reads format {FORMAT}: use the version that wrote it"
    )]
    Format {
        /// The format found.
        found: u8,
    },
    /// The bytes make no sense.
    #[error(
        "the transaction cannot be decoded ({0}): the log was written by another program, or is damaged"
    )]
    Garbage(#[from] postcard::Error),
}

impl Txn {
    /// The bytes for the log.
    pub fn encode(&self) -> Bytes {
        let format = match self.body {
            Body::Join { .. } | Body::Activate | Body::Found { .. } => MEMBERS,
            _ => FORMAT,
        };
        let bytes = postcard::to_extend(self, vec![format])
            .expect("a Vec grows, and every field has an encoding");
        Bytes::from(bytes)
    }

    /// The transaction in the log's bytes, if it changes the ensemble.
    pub fn decode_if_members(bytes: &[u8]) -> Option<Txn> {
        match bytes.split_first() {
            Some((&MEMBERS, rest)) => postcard::from_bytes(rest).ok(),
            _ => None,
        }
    }

    /// The transaction that activates a change. It says nothing itself: the change has said all.
    pub fn activation() -> Bytes {
        Txn::of_nobody(Body::Activate).encode()
    }

    /// A transaction that no server proposes for a client, or by itself.
    pub fn of_nobody(body: Body) -> Txn {
        let nobody = Origin {
            node: NodeId(0),
            incarnation: Incarnation(0),
            number: 0,
        };
        Txn {
            origin: nobody,
            session: SessionId::NONE,
            cxid: 0,
            time_ms: 0,
            state: None,
            body,
        }
    }

    /// The transaction in the log's bytes.
    pub fn decode(bytes: &[u8]) -> Result<Txn, TxnError> {
        match bytes.split_first() {
            Some((&(FORMAT | MEMBERS), rest)) => Ok(postcard::from_bytes(rest)?),
            Some((&found, _)) => Err(TxnError::Format { found }),
            None => Err(TxnError::Format { found: 0 }),
        }
    }
}
