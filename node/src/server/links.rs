//! The other members: their connections as they come and go, and what servers tell each other about their clients.

use super::engine::Engine;
use super::event::ConnectionId;
use super::forward::{Downward, Envelope, Upward};
use super::peer::PeerLink;
use crate::txn::Incarnation;
use crate::warn::Observation;
use crate::zab::{Input, Message, NodeId, Status, ToLeader, Zxid};

/// Data in forwarded requests, in bytes, beyond which a message is closed and the next begun.
const ENVELOPE: usize = 1 << 20;

/// Bytes that may wait for a learner while more of the log is handed over for it.
const AHEAD: usize = 1 << 20;

impl Engine {
    pub(super) fn peer_up(&mut self, peer: NodeId, link: PeerLink) {
        if self.is_of_another_ensemble(&link) {
            // This server has got its history since they greeted.
            return;
        }
        if let Some(before) = self.peers.get(&peer) {
            // What was delayed on its way must not replace what came later. If both have dialled, the connection stays that
            // was dialled by the one with the greater id: both ends choose the same.
            let older = (before.in_order, before.dial) > (link.in_order, link.dial);
            if before.incarnation == link.incarnation && older {
                return;
            }
            self.peer_lost(peer);
        }
        tracing::info!(peer = peer.0, "connected");
        self.peers.insert(peer, link);
        let knows_us = !self.may_be_unknown();
        self.lookout.observe(Observation::PeerUp { peer, knows_us });
        self.choose_dials();
        self.step(Input::PeerUp(peer));
    }

    pub(super) fn peer_said(&mut self, peer: NodeId, id: ConnectionId, messages: Vec<Message>) {
        for message in messages {
            // Each may break the connection.
            if self.peers.get(&peer).is_none_or(|link| link.id != id) {
                return;
            }
            self.passing.received(peer, &message, self.at);
            if let Some(zxid) = acknowledged(&message) {
                self.lookout
                    .observe(Observation::Acked { from: peer, zxid });
            }
            self.step(Input::Message {
                from: peer,
                message,
            });
            if let Err(error) = self.carry_out() {
                self.stopped = Some(error);
                return;
            }
        }
    }

    pub(super) fn peer_gone(&mut self, peer: NodeId, id: ConnectionId) {
        if self.peers.get(&peer).is_some_and(|link| link.id == id) {
            self.peer_lost(peer);
        }
    }

    /// Breaks the connection, if there is one, and says so to the replica.
    pub(super) fn peer_lost(&mut self, peer: NodeId) {
        if self.peers.remove(&peer).is_some() {
            tracing::info!(peer = peer.0, "disconnected");
            self.lookout.observe(Observation::PeerDown(peer));
            self.choose_dials();
            self.step(Input::PeerDown(peer));
        }
    }

    /// Asks the leader, which may be this server.
    pub(super) fn submit(&mut self, question: Upward) {
        match self.status {
            Status::Leading { serving: true, .. } => {
                self.lead(self.config.id, self.incarnation, question)
            }
            Status::Following { serving: true, .. } => self.upward.push(question),
            _ => {}
        }
    }

    /// Answers a server, which may be this one.
    pub(super) fn reply(&mut self, to: NodeId, incarnation: Incarnation, answer: Downward) {
        if to == self.config.id {
            self.told(answer);
        } else {
            self.downward
                .entry((to, incarnation))
                .or_default()
                .push(answer);
        }
    }

    fn told(&mut self, answer: Downward) {
        match answer {
            Downward::Synced { number, zxid } => self.synced(number, zxid),
            Downward::Revalidated { number, timeout_ms } => self.revalidated(number, timeout_ms),
        }
    }

    pub(super) fn app(&mut self, from: NodeId, payload: &[u8]) {
        match Envelope::decode(payload) {
            Ok(Envelope::Up(incarnation, questions)) if self.leader.is_some() => {
                for question in questions {
                    self.lead(from, incarnation, question);
                }
            }
            Ok(Envelope::Down(incarnation, answers)) if incarnation == self.incarnation => {
                for answer in answers {
                    self.told(answer);
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(peer = from.0, %error, "its message makes no sense: disconnecting");
                self.peer_lost(from);
            }
        }
    }

    pub(super) fn send_messages(&mut self) {
        if let Status::Following {
            leader,
            serving: true,
            ..
        } = self.status
        {
            let mut questions = std::mem::take(&mut self.upward).into_iter().peekable();
            while questions.peek().is_some() {
                let mut bytes = 0;
                let mut batch = Vec::new();
                while let Some(question) = questions.next_if(|_| bytes < ENVELOPE) {
                    bytes += question.size();
                    batch.push(question);
                }
                self.replica
                    .send_app(leader, Envelope::Up(self.incarnation, batch).encode());
            }
        }
        for ((to, incarnation), answers) in std::mem::take(&mut self.downward) {
            self.replica
                .send_app(to, Envelope::Down(incarnation, answers).encode());
        }
    }

    /// Gives the replica what was read from the log, but for learners whose connections have enough to carry: what is behind by
    /// gigabytes must not wait in memory, nor in front of heartbeats.
    pub(super) fn hand_over_reads(&mut self) {
        for read in std::mem::take(&mut self.reads) {
            let learner = self.replica.reads_log_for(read.ticket);
            let link = learner.and_then(|id| self.peers.get(&id));
            match link.is_some_and(|link| link.queued() > AHEAD) {
                true => self.reads.push(read),
                false => self.step(Input::LogRead {
                    ticket: read.ticket,
                    entries: read.entries,
                }),
            }
        }
    }

    pub(super) fn flush_peers(&mut self) {
        let (now, silence) = (self.now, self.config.timing.sync_limit_ms / 4);
        let limit = self.config.limits.peer_queue_bytes;
        let full = |(id, link): (&NodeId, &mut PeerLink)| {
            (!link.flush(now, silence, limit)).then_some(*id)
        };
        let full: Vec<NodeId> = self.peers.iter_mut().filter_map(full).collect();
        for peer in full {
            tracing::warn!(peer = peer.0, limit, "too much waits for it: disconnecting");
            self.peer_lost(peer);
        }
    }
}

/// What a follower acknowledges.
fn acknowledged(message: &Message) -> Option<Zxid> {
    match message {
        Message::ToLeader {
            body: ToLeader::Ack { zxid },
            ..
        } => Some(*zxid),
        _ => None,
    }
}
