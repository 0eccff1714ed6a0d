//! Histories as runs record them, of the `register` and the `set` workload.

use crate::common::blinding::{Row, measure};
use crate::common::random::pick;
use crate::common::recorded::{Run, register, set};
use crate::common::{judge, validity};
use keelhaul_checkers::{Event, History, Kind, Verdict, render};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const BLINDINGS: u64 = 100;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        stale_value(),
        lost_write(),
        session_that_goes_back(),
        lost_element(),
        stale_set(),
        duplicated_or_unexpected_element(),
    ]
}

/// A few sound histories, to be changed again and again.
struct Bases(Vec<Vec<Event>>);

impl Bases {
    fn new(record: impl Fn(u64) -> History) -> Bases {
        Bases((0..5).map(|seed| record(seed).to_events()).collect())
    }

    fn pick(&self, rng: &mut ChaCha8Rng) -> Vec<Event> {
        pick(rng, &self.0).clone()
    }
}

/// Answers of successful operations of these functions, by place among the events.
fn answers(history: &[Event], functions: &[&str]) -> Vec<usize> {
    let wanted = |at: &usize| {
        let event = &history[*at];
        event.kind == Kind::Ok
            && functions.contains(&&*event.f)
            && event.extra.get("error").is_none()
    };
    (0..history.len()).filter(wanted).collect()
}

fn value_written(history: &[Event], at: usize) -> Value {
    match &history[at].value {
        Value::Array(pair) => pair[1].clone(),
        value => value.clone(),
    }
}

/// Judges the changed history, and gives the names of the anomalies: none if it survived.
fn found(checker: &str, history: &[Event]) -> Vec<String> {
    let finding = judge(checker, &History::from_events(history));
    let Verdict::Invalid(anomalies) = &finding.verdict else {
        return Vec::new();
    };
    for anomaly in anomalies {
        assert!(
            render(anomaly).lines().count() > 1,
            "a witness that shows nothing: {anomaly:?}"
        );
    }
    anomalies
        .iter()
        .map(|anomaly| anomaly.kind.clone())
        .collect()
}

#[test]
fn a_recorded_register_history_is_valid() {
    for seed in 0..5 {
        let history = register(&Run {
            seed,
            ..Run::default()
        });
        assert_eq!(
            validity(&judge("register-linearizable", &history)),
            Some(true),
            "seed {seed}"
        );
        assert_eq!(
            validity(&judge("session-order", &history)),
            Some(true),
            "seed {seed}"
        );
        let local = register(&Run {
            seed,
            mode: "local",
            ..Run::default()
        });
        assert_eq!(
            validity(&judge("session-order", &local)),
            Some(true),
            "seed {seed}"
        );
    }
}

fn stale_value() -> Row {
    let bases = Bases::new(|seed| {
        register(&Run {
            seed,
            ..Run::default()
        })
    });
    measure(
        "register-linearizable",
        "a read sees an overwritten value",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            // A read, and a write of its key that was acknowledged, and overwritten with acknowledgement, before the read began.
            let writes = answers(&history, &["create", "write", "cas"]);
            let (read, old) = loop {
                let read = *pick(rng, &answers(&history, &["read"]));
                let invoked = invocation(&history, read);
                let before: Vec<usize> = writes
                    .iter()
                    .copied()
                    .filter(|at| *at < invoked && history[*at].key == history[read].key)
                    .collect();
                if before.len() >= 2 {
                    break (read, before);
                }
            };
            let version = |at: usize| history[at].extra.int("version").unwrap();
            let newest = old.iter().map(|at| version(*at)).max().unwrap();
            let stale: Vec<usize> = old.into_iter().filter(|at| version(*at) < newest).collect();
            let from = *pick(rng, &stale);
            let (value, version) = (value_written(&history, from), version(from));
            history[read].value = value;
            history[read].extra.insert("version", version);
            Some(found("register-linearizable", &history) == ["nonlinearizable"])
        },
    )
}

fn lost_write() -> Row {
    let bases = Bases::new(|seed| {
        register(&Run {
            seed,
            ..Run::default()
        })
    });
    measure(
        "register-linearizable",
        "the last acknowledged write is lost",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            // The final read shows what the key was before its last acknowledged write.
            let key = {
                let finals = answers(&history, &["read"]);
                let last: Vec<usize> = finals.into_iter().rev().take(8).collect();
                *pick(rng, &last)
            };
            let of_key = |at: &usize| history[*at].key == history[key].key;
            let mut writes: Vec<usize> = answers(&history, &["create", "write", "cas"])
                .into_iter()
                .filter(of_key)
                .collect();
            writes.sort_by_key(|at| history[*at].extra.int("version"));
            let [.., before, _] = writes[..] else {
                return None;
            };
            let (value, version) = (
                value_written(&history, before),
                history[before].extra.int("version").unwrap(),
            );
            history[key].value = value;
            history[key].extra.insert("version", version);
            Some(!found("register-linearizable", &history).is_empty())
        },
    )
}

