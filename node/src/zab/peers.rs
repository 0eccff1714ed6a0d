//! Who can be heard, and who hears us.
//!
//! A candidate that some cannot hear, or that cannot hear a majority, must not be elected: it would win the vote, fail
//! as a leader, and win again. So every notification says whom its sender hears, and only a candidate that hears
//! us, whom we hear, and that has such a tie with a majority is eligible. This keeps one-way and partial partitions
//! from blocking a majority that is connected. It serves liveness alone: safety rests on epochs and quorums.

use super::message::{Notification, Standing};
use super::types::{Millis, NodeId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Peer {
    connected: bool,
    heard: Option<(Millis, Notification)>,
}

#[derive(Debug)]
pub(super) struct Peers {
    me: NodeId,
    peers: BTreeMap<NodeId, Peer>,
    /// A notification older than this says nothing any more, in milliseconds.
    memory: u64,
}

impl Peers {
    pub(super) fn new(me: NodeId, memory: u64) -> Peers {
        let peers = BTreeMap::new();
        Peers { me, peers, memory }
    }

    /// Whoever connects is a peer, whether it belongs to the ensemble (yet) or not.
    pub(super) fn set_connected(&mut self, peer: NodeId, connected: bool) {
        let heard = None;
        self.peers.insert(peer, Peer { connected, heard });
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = NodeId> {
        self.peers
            .iter()
            .filter(|(_, p)| p.connected)
            .map(|(&id, _)| id)
    }

    pub(super) fn is_connected(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(|p| p.connected)
    }

    pub(super) fn hear(&mut self, now: Millis, from: NodeId, notification: Notification) {
        if let Some(p) = self.peers.get_mut(&from) {
            p.heard = Some((now, notification));
        }
    }

    /// Forgets who said that it led or followed: whoever looks anew must hear it anew.
    pub(super) fn forget_settled(&mut self) {
        for peer in self.peers.values_mut() {
            peer.heard.take_if(|(_, n)| n.standing != Standing::Looking);
        }
    }

    /// What each peer said last, if that was lately.
    pub(super) fn heard(&self, now: Millis) -> impl Iterator<Item = (NodeId, &Notification)> {
        let fresh = move |at: Millis| now.since(at) <= self.memory;
        self.peers
            .iter()
            .filter_map(move |(&id, p)| match &p.heard {
                Some((at, n)) if fresh(*at) => Some((id, n)),
                _ => None,
            })
    }

    pub(super) fn hears(&self, now: Millis) -> BTreeSet<NodeId> {
        self.heard(now).map(|(id, _)| id).collect()
    }

    /// The peers that we hear and that say that they hear us.
    pub(super) fn mutual(&self, now: Millis) -> BTreeSet<NodeId> {
        self.heard(now)
            .filter(|(_, n)| n.hears.contains(&self.me))
            .map(|(id, _)| id)
            .collect()
    }
}
