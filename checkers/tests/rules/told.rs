//! What runs are told to lack, what is counted, sets, versions of lost writes, and models with an initial state.

use crate::common::{edit, judge_with};
use crate::{Rule, Story, Tell, hold, said};
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

fn added_twice(story: &mut Story) {
    story.done(1, "add", "p", (json!(1), NULL), (json!(1), NULL));
    story.done(2, "add", "p", (json!(1), NULL), (json!(1), NULL));
    story.done(3, "read", "p", (NULL, NULL), (json!([1]), NULL));
}

fn removed_at_first(story: &mut Story) {
    story.done(1, "remove", "p", (json!(1), NULL), (json!(1), NULL));
    story.done(1, "read", "p", (NULL, NULL), (json!([]), NULL));
}

fn never_read_again(story: &mut Story) {
    story.done(1, "add", "p", (json!(1), NULL), (json!(1), NULL));
    story.done(1, "read", "p", (NULL, NULL), (json!([1]), NULL));
    story.done(1, "add", "p", (json!(2), NULL), (json!(2), NULL));
}

const SETS: &[Rule] = &[
    ("created twice", "set-once", "duplicated", added_twice),
    ("added again", "set", "valid", added_twice),
    ("added again", "set-full", "valid", added_twice),
    (
        "added twice, and both say that it was new",
        "set",
        "nonlinearizable",
        |story| {
            for process in 1..=2 {
                let new = (json!(1), json!({ "changed": true }));
                story.done(process, "add", "p", (json!(1), NULL), new);
            }
            story.done(3, "read", "p", (NULL, NULL), (json!([1]), NULL));
        },
    ),
    (
        "removed, and it was not there",
        "set",
        "valid",
        removed_at_first,
    ),
    (
        "removed, and it was not there",
        "set-once",
        "nonlinearizable",
        removed_at_first,
    ),
    ("added again, and lost", "set", "lost", |story| {
        added_twice(story);
        story.done(3, "read", "p", (NULL, NULL), (json!([]), NULL));
    }),
    (
        "an add that no read follows",
        "set",
        "valid",
        never_read_again,
    ),
    (
        "an add that no read follows",
        "set-once",
        "unknown: never read again",
        never_read_again,
    ),
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

/// A lost write of 7, and reads of it at these versions.
fn read_at(story: &mut Story, versions: &[i32]) {
    let version = |version| json!({ "version": version });
    story.done(1, "create", "", (json!(1), NULL), (json!(1), version(0)));
    story.lost(2, "write", "", json!(7), NULL);
    for at in versions {
        story.done(1, "read", "", (NULL, NULL), (json!(7), version(*at)));
    }
}

const VERSIONS: &[Rule] = &[
    (
        "a lost write made one version",
        "register-linearizable",
        "valid",
        |story| read_at(story, &[1, 1]),
    ),
    (
        "a lost write made two versions",
        "register-linearizable",
        "nonlinearizable",
        |story| read_at(story, &[1, 2]),
    ),
    (
        "a lost write made the version that another one made",
        "register-linearizable",
        "nonlinearizable",
        |story| read_at(story, &[0]),
    ),
];

#[test]
fn versions_of_lost_writes() {
    hold(&Parameters::default(), VERSIONS);
}

/// What the checker counted of a history.
fn counted(checker: &str, tell: Tell) -> Value {
    let mut story = Story::default();
    tell(&mut story);
    judge_with(checker, &Parameters::default(), &story.history).details
}

#[test]
fn details_count_what_was_done() {
    let queue = counted("total-queue", |story| {
        story.done(1, "enqueue", "", (json!(1), NULL), (json!(1), NULL));
        story.lost(2, "enqueue", "", json!(2), NULL);
        story.done(1, "drain", "", (NULL, NULL), (json!([1, 2]), NULL));
    });
    for (field, count) in [
        ("attempted", 2),
        ("acknowledged", 1),
        ("dequeued", 2),
        ("recovered", 1),
    ] {
        assert_eq!(queue[field], count, "{field} of {queue:#}");
    }
    let set = counted("set-full", |story| {
        story.done(1, "add", "", (json!(1), NULL), (json!(1), NULL));
        story.lost(2, "add", "", json!(2), NULL);
        story.done(1, "read", "", (NULL, NULL), (json!([1, 2]), NULL));
    });
    for (field, count) in [("attempted", 2), ("acknowledged", 1), ("elements", 2)] {
        assert_eq!(set[field], count, "{field} of {set:#}");
    }
    let numbers = counted("sequence", |story| {
        let asked = (json!(1), json!({ "sequential": true }));
        let told = json!({ "path": "/q/n-0000000003", "zxid": 1 });
        story.done(1, "create", "/q/n-", asked, (json!(1), told));
        story.done(
            1,
            "create",
            "/q/a",
            (json!(1), NULL),
            (json!(1), json!({ "zxid": 2 })),
        );
    });
    assert_eq!(numbers, json!({ "parents": 1, "numbers": 1, "gaps": 0 }));
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
