//! Just-in-time linearization (Wing & Gong; Lowe).
//!
//! It walks the lines in order and keeps every configuration (state, which operations in flight took effect, how many
//! indeterminate calls of each class were used) in which the history so far can have happened. Nothing takes effect before
//! it must: only when an operation returns, its effect is made to have happened, by whatever calls have to come before it.
//! No configuration left: the history is not linearizable.
//!
//! What keeps it small:
//! - a pure call in flight that is legal takes effect at once, without branching (waiting could not help);
//! - equal indeterminate calls form a class, and are counted instead of told apart;
//! - what a blind call overwrites can have happened just before it: from then on it is *optional*, done or still to come as
//!   suits best, instead of a choice between the two;
//! - a blind call that serves no other call in flight is not followed: the next blind one would hide it;
//! - where a model says which calls do not matter to each other, an indeterminate one is used only before one to which it does;
//! - of two configurations with the same state, the one whose operations in flight are freer, and that used fewer of each
//!   class, or instead of one that outdoes it, replaces the other.
//!
//! Two configurations are never compared by how *much* took effect: an effect still to come is an asset too.

mod arena;
mod frontier;
mod steps;
mod trail;

use self::arena::{States, UseTable};
use self::frontier::{Config, Frontier, NONE};
use self::trail::Use;
use super::budget::{Exhausted, Meter};
use super::model::{Entry, Model, NEVER};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Operations of one object in flight at once, at most: the bits of a mask.
pub(super) const SLOTS: usize = 128;

/// States and uses that nobody refers to are thrown away when there are more than this, and four times as many as
/// configurations.
const KEPT: usize = 4096;

/// Whether a blind call enables any of more classes than this is not asked, but assumed.
const CLASSES_ASKED: usize = 64;

/// How many configurations are followed at first, and then. What so few find is an order, and that is a proof; only where
/// they find none is it told whether there is none at all.
const WIDTHS: [usize; 4] = [16, 256, 4096, usize::MAX];

/// Where few are followed, a return is left behind when so many times as many have been found after it.
const ENOUGH: usize = 4;

/// How a search ended.
#[derive(Debug)]
pub(super) enum Outcome<M: Model> {
    /// There is a legal order.
    Legal,
    /// There is none.
    Illegal(Stuck<M>),
    /// The budget ended first, at the line with this index.
    Exhausted(Exhausted, u32),
    /// It would find nothing before the line that was given as the end.
    Late,
}

/// Where no configuration was left.
#[derive(Debug)]
pub(super) struct Stuck<M: Model> {
    /// Place, among the entries, of the operation whose return emptied the set.
    pub(super) entry: usize,
    /// All that could have happened before: none of them lets the operation happen.
    pub(super) last: Vec<Start<M>>,
    /// The last line before that at which no completed operation was in flight, if any came after the first.
    pub(super) quiet: Option<u32>,
}

/// A way in which a history can begin, or go on where no completed operation is in flight.
#[derive(Debug)]
pub(super) struct Start<M: Model> {
    /// The object's state.
    pub(super) state: M::State,
    /// How many indeterminate calls have been used.
    pub(super) used: Vec<(M::Call, u32)>,
    /// The operation that last changed the state.
    pub(super) by: Option<u32>,
}

// Derived, it would ask that the model itself can be cloned.
impl<M: Model> Clone for Start<M> {
    fn clone(&self) -> Start<M> {
        Start {
            state: self.state.clone(),
            used: self.used.clone(),
            by: self.by,
        }
    }
}

impl<M: Model> Start<M> {
    pub(super) fn new(state: M::State) -> Start<M> {
        Start {
            state,
            used: Vec::new(),
            by: None,
        }
    }
}

/// An operation in flight: one that took effect by the time it returns, or one that can do so until then.
#[derive(Debug, Clone, Copy)]
struct Flight {
    entry: u32,
    call: u32,
    ret: u32,
}

/// Equal indeterminate calls without an end.
#[derive(Debug, Clone, Copy)]
struct Class {
    call: u32,
    /// One operation of the class.
    operation: u32,
    /// How many may take effect by now.
    invoked: u32,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    index: u32,
    entry: u32,
    returns: bool,
}

