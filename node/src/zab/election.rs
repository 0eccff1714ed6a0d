//! Fast leader election: every replica votes for the best candidate it can reach, until a majority votes for the same.
//!
//! Candidates are compared by current epoch, last zxid, id. Votes count within one round; a replica that hears of a
//! later round joins it. When a majority agrees, the replica waits a moment for a better vote, unless all have voted.
//! What differs from ZooKeeper: only eligible candidates are voted for (see `peers`), and an amnesiac replica
//! neither votes nor stands. An observer counts votes, to know whom to follow, and has none; its rounds bind nobody.
//! While members come and go, replicas that are not equally far may disagree on who counts: a candidate is judged by its
//! own view where that is newer than ours (see `view` for why this harms nobody). The election only picks a leader that is likely to succeed: that there is one leader
//! an epoch, and that it has everything committed, is ensured by discovery.

use super::core::{Core, Next};
use super::message::{Candidacy, Message, Notification, Standing, Vote};
use super::types::{Millis, NodeId};
use super::view::View;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Election {
    vote: Vote,
    /// Since when a majority has agreed on this vote.
    agreed_since: Option<Millis>,
    last_sent: Millis,
    hears: BTreeSet<NodeId>,
    mutual: BTreeSet<NodeId>,
    /// Replicas that follow us already, before we know that we lead: their session and introduction.
    pub(super) early: BTreeMap<NodeId, (u64, super::message::ToLeader)>,
}

impl Election {
    pub(super) fn start(core: &mut Core) -> Election {
        if core.view().votes(core.me()) {
            core.round += 1;
        }
        core.peers.forget_settled();
        let mut election = Election {
            vote: core.own_vote(),
            agreed_since: None,
            last_sent: core.now,
            hears: BTreeSet::new(),
            mutual: BTreeSet::new(),
            early: BTreeMap::new(),
        };
        election.broadcast(core);
        election
    }

    pub(super) fn tick(&mut self, core: &mut Core) -> Next {
        let next = self.review(core);
        if next == Next::Stay && core.now.since(self.last_sent) >= core.config.tick {
            self.broadcast(core);
        }
        next
    }

    pub(super) fn peer_up(&mut self, core: &mut Core, peer: NodeId) {
        self.notify(core, peer);
    }

    /// Something about the peers has changed: look again at whom to vote for and who agrees.
    pub(super) fn review(&mut self, core: &mut Core) -> Next {
        if core.doubts && !core.renounced {
            return Next::Stay;
        }
        self.join_round(core);
        let (hears, mutual) = (core.peers.hears(core.now), core.peers.mutual(core.now));
        let vote = self.best(core, &mutual);
        let changed = vote != self.vote || hears != self.hears || mutual != self.mutual;
        if vote != self.vote {
            self.agreed_since = None;
        }
        (self.vote, self.hears, self.mutual) = (vote, hears, mutual);
        if changed {
            self.broadcast(core);
        }
        match self.established_leader(core) {
            Some(leader) => Next::Follow(leader),
            None => self.tally(core),
        }
    }

    /// An observer is in whatever round the voters are in.
    fn join_round(&mut self, core: &mut Core) {
        if core.view().votes(core.me()) {
            return;
        }
        let looking = core
            .voters_heard()
            .filter(|(_, n)| n.standing == Standing::Looking);
        let round = looking.map(|(_, n)| n.round).max().unwrap_or(core.round);
        if round != core.round {
            core.round = round;
            self.agreed_since = None;
        }
    }

    pub(super) fn notified(
        &mut self,
        core: &mut Core,
        from: NodeId,
        notification: &Notification,
    ) -> Next {
        let both_vote = core.judge(notification).votes(from) && core.view().votes(core.me());
        if notification.standing == Standing::Looking && both_vote {
            if notification.round > core.round {
                core.round = notification.round;
                self.agreed_since = None;
                self.broadcast(core);
            } else if notification.round < core.round {
                self.notify(core, from);
            }
        }
        self.review(core)
    }

