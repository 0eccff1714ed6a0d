//! A digest of the whole state that costs little to keep: the sum, modulo 2^64, of a weight of each znode and each session.
//!
//! A sum has no order, so that a transaction changes it by the znodes that it touches alone: the weight before is taken away, the
//! weight after is added. Replicas that have applied the same transactions have the same digest; replicas whose states
//! differ have different ones but for a chance of about one in 2^32 (a znode's path and data enter as CRC32Cs). It finds
//! faults, not forgers: who can choose data can choose data with the same CRC.
//!
//! A weight covers the path, the data, the access control list and every field that is replicated. A znode keeps the CRCs of its path
//! and data, so that a change of its other fields reads neither.

use super::znode::Znode;
use super::{Session, SessionId};
use crate::request::Acl;
use crate::zab::Zxid;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// The digest of a state; equal states have equal ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(u64);

impl Digest {
    /// Digests of another version are computed otherwise, and cannot be compared.
    pub const VERSION: u32 = 1;

    pub(super) fn add(&mut self, weight: u64) {
        self.0 = self.0.wrapping_add(weight);
    }

    pub(super) fn remove(&mut self, weight: u64) {
        self.0 = self.0.wrapping_sub(weight);
    }

    /// Of two disjoint parts.
    pub(super) fn with(self, other: Digest) -> Digest {
        Digest(self.0.wrapping_add(other.0))
    }

    /// The number, for those who show it.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The state after a transaction, as somebody says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// Its digest.
    pub digest: Digest,
}

/// Words into one number, each at its place.
#[derive(Clone, Copy)]
struct Mixer(u64);

impl Mixer {
    /// As SplitMix64 steps: an odd constant near 2^64 / φ, and its finaliser's shifts and factors.
    fn word(self, word: u64) -> Mixer {
        let mut z = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Mixer(z ^ (z >> 31))
    }

    fn pair(self, high: u32, low: u32) -> Mixer {
        self.word(u64::from(high) << 32 | u64::from(low))
    }
}

pub(super) fn of_znode(znode: &Znode) -> u64 {
    // One more than the length, so that no data differs from data of no length.
    let length = znode.data().map_or(0, |data| data.len() as u64 + 1);
    Mixer(1)
        .pair(znode.path_crc, znode.data_crc)
        .word(length)
        .word(u64::from(znode.acl().map_or(0, |list| of_list(list))))
        .word(znode.czxid.0)
        .word(znode.mzxid.0)
        .word(znode.pzxid.0)
        .word(znode.ctime as u64)
        .word(znode.mtime as u64)
        .pair(znode.version as u32, znode.creates as u32)
        .word(znode.aversion() as u64)
        .word(znode.owner().0 as u64)
        .0
}

fn of_list(list: &[Acl]) -> u32 {
    let text = |crc: u32, text: &str| {
        let crc = crc32c::crc32c_append(crc, &(text.len() as u32).to_le_bytes());
        crc32c::crc32c_append(crc, text.as_bytes())
    };
    // Not 0, which is the open list's.
    list.iter().fold(1, |crc, acl| {
        let crc = crc32c::crc32c_append(crc, &acl.permissions.to_le_bytes());
        text(text(crc, &acl.scheme), &acl.id)
    })
}

pub(super) fn of_session(id: SessionId, session: &Session) -> u64 {
    let password = crc32c::crc32c(&session.password);
    Mixer(2)
        .word(id.0 as u64)
        .pair(session.timeout_ms as u32, password)
        .0
}

/// Every so many transactions, a digest is kept for those who compare by hand.
const KEPT_EVERY: u32 = 128;

/// And so many of these.
const KEPT: usize = 1024;

/// What this replica's state was after each of its last transactions, to be compared with what the leader says.
///
/// A leader says in each transaction what its state was after the last one that it had applied when it proposed it. That goes only
/// forward, in the log's order: a new leader has applied all that it did not propose itself. So nothing before the last
/// checkpoint need be remembered, and what is after it is no more than was proposed and not yet applied.
#[derive(Debug, Default)]
pub struct Digests {
    recent: VecDeque<Checkpoint>,
    kept: VecDeque<Checkpoint>,
}

/// A replica's state is not what another's was after the same transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the digest of the state after {zxid} is {ours}, and the leader's was {theirs}")]
pub struct Mismatch {
    /// The last transaction of both.
    pub zxid: Zxid,
    /// This replica's.
    pub ours: Digest,
    /// The leader's.
    pub theirs: Digest,
}

impl Digests {
    /// Begins with this state: it was restored.
    pub fn begin(&mut self, now: Checkpoint) {
        self.recent.clear();
        self.recent.push_back(now);
    }

    /// The state after the next transaction.
    pub fn applied(&mut self, now: Checkpoint) {
        self.recent.push_back(now);
        if now.zxid.counter().is_multiple_of(KEPT_EVERY) {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(now);
        }
    }

    /// Compares with what the leader says in a transaction, and forgets what was before.
    pub fn check(&mut self, said: Checkpoint) -> Result<(), Mismatch> {
        while self.recent.front().is_some_and(|own| own.zxid < said.zxid) {
            self.recent.pop_front();
        }
        self.compare(said).unwrap_or(Ok(()))
    }

    /// Compares with what another says of its state. `None` where this replica does not remember, or has not come so far.
    pub fn compare(&self, said: Checkpoint) -> Option<Result<(), Mismatch>> {
        let at = self.recent.partition_point(|own| own.zxid < said.zxid);
        let own = self.recent.get(at).filter(|own| own.zxid == said.zxid)?;
        let mismatch = Mismatch {
            zxid: said.zxid,
            ours: own.digest,
            theirs: said.digest,
        };
        Some(match own.digest == said.digest {
            true => Ok(()),
            false => Err(mismatch),
        })
    }

    /// Those of every 128th zxid, as ZooKeeper shows them.
    pub fn kept(&self) -> impl Iterator<Item = &Checkpoint> {
        self.kept.iter()
    }
}
