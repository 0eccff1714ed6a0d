//! Zxids for indeterminate writes that were put in: each needs one of its own that nobody else has.
//!
//! Where each was put in tells between which zxids it may stand; who must be done first gets the least one that is left. Where it matters which of two comes first, the ends of their stretches are put into
//! that order before: then this finds zxids wherever there are any.

use super::call::{Op, Outcome, Zxid};
use super::decode::Decoded;
use super::effect::{Effect, Reach};
use super::replay::{Effects, Rules, answered};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A write that was put in, and the first and the last zxid that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    op: usize,
    from: Zxid,
    to: Zxid,
}

/// What tells between which zxids a write may stand.
pub(super) struct Room<'a, 'h> {
    decoded: &'a Decoded<'h>,
    effects: &'a Effects,
    reach: Reach,
    placed: FxHashMap<usize, Zxid>,
    /// The newest zxid that had been seen by each line.
    answered: Vec<(u64, Zxid)>,
    care: Care,
}

/// After which of the operations before it a write that was put in has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// After all that have to do with its znodes: there it was put in.
    All,
    /// After those that tell whether it had happened, or may tell it, and after refusals of what has to do with its znodes.
    Refusals,
    /// After those that tell whether it had happened, or may tell it.
    Perhaps,
    /// After those that tell it for certain.
    Certain,
}

impl<'a, 'h> Room<'a, 'h> {
    pub(super) fn new(
        decoded: &'a Decoded<'h>,
        rules: Rules,
        effects: &'a Effects,
        care: Care,
    ) -> Self {
        Room {
            decoded,
            effects,
            reach: Reach::of(decoded),
            placed: effects.placed.iter().copied().collect(),
            answered: answered(decoded, rules),
            care,
        }
    }

    /// A zxid for each write that was put in. Of each part: what has a zxid, in that order, and what was put in, in its order, each
    /// before so many of those. None if there is not enough room.
    pub(super) fn make<'p>(
        &self,
        parts: impl Iterator<Item = (&'p [usize], &'p [(usize, usize)])>,
    ) -> Option<Vec<(usize, Zxid)>> {
        let mut wishes: Vec<Wish> = parts
            .flat_map(|(order, put_in)| {
                let wish = |(op, before): &(usize, usize)| self.wish(order, *op, *before);
                put_in.iter().map(wish).collect::<Vec<Wish>>()
            })
            .collect();
        self.put_in_order(&mut wishes);
        first_come(wishes, |zxid| self.effects.is_used(zxid))
    }

    /// Where it matters which of two comes first, the ends of their stretches increase.
    fn put_in_order(&self, wishes: &mut [Wish]) {
        let effect = |wish: &Wish| self.reach.effect(self.decoded, &self.decoded.ops[wish.op]);
        let effects: Vec<Effect> = wishes.iter().map(effect).collect();
        let mut pairs = Vec::new();
        for later in 0..wishes.len() {
            for earlier in 0..later {
                if effects[earlier].meets(&effects[later]) {
                    pairs.push((earlier, later));
                }
            }
        }
        for (earlier, later) in &pairs {
            wishes[*later].from = wishes[*later].from.max(wishes[*earlier].from + 1);
        }
        for (earlier, later) in pairs.iter().rev() {
            wishes[*earlier].to = wishes[*earlier].to.min(wishes[*later].to - 1);
        }
    }

    fn wish(&self, order: &[usize], at: usize, before: usize) -> Wish {
        let op = &self.decoded.ops[at];
        let (seen, end) = self.effects.bounds(self.decoded, at);
        let known = self.answered.partition_point(|(line, _)| *line < op.inv());
        let known = self.answered[..known].last().map_or(0, |(_, zxid)| *zxid);
        let mut from = seen.max(known).max(0) + 1;
        let effect = self.reach.effect(self.decoded, op);
        // It had to be done before this, but not only just: before what has nothing to do with it, it may stand as well.
        for earlier in order[..before].iter().rev() {
            let zxid = self.zxid(*earlier);
            if zxid < from {
                break;
            }
            if !self.is_told(&effect, &self.decoded.ops[*earlier]) {
                continue;
            }
            from = zxid + 1;
            break;
        }
        let next = order.get(before).map_or(Zxid::MAX, |next| {
            let is_look = !self.decoded.ops[*next].took_effect() && !self.placed.contains_key(next);
            // A look sees what was done at its zxid; a write has its zxid for itself.
            self.zxid(*next) - Zxid::from(!is_look)
        });
        Wish {
            op: at,
            from,
            to: next.min(end - 1),
        }
    }

    /// Whether what a write does has its place after an operation before it.
    fn is_told(&self, effect: &Effect, earlier: &Op<'_>) -> bool {
        let mark = || self.reach.mark(self.decoded, earlier);
        let meets = || effect.meets(&self.reach.effect(self.decoded, earlier));
        let is_refused = matches!(earlier.outcome, Outcome::Refused(..));
        match self.care {
            Care::All => meets(),
            Care::Refusals => effect.may_be_told_by(&mark()) || (is_refused && meets()),
            Care::Perhaps => effect.may_be_told_by(&mark()),
            Care::Certain => effect.is_told_by(&mark()),
        }
    }

    fn zxid(&self, at: usize) -> Zxid {
        let placed = self.placed.get(&at).copied();
        placed.or(self.decoded.ops[at].zxid).unwrap_or(0)
    }
}

