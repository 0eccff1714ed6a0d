//! Who is right when the states of replicas differ.
//!
//! A replica that finds that its state is not the leader's serves nobody from then on. That alone does not say which of the two is wrong,
//! so before it takes the leader's state it listens for a moment to what the others have: members tell each other several
//! times a second up to where they are and the digest of their state; who is in doubt tells of the point from which on it differs. A majority of the voters with the same state is right: whoever
//! differs from one is wrong, also if it leads, and then it hands over. If there is no majority in time, the leader is right.
//!
//! It may be that no leader can be had without this replica, because its log alone has all that is committed: then it makes its
//! state anew from its own disk.
//!
//! Safety of the log rests on none of this: what is committed is decided by epochs and majorities alone.

use crate::tree::Checkpoint;
use crate::zab::{Millis, NodeId, View, Zxid};
use std::collections::BTreeMap;

/// How long a replica listens before it takes the leader's state, and how long what it heard is news: ten beats, in milliseconds.
const LISTEN_MS: u64 = 1000;

/// How long a replica waits for a leader's state before it makes its own anew from its disk, in milliseconds.
const PATIENCE_MS: u64 = 5000;

/// This replica's state is in doubt.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    since: Millis,
    /// The first state that differs, as far as is known.
    ours: Checkpoint,
    /// A transaction did not fit: nothing was applied since.
    broken: bool,
    /// It is wrong.
    settled: bool,
}

/// What a member said of its state.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Millis,
    said: Checkpoint,
    /// Ours was the same.
    same: bool,
}

/// What is decided about this replica's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is as it should be.
    Right,
    /// It must be replaced.
    Wrong,
    /// It was to be replaced, and nobody did.
    Left,
}

/// What is known of the others' states.
#[derive(Debug, Default)]
pub(super) struct Jury {
    heard: BTreeMap<NodeId, Heard>,
    doubt: Option<Doubt>,
}

impl Jury {
    /// A member said what its state was; ours was the same, or was not.
    pub(super) fn hears(&mut self, at: Millis, from: NodeId, said: Checkpoint, same: bool) {
        self.heard.insert(from, Heard { at, said, same });
    }

    /// Our state, as it was then, differs from what it should be.
    pub(super) fn doubt(&mut self, now: Millis, ours: Checkpoint, broken: bool) {
        self.doubt.get_or_insert(Doubt {
            since: now,
            ours,
            broken,
            settled: false,
        });
    }

    /// The first state of ours that differs, if one does.
    pub(super) fn doubts(&self) -> Option<Checkpoint> {
        self.doubt.map(|doubt| doubt.ours)
    }

