//! The words of the protocol: identifiers, entries of the log, and what the core takes in and gives out.

use super::lives::Lives;
use super::members::Members;
use super::message::{Evidence, Message};
use super::view::{Change, View};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A server's id, as the configuration has it (1 to 254).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A leader's number: each has at most one leader.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// Position of a transaction in the one order: the epoch in the high 32 bits, a counter from 1 in the low ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zxid(pub u64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Zxid = Zxid(0);

    /// The zxid of the given epoch and counter.
    pub fn new(epoch: Epoch, counter: u32) -> Zxid {
        Zxid(u64::from(epoch.0) << 32 | u64::from(counter))
    }

    /// The epoch in which it was proposed.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 32) as u32)
    }

    /// Its position within the epoch.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch().0, self.counter())
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// Milliseconds of the node's own monotonic clock. Only for liveness: no promise rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// The time that has passed since `earlier`, in milliseconds; 0 if `earlier` is later.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One transaction of the log; the core never looks into `txn`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub zxid: Zxid,
    /// What it does, for the layer above.
    pub txn: Bytes,
}

/// The promises of a replica that survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Epochs {
    /// The highest epoch that this replica promised to follow.
    pub accepted: Epoch,
    /// The epoch of the leader whose whole initial history it has on disk.
    pub current: Epoch,
    /// It may have lost what it acknowledged: it neither votes nor acknowledges until a leader whose quorum has no
    /// amnesiac member has brought it up to date.
    pub amnesiac: bool,
}

/// A state of the layer above as it was at one moment: it is read in pieces, while the layer goes on.
pub trait Frozen: fmt::Debug + Send + Sync {
    /// The state as bytes, in pieces of this size, the last one perhaps shorter. Equal states have equal bytes.
    fn pieces(self: Arc<Self>, size: usize) -> Box<dyn Iterator<Item = Bytes> + Send>;
}

impl Frozen for Bytes {
    fn pieces(self: Arc<Self>, size: usize) -> Box<dyn Iterator<Item = Bytes> + Send> {
        let mut rest = Bytes::clone(&self);
        Box::new(std::iter::from_fn(move || {
            let length = size.min(rest.len());
            (length > 0).then(|| rest.split_to(length))
        }))
    }
}

/// A state of the layer above, at a zxid.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// The state, for the layer above.
    pub state: Arc<dyn Frozen>,
}

/// A snapshot on the disk, whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// Its first piece: enough to tell who belongs to the ensemble.
    pub beginning: Bytes,
}

/// A leader's snapshot that has begun to arrive on the disk. Whoever leads has the same bytes for the same zxid: what is missing can
/// come from another leader, and after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrival {
    /// The snapshot.
    pub stored: Stored,
    /// How many pieces have come.
    pub pieces: u32,
}

/// A piece of a snapshot. The one after the last is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Piece {
    /// The zxid of the snapshot.
    pub zxid: Zxid,
    /// Which piece, from 0.
    pub number: u32,
    /// The piece.
    pub bytes: Bytes,
}

/// What a replica finds on its disk when it starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Its promises.
    pub epochs: Epochs,
    /// The life that begins, those before, and what is known of others' lives.
    pub lives: Lives,
    /// Its newest snapshot, if there is one.
    pub snapshot: Option<Stored>,
    /// What has come of a leader's snapshot.
    pub arrival: Option<Arrival>,
    /// The zxid after which the log on disk is whole: a peer that has everything up to it needs no snapshot.
    pub log_start: Zxid,
    /// The log after the snapshot, in order. Not all of it need be committed.
    pub entries: Vec<Entry>,
}

/// How the core reads in transactions and states, of which it knows nothing else, who belongs to the ensemble.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What a transaction does to the ensemble, if it does anything.
    pub change: fn(&Bytes) -> Option<Change>,
    /// The view as a state has it, by its first piece; `None` if nothing ever changed.
    pub view: fn(&Bytes) -> Option<View>,
    /// The transaction that activates a change: the leader proposes it when the change is committed.
    pub activation: fn() -> Bytes,
}

