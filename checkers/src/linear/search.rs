//! Just-in-time linearization (Wing & Gong, with Lowe's state cache).
//!
//! It walks the lines in order and keeps every configuration (state, which operations in flight took effect, how many
//! indeterminate calls of each class were used) in which the history so far can have happened. Nothing takes effect before
//! it must: only when an operation returns, its effect is made to have happened, by whatever calls have to come before it.
//! No configuration left: the history is not linearizable.
//!
//! What keeps it small:
//! - a pure call in flight that is legal takes effect at once, without branching (waiting could not help);
//! - equal indeterminate calls form a class, and are counted instead of told apart;
//! - of two configurations that differ only in used calls, the one that used fewer of each class replaces the other.
//!
//! Two configurations that differ in what took effect are never compared: an effect still to come is an asset too.

use super::budget::{Exhausted, Meter};
use super::model::{Entry, Model};
use super::table::{Config, Table, vec_bytes};
use rustc_hash::FxHashMap;

/// Operations of one object in flight at once, at most: the bits of a mask.
pub(super) const SLOTS: usize = 128;

/// How a search ended.
#[derive(Debug)]
pub(super) enum Outcome<S> {
    /// There is a legal order.
    Legal,
    /// There is none.
    Illegal(Stuck<S>),
    /// The budget ended first, at the line with this index.
    Exhausted(Exhausted, u64),
}

/// Where no configuration was left.
#[derive(Debug)]
pub(super) struct Stuck<S> {
    /// Place, among the entries, of the operation whose return emptied the set.
    pub(super) entry: usize,
    /// All that could have happened before: none of them lets the operation happen.
    pub(super) last: Vec<Config<S>>,
    /// The last line before that at which no completed operation was in flight, if any came after the first.
    pub(super) quiet: Option<u64>,
}

/// One object's entries, with the classes of indeterminate calls.
pub(super) struct Search<'m, M: Model> {
    model: &'m M,
    entries: &'m [Entry<M::Call>],
    /// The class of each indeterminate entry.
    class: Vec<u32>,
    /// For each class its call, a representative operation, and how many were invoked so far.
    classes: Vec<Class<M::Call>>,
    /// Entries in flight, by slot.
    slots: Vec<Option<u32>>,
    in_flight: usize,
}

struct Class<C> {
    call: C,
    operation: usize,
    invoked: u16,
}

#[derive(Clone, Copy)]
struct Line {
    index: u64,
    entry: u32,
    returns: bool,
}

