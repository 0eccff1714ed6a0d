//! Generated histories: well formed, the same for the same seed, sound unless they are broken, and broken as it was said.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::{judge, validity};
use keelhaul_checkers::generate::{Generated, Options, Report, generate, models};
use keelhaul_checkers::{Finding, History, Parameters, Verdict, by_name};

fn written(options: &Options) -> (Vec<u8>, Report) {
    let mut lines = Vec::new();
    let report = generate(options, &mut lines).unwrap();
    (lines, report)
}

fn read(lines: &[u8]) -> History {
    let (history, notes) = History::read(lines).unwrap();
    assert!(notes.is_empty());
    history
}

fn usual(model: &Generated, seed: u64) -> Options {
    Options {
        model: model.name.to_owned(),
        operations: 300,
        concurrency: 5,
        info: 0.03,
        fail: 0.03,
        seed,
        ..Options::default()
    }
}

/// What the model's own checker says, if there is one.
fn judged(model: &Generated, history: &History) -> Option<Finding> {
    by_name(model.name, &Parameters::default())?;
    Some(judge(model.name, history))
}

#[test]
fn every_model_gives_well_formed_histories_the_same_for_the_same_seed() {
    for model in models() {
        for keys in [None, Some(3)] {
            let options = Options {
                keys,
                ..usual(&model, 7)
            };
            let (lines, report) = written(&options);
            let history = read(&lines);
            assert_eq!(report.lines, history.len() as u64, "{}", model.name);
            assert_eq!(report.operations, 300, "{}", model.name);
            assert_eq!(written(&options).0, lines, "{}", model.name);
            let other = Options { seed: 8, ..options };
            assert_ne!(written(&other).0, lines, "{}", model.name);
        }
    }
}

#[test]
fn sound_histories_are_valid() {
    for model in models() {
        for seed in 0..10 {
            let history = read(&written(&usual(&model, seed)).0);
            if let Some(finding) = judged(&model, &history) {
                let verdict = &finding.verdict;
                assert_eq!(
                    validity(&finding),
                    Some(true),
                    "{} {seed}: {verdict:?}",
                    model.name
                );
            }
        }
    }
}

#[test]
fn lost_additions_do_not_explain_a_broken_counter() {
    for breaking in ["lost-write", "stale-read", "unwritten-read"] {
        for seed in 0..60 {
            let options = Options {
                model: "counter".to_owned(),
                operations: 8,
                concurrency: 3,
                info: 0.25,
                seed,
                breaking: Some(breaking.to_owned()),
                ..Options::default()
            };
            let finding = judge("counter", &read(&written(&options).0));
            assert_eq!(validity(&finding), Some(false), "{breaking} {seed}");
        }
    }
}

