//! The objects of the room once more: how they are asked, what they do, and what may be.

use crate::small::{Answer, Object, Op, State};
use keelhaul_checkers::Kind;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

fn answer(value: Value) -> Answer {
    Answer {
        value,
        ..Answer::default()
    }
}

fn error(op: &Op, error: &'static str) -> Answer {
    Answer {
        value: op.argument.clone(),
        error: Some(error),
        version: None,
    }
}

/// Whether it is known to have been refused.
fn refused(op: &Op) -> bool {
    op.kind == Kind::Ok && op.answer.error.is_some()
}

type Fresh<'a> = &'a mut dyn FnMut(&mut ChaCha8Rng) -> Value;

/// A value that was there or is likely to be.
fn known(rng: &mut ChaCha8Rng, state: &State) -> Value {
    if rng.random_bool(0.6) {
        state.0.clone()
    } else {
        json!(rng.random_range(0..4))
    }
}

fn ask_register(
    rng: &mut ChaCha8Rng,
    _: &State,
    fresh: Fresh<'_>,
) -> (&'static str, Value, Option<i64>) {
    match rng.random_range(0..2) {
        0 => ("write", fresh(rng), None),
        _ => ("read", Value::Null, None),
    }
}

fn ask_cas(
    rng: &mut ChaCha8Rng,
    state: &State,
    fresh: Fresh<'_>,
) -> (&'static str, Value, Option<i64>) {
    match rng.random_range(0..6) {
        0 => ("write", fresh(rng), None),
        1..=3 => ("cas", json!([known(rng, state), fresh(rng)]), None),
        _ => ("read", Value::Null, None),
    }
}

fn apply_register(state: &mut State, op: &Op) -> Answer {
    match op.f {
        "write" => state.0 = op.argument.clone(),
        "cas" if op.argument[0] == state.0 => state.0 = op.argument[1].clone(),
        "cas" => return error(op, "Mismatch"),
        _ => return answer(state.0.clone()),
    }
    answer(op.argument.clone())
}

fn step_register(state: &State, op: &Op) -> Option<State> {
    let same = Some(state.clone());
    match op.f {
        "write" => Some((op.argument.clone(), 0)),
        "cas" if refused(op) => same.filter(|_| op.argument[0] != state.0),
        "cas" => (op.argument[0] == state.0).then(|| (op.argument[1].clone(), 0)),
        _ => same.filter(|_| op.answer.value == state.0),
    }
}

fn falsify_register(rng: &mut ChaCha8Rng, op: &mut Op, all: &[Op]) {
    match op.f {
        "read" => op.answer.value = other_value(rng, all),
        "cas" if op.answer.error.is_some() => op.answer.error = None,
        "cas" => op.answer.error = Some("Mismatch"),
        _ => {}
    }
}

/// A value that some operation wrote, or another one.
fn other_value(rng: &mut ChaCha8Rng, all: &[Op]) -> Value {
    let written: Vec<&Value> = all
        .iter()
        .filter(|op| op.f == "write" || op.f == "create")
        .map(|op| &op.argument)
        .collect();
    match written.len() {
        0 => json!(rng.random_range(0..4)),
        count if rng.random_bool(0.8) => written[rng.random_range(0..count)].clone(),
        _ if rng.random_bool(0.5) => Value::Null,
        _ => json!(rng.random_range(0..6)),
    }
}

pub(crate) const REGISTER: Object = Object {
    model: "register",
    initial: (Value::Null, 0),
    ask: ask_register,
    apply: apply_register,
    step: step_register,
    falsify: falsify_register,
    reads: &["read"],
    most: 10,
    lies: 4,
};

pub(crate) const CAS_REGISTER: Object = Object {
    model: "cas-register",
    ask: ask_cas,
    ..REGISTER
};

// --- versioned register: -1 is no znode -----------------------------------------------------------------------------

fn ask_versioned(
    rng: &mut ChaCha8Rng,
    state: &State,
    fresh: Fresh<'_>,
) -> (&'static str, Value, Option<i64>) {
    match rng.random_range(0..12) {
        0 | 1 => ("create", fresh(rng), None),
        2..=4 => ("write", fresh(rng), None),
        5..=7 => {
            let expected = (state.1 + rng.random_range(-1..=1)).max(0);
            ("cas", json!([0, fresh(rng)]), Some(expected))
        }
        _ => ("read", Value::Null, None),
    }
}

fn set(op: &Op) -> Value {
    if op.f == "cas" {
        op.argument[1].clone()
    } else {
        op.argument.clone()
    }
}