impl<'m, M: Model> Search<'m, M> {
    /// A search over these entries. Classes are numbered in the order of the entries.
    pub(super) fn new(model: &'m M, entries: &'m [Entry<M::Call>]) -> Search<'m, M> {
        let mut numbers: FxHashMap<M::Call, u32> = FxHashMap::default();
        let mut classes: Vec<Class<M::Call>> = Vec::new();
        let mut class = vec![0; entries.len()];
        for (place, entry) in entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.ret.is_none())
        {
            class[place] = *numbers.entry(entry.call).or_insert_with(|| {
                classes.push(Class {
                    call: entry.call,
                    operation: entry.operation,
                    invoked: 0,
                });
                classes.len() as u32 - 1
            });
        }
        Search {
            model,
            entries,
            class,
            classes,
            slots: Vec::new(),
            in_flight: 0,
        }
    }

    /// Runs from the given configurations to the end.
    pub(super) fn run(
        &mut self,
        starts: Vec<Config<M::State>>,
        meter: &mut Meter,
    ) -> Outcome<M::State> {
        let mut frontier = starts;
        let mut quiet = None;
        for line in self.lines() {
            if !line.returns {
                if let Err(why) = self.invoke(line.entry, &mut frontier) {
                    return Outcome::Exhausted(why, line.index);
                }
                continue;
            }
            match self.close(line.entry, frontier, meter) {
                Err(why) => return Outcome::Exhausted(why, line.index),
                Ok(Closed::Empty(last)) => {
                    return Outcome::Illegal(Stuck {
                        entry: line.entry as usize,
                        last,
                        quiet,
                    });
                }
                Ok(Closed::Next(next)) => frontier = next,
            }
            if self.in_flight == 0 {
                quiet = Some(line.index);
            }
        }
        Outcome::Legal
    }

    /// The configurations after the line with this index, in a history that is legal up to there.
    pub(super) fn run_to(
        &mut self,
        index: u64,
        starts: Vec<Config<M::State>>,
        meter: &mut Meter,
    ) -> Option<Vec<Config<M::State>>> {
        let mut frontier = starts;
        for line in self
            .lines()
            .into_iter()
            .take_while(|line| line.index <= index)
        {
            if !line.returns {
                self.invoke(line.entry, &mut frontier).ok()?;
                continue;
            }
            match self.close(line.entry, frontier, meter).ok()? {
                Closed::Empty(_) => return None,
                Closed::Next(next) => frontier = next,
            }
        }
        Some(frontier)
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::with_capacity(2 * self.entries.len());
        for (place, entry) in self.entries.iter().enumerate() {
            let entry_at = place as u32;
            lines.push(Line {
                index: entry.inv,
                entry: entry_at,
                returns: false,
            });
            if let Some(index) = entry.ret {
                lines.push(Line {
                    index,
                    entry: entry_at,
                    returns: true,
                });
            }
        }
        lines.sort_unstable_by_key(|line| line.index);
        lines
    }

    fn invoke(&mut self, entry: u32, frontier: &mut [Config<M::State>]) -> Result<(), Exhausted> {
        let Entry { call, ret, .. } = &self.entries[entry as usize];
        if ret.is_none() {
            let class = &mut self.classes[self.class[entry as usize] as usize];
            class.invoked = class.invoked.saturating_add(1);
            return Ok(());
        }
        let slot = self.free_slot()?;
        self.slots[slot] = Some(entry);
        self.in_flight += 1;
        if self.model.is_pure(call) {
            for config in frontier {
                if self.model.step(config.state, call).is_some() {
                    config.linear |= 1 << slot;
                }
            }
        }
        Ok(())
    }

    fn free_slot(&mut self) -> Result<usize, Exhausted> {
        if let Some(slot) = self.slots.iter().position(Option::is_none) {
            return Ok(slot);
        }
        if self.slots.len() == SLOTS {
            return Err(Exhausted::InFlight(SLOTS));
        }
        self.slots.push(None);
        Ok(self.slots.len() - 1)
    }

    /// Lets an entry return: its effect has happened in every configuration that is kept.
    fn close(
        &mut self,
        entry: u32,
        frontier: Vec<Config<M::State>>,
        meter: &mut Meter,
    ) -> Result<Closed<M::State>, Exhausted> {
        let slot = self
            .slots
            .iter()
            .position(|taken| *taken == Some(entry))
            .expect("it was invoked before");
        let bit = 1u128 << slot;
        let result = if frontier.iter().all(|config| config.linear & bit != 0) {
            meter.visit()?;
            Ok(Closed::Next(without(frontier, bit)))
        } else {
            self.expand(bit, frontier, meter)
        };
        self.slots[slot] = None;
        self.in_flight -= 1;
        result
    }

    fn expand(
        &self,
        bit: u128,
        frontier: Vec<Config<M::State>>,
        meter: &mut Meter,
    ) -> Result<Closed<M::State>, Exhausted> {
        let held = vec_bytes::<M::State>(frontier.capacity());
        let (mut open, mut done) = (Table::new(), Table::new());
        for config in frontier {
            sort_in(config, bit, &mut open, &mut done, meter, held)?;
        }
        let mut at = 0;
        while at < open.configs.len() {
            if !open.configs[at].dominated {
                for next in self.steps(&open.configs[at]) {
                    sort_in(next, bit, &mut open, &mut done, meter, 0)?;
                }
            }
            at += 1;
        }
        if done.configs.is_empty() {
            Ok(Closed::Empty(open.into_alive()))
        } else {
            Ok(Closed::Next(done.into_alive()))
        }
    }

    /// Every configuration that one more effect leads to.
    fn steps(&self, config: &Config<M::State>) -> Vec<Config<M::State>> {
        let mut next = Vec::new();
        for (slot, entry) in self.slots.iter().enumerate() {
            let Some(entry) = *entry else { continue };
            let call = &self.entries[entry as usize].call;
            if config.linear & (1 << slot) != 0 || self.model.is_pure(call) {
                continue;
            }
            if let Some(state) = self.model.step(config.state, call) {
                let mut after = config.after(state, self.entries[entry as usize].operation);
                after.linear |= 1 << slot;
                next.push(self.settled(after));
            }
        }
        for (number, class) in self.classes.iter().enumerate() {
            if config.count(number) >= class.invoked {
                continue;
            }
            match self.model.step(config.state, &class.call) {
                // A call that changes nothing, and that nobody waits for, is the same as one that never happened.
                Some(state) if state != config.state => {
                    let mut after = config.after(state, class.operation);
                    after.use_one(number);
                    next.push(self.settled(after));
                }
                _ => {}
            }
        }
        next
    }

    /// With every pure call in flight that is legal now.
    fn settled(&self, mut config: Config<M::State>) -> Config<M::State> {
        for (slot, entry) in self.slots.iter().enumerate() {
            let Some(entry) = *entry else { continue };
            let call = &self.entries[entry as usize].call;
            if self.model.is_pure(call) && self.model.step(config.state, call).is_some() {
                config.linear |= 1 << slot;
            }
        }
        config
    }
}

enum Closed<S> {
    Next(Vec<Config<S>>),
    Empty(Vec<Config<S>>),
}

fn without<S>(mut configs: Vec<Config<S>>, bit: u128) -> Vec<Config<S>> {
    for config in &mut configs {
        config.linear &= !bit;
    }
    configs
}

/// Puts a configuration where it belongs: done if the returning operation took effect, else open. `held` are the bytes of
/// what is being moved from.
fn sort_in<S: Copy + Eq + std::hash::Hash>(
    mut config: Config<S>,
    bit: u128,
    open: &mut Table<S>,
    done: &mut Table<S>,
    meter: &mut Meter,
    held: u64,
) -> Result<(), Exhausted> {
    if config.linear & bit == 0 {
        return open.insert(config, meter, held + done.bytes());
    }
    config.linear &= !bit;
    done.insert(config, meter, held + open.bytes())
}
