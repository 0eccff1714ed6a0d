//! A tree of znodes that is cheap to keep in many versions: what did not change is shared.
//!
//! A trie over the paths' numbers, eight ways at each level, so as deep as the logarithm of their count. Every block knows the
//! hash of what is below it: two versions that differ are told apart at their roots, two that share a block agree on it.

use super::super::call::PathId;
use super::super::tree::Node;
use rustc_hash::FxBuildHasher;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Three bits of a path's number choose the way at each level.
const BITS: u32 = 3;
const WAYS: usize = 1 << BITS;

/// A znode with its hash.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) node: Node,
    hash: u64,
}

impl Held {
    pub(super) fn new(node: Node) -> Arc<Held> {
        let hash = FxBuildHasher.hash_one(node);
        Arc::new(Held { node, hash })
    }
}

#[derive(Debug, Clone, Default)]
enum Way {
    #[default]
    Nothing,
    Block(Arc<Block>),
    Znode(Arc<Held>),
}

impl Way {
    fn hash(&self) -> u64 {
        match self {
            Way::Nothing => 0,
            Way::Block(block) => block.hash,
            Way::Znode(held) => held.hash | 1,
        }
    }

    fn same(&self, other: &Way) -> bool {
        match (self, other) {
            (Way::Nothing, Way::Nothing) => true,
            (Way::Znode(one), Way::Znode(other)) => {
                Arc::ptr_eq(one, other) || (one.hash == other.hash && one.node == other.node)
            }
            (Way::Block(one), Way::Block(other)) => {
                let ways = || one.ways.iter().zip(&other.ways);
                Arc::ptr_eq(one, other)
                    || (one.hash == other.hash && ways().all(|(one, other)| one.same(other)))
            }
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
struct Block {
    ways: [Way; WAYS],
    hash: u64,
}

/// One version of the tree.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    root: Way,
    levels: u32,
}

impl PartialEq for Trie {
    fn eq(&self, other: &Trie) -> bool {
        self.root.same(&other.root)
    }
}

impl Eq for Trie {}

impl Hash for Trie {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.root.hash());
    }
}

fn way(path: PathId, level: u32) -> usize {
    (path.0 >> (level * BITS)) as usize & (WAYS - 1)
}

impl Trie {
    /// An empty tree for so many paths.
    pub(super) fn new(paths: usize) -> Trie {
        let mut levels = 1;
        while paths > 1 << (levels * BITS) {
            levels += 1;
        }
        Trie {
            root: Way::Nothing,
            levels,
        }
    }

    pub(super) fn get(&self, path: PathId) -> Option<&Arc<Held>> {
        let mut at = &self.root;
        for level in (0..self.levels).rev() {
            match at {
                Way::Block(block) => at = &block.ways[way(path, level)],
                _ => return None,
            }
        }
        match at {
            Way::Znode(held) => Some(held),
            _ => None,
        }
    }

    pub(super) fn put(&mut self, path: PathId, held: Option<Arc<Held>>) {
        self.root = put(&self.root, self.levels, path, held);
    }

    /// All znodes, by the paths' numbers.
    pub(super) fn all(&self) -> Vec<(PathId, &Node)> {
        let mut all = Vec::new();
        let mut open = vec![(&self.root, 0)];
        while let Some((at, number)) = open.pop() {
            match at {
                Way::Nothing => {}
                Way::Znode(held) => all.push((PathId(number), &held.node)),
                Way::Block(block) => {
                    let ways = block.ways.iter().enumerate().rev();
                    open.extend(ways.map(|(way, below)| (below, number << BITS | way as u32)));
                }
            }
        }
        all
    }

    /// Bytes that one more version takes after a change, about.
    pub(super) fn bytes_of_a_change(&self) -> usize {
        self.levels as usize * size_of::<Block>() + size_of::<Held>()
    }
}

/// What stands at this level with one path changed. As deep as the trie has levels: eleven at most.
fn put(at: &Way, levels: u32, path: PathId, held: Option<Arc<Held>>) -> Way {
    if levels == 0 {
        return held.map_or(Way::Nothing, Way::Znode);
    }
    let mut ways = match at {
        Way::Block(block) => block.ways.clone(),
        _ => <[Way; WAYS]>::default(),
    };
    let place = way(path, levels - 1);
    ways[place] = put(&ways[place], levels - 1, path, held);
    // A block of nothing is nothing: so that equal trees are equal block by block.
    if ways.iter().all(|way| matches!(way, Way::Nothing)) {
        return Way::Nothing;
    }
    let hash = FxBuildHasher.hash_one(ways.each_ref().map(Way::hash));
    Way::Block(Arc::new(Block { ways, hash }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    #[test]
    fn it_holds_what_a_map_holds_and_versions_stay_apart() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for paths in [1, 8, 9, 600] {
            let mut trie = Trie::new(paths);
            let mut map: BTreeMap<u32, Node> = BTreeMap::new();
            let mut versions = Vec::new();
            for _ in 0..400 {
                let path = rng.random_range(0..paths as u32);
                let node = rng.random_bool(0.6).then(|| Node {
                    version: Some(rng.random_range(0..3)),
                    ..Node::GIVEN
                });
                trie.put(PathId(path), node.map(Held::new));
                match node {
                    Some(node) => map.insert(path, node),
                    None => map.remove(&path),
                };
                versions.push((trie.clone(), map.clone()));
            }
            for (at, (trie, map)) in versions.iter().enumerate() {
                let held: Vec<(u32, Node)> = trie
                    .all()
                    .iter()
                    .map(|(path, node)| (path.0, **node))
                    .collect();
                assert_eq!(held, map.clone().into_iter().collect::<Vec<_>>());
                for (other, same) in &versions[at.saturating_sub(20)..at] {
                    assert_eq!(trie == other, map == same);
                }
            }
        }
    }
}