fn apply_versioned(state: &mut State, op: &Op) -> Answer {
    match (op.f, state.1) {
        ("create", -1) => *state = (set(op), 0),
        ("create", _) => return error(op, "NodeExists"),
        (_, -1) => return error(op, "NoNode"),
        ("read", version) => {
            return Answer {
                value: state.0.clone(),
                error: None,
                version: Some(version),
            };
        }
        ("cas", version) if op.expected != Some(version) => return error(op, "BadVersion"),
        (_, version) => *state = (set(op), version + 1),
    }
    Answer {
        value: op.argument.clone(),
        error: None,
        version: Some(state.1),
    }
}

fn step_versioned(state: &State, op: &Op) -> Option<State> {
    let ok = op.kind == Kind::Ok;
    let error = op.answer.error.filter(|_| ok);
    let after = match (op.f, state.1, error) {
        ("create", -1, None) => (set(op), 0),
        ("create", 0.., Some("NodeExists")) => return Some(state.clone()),
        ("write" | "cas" | "read", -1, Some("NoNode")) => return Some(state.clone()),
        ("cas", version @ 0.., Some("BadVersion")) => {
            return (op.expected != Some(version)).then(|| state.clone());
        }
        (_, _, Some(_)) => return None,
        ("read", version @ 0.., None) => {
            let same = op.answer.value == state.0 && op.answer.version == Some(version);
            return same.then(|| state.clone());
        }
        ("write", version @ 0.., None) => (set(op), version + 1),
        ("cas", version @ 0.., None) if op.expected == Some(version) => (set(op), version + 1),
        _ => return None,
    };
    (!ok || op.answer.version == Some(after.1)).then_some(after)
}

fn falsify_versioned(rng: &mut ChaCha8Rng, op: &mut Op, all: &[Op]) {
    let before = format!("{:?}", op.answer);
    for _ in 0..4 {
        falsify_versioned_once(rng, op, all);
        if format!("{:?}", op.answer) != before {
            return;
        }
    }
}

fn falsify_versioned_once(rng: &mut ChaCha8Rng, op: &mut Op, all: &[Op]) {
    let refuse = match op.f {
        "create" => "NodeExists",
        "cas" => "BadVersion",
        _ => "NoNode",
    };
    // A create says no version of its own.
    match (rng.random_range(0..4), op.answer.version) {
        (0 | 1, Some(version)) if op.f != "create" => {
            op.answer.version = Some((version + rng.random_range(-1..=1)).max(0))
        }
        (2, Some(_)) if op.f == "read" => {
            let other = all
                .iter()
                .filter(|other| other.answer.version.is_some() && other.kind == Kind::Ok);
            let other = other.max_by_key(|other| (other.inv * 7919) % 13).unwrap();
            op.answer.version = other.answer.version;
            op.answer.value = if other.f == "read" {
                other.answer.value.clone()
            } else {
                set(other)
            };
        }
        (3, Some(_)) => op.answer = error(op, refuse),
        _ => {}
    }
}

pub(crate) const VERSIONED: Object = Object {
    model: "versioned-register",
    initial: (Value::Null, -1),
    ask: ask_versioned,
    apply: apply_versioned,
    step: step_versioned,
    falsify: falsify_versioned,
    reads: &["read"],
    most: 10,
    lies: 8,
};

// --- several registers: x and y ------------------------------------------------------------------------------------

fn ask_multi(
    rng: &mut ChaCha8Rng,
    _: &State,
    fresh: Fresh<'_>,
) -> (&'static str, Value, Option<i64>) {
    let count = rng.random_range(1..=3);
    let micros = (0..count).map(|_| {
        let register = if rng.random_bool(0.5) { "x" } else { "y" };
        if rng.random_bool(0.5) {
            json!(["r", register, null])
        } else {
            json!(["w", register, fresh(rng)])
        }
    });
    ("txn", micros.collect(), None)
}

fn registers(state: &State) -> [Value; 2] {
    match &state.0 {
        Value::Array(both) => [both[0].clone(), both[1].clone()],
        _ => [Value::Null, Value::Null],
    }
}

fn apply_multi(state: &mut State, op: &Op) -> Answer {
    let mut both = registers(state);
    let mut told = Vec::new();
    for micro in op.argument.as_array().unwrap() {
        let held = &mut both[usize::from(micro[1] == "y")];
        if micro[0] == "w" {
            *held = micro[2].clone();
        }
        told.push(json!([micro[0], micro[1], held]));
    }
    state.0 = json!(both);
    answer(told.into())
}