fn session_that_goes_back() -> Row {
    let bases = Bases::new(|seed| {
        register(&Run {
            seed,
            mode: "local",
            ..Run::default()
        })
    });
    measure(
        "session-order",
        "a reply is older than one seen before",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            // A read's reply is older than one that its session had seen before.
            let at = loop {
                let at = *pick(rng, &answers(&history, &["read"]));
                let session = history[at].extra.get("session");
                let before = history[..at]
                    .iter()
                    .filter(|event| event.extra.get("session") == session);
                let seen = before.filter_map(|event| event.extra.int("zxid")).max();
                if let Some(seen) = seen.filter(|zxid| *zxid > 1) {
                    break (at, seen - 1);
                }
            };
            history[at.0].extra.insert("zxid", at.1);
            Some(!found("session-order", &history).is_empty())
        },
    )
}

/// The line at which the operation that ends here began.
fn invocation(history: &[Event], end: usize) -> usize {
    let process = &history[end].process;
    history[..end]
        .iter()
        .rposition(|event| event.process == *process)
        .unwrap()
}

#[test]
fn a_recorded_set_history_is_valid() {
    for seed in 0..5 {
        let history = set(&Run {
            seed,
            ..Run::default()
        });
        assert_eq!(
            validity(&judge("set-once", &history)),
            Some(true),
            "seed {seed}"
        );
    }
}

fn lost_element() -> Row {
    let bases = Bases::new(|seed| {
        set(&Run {
            seed,
            operations: 1_000,
            ..Run::default()
        })
    });
    measure(
        "set-once",
        "an added element is in no later read",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            let added = *pick(rng, &answers(&history, &["add"]));
            let (key, element) = (history[added].key.clone(), history[added].value.clone());
            for event in history
                .iter_mut()
                .skip(added)
                .filter(|event| event.key == key)
            {
                if let Value::Array(shown) = &mut event.value {
                    shown.retain(|shown| *shown != element);
                }
            }
            Some(found("set-once", &history) == ["lost"])
        },
    )
}

fn stale_set() -> Row {
    let bases = Bases::new(|seed| {
        set(&Run {
            seed,
            operations: 1_000,
            ..Run::default()
        })
    });
    measure(
        "set-once",
        "one linearizable read misses an element",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            let fenced: Vec<usize> = answers(&history, &["read"])
                .into_iter()
                .filter(|at| {
                    let asked = &history[invocation(&history, *at)].extra;
                    asked.text("mode") == Some("fenced")
                        && !asked.flag("final")
                        && !history[*at].value.as_array().unwrap().is_empty()
                })
                .collect();
            let read = *pick(rng, &fenced);
            // One whose add was acknowledged before the read began: a concurrent one may be missed.
            let invoked = invocation(&history, read);
            let added: Vec<Value> = answers(&history[..invoked], &["add"])
                .into_iter()
                .filter(|at| history[*at].key == history[read].key)
                .map(|at| history[at].value.clone())
                .collect();
            let Value::Array(shown) = &mut history[read].value else {
                panic!("a read shows a list")
            };
            let missed: Vec<Value> = added
                .into_iter()
                .filter(|add| shown.contains(add))
                .collect();
            if missed.is_empty() {
                return None;
            }
            let element = pick(rng, &missed);
            shown.retain(|shown| shown != element);
            Some(found("set-once", &history) == ["stale"])
        },
    )
}

fn duplicated_or_unexpected_element() -> Row {
    let bases = Bases::new(|seed| {
        set(&Run {
            seed,
            operations: 1_000,
            ..Run::default()
        })
    });
    measure(
        "set-once",
        "an element twice, or from nowhere",
        0..BLINDINGS,
        |rng| {
            let mut history = bases.pick(rng);
            let reads: Vec<usize> = answers(&history, &["read"])
                .into_iter()
                .filter(|at| !history[*at].value.as_array().unwrap().is_empty())
                .collect();
            let Value::Array(shown) = &mut history[*pick(rng, &reads)].value else {
                panic!("a read shows a list")
            };
            let (element, kind) = match rng.random_bool(0.5) {
                true => (pick(rng, shown).clone(), "duplicated"),
                false => (json!(999_999), "unexpected"),
            };
            shown.push(element);
            Some(found("set-once", &history) == [kind])
        },
    )
}
