//! Short cycles among the edges.

use super::reads::INITIAL;
use crate::txn::components::components;
use std::collections::VecDeque;

/// More cycles than this are not reported.
const MOST: usize = 8;
/// From so many transactions of a component a cycle is looked for.
const STARTS: usize = 32;

/// What leads from one node to another; the target may be [`INITIAL`].
pub(super) trait Arrow: Copy {
    /// From where, and where to.
    fn ends(&self) -> (u32, u32);
}

/// A graph of edges, by where they begin.
struct Graph<'e, E> {
    edges: &'e [E],
    starts: Vec<u32>,
    out: Vec<u32>,
}

impl<'e, E: Arrow> Graph<'e, E> {
    fn new(nodes: usize, edges: &'e [E]) -> Graph<'e, E> {
        let mut starts = vec![0_u32; nodes + 1];
        for edge in edges {
            starts[edge.ends().0 as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut out = vec![0; edges.len()];
        for (number, edge) in (0..).zip(edges) {
            let at = &mut next[edge.ends().0 as usize];
            out[*at as usize] = number;
            *at += 1;
        }
        Graph { edges, starts, out }
    }

    fn out(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.out[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    fn edge(&self, number: u32) -> &'e E {
        &self.edges[number as usize]
    }

    /// A shortest cycle through `start` within its component.
    fn through(&self, start: u32, of: &[u32], by: &mut [u32]) -> Option<Vec<E>> {
        let mut queue = VecDeque::from([start]);
        let mut touched = Vec::new();
        let mut closing = None;
        'search: while let Some(node) = queue.pop_front() {
            for number in self.out(node) {
                let to = self.edge(*number).ends().1;
                if to == start {
                    closing = Some(*number);
                    break 'search;
                }
                let inside = to != INITIAL && of[to as usize] == of[start as usize];
                if inside && by[to as usize] == u32::MAX {
                    by[to as usize] = *number;
                    touched.push(to);
                    queue.push_back(to);
                }
            }
        }
        let cycle = closing.map(|last| {
            let mut cycle = vec![*self.edge(last)];
            let mut node = self.edge(last).ends().0;
            while node != start {
                let edge = *self.edge(by[node as usize]);
                node = edge.ends().0;
                cycle.push(edge);
            }
            cycle.reverse();
            cycle
        });
        for node in touched {
            by[node as usize] = u32::MAX;
        }
        cycle
    }
}

/// A short cycle of each component that has one, the components by their first transaction; and how many components have one.
/// An edge to the initial state is a cycle by itself: nothing is before it.
pub(super) fn cycles<E: Arrow>(nodes: usize, edges: &[E]) -> (Vec<Vec<E>>, usize) {
    let impossible: Vec<E> = edges
        .iter()
        .filter(|edge| edge.ends().1 == INITIAL)
        .copied()
        .collect();
    let graph = Graph::new(nodes, edges);
    let components = components(nodes, |node, place| {
        // The initial state leads nowhere: seen as an edge to the node itself it changes no component.
        let number = graph.out(node).get(place as usize)?;
        let to = graph.edge(*number).ends().1;
        Some(if to == INITIAL { node } else { to })
    });
    let cyclic = components.cyclic(nodes as u32);
    let count = impossible.len() + cyclic.len();
    let mut found: Vec<Vec<E>> = impossible
        .into_iter()
        .take(MOST)
        .map(|edge| vec![edge])
        .collect();
    let mut by = vec![u32::MAX; nodes];
    for members in cyclic.iter().take(MOST - found.len()) {
        let mut best: Option<Vec<E>> = None;
        for start in members.iter().take(STARTS) {
            let cycle = graph.through(*start, &components.of, &mut by);
            let is_shorter =
                |best: &Vec<E>| cycle.as_ref().is_some_and(|cycle| cycle.len() < best.len());
            if best.as_ref().is_none_or(is_shorter) {
                best = cycle.or(best);
            }
            if best.as_ref().is_some_and(|best| best.len() == 2) {
                break;
            }
        }
        found.extend(best);
    }
    (found, count)
}