fn step_multi(state: &State, op: &Op) -> Option<State> {
    let mut both = registers(state);
    let told = if op.kind == Kind::Ok {
        &op.answer.value
    } else {
        &op.argument
    };
    for micro in told.as_array().unwrap() {
        let held = &mut both[usize::from(micro[1] == "y")];
        if micro[0] == "w" {
            *held = micro[2].clone();
        } else if op.kind == Kind::Ok && *held != micro[2] {
            return None;
        }
    }
    Some((json!(both), 0))
}

fn falsify_multi(rng: &mut ChaCha8Rng, op: &mut Op, all: &[Op]) {
    let micros = op.answer.value.as_array_mut().unwrap();
    let at = rng.random_range(0..micros.len());
    if micros[at][0] == "r" {
        let other = &all[rng.random_range(0..all.len())].argument[0][2];
        micros[at][2] = if rng.random_bool(0.5) {
            other.clone()
        } else {
            json!(rng.random_range(0..4))
        };
    }
}

pub(crate) const MULTI_REGISTER: Object = Object {
    model: "multi-register",
    initial: (Value::Null, 0),
    ask: ask_multi,
    apply: apply_multi,
    step: step_multi,
    falsify: falsify_multi,
    reads: &[],
    most: 6,
    lies: 3,
};

// --- a store, one key of it ------------------------------------------------------------------------------------------

fn ask_kv(
    rng: &mut ChaCha8Rng,
    state: &State,
    fresh: Fresh<'_>,
) -> (&'static str, Value, Option<i64>) {
    let mut text = |rng: &mut ChaCha8Rng| {
        let number = fresh(rng).as_i64().unwrap();
        json!(char::from(b'a' + number as u8).to_string())
    };
    match rng.random_range(0..12) {
        0 | 1 => ("put", text(rng), None),
        // Which histories have appends depends on nothing but chance: about half have some.
        2 => ("append", text(rng), None),
        3 | 4 => ("delete", Value::Null, None),
        5 | 6 => {
            let old = if rng.random_bool(0.7) {
                state.0.clone()
            } else {
                text(rng)
            };
            ("cas", json!([old, text(rng)]), None)
        }
        _ => ("get", Value::Null, None),
    }
}

fn apply_kv(state: &mut State, op: &Op) -> Answer {
    match op.f {
        "put" => state.0 = op.argument.clone(),
        "append" => {
            state.0 = json!(format!(
                "{}{}",
                state.0.as_str().unwrap_or(""),
                op.argument.as_str().unwrap()
            ))
        }
        "delete" if state.0.is_null() => return error(op, "NotFound"),
        "delete" => state.0 = Value::Null,
        "cas" if op.argument[0] == state.0 => state.0 = op.argument[1].clone(),
        "cas" => return error(op, "Mismatch"),
        _ if state.0.is_null() => return error(op, "NotFound"),
        _ => return answer(state.0.clone()),
    }
    answer(op.argument.clone())
}

fn step_kv(state: &State, op: &Op) -> Option<State> {
    let same = Some(state.clone());
    match op.f {
        "put" => Some((op.argument.clone(), 0)),
        "append" => Some((
            json!(format!(
                "{}{}",
                state.0.as_str().unwrap_or(""),
                op.argument.as_str().unwrap()
            )),
            0,
        )),
        "delete" | "get" if refused(op) => same.filter(|_| state.0.is_null()),
        "delete" => Some((Value::Null, 0)),
        "cas" if refused(op) => same.filter(|_| op.argument[0] != state.0),
        "cas" => (op.argument[0] == state.0).then(|| (op.argument[1].clone(), 0)),
        _ => same.filter(|_| op.answer.value == state.0),
    }
}

fn falsify_kv(rng: &mut ChaCha8Rng, op: &mut Op, all: &[Op]) {
    match op.f {
        "get" => {
            let put: Vec<&Value> = all
                .iter()
                .filter(|op| op.f == "put" || op.f == "append")
                .map(|op| &op.argument)
                .collect();
            op.answer = match put.len() {
                0 => error(op, "NotFound"),
                _ if rng.random_bool(0.2) => error(op, "NotFound"),
                count => answer(put[rng.random_range(0..count)].clone()),
            };
        }
        "cas" if op.answer.error.is_some() => op.answer.error = None,
        "cas" => op.answer.error = Some("Mismatch"),
        "delete" if op.answer.error.is_none() => op.answer.error = Some("NotFound"),
        _ => {}
    }
}

pub(crate) const KV: Object = Object {
    model: "kv",
    initial: (Value::Null, 0),
    ask: ask_kv,
    apply: apply_kv,
    step: step_kv,
    falsify: falsify_kv,
    reads: &["get"],
    most: 10,
    lies: 4,
};
