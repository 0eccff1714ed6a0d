//! First in, first out.
//!
//! Beside what holds for every container, only pairs of values can contradict each other: *a* was put for certain before *b*,
//! and *b* came out for certain before *a*. Exact without gets of unknown outcome.
//!
//! With them: a value that stayed although a later one came out was taken by one of them, before that later one came out. All
//! values have such a deadline, and all the gets a beginning: they fit if, both sorted, each get begins before its deadline.
//! Exact where no get found nothing; with empty gets too, the values are handed to the gets in that order, and if the history
//! is legal so, it is legal.

use super::pairs::{Ledger, Pair, ledger};
use super::{Call, FOREVER, Span, Telling, bag, earlier, zones};
use crate::linear::{Contradiction, Entry, Quick};
use std::hash::Hash;

const UNDECIDED: &str = "gets of unknown outcome beside gets that found nothing";

/// Judges a first-in-first-out queue.
pub(crate) fn judge<V: Copy + Eq + Hash>(
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Quick {
    let mut ledger = match ledger(entries, telling) {
        Err(known) => return known,
        Ok(ledger) => ledger,
    };
    let refuted = out_of_order(&ledger, telling)
        .or_else(|| taken_too_late(&ledger, telling))
        .or_else(|| bag::refute(&ledger, telling));
    if let Some(found) = refuted {
        return Quick::Illegal(found);
    }
    if ledger.takes.is_empty() || ledger.empties.is_empty() {
        return Quick::Legal;
    }
    hand_out(&mut ledger, deadlines);
    match out_of_order(&ledger, telling).or_else(|| bag::refute(&ledger, telling)) {
        None => Quick::Legal,
        Some(_) => Quick::Open(UNDECIDED),
    }
}

/// Gives the values that stayed to the gets of unknown outcome: the earliest deadline to the get that began first. What gets
/// then remain are taken never to have happened.
pub(super) fn hand_out<V>(ledger: &mut Ledger<V>, deadlines: fn(&[Pair<V>], &[Span]) -> Vec<u64>) {
    let deadlines = deadlines(&ledger.pairs, &ledger.empties);
    let mut stayed: Vec<usize> = (0..ledger.pairs.len())
        .filter(|place| !ledger.pairs[*place].got)
        .collect();
    stayed.sort_by_key(|place| (deadlines[*place], ledger.pairs[*place].put.ret));
    for (place, take) in stayed.into_iter().zip(std::mem::take(&mut ledger.takes)) {
        let pair = &mut ledger.pairs[place];
        pair.got = true;
        pair.get = take;
    }
}

/// *a* was put before *b*, and *b* came out before *a*. What stayed is taken never to come out, unless gets of unknown
/// outcome may have taken it.
fn out_of_order<V: Copy>(ledger: &Ledger<V>, telling: &Telling<'_, V>) -> Option<Contradiction> {
    let counts = |pair: &&Pair<V>| pair.got || ledger.takes.is_empty();
    let mut by_put: Vec<&Pair<V>> = ledger.pairs.iter().filter(counts).collect();
    let mut by_returned = by_put.clone();
    by_put.sort_unstable_by_key(|pair| pair.put.inv);
    by_returned.sort_unstable_by_key(|pair| pair.put.ret);
    let mut returned = by_returned.into_iter().peekable();
    let mut last_out: Option<&Pair<V>> = None;
    let mut found = None;
    for b in by_put {
        while let Some(a) = returned.next_if(|a| a.put.ret < b.put.inv) {
            if last_out.is_none_or(|last| last.get.inv < a.get.inv) {
                last_out = Some(a);
            }
        }
        if let Some(a) = last_out
            && b.get.ret < a.get.inv
        {
            earlier(&mut found, overtaken(a, b, telling));
        }
    }
    found
}

fn overtaken<V: Copy>(a: &Pair<V>, b: &Pair<V>, telling: &Telling<'_, V>) -> Contradiction {
    let (first, second) = (telling.name(a.value), telling.name(b.value));
    let (put, got) = (telling.put, telling.got);
    let text = match a.got {
        true => format!("{first} was {put} before {second}, and {second} was {got} before {first}"),
        false => format!(
            "{first} was {put} before {second}, and {second} was {got}, but {first} never was"
        ),
    };
    zones(
        text,
        a.operations().chain(b.operations()).collect(),
        b.get.ret,
    )
}

/// For each value that stayed, when it must have been taken: before a value that was put after it came out.
fn order_deadlines<V>(pairs: &[Pair<V>]) -> Vec<(u64, usize)> {
    let mut got: Vec<(u64, u64, usize)> = pairs
        .iter()
        .enumerate()
        .filter(|(_, pair)| pair.got)
        .map(|(place, pair)| (pair.put.inv, pair.get.ret, place))
        .collect();
    got.sort_unstable();
    // From here on, the value that came out first.
    let mut first = (FOREVER, usize::MAX);
    let mut firsts: Vec<(u64, usize)> = vec![first; got.len() + 1];
    for at in (0..got.len()).rev() {
        first = first.min((got[at].1, got[at].2));
        firsts[at] = first;
    }
    let of = |pair: &Pair<V>| match pair.got {
        true => (FOREVER, usize::MAX),
        false => firsts[got.partition_point(|(inv, ..)| *inv < pair.put.ret)],
    };
    pairs.iter().map(of).collect()
}

/// The same, and before a get that began after the value was put found nothing.
fn deadlines<V>(pairs: &[Pair<V>], empties: &[Span]) -> Vec<u64> {
    let of_empties = empty_deadlines(pairs, empties);
    let both = order_deadlines(pairs).into_iter().zip(of_empties);
    both.map(|((order, _), empty)| order.min(empty)).collect()
}

/// For each value, the first return of a get that found nothing and began after the value's put had returned.
pub(super) fn empty_deadlines<V>(pairs: &[Pair<V>], empties: &[Span]) -> Vec<u64> {
    let mut sorted: Vec<(u64, u64)> = empties.iter().map(|empty| (empty.inv, empty.ret)).collect();
    sorted.sort_unstable();
    let mut least = vec![FOREVER; sorted.len() + 1];
    for at in (0..sorted.len()).rev() {
        least[at] = least[at + 1].min(sorted[at].1);
    }
    let of = |pair: &Pair<V>| least[sorted.partition_point(|(inv, _)| *inv < pair.put.ret)];
    pairs.iter().map(of).collect()
}

/// More values had to be taken by some line than gets of unknown outcome had begun.
fn taken_too_late<V: Copy>(ledger: &Ledger<V>, telling: &Telling<'_, V>) -> Option<Contradiction> {
    if ledger.takes.is_empty() {
        return None;
    }
    let mut due: Vec<(u64, usize, usize)> = order_deadlines(&ledger.pairs)
        .into_iter()
        .enumerate()
        .filter(|(_, (deadline, _))| *deadline < FOREVER)
        .map(|(place, (deadline, by))| (deadline, place, by))
        .collect();
    due.sort_unstable();
    let late = (0..due.len()).find(|at| {
        let begun = ledger.takes.get(*at).map_or(FOREVER, |take| take.inv);
        begun > due[*at].0
    })?;
    let (deadline, _, by) = due[late];
    let witness = &ledger.pairs[by];
    let mut operations: Vec<u32> = due[..=late]
        .iter()
        .flat_map(|(_, place, by)| {
            let (stayed, later) = (&ledger.pairs[*place], &ledger.pairs[*by]);
            [
                stayed.put.operation,
                later.put.operation,
                later.get.operation,
            ]
        })
        .collect();
    operations.extend(
        ledger.takes[..late.min(ledger.takes.len())]
            .iter()
            .map(|take| take.operation),
    );
    operations.sort_unstable();
    operations.dedup();
    let names: Vec<String> = due[..=late]
        .iter()
        .map(|(_, place, _)| telling.name(ledger.pairs[*place].value))
        .collect();
    let text = format!(
        "by the time {} was {}, {} had to be out, and only {late} of them can have been {} by then",
        telling.name(witness.value),
        telling.got,
        names.join(", "),
        telling.got
    );
    Some(zones(text, operations, deadline))
}
