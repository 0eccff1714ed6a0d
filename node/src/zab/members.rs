//! One configuration of the ensemble: who belongs to it, who of them votes, and what a quorum is.
//!
//! Voters make quorums: of them alone a majority must have promised an epoch, hold a history, have a proposal on disk, or
//! answer a heartbeat. Observers hear what is committed and count nowhere. Nothing here knows who is alive.

use super::types::{NodeId, Zxid};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One configuration of the ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Members {
    /// Those who vote and acknowledge.
    pub voters: BTreeSet<NodeId>,
    /// Those who only hear.
    pub observers: BTreeSet<NodeId>,
    /// What else the layer above knows of them: where they are. The core never looks into it.
    pub about: Bytes,
}

impl Members {
    /// All of them, in order.
    pub fn all(&self) -> BTreeSet<NodeId> {
        self.voters.union(&self.observers).copied().collect()
    }

    /// Whether this one's vote and acknowledgement count.
    pub fn votes(&self, id: NodeId) -> bool {
        self.voters.contains(&id)
    }

    /// Whether those who are like this are a majority of the voters.
    pub fn is_quorum(&self, like: impl Fn(NodeId) -> bool) -> bool {
        let count = self.voters.iter().filter(|&&voter| like(voter)).count();
        count > self.voters.len() / 2
    }

    /// Up to where a majority of the voters has come, if each has come as far as `position` says.
    pub fn reached(&self, position: impl Fn(NodeId) -> Zxid) -> Zxid {
        let mut positions: Vec<Zxid> = self.voters.iter().map(|&voter| position(voter)).collect();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        positions
            .get(positions.len() / 2)
            .copied()
            .unwrap_or_default()
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &BTreeSet<NodeId>| ids.iter().map(NodeId::to_string).collect::<Vec<_>>();
        write!(f, "voters {}", list(&self.voters).join(", "))?;
        match self.observers.is_empty() {
            true => Ok(()),
            false => write!(f, " and observers {}", list(&self.observers).join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(voters: &[u64], observers: &[u64]) -> Members {
        let set = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
        Members {
            voters: set(voters),
            observers: set(observers),
            about: Bytes::new(),
        }
    }

    #[test]
    fn a_quorum_is_a_majority_of_the_voters_and_observers_do_not_add_to_it() {
        for (voters, observers, like, is) in [
            (&[1, 2, 3][..], &[][..], &[1, 2][..], true),
            (&[1, 2, 3], &[], &[3], false),
            (&[1, 2, 3], &[4, 5], &[3, 4, 5], false),
            (&[1, 2, 3, 4], &[], &[1, 2], false),
            (&[1, 2, 3, 4], &[], &[1, 2, 4], true),
            (&[2], &[1, 3], &[1, 3], false),
            (&[2], &[1, 3], &[2], true),
            (&[], &[1], &[1], false),
        ] {
            let members = members(voters, observers);
            let found = members.is_quorum(|id| like.contains(&id.0));
            assert_eq!(found, is, "{like:?} of {members:?}");
        }
    }

    #[test]
    fn a_majority_has_reached_what_the_slowest_of_its_fastest_members_has() {
        let reached = |voters: &[u64], at: [u64; 5]| {
            members(voters, &[]).reached(|id| Zxid(at[id.0 as usize - 1]))
        };
        assert_eq!(reached(&[1, 2, 3], [7, 5, 0, 9, 9]), Zxid(5));
        assert_eq!(reached(&[1, 2, 3, 4], [7, 5, 3, 9, 9]), Zxid(5));
        assert_eq!(reached(&[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]), Zxid(3));
        assert_eq!(reached(&[4], [0, 0, 0, 9, 0]), Zxid(9));
        assert_eq!(reached(&[], [9; 5]), Zxid::ZERO);
    }
}
