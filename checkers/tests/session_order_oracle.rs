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
    /// What is written, one after the other; nothing by a read.
    writes: Vec<(&'static str, i64)>,
    answer: Option<Answer>,
}

impl InFlight {
    /// Several at once are a multi.
    fn asked(&self) -> (&'static str, Option<&'static str>, Value) {
        match self.writes[..] {
            [] => ("read", Some(self.key), Value::Null),
            [(key, value)] => ("write", Some(key), json!(value)),
            _ => {
                let part = |(key, value): &(&str, i64)| json!(["set", key, value, -1]);
                let parts: Vec<Value> = self.writes.iter().map(part).collect();
                ("multi", None, Value::Array(parts))
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Answer {
    zxid: i64,
    shows: Option<(i64, i64)>,
}

impl Store {
    fn apply(&mut self, call: &InFlight, rng: &mut ChaCha8Rng) -> Answer {
        let seen = *self.seen.get(&call.session).unwrap_or(&0);
        if call.writes.is_empty() {
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
        }
        // Zxids have gaps: other clients write too.
        self.next += rng.random_range(1..=2);
        let writes = call.writes.iter();
        (self.log).extend(writes.map(|(key, value)| (self.next, *key, *value)));
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
            let mut writes = Vec::new();
            if rng.random_bool(0.45) {
                // What a multi overwrites itself nobody sees, whoever else writes the same.
                if rng.random_bool(0.2) {
                    writes.push((key, rng.random_range(1..=value + 1)));
                }
                value += 1;
                writes.push((key, value));
                if rng.random_bool(0.1) {
                    value += 1;
                    writes.push((*pick(rng, &KEYS), value));
                }
            }
            let asked = match writes.is_empty() {
                true => json!({ "mode": "local" }),
                false => Value::Null,
            };
            open.push(InFlight {
                process,
                session,
                key,
                writes,
                answer: None,
            });
            let (f, key, argument) = open[open.len() - 1].asked();
            script.client(process, Kind::Invoke, f, key, argument, asked);
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
            13 if !open[at].writes.is_empty() => {
                let call = open.swap_remove(at);
                let (f, key, argument) = call.asked();
                script.client(call.process, Kind::Info, f, key, argument, Value::Null);
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
    let (f, key, argument) = call.asked();
    let value = match (call.writes.is_empty(), answer.shows) {
        (false, _) => argument,
        (true, Some((value, mzxid))) => {
            fields["mzxid"] = json!(mzxid);
            json!(value)
        }
        (true, None) => {
            fields["error"] = json!("NoNode");
            Value::Null
        }
    };
    script.client(call.process, Kind::Ok, f, key, value, fields);
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

fn is_write(operation: &Operation<'_>) -> bool {
    operation.f() != "read"
}

/// What a write leaves of each key.
fn leaves(operation: &Operation<'_>) -> BTreeMap<String, Value> {
    match operation.argument().to_json() {
        Value::Array(parts) => {
            let left = |part: &Value| (part[1].as_str().unwrap().to_owned(), part[2].clone());
            parts.iter().map(left).collect()
        }
        value => BTreeMap::from([(operation.key().unwrap().to_string(), value)]),
    }
}

fn kept(history: &History) -> bool {
    let operations = history.operations().unwrap();
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut zxids = BTreeSet::new();
    for operation in operations.iter().filter(|operation| operation.is_ok()) {
        let zxid = operation.answer().unwrap().int("zxid").unwrap();
        if is_write(operation) && !zxids.insert(zxid) {
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
        .filter(|operation| operation.kind() == Kind::Info && is_write(operation))
    {
        let left = leaves(operation);
        let shows = |read: &&Operation<'_>| {
            let shown = read.result().map(|value| value.to_json());
            !is_write(read) && left.get(read.key().unwrap()) == shown.as_ref()
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
        let before = state.clone();
        let write = is_write(&item.operation);
        if write {
            let left = leaves(&item.operation).into_iter();
            state.extend(left.map(|(key, value)| (key, (value, item.zxid))));
        } else if !fits(&item.operation, state.get(item.operation.key().unwrap())) {
            return false;
        }
        done[at] = true;
        let found = place(items, done, state, if write { item.zxid } else { last });
        done[at] = false;
        *state = before;
        found
    })
}

fn may_come_next(items: &[Item<'_>], done: &[bool], at: usize, last: i64) -> bool {
    let item = &items[at];
    let write = is_write(&item.operation);
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
        .filter(|other| is_write(&other.operation))
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
            .filter(|other| is_write(&other.operation))
            .all(|other| {
                other
                    .operation
                    .ret()
                    .is_none_or(|ret| ret > item.operation.inv())
            });
    let no_future = item.operation.ret().is_none_or(|ret| {
        placed()
            .filter(|other| is_write(&other.operation))
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