/// One object's entries, with the classes of indeterminate calls.
pub(super) struct Search<'m, M: Model> {
    model: &'m M,
    entries: &'m [Entry<M::Call>],
    /// The different calls: an entry of each.
    calls: Vec<u32>,
    /// By entry: the number of its call; of its class, if it is indeterminate.
    call_of: Vec<u32>,
    classes: Vec<Class>,
    /// The classes of which there is something to use, in order.
    active: Vec<u32>,
    /// Those of them that are worth using before the operation that returns.
    worthwhile: Vec<u32>,
    states: States<'m, M>,
    uses: UseTable,
    slots: Vec<Flight>,
    /// Slots in use; of pure calls; of blind ones.
    pending: u128,
    pure: u128,
    blind: u128,
    frontier: Frontier,
    open: Frontier,
    done: Frontier,
    /// At most so many configurations are followed; whether there were ever more.
    width: usize,
    narrow: bool,
    /// Uses of indeterminate calls, where they are written down.
    trail: Option<Vec<Use>>,
    /// The line that is being taken.
    now: u32,
}

/// Places of configurations, by what they have used.
type Queue = BinaryHeap<Reverse<(u32, usize)>>;

fn bits(mut mask: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            slot
        })
    })
}

/// By class of indeterminate calls: the one that outdoes it, if any does. Blind calls are few where values are few.
fn outdone_by<M: Model>(
    model: &M,
    entries: &[Entry<M::Call>],
    calls: &[u32],
    classes: &[Class],
) -> Vec<Option<u32>> {
    let call = |class: &Class| &entries[calls[class.call as usize] as usize].call;
    let blinds: Vec<u32> = (0..classes.len() as u32)
        .filter(|class| model.is_blind(call(&classes[*class as usize])))
        .collect();
    if blinds.len() > CLASSES_ASKED {
        return Vec::new();
    }
    let of = |class: &Class| {
        let outdoes = |blind: &u32| model.outdoes(call(&classes[*blind as usize]), call(class));
        blinds.iter().copied().find(outdoes)
    };
    classes.iter().map(of).collect()
}

