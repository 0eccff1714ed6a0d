//! What the tasks at the edge tell the engine.

use super::NodeError;
use super::admin::Question;
use super::outbox::ClientLink;
use super::peer::PeerLink;
use crate::jute::{ConnectRequest, Request, Word};
use crate::storage::{Performed, StorageError};
use crate::tree::Tree;
use crate::warn::{Beat, Wall};
use crate::zab::{Message, NodeId, Zxid};
use bytes::Bytes;
use std::time::Instant;
use tokio::sync::oneshot;

/// A connection, of a client or a peer: never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u64);

/// One event.
#[derive(Debug)]
pub(super) enum Event {
    /// A client's first frame.
    Connect {
        id: ConnectionId,
        link: ClientLink,
        request: ConnectRequest,
    },
    /// A client's further frames, in order.
    Requests {
        id: ConnectionId,
        requests: Vec<Request>,
        /// When the last of them was read.
        came: Instant,
    },
    /// A client has read enough for more answers.
    Drained(ConnectionId),
    /// A client's connection is gone.
    Gone(ConnectionId),
    /// A four-letter word; the answer's text is expected.
    Word {
        word: Word,
        answer: oneshot::Sender<String>,
    },
    /// An operator's question; the answer's bytes are expected.
    Question {
        question: Question,
        answer: oneshot::Sender<Bytes>,
    },
    /// A connection to a peer stands.
    PeerUp { peer: NodeId, link: PeerLink },
    /// What a peer said on a connection, in order.
    PeerSaid {
        peer: NodeId,
        id: ConnectionId,
        messages: Vec<Message>,
    },
    /// A peer's lookout beats.
    PeerBeat {
        peer: NodeId,
        id: ConnectionId,
        beat: Box<Beat>,
        received: Wall,
    },
    /// A connection to a peer is gone.
    PeerGone { peer: NodeId, id: ConnectionId },
    /// The first `count` disk operations are done.
    DiskDone { count: u64, performed: Performed },
    /// A snapshot is whole on the disk; the log is whole after this zxid.
    SnapshotSaved(Zxid),
    /// The state of the snapshot at this zxid has been read.
    Loaded(Zxid, Box<Result<Tree, NodeError>>),
    /// The canary flies, for the so-manieth time.
    CanarySent(u64),
    /// It is back, and has seen how many bytes are free, of how many.
    CanaryBack { number: u64, free: u64, total: u64 },
    /// The disk failed.
    DiskFailed(StorageError),
}
