//! Keys that retire: a few are worked on at a time, and each is replaced by a fresh one before checking it gets dear.
//!
//! Slot s of k holds the keys s, s + k, s + 2k, … one after the other, so that a key's number does not depend on when
//! other slots' keys retired.

use std::sync::{Mutex, MutexGuard};

/// When a key retires.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// After this many operations.
    pub operations: u64,
    /// After this many indeterminate operations.
    pub indeterminate: u64,
}

/// What the workers know about a key's znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nobody has made it yet; whoever draws this must try.
    Absent,
    /// Somebody is about to make it.
    Claimed,
    /// It has been seen.
    Present,
}

/// A key drawn from a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// The key's number.
    pub number: u64,
    /// What was known about it when it was drawn.
    pub presence: Presence,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    operations: u64,
    indeterminate: u64,
    presence: Presence,
}

/// The slots of a workload, shared by its workers.
#[derive(Debug)]
pub(crate) struct Slots {
    limits: Limits,
    slots: Mutex<Vec<Slot>>,
}

impl Slots {
    /// `count` slots (at least one), each with its first key.
    pub(crate) fn new(count: u64, limits: Limits) -> Slots {
        let slots = (0..count.max(1)).map(Slot::fresh).collect();
        Slots {
            limits,
            slots: Mutex::new(slots),
        }
    }

    /// How many slots there are.
    pub(crate) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Takes one operation on a slot's key; a key whose time has come retires first.
    pub(crate) fn draw(&self, slot: u64) -> Drawn {
        let mut slots = self.lock();
        let count = slots.len() as u64;
        let slot = &mut slots[(slot % count) as usize];
        if slot.operations >= self.limits.operations
            || slot.indeterminate >= self.limits.indeterminate
        {
            *slot = Slot::fresh(slot.number + count);
        }
        slot.operations += 1;
        let drawn = Drawn {
            number: slot.number,
            presence: slot.presence,
        };
        if slot.presence == Presence::Absent {
            slot.presence = Presence::Claimed;
        }
        drawn
    }

    /// Takes one operation on a key whose znode has been seen: this slot's, or that of the first slot after it. A key is
    /// not retired for that, for then somebody would have to make the next one.
    pub(crate) fn draw_present(&self, slot: u64) -> Option<u64> {
        let mut slots = self.lock();
        let count = slots.len() as u64;
        let mut from_here_on = (slot..slot + count).map(|slot| (slot % count) as usize);
        let index = from_here_on.find(|&index| slots[index].presence == Presence::Present)?;
        slots[index].operations += 1;
        Some(slots[index].number)
    }

    /// The key's znode has been seen.
    pub(crate) fn present(&self, number: u64) {
        self.update(number, |slot| slot.presence = Presence::Present);
    }

    /// Whoever was about to make the key's znode did not, or cannot tell: somebody must try again.
    pub(crate) fn not_made(&self, number: u64) {
        self.update(number, |slot| {
            if slot.presence == Presence::Claimed {
                slot.presence = Presence::Absent;
            }
        });
    }

    /// An operation on the key was indeterminate.
    pub(crate) fn indeterminate(&self, number: u64) {
        self.update(number, |slot| slot.indeterminate += 1);
    }

    /// The numbers of all keys that were ever drawn, in order.
    pub(crate) fn used(&self) -> Vec<u64> {
        let slots = self.lock();
        let count = slots.len() as u64;
        let mut used: Vec<u64> = slots
            .iter()
            .flat_map(|slot| {
                let first = slot.number % count;
                let end = slot.number + u64::from(slot.operations > 0);
                (first..end).step_by(slots.len())
            })
            .collect();
        used.sort_unstable();
        used
    }

    /// Changes the slot that holds this key; nothing if the key has retired.
    fn update(&self, number: u64, change: impl FnOnce(&mut Slot)) {
        let mut slots = self.lock();
        let index = (number % slots.len() as u64) as usize;
        if slots[index].number == number {
            change(&mut slots[index]);
        }
    }

    /// Every change is one assignment, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Slot {
    fn fresh(number: u64) -> Slot {
        Slot {
            number,
            operations: 0,
            indeterminate: 0,
            presence: Presence::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        operations: 3,
        indeterminate: 2,
    };

    #[test]
    fn the_first_to_draw_a_key_makes_it_and_another_tries_again_if_that_failed() {
        let slots = Slots::new(2, LIMITS);
        assert_eq!(
            slots.draw(1),
            Drawn {
                number: 1,
                presence: Presence::Absent
            }
        );
        assert_eq!(
            slots.draw(1),
            Drawn {
                number: 1,
                presence: Presence::Claimed
            }
        );
        slots.not_made(1);
        assert_eq!(
            slots.draw(1),
            Drawn {
                number: 1,
                presence: Presence::Absent
            }
        );
    }

    #[test]
    fn a_key_retires_after_its_operations_and_late_news_of_it_is_ignored() {
        let slots = Slots::new(2, LIMITS);
        for _ in 0..3 {
            assert_eq!(slots.draw(0).number, 0);
        }
        assert_eq!(slots.draw(0).number, 2);
        slots.present(0);
        assert_eq!(slots.draw(0).presence, Presence::Claimed);
        assert_eq!(slots.used(), [0, 2]);
    }

    #[test]
    fn a_key_retires_after_its_indeterminate_operations() {
        let slots = Slots::new(2, LIMITS);
        slots.draw(1);
        slots.indeterminate(1);
        slots.indeterminate(1);
        assert_eq!(slots.draw(1).number, 3);
    }
}