#[test]
fn every_break_is_staged_where_it_was_said_and_found() {
    for model in models() {
        for anomaly in model.breaks {
            for seed in 0..3 {
                let options = Options {
                    breaking: Some((*anomaly).to_owned()),
                    break_count: 2,
                    ..usual(&model, seed)
                };
                let (lines, report) = written(&options);
                let history = read(&lines);
                assert_eq!(report.broken.len(), 2, "{} {anomaly}", model.name);
                for broken in &report.broken {
                    assert!(broken.first_line < broken.last_line);
                    assert!(broken.last_line < report.lines);
                    assert!(!broken.text.is_empty());
                }
                let Some(finding) = judged(&model, &history) else {
                    continue;
                };
                let Verdict::Invalid(anomalies) = &finding.verdict else {
                    panic!("{} broken by {anomaly}: {:?}", model.name, finding.verdict);
                };
                assert!(!anomalies.is_empty());
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let refused = |options: Options| generate(&options, &mut Vec::new()).unwrap_err().to_string();
    let of = |model: &str| Options {
        model: model.to_owned(),
        ..Options::default()
    };
    assert!(refused(of("regsiter")).contains("expected one of register, "));
    let breaking = Some("G0".to_owned());
    let text = refused(Options {
        breaking,
        ..of("register")
    });
    assert!(
        text.contains("cannot be broken by `G0`; expected one of stale-read"),
        "{text}"
    );
    let isolation = Some("causal".to_owned());
    let text = refused(Options {
        isolation,
        ..of("register")
    });
    assert!(text.contains("it has no transactions"), "{text}");
    assert!(
        refused(Options {
            info: 1.5,
            ..of("register")
        })
        .contains("from 0 to 1")
    );
    assert!(
        refused(Options {
            concurrency: 0,
            ..of("register")
        })
        .contains("clients")
    );
}

/// Small ones: without zxids an order is searched for.
#[test]
fn zxids_can_be_left_out() {
    let without = |model: &str, seed: u64, breaking: Option<&str>| Options {
        model: model.to_owned(),
        operations: 60,
        concurrency: 4,
        info: 0.03,
        seed,
        zxids: false,
        breaking: breaking.map(str::to_owned),
        ..Options::default()
    };
    let of = |name: &str| {
        models()
            .into_iter()
            .find(|model| model.name == name)
            .unwrap()
    };
    for model in ["versioned-register", "znodes"] {
        for seed in 0..10 {
            let (lines, _) = written(&without(model, seed, None));
            assert!(!String::from_utf8_lossy(&lines).contains("zxid"), "{model}");
            let finding = judge(model, &read(&lines));
            assert_eq!(
                validity(&finding),
                Some(true),
                "{model} {seed}: {finding:?}"
            );
        }
        for anomaly in of(model).breaks {
            let options = without(model, 1, Some(anomaly));
            if anomaly.contains("zxid") {
                let refused = generate(&options, &mut Vec::new()).unwrap_err().to_string();
                assert!(refused.contains("without zxids"), "{refused}");
                continue;
            }
            let finding = judge(model, &read(&written(&options).0));
            assert_eq!(
                validity(&finding),
                Some(false),
                "{model} {anomaly}: {finding:?}"
            );
        }
    }
    let refused = generate(&without("register", 1, None), &mut Vec::new());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("no zxids that could be left out")
    );
}

/// What one model writes is judged by the checkers of single promises too.
#[test]
fn a_sound_tree_keeps_every_promise() {
    for model in ["znodes", "watch"] {
        for seed in 0..10 {
            let options = Options {
                model: model.to_owned(),
                operations: 500,
                info: 0.02,
                fail: 0.02,
                seed,
                ..Options::default()
            };
            let history = read(&written(&options).0);
            for checker in ["znodes", "zxid-audit", "sequence", "ephemeral"] {
                let finding = judge(checker, &history);
                let verdict = &finding.verdict;
                assert_eq!(
                    validity(&finding),
                    Some(true),
                    "{model} {seed}, {checker}: {verdict:?}"
                );
            }
        }
    }
}

/// Each breach of the tree and of watches is told by its own name, not by what follows from it.
#[test]
fn breaches_of_zookeepers_promises_have_their_names() {
    let names = [
        ("znodes", "stale-read", "stale-answer"),
        ("znodes", "lost-write", "answer-does-not-fit"),
        ("znodes", "unwritten-read", "answer-does-not-fit"),
        ("znodes", "zxid-reused", "zxid-reused"),
        ("znodes", "zxids-exchanged", "zxid-against-real-time"),
        ("znodes", "wrong-version", "write-does-not-fit"),
        ("znodes", "wrong-number", "write-does-not-fit"),
        ("znodes", "wrong-error", "answer-does-not-fit"),
        ("znodes", "half-multi", "answer-does-not-fit"),
        ("znodes", "session-went-back", "session-went-back"),
        ("znodes", "ephemeral-stays", "answer-does-not-fit"),
        ("watch", "missed-event", "missed-event"),
        ("watch", "doubled-event", "unregistered-event"),
        ("watch", "data-before-event", "data-before-event"),
        ("watch", "event-without-change", "event-without-change"),
    ];
    for (model, breaking, name) in names {
        let options = Options {
            model: model.to_owned(),
            operations: 200,
            breaking: Some(breaking.to_owned()),
            ..Options::default()
        };
        let finding = judge(model, &read(&written(&options).0));
        let Verdict::Invalid(anomalies) = &finding.verdict else {
            panic!("{model} broken by {breaking}: {:?}", finding.verdict);
        };
        assert_eq!(
            anomalies[0].kind, name,
            "{model} broken by {breaking}: {anomalies:?}"
        );
    }
}
