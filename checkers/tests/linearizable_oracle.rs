//! The linearizability checkers against an oracle that tries every order, on thousands of random small histories.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::oracle::linearizable;
use common::random::{Mix, Object, pick, sound};
use common::{edit, judge, text, validity};
use keelhaul_checkers::{Event, Extra, Kind, Operation, ValueRef};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

const HISTORIES: u64 = 3_000;

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

// --- versioned register ---------------------------------------------------------------------------------------------

/// The znode: its value and version, or nothing.
#[derive(Default)]
struct Znode {
    holds: Option<(i64, i64)>,
    next: i64,
    /// With few values, one may be written twice.
    repeat: bool,
}

impl Znode {
    fn fresh(&mut self, rng: &mut ChaCha8Rng) -> i64 {
        self.next += 1;
        if self.repeat {
            rng.random_range(0..3)
        } else {
            self.next
        }
    }
}

impl Object for Znode {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> (&'static str, Value, Value) {
        let value = self.fresh(rng);
        match rng.random_range(0..10) {
            0 | 1 => ("create", json!(value), Value::Null),
            2..=4 => ("write", json!(value), Value::Null),
            5 | 6 => {
                let near = self.holds.map_or(0, |(_, version)| version) + rng.random_range(-1..=1);
                ("cas", json!([0, value]), json!({ "expected": near.max(0) }))
            }
            _ => ("read", Value::Null, json!({ "mode": "fenced" })),
        }
    }

    fn apply(&mut self, f: &str, argument: &Value, asked: &Value) -> (Value, Map<String, Value>) {
        let error = |word: &str| (argument.clone(), fields(json!({ "error": word })));
        let set = argument
            .as_i64()
            .or_else(|| argument.get(1).and_then(Value::as_i64));
        match (f, self.holds) {
            ("create", Some(_)) => error("NodeExists"),
            ("create", None) => {
                self.holds = Some((set.unwrap(), 0));
                (argument.clone(), fields(json!({ "version": 0 })))
            }
            (_, None) => error("NoNode"),
            ("read", Some((value, version))) => {
                (json!(value), fields(json!({ "version": version })))
            }
            ("cas", Some((_, version))) if asked["expected"] != json!(version) => {
                error("BadVersion")
            }
            (_, Some((_, version))) => {
                self.holds = Some((set.unwrap(), version + 1));
                (argument.clone(), fields(json!({ "version": version + 1 })))
            }
        }
    }
}

type ZnodeState = Option<(i64, i64)>;

/// The same object once more, as the oracle sees it: what may an operation with this outcome do?
fn znode_step(state: &ZnodeState, operation: &Operation<'_>) -> Option<ZnodeState> {
    let set = operation
        .argument()
        .as_i64()
        .or_else(|| operation.argument().as_list()?.get(1)?.as_i64());
    let error = operation.error().filter(|_| operation.is_ok());
    let version = operation.answer().and_then(|answer| answer.int("version"));
    let expected = operation.asked().int("expected");
    let after = match (operation.f(), state, error) {
        ("create", Some(_), Some("NodeExists")) | (_, None, Some("NoNode")) => return Some(*state),
        ("cas", Some((_, has)), Some("BadVersion")) => {
            return (expected != Some(*has)).then_some(*state);
        }
        (_, _, Some(_)) => return None,
        ("create", None, None) => (set.unwrap(), 0),
        ("read", Some((value, has)), None) => {
            let same = operation.result().and_then(ValueRef::as_i64) == Some(*value)
                && version == Some(*has);
            return same.then_some(*state);
        }
        ("write", Some((_, has)), None) => (set.unwrap(), has + 1),
        ("cas", Some((_, has)), None) if expected == Some(*has) => (set.unwrap(), has + 1),
        _ => return None,
    };
    if operation.is_ok() && operation.f() != "create" && version != Some(after.1) {
        return None;
    }
    Some(Some(after))
}

/// Changes one answer a little.
fn falsify(history: &mut [Event], rng: &mut ChaCha8Rng) {
    let answers: Vec<usize> = (0..history.len())
        .filter(|at| history[*at].kind == Kind::Ok)
        .collect();
    if answers.is_empty() {
        return;
    }
    let other_value = {
        let from = &history[answers[rng.random_range(0..answers.len())]];
        (from.value.clone(), from.extra.int("version"))
    };
    let event = &mut history[answers[rng.random_range(0..answers.len())]];
    match (rng.random_range(0..3), event.extra.int("version")) {
        (0, Some(version)) => event
            .extra
            .insert("version", version + rng.random_range(-1..=1i64)),
        (1, Some(_)) if &*event.f == "read" && !other_value.0.is_array() => {
            event.value = other_value.0;
            if let Some(version) = other_value.1 {
                event.extra.insert("version", version);
            }
        }
        (_, _) if &*event.f == "read" => {
            event.extra = [("error", json!("NoNode"))].into_iter().collect();
            event.value = Value::Null;
        }
        (_, _) if &*event.f == "create" => {
            event.extra = [("error", json!("NodeExists"))].into_iter().collect()
        }
        (_, _) if &*event.f == "cas" => {
            event.extra = [("error", json!("BadVersion"))].into_iter().collect()
        }
        _ => event.extra = [("error", json!("NoNode"))].into_iter().collect(),
    }
}

