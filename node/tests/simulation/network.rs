//! Connections between nodes: in order or not at all, cut one way or both, broken at any time, seen by each end at its own
//! moment.

use keelhaul_node::zab::Message;
use std::collections::{BTreeMap, VecDeque};

/// What travels on a link.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// "I dial you": the first word of a connection.
    Dial(u64),
    /// The answer to it.
    Accept(u64),
    /// The connection is gone.
    Down(u64),
    /// A message on a connection.
    Message(u64, Box<Message>),
}

/// One direction between two nodes.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) cut: bool,
    pub(crate) queue: VecDeque<Item>,
    /// When the last item of the queue arrives, at the earliest.
    pub(crate) last_arrival: u64,
}

/// All links, and each end's view of its connections.
#[derive(Debug, Default)]
pub(crate) struct Network {
    links: BTreeMap<(usize, usize), Link>,
    connections: BTreeMap<(usize, usize), u64>,
    dialing: BTreeMap<(usize, usize), u64>,
    next: u64,
}

impl Network {
    pub(crate) fn link(&mut self, from: usize, to: usize) -> &mut Link {
        self.links.entry((from, to)).or_default()
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links.get(&(from, to)).is_some_and(|l| l.cut)
    }

    /// The connection to a peer, as this node sees it.
    pub(crate) fn connection(&self, node: usize, peer: usize) -> Option<u64> {
        self.connections.get(&(node, peer)).copied()
    }

    pub(crate) fn connect(&mut self, node: usize, peer: usize, connection: u64) {
        self.connections.insert((node, peer), connection);
    }

    pub(crate) fn disconnect(&mut self, node: usize, peer: usize) -> Option<u64> {
        self.connections.remove(&(node, peer))
    }

    /// Begins a new connection.
    pub(crate) fn dial(&mut self, node: usize, peer: usize) -> u64 {
        self.next += 1;
        self.dialing.insert((node, peer), self.next);
        self.next
    }

    /// Whether this is the connection that the node dialled last.
    pub(crate) fn accepted(&mut self, node: usize, peer: usize, connection: u64) -> bool {
        self.dialing.get(&(node, peer)) == Some(&connection)
    }

    /// The newest connection that anybody dialled.
    pub(crate) fn newest(&self) -> u64 {
        self.next
    }

    /// A node is gone, and with it all that it knew.
    pub(crate) fn forget(&mut self, node: usize) {
        self.dialing.retain(|&(n, _), _| n != node);
    }

    pub(crate) fn heal(&mut self) {
        self.links.values_mut().for_each(|l| l.cut = false);
    }
}