    /// Nothing can be applied to our state any more.
    pub(super) fn is_broken(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.broken)
    }

    /// The same, from now on.
    pub(super) fn breaks(&mut self) {
        if let Some(doubt) = &mut self.doubt {
            doubt.broken = true;
        }
    }

    /// Our state was replaced, or is right.
    pub(super) fn clear(&mut self) {
        *self = Jury::default();
    }

    /// Whether a majority without us said the same, and not what we have.
    pub(super) fn is_outvoted(&self, now: Millis, me: NodeId, view: &View) -> Option<Zxid> {
        let fresh = |heard: &&Heard| now.since(heard.at) <= LISTEN_MS;
        let other = self
            .heard
            .values()
            .filter(fresh)
            .filter(|heard| !heard.same);
        let mut others = other.map(|heard| heard.said);
        let says = |id: NodeId, said: Checkpoint| {
            let heard = self.heard.get(&id).filter(fresh);
            id != me && heard.is_some_and(|heard| heard.said == said)
        };
        others
            .find(|said| view.is_quorum(|id| says(id, *said)))
            .map(|said| said.zxid)
    }

    /// What is decided of our state, in doubt until now. `me` counts with those who have the same, if it votes.
    pub(super) fn rule(&mut self, now: Millis, me: NodeId, view: &View) -> Option<Ruling> {
        let doubt = self.doubt?;
        if doubt.settled {
            return (now.since(doubt.since) >= PATIENCE_MS).then_some(Ruling::Left);
        }
        let has_ours = |id: NodeId| {
            self.heard.get(&id).is_some_and(|heard| {
                heard.same && heard.said.zxid >= doubt.ours.zxid && now.since(heard.at) <= LISTEN_MS
            })
        };
        if !doubt.broken && view.is_quorum(|id| id == me || has_ours(id)) {
            return Some(Ruling::Right);
        }
        let waited = now.since(doubt.since) >= LISTEN_MS;
        if waited || self.is_outvoted(now, me, view).is_some() {
            self.doubt = Some(Doubt {
                settled: true,
                ..doubt
            });
            return Some(Ruling::Wrong);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;
    use crate::zab::Members;

    const ME: NodeId = NodeId(1);

    fn three() -> View {
        View::initial(Members {
            voters: [1, 2, 3].map(NodeId).into(),
            ..Members::default()
        })
    }

    fn at(zxid: u64) -> Checkpoint {
        Checkpoint {
            zxid: Zxid(zxid),
            ..Checkpoint::default()
        }
    }

    fn other(zxid: u64) -> Checkpoint {
        Checkpoint {
            digest: Tree::new().digest(),
            ..at(zxid)
        }
    }

    fn outvoted(jury: &Jury, now: u64) -> Option<Zxid> {
        jury.is_outvoted(Millis(now), ME, &three())
    }

    fn rule(jury: &mut Jury, now: u64) -> Option<Ruling> {
        jury.rule(Millis(now), ME, &three())
    }

    #[test]
    fn who_differs_from_a_majority_is_wrong() {
        let mut jury = Jury::default();
        jury.hears(Millis(0), NodeId(2), other(7), false);
        assert_eq!(outvoted(&jury, 0), None, "one against one");
        jury.hears(Millis(0), NodeId(3), at(7), false);
        assert_eq!(outvoted(&jury, 0), None, "three of three minds");
        jury.hears(Millis(900), NodeId(3), other(7), false);
        assert_eq!(outvoted(&jury, 900), Some(Zxid(7)));
        assert_eq!(outvoted(&jury, 1500), None, "what 2 said is long ago");
        jury.doubt(Millis(900), at(7), false);
        assert_eq!(rule(&mut jury, 900), Some(Ruling::Wrong));
        assert_eq!(rule(&mut jury, 5000), None, "it is said once");
        assert_eq!(rule(&mut jury, 900 + PATIENCE_MS), Some(Ruling::Left));
    }

    #[test]
    fn who_has_what_a_majority_has_is_right_against_the_leader() {
        let mut jury = Jury::default();
        jury.hears(Millis(10), NodeId(3), at(6), true);
        jury.doubt(Millis(10), at(7), false);
        assert_eq!(rule(&mut jury, 20), None, "6 was before they differed");
        jury.hears(Millis(20), NodeId(2), other(7), false);
        jury.hears(Millis(20), NodeId(3), at(7), true);
        assert_eq!(rule(&mut jury, 20), Some(Ruling::Right));
    }

    #[test]
    fn without_a_majority_the_leader_is_right_after_a_moment() {
        let mut jury = Jury::default();
        jury.doubt(Millis(10), at(7), false);
        assert_eq!(rule(&mut jury, 10 + LISTEN_MS - 1), None);
        assert_eq!(rule(&mut jury, 10 + LISTEN_MS), Some(Ruling::Wrong));
    }

    #[test]
    fn what_is_broken_is_never_right() {
        let mut jury = Jury::default();
        jury.doubt(Millis(10), at(7), true);
        jury.hears(Millis(20), NodeId(2), at(7), true);
        jury.hears(Millis(20), NodeId(3), at(7), true);
        assert_eq!(rule(&mut jury, 20), None);
        assert_eq!(rule(&mut jury, 10 + LISTEN_MS), Some(Ruling::Wrong));
    }
}
