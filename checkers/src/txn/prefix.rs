//! Prefix consistency: each transaction reads what some beginning of the order of all commits has written.
//!
//! So each transaction has two moments, when its snapshot is taken and when it commits, in this order. Whoever is read from commits
//! before the snapshot (`wr`), whoever is not seen after it (`rw`), and versions follow commits (`ww`). These are all the demands:
//! the model holds exactly if the moments can be put in one order, that is, if the graph of these demands has no cycle. (With `ww` to
//! the snapshot instead it would be snapshot isolation.) It takes time and space linear in the graph.

use super::components::components;
use super::graph::{Graph, NONE, Txn};
use super::relation::Relations;
use super::search::{Cycle, Step};
use std::collections::VecDeque;

/// The name of a cycle that no prefix explains.
pub(crate) const KIND: &str = "prefix-violation";

/// Cycles that are looked for, each in a component of its own.
const MOST: usize = 8;
/// Moments of a component from which a short cycle is looked for.
const STARTS: usize = 32;

/// The moments: snapshots by transaction, then nodes of hubs, then commits by transaction.
struct Moments {
    txns: u32,
    commits: u32,
    starts: Vec<u32>,
    next: Vec<u32>,
}

impl Moments {
    fn of(graph: &Graph) -> Moments {
        let (txns, commits) = (graph.txns() as u32, graph.nodes_of_data());
        let mut pairs: Vec<(u32, u32)> = (0..txns).map(|txn| (txn, commits + txn)).collect();
        for from in 0..commits {
            for (to, relation) in graph.stored(from) {
                let is_txn = to < txns;
                match relation {
                    Relations::RW if is_txn => pairs.push((from, commits + to)),
                    Relations::RW => pairs.push((from, to)),
                    Relations::WR => pairs.push((commits + from, to)),
                    Relations::WW => pairs.push((commits + from, commits + to)),
                    _ => {}
                }
            }
        }
        pairs.sort_unstable();
        let nodes = commits + txns;
        let mut starts = vec![0_u32; nodes as usize + 1];
        for (from, _) in &pairs {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            starts[node + 1] += starts[node];
        }
        Moments {
            txns,
            commits,
            starts,
            next: pairs.into_iter().map(|(_, to)| to).collect(),
        }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn after(&self, moment: u32) -> &[u32] {
        let moment = moment as usize;
        &self.next[self.starts[moment] as usize..self.starts[moment + 1] as usize]
    }

    /// The transaction of a moment, and whether it is its commit; none for a hub's node.
    fn txn(&self, moment: u32) -> Option<(Txn, bool)> {
        match moment.checked_sub(self.commits) {
            Some(txn) => Some((txn, true)),
            None => (moment < self.txns).then_some((moment, false)),
        }
    }

    /// A shortest way from a moment back to it, within its component.
    fn around(&self, start: u32, of: &[u32], from: &mut [u32]) -> Vec<u32> {
        let mut touched = Vec::new();
        let mut queue = VecDeque::from([start]);
        let mut way = Vec::new();
        'search: while let Some(moment) = queue.pop_front() {
            for next in self.after(moment) {
                if *next == start {
                    way.push(moment);
                    break 'search;
                }
                if of[*next as usize] == of[start as usize] && from[*next as usize] == NONE {
                    from[*next as usize] = moment;
                    touched.push(*next);
                    queue.push_back(*next);
                }
            }
        }
        while let Some(last) = way.last().filter(|last| **last != start) {
            way.push(from[*last as usize]);
        }
        way.reverse();
        touched
            .into_iter()
            .for_each(|moment| from[moment as usize] = NONE);
        way
    }

    /// A closed way as steps between transactions.
    fn steps(&self, way: &[u32]) -> Vec<Step> {
        let moments: Vec<(Txn, bool)> = way.iter().filter_map(|one| self.txn(*one)).collect();
        let follows = moments.iter().cycle().skip(1);
        let pairs = moments.iter().zip(follows);
        let pairs = pairs.filter(|((from, _), (to, _))| from != to);
        let steps = pairs.map(|((from, committed), (to, commits))| Step {
            from: *from,
            to: *to,
            relation: match (committed, commits) {
                (false, _) => Relations::RW,
                (true, false) => Relations::WR,
                (true, true) => Relations::WW,
            },
        });
        steps.collect()
    }
}

/// Short cycles that no prefix explains; those without any `rw` have other names, and are left out.
pub(crate) fn violations(graph: &Graph) -> Vec<Cycle> {
    let moments = Moments::of(graph);
    let components = components(moments.len(), |moment, place| {
        moments.after(moment).get(place as usize).copied()
    });
    let mut from = vec![NONE; moments.len()];
    let mut cycles = Vec::new();
    for members in components
        .cyclic(moments.len() as u32)
        .into_iter()
        .take(MOST)
    {
        let starts = members.iter().filter(|one| moments.txn(**one).is_some());
        let ways = starts
            .take(STARTS)
            .map(|start| moments.around(*start, &components.of, &mut from));
        let best = ways
            .map(|way| moments.steps(&way))
            .filter(|steps| steps.iter().any(|step| step.relation == Relations::RW))
            .min_by_key(Vec::len);
        let Some(mut steps) = best else {
            continue;
        };
        let earliest = (0..steps.len()).min_by_key(|place| steps[*place].from);
        steps.rotate_left(earliest.unwrap_or_default());
        cycles.push(Cycle { kind: KIND, steps });
    }
    cycles
}
