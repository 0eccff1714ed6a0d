//! total-queue against multisets.

use crate::common::random::Mix;
use crate::common::{Script, judge, text, validity};
use keelhaul_checkers::{History, Kind, Operation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const HISTORIES: u64 = 100_000;

fn history(rng: &mut ChaCha8Rng) -> History {
    let mut script = Script::default();
    let mut held: Vec<i64> = Vec::new();
    let odd = if rng.random_bool(0.4) { 0.0 } else { 0.35 };
    let mut told = |process, f, argument: Value, kind, result: Value, extra: Value| {
        script.client(process, Kind::Invoke, f, None, argument, Value::Null);
        script.client(process, kind, f, None, result, extra);
    };
    for process in 0..rng.random_range(2..10) {
        if rng.random_bool(0.6) {
            let value = rng.random_range(0..6);
            let (kind, in_it) = match rng.random_range(0..8) {
                0 => (Kind::Fail, rng.random_bool(odd)),
                1 | 2 => (Kind::Info, rng.random_bool(0.5)),
                _ => (Kind::Ok, !rng.random_bool(odd)),
            };
            if in_it {
                held.push(value);
            }
            told(
                process,
                "enqueue",
                json!(value),
                kind,
                json!(value),
                Value::Null,
            );
        } else if rng.random_bool(0.08) {
            if rng.random_bool(0.2) {
                held.pop();
            }
            told(
                process,
                "dequeue",
                Value::Null,
                Kind::Info,
                Value::Null,
                Value::Null,
            );
        } else {
            let value = match held.len() {
                _ if rng.random_bool(odd / 2.0) => Some(rng.random_range(0..9)),
                0 => None,
                some => Some(held.remove(rng.random_range(0..some))),
            };
            match value {
                Some(value) => {
                    if rng.random_bool(odd) {
                        held.push(value);
                    }
                    told(
                        process,
                        "dequeue",
                        Value::Null,
                        Kind::Ok,
                        json!(value),
                        Value::Null,
                    );
                }
                None => {
                    // A dequeue that failed says nothing, unless it says why; one that was answered says that there was nothing.
                    let failed = rng.random_bool(0.3);
                    let kind = if failed { Kind::Fail } else { Kind::Ok };
                    let error = match rng.random_range(0..3) {
                        0 => json!({ "error": "exhausted" }),
                        1 if failed => json!({ "error": "connection-refused" }),
                        _ => Value::Null,
                    };
                    told(process, "dequeue", Value::Null, kind, Value::Null, error);
                }
            }
        }
    }
    if rng.random_bool(0.95) {
        let kind = if rng.random_bool(0.9) {
            Kind::Ok
        } else {
            Kind::Info
        };
        told(100, "drain", Value::Null, kind, json!(held), Value::Null);
    }
    script.history
}

#[derive(Default, Debug)]
struct Naive {
    lost: usize,
    unexpected: usize,
    duplicated: usize,
    recovered: usize,
    left: usize,
}

fn naive(history: &History) -> Naive {
    let operations = history.operations().unwrap();
    let put = |value: i64, kind: Kind| {
        let of = |op: &&Operation<'_>| {
            op.f() == "enqueue" && op.kind() == kind && op.argument() == json!(value)
        };
        operations.iter().filter(of).copied().collect::<Vec<_>>()
    };
    let mut out: Vec<i64> = Vec::new();
    for operation in operations
        .iter()
        .filter(|op| op.f() != "enqueue" && op.is_ok())
    {
        let result = operation.result().unwrap();
        out.extend(result.as_i64());
        out.extend(
            result
                .as_list()
                .into_iter()
                .flat_map(|list| list.iter())
                .filter_map(|value| value.as_i64()),
        );
    }
    let found_empty = |op: &&Operation<'_>| match op.f() {
        "dequeue" if op.error() == Some("exhausted") => true,
        "dequeue" => op.result().is_some_and(|value| value.is_null()),
        "drain" => op.is_ok(),
        _ => false,
    };
    // By which line what was there after a line had been taken.
    let gone_by = |after: Option<u64>| {
        let empty = operations.iter().filter(found_empty);
        let later = empty.filter(|op| Some(op.inv()) > after);
        later.filter_map(|op| op.ret()).min()
    };
    let open = |f: &str, by: u64| {
        let open = operations.iter().filter(|op| op.f() == f);
        open.filter(|op| op.kind() == Kind::Info && op.inv() < by)
            .count()
    };
    let mut values: BTreeSet<i64> = out.iter().copied().collect();
    values.extend(
        operations
            .iter()
            .filter(|op| op.f() == "enqueue")
            .filter_map(|op| op.argument().as_i64()),
    );
    let mut naive = Naive::default();
    let mut gone: Vec<u64> = Vec::new();
    for value in values {
        let (ok, info) = (put(value, Kind::Ok), put(value, Kind::Info));
        let taken = out.iter().filter(|other| **other == value).count();
        let attempts = ok.len() + info.len();
        naive.recovered += taken.min(attempts).saturating_sub(ok.len());
        if attempts == 0 {
            naive.unexpected += usize::from(taken > 0);
            continue;
        }
        naive.duplicated += taken.saturating_sub(attempts);
        for missing in ok.iter().skip(taken) {
            match gone_by(missing.ret()) {
                Some(line) if open("drain", line) == 0 => gone.push(line),
                _ => naive.left += 1,
            }
        }
    }
    // As many as are too many by any line for those that may have taken them by then.
    let by = |line: u64| gone.iter().filter(|other| **other <= line).count();
    let too_many = gone
        .iter()
        .filter(|line| by(**line) > open("dequeue", **line));
    naive.lost = too_many.map(|line| by(*line)).max().unwrap_or(0);
    naive.left += gone.len() - naive.lost;
    naive
}

#[test]
fn total_queue_agrees_with_multisets() {
    let mut mix = Mix::default();
    let mut unknown = 0;
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let history = history(&mut ChaCha8Rng::seed_from_u64(seed));
        let finding = judge("total-queue", &history);
        let naive = naive(&history);
        let said = |what: &str| finding.details[what].as_u64().unwrap_or(u64::MAX) as usize;
        for (what, count) in [
            ("lost", naive.lost),
            ("unexpected", naive.unexpected),
            ("duplicated", naive.duplicated),
            ("recovered", naive.recovered),
            ("left", naive.left),
        ] {
            assert_eq!(
                said(what),
                count,
                "seed {seed}, {what}:\n{}",
                text(&history)
            );
            *met.entry(what).or_default() += usize::from(count > 0);
        }
        let invalid = naive.lost + naive.unexpected > 0;
        let verdict = validity(&finding);
        assert_eq!(
            verdict == Some(false),
            invalid,
            "seed {seed}:\n{}",
            text(&history)
        );
        assert!(
            verdict != Some(true) || naive.left == 0,
            "seed {seed}:\n{}",
            text(&history)
        );
        unknown += usize::from(verdict.is_none());
        mix.count(&history, !invalid);
    }
    println!("total-queue: {met:?}, {unknown} unknown");
    assert!(met.values().all(|count| *count > 500));
    mix.report("total-queue");
}