#[test]
fn versioned_registers_agree_with_the_oracle() {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut znode = Znode {
            repeat: seed % 3 == 0,
            ..Znode::default()
        };
        let operations = rng.random_range(2..=9);
        let mut history = sound(&mut rng, &mut znode, operations);
        for _ in 0..rng.random_range(0..4) {
            edit(&mut history, |events| falsify(events, &mut rng));
        }
        if history
            .operations()
            .unwrap()
            .iter()
            .all(|operation| operation.kind() != Kind::Ok)
        {
            continue;
        }
        let oracle = linearizable(&history, None, &znode_step);
        let checker = validity(&judge("register-linearizable", &history));
        assert_eq!(checker, Some(oracle), "seed {seed}:\n{}", text(&history));
        mix.count(&history, oracle);
    }
    mix.report("versioned-register");
}

// --- plain registers ------------------------------------------------------------------------------------------------

struct Plain {
    value: Value,
    cas: bool,
}

impl Object for Plain {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> (&'static str, Value, Value) {
        let value = rng.random_range(0..4);
        match rng.random_range(0..6) {
            0 | 1 => ("write", json!(value), Value::Null),
            2 | 3 if self.cas => ("cas", json!([rng.random_range(0..4), value]), Value::Null),
            _ => ("read", Value::Null, Value::Null),
        }
    }

    fn apply(&mut self, f: &str, argument: &Value, _: &Value) -> (Value, Map<String, Value>) {
        match f {
            "write" => self.value = argument.clone(),
            "cas" if argument[0] == self.value => self.value = argument[1].clone(),
            "cas" => return (argument.clone(), fields(json!({ "error": "Mismatch" }))),
            _ => return (self.value.clone(), Map::new()),
        }
        (argument.clone(), Map::new())
    }
}

fn plain_step(state: &Value, operation: &Operation<'_>) -> Option<Value> {
    let argument = operation.argument().to_json();
    match operation.f() {
        "write" => Some(argument.clone()),
        "cas" if operation.is_ok() && operation.error().is_some() => {
            (argument[0] != *state).then(|| state.clone())
        }
        "cas" => (argument[0] == *state).then(|| argument[1].clone()),
        _ => (operation.result()? == *state).then(|| state.clone()),
    }
}

/// Turns one answer into another one: a read's value, or whether a compare-and-set found its value.
fn falsify_plain(history: &mut [Event], rng: &mut ChaCha8Rng) {
    let changes = |event: &Event| event.kind == Kind::Ok && &*event.f != "write";
    let answers: Vec<usize> = (0..history.len())
        .filter(|at| changes(&history[*at]))
        .collect();
    if answers.is_empty() {
        return;
    }
    let event = &mut history[*pick(rng, &answers)];
    match &*event.f {
        "read" => event.value = json!(rng.random_range(0..4)),
        _ if event.extra.is_empty() => event.extra.insert("error", "Mismatch"),
        _ => event.extra = Extra::new(),
    }
}

fn plain_agrees(model: &str, cas: bool) {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(1_000_000 + seed);
        let operations = rng.random_range(2..=9);
        let mut history = sound(
            &mut rng,
            &mut Plain {
                value: Value::Null,
                cas,
            },
            operations,
        );
        for _ in 0..rng.random_range(0..3) {
            edit(&mut history, |events| falsify_plain(events, &mut rng));
        }
        let oracle = linearizable(&history, Value::Null, &plain_step);
        let checker = validity(&judge(model, &history));
        let nothing = history
            .operations()
            .unwrap()
            .iter()
            .all(|operation| operation.kind() == Kind::Fail);
        if nothing || checker.is_none() {
            continue;
        }
        assert_eq!(checker, Some(oracle), "seed {seed}:\n{}", text(&history));
        mix.count(&history, oracle);
    }
    mix.report(model);
}

#[test]
fn plain_registers_agree_with_the_oracle() {
    plain_agrees("register", false);
}

#[test]
fn compare_and_set_registers_agree_with_the_oracle() {
    plain_agrees("cas-register", true);
}
