//! The simulated database: each isolation level keeps what it promises, and breaks what it does not.

use crate::common::{judge, judge_with, validity};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{History, Parameters, Verdict};

fn history(options: &Options) -> History {
    let mut lines = Vec::new();
    generate(options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0
}

fn at(model: &str, level: &str, seed: u64) -> History {
    history(&Options {
        model: model.to_owned(),
        operations: 2_000,
        concurrency: 8,
        info: 0.01,
        fail: 0.01,
        seed,
        isolation: Some(level.to_owned()),
        ..Options::default()
    })
}

/// The checkers of weak levels, from the weakest on, and the levels of the database that keep each of them. A stale
/// serializable database forgets what its sessions did, and so does not keep the levels that hold sessions to their order.
const KEPT: [(&str, &[&str]); 3] = [
    (
        "read-committed",
        &[
            "strict-serializable",
            "serializable",
            "snapshot-isolation",
            "monotonic-snapshot-read",
            "causal",
            "read-atomic",
            "read-committed",
        ],
    ),
    (
        "read-atomic",
        &[
            "strict-serializable",
            "snapshot-isolation",
            "monotonic-snapshot-read",
            "causal",
            "read-atomic",
        ],
    ),
    (
        "causal",
        &[
            "strict-serializable",
            "snapshot-isolation",
            "monotonic-snapshot-read",
            "causal",
        ],
    ),
];

const LEVELS: [&str; 8] = [
    "strict-serializable",
    "serializable",
    "snapshot-isolation",
    "monotonic-snapshot-read",
    "causal",
    "read-atomic",
    "read-committed",
    "read-uncommitted",
];

#[test]
fn each_level_of_the_database_keeps_exactly_the_weak_levels_below_it() {
    for model in ["list-append", "rw-register"] {
        for level in LEVELS {
            for seed in 0..3 {
                let history = at(model, level, seed);
                for (checker, kept) in KEPT {
                    let finding = judge(checker, &history);
                    let found = validity(&finding);
                    let text = match &finding.verdict {
                        Verdict::Invalid(anomalies) => anomalies[0].summary.clone(),
                        _ => String::new(),
                    };
                    assert_eq!(
                        found,
                        Some(kept.contains(&level)),
                        "{model} {level} {checker} {seed}: {text}"
                    );
                }
            }
        }
    }
}

/// Anomalies that each weak level must find, by the names under which it does.
const FOUND: [(&str, &str, &str); 14] = [
    ("G1a", "read-committed", "G1a"),
    ("G1b", "read-committed", "G1b"),
    ("G1c", "read-committed", "G1c"),
    ("garbage-read", "read-committed", "garbage-read"),
    ("internal", "read-committed", "internal"),
    ("future-read", "read-committed", "future-read"),
    ("fractured-read", "read-atomic", "fractured-read"),
    ("G-single", "read-atomic", "fractured-read"),
    ("causal", "causal", "causality-violation"),
    ("G0", "read-committed", "G0"),
    ("duplicate-elements", "read-committed", "duplicate-elements"),
    ("incompatible-order", "read-committed", "incompatible-order"),
    ("dirty-update", "read-committed", "G1a"),
    ("cyclic-versions", "read-committed", "G1c"),
];

#[test]
fn staged_anomalies_are_found_by_name_and_by_no_weaker_level() {
    for model in ["list-append", "rw-register"] {
        let known = keelhaul_checkers::generate::models();
        let breaks = known
            .iter()
            .find(|known| known.name == model)
            .unwrap()
            .breaks;
        for (breaking, level, name) in FOUND {
            if !breaks.contains(&breaking) {
                continue;
            }
            let history = history(&Options {
                model: model.to_owned(),
                operations: 500,
                info: 0.02,
                seed: 5,
                breaking: Some(breaking.to_owned()),
                ..Options::default()
            });
            let mut weaker = true;
            for (checker, _) in KEPT {
                weaker &= checker != level;
                let finding = judge(checker, &history);
                match &finding.verdict {
                    Verdict::Invalid(anomalies) => {
                        assert!(
                            !weaker,
                            "{model} {breaking} {checker}: {}",
                            anomalies[0].summary
                        );
                        let found = anomalies
                            .iter()
                            .any(|anomaly| anomaly.kind == name || checker != level);
                        assert!(found, "{model} {breaking} {checker}: {}", anomalies[0].kind);
                    }
                    verdict => assert!(weaker, "{model} {breaking} {checker}: {verdict:?}"),
                }
            }
        }
    }
}

/// The levels of the database are named after the consistency models that they keep: each keeps its own.
#[test]
fn each_level_of_the_database_keeps_the_consistency_model_of_its_name() {
    for model in ["list-append", "rw-register"] {
        for level in LEVELS {
            for seed in 0..3 {
                let parameters = Parameters {
                    consistency: vec![level.to_owned()],
                    ..Parameters::default()
                };
                let finding = judge_with(model, &parameters, &at(model, level, seed));
                // Of one with snapshots by operation, orders of transactions leave open whether it holds.
                let expected = match level {
                    "monotonic-snapshot-read" => validity(&finding) != Some(false),
                    _ => validity(&finding) == Some(true),
                };
                assert!(
                    expected,
                    "{model} {level} {seed}: {:?} {:?}",
                    finding.verdict, finding.details["anomalies"]
                );
            }
        }
    }
}
