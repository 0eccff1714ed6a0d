//! set-full against its definition, element by element and read by read.

use crate::common::random::Mix;
use crate::common::{PLENTY, Script, judge, text, validity};
use keelhaul_checkers::{
    Checker, History, Kind, Operation, Parameters, ReadMode, SetFull, Verdict,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HISTORIES: u64 = 100_000;

/// A set that forgets, remembers late, shows twice and makes things up, each with its chance.
struct Flaky {
    forgets: f64,
    late: f64,
    odd: f64,
}

enum Open {
    Add(i64),
    Read(Option<Vec<i64>>),
}

fn history(rng: &mut ChaCha8Rng) -> History {
    let flaky = match rng.random_range(0..4) {
        0 => Flaky {
            forgets: 0.0,
            late: 0.0,
            odd: 0.0,
        },
        1 => Flaky {
            forgets: 0.05,
            late: 0.0,
            odd: 0.02,
        },
        2 => Flaky {
            forgets: 0.0,
            late: 0.3,
            odd: 0.02,
        },
        _ => Flaky {
            forgets: 0.03,
            late: 0.15,
            odd: 0.01,
        },
    };
    let mut script = Script::default();
    let (mut held, mut open): (Vec<i64>, Vec<(u64, Open)>) = (Vec::new(), Vec::new());
    let (mut process, mut begun, wanted) = (0, 0, rng.random_range(2..=14));
    let apart = if rng.random_bool(0.5) { 1 } else { 1_000_000 };
    while begun < wanted || !open.is_empty() {
        if begun < wanted && open.len() < 4 && rng.random_bool(0.5) {
            begun += 1;
            process += 1;
            if rng.random_bool(0.5) {
                // Now and then an element that somebody else tried before.
                let bound = if rng.random_bool(0.2) { 3 } else { 50 };
                let element = apart * rng.random_range(0..bound);
                script.client(
                    process,
                    Kind::Invoke,
                    "add",
                    None,
                    json!(element),
                    Value::Null,
                );
                open.push((process, Open::Add(element)));
            } else {
                let mode = if rng.random_bool(0.1) {
                    json!({ "mode": "local" })
                } else {
                    Value::Null
                };
                script.client(process, Kind::Invoke, "read", None, Value::Null, mode);
                open.push((process, Open::Read(None)));
            }
        }
        if open.is_empty() {
            continue;
        }
        let at = rng.random_range(0..open.len());
        let (process, call) = open.swap_remove(at);
        match call {
            Open::Add(element) => {
                let (kind, takes_effect) = match rng.random_range(0..10) {
                    0 => (Kind::Fail, rng.random_bool(flaky.odd)),
                    1 | 2 => (Kind::Info, rng.random_bool(0.5)),
                    _ => (Kind::Ok, !rng.random_bool(flaky.forgets)),
                };
                if takes_effect && !held.contains(&element) {
                    held.push(element);
                }
                script.client(process, kind, "add", None, json!(element), Value::Null);
            }
            Open::Read(None) => {
                let mut shown: Vec<i64> = held
                    .iter()
                    .copied()
                    .filter(|_| !rng.random_bool(flaky.late))
                    .collect();
                if rng.random_bool(flaky.odd) {
                    shown.push(*shown.first().unwrap_or(&7));
                }
                if rng.random_bool(flaky.odd) {
                    let stranger = apart * rng.random_range(0..60);
                    let times = if rng.random_bool(0.2) { 2 } else { 1 };
                    shown.extend(std::iter::repeat_n(stranger, times));
                }
                if rng.random_bool(flaky.forgets) && !held.is_empty() {
                    held.remove(0);
                }
                open.push((process, Open::Read(Some(shown))));
            }
            Open::Read(Some(shown)) => {
                let kind = if rng.random_bool(0.9) {
                    Kind::Ok
                } else {
                    Kind::Info
                };
                script.client(process, kind, "read", None, json!(shown), Value::Null);
            }
        }
    }
    script.history
}

#[derive(Debug, Default, PartialEq)]
struct Naive {
    counts: BTreeMap<&'static str, usize>,
    stale_ns: Vec<u64>,
}

fn shows(read: &Operation<'_>, element: i64) -> usize {
    let list = read.result().unwrap().as_list().unwrap();
    list.iter()
        .filter(|shown| shown.as_i64() == Some(element))
        .count()
}

/// By the definition: every element against every read.
fn naive(history: &History) -> Naive {
    let operations = history.operations().unwrap();
    let of = |f: &'static str| operations.iter().filter(move |op| op.f() == f);
    let mut elements: Vec<i64> = of("add")
        .map(|add| add.argument().as_i64().unwrap())
        .collect();
    let reads: Vec<&Operation<'_>> = of("read").filter(|op| op.is_ok()).collect();
    for read in &reads {
        elements.extend(
            read.result()
                .unwrap()
                .as_list()
                .unwrap()
                .iter()
                .map(|shown| shown.as_i64().unwrap()),
        );
    }
    elements.sort_unstable();
    elements.dedup();
    let mut naive = Naive::default();
    let mut count = |what, yes: bool| *naive.counts.entry(what).or_default() += usize::from(yes);
    for element in elements {
        let tries: Vec<&Operation<'_>> = of("add")
            .filter(|add| add.argument() == json!(element) && add.kind() != Kind::Fail)
            .collect();
        let is_twice = reads.iter().any(|read| shows(read, element) > 1);
        count("duplicated", is_twice);
        let Some(begun) = tries.iter().map(|add| add.inv()).min() else {
            count(
                "unexpected",
                reads.iter().any(|read| shows(read, element) > 0),
            );
            continue;
        };
        count(
            "unexpected",
            reads
                .iter()
                .any(|read| shows(read, element) > 0 && read.ret().unwrap() < begun),
        );
        let telling: Vec<&&Operation<'_>> = reads
            .iter()
            .filter(|read| read.asked().text("mode").is_none() && read.ret().unwrap() > begun)
            .collect();
        let (with, without): (Vec<&&Operation<'_>>, Vec<&&Operation<'_>>) = telling
            .iter()
            .copied()
            .partition(|read| shows(read, element) > 0);
        let by_adds = tries
            .iter()
            .filter(|add| add.is_ok())
            .map(|add| (add.ret().unwrap(), add.end().unwrap()));
        let by_reads = with
            .iter()
            .map(|read| (read.ret().unwrap(), read.end().unwrap()));
        let known = by_adds.chain(by_reads).min();
        let shown = with.iter().map(|read| read.inv()).max();
        let missed = without.iter().map(|read| (read.inv(), read.start())).max();
        let missed_known = known
            .zip(missed)
            .filter(|(known, missed)| known.0 < missed.0);
        let stable = shown.is_some() && shown > missed.map(|missed| missed.0);
        let lost = !stable && missed_known.is_some();
        count("stable", stable);
        count("lost", lost);
        count("never_read", !stable && !lost);
        count("stale", stable && missed_known.is_some());
        if stable {
            let stale = missed_known.map_or(0, |(known, missed)| missed.1.0 - known.1.0);
            naive.stale_ns.push(stale);
        }
    }
    naive.stale_ns.sort_unstable();
    naive
}

#[test]
fn set_full_agrees_with_its_definition() {
    let mut mix = Mix::default();
    let mut fates: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let history = history(&mut rng);
        let strict = rng.random_bool(0.5);
        let parameters = Parameters {
            reads: strict.then_some(ReadMode::Fenced),
            ..Parameters::default()
        };
        let finding = SetFull::new(&parameters).check(&history, &PLENTY);
        let naive = naive(&history);
        for (what, count) in &naive.counts {
            assert_eq!(
                finding.details[what],
                json!(count),
                "seed {seed}, {what}:\n{}",
                text(&history)
            );
            *fates.entry(what).or_default() += usize::from(*count > 0);
        }
        let longest = naive
            .stale_ns
            .last()
            .map_or(Value::Null, |longest| json!(longest));
        assert_eq!(
            finding.details["stale_ns"]
                .get("max")
                .cloned()
                .unwrap_or_default(),
            longest,
            "seed {seed}"
        );
        let any = |what| naive.counts.get(what).is_some_and(|count| *count > 0);
        let invalid =
            any("lost") || any("unexpected") || any("duplicated") || (strict && any("stale"));
        assert_eq!(
            validity(&finding) == Some(false),
            invalid,
            "seed {seed}:\n{}",
            text(&history)
        );
        if let Verdict::Invalid(anomalies) = &finding.verdict {
            for anomaly in anomalies {
                assert!(
                    anomaly.witness["operations"][0]["index"].is_u64(),
                    "{anomaly:?}"
                );
            }
        }
        mix.count(&history, !invalid);
    }
    println!("set-full: histories with each fate: {fates:?}");
    assert!(fates.values().all(|count| *count > 1_000));
    mix.report("set-full");
}

