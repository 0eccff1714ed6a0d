//! A shortest cycle of each shape within one strongly connected component.
//!
//! Breadth first over pairs of a transaction and what the shape remembers (how many anti-dependencies so far, and whether the last step was
//! one), from every step that the shape requires, never deeper than the best cycle so far. Work is counted in visited pairs, so that the same history always
//! gets the same answer.
//!
//! **Real time needs one step.** If a cycle has two steps of real time, a before b and c before d, then a precedes d or c precedes b as well
//! (else a ends after d began, and c after b began, so that each of the two began before the other one ended and ended after it
//! began: a contradiction); with that step one half of the cycle closes by itself, out of the same steps. So it is enough to walk along the data from each
//! transaction d to one that completed before d was invoked. Only transactions from which such an early one can be reached are
//! entered: the earliest completion that each one reaches is computed beforehand.

use super::components::{Components, components, components_unless};
use super::graph::{Graph, Hub, NONE, Span, Txn};
use super::kinds::{KINDS, Kind, Rw, Variant, name_of};
use super::relation::Relations;
use crate::limits::Limits;
use crate::verdict::Budget;
use petgraph::Directed;
use petgraph::csr::Csr;
use std::collections::BTreeSet;

/// The adjacency of one component: its members' places, from 0.
type Adjacency = Csr<(), Relations, Directed, u32>;

/// Pairs of one hub within one component that are looked at; beyond, each transaction is linked with a few of the other side.
const MOST_PAIRS: usize = 1 << 22;
const FEW: usize = 16;

/// One step of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: Txn,
    pub(crate) to: Txn,
    pub(crate) relation: Relations,
}

/// A cycle, from its earliest transaction round to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cycle {
    pub(crate) kind: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// How much work is left.
pub(crate) struct Work {
    left: u64,
    limits: Limits,
    /// Pairs visited so far.
    pub(crate) visited: u64,
    /// Whether the deadline passed.
    pub(crate) late: bool,
}

impl Work {
    pub(crate) fn new(budget: &Budget) -> Work {
        Work {
            left: budget.states,
            limits: Limits::of(budget),
            visited: 0,
            late: false,
        }
    }

    fn done(&mut self, pairs: u64) {
        self.left = self.left.saturating_sub(pairs);
        self.visited += pairs;
        self.late |= self.limits.is_late();
    }
}

/// What was found, and which shapes could not be searched to the end.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) cycles: Vec<Cycle>,
    pub(crate) unsearched: BTreeSet<&'static str>,
    /// Cyclic components.
    pub(crate) components: usize,
    /// Transactions of the largest one.
    pub(crate) largest: usize,
}

/// Finds cycles of all shapes in the whole graph: in each cyclic component one of each shape that no worse one found there implies.
pub(crate) fn cycles(graph: &Graph, work: &mut Work) -> Found {
    let mut clock = work.limits.clock();
    let successor = |node, place| graph.successor(node, place);
    let Some(whole) = components_unless(graph.nodes(), successor, || clock.is_late()) else {
        work.late = true;
        return Found::default();
    };
    let cyclic = whole.cyclic(graph.txns() as u32);
    let mut found = Found {
        components: cyclic.len(),
        largest: cyclic.iter().map(Vec::len).max().unwrap_or_default(),
        ..Found::default()
    };
    if cyclic.is_empty() {
        return found;
    }
    let mut places = vec![NONE; graph.txns()];
    let through_hubs = hub_edges(graph, &whole);
    for members in cyclic {
        let component = Component::new(graph, members, &through_hubs, &mut places);
        component.search(work, &mut found);
        if work.late {
            break;
        }
    }
    found
}

