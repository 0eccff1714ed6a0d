//! Registers of every kind whose values are written once.

use crate::common::blinding::{Row, measure};
use crate::common::random::pick;
use crate::common::{judge, validity};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Event, Extra, History, Kind, Nanos, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for model in ["register", "cas-register", "kv", "multi-register"] {
        rows.push(measure(model, "a stale read", 0..100, |rng| {
            blind(model, rng, |rng, events| stale_read(rng, events))
        }));
        rows.push(measure(model, "a value that nobody wrote", 0..100, |rng| {
            blind(model, rng, |rng, events| unwritten(rng, events))
        }));
        rows.push(measure(model, "a lost acknowledged write", 0..100, |rng| {
            blind(model, rng, lost_write)
        }));
        rows.push(measure(
            model,
            "a write moved behind its read",
            0..100,
            |rng| blind(model, rng, moved_write),
        ));
    }
    for model in ["cas-register", "kv"] {
        rows.push(measure(
            model,
            "two compare-and-sets of one value",
            0..100,
            |rng| blind(model, rng, lost_update),
        ));
    }
    rows
}

/// Whether a sound history is refuted once it was changed.
fn blind(
    model: &str,
    rng: &mut ChaCha8Rng,
    change: fn(&mut ChaCha8Rng, &mut Vec<Event>) -> Option<()>,
) -> Option<bool> {
    let options = Options {
        model: if model == "register" || model == "multi-register" {
            "register"
        } else {
            "cas-register"
        }
        .to_owned(),
        operations: 200,
        concurrency: 5,
        info: 0.02,
        seed: rng.random(),
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    let mut events = History::read(&lines[..]).unwrap().0.to_events();
    let sound = History::from_events(&told(model, &events));
    assert_eq!(validity(&judge(model, &sound)), Some(true), "it was sound");
    change(rng, &mut events)?;
    let finding = judge(model, &History::from_events(&told(model, &events)));
    Some(validity(&finding) == Some(false))
}

/// The same in the words of another model.
fn told(model: &str, events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events {
        match (model, &*event.f) {
            ("kv", "read") => event.f = "get".into(),
            ("kv", "write") => event.f = "put".into(),
            ("multi-register", "read") => {
                event.value = json!([["r", "x", event.value]]);
                event.f = "txn".into();
            }
            ("multi-register", "write") => {
                event.value = json!([["w", "x", event.value]]);
                event.f = "txn".into();
            }
            _ => {}
        }
    }
    events
}

/// An operation that was answered, by the places of its lines.
#[derive(Clone, Copy)]
struct Answered {
    inv: usize,
    ret: usize,
}

fn answered(events: &[Event], f: &str) -> Vec<Answered> {
    let ends = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.kind == Kind::Ok && &*event.f == f);
    ends.map(|(ret, end)| Answered {
        inv: events[..ret]
            .iter()
            .rposition(|event| event.process == end.process)
            .unwrap(),
        ret,
    })
    .collect()
}

/// A read of a value that was overwritten, with acknowledgement, before the read began.
fn stale_read(rng: &mut ChaCha8Rng, events: &mut [Event]) -> Option<()> {
    let (reads, writes) = (answered(events, "read"), answered(events, "write"));
    let mut pairs = Vec::new();
    for read in &reads {
        for newer in writes.iter().filter(|newer| newer.ret < read.inv) {
            pairs.extend(
                writes
                    .iter()
                    .filter(|older| older.ret < newer.inv)
                    .map(|older| (*read, *older)),
            );
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let (read, older) = *pick(rng, &pairs);
    events[read.ret].value = events[older.ret].value.clone();
    Some(())
}

fn unwritten(rng: &mut ChaCha8Rng, events: &mut [Event]) -> Option<()> {
    let read = *pick(rng, &answered(events, "read"));
    events[read.ret].value = json!(1_000_000);
    Some(())
}

fn add(events: &mut Vec<Event>, f: &str, asked: Value, answer: Value) {
    for (kind, value) in [(Kind::Invoke, asked), (Kind::Ok, answer)] {
        events.push(Event {
            index: 0,
            time: events.last().map_or(Nanos(0), |event| event.time),
            process: Process::Client(1_000_000),
            kind,
            f: f.into(),
            key: None,
            value,
            extra: Extra::new(),
        });
    }
}

/// In the end there is nothing.
fn lost_write(_: &mut ChaCha8Rng, events: &mut Vec<Event>) -> Option<()> {
    answered(events, "write").first()?;
    add(events, "read", Value::Null, Value::Null);
    Some(())
}

/// A write that was read is done again at the end instead.
fn moved_write(rng: &mut ChaCha8Rng, events: &mut Vec<Event>) -> Option<()> {
    let reads = answered(events, "read");
    let mut writes = answered(events, "write");
    writes.retain(|write| {
        reads
            .iter()
            .any(|read| events[read.ret].value == events[write.ret].value)
    });
    if writes.is_empty() {
        return None;
    }
    let write = *pick(rng, &writes);
    let value = events[write.ret].value.clone();
    events.remove(write.ret);
    events.remove(write.inv);
    add(events, "write", value.clone(), value);
    Some(())
}

/// A value that was replaced by a compare-and-set is replaced once more.
fn lost_update(rng: &mut ChaCha8Rng, events: &mut Vec<Event>) -> Option<()> {
    let sets = answered(events, "cas");
    if sets.is_empty() {
        return None;
    }
    let old = events[pick(rng, &sets).ret].value[0].clone();
    let again = json!([old, 1_000_000]);
    add(events, "cas", again.clone(), again);
    Some(())
}
