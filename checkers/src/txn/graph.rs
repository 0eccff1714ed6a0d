//! The graph of all transactions: who precedes whom, and why.
//!
//! Edges of the data and of processes lie in compressed rows, four bytes each. Two things are not stored edge by edge, as they
//! would be quadratic:
//!
//! - **real time**. Every completion is a *barrier*: a transaction leads to the barrier of its completion, a barrier to the next one and
//!   to the transactions that were invoked between the two. Transactions are numbered by their invocation, so that these are a
//!   range, and nothing is stored but two numbers for each completion;
//! - **everyone in a group reads before everyone in another one installs** ([`Hub`]), as with many readers of an initial state
//!   that many overwrite in unknown order.

use super::relation::Relations;

/// A transaction, numbered by its invocation.
pub(crate) type Txn = u32;

/// No line, no transaction, no such thing.
pub(crate) const NONE: u32 = u32::MAX;

/// A transaction that precedes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: Txn,
    pub(crate) to: Txn,
    pub(crate) relation: Relations,
}

/// Each of `before` precedes each of `after` by `rw`, itself excepted. Both sorted, without repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hub {
    pub(crate) before: Vec<Txn>,
    pub(crate) after: Vec<Txn>,
}

impl Hub {
    /// As edges where that is cheaper.
    pub(crate) fn expand(self, edges: &mut Vec<Edge>) -> Option<Hub> {
        let pairs = self.before.len() * self.after.len();
        if pairs > 4 * (self.before.len() + self.after.len()) {
            return Some(self);
        }
        for from in &self.before {
            let others = self.after.iter().filter(|to| *to != from);
            edges.extend(others.map(|to| Edge {
                from: *from,
                to: *to,
                relation: Relations::RW,
            }));
        }
        None
    }
}

/// When a transaction was invoked and completed, as lines of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) invoked: u32,
    /// [`NONE`] unless it is known to have completed: then it precedes nothing.
    pub(crate) completed: u32,
}

/// Compressed rows: the successors of each node, with the relation in the lowest bits.
#[derive(Debug, Default)]
struct Rows {
    starts: Vec<u32>,
    successors: Vec<u32>,
}

const RELATION_BITS: u32 = 2;

/// The relations that are stored, by their code.
const STORED: [Relations; 4] = [
    Relations::WW,
    Relations::WR,
    Relations::RW,
    Relations::PROCESS,
];

fn code(relation: Relations) -> u32 {
    let place = STORED.iter().position(|stored| *stored == relation);
    place.expect("only relations between two given transactions are stored") as u32
}