/// All pairs of hubs that lie within one component, by their first member.
fn hub_edges(graph: &Graph, whole: &Components) -> Vec<(Txn, Txn)> {
    let mut edges = Vec::new();
    for hub in &graph.hubs {
        pairs_within(hub, &whole.of, &mut edges);
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn pairs_within(hub: &Hub, component: &[u32], edges: &mut Vec<(Txn, Txn)>) {
    let of = |txn: &Txn| component[*txn as usize];
    let (mut before, mut after) = (hub.before.clone(), hub.after.clone());
    before.sort_by_key(of);
    after.sort_by_key(of);
    for readers in before.chunk_by(|one, other| of(one) == of(other)) {
        let same = of(&readers[0]);
        let writers = &after[after.partition_point(|txn| of(txn) < same)..];
        let writers = &writers[..writers.partition_point(|txn| of(txn) == same)];
        let few = match readers.len() * writers.len() > MOST_PAIRS {
            true => FEW,
            false => usize::MAX,
        };
        for (place, reader) in readers.iter().enumerate() {
            let taken = if place < few { usize::MAX } else { few };
            let others = writers
                .iter()
                .take(taken)
                .filter(|writer| *writer != reader);
            edges.extend(others.map(|writer| (*reader, *writer)));
        }
    }
}

struct Component {
    members: Vec<Txn>,
    spans: Vec<Span>,
    adjacency: Adjacency,
}

impl Component {
    /// `places` is all [`NONE`], and is again afterwards.
    fn new(
        graph: &Graph,
        members: Vec<Txn>,
        through_hubs: &[(Txn, Txn)],
        places: &mut [u32],
    ) -> Component {
        for (place, txn) in (0..).zip(&members) {
            places[*txn as usize] = place;
        }
        let mut edges: Vec<(u32, u32, Relations)> = Vec::new();
        for txn in &members {
            let from = places[*txn as usize];
            let hubs = &through_hubs[through_hubs.partition_point(|edge| edge.0 < *txn)..];
            let hubs = hubs.iter().take_while(|edge| edge.0 == *txn);
            let hubs = hubs.map(|edge| (edge.1, Relations::RW));
            let inside = graph.edges(*txn).chain(hubs);
            let inside = inside.filter(|(to, _)| places[*to as usize] != NONE);
            edges.extend(inside.map(|(to, relation)| (from, places[to as usize], relation)));
        }
        edges.sort_unstable_by_key(|edge| (edge.0, edge.1, edge.2.bits()));
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 = kept.2 | next.2;
            }
            same
        });
        members.iter().for_each(|txn| places[*txn as usize] = NONE);
        let mut adjacency = Adjacency::from_sorted_edges(&edges)
            .expect("the edges are sorted and each pair stands once");
        while adjacency.node_count() < members.len() {
            adjacency.add_node(());
        }
        Component {
            spans: members
                .iter()
                .map(|txn| graph.spans[*txn as usize])
                .collect(),
            members,
            adjacency,
        }
    }

    fn len(&self) -> usize {
        self.members.len()
    }

    fn search(&self, work: &mut Work, found: &mut Found) {
        let mut skip: BTreeSet<&'static str> = BTreeSet::new();
        for kind in &KINDS {
            work.done(0);
            if skip.contains(kind.name) || work.late {
                continue;
            }
            // A quarter for each shape leaves something for the last one.
            let mut walk = Walk::new(self, kind, work.left / 4 + 1);
            let best = walk.run(work);
            let exhausted = walk.exhausted;
            match best.and_then(|steps| self.cycle(steps)) {
                Some(cycle) => {
                    skip.extend(super::consistency::all_implied([cycle.kind]));
                    found.cycles.push(cycle);
                }
                None if exhausted => {
                    found.unsearched.insert(kind.name);
                }
                None => {}
            }
        }
    }

    /// The closed walk as a cycle, if it is one that visits nothing twice.
    fn cycle(&self, mut steps: Vec<Step>) -> Option<Cycle> {
        let mut visited: Vec<Txn> = steps.iter().map(|step| step.from).collect();
        visited.sort_unstable();
        if visited.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        merge_processes(&mut steps);
        let earliest = (0..steps.len()).min_by_key(|place| steps[*place].from)?;
        steps.rotate_left(earliest);
        let relations: Vec<Relations> = steps.iter().map(|step| step.relation).collect();
        let kind = name_of(&relations)?;
        let txn = |place: Txn| self.members[place as usize];
        let named = |step: &Step| Step {
            from: txn(step.from),
            to: txn(step.to),
            relation: step.relation,
        };
        Some(Cycle {
            kind,
            steps: steps.iter().map(named).collect(),
        })
    }
}

/// Steps of one process behind each other are one.
fn merge_processes(steps: &mut Vec<Step>) {
    let of_process = |step: &Step| step.relation == Relations::PROCESS;
    if let Some(other) = steps.iter().position(|step| !of_process(step)) {
        steps.rotate_left(other);
    }
    steps.dedup_by(|next, kept| {
        let both = of_process(next) && of_process(kept);
        if both {
            kept.to = next.to;
        }
        both
    });
}

/// What a shape remembers on the way.
type Memory = u32;

/// None so far; one, just now or before; several, just now or before.
const MEMORIES: u32 = 5;
const CLEAN: Memory = 0;
const ONE_NOW: Memory = 1;
const ONE: Memory = 2;
const MANY_NOW: Memory = 3;
const MANY: Memory = 4;

impl Rw {
    /// After one more anti-dependency, if the shape allows it.
    fn after_rw(self, memory: Memory) -> Option<Memory> {
        match (self, memory) {
            (Rw::None, _) => None,
            (_, CLEAN) => Some(ONE_NOW),
            (Rw::One, _) => None,
            (Rw::Apart, ONE_NOW | MANY_NOW) => None,
            (Rw::Apart, _) => Some(MANY_NOW),
            // How many does not matter any more: one memory for all keeps the search small.
            (Rw::Any, _) => Some(ONE_NOW),
        }
    }

