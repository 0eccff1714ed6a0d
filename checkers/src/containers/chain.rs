//! A list that shares what it has in common with other lists: the state of a stack and of a queue.
//!
//! A link holds a value and what came before it; a list is its newest link and how many links it has. So to put a value at the
//! end costs one link, to drop one from either end costs none, and of two lists that differ in their last calls only the
//! difference is held twice. The oldest value of a queue is found by jumps (skew-binary ancestors), in log n.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A list of values, oldest first.
#[derive(Clone)]
pub struct Chain<V> {
    newest: Option<Arc<Link<V>>>,
    len: u32,
}

struct Link<V> {
    value: V,
    /// How many links came before it.
    depth: u32,
    /// Of all values up to this one.
    digest: u64,
    before: Option<Arc<Link<V>>>,
    /// An older link, further away.
    jump: Option<Arc<Link<V>>>,
}

/// A prime below 2^61, and a base: digests are values of a polynomial.
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0bad_cafe_1234_5677 % PRIME;

fn times(one: u64, other: u64) -> u64 {
    (u128::from(one) * u128::from(other) % u128::from(PRIME)) as u64
}

fn power(mut exponent: u32) -> u64 {
    let (mut result, mut square) = (1, BASE);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = times(result, square);
        }
        square = times(square, square);
        exponent /= 2;
    }
    result
}

impl<V> Default for Chain<V> {
    fn default() -> Chain<V> {
        Chain {
            newest: None,
            len: 0,
        }
    }
}

impl<V: Copy + Eq + Hash> Chain<V> {
    /// Bytes that one more link costs, with what the allocator and the counts of its owners take.
    pub const LINK: usize = size_of::<Link<V>>() + 32;

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// With one more value at the end.
    pub fn with(&self, value: V) -> Chain<V> {
        let before = self.newest.clone();
        let (depth, digest) = before
            .as_ref()
            .map_or((0, 0), |link| (link.depth + 1, link.digest));
        let link = Link {
            value,
            depth,
            digest: (times(digest, BASE) + hash(&value)) % PRIME,
            jump: before.as_ref().map(jump_of_next),
            before,
        };
        Chain {
            newest: Some(Arc::new(link)),
            len: self.len + 1,
        }
    }

    /// The value that was put last.
    pub fn newest(&self) -> Option<V> {
        let newest = self.newest.as_ref().filter(|_| self.len > 0)?;
        Some(newest.value)
    }

    /// Without the value that was put last.
    pub fn without_newest(&self) -> Chain<V> {
        if self.len <= 1 {
            return Chain::default();
        }
        let before = self.newest.as_ref().and_then(|link| link.before.clone());
        Chain {
            newest: before,
            len: self.len - 1,
        }
    }

    /// The value that was put first.
    pub fn oldest(&self) -> Option<V> {
        let newest = self.newest.as_ref().filter(|_| self.len > 0)?;
        Some(ancestor(newest, newest.depth + 1 - self.len).value)
    }

    /// Without the value that was put first.
    pub fn without_oldest(&self) -> Chain<V> {
        if self.len <= 1 {
            return Chain::default();
        }
        Chain {
            newest: self.newest.clone(),
            len: self.len - 1,
        }
    }

    /// The values, newest first.
    pub fn iter(&self) -> impl Iterator<Item = V> {
        let links = std::iter::successors(self.newest.as_ref(), |link| link.before.as_ref());
        links.take(self.len as usize).map(|link| link.value)
    }

    /// Of its values alone, whatever was before them.
    fn digest(&self) -> u64 {
        let Some(newest) = self.newest.as_ref().filter(|_| self.len > 0) else {
            return 0;
        };
        let older = match (newest.depth + 1).checked_sub(self.len + 1) {
            Some(depth) => ancestor(newest, depth).digest,
            None => 0,
        };
        (newest.digest + PRIME - times(older, power(self.len))) % PRIME
    }
}

/// The jump of a link whose predecessor this is: two jumps of equal length make one of their sum.
fn jump_of_next<V>(before: &Arc<Link<V>>) -> Arc<Link<V>> {
    let Some(jump) = &before.jump else {
        return before.clone();
    };
    match &jump.jump {
        Some(further) if before.depth - jump.depth == jump.depth - further.depth => further.clone(),
        _ => before.clone(),
    }
}

fn ancestor<V>(link: &Arc<Link<V>>, depth: u32) -> &Link<V> {
    let mut at = link;
    while at.depth > depth {
        let near = at.before.as_ref();
        at = match at.jump.as_ref().filter(|jump| jump.depth >= depth).or(near) {
            Some(older) => older,
            None => break,
        };
    }
    at
}

fn hash<V: Hash>(value: &V) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    value.hash(&mut hasher);
    // Never 0, so that lists of different lengths differ.
    1 + hasher.finish() % (PRIME - 1)
}

impl<V: Copy + Eq + Hash> PartialEq for Chain<V> {
    fn eq(&self, other: &Chain<V>) -> bool {
        if self.len != other.len || self.digest() != other.digest() {
            return false;
        }
        let (mut mine, mut theirs) = (&self.newest, &other.newest);
        for _ in 0..self.len {
            let (Some(one), Some(two)) = (mine, theirs) else {
                return false;
            };
            // What is shared is equal.
            if Arc::ptr_eq(one, two) {
                return true;
            }
            if one.value != two.value {
                return false;
            }
            (mine, theirs) = (&one.before, &two.before);
        }
        true
    }
}

impl<V: Copy + Eq + Hash> Eq for Chain<V> {}

impl<V: Copy + Eq + Hash> Hash for Chain<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl<V: Copy + Eq + Hash + fmt::Debug> fmt::Debug for Chain<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values: Vec<V> = self.iter().collect();
        values.reverse();
        f.debug_list().entries(values).finish()
    }
}

/// A chain of a million links must not be dropped by a million nested calls.
impl<V> Drop for Link<V> {
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(link) = next.take() {
            // A jump leads to a link further down the same chain, which `before` keeps: dropping it ends none.
            if let Some(mut link) = Arc::into_inner(link) {
                next = link.before.take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::VecDeque;

    #[test]
    fn a_chain_is_a_list() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut known: Vec<(Chain<u32>, VecDeque<u32>)> = vec![(Chain::default(), VecDeque::new())];
        for _ in 0..3_000 {
            let (chain, list) = known[rng.random_range(0..known.len())].clone();
            let mut after = list.clone();
            let next = match rng.random_range(0..5) {
                0 => {
                    assert_eq!(chain.oldest(), after.pop_front());
                    chain.without_oldest()
                }
                1 => {
                    assert_eq!(chain.newest(), after.pop_back());
                    chain.without_newest()
                }
                _ => {
                    let value = rng.random_range(0..3);
                    after.push_back(value);
                    chain.with(value)
                }
            };
            assert!(next.iter().eq(after.iter().rev().copied()));
            let (other, same) = &known[rng.random_range(0..known.len())];
            assert_eq!(next == *other, after == *same);
            known.push((next, after));
        }
        let equal = known
            .iter()
            .flat_map(|one| known.iter().map(move |two| (one, two)));
        let equal = equal.filter(|(one, two)| one.1 == two.1);
        assert!(
            equal
                .take(100_000)
                .all(|(one, two)| one.0 == two.0 && one.0.digest() == two.0.digest())
        );
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let chain = (0..2_000_000u32).fold(Chain::default(), |chain, value| chain.with(value));
        assert_eq!((chain.oldest(), chain.newest()), (Some(0), Some(1_999_999)));
        let shared = chain.without_oldest();
        drop(chain);
        assert_eq!(shared.oldest(), Some(1));
    }
}
