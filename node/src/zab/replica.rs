//! The replica: hands each input to the role that it plays, and changes roles.

use super::core::{Core, Next};
use super::election::{self, Election};
use super::leader::{Leader, Refusal};
use super::learner::Follower;
use super::members::Members;
use super::message::{FromLeader, Message, Notification, Standing, ToLeader, Vote};
use super::types::*;
use super::view::{Founding, View};
use bytes::Bytes;
use std::collections::BTreeMap;

#[derive(Debug)]
enum Role {
    Looking(Election),
    Following(Follower),
    Leading(Leader),
}

/// One replica of the ensemble.
#[derive(Debug)]
pub struct Replica {
    core: Core,
    role: Role,
    sessions: u64,
}

/// Who learns from a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learning {
    /// Who it is.
    pub id: NodeId,
    /// Whether it is a voter; else it is an observer.
    pub votes: bool,
    /// Whether it has been brought up to date.
    pub synced: bool,
}

impl Replica {
    /// A replica that starts with what it found on its disk. The layer above must already hold
    /// `recovered.snapshot`'s state.
    pub fn new(config: Config, recovered: Recovered, now: Millis) -> Replica {
        let mut core = Core::new(config, recovered, now);
        let election = Election::start(&mut core);
        Replica {
            core,
            role: Role::Looking(election),
            sessions: 0,
        }
    }

    /// Takes one input; what is to be done stands in [`Replica::outputs`] afterwards.
    pub fn step(&mut self, now: Millis, input: Input) {
        self.core.now = self.core.now.max(now);
        match input {
            Input::Tick => self.tick(),
            Input::PeerUp(peer) => self.peer_up(peer),
            Input::PeerDown(peer) => self.peer_down(peer),
            Input::Message { from, message } => self.message(from, message),
            Input::DiskDone { count } => self.disk_done(count),
            Input::LogRead { ticket, entries } => {
                if let Role::Leading(leader) = &mut self.role {
                    leader.log_read(&mut self.core, ticket, entries);
                }
            }
            Input::PieceRead { ticket, piece } => {
                if let Role::Leading(leader) = &mut self.role {
                    leader.piece_read(&mut self.core, ticket, piece);
                }
            }
            Input::SnapshotTaken(snapshot) => self.core.snapshot_taken(snapshot),
            Input::SnapshotSaved { log_start } => {
                self.core.snapshot_saved(log_start);
                if let Role::Leading(leader) = &mut self.role {
                    leader.snapshot_saved(&mut self.core);
                }
            }
            Input::Restored(zxid) => {
                self.core.restored(zxid);
                if let Role::Following(follower) = &mut self.role {
                    follower.restored(&mut self.core);
                }
            }
        }
    }

