//! The session-order checker against an oracle that tries every order, on thousands of random small histories of a replicated
//! store whose servers lag behind.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::random::{Mix, pick};
use common::{Script, edit, judge, text, validity};
use keelhaul_checkers::{Event, History, Kind, Operation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const HISTORIES: u64 = 6_000;
const KEYS: [&str; 2] = ["a", "b"];

/// The log of all writes, and how far each session has seen it.
#[derive(Default)]
struct Store {
    /// (zxid, key, value)
    log: Vec<(i64, &'static str, i64)>,
    next: i64,
    seen: BTreeMap<usize, i64>,
}

struct InFlight {
    process: u64,
    session: usize,
    key: &'static str,
    /// `None` for a read.
    value: Option<i64>,
    answer: Option<Answer>,
}

#[derive(Clone, Copy)]
struct Answer {
    zxid: i64,
    shows: Option<(i64, i64)>,
}

impl Store {
    fn apply(&mut self, call: &InFlight, rng: &mut ChaCha8Rng) -> Answer {
        let seen = *self.seen.get(&call.session).unwrap_or(&0);
        let Some(value) = call.value else {
            let last = self.log.last().map_or(0, |(zxid, ..)| *zxid);
            // The server lags behind, though never behind what this session has seen.
            let prefix = rng.random_range(seen..=last.max(seen));
            let shows = self
                .log
                .iter()
                .rev()
                .find(|(zxid, key, _)| *zxid <= prefix && *key == call.key);
            self.seen.insert(call.session, prefix);
            return Answer {
                zxid: prefix,
                shows: shows.map(|(zxid, _, value)| (*value, *zxid)),
            };
        };
        // Zxids have gaps: other clients write too.
        self.next += rng.random_range(1..=2);
        self.log.push((self.next, call.key, value));
        self.seen.insert(call.session, self.next);
        Answer {
            zxid: self.next,
            shows: None,
        }
    }
}

fn sound(rng: &mut ChaCha8Rng, operations: usize) -> History {
    let (mut script, mut store) = (Script::default(), Store::default());
    let mut open: Vec<InFlight> = Vec::new();
    let (mut begun, mut value) = (0, 0);
    let sessions = rng.random_range(1..=3);
    while begun < operations || !open.is_empty() {
        let idle: Vec<usize> = (0..sessions)
            .filter(|session| open.iter().all(|call| call.session != *session))
            .collect();
        if begun < operations && !idle.is_empty() && rng.random_bool(0.5) {
            let (session, key, process) = (*pick(rng, &idle), *pick(rng, &KEYS), begun as u64);
            let write = rng.random_bool(0.45);
            value += i64::from(write);
            let (f, argument, asked) = match write {
                true => ("write", json!(value), Value::Null),
                false => ("read", Value::Null, json!({ "mode": "local" })),
            };
            script.client(process, Kind::Invoke, f, Some(key), argument, asked);
            open.push(InFlight {
                process,
                session,
                key,
                value: write.then_some(value),
                answer: None,
            });
            begun += 1;
        }
        if open.is_empty() {
            continue;
        }
        let at = rng.random_range(0..open.len());
        match rng.random_range(0..16) {
            0..=6 if open[at].answer.is_none() => {
                open[at].answer = Some(store.apply(&open[at], rng))
            }
            7..=12 if open[at].answer.is_some() => {
                let call = open.swap_remove(at);
                complete(&mut script, &call);
            }
            13 if open[at].value.is_some() => {
                let call = open.swap_remove(at);
                script.client(
                    call.process,
                    Kind::Info,
                    "write",
                    Some(call.key),
                    json!(call.value),
                    Value::Null,
                );
                // Its session goes on under a new number: another session.
            }
            _ => {}
        }
    }
    script.history
}

fn complete(script: &mut Script, call: &InFlight) {
    let answer = call.answer.unwrap();
    let mut fields = json!({ "session": format!("0x{}", call.session), "zxid": answer.zxid });
    let f = if call.value.is_some() {
        "write"
    } else {
        "read"
    };
    let value = match (call.value, answer.shows) {
        (Some(value), _) => json!(value),
        (None, Some((value, mzxid))) => {
            fields["mzxid"] = json!(mzxid);
            json!(value)
        }
        (None, None) => {
            fields["error"] = json!("NoNode");
            Value::Null
        }
    };
    script.client(call.process, Kind::Ok, f, Some(call.key), value, fields);
}

/// Changes one answer: an older or newer zxid, or another write's value.
fn falsify(history: &mut [Event], rng: &mut ChaCha8Rng) {
    let answers: Vec<usize> = (0..history.len())
        .filter(|at| history[*at].kind == Kind::Ok)
        .collect();
    if answers.is_empty() {
        return;
    }
    let other = history[*pick(rng, &answers)].clone();
    let event = &mut history[*pick(rng, &answers)];
    let zxid = event.extra.int("zxid").unwrap();
    if &*event.f == "read"
        && event.key == other.key
        && event.extra.int("mzxid").is_some()
        && rng.random_bool(0.6)
    {
        let mzxid = if &*other.f == "read" {
            other.extra.int("mzxid")
        } else {
            other.extra.int("zxid")
        };
        if let Some(mzxid) = mzxid {
            event.value = other.value;
            event.extra.insert("mzxid", mzxid);
            return;
        }
    }
    event
        .extra
        .insert("zxid", (zxid + rng.random_range(-2..=2)).max(1));
}

// --- the oracle -----------------------------------------------------------------------------------------------------

/// What the oracle has to place: an answered operation, or an indeterminate write that some read shows.
struct Item<'h> {
    operation: Operation<'h>,
    zxid: i64,
}

fn kept(history: &History) -> bool {
    let operations = history.operations().unwrap();
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut zxids = BTreeSet::new();
    for operation in operations.iter().filter(|operation| operation.is_ok()) {
        let zxid = operation.answer().unwrap().int("zxid").unwrap();
        if operation.f() == "write" && !zxids.insert(zxid) {
            return false;
        }
        items.push(Item {
            operation: *operation,
            zxid,
        });
    }
    // An indeterminate write happened at the zxid at which a read shows its value.
    for operation in operations
        .iter()
        .filter(|operation| operation.kind() == Kind::Info && operation.f() == "write")
    {
        let shows = |read: &&Operation<'_>| {
            read.f() == "read"
                && read.key() == operation.key()
                && read.result() == Some(operation.argument())
        };
        let Some(read) = operations.iter().find(shows) else {
            continue;
        };
        let zxid = read.answer().unwrap().int("mzxid").unwrap();
        // If another write has that zxid, the reads of this one can never be right.
        if zxids.insert(zxid) {
            items.push(Item {
                operation: *operation,
                zxid,
            });
        }
    }
    place(
        &items,
        &mut vec![false; items.len()],
        &mut BTreeMap::new(),
        0,
    )
}

