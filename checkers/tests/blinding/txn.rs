//! Transactions: one observation, outcome or interval of a strictly serializable history is changed.

use crate::common::blinding::{Row, invalid, measure};
use crate::common::edit;
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Event, History, Kind};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const LISTS: &str = "list-append";
const REGISTERS: &str = "rw-register";

fn sound(model: &str, rng: &mut impl Rng) -> Vec<Event> {
    let options = Options {
        model: model.to_owned(),
        operations: 80,
        concurrency: 4,
        info: 0.02,
        keys: Some(3),
        seed: rng.random(),
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0.to_events()
}

/// A transaction: the places of its lines, and what it did.
#[derive(Clone)]
struct Txn {
    invoked: usize,
    completed: usize,
    micros: Vec<Value>,
}

fn committed(events: &[Event]) -> Vec<Txn> {
    let ok = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.kind == Kind::Ok);
    ok.map(|(completed, event)| {
        let mut before = events[..completed].iter();
        let invoked = before
            .rposition(|one| one.process == event.process)
            .unwrap();
        let micros = event.value.as_array().unwrap().clone();
        Txn {
            invoked,
            completed,
            micros,
        }
    })
    .collect()
}

/// A read: its transaction, its place there, its key, what it saw.
type Read = (Txn, usize, Value, Value);

fn reads(txns: &[Txn]) -> Vec<Read> {
    let all = txns.iter().flat_map(|txn| {
        let micros = txn
            .micros
            .iter()
            .enumerate()
            .filter(|(_, micro)| micro[0] == "r");
        // Before the transaction wrote the key itself.
        let outside = micros.filter(|(place, read)| {
            !txn.micros[..*place]
                .iter()
                .any(|other| other[0] != "r" && other[1] == read[1])
        });
        outside.map(|(place, micro)| (txn.clone(), place, micro[1].clone(), micro[2].clone()))
    });
    all.collect()
}

fn writer<'t>(txns: &'t [Txn], key: &Value, element: &Value) -> Option<&'t Txn> {
    txns.iter().find(|txn| {
        let mut micros = txn.micros.iter();
        micros.any(|micro| micro[0] != "r" && micro[1] == *key && micro[2] == *element)
    })
}

fn pick<T>(rng: &mut impl Rng, mut all: Vec<T>) -> Option<T> {
    (!all.is_empty()).then(|| {
        let place = rng.random_range(0..all.len());
        all.swap_remove(place)
    })
}

/// Lets a read see something else, if it is among those that `fits` finds something else for.
fn misread(
    model: &str,
    rng: &mut ChaCha8Rng,
    fits: impl Fn(&[Txn], &Read) -> Option<Value>,
) -> Option<bool> {
    let mut events = sound(model, rng);
    let txns = committed(&events);
    let fitting = reads(&txns).into_iter().filter_map(|read| {
        let other = fits(&txns, &read)?;
        Some((read.0.completed, read.1, other))
    });
    let (line, place, other) = pick(rng, fitting.collect())?;
    events[line].value[place][2] = other;
    Some(invalid(model, &History::from_events(&events)))
}

fn elements(list: &Value) -> Vec<Value> {
    list.as_array().cloned().unwrap_or_default()
}

/// The list without its last element, whose writer had completed before.
fn stale(txns: &[Txn], read: &Read) -> Option<Value> {
    let mut list = elements(&read.3);
    let last = list.pop()?;
    let writer = writer(txns, &read.2, &last)?;
    (writer.completed < read.0.invoked).then_some(Value::Array(list))
}

/// Two neighbours swapped, which another transaction saw in order.
fn swapped(txns: &[Txn], read: &Read) -> Option<Value> {
    let mut list = elements(&read.3);
    let last = list.len().checked_sub(1).filter(|last| *last > 0)?;
    let seen = |other: &Read| {
        other.0.completed != read.0.completed
            && other.2 == read.2
            && elements(&other.3).len() > last
    };
    if !reads(txns).iter().any(seen) {
        return None;
    }
    list.swap(last - 1, last);
    Some(Value::Array(list))
}

fn repeated(_: &[Txn], read: &Read) -> Option<Value> {
    let mut list = elements(&read.3);
    list.push(list.first()?.clone());
    Some(Value::Array(list))
}

fn invented(_: &[Txn], read: &Read) -> Option<Value> {
    let mut list = elements(&read.3);
    list.push(json!(1_000_000));
    Some(Value::Array(list))
}

