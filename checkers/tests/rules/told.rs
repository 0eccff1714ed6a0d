//! What runs are told to lack, sets, and models with an initial state.

use crate::common::{edit, judge_with};
use crate::{Rule, hold, said};
use keelhaul_checkers::{Event, History, Kind, Nanos, Parameters, Process};
use serde_json::{Value, json};
use std::path::Path;

const NULL: Value = Value::Null;

fn run() -> History {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/run-kill-of-the-leader.jsonl");
    History::read(std::fs::File::open(file).unwrap()).unwrap().0
}

fn parameters(contract: &str) -> Parameters {
    Parameters {
        nodes: ["n1", "n2", "n3"].map(str::to_owned).into(),
        faults: vec!["kill".to_owned()],
        contract: contract.to_owned(),
        ..Parameters::default()
    }
}

#[test]
fn a_system_without_a_contract_is_unknown() {
    for checker in ["coverage", "recovery"] {
        let said = said(&judge_with(checker, &parameters("nobody's"), &run()));
        let expected = "the contract nobody's says nothing of kill";
        assert!(
            said.starts_with("unknown: ") && said.contains(expected),
            "{checker}: {said}"
        );
    }
}

/// The run without those answers: they came as failures.
fn without(dropped: impl Fn(&Event) -> bool) -> String {
    let mut history = run();
    edit(&mut history, |events| {
        for event in events.iter_mut() {
            let answer = matches!(event.process, Process::Client(_)) && event.kind == Kind::Ok;
            if answer && dropped(event) {
                event.kind = Kind::Fail;
            }
        }
    });
    said(&judge_with(
        "coverage",
        &parameters("keelhaul-node"),
        &history,
    ))
}

#[test]
fn what_nothing_succeeded_around_is_not_covered() {
    let installed = Nanos(2_000_000_000);
    let before = |event: &Event| event.time < installed;
    let reads = |event: &Event| &*event.f == "read";
    assert_eq!(without(|_| false), "valid");
    for (said, lacks) in [
        (without(before), "no read and no write"),
        (without(|event| before(event) && reads(event)), "no read"),
        (without(|event| before(event) && !reads(event)), "no write"),
    ] {
        assert_eq!(
            said,
            format!("unknown: {lacks} succeeded before the first fault")
        );
    }
}

#[test]
fn what_nothing_succeeded_after_is_not_covered() {
    let mut history = run();
    let healed = Nanos(8_000_000_000);
    edit(&mut history, |events| {
        for event in events.iter_mut().filter(|event| event.time >= healed) {
            if event.kind == Kind::Ok {
                event.kind = Kind::Fail;
            }
        }
        events.retain(|event| &*event.f != "serving");
    });
    let said = said(&judge_with(
        "coverage",
        &parameters("keelhaul-node"),
        &history,
    ));
    assert_eq!(
        said,
        "unknown: no read and no write succeeded after the last heal"
    );
}

const SETS: &[Rule] = &[
    ("created twice", "set", "duplicated", |story| {
        story.done(1, "add", "p", (json!(1), NULL), (json!(1), NULL));
        story.done(2, "add", "p", (json!(1), NULL), (json!(1), NULL));
        story.done(3, "read", "p", (NULL, NULL), (json!([1]), NULL));
    }),
    ("created, and found to be there", "set", "valid", |story| {
        story.done(1, "add", "p", (json!(1), NULL), (json!(1), NULL));
        story.done(
            2,
            "add",
            "p",
            (json!(1), NULL),
            (json!(1), json!({ "error": "NodeExists" })),
        );
        story.done(3, "read", "p", (NULL, NULL), (json!([1]), NULL));
    }),
];

#[test]
fn elements_of_sets() {
    hold(&Parameters::default(), SETS);
}

/// An initial state, and the rules that hold with it.
type Begun = (fn() -> Value, &'static [Rule]);

const BEGUN: &[Begun] = &[
    (
        || json!(true),
        &[
            (
                "it is held from the beginning",
                "mutex",
                "nonlinearizable",
                |story| {
                    story.done(1, "acquire", "", (NULL, NULL), (NULL, NULL));
                },
            ),
            (
                "it is held from the beginning, and released",
                "mutex",
                "valid",
                |story| {
                    story.done(1, "release", "", (NULL, NULL), (NULL, NULL));
                    story.done(1, "acquire", "", (NULL, NULL), (NULL, NULL));
                },
            ),
        ],
    ),
    (
        || json!({ "y": 2, "x": 1, "z": null }),
        &[
            (
                "registers hold what they began with",
                "multi-register",
                "valid",
                |story| {
                    let told = json!([
                        ["r", "x", 1],
                        ["r", "y", 2],
                        ["r", "z", null],
                        ["r", "v", null]
                    ]);
                    story.done(1, "txn", "", (told.clone(), NULL), (told, NULL));
                },
            ),
            (
                "registers hold something else",
                "multi-register",
                "nonlinearizable",
                |story| {
                    let told = json!([["r", "x", 1], ["r", "y", 1]]);
                    story.done(1, "txn", "", (told.clone(), NULL), (told, NULL));
                },
            ),
            (
                "a register that was written to null is empty",
                "multi-register",
                "valid",
                |story| {
                    let wrote = json!([["w", "x", null]]);
                    story.done(1, "txn", "", (wrote.clone(), NULL), (wrote, NULL));
                    let told = json!([["r", "x", null], ["r", "y", 2]]);
                    story.done(1, "txn", "", (told.clone(), NULL), (told, NULL));
                },
            ),
        ],
    ),
    (
        || json!(10),
        &[
            ("up, down and by one", "counter", "valid", |story| {
                story.done(1, "increment", "", (NULL, NULL), (NULL, NULL));
                story.done(1, "increment", "", (json!(5), NULL), (NULL, NULL));
                story.done(1, "decrement", "", (NULL, NULL), (NULL, NULL));
                story.done(1, "decrement", "", (json!(2), NULL), (NULL, NULL));
                story.done(1, "increment-and-get", "", (NULL, NULL), (json!(14), NULL));
                story.done(1, "read", "", (NULL, NULL), (json!(14), NULL));
            }),
            (
                "one more than there can be",
                "counter",
                "nonlinearizable",
                |story| {
                    story.done(1, "increment", "", (NULL, NULL), (NULL, NULL));
                    story.done(1, "read", "", (NULL, NULL), (json!(12), NULL));
                },
            ),
            (
                "it was made one too great",
                "counter",
                "nonlinearizable",
                |story| {
                    story.done(1, "increment-and-get", "", (NULL, NULL), (json!(12), NULL));
                    story.done(1, "read", "", (NULL, NULL), (json!(12), NULL));
                },
            ),
        ],
    ),
];

#[test]
fn what_models_begin_with() {
    for (initial, rules) in BEGUN {
        let parameters = Parameters {
            initial: Some(initial()),
            ..Parameters::default()
        };
        hold(&parameters, rules);
    }
}