    /// Takes what is to be done since the last call, in order.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.core.outputs)
    }

    /// Proposes a transaction and returns its zxid; `None` unless this replica leads ([`Status::leads`]).
    pub fn propose(&mut self, now: Millis, txn: Bytes) -> Option<Zxid> {
        self.core.now = self.core.now.max(now);
        if !self.status().leads() {
            return None;
        }
        let Role::Leading(leader) = &mut self.role else {
            return None;
        };
        let zxid = leader.propose(&mut self.core, txn);
        if zxid.is_none() {
            // All zxids of the epoch are used up: the next epoch has new ones.
            self.become_next(Next::Look);
        }
        zxid
    }

    /// Asks a majority whether this replica still leads; answered by [`Output::Confirmed`], or never if it does not.
    /// Does nothing unless this replica leads.
    pub fn confirm(&mut self, now: Millis, token: u64) {
        self.core.now = self.core.now.max(now);
        if !self.status().leads() {
            return;
        }
        if let Role::Leading(leader) = &mut self.role {
            leader.confirm(&mut self.core, token);
        }
    }

    /// Stops leading, if this replica leads: it was away, or is needed no more. Always safe.
    pub fn resign(&mut self, now: Millis) {
        self.core.now = self.core.now.max(now);
        if matches!(self.role, Role::Leading(_)) {
            self.become_next(Next::Look);
        }
    }

    /// Stops following this leader, without waiting for its silence to reach the limit. Always safe.
    pub fn abandon(&mut self, now: Millis, leader: NodeId) {
        self.core.now = self.core.now.max(now);
        if matches!(&self.role, Role::Following(follower) if follower.leader == leader) {
            self.become_next(Next::Look);
        }
    }

    /// The state of the layer above seems not to be what the history makes: this replica serves nobody, does not stand, and waits
    /// for [`Replica::trust`] or [`Replica::renounce`].
    pub fn doubt(&mut self, now: Millis) {
        self.core.now = self.core.now.max(now);
        self.core.doubts = true;
        if !matches!(self.role, Role::Looking(_)) {
            self.become_next(Next::Look);
        }
    }

    /// The state of the layer above is right after all.
    pub fn trust(&mut self, now: Millis) {
        self.core.now = self.core.now.max(now);
        self.core.doubts = false;
    }

    /// The state of the layer above, if it is in doubt, is wrong: a leader's will replace it, and the history with it. Until then this replica's log is
    /// as good as ever, so that its votes and acknowledgements count: what it acknowledged is on its disk.
    pub fn renounce(&mut self, now: Millis) {
        self.core.now = self.core.now.max(now);
        self.core.renounced = self.core.doubts;
    }

    /// Whether this replica may lead. One that may not resigns, and is no candidate; it votes and acknowledges as ever.
    pub fn set_fit(&mut self, now: Millis, fit: bool) {
        self.core.fit = fit;
        if !fit {
            self.resign(now);
        }
    }

    /// Sends a message of the layer above: to the leader if this replica follows, to that follower if it leads.
    /// Dropped when there is no such conversation.
    pub fn send_app(&mut self, to: NodeId, payload: Bytes) {
        let session = match &self.role {
            Role::Following(f) if f.serving() && f.leader == to => f.session,
            Role::Leading(l) if l.status().leads() && l.is_active(to) => l.learners[&to].session,
            _ => return,
        };
        self.core.send(to, Message::App { session, payload });
    }

    /// What this replica is doing.
    pub fn status(&self) -> Status {
        match &self.role {
            Role::Looking(_) => Status::Looking,
            Role::Following(follower) => follower.status(),
            Role::Leading(leader) => leader.status(),
        }
    }

    /// Whose history this replica holds; nothing before it was brought up to date once.
    pub fn ensemble(&self) -> Option<Founding> {
        self.core.ensemble()
    }

    /// Who counts, by this replica's log.
    pub fn view(&self) -> &View {
        self.core.view()
    }

    /// Whether a transaction with this change may be proposed now: [`Replica::propose`] takes no other.
    pub fn can_change(&self, next: &Members) -> Result<(), Refusal> {
        match &self.role {
            Role::Leading(leader) => leader.can_change(&self.core, next),
            _ => Err(Refusal::NotLeading),
        }
    }

    /// Whether this replica is a voter; else it is an observer, or does not belong to the ensemble.
    pub fn is_voter(&self) -> bool {
        self.core.view().votes(self.core.me())
    }

    /// For which learner this part of the log is read: it is to be handed over when the learner can take it.
    pub fn reads_log_for(&self, ticket: Ticket) -> Option<NodeId> {
        match &self.role {
            Role::Leading(leader) => leader.reads_log_for(ticket),
            _ => None,
        }
    }

    /// Those who learn from this replica, if it leads.
    pub fn learners(&self) -> Vec<Learning> {
        let Role::Leading(leader) = &self.role else {
            return Vec::new();
        };
        let learning = |&id: &NodeId| Learning {
            id,
            votes: self.core.view().votes(id),
            synced: leader.is_active(id),
        };
        leader.learners.keys().map(learning).collect()
    }

    /// Whether this learner is to acknowledge what it is sent with this zxid: it votes, and this is a proposal, not the history that
    /// it is brought up to date with.
    pub fn awaits_ack(&self, id: NodeId, zxid: Zxid) -> bool {
        match &self.role {
            Role::Leading(leader) => self.core.view().votes(id) && leader.awaits_ack(id, zxid),
            _ => false,
        }
    }

    /// The last zxid given to the layer above.
    pub fn delivered(&self) -> Zxid {
        self.core.delivered
    }

    /// The last zxid in the log, committed or not.
    pub fn last_logged(&self) -> Zxid {
        self.core.log.last()
    }

    /// The promises, as they are on disk or on their way to it.
    pub fn epochs(&self) -> Epochs {
        self.core.epochs
    }

    fn tick(&mut self) {
        let next = match &mut self.role {
            Role::Looking(election) => election.tick(&mut self.core),
            Role::Following(follower) => follower.tick(&mut self.core),
            Role::Leading(leader) => leader.tick(&mut self.core),
        };
        self.become_next(next);
    }

    fn peer_up(&mut self, peer: NodeId) {
        self.core.peers.set_connected(peer, true);
        if let Role::Looking(election) = &mut self.role {
            election.peer_up(&mut self.core, peer);
        }
    }

    fn peer_down(&mut self, peer: NodeId) {
        self.core.peers.set_connected(peer, false);
        let next = match &mut self.role {
            Role::Looking(election) => {
                election.early.remove(&peer);
                election.review(&mut self.core)
            }
            Role::Following(follower) if follower.leader == peer => Next::Look,
            Role::Following(_) => Next::Stay,
            Role::Leading(leader) => leader.lost(&mut self.core, peer),
        };
        self.become_next(next);
    }

    fn message(&mut self, from: NodeId, message: Message) {
        let next = match message {
            Message::Notification(notification) => self.notified(from, notification),
            Message::ToLeader { session, body } => self.learner_says(from, session, body),
            Message::FromLeader { session, body } => match &mut self.role {
                Role::Following(f) if f.leader == from && f.session == session => {
                    f.leader_says(&mut self.core, body)
                }
                _ => Next::Stay,
            },
            Message::App { session, payload } => {
                self.app_says(from, session, payload);
                Next::Stay
            }
        };
        self.become_next(next);
    }

    fn notified(&mut self, from: NodeId, notification: Notification) -> Next {
        self.core
            .peers
            .hear(self.core.now, from, notification.clone());
        self.core.tell_of_view(&notification.view);
        if let Role::Looking(election) = &mut self.role {
            return election.notified(&mut self.core, from, &notification);
        }
        if notification.standing != Standing::Looking {
            return Next::Stay;
        }
        let (leader, standing, next) = match &self.role {
            Role::Following(follower) => (follower.leader, Standing::Following, Next::Stay),
            Role::Leading(leader) => {
                let next = leader.hears_vote(&self.core, from, &notification);
                (self.core.me(), Standing::Leading, next)
            }
            Role::Looking(_) => unreachable!("answered above"),
        };
        if next != Next::Stay {
            return next;
        }
        let vote = Vote {
            epoch: self.core.epochs.current,
            zxid: self.core.log.last(),
            leader,
        };
        let answer = election::notification(&self.core, vote, standing);
        self.core.send(from, Message::Notification(answer));
        Next::Stay
    }

    fn learner_says(&mut self, from: NodeId, session: u64, body: ToLeader) -> Next {
        match (&mut self.role, body) {
            (Role::Leading(leader), body) => {
                leader.learner_says(&mut self.core, from, session, body)
            }
            (Role::Looking(election), body @ ToLeader::FollowerInfo { .. }) => {
                election.early.insert(from, (session, body));
                Next::Stay
            }
            (Role::Looking(election), ToLeader::Leave) => {
                election
                    .early
                    .retain(|&id, &mut (s, _)| (id, s) != (from, session));
                Next::Stay
            }
            (Role::Following(_), ToLeader::FollowerInfo { .. }) => {
                self.core.tell_learner(from, session, FromLeader::Resign);
                Next::Stay
            }
            _ => Next::Stay,
        }
    }

    fn app_says(&mut self, from: NodeId, session: u64, payload: Bytes) {
        let known = match &self.role {
            Role::Looking(_) => false,
            Role::Following(f) => f.serving() && f.leader == from && f.session == session,
            Role::Leading(l) => {
                l.status().leads() && l.is_active(from) && l.learners[&from].session == session
            }
        };
        if known {
            self.core.out(Output::App { from, payload });
        }
    }

    fn disk_done(&mut self, count: u64) {
        let mut due = self.core.disk_done(count).into_iter().peekable();
        while let Some(then) = due.next() {
            // Acknowledgements are cumulative: of several, only the last need be said.
            if let (super::core::Then::Logged(_), Some(super::core::Then::Logged(_))) =
                (then, due.peek())
            {
                continue;
            }
            let next = match &mut self.role {
                Role::Looking(_) => Next::Stay,
                Role::Following(follower) => {
                    follower.durable(&mut self.core, then);
                    Next::Stay
                }
                Role::Leading(leader) => leader.durable(&mut self.core, then),
            };
            if next != Next::Stay {
                return self.become_next(next);
            }
        }
    }

    /// Changes roles until the new one stays.
    fn become_next(&mut self, mut next: Next) {
        while next != Next::Stay {
            self.core.term += 1;
            next = match next {
                Next::Stay => unreachable!("the loop's condition"),
                Next::Look => self.look(),
                Next::Lead => self.lead(),
                Next::Follow(leader) => self.follow(leader),
            };
        }
    }

    fn look(&mut self) -> Next {
        match &mut self.role {
            Role::Looking(_) => {}
            Role::Following(follower) => follower.leave(&mut self.core),
            Role::Leading(leader) => leader.resign(&mut self.core),
        }
        self.core.out(Output::Status(Status::Looking));
        self.role = Role::Looking(Election::start(&mut self.core));
        Next::Stay
    }

    fn lead(&mut self) -> Next {
        let early = self.take_early();
        let (leader, next) = Leader::start(&mut self.core, early);
        self.role = Role::Leading(leader);
        next
    }

    fn follow(&mut self, leader: NodeId) -> Next {
        for (from, (session, _)) in self.take_early() {
            self.core.tell_learner(from, session, FromLeader::Resign);
        }
        self.sessions += 1;
        let (follower, next) = Follower::start(&mut self.core, leader, self.sessions);
        self.role = Role::Following(follower);
        next
    }

    fn take_early(&mut self) -> BTreeMap<NodeId, (u64, ToLeader)> {
        match &mut self.role {
            Role::Looking(election) => std::mem::take(&mut election.early),
            _ => BTreeMap::new(),
        }
    }
}
