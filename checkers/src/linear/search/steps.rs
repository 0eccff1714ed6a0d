//! What can have happened before an operation returns: one more effect after another.

use super::frontier::Config;
use super::trail::Used;
use super::{CLASSES_ASKED, Flight, Search, bits};
use crate::linear::model::{Entry, Model, NEVER};

/// Who makes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mover {
    Slot(usize),
    Class(u32),
}

/// What a blind call in flight, or of a class, would do: it does not depend on the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlindStep {
    mover: Mover,
    call: u32,
    deadline: u32,
    after: u32,
    /// Pure calls in flight that could happen then.
    serves: u128,
    /// Other calls in flight that could.
    enables: u128,
    /// Whether an indeterminate call that is not blind could.
    enables_class: bool,
}

impl<M: Model> Search<'_, M> {
    /// Which classes to use before an operation returns. What matters neither to it, nor to anything in flight, nor to another
    /// that is used, can as well come later, when it does, or never.
    pub(super) fn find_worthwhile(&mut self, returning: usize) {
        self.worthwhile.clear();
        if !self.model.is_local() {
            self.worthwhile.extend_from_slice(&self.active);
            return;
        }
        let in_flight = bits(self.pending).map(|slot| self.slots[slot].call);
        let mut open: Vec<u32> = in_flight.collect();
        let next = self.call(self.slots[returning].call);
        let (mut left, mut found) = (self.active.clone(), Vec::new());
        while let Some(other) = open.pop() {
            let other = self.call(other);
            left.retain(|number| {
                let call = self.classes[*number as usize].call;
                let matters = self.model.matters(self.call(call), other);
                if matters && self.model.may_precede(self.call(call), next) {
                    found.push(*number);
                    open.push(call);
                }
                !matters
            });
        }
        found.sort_unstable();
        self.worthwhile = found;
    }

    /// What each blind call would do now.
    pub(super) fn blind_steps(&mut self) -> Vec<BlindStep> {
        let Some(any) = self.open.configs.first().map(|config| config.state) else {
            return Vec::new();
        };
        let slots = bits(self.pending & self.blind).map(|slot| {
            let Flight { call, ret, .. } = self.slots[slot];
            (Mover::Slot(slot), call, ret)
        });
        let classes = self.active.iter().map(|number| {
            let class = self.classes[*number as usize];
            (Mover::Class(*number), class.call, NEVER)
        });
        let movers: Vec<(Mover, u32, u32)> = slots.chain(classes).collect();
        let others = self.classes_that_are_not_blind();
        let mut steps = Vec::new();
        for (mover, number, deadline) in movers {
            let call = self.call(number);
            let is_blind = match mover {
                Mover::Slot(_) => true,
                Mover::Class(_) => self.model.is_blind(call),
            };
            if !is_blind {
                continue;
            }
            let Some(after) = self.states.step(any, number, call) else {
                debug_assert!(false, "a blind call can happen in every state: {call:?}");
                continue;
            };
            let mut step = BlindStep {
                mover,
                call: number,
                deadline,
                after,
                serves: 0,
                enables: 0,
                enables_class: false,
            };
            for slot in bits(self.pending & !self.blind) {
                let other = self.slots[slot].call;
                let call = self.call(other);
                match self.states.step(after, other, call) {
                    Some(_) if self.pure >> slot & 1 != 0 => step.serves |= 1 << slot,
                    Some(_) => step.enables |= 1 << slot,
                    None => {}
                }
            }
            step.enables_class = others.len() > CLASSES_ASKED
                || others.iter().any(|number| {
                    let next = self.states.step(after, *number, self.call(*number));
                    next.is_some_and(|next| next != after)
                });
            steps.push(step);
        }
        steps
    }

    /// The calls of the indeterminate ones that are not blind, of which there is something to use.
    fn classes_that_are_not_blind(&self) -> Vec<u32> {
        let calls = self
            .active
            .iter()
            .map(|class| self.classes[*class as usize].call);
        calls
            .filter(|number| !self.model.is_blind(self.call(*number)))
            .collect()
    }

    /// Puts every configuration that one more effect leads to where it belongs, if it is worth following.
    pub(super) fn expand(&mut self, config: &Config, returning: usize, blinds: &[BlindStep]) {
        if !config.idle {
            for step in blinds {
                self.expand_blind(config, returning, step, blinds);
            }
        }
        for slot in bits(self.pending & !config.done & !self.pure & !self.blind) {
            let Flight { entry, call, .. } = self.slots[slot];
            let Some(state) = self.states.step(config.state, call, self.call(call)) else {
                continue;
            };
            if state == config.state && slot != returning {
                continue; // It is optional already.
            }
            let Entry {
                operation, certain, ..
            } = self.entries[entry as usize];
            let trail = match certain {
                true => config.trail,
                false => self.traced(config.trail, Used::Entry(entry)),
            };
            let mut next = Config {
                state,
                idle: false,
                by: operation,
                trail,
                ..*config
            };
            next.done |= 1 << slot;
            next.optional &= !(1 << slot);
            self.reach(next, returning);
        }
        for at in 0..self.worthwhile.len() {
            let number = self.worthwhile[at];
            let class = self.classes[number as usize];
            let call = self.call(class.call);
            if self.uses.count(config.used, number) >= class.invoked || self.model.is_blind(call) {
                continue;
            }
            match self.states.step(config.state, class.call, call) {
                // A call that changes nothing, and that nobody waits for, is the same as one that never happened.
                Some(state) if state != config.state => {
                    let used = self.uses.one_more(config.used, number);
                    let trail = self.traced(config.trail, Used::Class(number));
                    self.reach(
                        Config {
                            state,
                            used,
                            trail,
                            idle: false,
                            by: class.operation,
                            ..*config
                        },
                        returning,
                    );
                }
                _ => {}
            }
        }
    }

    fn expand_blind(
        &mut self,
        config: &Config,
        returning: usize,
        step: &BlindStep,
        all: &[BlindStep],
    ) {
        if !self.can_move(config, step)
            || step.after == config.state && step.mover != Mover::Slot(returning)
        {
            return;
        }
        let serves = step.serves & !config.done != 0;
        let useful = serves || step.enables & !config.done != 0 || step.enables_class;
        if step.mover != Mover::Slot(returning) {
            // Of equal calls, the one that can wait least goes first.
            let sooner = |other: &BlindStep| {
                other.call == step.call
                    && other.deadline < step.deadline
                    && self.can_move(config, other)
            };
            if !useful || all.iter().any(sooner) {
                return;
            }
        }
        let mut next = Config {
            state: step.after,
            idle: !serves,
            ..*config
        };
        match step.mover {
            Mover::Slot(slot) => {
                next.done |= 1 << slot;
                next.optional &= !(1 << slot);
                next.by = self.entries[self.slots[slot].entry as usize].operation;
            }
            Mover::Class(class) => {
                next.used = self.uses.one_more(config.used, class);
                next.trail = self.traced(config.trail, Used::Class(class));
                next.by = self.classes[class as usize].operation;
            }
        }
        // Whatever is overwritten can have happened just before.
        next.optional |= self.pending & self.blind & !next.done;
        self.reach(next, returning);
    }

    fn can_move(&self, config: &Config, step: &BlindStep) -> bool {
        match step.mover {
            Mover::Slot(slot) => config.done >> slot & 1 == 0,
            Mover::Class(class) => {
                self.uses.count(config.used, class) < self.classes[class as usize].invoked
            }
        }
    }

    /// Takes in a configuration: done if the returning operation took effect, open if it can still.
    fn reach(&mut self, mut next: Config, returning: usize) {
        let bit = 1u128 << returning;
        let waiting = self.pending & !next.done & !(next.optional & !self.pure);
        let mut without_trace = false;
        for slot in bits(waiting) {
            let number = self.slots[slot].call;
            if self.states.step(next.state, number, self.call(number)) == Some(next.state) {
                if self.pure >> slot & 1 != 0 {
                    next.done |= 1 << slot;
                } else {
                    next.optional |= 1 << slot;
                    without_trace |= slot == returning;
                }
            }
        }
        if next.done & bit != 0 || without_trace {
            let done = next.without(bit);
            self.done.insert(done, self.pure & !bit, &self.uses);
        }
        if next.done & bit == 0 {
            self.open.insert(next, self.pure, &self.uses);
        }
    }
}
