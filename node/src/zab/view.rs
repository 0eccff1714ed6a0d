//! Who counts, and how that changes while the ensemble works.
//!
//! The configuration is part of the replicated history. A change takes two transactions: a [`Change::Join`] names the members
//! to come, and once it is committed its leader proposes the [`Change::Activate`]. Whoever has them in its log goes by them,
//! committed or not: from the first on a quorum is a majority of the old members *and* a majority of the new ones, for votes,
//! promises, histories, acknowledgements and heartbeats alike; from the second on a majority of the new ones. What a cut takes
//! out of the log no longer counts. The next change may begin when the second is committed. (This is joint consensus, as in
//! Ongaro's dissertation, 4.3. ZooKeeper has one transaction, and a file beside the log that says that it was committed:
//! there a server that crashes between the two knows less than its log.)
//!
//! # Why nothing is lost, and no epoch has two leaders
//!
//! Let the configurations be C0, C1, …, as they were proposed, and let J(i) and A(i) be the two transactions that bring in Ci. J(i + 1) is
//! proposed only after A(i) was committed, and A(i) only after J(i) was. So a log that has A(i) proves that J(i) is committed,
//! and one that has J(i + 1) proves that A(i) is. A log therefore makes its owner go by one of two kinds of view: Ci alone (A(i) is its last), or
//! both Ci and C(i + 1) (J(i + 1) is its last).
//!
//! 1. *Views that are neighbours have no disjoint quorums.* (Ci) and (Ci, Ci+1) share Ci, (Ci, Ci+1) and (Ci+1) share Ci+1,
//!    and two majorities of the same voters have one in common.
//! 2. *A candidate whose view was left behind is not established.* Say that it lacks J(i + 1) and goes by a view with Ci as its
//!    newest, and J(i + 1) is committed: a majority of Ci has J(i + 1) on disk. The candidate needs promises from a majority of
//!    Ci, so from one of these. That one either acknowledged J(i + 1) before it promised, and then names a more recent history
//!    than the candidate's, which resigns (discovery, in `leader`); or it promised first, and then it could not acknowledge J(i + 1) to the
//!    leader of an earlier epoch, and a majority was not had without it. The same holds of one that has J(i + 1) and lacks A(i + 1), while
//!    J(i + 2) is committed: a majority of C(i + 1) has it, and the candidate needs one of C(i + 1) as well.
//! 3. *So whoever is established has a view that is a neighbour of, or equal to, every view under which something was committed that is not in
//!    its log, or under which another leader of its epoch would be established.* By 1 their quorums meet, and the usual
//!    argument holds: who promised an epoch acknowledges nothing of an earlier one, and promises each epoch once. One leader
//!    an epoch; and a leader's history holds everything that was committed.
//!
//! *An epoch's promise holds across a change* because it is the promise of a server, not of a configuration: it stays on the
//! server's disk, whether the server votes, observes, or does not belong at all, and it never goes back. A server that comes in was brought to
//! the leader's history as a learner first, and promised its epoch then. A server that left keeps what it promised, and its disk.
//!
//! What others say about the configuration decides only whom a server follows, never what it counts for itself: it may be old
//! and stand beside an ensemble that has moved on.

use super::members::Members;
use super::types::{NodeId, Zxid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a transaction does to the ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Until the change is activated, a quorum is one of both.
    Join {
        /// The members so far: what an ensemble began with is known to all from here on.
        from: Members,
        /// The members to come.
        to: Members,
    },
    /// The members to come are the members.
    Activate,
    /// These are the members from here on, and nobody of before agreed to it: the history goes on as that of another ensemble, because a
    /// majority of the one before is lost for good. No leader proposes it.
    Found {
        /// Who.
        members: Members,
        /// Chosen at random: two that are founded on two disks of the same ensemble are not the same.
        mark: u64,
    },
}

/// Which ensemble a history is of. Histories that differ in it are of different ensembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Founding {
    /// The zxid of the last [`Change::Found`]; 0: there was none.
    pub zxid: Zxid,
    /// Its mark.
    pub mark: u64,
}

impl Founding {
    /// Two servers' histories, if they are of different ensembles; who holds none yet may come to either.
    pub fn apart(one: Option<Founding>, other: Option<Founding>) -> Option<(Founding, Founding)> {
        one.zip(other).filter(|(one, other)| one != other)
    }
}

/// Who counts, by the history up to some entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    /// The zxid of the transaction that made it so; 0: as the ensemble began.
    pub version: Zxid,
    /// The members.
    pub members: Members,
    /// The members to come, while a change is under way.
    pub next: Option<Members>,
    /// Which ensemble it is.
    pub founded: Founding,
}

impl View {
    /// The members with which an ensemble begins.
    pub fn initial(members: Members) -> View {
        View {
            version: Zxid::ZERO,
            members,
            next: None,
            founded: Founding::default(),
        }
    }

    /// The view after this change. A change that does not come next makes no difference: no leader proposes it.
    #[must_use]
    pub fn after(&self, zxid: Zxid, change: Change) -> View {
        match (change, &self.next) {
            (Change::Join { from, to }, None) => View {
                version: zxid,
                members: from,
                next: Some(to),
                founded: self.founded,
            },
            (Change::Activate, Some(next)) => View {
                version: zxid,
                members: next.clone(),
                next: None,
                founded: self.founded,
            },
            (Change::Found { members, mark }, _) => View {
                version: zxid,
                members,
                next: None,
                founded: Founding { zxid, mark },
            },
            _ => self.clone(),
        }
    }

    fn both(&self) -> impl Iterator<Item = &Members> {
        std::iter::once(&self.members).chain(&self.next)
    }