#[test]
fn a_stale_element_says_for_how_long() {
    let mut script = Script::default();
    script.client(0, Kind::Invoke, "add", None, json!(1), Value::Null);
    script.client(0, Kind::Ok, "add", None, json!(1), Value::Null);
    for shown in [json!([]), json!([]), json!([1])] {
        script.client(1, Kind::Invoke, "read", None, Value::Null, Value::Null);
        script.client(1, Kind::Ok, "read", None, shown, Value::Null);
    }
    let finding = judge("set-full", &script.history);
    assert_eq!(finding.verdict, Verdict::Valid);
    // Known at 1 ms, missed by the read that began at 4 ms.
    assert_eq!(finding.details["stale_ns"]["max"], json!(3_000_000));
    assert_eq!(
        finding.details["worst_stale"],
        json!([{ "key": null, "element": 1, "ns": 3_000_000 }])
    );
    assert_eq!(finding.details["stale"], json!(1));
}

#[test]
fn what_nobody_added_is_twice_in_a_read_all_the_same() {
    let mut script = Script::default();
    script.client(1, Kind::Invoke, "read", None, Value::Null, Value::Null);
    script.client(1, Kind::Ok, "read", None, json!([3, 3, 3, 4]), Value::Null);
    let finding = judge("set-full", &script.history);
    assert_eq!(validity(&finding), Some(false));
    assert_eq!(finding.details["unexpected"], json!(2));
    assert_eq!(finding.details["duplicated"], json!(1));
}
