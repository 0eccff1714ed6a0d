//! The search's configurations, with those that others make superfluous left out.

use super::arena::UseTable;
use rustc_hash::{FxHashMap, FxHashSet};

/// One way in which the history so far can have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Config {
    /// The object's state, by number.
    pub(super) state: u32,
    /// How many indeterminate calls of each class have taken effect, by number.
    pub(super) used: u32,
    /// Which of the operations in flight have taken effect, by slot.
    pub(super) done: u128,
    /// Which of the operations in flight may have taken effect already without a trace, or may still: by slot, none of `done`.
    pub(super) optional: u128,
    /// The operation that last changed the state, for the witness alone: not part of what the configuration is.
    pub(super) by: u32,
    /// The last use of an indeterminate call, among those that were written down: not part of it either.
    pub(super) trail: u32,
    /// A blind call that served nothing came last: another one after it would have hidden it.
    pub(super) idle: bool,
    /// A configuration from which everything can follow that can follow from this one came later.
    pub(super) dominated: bool,
    /// The next older configuration with the same state.
    pub(super) next: u32,
}

/// No operation, no configuration.
pub(super) const NONE: u32 = u32::MAX;

impl Config {
    pub(super) fn new(state: u32, used: u32, by: u32) -> Config {
        Config {
            state,
            used,
            done: 0,
            optional: 0,
            by,
            trail: NONE,
            idle: false,
            dominated: false,
            next: NONE,
        }
    }

    /// Without a slot, whose operation returned.
    pub(super) fn without(self, bit: u128) -> Config {
        Config {
            done: self.done & !bit,
            optional: self.optional & !bit,
            idle: false,
            ..self
        }
    }

    /// Whether everything that can follow the other can follow this one: the same state, no more used, and each operation in
    /// flight the same or at least as free: an optional one is as good as a done one and as one to come, and a done pure
    /// one is as good as one to come. (A call that changes something and is still to come is an asset; nothing replaces it.)
    fn dominates(&self, other: &Config, pure: u128, uses: &UseTable) -> bool {
        let differ = (self.done ^ other.done) | (self.optional ^ other.optional);
        differ & !(self.optional | (pure & self.done)) == 0 && uses.at_most(self.used, other.used)
    }
}

/// How many configurations of one state are compared with a new one. They form an antichain, which may be long, and comparing
/// with all of it would make the search quadratic: beyond this, only equal ones are found.
const COMPARED: usize = 256;

/// A set of configurations in the order of their insertion, so that nothing depends on a hash map's order.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    pub(super) configs: Vec<Config>,
    /// The newest configuration of each state.
    heads: FxHashMap<u32, u32>,
    /// All that a configuration is, for each of them; empty while they are few.
    equal: FxHashSet<(u32, u32, u128, u128)>,
    /// So many of the configurations are in `equal`.
    equal_of: usize,
}

impl Frontier {
    /// Adds a configuration, unless one that is there dominates it; those that it dominates are marked.
    pub(super) fn insert(&mut self, mut config: Config, pure: u128, uses: &UseTable) {
        let head = self.heads.get(&config.state).copied().unwrap_or(NONE);
        let mut at = head;
        for _ in 0..COMPARED {
            if at == NONE {
                break;
            }
            let known = &mut self.configs[at as usize];
            at = known.next;
            if known.dominated {
                continue;
            }
            if known.dominates(&config, pure, uses) {
                return;
            }
            if config.dominates(known, pure, uses) {
                known.dominated = true;
            }
        }
        if at != NONE && !self.is_new(&config) {
            return;
        }
        config.next = head;
        let place = self.configs.len() as u32;
        self.configs.push(config);
        self.heads.insert(config.state, place);
    }

    /// Whether no equal one was inserted, where comparing with all would take too long.
    fn is_new(&mut self, config: &Config) -> bool {
        let all_of = |config: &Config| (config.state, config.used, config.done, config.optional);
        for known in &self.configs[self.equal_of..] {
            self.equal.insert(all_of(known));
        }
        self.equal_of = self.configs.len();
        !self.equal.contains(&all_of(config))
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        // A map that was large once is slow to clear for ever after.
        if self.heads.capacity() > 64 && self.heads.capacity() > 16 * self.configs.len() {
            self.heads = FxHashMap::default();
        }
        self.heads.clear();
        self.configs.clear();
        self.equal_of = 0;
        if !self.equal.is_empty() {
            self.equal = FxHashSet::default();
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.configs.capacity() * size_of::<Config>()
            + self.heads.capacity() * 10
            + self.equal.capacity() * 56
    }

    /// The configurations that are worth following.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Config> {
        self.configs.iter().filter(|config| !config.dominated)
    }
}