    /// Whether this one's vote and acknowledgement count.
    pub fn votes(&self, id: NodeId) -> bool {
        self.both().any(|members| members.votes(id))
    }

    /// Everybody whose vote and acknowledgement count.
    pub fn voters(&self) -> BTreeSet<NodeId> {
        self.both()
            .flat_map(|members| &members.voters)
            .copied()
            .collect()
    }

    /// Whether it belongs to the members, or to those to come.
    pub fn knows(&self, id: NodeId) -> bool {
        self.both()
            .any(|members| members.votes(id) || members.observers.contains(&id))
    }

    /// Whether those who are like this are a quorum.
    pub fn is_quorum(&self, like: impl Fn(NodeId) -> bool) -> bool {
        self.both().all(|members| members.is_quorum(&like))
    }

    /// Up to where a quorum has come, if each has come as far as `position` says.
    pub fn reached(&self, position: impl Fn(NodeId) -> Zxid) -> Zxid {
        let reached = self.both().map(|members| members.reached(&position));
        reached.min().unwrap_or_default()
    }
}

/// The views that the history goes through, as far as it can still be cut.
#[derive(Debug)]
pub(super) struct Views {
    /// By version. The first is not cut any more.
    views: Vec<View>,
}

impl Views {
    pub(super) fn new(first: View) -> Views {
        Views { views: vec![first] }
    }

    /// By the last entry of the history.
    pub(super) fn last(&self) -> &View {
        self.views.last().expect("there is a first")
    }

    /// By the history before the last change, if that can still be cut.
    pub(super) fn before_last(&self) -> Option<&View> {
        self.views.len().checked_sub(2).map(|at| &self.views[at])
    }

    /// An entry with this change was appended.
    pub(super) fn change(&mut self, zxid: Zxid, change: Change) {
        let view = self.last().after(zxid, change);
        if view.version == zxid {
            self.views.push(view);
        }
    }

    /// The history was cut after this zxid.
    pub(super) fn truncate(&mut self, zxid: Zxid) {
        let kept = self.views.partition_point(|view| view.version <= zxid);
        self.views.truncate(kept.max(1));
    }

    /// What is delivered is not cut any more.
    pub(super) fn trim(&mut self, delivered: Zxid) {
        let known = self.views.partition_point(|view| view.version <= delivered);
        self.views.drain(..known.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::Epoch;

    fn members(voters: &[u64]) -> Members {
        Members {
            voters: voters.iter().copied().map(NodeId).collect(),
            ..Members::default()
        }
    }

    fn join(from: &[u64], to: &[u64]) -> Change {
        Change::Join {
            from: members(from),
            to: members(to),
        }
    }

    fn z(counter: u32) -> Zxid {
        Zxid::new(Epoch(1), counter)
    }

    #[test]
    fn while_a_change_is_under_way_a_quorum_is_one_of_both() {
        let view = View::initial(members(&[1, 2, 3]));
        let joint = view.after(z(1), join(&[1, 2, 3], &[3, 4, 5]));
        let is = |view: &View, like: &[u64]| view.is_quorum(|id| like.contains(&id.0));
        assert!(is(&view, &[1, 2]) && !is(&joint, &[1, 2]));
        assert!(!is(&joint, &[4, 5]) && is(&joint, &[1, 3, 4]));
        assert_eq!(joint.reached(|id| z(id.0 as u32)), z(2));
        assert_eq!(joint.reached(|id| z(10 - id.0 as u32)), z(6));
        assert!(joint.votes(NodeId(1)) && joint.votes(NodeId(5)) && !joint.votes(NodeId(6)));
        let after = joint.after(z(2), Change::Activate);
        assert_eq!((after.version, after.members), (z(2), members(&[3, 4, 5])));
    }

    #[test]
    fn a_change_that_does_not_come_next_makes_no_difference() {
        let view = View::initial(members(&[1]));
        assert_eq!(view.after(z(1), Change::Activate), view);
        let joint = view.after(z(1), join(&[1], &[2]));
        assert_eq!(joint.after(z(2), join(&[1], &[3])), joint);
    }

    #[test]
    fn an_ensemble_that_was_founded_anew_is_told_from_the_one_before_whatever_was_under_way() {
        let view = View::initial(members(&[1, 2, 3]));
        let joint = view.after(z(1), join(&[1, 2, 3], &[3, 4, 5]));
        for before in [view, joint] {
            let found = |mark| Change::Found {
                members: members(&[3]),
                mark,
            };
            let alone = before.after(z(2), found(7));
            assert_ne!(alone.founded, before.after(z(2), found(8)).founded);
            assert_eq!((alone.founded.zxid, &alone.next), (z(2), &None));
            assert!(alone.is_quorum(|id| id == NodeId(3)));
            let grown = alone
                .after(z(3), join(&[3], &[3, 6]))
                .after(z(4), Change::Activate);
            assert_eq!((grown.founded, grown.version), (alone.founded, z(4)));
        }
    }

    #[test]
    fn a_cut_takes_views_back_and_what_is_delivered_stays() {
        let mut views = Views::new(View::initial(members(&[1])));
        views.change(z(2), join(&[1], &[2]));
        views.change(z(4), Change::Activate);
        views.truncate(z(3));
        assert_eq!(views.last().version, z(2));
        views.trim(z(2));
        views.truncate(z(2));
        assert_eq!((views.views.len(), views.last().version), (1, z(2)));
        views.change(z(3), Change::Activate);
        views.truncate(z(2));
        assert_eq!(views.last().next, Some(members(&[2])));
    }
}
