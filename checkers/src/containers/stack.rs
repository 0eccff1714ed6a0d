//! Stacks: last in, first out.
//!
//! A value whose push and pop were in flight together can be pushed and popped at once, on top of anything: it says nothing. The
//! others have a definite interval each, and these unite to *components* with free slots between them, in which the stack can
//! be empty. Within a component some value must lie at the bottom all the time: pushed first and popped last, so its push
//! began before any other had returned, and its pop returned after every other was invoked. If there is one, it may as well
//! be that one: take it away, and its component falls into smaller ones. If there is none, there is no order. Exact without
//! pops of unknown outcome.
//!
//! In n log n: a component is an interval of slots, and its bottom must have begun its push before the interval and ended its
//! pop after it. As components only shrink, each value passes each of the two tests for good at some time, and a tree of
//! minima finds those that do; each slot becomes free once, and a tree of counts finds those that do.

use super::cover::{Core, Cover};
use super::fifo::{empty_deadlines, hand_out};
use super::pairs::{Ledger, Pair, ledger};
use super::suffix::SuffixMin;
use super::{Call, END, FOREVER, Span, Telling, bag, zones};
use crate::linear::{Contradiction, Entry, Quick};
use std::collections::BTreeSet;
use std::hash::Hash;

const UNDECIDED: &str = "pops of unknown outcome";

/// Judges a stack.
pub(crate) fn judge<V: Copy + Eq + Hash>(
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Quick {
    let mut ledger = match ledger(entries, telling) {
        Err(known) => return known,
        Ok(ledger) => ledger,
    };
    let refuted = no_bottom(&ledger, telling).or_else(|| bag::refute(&ledger, telling));
    if let Some(found) = refuted {
        return Quick::Illegal(found);
    }
    if ledger.takes.is_empty() {
        return Quick::Legal;
    }
    // Without any of the pops of unknown outcome, or with all of them, each taking what had to go first.
    let none = Ledger {
        pairs: ledger.pairs.clone(),
        empties: std::mem::take(&mut ledger.empties),
        takes: Vec::new(),
    };
    let legal = |ledger: &Ledger<V>| {
        no_bottom(ledger, telling).is_none() && bag::refute(ledger, telling).is_none()
    };
    if legal(&none) {
        return Quick::Legal;
    }
    ledger.empties = none.empties;
    hand_out(&mut ledger, deadlines);
    match legal(&ledger) {
        true => Quick::Legal,
        false => Quick::Open(UNDECIDED),
    }
}

/// For each value that stayed, when it must have been taken: before what lay below it came out, or a pop found nothing.
fn deadlines<V>(pairs: &[Pair<V>], empties: &[Span]) -> Vec<u64> {
    let mut deadlines = empty_deadlines(pairs, empties);
    let mut below: Vec<&Pair<V>> = pairs.iter().filter(|pair| pair.got).collect();
    below.sort_unstable_by_key(|pair| pair.put.ret);
    let mut pops: Vec<u64> = below.iter().map(|pair| pair.get.inv).collect();
    pops.sort_unstable();
    let mut stayed: Vec<usize> = (0..pairs.len())
        .filter(|place| !pairs[*place].got)
        .collect();
    stayed.sort_unstable_by_key(|place| pairs[*place].put.inv);
    let mut least = SuffixMin::new(pops.len());
    let mut below = below.into_iter().peekable();
    for place in stayed {
        let put = pairs[place].put;
        while let Some(pair) = below.next_if(|pair| pair.put.ret < put.inv) {
            least.enter(
                pops.partition_point(|line| *line < pair.get.inv),
                pair.get.ret,
            );
        }
        let after = pops.partition_point(|line| *line < put.ret);
        deadlines[place] = deadlines[place].min(least.from(after));
    }
    deadlines
}

/// Takes bottoms away until nothing is left, or a component has none.
fn no_bottom<V: Copy>(ledger: &Ledger<V>, telling: &Telling<'_, V>) -> Option<Contradiction> {
    let counts = |pair: &&Pair<V>| pair.got || ledger.takes.is_empty();
    let mut values: Vec<&Pair<V>> = ledger
        .pairs
        .iter()
        .filter(counts)
        .filter(|pair| pair.core().is_some())
        .collect();
    values.sort_unstable_by_key(|pair| pair.put.ret);
    let mut field = Field::new(&values);
    let mut components = field.components(0, field.lines.len() - 1);
    while let Some((from, to)) = components.pop() {
        match field.bottom(from, to) {
            Some(bottom) => {
                field.take_away(bottom);
                components.extend(field.components(from, to));
            }
            None => return Some(field.chain(from, to, telling)),
        }
    }
    None
}

/// The values that are not taken away yet, and the slots that they cover.
struct Field<'a, V> {
    /// By the return of their pushes.
    values: &'a [&'a Pair<V>],
    /// The lines at which definite intervals begin or end, ascending: slot n lies between lines n and n + 1.
    lines: Vec<u64>,
    /// By slot: how many values cover it. A slot that was found free is never looked at again.
    covered: Counts,
    /// By value: the line of its push's invocation, until it was before its component.
    not_first: Minima,
    /// By value: how far its pop's return is from the end, until it was after its component.
    not_last: Minima,
    passed: Vec<u8>,
    /// Values that passed both tests.
    bottoms: BTreeSet<u32>,
}

