//! The search's configurations, deduplicated, with every byte counted before it is taken.

use super::budget::{Exhausted, Meter};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::{BuildHasher, Hash};

/// One way in which the history so far can have happened.
#[derive(Debug, Clone)]
pub(super) struct Config<S> {
    /// The object's state.
    pub(super) state: S,
    /// Which of the operations in flight have taken effect, by slot.
    pub(super) linear: u128,
    /// How many of each class of indeterminate calls have taken effect; no trailing zeros.
    pub(super) used: Box<[u16]>,
    /// The operation that last changed the state, for the witness alone: not part of what the configuration is.
    pub(super) by: Option<u32>,
    /// The next configuration with the same state and `linear`.
    next: u32,
    /// A configuration with fewer used calls came later: this one need not be followed.
    pub(super) dominated: bool,
}

const END: u32 = u32::MAX;

/// What the allocator adds to each small allocation, at most.
const ALLOCATION: u64 = 32;

impl<S: Copy> Config<S> {
    pub(super) fn new(state: S) -> Config<S> {
        Config {
            state,
            linear: 0,
            used: Box::default(),
            by: None,
            next: END,
            dominated: false,
        }
    }

    /// After a call of this operation.
    pub(super) fn after(&self, state: S, operation: usize) -> Config<S> {
        let by = u32::try_from(operation).ok();
        Config {
            state,
            linear: self.linear,
            used: self.used.clone(),
            by,
            next: END,
            dominated: false,
        }
    }

    /// How many calls of a class were used.
    pub(super) fn count(&self, class: usize) -> u16 {
        self.used.get(class).copied().unwrap_or(0)
    }

    /// Uses one more call of a class.
    pub(super) fn use_one(&mut self, class: usize) {
        if class >= self.used.len() {
            let mut longer = vec![0; class + 1];
            longer[..self.used.len()].copy_from_slice(&self.used);
            self.used = longer.into_boxed_slice();
        }
        self.used[class] += 1;
    }

    fn heap(&self) -> u64 {
        if self.used.is_empty() {
            0
        } else {
            2 * self.used.len() as u64 + ALLOCATION
        }
    }

    /// Whether everything that can follow `other` can follow this one too: equal but for fewer used calls.
    fn dominates(&self, other: &Config<S>) -> bool {
        self.used.len() <= other.used.len()
            && self
                .used
                .iter()
                .zip(&other.used)
                .all(|(mine, theirs)| mine <= theirs)
    }
}

/// How many configurations of one state are compared with a new one. They form an antichain, which may be long, and comparing
/// with all of it would make the search quadratic: beyond this, only equal ones are found.
const COMPARED: usize = 64;

/// A set of configurations in the order of their insertion, so that nothing depends on a hash map's order.
#[derive(Debug)]
pub(super) struct Table<S> {
    pub(super) configs: Vec<Config<S>>,
    /// The newest configuration of each state and `linear`.
    heads: FxHashMap<(S, u128), u32>,
    /// A configuration by the hash of all that it is; the newest one where hashes collide.
    equal: FxHashMap<u64, u32>,
    heap: u64,
}

impl<S: Copy + Eq + Hash> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table {
            configs: Vec::new(),
            heads: FxHashMap::default(),
            equal: FxHashMap::default(),
            heap: 0,
        }
    }

    /// Adds a configuration unless an equal or better one is there. `others` are the bytes held beside this table.
    pub(super) fn insert(
        &mut self,
        mut config: Config<S>,
        meter: &mut Meter,
        others: u64,
    ) -> Result<(), Exhausted> {
        meter.visit()?;
        let key = (config.state, config.linear);
        let hash = FxBuildHasher.hash_one((key, &config.used));
        if self.holds(hash, &config) {
            return Ok(());
        }
        let head = self.heads.get(&key).copied().unwrap_or(END);
        if self.is_dominated(&config, head) {
            return Ok(());
        }
        meter.hold(others + self.bytes_after_growth() + config.heap())?;
        config.next = head;
        self.heap += config.heap();
        let place = u32::try_from(self.configs.len())
            .expect("the byte limit keeps tables below 2^32 configurations");
        self.configs.push(config);
        self.heads.insert(key, place);
        self.equal.insert(hash, place);
        Ok(())
    }

    fn holds(&self, hash: u64, config: &Config<S>) -> bool {
        self.equal.get(&hash).is_some_and(|place| {
            let known = &self.configs[*place as usize];
            !known.dominated
                && known.state == config.state
                && known.linear == config.linear
                && known.used == config.used
        })
    }

    /// Whether a known configuration of the same state dominates this one; those that it dominates are marked.
    fn is_dominated(&mut self, config: &Config<S>, head: u32) -> bool {
        let mut at = head;
        for _ in 0..COMPARED {
            if at == END {
                return false;
            }
            let known = &mut self.configs[at as usize];
            at = known.next;
            if known.dominated {
                continue;
            }
            if known.dominates(config) {
                return true;
            }
            if config.dominates(known) {
                known.dominated = true;
                self.heap -= known.heap();
                known.used = Box::default();
            }
        }
        false
    }

    /// Bytes held now.
    pub(super) fn bytes(&self) -> u64 {
        self.heap
            + vec_bytes::<S>(self.configs.capacity())
            + map_bytes::<((S, u128), u32)>(self.heads.capacity())
            + map_bytes::<(u64, u32)>(self.equal.capacity())
    }

    /// Bytes held at the worst moment of the next insertion: while a full table moves, old and new exist together.
    fn bytes_after_growth(&self) -> u64 {
        let mut bytes = self.bytes();
        if self.configs.len() == self.configs.capacity() {
            bytes += vec_bytes::<S>((2 * self.configs.capacity()).max(4));
        }
        if self.heads.len() == self.heads.capacity() {
            bytes += map_bytes::<((S, u128), u32)>((2 * self.heads.capacity()).max(4));
        }
        if self.equal.len() == self.equal.capacity() {
            bytes += map_bytes::<(u64, u32)>((2 * self.equal.capacity()).max(4));
        }
        bytes
    }

    /// The configurations that are worth following.
    pub(super) fn into_alive(self) -> Vec<Config<S>> {
        let mut configs = self.configs;
        configs.retain(|config| !config.dominated);
        configs
    }
}

pub(super) fn vec_bytes<S>(capacity: usize) -> u64 {
    (capacity * size_of::<Config<S>>()) as u64
}

/// A hash map holds a power of two of buckets, an eighth of them free, with a control byte for each.
fn map_bytes<T>(capacity: usize) -> u64 {
    if capacity == 0 {
        return 0;
    }
    let buckets = (capacity * 8 / 7).next_power_of_two();
    (buckets * (size_of::<T>() + 1)) as u64
}