impl Rows {
    fn new(nodes: usize, edges: &[Edge]) -> Rows {
        assert!(nodes < 1 << (32 - RELATION_BITS), "fewer than 2^30 nodes");
        let mut starts = vec![0_u32; nodes + 1];
        for edge in edges {
            starts[edge.from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut successors = vec![0; edges.len()];
        for edge in edges {
            let place = &mut next[edge.from as usize];
            successors[*place as usize] = edge.to << RELATION_BITS | code(edge.relation);
            *place += 1;
        }
        Rows { starts, successors }
    }

    fn of(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.successors[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// The order of real time, as barriers.
#[derive(Debug, Default)]
struct Barriers {
    /// For each transaction the barrier of its completion, or [`NONE`].
    of: Vec<u32>,
    /// For each barrier the first transaction that was invoked after it; one more at the end.
    starts: Vec<Txn>,
}

impl Barriers {
    fn new(spans: &[Span]) -> Barriers {
        let mut completions: Vec<(u32, Txn)> = (0..)
            .zip(spans)
            .filter(|(_, span)| span.completed != NONE)
            .map(|(txn, span)| (span.completed, txn))
            .collect();
        completions.sort_unstable();
        let mut of = vec![NONE; spans.len()];
        let mut starts = Vec::with_capacity(completions.len() + 1);
        let mut next = 0;
        for (barrier, (line, txn)) in (0..).zip(&completions) {
            of[*txn as usize] = barrier;
            while spans.get(next).is_some_and(|span| span.invoked < *line) {
                next += 1;
            }
            starts.push(next as Txn);
        }
        starts.push(spans.len() as Txn);
        Barriers { of, starts }
    }

    fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}

/// The graph. Its nodes are transactions first, then nodes of hubs, then barriers.
pub(crate) struct Graph {
    pub(crate) spans: Vec<Span>,
    rows: Rows,
    barriers: Barriers,
    first_barrier: u32,
    pub(crate) hubs: Vec<Hub>,
    /// Edges by [`Relations::EACH`]'s first four, hubs counted by their pairs.
    pub(crate) counts: [u64; 4],
}

impl Graph {
    /// `spans` by transaction, sorted by invocation. With `realtime`, whatever completed before another one was invoked precedes
    /// it.
    pub(crate) fn new(
        spans: Vec<Span>,
        mut edges: Vec<Edge>,
        hubs: Vec<Hub>,
        realtime: bool,
    ) -> Graph {
        assert!(spans.is_sorted_by_key(|span| span.invoked));
        let mut counts = [0; 4];
        for edge in &edges {
            assert!(edge.from != edge.to, "no transaction precedes itself");
            counts[code(edge.relation) as usize] += 1;
        }
        let mut nodes = spans.len() as u32;
        for hub in &hubs {
            counts[code(Relations::RW) as usize] += (hub.before.len() * hub.after.len()) as u64;
            spread(hub, &mut nodes, &mut edges);
        }
        let barriers = match realtime {
            true => Barriers::new(&spans),
            false => Barriers::default(),
        };
        Graph {
            rows: Rows::new(nodes as usize, &edges),
            barriers,
            first_barrier: nodes,
            spans,
            hubs,
            counts,
        }
    }

    /// How many nodes there are of all sorts.
    pub(crate) fn nodes(&self) -> usize {
        self.first_barrier as usize + self.barriers.len()
    }

    /// How many of them are transactions.
    pub(crate) fn txns(&self) -> usize {
        self.spans.len()
    }

    /// Whether nothing precedes anything.
    pub(crate) fn is_empty(&self) -> bool {
        let orders_something = |barrier: &Txn| (*barrier as usize) < self.txns();
        self.rows.successors.is_empty() && !self.barriers.starts.iter().any(orders_something)
    }

    /// The stored edges of a transaction to others (those through hubs excepted).
    pub(crate) fn edges(&self, txn: Txn) -> impl Iterator<Item = (Txn, Relations)> {
        let txns = self.txns() as u32;
        self.stored(txn).filter(move |(to, _)| *to < txns)
    }

    /// How many nodes there are without those of real time.
    pub(crate) fn nodes_of_data(&self) -> u32 {
        self.first_barrier
    }

    /// All stored edges of a transaction or of a hub's node, to transactions and hubs' nodes.
    pub(crate) fn stored(&self, node: u32) -> impl Iterator<Item = (u32, Relations)> {
        let edges = self.rows.of(node).iter();
        edges.map(|edge| (edge >> RELATION_BITS, STORED[(edge & 3) as usize]))
    }

    /// The successor of any node at a place, counted from 0; none behind the last.
    pub(crate) fn successor(&self, node: u32, place: u32) -> Option<u32> {
        if node >= self.first_barrier {
            return self.behind_barrier(node - self.first_barrier, place);
        }
        let stored = self.rows.of(node);
        if let Some(edge) = stored.get(place as usize) {
            return Some(edge >> RELATION_BITS);
        }
        let barrier = *self.barriers.of.get(node as usize)?;
        let is_next = place as usize == stored.len() && barrier != NONE;
        is_next.then(|| self.first_barrier + barrier)
    }

    fn behind_barrier(&self, barrier: u32, place: u32) -> Option<u32> {
        let starts = &self.barriers.starts[barrier as usize..];
        let between = starts[1] - starts[0];
        if place < between {
            return Some(starts[0] + place);
        }
        let has_next = place == between && (barrier as usize + 1) < self.barriers.len();
        has_next.then(|| self.first_barrier + barrier + 1)
    }
}

/// Nodes and edges for a hub. Whoever is only in `before` needs one node that leads to all of `after`; whoever is in both must not
/// reach itself, and uses one that leads to all in front of it and one that leads to all behind it.
fn spread(hub: &Hub, nodes: &mut u32, edges: &mut Vec<Edge>) {
    let Some(last) = hub.after.len().checked_sub(1).map(|last| last as u32) else {
        return;
    };
    let (forward, backward) = (*nodes, *nodes + last + 1);
    *nodes += 2 * (last + 1);
    let mut link = |from, to| {
        edges.push(Edge {
            from,
            to,
            relation: Relations::RW,
        });
    };
    for (place, txn) in (0..).zip(&hub.after) {
        link(forward + place, *txn);
        link(backward + place, *txn);
        if place < last {
            link(forward + place, forward + place + 1);
            link(backward + place + 1, backward + place);
        }
    }
    for txn in &hub.before {
        match hub.after.binary_search(txn) {
            Err(_) => link(*txn, forward),
            Ok(place) => {
                let place = place as u32;
                if place > 0 {
                    link(*txn, backward + place - 1);
                }
                if place < last {
                    link(*txn, forward + place + 1);
                }
            }
        }
    }
}
