//! Fast leader election: every replica votes for the best candidate it can reach, until a majority votes for the same.
//!
//! Candidates are compared by current epoch, last zxid, id. Votes count within one round; a replica that hears of a
//! later round joins it. When a majority agrees, the replica waits a moment for a better vote, unless all have voted.
//! What differs from ZooKeeper: only eligible candidates are voted for (see `peers`), and an amnesiac replica
//! neither votes nor stands. An observer counts votes, to know whom to follow, and has none; its rounds bind nobody. The election only picks a leader that is likely to succeed: that there is one leader
//! an epoch, and that it has everything committed, is ensured by discovery.

use super::core::{Core, Next};
use super::message::{Message, Notification, Standing, Vote};
use super::types::{Millis, NodeId};
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
        if core.members().votes(core.me()) {
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
        if core.members().votes(core.me()) {
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
        let both_vote = core.members().votes(from) && core.members().votes(core.me());
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
        let reaches_quorum = |id: NodeId, mutual: &BTreeSet<NodeId>| {
            core.members()
                .is_quorum(|voter| voter == id || mutual.contains(&voter))
        };
        let looking = core.voters_heard().filter(|(id, n)| {
            n.standing == Standing::Looking
                && n.round == core.round
                && !n.amnesiac
                && mutual.contains(id)
                && reaches_quorum(*id, &n.mutual)
        });
        let best = looking.map(|(_, n)| n.own).max();
        let own = core.own_vote();
        let stands = core.fit && core.votes() && reaches_quorum(core.me(), mutual);
        match best {
            Some(best) if !stands || best > own => best,
            _ => own,
        }
    }

    /// Whether a majority votes as we do, and has done so for long enough.
    fn tally(&mut self, core: &Core) -> Next {
        let votes = |(_, n): &(NodeId, &Notification)| {
            n.round == core.round && n.vote.leader == self.vote.leader && !n.amnesiac
        };
        let mut agree: BTreeSet<NodeId> = core
            .voters_heard()
            .filter(votes)
            .map(|(id, _)| id)
            .collect();
        if core.votes() {
            agree.insert(core.me());
        }
        let candidate_reachable =
            self.vote.leader == core.me() || core.peers.is_connected(self.vote.leader);
        if !core.members().is_quorum(|id| agree.contains(&id)) || !candidate_reachable {
            self.agreed_since = None;
            return Next::Stay;
        }
        let since = *self.agreed_since.get_or_insert(core.now);
        let unanimous = core.members().voters == agree;
        if !unanimous && core.now.since(since) < core.config.finalize_wait {
            return Next::Stay;
        }
        match self.vote.leader {
            leader if leader != core.me() => Next::Follow(leader),
            _ if !core.votes() || !core.fit => Next::Stay,
            _ => Next::Lead,
        }
    }

    /// A leader that says so itself and that a majority follows already.
    fn established_leader(&self, core: &Core) -> Option<NodeId> {
        let leads = |(id, n): &(NodeId, &Notification)| {
            n.standing == Standing::Leading && n.vote.leader == *id && self.mutual.contains(id)
        };
        let leader = core.voters_heard().find(leads)?.0;
        let follows = |(_, n): &(NodeId, &Notification)| {
            n.standing != Standing::Looking && n.vote.leader == leader
        };
        let mut supporters: BTreeSet<NodeId> = core
            .voters_heard()
            .filter(follows)
            .map(|(id, _)| id)
            .collect();
        // Our own support may make the majority, if it counts.
        if core.votes() {
            supporters.insert(core.me());
        }
        core.members()
            .is_quorum(|id| supporters.contains(&id))
            .then_some(leader)
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
    }
}
