//! What the lookout is told, and what lookouts tell each other.

use super::alert::Alert;
use crate::tree::Checkpoint;
use crate::zab::{Epoch, Millis, NodeId, Zxid};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970, by a member's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// In milliseconds.
    pub fn millis(self) -> i64 {
        self.0 / 1000
    }
}

/// Monotonic time and wall clock at one moment. Alerts tell the latter; everything is judged by the former.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The server's monotonic clock.
    pub now: Millis,
    /// Its wall clock.
    pub wall: Wall,
}

/// The last beat that came back: for clocks, as NTP takes its four stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// When the other side sent it, by its own clock.
    pub sent: Wall,
    /// When it came, by the clock of the one that echoes.
    pub received: Wall,
}

/// What a member is doing, as its peers need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Its leader, itself perhaps; `None` while it looks for one.
    pub leader: Option<NodeId>,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// It serves clients.
    pub serving: bool,
    /// The last zxid that it has applied.
    pub delivered: Zxid,
    /// Its state then; or the first one that is in doubt.
    pub state: Checkpoint,
}

/// What every member tells every other several times a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// When it was sent.
    pub sent: Wall,
    /// The last one that came the other way.
    pub echo: Option<Echo>,
    /// The longest time since the beat before in which the sender did not run, in milliseconds.
    pub paused_ms: u64,
    /// Whether the sender hears the receiver.
    pub hears_you: bool,
    /// Its disk answers.
    pub fit: bool,
    /// What it is doing.
    pub standing: Standing,
    /// The members of which it is certain that they are silent.
    pub certain: Vec<NodeId>,
    /// All its alerts, if they have changed, and every now and then.
    pub alerts: Option<Vec<Alert>>,
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Who is there: all voters and observers, this server among them.
    Members {
        /// Who votes.
        voters: Vec<NodeId>,
        /// Who does not.
        observers: Vec<NodeId>,
    },
    /// A connection to a member stands.
    PeerUp {
        /// The member.
        peer: NodeId,
        /// Whether it certainly counts this server among the members.
        knows_us: bool,
    },
    /// The connection is gone.
    PeerDown(NodeId),
    /// A member's beat.
    Beat {
        /// Whose.
        from: NodeId,
        /// What it says.
        beat: Box<Beat>,
        /// When it came, by the wall clock.
        received: Wall,
    },
    /// This server, which leads, has sent a proposal.
    Proposed {
        /// To this follower.
        to: NodeId,
        /// Which.
        zxid: Zxid,
    },
    /// A follower has acknowledged.
    Acked {
        /// Which follower.
        from: NodeId,
        /// Everything up to here.
        zxid: Zxid,
    },
    /// So many operations were given to the disk since the start.
    DiskAsked(u64),
    /// So many of them are done.
    DiskDone(u64),
    /// The canary began to write and sync its file, for the so-manieth time.
    CanarySent(u64),
    /// The canary is back.
    CanaryBack(u64),
    /// The file system of the data directory.
    Space {
        /// Bytes that the server may still use.
        free: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Requests of clients.
    Requests {
        /// Without an answer yet.
        outstanding: usize,
        /// How long the oldest of them has been waiting, in milliseconds. One whose client does not read counts for nothing.
        oldest_ms: u64,
    },
    /// This server, which leads, has closed so many sessions because they were silent.
    SessionsExpired {
        /// How many.
        expired: usize,
        /// How many are left, without those whose end is under way.
        open: usize,
    },
    /// What this server is doing.
    Standing(Standing),
    /// From which transaction on this server's state is not what it should be, if it is not.
    Diverged(Option<Zxid>),
    /// Whether this server is without memory: it may have forgotten what it acknowledged.
    Forgetful(bool),
}
