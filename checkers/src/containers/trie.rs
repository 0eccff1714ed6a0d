//! A multiset that shares what it has in common with other multisets: the state of a bag, a priority queue and a set.
//!
//! A binary trie over 64-bit numbers, whose shape follows from its contents alone (Okasaki & Gill, "Fast mergeable integer
//! maps", 1998). To add or to take a number costs as many new nodes as the trie is deep, and equal multisets are told from
//! their digests, and then by looking only at what they do not share. At most 65 deep, so recursion is bounded.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A multiset of numbers.
#[derive(Clone, Default)]
pub struct Trie {
    root: Option<Arc<Node>>,
}

struct Node {
    /// How many numbers are below, each as often as it is there.
    len: u64,
    /// The sum of the hashes of all numbers below.
    digest: u64,
    body: Body,
}

enum Body {
    Leaf {
        number: u64,
    },
    Branch {
        /// The bits above the first one in which the numbers below differ.
        prefix: u64,
        /// That bit.
        bit: u64,
        zeros: Arc<Node>,
        ones: Arc<Node>,
    },
}

impl Trie {
    /// How many numbers it holds, each as often as it is there.
    pub fn len(&self) -> u64 {
        self.root.as_ref().map_or(0, |root| root.len)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// How often it holds this number.
    pub fn count(&self, number: u64) -> u64 {
        let mut at = self.root.as_ref();
        while let Some(node) = at {
            match &node.body {
                Body::Leaf { number: here } => return if *here == number { node.len } else { 0 },
                Body::Branch {
                    bit, zeros, ones, ..
                } => {
                    at = Some(if number & bit == 0 { zeros } else { ones });
                }
            }
        }
        0
    }

    /// Bytes that a change costs, about: the nodes from the root to a leaf.
    pub fn path_bytes(&self) -> usize {
        let depth = 2 + self.len().checked_ilog2().unwrap_or(0) as usize;
        depth * (size_of::<Node>() + 32)
    }

    /// With one more of this number.
    pub fn with(&self, number: u64) -> Trie {
        let root = match &self.root {
            None => leaf(number, 1),
            Some(root) => insert(root, number),
        };
        Trie { root: Some(root) }
    }

    /// With one less of this number, if there is any.
    pub fn without(&self, number: u64) -> Option<Trie> {
        if self.count(number) == 0 {
            return None;
        }
        let root = self.root.as_ref()?;
        Some(Trie {
            root: remove(root, number),
        })
    }

    /// The least number.
    pub fn least(&self) -> Option<u64> {
        let mut at = self.root.as_ref()?;
        loop {
            match &at.body {
                Body::Leaf { number } => return Some(*number),
                Body::Branch { zeros, .. } => at = zeros,
            }
        }
    }

    /// The numbers, ascending, each as often as it is there.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let mut open: Vec<&Arc<Node>> = self.root.iter().collect();
        std::iter::from_fn(move || {
            loop {
                let node = open.pop()?;
                match &node.body {
                    Body::Leaf { number } => return Some((*number, node.len)),
                    Body::Branch { zeros, ones, .. } => open.extend([ones, zeros]),
                }
            }
        })
        .flat_map(|(number, count)| (0..count).map(move |_| number))
    }
}

impl FromIterator<u64> for Trie {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Trie {
        numbers
            .into_iter()
            .fold(Trie::default(), |trie, number| trie.with(number))
    }
}

fn leaf(number: u64, len: u64) -> Arc<Node> {
    let mut hasher = rustc_hash::FxHasher::default();
    number.hash(&mut hasher);
    // Mixed once more, so that sums of hashes do not follow sums of numbers.
    let mixed = hasher.finish().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.rotate_left(17);
    let hash = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1;
    Arc::new(Node {
        len,
        digest: hash.wrapping_mul(len),
        body: Body::Leaf { number },
    })
}

fn branch(prefix: u64, bit: u64, zeros: Arc<Node>, ones: Arc<Node>) -> Arc<Node> {
    Arc::new(Node {
        len: zeros.len + ones.len,
        digest: zeros.digest.wrapping_add(ones.digest),
        body: Body::Branch {
            prefix,
            bit,
            zeros,
            ones,
        },
    })
}

/// The bits of a number above this one.
fn above(number: u64, bit: u64) -> u64 {
    number & !(bit | (bit - 1))
}