    /// After any other step.
    fn after_other(self, memory: Memory) -> Memory {
        match (self, memory) {
            (Rw::Apart, ONE_NOW) => ONE,
            (Rw::Apart, MANY_NOW) => MANY,
            (_, memory) => memory,
        }
    }

    /// Whether a step of real time may close the cycle.
    fn closes(self, memory: Memory) -> bool {
        match self {
            Rw::None => true,
            Rw::One | Rw::Any => memory == ONE_NOW,
            Rw::Apart => memory >= MANY_NOW,
        }
    }

    /// Whether a cycle that began with its required step is complete.
    fn complete(self, memory: Memory) -> bool {
        self != Rw::Apart || matches!(memory, CLEAN | ONE | MANY)
    }
}

struct Walk<'c> {
    component: &'c Component,
    kind: &'c Kind,
    allowance: u64,
    exhausted: bool,
    /// By transaction and memory: the number of the walk that saw it last.
    seen: Vec<u32>,
    /// By transaction and memory: what it was reached from, and how.
    parent: Vec<(u32, Relations)>,
    queue: Vec<u32>,
    walks: u32,
    best: Option<Vec<Step>>,
}

impl<'c> Walk<'c> {
    fn new(component: &'c Component, kind: &'c Kind, allowance: u64) -> Walk<'c> {
        Walk {
            component,
            kind,
            allowance,
            exhausted: false,
            seen: Vec::new(),
            parent: Vec::new(),
            queue: Vec::new(),
            walks: 0,
            best: None,
        }
    }

    fn run(&mut self, work: &mut Work) -> Option<Vec<Step>> {
        match self.kind.variant {
            Variant::Realtime => self.back_in_time(work),
            Variant::Data | Variant::Process => self.around(work),
        }
        self.best.take()
    }

    fn prepare(&mut self) {
        let pairs = self.component.len() * MEMORIES as usize;
        self.seen.resize(pairs, 0);
        self.parent.resize(pairs, (NONE, Relations::NONE));
    }

    /// From each required step back to where it started.
    fn around(&mut self, work: &mut Work) {
        let kind = self.kind;
        // One anti-dependency alone lies between components of the other steps: they tell whether there is a way back at all.
        let free = match kind.rw {
            Rw::None | Rw::One => kind.steps,
            Rw::Apart | Rw::Any => kind.steps | Relations::RW,
        };
        let order = self.component.within(free);
        let starts = self.component.edges().filter(|(from, to, relations)| {
            let (from, to) = (order.of[*from as usize], order.of[*to as usize]);
            relations.has(kind.must) && to >= from && (kind.rw == Rw::One || to == from)
        });
        for (from, to, _) in starts {
            self.prepare();
            let first = match kind.must {
                Relations::RW => ONE_NOW,
                _ => CLEAN,
            };
            let goal = order.of[from as usize];
            let home = |at: u32, memory: Memory| at == from && kind.rw.complete(memory);
            let worthwhile = |at: u32| order.of[at as usize] >= goal;
            if let Some(end) = self.walk((to, first), home, worthwhile, work) {
                let steps = self.steps(end, (from, to, kind.must));
                self.keep(steps);
            }
            if self.is_over(work) {
                return;
            }
        }
    }

    /// From each transaction to one that completed before it was invoked.
    fn back_in_time(&mut self, work: &mut Work) {
        let kind = self.kind;
        let free = match kind.rw {
            Rw::None => kind.steps,
            _ => kind.steps | Relations::RW,
        };
        let earliest = self.component.earliest(free);
        let component = self.component;
        for start in 0..component.len() as u32 {
            let invoked = component.spans[start as usize].invoked;
            if earliest[start as usize] >= invoked {
                continue;
            }
            self.prepare();
            let home = |at: u32, memory: Memory| {
                component.spans[at as usize].completed < invoked && kind.rw.closes(memory)
            };
            let worthwhile = |at: u32| earliest[at as usize] < invoked;
            if let Some(end) = self.walk((start, CLEAN), home, worthwhile, work) {
                let last = (end / MEMORIES, start, Relations::REALTIME);
                let steps = self.steps(end, last);
                self.keep(steps);
            }
            if self.is_over(work) {
                return;
            }
        }
    }

    fn is_over(&mut self, work: &Work) -> bool {
        let shortest = self.best.as_ref().is_some_and(|best| best.len() <= 2);
        self.exhausted |= self.allowance == 0;
        shortest || self.exhausted || work.late
    }

    fn keep(&mut self, steps: Vec<Step>) {
        if self
            .best
            .as_ref()
            .is_none_or(|best| steps.len() < best.len())
        {
            self.best = Some(steps);
        }
    }

    /// The first pair that is home, on a way shorter than that of the best cycle.
    fn walk(
        &mut self,
        start: (u32, Memory),
        home: impl Fn(u32, Memory) -> bool,
        worthwhile: impl Fn(u32) -> bool,
        work: &mut Work,
    ) -> Option<u32> {
        self.walks += 1;
        self.queue.clear();
        let start = start.0 * MEMORIES + start.1;
        self.seen[start as usize] = self.walks;
        self.parent[start as usize] = (NONE, Relations::NONE);
        self.queue.push(start);
        // The way and one closing step must be shorter than the best cycle.
        let longest = self.best.as_ref().map_or(usize::MAX, |best| best.len() - 2);
        let (mut next, mut level_end, mut length) = (0, 1, 0);
        let mut end = None;
        while next < self.queue.len() && length < longest && self.allowance > 0 {
            let pair = self.queue[next];
            next += 1;
            end = self.expand(pair, &home, &worthwhile);
            self.allowance -= 1;
            if next % 4096 == 0 {
                work.done(4096);
                if work.late {
                    break;
                }
            }
            if end.is_some() {
                break;
            }
            if next == level_end {
                level_end = self.queue.len();
                length += 1;
            }
        }
        work.done((next % 4096) as u64);
        end
    }

    fn expand(
        &mut self,
        pair: u32,
        home: &impl Fn(u32, Memory) -> bool,
        worthwhile: &impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let (at, memory) = (pair / MEMORIES, pair % MEMORIES);
        let (steps, rw) = (self.kind.steps, self.kind.rw);
        let adjacency = &self.component.adjacency;
        let edges = adjacency
            .neighbors_slice(at)
            .iter()
            .zip(adjacency.edges_slice(at));
        for (to, relations) in edges {
            if !worthwhile(*to) {
                continue;
            }
            let other = relations.only(steps);
            let plain = (!other.is_none()).then(|| (rw.after_other(memory), other.first()));
            let anti = relations
                .has(Relations::RW)
                .then(|| rw.after_rw(memory))
                .flatten();
            let anti = anti.map(|memory| (memory, Relations::RW));
            for (memory, relation) in plain.into_iter().chain(anti) {
                let reached = to * MEMORIES + memory;
                if self.seen[reached as usize] == self.walks {
                    continue;
                }
                self.seen[reached as usize] = self.walks;
                self.parent[reached as usize] = (pair, relation);
                if home(*to, memory) {
                    return Some(reached);
                }
                self.queue.push(reached);
            }
        }
        None
    }

    /// The way to a pair, and the step that closes it.
    fn steps(&self, end: u32, closing: (u32, u32, Relations)) -> Vec<Step> {
        let mut steps = vec![Step {
            from: closing.0,
            to: closing.1,
            relation: closing.2,
        }];
        let mut pair = end;
        let mut way = Vec::new();
        loop {
            let (parent, relation) = self.parent[pair as usize];
            if parent == NONE {
                break;
            }
            way.push(Step {
                from: parent / MEMORIES,
                to: pair / MEMORIES,
                relation,
            });
            pair = parent;
        }
        steps.extend(way.into_iter().rev());
        steps
    }
}