impl<'m, M: Model> Search<'m, M> {
    /// A search over these entries.
    pub(super) fn new(model: &'m M, entries: &'m [Entry<M::Call>]) -> Search<'m, M> {
        let mut numbers: FxHashMap<&M::Call, u32> = FxHashMap::default();
        let mut calls: Vec<u32> = Vec::new();
        let mut number = |place: usize| {
            *numbers.entry(&entries[place].call).or_insert_with(|| {
                calls.push(place as u32);
                calls.len() as u32 - 1
            })
        };
        let mut class_numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let mut classes: Vec<Class> = Vec::new();
        let mut call_of = Vec::with_capacity(entries.len());
        for (place, entry) in entries.iter().enumerate() {
            let call = number(place);
            if !entry.is_endless() {
                call_of.push(call);
                continue;
            }
            let class = class_numbers.entry(call).or_insert_with(|| {
                classes.push(Class {
                    call,
                    operation: entry.operation,
                    invoked: 0,
                });
                classes.len() as u32 - 1
            });
            call_of.push(*class);
        }
        let states = States::new(model, calls.len());
        let outdone_by = outdone_by(model, entries, &calls, &classes);
        Search {
            model,
            entries,
            calls,
            call_of,
            classes,
            active: Vec::new(),
            worthwhile: Vec::new(),
            states,
            uses: UseTable::new(outdone_by),
            slots: Vec::new(),
            pending: 0,
            pure: 0,
            blind: 0,
            frontier: Frontier::default(),
            open: Frontier::default(),
            done: Frontier::default(),
            width: usize::MAX,
            narrow: false,
            trail: None,
            now: 0,
        }
    }

    /// Runs from the given starts to the end, or to where another search, which shares `end`, has found something earlier.
    pub(super) fn run(
        &mut self,
        starts: &[Start<M>],
        meter: &mut Meter,
        end: &AtomicU32,
    ) -> Outcome<M> {
        let lines = self.lines();
        for width in WIDTHS {
            self.width = width;
            let outcome = self.walk(&lines, starts, meter, end);
            if !(self.narrow && matches!(outcome, Outcome::Illegal(_))) {
                return outcome;
            }
        }
        unreachable!("the last width is none")
    }

    /// Once through all lines.
    fn walk(
        &mut self,
        lines: &[Line],
        starts: &[Start<M>],
        meter: &mut Meter,
        end: &AtomicU32,
    ) -> Outcome<M> {
        self.begin(starts);
        let mut quiet = None;
        for line in lines {
            if line.index > end.load(Ordering::Relaxed) {
                return Outcome::Late;
            }
            match self.take(*line, meter) {
                Err(why) => return Outcome::Exhausted(why, line.index),
                Ok(false) => {
                    let last = self.open.alive().map(|config| self.start(config)).collect();
                    return Outcome::Illegal(Stuck {
                        entry: line.entry as usize,
                        last,
                        quiet,
                    });
                }
                Ok(true) if line.returns && self.pending == 0 => quiet = Some(line.index),
                Ok(true) => {}
            }
        }
        Outcome::Legal
    }

    /// The configurations after the line with this index, in a history that is legal up to there, and of which no completed
    /// operation is in flight then.
    pub(super) fn run_to(
        &mut self,
        index: u32,
        starts: &[Start<M>],
        meter: &mut Meter,
    ) -> Option<Vec<Start<M>>> {
        self.begin(starts);
        let lines = self.lines().into_iter();
        for line in lines.take_while(|line| line.index <= index) {
            if !self.take(line, meter).ok()? {
                return None;
            }
        }
        Some(
            self.frontier
                .alive()
                .map(|config| self.start(config))
                .collect(),
        )
    }

    fn begin(&mut self, starts: &[Start<M>]) {
        self.narrow = false;
        if let Some(uses) = &mut self.trail {
            uses.clear();
        }
        self.frontier.clear();
        self.active.clear();
        (self.pending, self.pure, self.blind) = (0, 0, 0);
        for class in &mut self.classes {
            class.invoked = 0;
        }
        for start in starts {
            let state = self.states.id(start.state.clone());
            let mut used = Vec::new();
            for (call, count) in &start.used {
                let same = |class: &Class| self.call(class.call) == call;
                if let Some(class) = self.classes.iter().position(same) {
                    used.push((class as u32, *count));
                }
            }
            used.sort_unstable();
            let used = self.uses.id(used.into());
            let config = Config::new(state, used, start.by.unwrap_or(NONE));
            self.frontier.insert(config, 0, &self.uses);
        }
    }

    fn start(&self, config: &Config) -> Start<M> {
        let used = self.uses.get(config.used).iter().map(|(class, count)| {
            let class = &self.classes[*class as usize];
            (self.call(class.call).clone(), *count)
        });
        Start {
            state: self.states.get(config.state).clone(),
            used: used.collect(),
            by: (config.by != NONE).then_some(config.by),
        }
    }

    fn call(&self, number: u32) -> &'m M::Call {
        &self.entries[self.calls[number as usize] as usize].call
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::with_capacity(2 * self.entries.len());
        for (place, entry) in self.entries.iter().enumerate() {
            let line = |index, returns| Line {
                index,
                entry: place as u32,
                returns,
            };
            lines.push(line(entry.inv, false));
            if entry.ret != NEVER {
                lines.push(line(entry.ret, true));
            }
        }
        lines.sort_unstable_by_key(|line| (line.index, line.entry));
        lines
    }

    /// Takes the next line. Whether any configuration is left.
    fn take(&mut self, line: Line, meter: &mut Meter) -> Result<bool, Exhausted> {
        self.now = line.index;
        if line.returns {
            return self.close(line.entry, meter);
        }
        if self.entries[line.entry as usize].is_endless() {
            self.open_class(self.call_of[line.entry as usize]);
            return Ok(true);
        }
        self.invoke(line.entry).map(|()| true)
    }

    fn open_class(&mut self, class: u32) {
        let invoked = &mut self.classes[class as usize].invoked;
        *invoked += 1;
        if *invoked == 1 {
            let at = self.active.partition_point(|other| *other < class);
            self.active.insert(at, class);
        }
    }

    fn invoke(&mut self, entry: u32) -> Result<(), Exhausted> {
        let number = self.call_of[entry as usize];
        let call = self.call(number);
        let slot = (!self.pending).trailing_zeros() as usize;
        if slot >= SLOTS {
            return Err(Exhausted::InFlight(SLOTS));
        }
        let flight = Flight {
            entry,
            call: number,
            ret: self.entries[entry as usize].ret,
        };
        match self.slots.get_mut(slot) {
            Some(free) => *free = flight,
            None => self.slots.push(flight),
        }
        let bit = 1 << slot;
        self.pending |= bit;
        let pure = self.model.is_pure(call);
        if pure {
            self.pure |= bit;
        } else if self.model.is_blind(call) {
            self.blind |= bit;
        }
        let certain = self.entries[entry as usize].certain;
        for config in &mut self.frontier.configs {
            if !certain {
                config.optional |= bit;
            } else if self.states.step(config.state, number, call) == Some(config.state) {
                if pure {
                    config.done |= bit;
                } else {
                    config.optional |= bit;
                }
            }
        }
        Ok(())
    }

    /// Lets an entry return: its effect has happened, or never will, in every configuration that is kept.
    fn close(&mut self, entry: u32, meter: &mut Meter) -> Result<bool, Exhausted> {
        let slot = bits(self.pending)
            .find(|slot| self.slots[*slot].entry == entry)
            .expect("it was invoked before");
        self.open.clear();
        self.done.clear();
        let mut frontier = std::mem::take(&mut self.frontier);
        let result = self.close_slot(slot, &frontier, meter);
        frontier.clear();
        self.frontier = std::mem::replace(&mut self.done, frontier);
        result?;
        self.pending &= !(1 << slot);
        self.pure &= self.pending;
        self.blind &= self.pending;
        let any = !self.frontier.configs.is_empty();
        if any {
            // Where nothing is left, what was open is still to be told of.
            self.tidy();
        }
        Ok(any)
    }

    fn close_slot(
        &mut self,
        slot: usize,
        from: &Frontier,
        meter: &mut Meter,
    ) -> Result<(), Exhausted> {
        let bit = 1u128 << slot;
        let (pure, others) = (self.pure, from.bytes());
        meter.visit()?;
        for config in from.alive() {
            if (config.done | config.optional) & bit != 0 {
                self.done
                    .insert(config.without(bit), pure & !bit, &self.uses);
            }
            if config.done & bit == 0 {
                self.open.insert(*config, pure, &self.uses);
            }
        }
        if self.open.configs.is_empty() {
            return Ok(());
        }
        self.find_worthwhile(slot);
        let blinds = self.blind_steps();
        // Those that used least come first: they make most of the others superfluous.
        let (mut queue, mut queued) = (Queue::default(), 0);
        loop {
            for (place, config) in self.open.configs.iter().enumerate().skip(queued) {
                queue.push(Reverse((self.worth(config), place)));
            }
            queued = self.open.configs.len();
            let Some(Reverse((_, place))) = queue.pop() else {
                return Ok(());
            };
            let config = self.open.configs[place];
            if config.dominated {
                continue;
            }
            if self.done.configs.len() / ENOUGH >= self.width {
                self.narrow = true;
                return Ok(());
            }
            meter.visit()?;
            self.expand(&config, slot, &blinds);
            meter.hold((others + self.bytes()) as u64)?;
        }
    }

    /// What a configuration has used. A blind call counts twice: what it leads to, it leads to from every state.
    fn worth(&self, config: &Config) -> u32 {
        let worth = |class: u32| {
            let call = self.call(self.classes[class as usize].call);
            1 + u32::from(self.model.is_blind(call))
        };
        let uses = self.uses.get(config.used).iter();
        uses.map(|(class, count)| worth(*class) * count).sum()
    }

    fn bytes(&self) -> usize {
        let trail = self.trail.as_ref().map_or(0, Vec::capacity) * size_of::<Use>();
        self.open.bytes() + self.done.bytes() + self.states.bytes() + self.uses.bytes() + trail
    }

    /// Leaves out what is too much to follow, and throws away the states and uses that no configuration refers to any more.
    fn tidy(&mut self) {
        if self.frontier.configs.len() > self.width {
            self.leave_out();
        }
        let kept = KEPT.max(4 * self.frontier.configs.len());
        if self.states.len() > kept {
            self.states.keep(
                self.frontier
                    .configs
                    .iter_mut()
                    .map(|config| &mut config.state),
            );
            self.rehash();
        }
        if self.uses.len() > kept {
            self.uses.keep(
                self.frontier
                    .configs
                    .iter_mut()
                    .map(|config| &mut config.used),
            );
        }
    }

    /// Follows only those that used least.
    fn leave_out(&mut self) {
        let mut configs: Vec<Config> = self.frontier.alive().copied().collect();
        if configs.len() > self.width {
            self.narrow = true;
            configs.sort_by_cached_key(|config| self.worth(config));
            configs.truncate(self.width);
        }
        self.frontier.clear();
        for config in configs {
            self.frontier.insert(config, self.pure, &self.uses);
        }
    }

    fn rehash(&mut self) {
        let configs: Vec<Config> = self.frontier.alive().copied().collect();
        self.frontier.clear();
        for config in configs {
            self.frontier.insert(config, self.pure, &self.uses);
        }
    }
}
