//! The edges of causal consistency, in O(n · k) for k chains.
//!
//! Transactions are visited so that all that leads to one comes before it. Each has a vector clock: how much of every chain it
//! knows. A chain is a session, without its indeterminate transactions, which stand on chains of their own; but a session that has ended lends its chain to the next that begins with knowledge of its end,
//! since clients whose operations were lost go on under new processes, and clocks would grow without end. A clock is dropped as
//! soon as nobody needs it. Where there are thousands of chains all the same, it stops rather than take steps in the square.
//!
//! A list shows every element's writer, not only the last one's: a list that has an element shows that it was there. Each
//! prefix of a list is a node of its own, so that this costs no more than the elements.

use super::order::{Edge, Visible, add};
use super::reads::{Facts, INITIAL, Place, Txn, UNSEEN};
use crate::limits::{Limits, Stop};
use crate::txn::input::Shape;

/// The graph of who leads to whom: transactions, then prefixes of lists.
struct Causes {
    starts: Vec<u32>,
    causes: Vec<u32>,
    /// How many nodes each leads to.
    needed: Vec<u32>,
}

impl Causes {
    fn of(facts: &Facts<'_, '_>, base: &[Edge]) -> Causes {
        let txns = facts.len() as u32;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let is_list = facts.txns.shape == Shape::Lists;
        for edge in base {
            let counts = match edge.why {
                super::order::Why::Session => true,
                super::order::Why::Read(_) => !is_list,
                _ => false,
            };
            if counts {
                pairs.push((edge.to, edge.from));
            }
        }
        let mut nodes = txns;
        if is_list {
            // By write, the node of the prefix that ends with it.
            let mut prefix = vec![u32::MAX; facts.rank.len()];
            for order in &facts.orders {
                let mut before = None;
                for place in order
                    .iter()
                    .filter(|place| facts.rank[**place as usize] != UNSEEN)
                {
                    pairs.push((nodes, facts.txns.micros[*place as usize].txn));
                    pairs.extend(before.map(|before| (nodes, before)));
                    before = Some(nodes);
                    prefix[*place as usize] = nodes;
                    nodes += 1;
                }
            }
            for txn in 0..txns {
                for read in facts
                    .reads(txn)
                    .iter()
                    .filter(|read| read.writer != INITIAL)
                {
                    pairs.push((txn, prefix[read.source as usize]));
                }
            }
        }
        Causes::from(nodes as usize, &pairs)
    }

