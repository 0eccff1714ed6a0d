//! What replicas say to each other. Framing and version are the transport's matter.

use super::lives::{Known, Life, Lives};
use super::types::{Entry, Epoch, NodeId, Piece, Zxid};
use super::view::View;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A candidate, in the order in which candidates are preferred: epoch, then zxid, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// The candidate's current epoch.
    pub epoch: Epoch,
    /// The candidate's last logged zxid.
    pub zxid: Zxid,
    /// The candidate.
    pub leader: NodeId,
}

/// What the sender of a notification is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It looks for a leader.
    Looking,
    /// It follows the candidate that it votes for.
    Following,
    /// It leads.
    Leading,
}

/// Whether a replica may be voted for, in the order in which equally recent histories are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Candidacy {
    /// It may not: it observes, does not belong, or forgot.
    None,
    /// It leaves, and has not seen its leaving committed: it can be the only one to know that the old members are needed
    /// no longer.
    Leaving,
    /// It votes, and may.
    Member,
}

/// One message of the election.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The election round (ZooKeeper's logical clock).
    pub round: u64,
    /// Whom the sender votes for, or follows.
    pub vote: Vote,
    /// The sender as a candidate.
    pub own: Vote,
    /// What it is doing.
    pub standing: Standing,
    /// Its vote does not count: it may have lost what it acknowledged.
    pub amnesiac: bool,
    /// The peers whose notifications reached the sender lately.
    pub hears: BTreeSet<NodeId>,
    /// Of these, the peers that said that they hear the sender.
    pub mutual: BTreeSet<NodeId>,
    /// Whether the sender may be voted for.
    pub candidacy: Candidacy,
    /// Who counts, by the sender's log.
    pub view: Box<View>,
}

/// A learner's word to its leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLeader {
    /// "I want to follow you": the first message of a session.
    FollowerInfo {
        /// The highest epoch that it promised to follow.
        accepted: Epoch,
        /// Its acknowledgements must not count.
        amnesiac: bool,
        /// Its state is not what its history makes: it needs the leader's, however far its history reaches.
        doubts: bool,
        /// Its own lives, and what it knows of those of others.
        lives: Lives,
    },
    /// It promised to follow the leader's epoch, durably.
    AckEpoch {
        /// The epoch whose initial history it holds.
        current: Epoch,
        /// Its last logged zxid.
        last: Zxid,
        /// It had promised this epoch before, so that this promise must not be counted towards establishing it.
        again: bool,
    },
    /// The leader's initial history is on its disk, and so is the epoch.
    AckNewLeader,
    /// Everything up to here is on its disk.
    Ack {
        /// The last one.
        zxid: Zxid,
    },
    /// It is there; the answer to a heartbeat.
    Pong {
        /// The heartbeat's number.
        beat: u64,
    },
    /// It wants a piece of a snapshot.
    Fetch {
        /// Of which snapshot; if the leader does not have it, it sends its newest from the beginning.
        zxid: Zxid,
        /// Which piece.
        number: u32,
    },
    /// What the leader knows of everybody's lives is on its disk.
    Knows {
        /// The number of what the leader told.
        edition: u64,
    },
    /// It is no longer amnesiac, durably: from here on its acknowledgements count.
    Cured,
    /// It leaves.
    Leave,
}

/// Why a server must have forgotten something. It judges for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// It lived these lives.
    Lives(Vec<Life>),
    /// In its leader's epoch it acknowledged everything up to here.
    Acknowledged {
        /// The epoch.
        epoch: Epoch,
        /// The last zxid.
        zxid: Zxid,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::Lives(lives) => {
                let each: Vec<String> = lives
                    .iter()
                    .map(|life| format!("{} (mark {:x})", life.number, life.mark))
                    .collect();
                write!(f, "it was started as life {}", each.join(", "))
            }
            Evidence::Acknowledged { epoch, zxid } => {
                write!(f, "it acknowledged {zxid} in epoch {}", epoch.0)
            }
        }
    }
}

/// A leader's word to a learner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLeader {
    /// The epoch that the leader wants to lead.
    LeaderInfo {
        /// The epoch.
        epoch: Epoch,
    },
    /// Synchronisation: cut the log after this zxid.
    Truncate {
        /// The last zxid that stays.
        zxid: Zxid,
    },
    /// Synchronisation: fetch a snapshot.
    NeedsSnapshot,
    /// Synchronisation: a piece of a snapshot. The whole history is replaced when all have come, and all entries after it.
    Snap(Piece),
    /// An entry of the history or a proposal, and the zxid of the one before it.
    Propose {
        /// The zxid of the entry before.
        after: Zxid,
        /// The entry.
        entry: Entry,
    },
    /// To those who do not vote: a committed entry, and the zxid of the one before it. Not acknowledged.
    Inform {
        /// The zxid of the entry before.
        after: Zxid,
        /// The entry: everything up to it is committed.
        entry: Entry,
    },
    /// The newest lives of everybody: to be written down, and confirmed.
    Lives {
        /// The number of what is told here.
        edition: u64,
        /// The lives.
        known: Known,
    },
    /// It counts again, once it is up to date: a majority has its life on disk, in this edition.
    Cured {
        /// The edition.
        edition: u64,
    },
    /// It forgot: it is counted nowhere, and must come back as one that knows.
    Forgot(Evidence),
    /// The initial history is complete: put it on disk and acknowledge.
    NewLeader,
    /// A quorum holds the initial history: serve. Everything up to here is committed.
    UpToDate {
        /// The last committed zxid.
        commit: Zxid,
    },
    /// Everything up to here is committed.
    Commit {
        /// The last committed zxid.
        zxid: Zxid,
    },
    /// A heartbeat.
    Ping {
        /// Its number.
        beat: u64,
    },
    /// The leader no longer leads, or never did.
    Resign,
}

/// A message between two replicas.
///
/// `session` tells the conversations of one learner with one leader apart, so that what is left of an earlier one is
/// never taken for a word of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Election.
    Notification(Notification),
    /// A learner speaks to its leader.
    ToLeader {
        /// The conversation.
        session: u64,
        /// What it says.
        body: ToLeader,
    },
    /// A leader speaks to a learner.
    FromLeader {
        /// The conversation.
        session: u64,
        /// What it says.
        body: FromLeader,
    },
    /// The layer above speaks, within a conversation (either way).
    App {
        /// The conversation.
        session: u64,
        /// What it says.
        payload: Bytes,
    },
}
