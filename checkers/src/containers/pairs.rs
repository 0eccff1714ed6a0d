//! Puts with their gets.
//!
//! Refutes what needs no order at all: a value that came out and was never put, came out more often than it was put, or came
//! out before its put was invoked. These hold whether values are distinct or not; everything later needs distinct ones.

use super::{Call, END, FOREVER, Span, Telling, earlier, refutation};
use crate::linear::{Contradiction, Entry, NEVER, Quick};
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// A value that was put, and when it came out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<V> {
    pub(super) value: V,
    pub(super) put: Span,
    /// From [`END`] to [`FOREVER`] if it never came out.
    pub(super) get: Span,
    pub(super) got: bool,
}

impl<V> Pair<V> {
    /// The slots in which the value was inside whatever the order: from here (inclusive) to there (exclusive). None of them if
    /// put and get were in flight together.
    pub(super) fn core(&self) -> Option<(u64, u64)> {
        (self.put.ret < self.get.inv).then_some((self.put.ret, self.get.inv))
    }

    /// Its operations, as a witness lists them.
    pub(super) fn operations(&self) -> impl Iterator<Item = u32> {
        let get = self.got.then_some(self.get.operation);
        std::iter::once(self.put.operation).chain(get)
    }
}

/// A container's history, sorted out.
#[derive(Debug)]
pub(super) struct Ledger<V> {
    /// Values that came out, or whose put was answered; in the order of their first operation.
    pub(super) pairs: Vec<Pair<V>>,
    /// Gets that found nothing.
    pub(super) empties: Vec<Span>,
    /// Gets of unknown outcome, in the order of their invocations.
    pub(super) takes: Vec<Span>,
}

pub(super) const REPEATED: &str = "a value was put more than once";

struct Seen<V> {
    value: V,
    puts: u32,
    gets: u32,
    /// The put that was invoked first.
    put: Option<Span>,
    /// The get that returned first.
    get: Option<Span>,
}

/// Sorts out a history; what contradicts itself already, or repeats a value, comes back as the answer.
pub(super) fn ledger<V: Copy + Eq + Hash>(
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Result<Ledger<V>, Quick> {
    let mut seen: Vec<Seen<V>> = Vec::new();
    let mut places: FxHashMap<V, u32> = FxHashMap::default();
    let (mut empties, mut takes) = (Vec::new(), Vec::new());
    let mut excess = None;
    for entry in entries {
        let span = Span::of(entry);
        let mut of = |value: V| {
            let place = *places.entry(value).or_insert_with(|| {
                seen.push(Seen {
                    value,
                    puts: 0,
                    gets: 0,
                    put: None,
                    get: None,
                });
                seen.len() as u32 - 1
            });
            place as usize
        };
        match entry.call {
            Call::Put(value) => {
                let place = of(value);
                let value = &mut seen[place];
                value.puts += 1;
                if value.put.is_none_or(|put| span.inv < put.inv) {
                    value.put = Some(span);
                }
            }
            Call::Got(value) => {
                let place = of(value);
                let value = &mut seen[place];
                value.gets += 1;
                if value.get.is_none_or(|get| span.ret < get.ret) {
                    value.get = Some(span);
                }
                excess = excess.or((value.gets > 1).then_some(()));
            }
            Call::Empty => empties.push(span),
            Call::Took => takes.push(span),
        }
    }
    if let Some(found) = contradiction(&seen, excess.is_some(), entries, telling) {
        return Err(Quick::Illegal(found));
    }
    if seen.iter().any(|value| value.puts > 1) {
        return Err(Quick::Open(REPEATED));
    }
    takes.sort_unstable_by_key(|take| take.inv);
    let pairs = seen.iter().filter_map(Seen::pair).collect();
    Ok(Ledger {
        pairs,
        empties,
        takes,
    })
}

impl Span {
    /// When a call was in flight.
    pub(crate) fn of<C>(entry: &Entry<C>) -> Span {
        Span {
            inv: entry.inv.into(),
            ret: if entry.ret == NEVER {
                FOREVER
            } else {
                entry.ret.into()
            },
            operation: entry.operation,
        }
    }
}

impl<V: Copy> Seen<V> {
    /// The value's life; none for a put of unknown outcome whose value never came out: that one may as well not have been.
    fn pair(&self) -> Option<Pair<V>> {
        let put = self.put?;
        let got = self.get.is_some();
        if !got && put.ret == FOREVER {
            return None;
        }
        let never = Span {
            inv: END,
            ret: FOREVER,
            operation: put.operation,
        };
        Some(Pair {
            value: self.value,
            put,
            get: self.get.unwrap_or(never),
            got,
        })
    }
}

/// The first contradiction that needs no order.
fn contradiction<V: Copy + Eq>(
    seen: &[Seen<V>],
    repeated_gets: bool,
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Option<Contradiction> {
    let mut found = None;
    for value in seen {
        let (Some(get), name) = (value.get, || telling.name(value.value)) else {
            continue;
        };
        match value.put {
            None => earlier(
                &mut found,
                refutation(
                    format!(
                        "{} was {}, and nobody {} it",
                        name(),
                        telling.got,
                        telling.put
                    ),
                    vec![get.operation],
                    get.ret,
                ),
            ),
            Some(put) if get.ret < put.inv => earlier(
                &mut found,
                refutation(
                    format!(
                        "{} was {} before anybody began to have it {}",
                        name(),
                        telling.got,
                        telling.put
                    ),
                    vec![get.operation, put.operation],
                    get.ret,
                ),
            ),
            Some(_) => {}
        }
    }
    if repeated_gets {
        for value in seen
            .iter()
            .filter(|value| value.puts > 0 && value.gets > value.puts)
        {
            earlier(&mut found, too_often(value, entries, telling));
        }
    }
    found
}

/// A value that came out more often than it was put.
fn too_often<V: Copy + Eq>(
    value: &Seen<V>,
    entries: &[Entry<Call<V>>],
    telling: &Telling<'_, V>,
) -> Contradiction {
    let of = |call: Call<V>| entries.iter().filter(move |entry| entry.call == call);
    let mut gets: Vec<Span> = of(Call::Got(value.value)).map(Span::of).collect();
    gets.sort_unstable_by_key(|get| get.ret);
    gets.truncate(value.puts as usize + 1);
    let mut operations: Vec<u32> = of(Call::Put(value.value))
        .map(|put| put.operation)
        .collect();
    operations.extend(gets.iter().map(|get| get.operation));
    let text = format!(
        "{} was {} {} and {} {}",
        telling.name(value.value),
        telling.put,
        times(value.puts),
        telling.got,
        times(value.puts + 1)
    );
    refutation(text, operations, gets.last().map_or(FOREVER, |get| get.ret))
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
