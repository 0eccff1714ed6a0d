//! Zab: replicates opaque transactions in one order, on a majority's disks.
//!
//! A pure state machine: messages, ticks and disk completions in ([`Input`]); messages, disk writes and deliveries out
//! ([`Output`]). No socket, clock, file or thread is reached from here.

mod core;
mod election;
mod leader;
mod learner;
mod lives;
mod log;
mod members;
mod message;
mod peers;
mod replica;
mod sync;
mod types;
mod view;

pub use leader::Refusal;
pub use lives::{Chain, Cure, Known, Life, Lives};
pub use members::Members;
pub use message::{
    Candidacy, Evidence, FromLeader, Message, Notification, Standing, ToLeader, Vote,
};
pub use replica::{Learning, Replica};
pub use types::{
    Arrival, Config, DiskOp, Entry, Epoch, Epochs, Frozen, Input, Millis, NodeId, Output, Piece,
    Reading, Recovered, Snapshot, Status, Stored, Ticket, Zxid,
};
pub use view::{Change, Founding, View};

/// A protocol bug planted on purpose, to prove that tests and harness catch it.
#[cfg(feature = "bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The leader commits what only it has on disk.
    CommitWithoutQuorum,
    /// Acknowledges what is still only in memory.
    AckBeforeWrite,
    /// Answers `sync` without asking a majority whether it still leads.
    StaleSync,
    /// Who lost its memory votes and acknowledges as if it had not.
    AmnesiacActs,
    /// Who comes back with an old copy of its disk is taken for one that crashed.
    OldCopyActs,
    /// A follower now and then applies something else than was committed.
    Divergence,
}