impl Component {
    fn edges(&self) -> impl Iterator<Item = (u32, u32, Relations)> {
        (0..self.len() as u32).flat_map(|from| {
            let to = self.adjacency.neighbors_slice(from).iter();
            let relations = self.adjacency.edges_slice(from);
            to.zip(relations)
                .map(move |(to, relations)| (from, *to, *relations))
        })
    }

    /// Its own components when only these relations count. Steps that do not count lead nowhere: to the node itself.
    fn within(&self, relations: Relations) -> Components {
        components(self.len(), |node, place| {
            let to = *self.adjacency.neighbors_slice(node).get(place as usize)?;
            let counts = self.adjacency.edges_slice(node)[place as usize].has(relations);
            Some(if counts { to } else { node })
        })
    }

    /// The earliest completion that each member reaches along these relations, its own included.
    fn earliest(&self, relations: Relations) -> Vec<u32> {
        let components = self.within(relations);
        // Whatever a component leads to has a smaller number.
        let mut by_component: Vec<u32> = (0..self.len() as u32).collect();
        by_component.sort_by_key(|member| components.of[*member as usize]);
        let mut earliest = vec![NONE; components.count as usize];
        for member in &by_component {
            let own = components.of[*member as usize] as usize;
            let mut least = earliest[own].min(self.spans[*member as usize].completed);
            let to = self.adjacency.neighbors_slice(*member).iter();
            for (to, step) in to.zip(self.adjacency.edges_slice(*member)) {
                if step.has(relations) {
                    least = least.min(earliest[components.of[*to as usize] as usize]);
                }
            }
            earliest[own] = least;
        }
        components
            .of
            .iter()
            .map(|of| earliest[*of as usize])
            .collect()
    }
}