/// Everything that came out of one transaction is denied: it failed.
fn denied(model: &str, rng: &mut ChaCha8Rng) -> Option<bool> {
    let mut events = sound(model, rng);
    let txns = committed(&events);
    let seen = reads(&txns)
        .into_iter()
        .filter_map(|(reader, _, key, seen)| {
            let last = match &seen {
                Value::Array(list) => list.last()?.clone(),
                other => other.clone(),
            };
            let writer = writer(&txns, &key, &last)?;
            (writer.completed != reader.completed).then_some(writer.completed)
        });
    let line = pick(rng, seen.collect())?;
    events[line].kind = Kind::Fail;
    Some(invalid(model, &History::from_events(&events)))
}

/// A transaction's whole interval comes before that of one whose write it saw.
fn moved(model: &str, rng: &mut ChaCha8Rng) -> Option<bool> {
    let mut events = sound(model, rng);
    let txns = committed(&events);
    let seen = reads(&txns)
        .into_iter()
        .filter_map(|(reader, _, key, seen)| {
            let last = match &seen {
                Value::Array(list) => list.last()?.clone(),
                other => other.clone(),
            };
            let writer = writer(&txns, &key, &last)?;
            (writer.invoked < reader.invoked).then_some((reader, writer.invoked))
        });
    let (reader, to) = pick(rng, seen.collect())?;
    let completion = events.remove(reader.completed);
    let invocation = events.remove(reader.invoked);
    let process = keelhaul_checkers::Process::Client(100_000);
    for (place, mut event) in [invocation, completion].into_iter().enumerate() {
        event.process = process.clone();
        events.insert(to + place, event);
    }
    let mut history = History::new();
    edit(&mut history, |all| *all = renumbered(events));
    Some(invalid(model, &history))
}

/// Lines count from 0, and time does not run back.
fn renumbered(mut events: Vec<Event>) -> Vec<Event> {
    for (index, event) in events.iter_mut().enumerate() {
        event.index = index as u64;
        event.time = keelhaul_checkers::Nanos(index as u64);
    }
    events
}

/// The initial state, though a write had completed before.
fn forgotten(txns: &[Txn], read: &Read) -> Option<Value> {
    let mut written = txns.iter().filter(|txn| txn.completed < read.0.invoked);
    let some = written.any(|txn| {
        let mut micros = txn.micros.iter();
        micros.any(|micro| micro[0] == "w" && micro[1] == read.2)
    });
    (some && !read.3.is_null()).then_some(Value::Null)
}

/// A value that was read, replaced by the one that its own writer read before it wrote.
fn one_behind(txns: &[Txn], read: &Read) -> Option<Value> {
    let writer = writer(txns, &read.2, &read.3)?;
    let of_writer = reads(std::slice::from_ref(writer));
    let before = of_writer.into_iter().find(|other| other.2 == read.2)?;
    (writer.completed < read.0.invoked && !before.3.is_null()).then_some(before.3)
}

pub(crate) fn rows() -> Vec<Row> {
    let seeds = 0..300;
    let lists = |name, fits: fn(&[Txn], &Read) -> Option<Value>| {
        measure(LISTS, name, seeds.clone(), |rng| misread(LISTS, rng, fits))
    };
    let registers = |name, fits: fn(&[Txn], &Read) -> Option<Value>| {
        measure(REGISTERS, name, seeds.clone(), |rng| {
            misread(REGISTERS, rng, fits)
        })
    };
    vec![
        lists("a list without its last element", stale),
        lists("two elements swapped", swapped),
        lists("an element seen twice", repeated),
        lists("an element that nobody appended", invented),
        measure(LISTS, "a commit denied", seeds.clone(), |rng| {
            denied(LISTS, rng)
        }),
        measure(LISTS, "an interval moved", seeds.clone(), |rng| {
            moved(LISTS, rng)
        }),
        registers("the initial state again", forgotten),
        registers("the value one behind", one_behind),
        registers("a value that nobody wrote", |_, _| Some(json!(1_000_000))),
        measure(REGISTERS, "a commit denied", seeds.clone(), |rng| {
            denied(REGISTERS, rng)
        }),
        measure(REGISTERS, "an interval moved", seeds.clone(), |rng| {
            moved(REGISTERS, rng)
        }),
    ]
}