/// Limits and delays of the protocol. All times in milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// This replica.
    pub id: NodeId,
    /// The ensemble as it began, for a history that does not say otherwise.
    pub members: Members,
    /// How changes of the ensemble are told.
    pub reading: Reading,
    /// Between two heartbeats of a leader, and two notifications of a replica that looks for one.
    pub tick: u64,
    /// A leader that does not hear a quorum for so long steps down; a follower that does not hear its leader looks.
    pub sync_limit: u64,
    /// Discovery and synchronisation must end within this, and must make progress.
    pub init_limit: u64,
    /// How long a replica waits for a better vote once a quorum agrees.
    pub finalize_wait: u64,
    /// Delivered entries that are kept in memory for followers that lag a little.
    pub window: usize,
    /// The same, in bytes.
    pub window_bytes: usize,
    /// Entries delivered between two snapshots.
    pub snapshot_every: u64,
    /// Entries read from the log on disk at a time.
    pub read_batch: usize,
    /// The counter before the first zxid of each epoch: 0, unless somebody wants to see the 32 bits run out.
    pub first_counter: u32,
    /// A bug planted on purpose.
    #[cfg(feature = "bugs")]
    pub bug: Option<super::Bug>,
}

/// What a replica is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It looks for a leader, or is being brought up to date: it serves nobody.
    Looking,
    /// It follows a leader.
    Following {
        /// The leader.
        leader: NodeId,
        /// Its epoch, 0 until it is known.
        epoch: Epoch,
        /// It is up to date and may serve clients.
        serving: bool,
    },
    /// It leads.
    Leading {
        /// Its epoch, 0 until a quorum has agreed to it.
        epoch: Epoch,
        /// A quorum holds its history: it may serve clients and propose.
        serving: bool,
    },
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serves = |serving| if serving { "" } else { ", not serving yet" };
        match *self {
            Status::Looking => f.write_str("looking for a leader"),
            Status::Following {
                leader,
                epoch,
                serving,
            } => write!(
                f,
                "following server {leader} in epoch {}{}",
                epoch.0,
                serves(serving)
            ),
            Status::Leading { epoch, serving } => {
                write!(f, "leading in epoch {}{}", epoch.0, serves(serving))
            }
        }
    }
}

impl Status {
    /// Whether clients may be served.
    pub fn serving(self) -> bool {
        matches!(
            self,
            Status::Following { serving: true, .. } | Status::Leading { serving: true, .. }
        )
    }

    /// Whether this replica leads, with a quorum that holds its history.
    pub fn leads(self) -> bool {
        matches!(self, Status::Leading { serving: true, .. })
    }
}

/// Names a question of the core, so that its answer finds the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One operation on the disk. They are carried out strictly in order; each is durable before it is reported done, but for the
/// pieces of a snapshot that arrives.
#[derive(Debug, Clone)]
pub enum DiskOp {
    /// Append an entry to the log.
    Append(Entry),
    /// Cut the log after this zxid.
    Truncate(Zxid),
    /// Replace the epochs.
    SaveEpochs(Epochs),
    /// Replace what is known of lives.
    SaveLives(Lives),
    /// Begin to write this snapshot of delivered state beside the log. When it is whole, what it and its predecessor make superfluous is
    /// dropped, and [`Input::SnapshotSaved`] tells of it; other operations are carried out meanwhile.
    SaveSnapshot(Snapshot),
    /// Keep the next piece of a leader's snapshot; the first makes what is left of another superfluous.
    KeepPiece(Piece),
    /// Forget what has come of a leader's snapshot.
    ForgetPieces,
    /// Replace the whole history and the epochs, all at once: until this is done, the old history stands whole. A snapshot that
    /// was being written is given up.
    InstallHistory {
        /// The snapshot with which the history begins, all of whose pieces are kept.
        zxid: Zxid,
        /// What follows it.
        entries: Vec<Entry>,
        /// The promises from then on.
        epochs: Epochs,
        /// The history before is evidence: its state was not what it should have been. It is set aside.
        keep_former: bool,
    },
    /// Read at most `limit` entries after `after`; answered by [`Input::LogRead`].
    ReadLog {
        /// To be returned with the answer.
        ticket: Ticket,
        /// The zxid before the first wanted.
        after: Zxid,
        /// How many at most.
        limit: usize,
    },
    /// Read a piece of a snapshot; answered by [`Input::PieceRead`].
    ReadPiece {
        /// To be returned with the answer.
        ticket: Ticket,
        /// Of which snapshot; if it is not there, the newest is read from its beginning.
        zxid: Zxid,
        /// Which piece.
        number: u32,
    },
}