/// A zxid for each of these, the one that must be done first going first; none if there is not enough room. `is_used` says which
/// zxids others have.
fn first_come(wishes: Vec<Wish>, is_used: impl Fn(Zxid) -> bool) -> Option<Vec<(usize, Zxid)>> {
    let mut waiting: BTreeMap<Zxid, Vec<(Zxid, usize)>> = BTreeMap::new();
    for Wish { op, from, to } in wishes {
        waiting.entry(from).or_default().push((to, op));
    }
    let mut given = Vec::new();
    let mut due: BinaryHeap<Reverse<(Zxid, usize)>> = BinaryHeap::new();
    let mut next = Zxid::MIN;
    loop {
        if due.is_empty() {
            let Some((from, _)) = waiting.first_key_value() else {
                return Some(given);
            };
            next = next.max(*from);
        }
        while let Some(first) = waiting.first_entry().filter(|first| *first.key() <= next) {
            due.extend(first.remove().into_iter().map(Reverse));
        }
        let Some(Reverse((to, op))) = due.peek().copied() else {
            continue;
        };
        if next > to {
            return None;
        }
        if !is_used(next) {
            due.pop();
            given.push((op, next));
        }
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(op: usize, from: Zxid, to: Zxid) -> Wish {
        Wish { op, from, to }
    }

    fn room(wishes: Vec<Wish>, used: &[Zxid]) -> Option<Vec<(usize, Zxid)>> {
        first_come(wishes, |zxid| used.contains(&zxid))
    }

    #[test]
    fn who_must_be_done_first_goes_first() {
        let given = room(vec![wish(0, 1, 9), wish(1, 1, 3)], &[1, 2]);
        assert_eq!(given, Some(vec![(1, 3), (0, 4)]));
    }

    #[test]
    fn one_that_may_only_come_later_waits() {
        let given = room(vec![wish(0, 5, 9), wish(1, 1, 9)], &[6]);
        assert_eq!(given, Some(vec![(1, 1), (0, 5)]));
    }

    #[test]
    fn where_there_is_no_room_nobody_gets_any() {
        assert_eq!(room(vec![wish(0, 1, 2), wish(1, 1, 2)], &[2]), None);
        assert_eq!(room(vec![wish(0, 3, 2)], &[]), None);
        assert_eq!(room(vec![], &[]), Some(vec![]));
    }
}