    /// The best eligible candidate of this round, or ourselves.
    fn best(&self, core: &Core, mutual: &BTreeSet<NodeId>) -> Vote {
        let reaches_quorum = |view: &View, id: NodeId, mutual: &BTreeSet<NodeId>| {
            view.is_quorum(|voter| voter == id || mutual.contains(&voter))
        };
        let may_stand = |id: NodeId, n: &Notification| match n.candidacy {
            Candidacy::None => false,
            Candidacy::Leaving => true,
            Candidacy::Member => core.judge(n).votes(id),
        };
        let looking = core.peers.heard(core.now).filter(|(id, n)| {
            n.standing == Standing::Looking
                && n.round == core.round
                && may_stand(*id, n)
                && mutual.contains(id)
                && reaches_quorum(core.judge(n), *id, &n.mutual)
        });
        let rank = |vote: Vote, candidacy| (vote.epoch, vote.zxid, candidacy, vote.leader);
        let best = looking.max_by_key(|(_, n)| rank(n.own, n.candidacy));
        let own = core.own_vote();
        let candidacy = core.candidacy();
        let stands = candidacy != Candidacy::None && reaches_quorum(core.view(), core.me(), mutual);
        match best {
            Some((_, n)) if !stands || rank(n.own, n.candidacy) > rank(own, candidacy) => n.own,
            _ => own,
        }
    }

    /// Whether a majority votes as we do, and has done so for long enough.
    fn tally(&mut self, core: &Core) -> Next {
        let candidate = self.vote.leader;
        let votes = |(_, n): &(NodeId, &Notification)| {
            n.round == core.round && n.vote.leader == candidate && !n.amnesiac
        };
        let heard = || core.peers.heard(core.now);
        let agree = with_us(core, heard().filter(votes).map(|(id, _)| id));
        let its = heard().find(|(id, _)| *id == candidate);
        let view = its.map_or(core.view(), |(_, n)| core.judge(n));
        let reachable = candidate == core.me() || core.peers.is_connected(candidate);
        if !view.is_quorum(|id| agree.contains(&id)) || !reachable {
            self.agreed_since = None;
            return Next::Stay;
        }
        let since = *self.agreed_since.get_or_insert(core.now);
        let unanimous = view.voters().is_subset(&agree);
        if !unanimous && core.now.since(since) < core.config.finalize_wait {
            return Next::Stay;
        }
        match candidate {
            leader if leader != core.me() => Next::Follow(leader),
            _ if core.candidacy() == Candidacy::None => Next::Stay,
            _ => Next::Lead,
        }
    }

    /// A leader that says so itself and that a majority follows already.
    fn established_leader(&self, core: &Core) -> Option<NodeId> {
        let leads = |(id, n): &(NodeId, &Notification)| {
            n.standing == Standing::Leading && n.vote.leader == *id && self.mutual.contains(id)
        };
        let is_supported = |(leader, n): &(NodeId, &Notification)| {
            let follows = |(_, n): &(NodeId, &Notification)| {
                n.standing != Standing::Looking && n.vote.leader == *leader
            };
            let followers = core.peers.heard(core.now).filter(follows);
            let supporters = with_us(core, followers.map(|(id, _)| id));
            // It leads by its own view; and to follow it gives it nothing that it would not be given anyway.
            n.view.is_quorum(|id| supporters.contains(&id))
        };
        let mut leaders = core.peers.heard(core.now).filter(leads);
        leaders.find(is_supported).map(|(leader, _)| leader)
    }

    fn notify(&mut self, core: &mut Core, to: NodeId) {
        let notification = self.notification(core);
        core.send(to, Message::Notification(notification));
    }

    fn broadcast(&mut self, core: &mut Core) {
        self.last_sent = core.now;
        let notification = self.notification(core);
        let peers: Vec<NodeId> = core.peers.connected().collect();
        for peer in peers {
            core.send(peer, Message::Notification(notification.clone()));
        }
    }

    fn notification(&self, core: &Core) -> Notification {
        notification(core, self.vote, Standing::Looking)
    }
}

/// These, and ourselves unless we are amnesiac. Whether we count is for the view to say.
fn with_us(core: &Core, others: impl Iterator<Item = NodeId>) -> BTreeSet<NodeId> {
    let us = (!core.epochs.amnesiac).then(|| core.me());
    others.chain(us).collect()
}

/// What this replica says of itself.
pub(super) fn notification(core: &Core, vote: Vote, standing: Standing) -> Notification {
    Notification {
        round: core.round,
        vote,
        own: core.own_vote(),
        standing,
        amnesiac: core.epochs.amnesiac,
        hears: core.peers.hears(core.now),
        mutual: core.told_mutual(),
        candidacy: core.candidacy(),
        view: Box::new(core.view().clone()),
    }
}