/// Larger than any count or line: taken out of the race.
const OUT: u64 = u64::MAX;

impl<'a, V: Copy> Field<'a, V> {
    fn new(values: &'a [&'a Pair<V>]) -> Field<'a, V> {
        let mut lines: Vec<u64> = Vec::with_capacity(2 * values.len() + 1);
        lines.extend(values.iter().flat_map(|pair| [pair.put.ret, pair.get.inv]));
        lines.push(FOREVER);
        lines.sort_unstable();
        lines.dedup();
        let slot = |line: u64| lines.partition_point(|other| *other < line);
        let mut change = vec![0i64; lines.len() + 1];
        for pair in values {
            change[slot(pair.put.ret)] += 1;
            change[slot(pair.get.inv)] -= 1;
        }
        let mut count = 0;
        let counts = change[..lines.len()].iter().map(|change| {
            count += change;
            count as u64
        });
        Field {
            values,
            covered: Counts::new(counts.collect()),
            not_first: Minima::new(values.iter().map(|pair| pair.put.inv).collect()),
            not_last: Minima::new(values.iter().map(|pair| FOREVER - pair.get.ret).collect()),
            passed: vec![0; values.len()],
            bottoms: BTreeSet::new(),
            lines,
        }
    }

    fn slot(&self, line: u64) -> usize {
        self.lines.partition_point(|other| *other < line)
    }

    /// The maximal intervals of covered slots from here to there, the last one first.
    fn components(&mut self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut start = from;
        while let Some(free) = self.covered.take_free(start, to) {
            if start < free {
                found.push((start, free));
            }
            start = free + 1;
        }
        if start < to {
            found.push((start, to));
        }
        found.reverse();
        found
    }

    /// Places of the values whose definite intervals lie in these slots: they began there.
    fn inside(&self, from: usize, to: usize) -> (usize, usize) {
        let place = |slot: usize| {
            let line = self.lines[slot];
            self.values.partition_point(|pair| pair.put.ret < line)
        };
        (place(from), place(to))
    }

    fn bottom(&mut self, from: usize, to: usize) -> Option<usize> {
        let (left, right) = (self.lines[from], self.lines[to]);
        let (first, end) = self.inside(from, to);
        while let Some(place) = self.not_first.take_below(first, end, left) {
            self.pass(place);
        }
        while let Some(place) = self.not_last.take_below(first, end, FOREVER - right) {
            self.pass(place);
        }
        let candidates = first as u32..end as u32;
        let bottom = self.bottoms.range(candidates).next().copied()?;
        self.bottoms.remove(&bottom);
        Some(bottom as usize)
    }

    fn pass(&mut self, place: usize) {
        self.passed[place] += 1;
        if self.passed[place] == 2 {
            self.bottoms.insert(place as u32);
        }
    }

    fn take_away(&mut self, place: usize) {
        let pair = self.values[place];
        let (from, to) = (self.slot(pair.put.ret), self.slot(pair.get.inv));
        self.covered.lower(from, to);
        self.not_first.forget(place);
        self.not_last.forget(place);
        // So that a witness's chain does not use it.
        self.passed[place] = u8::MAX;
    }

    /// Values that hold each other in place: the first one pushed and the last one popped, and the fewest between them that
    /// connect the two.
    fn chain(&self, from: usize, to: usize, telling: &Telling<'_, V>) -> Contradiction {
        let (first, end) = self.inside(from, to);
        let left: Vec<usize> = (first..end)
            .filter(|place| self.passed[*place] != u8::MAX)
            .collect();
        let cores = left.iter().map(|place| {
            let pair = self.values[*place];
            Core {
                start: pair.put.ret,
                end: pair.get.inv,
                owner: *place,
            }
        });
        let chain = Cover::new(cores.collect()).chain(self.lines[from], self.lines[to]);
        let pairs: Vec<&Pair<V>> = chain.iter().map(|core| self.values[core.owner]).collect();
        let names: Vec<String> = pairs.iter().map(|pair| telling.name(pair.value)).collect();
        let (a, b) = (&names[0], &names[names.len() - 1]);
        let (put, got) = (telling.put, telling.got);
        let last_out = match pairs[pairs.len() - 1].got {
            true => format!("{b} was {got}"),
            false => format!("{b} (it never was {got})"),
        };
        let text = match names.len() {
            2 => format!(
                "{a} was {put} before {b}, and {a} was {got} while {b} was still on top of it"
            ),
            _ => format!(
                "from {a} being {put} to {last_out} one of {} was always there, so one of them lies below the others all the \
                 time; but {} was {put} after {a} was, or {got} before {b} was",
                names.join(", "),
                "each"
            ),
        };
        let lines = pairs
            .iter()
            .flat_map(|pair| [pair.put.ret, pair.get.inv, pair.get.ret]);
        let at = lines.filter(|line| *line < END).max().unwrap_or(END);
        zones(
            text,
            pairs.iter().flat_map(|pair| pair.operations()).collect(),
            at,
        )
    }
}