    fn from(nodes: usize, pairs: &[(u32, u32)]) -> Causes {
        let mut starts = vec![0_u32; nodes + 1];
        let mut needed = vec![0_u32; nodes];
        for (node, cause) in pairs {
            starts[*node as usize + 1] += 1;
            needed[*cause as usize] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut causes = vec![0; pairs.len()];
        for (node, cause) in pairs {
            let at = &mut next[*node as usize];
            causes[*at as usize] = *cause;
            *at += 1;
        }
        Causes {
            starts,
            causes,
            needed,
        }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        &self.causes[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    /// All nodes, causes first, as near to their numbers as that allows. The graph has no cycle.
    fn in_order(&self) -> Vec<u32> {
        let nodes = self.needed.len();
        let mut order = Vec::with_capacity(nodes);
        let mut seen = vec![false; nodes];
        let mut path: Vec<(u32, u32)> = Vec::new();
        for node in 0..nodes as u32 {
            if seen[node as usize] {
                continue;
            }
            seen[node as usize] = true;
            path.push((node, 0));
            while let Some((node, at)) = path.last_mut() {
                match self.of_node(*node).get(*at as usize) {
                    Some(cause) => {
                        *at += 1;
                        if !std::mem::replace(&mut seen[*cause as usize], true) {
                            path.push((*cause, 0));
                        }
                    }
                    None => {
                        order.push(*node);
                        path.pop();
                    }
                }
            }
        }
        order
    }
}

/// How much of each chain is known; chains beyond its end: nothing.
type Clock = Vec<u32>;

fn join(clock: &mut Clock, other: &Clock) {
    if clock.len() < other.len() {
        clock.resize(other.len(), 0);
    }
    for (mine, its) in clock.iter_mut().zip(other) {
        *mine = (*mine).max(*its);
    }
}

/// The writes of a key on one chain: place on the chain, transaction, write.
struct OnChain {
    chain: u32,
    writes: Vec<(u32, Txn)>,
}

struct Walk<'f, 't, 'h> {
    facts: &'f Facts<'t, 'h>,
    /// By transaction: its chain and its place there, from 1.
    chain: Vec<(u32, u32)>,
    /// By session: the chain that its next transaction goes on with.
    session: Vec<Option<u32>>,
    /// By session: how many of its complete transactions are to come.
    to_come: Vec<u32>,
    lengths: Vec<u32>,
    ended: Vec<u32>,
    written: Vec<Vec<OnChain>>,
    edges: Vec<Edge>,
    /// Whether any read could have missed a write other than what it shows.
    compared: bool,
    /// How many chains were looked at, in clocks and by reads.
    steps: u64,
}

/// What causal consistency asks for.
pub(super) struct Demands {
    /// Beside those of the base.
    pub(super) edges: Vec<Edge>,
    /// How many chains there are: the length of the clocks.
    pub(super) chains: usize,
    /// Whether any read could have missed a write other than what it shows.
    pub(super) compared: bool,
}

/// So many chains are never too many. With more, each transaction may look at so many in the mean, and all at [`FREE`] beside.
const CHAINS: usize = 4_096;
const FREE: u64 = 1 << 26;

/// How many ended chains a new session looks at.
const LOOKED_AT: usize = 16;

/// Adds the edges of causal consistency. The base must have no cycle.
pub(super) fn causal(
    facts: &Facts<'_, '_>,
    base: &[Edge],
    limits: &Limits,
) -> Result<Demands, Stop> {
    let causes = Causes::of(facts, base);
    let sessions = facts.session.iter().max();
    let sessions = sessions.map_or(0, |most| *most as usize + 1);
    let mut walk = Walk {
        facts,
        chain: vec![(0, 0); facts.len()],
        session: vec![None; sessions],
        to_come: vec![0; sessions],
        lengths: Vec::new(),
        ended: Vec::new(),
        written: (0..facts.txns.keys()).map(|_| Vec::new()).collect(),
        edges: Vec::new(),
        compared: false,
        steps: 0,
    };
    for (txn, session) in (0..).zip(&facts.session) {
        walk.to_come[*session as usize] += u32::from(facts.is_complete(txn));
    }
    let mut needed = causes.needed.clone();
    let mut clocks: Vec<Option<Clock>> = vec![None; needed.len()];
    let mut spare: Vec<Clock> = Vec::new();
    const DURING: &str = "the comparison of what each transaction knows";
    let (mut clock_of_wall, mut held) = (limits.clock(), 0_usize);
    let most = FREE + (CHAINS * needed.len()) as u64;
    for node in causes.in_order() {
        if clock_of_wall.is_late() {
            return Err(Stop::Late(DURING.to_owned()));
        }
        if walk.lengths.len() > CHAINS && walk.steps > most {
            return Err(Stop::Long(DURING.to_owned(), unordered()));
        }
        let is_txn = (node as usize) < facts.len();
        if is_txn && !facts.happened[node as usize] {
            continue;
        }
        let mut clock = spare.pop().unwrap_or_default();
        clock.clear();
        for cause in causes.of_node(node) {
            let known = &mut clocks[*cause as usize];
            join(
                &mut clock,
                known
                    .as_ref()
                    .expect("causes come first, and wait for those that need them"),
            );
            needed[*cause as usize] -= 1;
            if needed[*cause as usize] == 0 {
                let known = known.take();
                held -= known.as_ref().map_or(0, |clock| size_of_val(&clock[..]));
                spare.extend(known);
            }
        }
        if is_txn {
            walk.transaction(node, &mut clock, causes.needed[node as usize] > 0);
        }
        walk.steps += clock.len() as u64;
        match needed[node as usize] {
            0 => spare.push(clock),
            _ => {
                held += size_of_val(&clock[..]);
                limits.room(held, DURING)?;
                clocks[node as usize] = Some(clock);
            }
        }
    }
    Ok(Demands {
        edges: walk.edges,
        chains: walk.lengths.len(),
        compared: walk.compared,
    })
}

fn unordered() -> String {
    format!(
        "more than {CHAINS} transactions, or sessions, were read from that know nothing of each other"
    )
}

impl Walk<'_, '_, '_> {
    /// Whoever leads to nobody needs no place on a chain.
    fn transaction(&mut self, txn: Txn, clock: &mut Clock, leads_on: bool) {
        let facts = self.facts;
        for read in facts.reads(txn) {
            self.steps += self.written[read.key as usize].len() as u64;
            for on_chain in &self.written[read.key as usize] {
                let known = clock.get(on_chain.chain as usize).copied().unwrap_or(0);
                let visible = on_chain
                    .writes
                    .partition_point(|(place, _)| *place <= known);
                // Behind what a transaction appended itself stands nothing: its lists were read without that.
                let mut latest = on_chain.writes[..visible].iter().rev();
                let others = latest.find(|(_, from)| !facts.txns.are_one(*from, txn));
                let Some((place, from)) = others.copied() else {
                    continue;
                };
                self.compared |= from != read.writer;
                // On one chain the order is known.
                let later = read.writer != INITIAL && {
                    let (chain, at) = self.chain[read.writer as usize];
                    chain == on_chain.chain && place <= at
                };
                if !later {
                    add(facts, &mut self.edges, from, read, txn, Visible::Causal);
                }
            }
        }
        if !leads_on {
            return self.last_of_session(txn);
        }
        let (chain, place) = self.place(txn, clock);
        self.chain[txn as usize] = (chain, place);
        if clock.len() <= chain as usize {
            clock.resize(chain as usize + 1, 0);
        }
        clock[chain as usize] = place;
        for write in facts.writes(txn) {
            let key = &mut self.written[write.key as usize];
            match key.iter_mut().find(|on_chain| on_chain.chain == chain) {
                Some(on_chain) => on_chain.writes.push((place, txn)),
                None => key.push(OnChain {
                    chain,
                    writes: vec![(place, txn)],
                }),
            }
        }
    }

    /// The chain of a transaction, and its place there.
    fn place(&mut self, txn: Txn, clock: &Clock) -> (u32, u32) {
        let session = self.facts.session[txn as usize] as usize;
        if !self.facts.is_complete(txn) {
            // Its session goes on without it, and so does the session's chain.
            let before = self.facts.part_before(txn);
            let chain = match before {
                Some(part) => self.chain[part as usize].0,
                None => self.other_chain(clock),
            };
            self.lengths[chain as usize] += 1;
            let goes_on =
                txn + 1 < self.facts.len() as Txn && self.facts.txns.are_one(txn, txn + 1);
            if !goes_on {
                self.ended.push(chain);
            }
            return (chain, self.lengths[chain as usize]);
        }
        let chain = match self.session[session] {
            Some(chain) => chain,
            None => self.other_chain(clock),
        };
        self.session[session] = Some(chain);
        self.lengths[chain as usize] += 1;
        self.to_come[session] -= 1;
        if self.to_come[session] == 0 {
            self.ended.push(chain);
        }
        (chain, self.lengths[chain as usize])
    }

    /// One that has ended, or a new one.
    fn other_chain(&mut self, clock: &Clock) -> u32 {
        self.adopt(clock).unwrap_or_else(|| {
            self.lengths.push(0);
            self.lengths.len() as u32 - 1
        })
    }

    /// Nobody reads from it and its session ends with it: the chain ended before.
    fn last_of_session(&mut self, txn: Txn) {
        if !self.facts.is_complete(txn) {
            let before = self.facts.part_before(txn);
            self.ended
                .extend(before.map(|part| self.chain[part as usize].0));
            return;
        }
        let session = self.facts.session[txn as usize] as usize;
        self.to_come[session] -= 1;
        self.ended.extend(self.session[session]);
    }

    /// A chain that has ended, with an end that is known.
    fn adopt(&mut self, clock: &Clock) -> Option<u32> {
        let latest = self.ended.len().saturating_sub(LOOKED_AT)..self.ended.len();
        let at = latest.rev().find(|at| {
            let chain = self.ended[*at] as usize;
            clock.get(chain).copied().unwrap_or(0) == self.lengths[chain]
        })?;
        Some(self.ended.remove(at))
    }
}

/// A shortest way by which one transaction leads to another: the transactions on it, both ends included.
pub(super) fn way(facts: &Facts<'_, '_>, base: &[Edge], from: Txn, to: Txn) -> Vec<Txn> {
    let causes = Causes::of(facts, base);
    let mut next = vec![u32::MAX; causes.needed.len()];
    let mut queue = std::collections::VecDeque::from([to]);
    next[to as usize] = to;
    while let Some(node) = queue.pop_front() {
        if node == from {
            break;
        }
        for cause in causes.of_node(node) {
            if next[*cause as usize] == u32::MAX {
                next[*cause as usize] = node;
                queue.push_back(*cause);
            }
        }
    }
    if next[from as usize] == u32::MAX {
        return vec![from, to];
    }
    let mut way = vec![from];
    let mut node = from;
    while node != to {
        node = next[node as usize];
        if (node as usize) < facts.len() {
            way.push(node);
        }
    }
    way
}

/// The write of a transaction that a read of another shows, for a sentence.
pub(super) fn shown_by(facts: &Facts<'_, '_>, writer: Txn, reader: Txn) -> Option<Place> {
    facts
        .reads(reader)
        .iter()
        .find(|read| read.writer == writer)
        .map(|read| read.place)
}