/// What happens to a replica.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed. To be given several times in each of the configured delays: every 10 ms, say.
    Tick,
    /// A connection to this peer stands: what is sent on it arrives in order or not at all.
    PeerUp(NodeId),
    /// The connection is gone, and with it whatever was under way on it.
    PeerDown(NodeId),
    /// A peer's message.
    Message {
        /// The peer.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// The first `count` disk operations ever given out (reads included) are done and durable.
    DiskDone {
        /// How many, since the start.
        count: u64,
    },
    /// The answer to [`DiskOp::ReadLog`]; `None` if the log on disk no longer (or not) holds what follows `after`.
    LogRead {
        /// The question's.
        ticket: Ticket,
        /// The entries, in order.
        entries: Option<Vec<Entry>>,
    },
    /// The answer to [`DiskOp::ReadPiece`]; `None` if there is no snapshot on the disk.
    PieceRead {
        /// The question's.
        ticket: Ticket,
        /// The piece.
        piece: Option<Piece>,
    },
    /// The answer to [`Output::TakeSnapshot`]: the state as it is after everything delivered so far; `None` if that is in doubt
    /// (see [`super::Replica::doubt`]).
    SnapshotTaken(Option<Snapshot>),
    /// The snapshot that was to be saved is whole on the disk.
    SnapshotSaved {
        /// The zxid after which the log on disk is whole now.
        log_start: Zxid,
    },
    /// The answer to [`Output::Restore`]: the layer above has this state.
    Restored(Zxid),
}

/// What a replica wants done. To be carried out in order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send this to a peer, if it is connected.
    Send {
        /// The peer.
        to: NodeId,
        /// What to say.
        message: Message,
    },
    /// This replica has learned that it forgot what it once had on disk: from now on it is amnesiac.
    Forgot(Evidence),
    /// The leader that is followed wants the history cut after this zxid, and more is delivered here: it leads without a committed
    /// transaction.
    Contradicted {
        /// Who.
        leader: NodeId,
        /// After which zxid.
        zxid: Zxid,
    },
    /// Do this on the disk, after all that was asked before.
    Disk(DiskOp),
    /// Replace the state of the layer above by the snapshot at this zxid, which is that of the new history; answered by [`Input::Restored`] when that is
    /// done. Nothing is delivered before. If this is given out again meanwhile, only the last counts.
    Restore(Zxid),
    /// A committed transaction: apply it.
    Deliver(Entry),
    /// Freeze the state of the layer above as it is at this point of the outputs, and answer with
    /// [`Input::SnapshotTaken`] before any other input.
    TakeSnapshot,
    /// The status changed.
    Status(Status),
    /// The newest view that this replica knows, from its own log or from a peer.
    View(View),
    /// A message of the layer above has come from a peer in the same ensemble under the same leader.
    App {
        /// The peer.
        from: NodeId,
        /// For the layer above.
        payload: Bytes,
    },
    /// A majority has confirmed, after [`super::Replica::confirm`] was called with this token, that this replica still
    /// leads: everything committed before that call is at or below `zxid`, and has been delivered here.
    Confirmed {
        /// The call's.
        token: u64,
        /// The last delivered zxid.
        zxid: Zxid,
    },
}