fn session<'h>(item: &Item<'h>) -> Option<&'h str> {
    item.operation
        .answer()
        .and_then(|answer| answer.text("session"))
}

/// Tries every next item. `state` holds each key's value and mzxid, `last` the zxid of the last write placed.
fn place(
    items: &[Item<'_>],
    done: &mut Vec<bool>,
    state: &mut BTreeMap<String, (Value, i64)>,
    last: i64,
) -> bool {
    if done.iter().all(|done| *done) {
        return true;
    }
    (0..items.len()).any(|at| {
        if done[at] || !may_come_next(items, done, at, last) {
            return false;
        }
        let item = &items[at];
        let key = item.operation.key().unwrap().to_string();
        let before = state.get(&key).cloned();
        let write = item.operation.f() == "write";
        if write {
            state.insert(
                key.clone(),
                (item.operation.argument().to_json(), item.zxid),
            );
        } else if !fits(&item.operation, before.as_ref()) {
            return false;
        }
        done[at] = true;
        let found = place(items, done, state, if write { item.zxid } else { last });
        done[at] = false;
        match before {
            Some(before) => state.insert(key, before),
            None => state.remove(&key),
        };
        found
    })
}

fn may_come_next(items: &[Item<'_>], done: &[bool], at: usize, last: i64) -> bool {
    let item = &items[at];
    let write = item.operation.f() == "write";
    let left = || {
        items
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at && !done[*other])
            .map(|(_, other)| other)
    };
    let placed = || {
        items
            .iter()
            .enumerate()
            .filter(|(other, _)| done[*other])
            .map(|(_, other)| other)
    };
    // Writes by zxid; a read shows exactly the writes up to its reply's zxid.
    let zxid_fits = if write {
        item.zxid > last
    } else {
        item.zxid >= last
    };
    let all_before = left()
        .filter(|other| other.operation.f() == "write")
        .all(|other| other.zxid > item.zxid);
    // Session order.
    let mine = |other: &&Item<'_>| session(item).is_some() && session(other) == session(item);
    let in_session = left()
        .filter(mine)
        .all(|other| other.operation.inv() > item.operation.inv());
    let newer = |other: &Item<'_>| {
        if write {
            other.zxid >= item.zxid
        } else {
            other.zxid > item.zxid
        }
    };
    let grows = placed().filter(mine).all(|other| !newer(other));
    // Real time: between writes; and nobody shows a write that was invoked after he had his answer.
    let writes_in_time = !write
        || left()
            .filter(|other| other.operation.f() == "write")
            .all(|other| {
                other
                    .operation
                    .ret()
                    .is_none_or(|ret| ret > item.operation.inv())
            });
    let no_future = item.operation.ret().is_none_or(|ret| {
        placed()
            .filter(|other| other.operation.f() == "write")
            .all(|other| other.operation.inv() < ret)
    });
    zxid_fits && all_before && in_session && grows && writes_in_time && no_future
}

fn fits(read: &Operation<'_>, holds: Option<&(Value, i64)>) -> bool {
    let mzxid = read.answer().unwrap().int("mzxid");
    match (read.error(), holds) {
        (Some(_), None) => true,
        (None, Some((value, zxid))) => read.result().unwrap() == *value && mzxid == Some(*zxid),
        _ => false,
    }
}

#[test]
fn session_order_agrees_with_the_oracle() {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let operations = rng.random_range(2..=8);
        let mut history = sound(&mut rng, operations);
        for _ in 0..rng.random_range(0..3) {
            edit(&mut history, |events| falsify(events, &mut rng));
        }
        if history
            .operations()
            .unwrap()
            .iter()
            .all(|operation| !operation.is_ok())
        {
            continue;
        }
        let oracle = kept(&history);
        let checker = validity(&judge("session-order", &history));
        assert_eq!(checker, Some(oracle), "seed {seed}:\n{}", text(&history));
        mix.count(&history, oracle);
    }
    mix.report("session-order");
}
