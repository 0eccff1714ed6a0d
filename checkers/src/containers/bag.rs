//! Unordered queues: what was put comes out once, in any order.
//!
//! Each value minds only itself, and a get that found nothing needs one slot in which no value is definitely inside. Gets of
//! unknown outcome make room: at a slot the answered puts whose values never came out must all have been taken by gets of
//! unknown outcome that had begun. (More such gets only ever begin, so counting at the slot is enough.) Exact.

use super::cover::{Core, Cover};
use super::pairs::{Ledger, Pair, ledger};
use super::{Call, FOREVER, Span, Telling, earlier, zones};
use crate::linear::{Contradiction, Entry, Quick};
use std::hash::Hash;

/// Judges an unordered queue.
pub(crate) fn judge<V: Copy + Eq + Hash>(
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Quick {
    match ledger(entries, telling) {
        Err(known) => known,
        Ok(ledger) => match refute(&ledger, telling) {
            Some(found) => Quick::Illegal(found),
            None => Quick::Legal,
        },
    }
}

/// Why something is inside.
#[derive(Debug, Clone, Copy)]
enum Inside {
    /// This value, by place among the pairs.
    Value(usize),
    /// More values than gets of unknown outcome could have taken by then.
    Crowd,
}

/// The get that found nothing although something was inside all the time. Sound for every kind of container.
pub(super) fn refute<V: Copy>(
    ledger: &Ledger<V>,
    telling: &Telling<'_, V>,
) -> Option<Contradiction> {
    if ledger.empties.is_empty() {
        return None;
    }
    let all = ledger.pairs.iter().enumerate();
    let mut cores: Vec<Core<Inside>> = all
        .filter(|(_, pair)| pair.got || ledger.takes.is_empty())
        .filter_map(|(place, pair)| {
            let (start, end) = pair.core()?;
            Some(Core {
                start,
                end,
                owner: Inside::Value(place),
            })
        })
        .collect();
    if !ledger.takes.is_empty() {
        cores.extend(crowds(ledger));
    }
    let cover = Cover::new(cores);
    let mut found = None;
    for empty in &ledger.empties {
        if cover.covers(empty.inv, empty.ret) {
            let chain = cover.chain(empty.inv, empty.ret);
            earlier(&mut found, not_empty(empty, &chain, ledger, telling));
        }
    }
    found
}

/// When there were more answered puts of values that never came out than gets of unknown outcome had begun.
fn crowds<V>(ledger: &Ledger<V>) -> Vec<Core<Inside>> {
    let stayed = ledger.pairs.iter().filter(|pair| !pair.got);
    let mut changes: Vec<(u64, i64)> = stayed.map(|pair| (pair.put.ret, 1)).collect();
    changes.extend(ledger.takes.iter().map(|take| (take.inv, -1)));
    changes.sort_unstable();
    let (mut count, mut since, mut crowds) = (0, 0, Vec::new());
    for (line, change) in changes {
        let before = count;
        count += change;
        if before == 0 && count == 1 {
            since = line;
        } else if before == 1 && count == 0 {
            crowds.push((since, line));
        }
    }
    if count > 0 {
        crowds.push((since, FOREVER));
    }
    let crowd = |(start, end)| Core {
        start,
        end,
        owner: Inside::Crowd,
    };
    crowds.into_iter().map(crowd).collect()
}

fn not_empty<V: Copy>(
    empty: &Span,
    chain: &[Core<Inside>],
    ledger: &Ledger<V>,
    telling: &Telling<'_, V>,
) -> Contradiction {
    let mut operations = vec![empty.operation];
    let mut parts = Vec::new();
    for core in chain {
        match core.owner {
            Inside::Value(place) => {
                let pair = &ledger.pairs[place];
                parts.push(telling.name(pair.value));
                operations.extend(pair.operations());
            }
            Inside::Crowd => {
                let (stayed, takes) = crowd_members(core, empty, ledger);
                parts.push(format!(
                    "one of the {} values that never came out, of which at most {} can have been taken",
                    stayed.len(),
                    takes.len()
                ));
                operations.extend(stayed.iter().map(|pair| pair.put.operation));
                operations.extend(takes.iter().map(|take| take.operation));
            }
        }
    }
    operations.sort_unstable();
    operations.dedup();
    let text = format!(
        "nothing was there to be {}, though all the while something was inside: {}",
        telling.got,
        parts.join(", then ")
    );
    zones(text, operations, empty.ret)
}

/// The fewest operations that show a crowd throughout the part of the empty get that it has to cover.
fn crowd_members<'l, V>(
    core: &Core<Inside>,
    empty: &Span,
    ledger: &'l Ledger<V>,
) -> (Vec<&'l Pair<V>>, Vec<&'l Span>) {
    let end = core.end.min(empty.ret);
    let begun = ledger.takes.iter().take_while(|take| take.inv < end);
    let takes: Vec<&Span> = begun.collect();
    let stayed = ledger
        .pairs
        .iter()
        .filter(|pair| !pair.got && pair.put.ret < end);
    (stayed.collect(), takes)
}
