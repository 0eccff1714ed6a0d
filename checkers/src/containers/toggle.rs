//! Objects that only ever go to and fro between two ends: a mutex without owners, one element of a set, a semaphore whose
//! permits are taken one by one.
//!
//! Nothing flips before it must. When an operation returns that has not happened yet, it happens then; if the object is in no
//! state for it, one flip of the other kind comes first, and of those in flight the one that returns first is as good as any.
//! That is all there is to choose, so it is exact, also with operations of unknown outcome: they return last of all. (With
//! sights of the ends it is exact only where these are one step apart: otherwise it may be better to turn earlier.)

use super::{FOREVER, Span, zones};
use crate::linear::Quick;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// What an operation does to the object, or saw of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flip {
    /// One step up: an acquire, an add; impossible at the upper end.
    Up,
    /// One step down: a release, a remove; impossible at the lower end.
    Down,
    /// It saw the object at its upper end.
    SawUp,
    /// It saw the object at its lower end.
    SawDown,
}

/// Judges an object with `top` steps between its ends that begins `start` steps up. `why_not` says in a sentence why an
/// operation could not happen.
pub(crate) fn judge(
    operations: &[(Flip, Span)],
    top: u64,
    start: u64,
    why_not: &dyn Fn(Flip) -> String,
) -> Quick {
    match Walk::new(operations, top, start).run() {
        None => Quick::Legal,
        Some(stuck) => Quick::Illegal(zones(
            why_not(operations[stuck.at].0),
            stuck.window,
            operations[stuck.at].1.ret,
        )),
    }
}

struct Stuck {
    /// Place of the operation that could not happen.
    at: usize,
    /// Places, among the history's operations, of those that show it.
    window: Vec<u32>,
}

struct Walk<'a> {
    operations: &'a [(Flip, Span)],
    top: u64,
    level: u64,
    done: Vec<bool>,
    /// Flips in flight that did not happen yet, by return.
    up: BinaryHeap<Reverse<(u64, usize)>>,
    down: BinaryHeap<Reverse<(u64, usize)>>,
    /// Sights in flight that did not happen yet.
    saw_up: Vec<usize>,
    saw_down: Vec<usize>,
    in_flight: usize,
    /// What was invoked since nothing answered was last in flight, and what had brought the object where it was then: what a
    /// witness needs.
    since: Vec<usize>,
    held_then: Vec<usize>,
    holding: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(operations: &'a [(Flip, Span)], top: u64, start: u64) -> Walk<'a> {
        let sights = |flip: Flip| matches!(flip, Flip::SawUp | Flip::SawDown);
        debug_assert!(top == 1 || !operations.iter().any(|(flip, _)| sights(*flip)));
        Walk {
            operations,
            top,
            level: start,
            done: vec![false; operations.len()],
            up: BinaryHeap::new(),
            down: BinaryHeap::new(),
            saw_up: Vec::new(),
            saw_down: Vec::new(),
            in_flight: 0,
            since: Vec::new(),
            held_then: Vec::new(),
            holding: Vec::new(),
        }
    }

    fn run(mut self) -> Option<Stuck> {
        let mut lines: Vec<(u64, usize, bool)> = Vec::with_capacity(2 * self.operations.len());
        for (at, (_, span)) in self.operations.iter().enumerate() {
            lines.push((span.inv, at, false));
            if span.ret != FOREVER {
                lines.push((span.ret, at, true));
            }
        }
        lines.sort_unstable();
        for (_, at, returns) in lines {
            if !returns {
                self.invoke(at);
            } else if !self.close(at) {
                return Some(self.stuck(at));
            }
        }
        None
    }

    fn invoke(&mut self, at: usize) {
        let (flip, span) = &self.operations[at];
        self.since.push(at);
        if span.ret != FOREVER {
            self.in_flight += 1;
        }
        match flip {
            Flip::Up => self.up.push(Reverse((span.ret, at))),
            Flip::Down => self.down.push(Reverse((span.ret, at))),
            Flip::SawUp if self.level == self.top => self.done[at] = true,
            Flip::SawDown if self.level == 0 => self.done[at] = true,
            Flip::SawUp => self.saw_up.push(at),
            Flip::SawDown => self.saw_down.push(at),
        }
    }

    /// Lets an operation return; false if it cannot have happened.
    fn close(&mut self, at: usize) -> bool {
        if !self.done[at] && !self.happen(at) {
            return false;
        }
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.settle();
        }
        true
    }

    fn happen(&mut self, at: usize) -> bool {
        match self.operations[at].0 {
            Flip::Up => {
                if self.level == self.top && !self.flip_down() {
                    return false;
                }
                self.set(at, true);
            }
            Flip::Down => {
                if self.level == 0 && !self.flip_up() {
                    return false;
                }
                self.set(at, false);
            }
            Flip::SawUp => {
                while self.level < self.top {
                    if !self.flip_up() {
                        return false;
                    }
                }
            }
            Flip::SawDown => {
                while self.level > 0 {
                    if !self.flip_down() {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Lets the flip up that returns first happen.
    fn flip_up(&mut self) -> bool {
        while let Some(Reverse((_, at))) = self.up.pop() {
            if !self.done[at] {
                self.set(at, true);
                return true;
            }
        }
        false
    }

    /// Lets the flip down that returns first happen.
    fn flip_down(&mut self) -> bool {
        while let Some(Reverse((_, at))) = self.down.pop() {
            if !self.done[at] {
                self.set(at, false);
                return true;
            }
        }
        false
    }

    fn set(&mut self, at: usize, up: bool) {
        self.done[at] = true;
        if up {
            self.level += 1;
            self.holding.push(at);
        } else {
            self.level -= 1;
            self.holding.pop();
        }
        // A sight at an end happens as soon as it can: waiting could not help.
        if self.level == self.top {
            for at in self.saw_up.drain(..) {
                self.done[at] = true;
            }
        }
        if self.level == 0 {
            for at in self.saw_down.drain(..) {
                self.done[at] = true;
            }
        }
    }

    /// Nothing answered is in flight: what comes depends only on where the object is, and on flips of unknown outcome.
    fn settle(&mut self) {
        self.since.clear();
        self.held_then.clone_from(&self.holding);
    }

    fn stuck(&self, at: usize) -> Stuck {
        let before = self.operations[at].1.ret;
        let may_happen = (0..self.operations.len()).filter(|at| {
            let span = &self.operations[*at].1;
            span.ret == FOREVER && !self.done[*at] && span.inv < before
        });
        let shown = self
            .since
            .iter()
            .chain(&self.held_then)
            .copied()
            .chain(may_happen);
        let window: BTreeSet<u32> = shown
            .chain([at])
            .map(|at| self.operations[at].1.operation)
            .collect();
        Stuck {
            at,
            window: window.into_iter().collect(),
        }
    }
}