/// Numbers of which one below a bound can be taken out, in any range: a tree of minima.
struct Minima {
    leaves: usize,
    /// The root is 1, the children of n are 2n and 2n + 1.
    least: Vec<u64>,
}

impl Minima {
    fn new(numbers: Vec<u64>) -> Minima {
        let leaves = numbers.len().next_power_of_two();
        let mut least = vec![OUT; 2 * leaves];
        least[leaves..leaves + numbers.len()].copy_from_slice(&numbers);
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Minima { leaves, least }
    }

    fn forget(&mut self, place: usize) {
        let mut node = self.leaves + place;
        self.least[node] = OUT;
        while node > 1 {
            node /= 2;
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]);
        }
    }

    /// Takes out a number below the bound from these places, if there is one, and tells its place.
    fn take_below(&mut self, from: usize, to: usize, bound: u64) -> Option<usize> {
        let (mut left, mut right) = (self.leaves + from, self.leaves + to);
        let mut found = None;
        while left < right && found.is_none() {
            if left % 2 == 1 {
                found = (self.least[left] < bound).then_some(left);
                left += 1;
            }
            if right % 2 == 1 && found.is_none() {
                right -= 1;
                found = (self.least[right] < bound).then_some(right);
            }
            left /= 2;
            right /= 2;
        }
        let mut node = found?;
        while node < self.leaves {
            node *= 2;
            if self.least[node] >= bound {
                node += 1;
            }
        }
        self.forget(node - self.leaves);
        Some(node - self.leaves)
    }
}

/// Counts that are lowered by ranges; those that reach zero are found once.
struct Counts {
    leaves: usize,
    /// The least count below each node, less what was lowered at the nodes above it.
    least: Vec<i64>,
    lowered: Vec<i64>,
}

const FOUND: i64 = i64::MAX / 2;

impl Counts {
    fn new(counts: Vec<u64>) -> Counts {
        let leaves = counts.len().next_power_of_two();
        let mut least = vec![FOUND; 2 * leaves];
        for (place, count) in counts.into_iter().enumerate() {
            least[leaves + place] = count as i64;
        }
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Counts {
            leaves,
            lowered: vec![0; leaves],
            least,
        }
    }

    fn lower(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let (mut left, mut right) = (self.leaves + from, self.leaves + to);
        let (first, last) = (left, right - 1);
        while left < right {
            if left % 2 == 1 {
                self.lower_node(left);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                self.lower_node(right);
            }
            left /= 2;
            right /= 2;
        }
        self.mend(first);
        self.mend(last);
    }

    fn lower_node(&mut self, node: usize) {
        self.least[node] -= 1;
        if node < self.leaves {
            self.lowered[node] += 1;
        }
    }

    /// Brings the minima above a leaf up to date.
    fn mend(&mut self, leaf: usize) {
        let mut node = leaf / 2;
        while node >= 1 {
            let least = self.least[2 * node].min(self.least[2 * node + 1]);
            self.least[node] = least - self.lowered[node];
            node /= 2;
        }
    }

    /// Hands what was lowered at a node to its children.
    fn push_down(&mut self, node: usize) {
        let lowered = std::mem::take(&mut self.lowered[node]);
        for child in [2 * node, 2 * node + 1] {
            self.least[child] -= lowered;
            if child < self.leaves {
                self.lowered[child] += lowered;
            }
        }
    }

    /// The first count of zero in this range; it is never found again.
    fn take_free(&mut self, from: usize, to: usize) -> Option<usize> {
        let place = self.first_free(from, to)?;
        self.least[self.leaves + place] = FOUND;
        self.mend(self.leaves + place);
        Some(place)
    }

    fn first_free(&mut self, from: usize, to: usize) -> Option<usize> {
        if from >= to {
            return None;
        }
        // From the root down to the first place, then on to the right: never into a part without zeros.
        let (mut node, mut low, mut size) = (1, 0, self.leaves);
        let mut right_parts: Vec<(usize, usize, usize)> = Vec::new();
        loop {
            if self.least[node] <= 0 && low < to && low + size > from {
                if size == 1 {
                    return Some(low);
                }
                self.push_down(node);
                size /= 2;
                right_parts.push((2 * node + 1, low + size, size));
                node *= 2;
            } else {
                (node, low, size) = right_parts.pop()?;
            }
        }
    }
}