fn insert(node: &Arc<Node>, number: u64) -> Arc<Node> {
    match &node.body {
        Body::Leaf { number: here } if *here == number => leaf(number, node.len + 1),
        Body::Leaf { number: here } => join(node.clone(), *here, number),
        Body::Branch { prefix, bit, .. } if above(number, *bit) != *prefix => {
            join(node.clone(), *prefix, number)
        }
        Body::Branch {
            prefix,
            bit,
            zeros,
            ones,
        } => match number & bit == 0 {
            true => branch(*prefix, *bit, insert(zeros, number), ones.clone()),
            false => branch(*prefix, *bit, zeros.clone(), insert(ones, number)),
        },
    }
}

/// A node, of whose numbers one is like `here`, beside a new number that differs from them further up.
fn join(node: Arc<Node>, here: u64, number: u64) -> Arc<Node> {
    let bit = 1 << (63 - (here ^ number).leading_zeros());
    let new = leaf(number, 1);
    match number & bit == 0 {
        true => branch(above(number, bit), bit, new, node),
        false => branch(above(number, bit), bit, node, new),
    }
}

/// Asked only where the number is there.
fn remove(node: &Arc<Node>, number: u64) -> Option<Arc<Node>> {
    match &node.body {
        Body::Leaf { .. } => (node.len > 1).then(|| leaf(number, node.len - 1)),
        Body::Branch {
            prefix,
            bit,
            zeros,
            ones,
        } => match number & bit == 0 {
            true => match remove(zeros, number) {
                None => Some(ones.clone()),
                Some(zeros) => Some(branch(*prefix, *bit, zeros, ones.clone())),
            },
            false => match remove(ones, number) {
                None => Some(zeros.clone()),
                Some(ones) => Some(branch(*prefix, *bit, zeros.clone(), ones)),
            },
        },
    }
}

fn same(one: &Arc<Node>, other: &Arc<Node>) -> bool {
    if Arc::ptr_eq(one, other) {
        return true;
    }
    if (one.len, one.digest) != (other.len, other.digest) {
        return false;
    }
    match (&one.body, &other.body) {
        (Body::Leaf { number }, Body::Leaf { number: theirs }) => number == theirs,
        (
            Body::Branch {
                prefix,
                bit,
                zeros,
                ones,
            },
            Body::Branch {
                prefix: their_prefix,
                bit: their_bit,
                zeros: their_zeros,
                ones: their_ones,
            },
        ) => {
            (prefix, bit) == (their_prefix, their_bit)
                && same(zeros, their_zeros)
                && same(ones, their_ones)
        }
        _ => false,
    }
}

impl PartialEq for Trie {
    fn eq(&self, other: &Trie) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(one), Some(other)) => same(one, other),
            _ => false,
        }
    }
}

impl Eq for Trie {}

impl Hash for Trie {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.root.as_ref().map_or(0, |root| root.digest).hash(state);
    }
}

impl fmt::Debug for Trie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::hash_map::DefaultHasher;

    fn digest(trie: &Trie) -> u64 {
        let mut hasher = DefaultHasher::new();
        trie.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_trie_is_a_multiset() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut known: Vec<(Trie, Vec<u64>)> = vec![(Trie::default(), Vec::new())];
        for _ in 0..4_000 {
            let (trie, list) = known[rng.random_range(0..known.len())].clone();
            let number = match rng.random_range(0..4) {
                0 => rng.random::<u64>(),
                1 => 1 << rng.random_range(0..64),
                _ => rng.random_range(0..5),
            };
            let mut after = list;
            let next = if rng.random_bool(0.6) {
                after.push(number);
                after.sort_unstable();
                trie.with(number)
            } else {
                let place = after.iter().position(|here| *here == number);
                assert_eq!(trie.count(number) > 0, place.is_some());
                match (trie.without(number), place) {
                    (Some(next), Some(place)) => {
                        after.remove(place);
                        next
                    }
                    (None, None) => continue,
                    other => panic!("{other:?}"),
                }
            };
            assert!(next.iter().eq(after.iter().copied()), "{next:?} {after:?}");
            assert_eq!(
                (next.len(), next.least()),
                (after.len() as u64, after.first().copied())
            );
            known.push((next, after));
        }
        for _ in 0..200_000 {
            let (one, list) = &known[rng.random_range(0..known.len())];
            let (two, other) = &known[rng.random_range(0..known.len())];
            assert_eq!(one == two, list == other);
            assert!(list != other || digest(one) == digest(two));
        }
    }
}
