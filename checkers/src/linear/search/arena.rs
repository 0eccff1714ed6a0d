//! What configurations refer to by number: states, and how much of each class of indeterminate calls was used.
//!
//! Numbers make configurations small and comparisons cheap, and let a transition be looked up where a model has few states.
//! What no configuration refers to any more is thrown away from time to time.

use super::super::model::Model;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

/// A transition that was not asked for yet, and one that cannot happen.
const UNASKED: u32 = u32::MAX;
const IMPOSSIBLE: u32 = u32::MAX - 1;

/// Transitions are remembered while there are at most this many different calls, and states.
const CALLS_REMEMBERED: usize = 256;
const STATES_REMEMBERED: usize = 4096;

/// Bytes that a hash map takes for each entry of a number beside the key, about.
const ENTRY: usize = 24;

/// The states that are known, each once.
pub(super) struct States<'m, M: Model> {
    model: &'m M,
    /// By hash: the newest state with that hash, and the next older one with the same.
    heads: FxHashMap<u64, u32>,
    states: Vec<(M::State, u32)>,
    calls: usize,
    /// By state and call.
    transitions: Vec<u32>,
    bytes: usize,
}

impl<'m, M: Model> States<'m, M> {
    /// No states; `calls` different calls will be asked for.
    pub(super) fn new(model: &'m M, calls: usize) -> States<'m, M> {
        States {
            model,
            heads: FxHashMap::default(),
            states: Vec::new(),
            calls,
            transitions: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn get(&self, id: u32) -> &M::State {
        &self.states[id as usize].0
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + 4 * self.transitions.capacity()
    }

    /// The number of a state.
    pub(super) fn id(&mut self, state: M::State) -> u32 {
        let hash = FxBuildHasher.hash_one(&state);
        let head = self.heads.get(&hash).copied().unwrap_or(UNASKED);
        let mut at = head;
        while at != UNASKED {
            let (known, next) = &self.states[at as usize];
            if *known == state {
                return at;
            }
            at = *next;
        }
        let id = self.states.len() as u32;
        assert!(id < IMPOSSIBLE, "the byte limit keeps states below 2^32");
        self.bytes += self.model.state_bytes(&state) + size_of::<(M::State, u32)>() + ENTRY;
        self.states.push((state, head));
        self.heads.insert(hash, id);
        id
    }

    /// The state after this call, which is the one of this number.
    pub(super) fn step(&mut self, state: u32, number: u32, call: &M::Call) -> Option<u32> {
        if self.calls > CALLS_REMEMBERED || state as usize >= STATES_REMEMBERED {
            return self.step_anew(state, call);
        }
        let at = state as usize * self.calls + number as usize;
        if at >= self.transitions.len() {
            let states = (2 * state as usize + 2).min(STATES_REMEMBERED);
            self.transitions.resize(states * self.calls, UNASKED);
        }
        match self.transitions[at] {
            UNASKED => {
                let next = self.step_anew(state, call);
                self.transitions[at] = next.unwrap_or(IMPOSSIBLE);
                next
            }
            IMPOSSIBLE => None,
            next => Some(next),
        }
    }

    fn step_anew(&mut self, state: u32, call: &M::Call) -> Option<u32> {
        let next = self.model.step(self.get(state), call)?;
        if next == *self.get(state) {
            return Some(state);
        }
        Some(self.id(next))
    }

    /// Keeps only the states that are asked for: `wanted` are rewritten to the new numbers.
    pub(super) fn keep<'a>(&mut self, wanted: impl Iterator<Item = &'a mut u32>) {
        let old = std::mem::take(&mut self.states);
        self.heads.clear();
        self.transitions = Vec::new();
        self.bytes = 0;
        let mut moved: Vec<u32> = vec![UNASKED; old.len()];
        for id in wanted {
            let new = &mut moved[*id as usize];
            if *new == UNASKED {
                *new = self.id(old[*id as usize].0.clone());
            }
            *id = *new;
        }
    }
}

/// How many calls of each class a configuration has used: pairs in the order of the classes.
type Uses = Box<[(u32, u32)]>;

/// What tells most uses apart at a glance: who leaves more has used no more in all, and no class that nothing outdoes, and that the other has
/// not used.
#[derive(Debug, Clone, Copy)]
struct Mark {
    total: u32,
    /// Classes that nothing outdoes, by their number modulo 64.
    alone: u64,
}

/// The uses that are known, each once; number 0 is "none".
pub(super) struct UseTable {
    ids: FxHashMap<Uses, u32>,
    uses: Vec<Uses>,
    /// One more of a class, by uses and class.
    more: FxHashMap<(u32, u32), u32>,
    /// By class: the one that outdoes it.
    outdone_by: Vec<Option<u32>>,
    /// By uses.
    marks: Vec<Mark>,
    bytes: usize,
}

impl UseTable {
    pub(super) const NONE: u32 = 0;

    /// Nothing used. `outdone_by`, by class: the one that outdoes it, if any does.
    pub(super) fn new(outdone_by: Vec<Option<u32>>) -> UseTable {
        let mut table = UseTable {
            outdone_by,
            marks: Vec::new(),
            ids: FxHashMap::default(),
            uses: Vec::new(),
            more: FxHashMap::default(),
            bytes: 0,
        };
        table.id(Box::default());
        table
    }

    pub(super) fn len(&self) -> usize {
        self.uses.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + ENTRY * self.more.capacity()
    }

    pub(super) fn get(&self, id: u32) -> &[(u32, u32)] {
        &self.uses[id as usize]
    }

    pub(super) fn id(&mut self, uses: Uses) -> u32 {
        if let Some(id) = self.ids.get(&uses) {
            return *id;
        }
        let id = self.uses.len() as u32;
        self.bytes += 2 * (8 * uses.len() + size_of::<Uses>() + ENTRY) + size_of::<Mark>();
        let is_alone = |class: u32| !matches!(self.outdone_by.get(class as usize), Some(Some(_)));
        let alone = uses.iter().filter(|(class, _)| is_alone(*class));
        self.marks.push(Mark {
            total: uses.iter().map(|(_, count)| count).sum(),
            alone: alone.fold(0, |bits, (class, _)| bits | 1 << (class % 64)),
        });
        self.uses.push(uses.clone());
        self.ids.insert(uses, id);
        id
    }

    /// How many of a class.
    pub(super) fn count(&self, id: u32, class: u32) -> u32 {
        let uses = self.get(id);
        match uses.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => uses[at].1,
            Err(_) => 0,
        }
    }

    /// One more of a class.
    pub(super) fn one_more(&mut self, id: u32, class: u32) -> u32 {
        if let Some(more) = self.more.get(&(id, class)) {
            return *more;
        }
        let mut uses = self.get(id).to_vec();
        match uses.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(at) => uses[at].1 += 1,
            Err(at) => uses.insert(at, (class, 1)),
        }
        let more = self.id(uses.into());
        self.more.insert((id, class), more);
        more
    }

