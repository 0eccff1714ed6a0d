//! Counters: a sum of what was added, as reads saw it.
//!
//! A read saw what was added for certain before it, and perhaps some of what was added around it: its value lies between two
//! bounds. Sound for any steps, also downwards.
//!
//! Where all steps are equal the value tells how many adds came before, and it is exact: reads in the order of their values
//! must agree with real time; between two values just as many adds are needed as they are apart, of those that began before
//! the first later read returned, the ones that return first; and none that remains may have returned before the last read so
//! far began. An add that tells the value it made stands at its place among the reads. Adds of unknown outcome return last.

use super::{FOREVER, Span, earlier, zones};
use crate::linear::{Contradiction, Quick};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A call to a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// An add of this much.
    Add(i64),
    /// A read that saw this.
    Saw(i64),
    /// An add of this much that told the value it made.
    Made {
        /// How much.
        step: i64,
        /// The value after it.
        value: i64,
    },
}

const UNEQUAL: &str = "steps of different sizes";

/// Judges a counter that begins with this value.
pub(crate) fn judge(operations: &[(Counted, Span)], initial: i64) -> Quick {
    if let Some(found) = out_of_bounds(operations, initial) {
        return Quick::Illegal(found);
    }
    let steps = operations.iter().filter_map(|(counted, _)| match counted {
        Counted::Add(step) | Counted::Made { step, .. } => Some(*step),
        Counted::Saw(_) => None,
    });
    let mut sizes = steps.filter(|step| *step != 0);
    let Some(size) = sizes.next() else {
        // Nothing ever changed, and the bounds were exact.
        return Quick::Legal;
    };
    if sizes.any(|step| step != size) {
        return Quick::Open(UNEQUAL);
    }
    Steps::new(operations, initial, size).map_or_else(Quick::Illegal, Steps::judge)
}

/// The value that a call saw, with what its own step put before it.
fn seen(counted: Counted) -> Option<i128> {
    match counted {
        Counted::Saw(value) | Counted::Made { value, .. } => Some(value.into()),
        Counted::Add(_) => None,
    }
}

/// A value that cannot be made from what may have been added by then.
fn out_of_bounds(operations: &[(Counted, Span)], initial: i64) -> Option<Contradiction> {
    let step = |counted: Counted| match counted {
        Counted::Add(step) | Counted::Made { step, .. } => i128::from(step),
        Counted::Saw(_) => 0,
    };
    // At an add's return it becomes certain, at its invocation possible.
    let mut lines: Vec<(u64, usize, bool)> = Vec::with_capacity(2 * operations.len());
    for (at, (_, span)) in operations.iter().enumerate() {
        lines.push((span.inv, at, false));
        lines.push((span.ret, at, true));
    }
    lines.sort_unstable();
    let (mut certain, mut up, mut down) = (i128::from(initial), 0, 0);
    let (mut downs_ended, mut ups_ended) = (0, 0);
    // What a call knows at its invocation: what was certain then, and what could have been.
    let mut before: Vec<(i128, i128, i128)> = vec![(0, 0, 0); operations.len()];
    let mut found = None;
    for (line, at, returns) in lines {
        let counted = operations[at].0;
        let size = step(counted);
        if !returns {
            before[at] = (certain, ups_ended, downs_ended);
            if size > 0 {
                up += size
            } else {
                down += size
            }
            continue;
        }
        if line == FOREVER {
            break;
        }
        if let Some(value) = seen(counted) {
            let (sure, ups_before, downs_before) = before[at];
            // Its own step took place before the value that it made.
            let (own_up, own_down) = (size.max(0), size.min(0));
            let most = sure + size + (up - own_up - ups_before);
            let least = sure + size + (down - own_down - downs_before);
            if value > most || value < least {
                earlier(&mut found, beyond(operations[at], value, least, most));
            }
        }
        certain += size;
        if size > 0 {
            ups_ended += size
        } else {
            downs_ended += size
        }
    }
    found
}

fn beyond((_, span): (Counted, Span), value: i128, least: i128, most: i128) -> Contradiction {
    let bounds = match least == most {
        true => format!("it was {least} all the while"),
        false => format!("it was between {least} and {most} all the while"),
    };
    let text = format!("the value {value} was seen, and {bounds}");
    zones(text, vec![span.operation], span.ret)
}

/// Operations that saw the same number of steps.
struct Group {
    /// How many steps came before.
    count: u64,
    first_ret: (u64, u32),
    last_inv: (u64, u32),
    /// How many of these steps are its own: 1 for an add that told its value.
    own: u64,
}

struct Steps {
    /// By count; an add that told its value before the reads of it.
    groups: Vec<Group>,
    /// By invocation.
    adds: Vec<Span>,
}

