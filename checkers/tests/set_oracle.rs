//! The set checker against an oracle that tries every order, on thousands of random small histories.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::oracle::linearizable;
use common::random::{Mix, Object, pick, sound};
use common::{Script, edit, judge, text, validity};
use keelhaul_checkers::{Event, History, Kind, Operation, ValueRef};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const HISTORIES: u64 = 6_000;

/// A parent whose children are only ever added.
#[derive(Default)]
struct Children {
    holds: BTreeSet<i64>,
    next: i64,
}

impl Object for Children {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> (&'static str, Value, Value) {
        if rng.random_bool(0.4) {
            return ("read", Value::Null, json!({ "mode": "fenced" }));
        }
        // Now and then an element is tried again.
        if self.next == 0 || rng.random_bool(0.75) {
            self.next += 1;
        }
        ("add", json!(self.next), Value::Null)
    }

    fn apply(&mut self, f: &str, argument: &Value, _: &Value) -> (Value, Map<String, Value>) {
        if f == "read" {
            return (json!(self.holds), Map::new());
        }
        let mut fields = Map::new();
        if !self.holds.insert(argument.as_i64().unwrap()) {
            fields.insert("error".to_owned(), json!("NodeExists"));
        }
        (argument.clone(), fields)
    }
}

fn step(state: &BTreeSet<i64>, operation: &Operation<'_>) -> Option<BTreeSet<i64>> {
    if operation.f() == "read" {
        let list = operation.result()?.as_list()?;
        let shown: BTreeSet<i64> = list.iter().filter_map(ValueRef::as_i64).collect();
        return (shown.len() == list.len() && shown == *state).then(|| state.clone());
    }
    let element = operation.argument().as_i64()?;
    if operation.error() == Some("NodeExists") {
        return state.contains(&element).then(|| state.clone());
    }
    let mut after = state.clone();
    after.insert(element).then_some(after)
}

/// The same, of adds that do not say whether their element was there before.
fn step_again(state: &BTreeSet<i64>, operation: &Operation<'_>) -> Option<BTreeSet<i64>> {
    let element = operation.argument().as_i64();
    match element.filter(|element| operation.f() == "add" && state.contains(element)) {
        Some(_) => Some(state.clone()),
        None => step(state, operation),
    }
}

/// Adds, drops or doubles an element of one read.
fn falsify(history: &mut [Event], rng: &mut ChaCha8Rng) {
    let is_read = |at: &usize| history[*at].kind == Kind::Ok && &*history[*at].f == "read";
    let reads: Vec<usize> = (0..history.len()).filter(is_read).collect();
    let event = &mut history[*pick(rng, &reads)];
    let mut shown: Vec<i64> = serde_json::from_value(event.value.clone()).unwrap();
    match rng.random_range(0..5) {
        0 => shown.push(rng.random_range(1..6)),
        1 if !shown.is_empty() => shown.push(*pick(rng, &shown)),
        _ if !shown.is_empty() => {
            shown.remove(rng.random_range(0..shown.len()));
        }
        _ => {}
    }
    shown.sort_unstable();
    event.value = json!(shown);
}

/// Whether nothing was added for certain and no element seen.
fn shows_nothing(history: &History) -> bool {
    let mut answers = history.events().filter(|event| event.kind() == Kind::Ok);
    answers.all(|event| event.value() == json!([]))
}

/// Adds say nothing of what was there before.
fn say_nothing(history: &mut [Event]) {
    for event in history.iter_mut().filter(|event| &*event.f == "add") {
        event.extra = Map::new().into();
    }
}

/// A last read shows all.
fn read_all(script: &mut Script, holds: &BTreeSet<i64>) {
    let asked = json!({ "mode": "fenced", "final": true });
    script.client(1_000, Kind::Invoke, "read", None, Value::Null, asked);
    script.client(1_000, Kind::Ok, "read", None, json!(holds), Value::Null);
}

type Step = fn(&BTreeSet<i64>, &Operation<'_>) -> Option<BTreeSet<i64>>;

fn agrees(model: &str, step: Step) {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut children = Children::default();
        let operations = rng.random_range(2..=8);
        let mut script = Script {
            history: sound(&mut rng, &mut children, operations),
        };
        let once = model == "set-once";
        if once || rng.random_bool(0.6) {
            read_all(&mut script, &children.holds);
        }
        let mut history = script.history;
        let is_read = |event: keelhaul_checkers::EventRef<'_>| {
            event.kind() == Kind::Ok && event.f() == "read"
        };
        if !history.events().any(is_read) {
            continue;
        }
        for _ in 0..rng.random_range(0..3) {
            edit(&mut history, |events| falsify(events, &mut rng));
        }
        if !once && rng.random_bool(0.5) {
            edit(&mut history, |events| say_nothing(events));
        }
        let oracle = linearizable(&history, BTreeSet::new(), &step);
        let checker = validity(&judge(model, &history));
        if shows_nothing(&history) {
            assert_eq!(checker, None, "seed {seed}:\n{}", text(&history));
            continue;
        }
        assert_eq!(
            checker,
            Some(oracle),
            "{model}, seed {seed}:\n{}",
            text(&history)
        );
        mix.count(&history, oracle);
    }
    mix.report(model);
}

#[test]
fn sets_whose_elements_are_added_once_agree_with_the_oracle() {
    agrees("set-once", step);
}

#[test]
fn sets_agree_with_the_oracle_whether_or_not_all_is_read_again() {
    agrees("set", step_again);
}