    /// Whether what the first leaves is worth what the second leaves: it has used no more of any class, or, for each one more, one less of a
    /// class that outdoes it.
    pub(super) fn at_most(&self, first: u32, second: u32) -> bool {
        if first == second || first == UseTable::NONE {
            return true;
        }
        let (one, other) = (&self.marks[first as usize], &self.marks[second as usize]);
        if one.total > other.total || one.alone & !other.alone != 0 {
            return false;
        }
        let mut others = self.get(second).iter().peekable();
        // By class that outdoes others: how many of it must stand in.
        let mut owed: Vec<(u32, u32)> = Vec::new();
        for (class, count) in self.get(first) {
            while others.next_if(|(other, _)| other < class).is_some() {}
            let most = others.next_if(|(other, _)| other == class);
            let more = count.saturating_sub(most.map_or(0, |(_, most)| *most));
            if more == 0 {
                continue;
            }
            let Some(outdone_by) = self.outdone_by.get(*class as usize).copied().flatten() else {
                return false;
            };
            match owed.iter_mut().find(|(class, _)| *class == outdone_by) {
                Some((_, owed)) => *owed += more,
                None => owed.push((outdone_by, more)),
            }
        }
        let left = |class| {
            self.count(second, class)
                .checked_sub(self.count(first, class))
        };
        owed.iter()
            .all(|(class, owed)| left(*class).is_some_and(|left| *owed <= left))
    }

    /// Keeps only what is asked for: `wanted` are rewritten to the new numbers.
    pub(super) fn keep<'a>(&mut self, wanted: impl Iterator<Item = &'a mut u32>) {
        let outdone_by = std::mem::take(&mut self.outdone_by);
        let old = std::mem::replace(self, UseTable::new(outdone_by));
        for id in wanted {
            *id = self.id(old.uses[*id as usize].clone());
        }
    }
}