impl Steps {
    fn new(
        operations: &[(Counted, Span)],
        initial: i64,
        size: i64,
    ) -> Result<Steps, Contradiction> {
        let mut saw: Vec<(u64, bool, Span)> = Vec::new();
        let mut adds = Vec::new();
        for (counted, span) in operations {
            let value = match counted {
                Counted::Add(0) => continue,
                Counted::Add(_) => {
                    adds.push(*span);
                    continue;
                }
                Counted::Saw(value) | Counted::Made { value, .. } => *value,
            };
            let own = matches!(counted, Counted::Made { step, .. } if *step != 0);
            let away = i128::from(value) - i128::from(initial);
            match u64::try_from(away / i128::from(size)) {
                Ok(count) if away % i128::from(size) == 0 && count >= u64::from(own) => {
                    saw.push((count, !own, *span));
                }
                _ => {
                    let text = format!(
                        "the value {value} was seen, and no number of steps of {size} makes it from {initial}"
                    );
                    return Err(zones(text, vec![span.operation], span.ret));
                }
            }
        }
        saw.sort_unstable_by_key(|(count, reads, span)| (*count, *reads, span.inv));
        adds.sort_unstable_by_key(|add| add.inv);
        let mut groups: Vec<Group> = Vec::new();
        for same in saw.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (count, reads, _) = same[0];
            if let ([.., (_, _, one), (_, _, other)], false) = (same, reads) {
                let text = format!("two adds made the same value, the one after {count} steps");
                let operations = vec![one.operation, other.operation];
                return Err(zones(text, operations, one.ret.max(other.ret)));
            }
            groups.push(Group::of(
                count,
                u64::from(!reads),
                same.iter().map(|(_, _, span)| span),
            ));
        }
        Ok(Steps { groups, adds })
    }

    fn judge(self) -> Quick {
        let disorder = self.disorder();
        match disorder.or_else(|| self.miscounted()) {
            Some(found) => Quick::Illegal(found),
            None => Quick::Legal,
        }
    }

    /// A higher value that was seen before a lower one.
    fn disorder(&self) -> Option<Contradiction> {
        let mut latest: Option<(u64, u32)> = None;
        for group in &self.groups {
            if let Some((_, by)) = latest.filter(|(inv, _)| group.first_ret.0 < *inv) {
                let text = "a higher value was seen, and then a lower one".to_owned();
                return Some(zones(
                    text,
                    vec![group.first_ret.1, by],
                    latest.map_or(0, |latest| latest.0),
                ));
            }
            latest = latest.max(Some(group.last_inv));
        }
        None
    }

    /// Too few adds, or too many, between two values.
    fn miscounted(&self) -> Option<Contradiction> {
        let mut deadline = vec![(FOREVER, 0); self.groups.len() + 1];
        for (at, group) in self.groups.iter().enumerate().rev() {
            deadline[at] = deadline[at + 1].min(group.first_ret);
        }
        let mut begun: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut by_return: Vec<usize> = (0..self.adds.len()).collect();
        by_return.sort_unstable_by_key(|add| self.adds[*add].ret);
        let mut left = by_return.into_iter().peekable();
        let mut used = vec![false; self.adds.len()];
        let (mut next, mut taken, mut latest) = (0, 0, (0, 0));
        for (at, group) in self.groups.iter().enumerate() {
            while let Some(add) = self.adds.get(next).filter(|add| add.inv < deadline[at].0) {
                begun.push(Reverse((add.ret, next)));
                next += 1;
            }
            for _ in taken..group.count - group.own {
                let Some(Reverse((_, add))) = begun.pop() else {
                    return Some(self.too_few(group, deadline[at]));
                };
                used[add] = true;
            }
            taken = group.count;
            latest = group.last_inv.max(latest);
            // Whatever is left must come later, also what began too late to be counted here.
            while left.next_if(|add| used[*add]).is_some() {}
            if let Some(add) = left.peek().map(|add| self.adds[*add])
                && add.ret < latest.0
            {
                return Some(self.too_many(group, add, latest));
            }
        }
        None
    }

    fn too_few(&self, group: &Group, (line, by): (u64, u32)) -> Contradiction {
        let text = format!(
            "a value after {} steps was seen before so many had begun",
            group.count
        );
        zones(text, vec![by], line)
    }

    fn too_many(&self, group: &Group, add: Span, (line, by): (u64, u32)) -> Contradiction {
        let text = format!(
            "a value after {} steps was seen after more than that were complete",
            group.count
        );
        zones(text, vec![add.operation, by], line)
    }
}

impl Group {
    fn of<'s>(count: u64, own: u64, spans: impl Iterator<Item = &'s Span>) -> Group {
        let mut group = Group {
            count,
            own,
            first_ret: (FOREVER, 0),
            last_inv: (0, 0),
        };
        for span in spans {
            group.first_ret = group.first_ret.min((span.ret, span.operation));
            group.last_inv = group.last_inv.max((span.inv, span.operation));
        }
        group
    }
}
