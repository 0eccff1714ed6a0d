//! Priority queues: the best value comes out first; here the least number.
//!
//! From the best value to the worst: a value can come out in a slot of its get, after its put began, in which no better value is
//! definitely inside. Then its own definite interval counts against all worse ones. Equal values would be one value put twice.
//! Exact without gets of unknown outcome. Every slot is covered once, so union-find makes it near-linear.

use super::fifo::hand_out;
use super::pairs::{Pair, ledger};
use super::suffix::SuffixMin;
use super::{Call, FOREVER, Span, Telling, bag, earlier, fifo, zones};
use crate::linear::{Contradiction, Entry, Quick};
use std::hash::Hash;

const UNDECIDED: &str = "gets of unknown outcome";

/// Judges a priority queue whose least value comes out first.
pub(crate) fn judge<V: Copy + Eq + Hash + Ord>(
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Quick {
    let mut ledger = match ledger(entries, telling) {
        Err(known) => return known,
        Ok(ledger) => ledger,
    };
    ledger.pairs.sort_unstable_by_key(|pair| pair.value);
    // What stayed, gets of unknown outcome may have taken: it says nothing against the others then.
    let stays = ledger.takes.is_empty();
    let refuted =
        overtaken(&ledger.pairs, stays, telling).or_else(|| bag::refute(&ledger, telling));
    if let Some(found) = refuted {
        return Quick::Illegal(found);
    }
    if ledger.takes.is_empty() {
        return Quick::Legal;
    }
    hand_out(&mut ledger, deadlines);
    match overtaken(&ledger.pairs, true, telling).or_else(|| bag::refute(&ledger, telling)) {
        None => Quick::Legal,
        Some(_) => Quick::Open(UNDECIDED),
    }
}

/// The value that came out while a better one was inside, all the time that it could. The pairs are sorted by value.
fn overtaken<V: Copy>(
    pairs: &[Pair<V>],
    stays: bool,
    telling: &Telling<'_, V>,
) -> Option<Contradiction> {
    let mut slots = Slots::new(pairs);
    let mut found = None;
    for (place, pair) in pairs.iter().enumerate() {
        let (from, to) = (pair.put.inv.max(pair.get.inv), pair.get.ret);
        if pair.got && slots.covered(from, to) {
            let cover: Vec<(u64, u64, usize)> = slots.owners(from, to).collect();
            earlier(&mut found, better_inside(pair, &cover, pairs, telling));
        }
        if let Some((start, end)) = pair.core().filter(|_| pair.got || stays) {
            slots.cover(start, end, place);
        }
    }
    found
}

fn better_inside<V: Copy>(
    pair: &Pair<V>,
    cover: &[(u64, u64, usize)],
    pairs: &[Pair<V>],
    telling: &Telling<'_, V>,
) -> Contradiction {
    let mut better: Vec<usize> = Vec::new();
    for (_, _, place) in cover {
        if !better.contains(place) {
            better.push(*place);
        }
    }
    let names: Vec<String> = better
        .iter()
        .map(|place| telling.name(pairs[*place].value))
        .collect();
    let mut operations: Vec<u32> = pair.operations().collect();
    operations.extend(better.iter().flat_map(|place| pairs[*place].operations()));
    zones(
        format!(
            "{} was {}, though all the while a better one was inside: {}",
            telling.name(pair.value),
            telling.got,
            names.join(", then ")
        ),
        operations,
        pair.get.ret,
    )
}

/// For each value that stayed, when it must have been taken: before a get that found nothing, and before a worse value came
/// out that was put or taken after it.
fn deadlines<V>(pairs: &[Pair<V>], empties: &[Span]) -> Vec<u64> {
    let mut deadlines = fifo::empty_deadlines(pairs, empties);
    let since = |pair: &Pair<V>| pair.put.inv.max(pair.get.inv);
    let mut lines: Vec<u64> = pairs.iter().filter(|pair| pair.got).map(since).collect();
    lines.sort_unstable();
    let mut worse = SuffixMin::new(lines.len());
    for (place, pair) in pairs.iter().enumerate().rev() {
        if pair.got {
            worse.enter(
                lines.partition_point(|line| *line < since(pair)),
                pair.get.ret,
            );
        } else {
            let after = lines.partition_point(|line| *line < pair.put.ret);
            deadlines[place] = deadlines[place].min(worse.from(after));
        }
    }
    deadlines
}

/// Slots between lines that matter, each free or covered by the first value that covered it.
struct Slots {
    /// The lines at which slots begin, ascending; the last one only ends one.
    lines: Vec<u64>,
    /// For each slot the next free one, or nearer to it; path-halved.
    next: Vec<u32>,
    owner: Vec<u32>,
}

impl Slots {
    fn new<V>(pairs: &[Pair<V>]) -> Slots {
        let mut lines = Vec::with_capacity(4 * pairs.len() + 1);
        for pair in pairs {
            let Pair { put, get, .. } = pair;
            lines.extend([put.inv, put.ret, get.inv, get.ret]);
        }
        lines.push(FOREVER);
        lines.sort_unstable();
        lines.dedup();
        let next = (0..=lines.len() as u32).collect();
        let owner = vec![0; lines.len()];
        Slots { lines, next, owner }
    }

    fn place(&self, line: u64) -> usize {
        self.lines.partition_point(|other| *other < line)
    }

    /// The first free slot at or after this one.
    fn free(&mut self, slot: usize) -> usize {
        let mut at = slot;
        while self.next[at] as usize != at {
            self.next[at] = self.next[self.next[at] as usize];
            at = self.next[at] as usize;
        }
        at
    }

    fn covered(&mut self, start: u64, end: u64) -> bool {
        let (from, to) = (self.place(start), self.place(end));
        self.free(from) >= to
    }

    fn cover(&mut self, start: u64, end: u64, owner: usize) {
        let (from, to) = (self.place(start), self.place(end));
        let mut at = self.free(from);
        while at < to {
            self.owner[at] = owner as u32;
            self.next[at] = at as u32 + 1;
            at = self.free(at + 1);
        }
    }

    /// Who covers each slot of this interval.
    fn owners(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64, usize)> {
        let (from, to) = (self.place(start), self.place(end));
        (from..to).map(|at| (self.lines[at], self.lines[at + 1], self.owner[at] as usize))
    }
}
