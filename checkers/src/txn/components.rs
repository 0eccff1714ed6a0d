//! Strongly connected components, without recursion.
//!
//! petgraph's `tarjan_scc` recurses, so that a chain of a million transactions would overflow a stack; its `kosaraju_scc` does not,
//! but walks the graph twice, once against its edges, which the graph of all transactions would have to store for that: its real-time
//! order is not stored at all. Hence Tarjan's algorithm here, in Pearce's form with one number for each node, over any graph that can
//! tell a node's successor at a place. The tests hold it against petgraph's.

/// Marks a node that was not visited.
const UNSEEN: u32 = 0;

/// The components of a graph with `nodes` nodes. `successor(node, place)` tells the node's successor at a place counted from 0, and none behind the
/// last. Returns for each node the number of its component. Numbers are in reverse topological order: an edge between two components
/// leads to the smaller number.
pub(crate) fn components(nodes: usize, successor: impl Fn(u32, u32) -> Option<u32>) -> Components {
    components_unless(nodes, successor, || false).expect("nothing stops it")
}

/// The same; none if it was stopped: that is asked at every step.
pub(crate) fn components_unless(
    nodes: usize,
    successor: impl Fn(u32, u32) -> Option<u32>,
    mut stop: impl FnMut() -> bool,
) -> Option<Components> {
    let mut walk = Walk {
        rank: vec![UNSEEN; nodes],
        path: Vec::new(),
        waiting: Vec::new(),
        seen: 1,
        last: nodes as u32,
    };
    for node in 0..nodes as u32 {
        if walk.rank[node as usize] == UNSEEN && !walk.from(node, &successor, &mut stop) {
            return None;
        }
    }
    // Components were numbered from the highest possible number down.
    let highest = nodes as u32;
    let mut of = walk.rank;
    of.iter_mut().for_each(|number| *number = highest - *number);
    Some(Components {
        count: highest - walk.last,
        of,
    })
}

/// Which component each node belongs to.
pub(crate) struct Components {
    /// How many there are.
    pub(crate) count: u32,
    /// By node.
    pub(crate) of: Vec<u32>,
}

impl Components {
    /// The members of each component that has more than one, the members in ascending order, the components by their least member.
    /// Nodes from `first_ignored` on are not listed, but count.
    pub(crate) fn cyclic(&self, first_ignored: u32) -> Vec<Vec<u32>> {
        let mut sizes = vec![0_u32; self.count as usize];
        self.of.iter().for_each(|of| sizes[*of as usize] += 1);
        if sizes.iter().all(|size| *size < 2) {
            return Vec::new();
        }
        let mut place = vec![u32::MAX; self.count as usize];
        let mut found: Vec<Vec<u32>> = Vec::new();
        for (node, of) in (0..first_ignored).zip(&self.of) {
            let of = *of as usize;
            if sizes[of] < 2 {
                continue;
            }
            if place[of] == u32::MAX {
                place[of] = found.len() as u32;
                found.push(Vec::new());
            }
            found[place[of] as usize].push(node);
        }
        found
    }
}

struct Walk {
    /// Order of visit while a node is on the path or waiting; the component's number, from the highest possible one down, afterwards.
    rank: Vec<u32>,
    /// The path from the start: node, next place to look at, and whether it is still the root of its component.
    path: Vec<(u32, u32, bool)>,
    /// Visited nodes whose component is not complete.
    waiting: Vec<u32>,
    seen: u32,
    last: u32,
}

impl Walk {
    fn enter(&mut self, node: u32) {
        self.rank[node as usize] = self.seen;
        self.seen += 1;
        self.path.push((node, 0, true));
    }

    /// Whether it came to its end.
    fn from(
        &mut self,
        start: u32,
        successor: &impl Fn(u32, u32) -> Option<u32>,
        stop: &mut impl FnMut() -> bool,
    ) -> bool {
        self.enter(start);
        while let Some(top) = self.path.last_mut() {
            if stop() {
                return false;
            }
            let (node, place) = (top.0, top.1);
            top.1 += 1;
            match successor(node, place) {
                Some(next) if self.rank[next as usize] == UNSEEN => self.enter(next),
                Some(next) => self.lower(node, next),
                None => self.leave(),
            }
        }
        true
    }

    /// The node on top of the path reaches as low as this one.
    fn lower(&mut self, node: u32, other: u32) {
        let reached = self.rank[other as usize];
        if reached < self.rank[node as usize] {
            self.rank[node as usize] = reached;
            if let Some(top) = self.path.last_mut() {
                top.2 = false;
            }
        }
    }

    fn leave(&mut self) {
        let Some((node, _, root)) = self.path.pop() else {
            return;
        };
        if root {
            self.complete(node);
        } else {
            self.waiting.push(node);
        }
        if let Some((parent, ..)) = self.path.last() {
            self.lower(*parent, node);
        }
    }

    /// All that wait and reach no lower than the root belong to its component. Numbers of components stay above all ranks of unfinished
    /// nodes: as many nodes were given up as numbers were used.
    fn complete(&mut self, root: u32) {
        let rank = self.rank[root as usize];
        self.seen -= 1;
        while let Some(node) = self
            .waiting
            .pop_if(|node| self.rank[*node as usize] >= rank)
        {
            self.rank[node as usize] = self.last;
            self.seen -= 1;
        }
        self.rank[root as usize] = self.last;
        self.last -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petgraph::graph::DiGraph;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn of_edges(nodes: usize, edges: &[(u32, u32)]) -> Components {
        components(nodes, |node, place| {
            let mut own = edges.iter().filter(|edge| edge.0 == node);
            own.nth(place as usize).map(|edge| edge.1)
        })
    }

    #[test]
    fn the_same_components_as_petgraph_finds() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut cyclic = 0;
        for _ in 0..20_000 {
            let nodes = rng.random_range(1..12_usize);
            let count = rng.random_range(0..2 * nodes);
            let node = |rng: &mut ChaCha8Rng| rng.random_range(0..nodes as u32);
            let edges: Vec<(u32, u32)> = (0..count)
                .map(|_| (node(&mut rng), node(&mut rng)))
                .collect();
            let mut graph = DiGraph::<(), (), u32>::default();
            for _ in 0..nodes {
                graph.add_node(());
            }
            graph.extend_with_edges(&edges);
            let mut expected: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
                .into_iter()
                .filter(|component| component.len() > 1)
                .map(|component| component.iter().map(|node| node.index() as u32).collect())
                .collect();
            expected
                .iter_mut()
                .for_each(|component| component.sort_unstable());
            expected.sort_unstable();
            let found = of_edges(nodes, &edges);
            assert_eq!(found.cyclic(nodes as u32), expected, "{edges:?}");
            for (from, to) in &edges {
                assert!(
                    found.of[*from as usize] >= found.of[*to as usize],
                    "{edges:?}"
                );
            }
            cyclic += usize::from(!expected.is_empty());
        }
        assert!(cyclic > 5_000, "{cyclic}");
    }

    #[test]
    fn a_chain_of_a_million_and_a_ring_of_a_million_overflow_no_stack() {
        const LONG: u32 = 1_000_000;
        let chain = components(LONG as usize, |node, place| {
            (place == 0 && node + 1 < LONG).then_some(node + 1)
        });
        assert_eq!(chain.count, LONG);
        let ring = components(LONG as usize, |node, place| {
            (place == 0).then_some((node + 1) % LONG)
        });
        assert_eq!(ring.count, 1);
        assert_eq!(ring.cyclic(LONG)[0].len(), LONG as usize);
    }
}
