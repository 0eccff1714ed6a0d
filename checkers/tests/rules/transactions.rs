//! Transactions: versions that are told, and what is lost without an order of versions.

use crate::common::{judge, judge_with};
use crate::{Rule, Story, Tell, hold, said};
use keelhaul_checkers::{Budget, Parameters, Verdict, by_name};
use serde_json::{Value, json};

fn txn(story: &mut Story, process: u64, asked: Value, told: Value) {
    story.done(
        process,
        "txn",
        "",
        (asked, Value::Null),
        (told, Value::Null),
    );
}

/// One that was answered as it was asked, but for versions.
fn wrote(story: &mut Story, process: u64, told: Value) {
    txn(story, process, told.clone(), told);
}

fn read_list(story: &mut Story, process: u64, told: Value) {
    txn(story, process, json!([["r", "x", null]]), json!([told]));
}

const LISTS: &[Rule] = &[
    (
        "one version of two appends",
        "list-append",
        "version-contradiction",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 1]]));
            wrote(story, 2, json!([["append", "x", 2, 1]]));
            read_list(story, 3, json!(["r", "x", [1, 2]]));
        },
    ),
    (
        "an append that lists of later versions do not have",
        "list-append",
        "version-contradiction G0-realtime G-single-item-realtime",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 1]]));
            wrote(story, 2, json!([["append", "x", 2, 2]]));
            read_list(story, 3, json!(["r", "x", [2]]));
        },
    ),
    (
        "a lost append that lists of later versions do not have",
        "list-append",
        "valid",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 1]]));
            story.lost(4, "txn", "", json!([["append", "x", 2, 2]]), Value::Null);
            wrote(story, 2, json!([["append", "x", 3, 3]]));
            read_list(story, 3, json!(["r", "x", [1, 3]]));
        },
    ),
    (
        "versions in another order than the list",
        "list-append",
        "version-contradiction",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 2]]));
            wrote(story, 2, json!([["append", "x", 2, 1]]));
            read_list(story, 3, json!(["r", "x", [1, 2]]));
        },
    ),
    (
        "a read tells another version than the append",
        "list-append",
        "version-contradiction",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 1]]));
            read_list(story, 3, json!(["r", "x", [1], 2]));
        },
    ),
    (
        "versions order what no read shows",
        "list-append",
        "G0",
        |story| {
            wrote(
                story,
                1,
                json!([["append", "x", 1, 1], ["append", "y", 1, 2]]),
            );
            wrote(
                story,
                2,
                json!([["append", "x", 2, 2], ["append", "y", 2, 1]]),
            );
        },
    ),
    (
        "one transaction makes several appends one version",
        "list-append",
        "valid",
        |story| {
            wrote(
                story,
                1,
                json!([["append", "x", 1, 1], ["append", "x", 2, 1]]),
            );
            read_list(story, 3, json!(["r", "x", [1, 2], 1]));
        },
    ),
    (
        "a transaction's appends in another order than its own",
        "list-append",
        "incompatible-order",
        |story| {
            wrote(story, 1, json!([["append", "x", 1], ["append", "x", 2]]));
            wrote(story, 1, json!([["append", "x", 3]]));
            read_list(story, 3, json!(["r", "x", [2, 1, 3]]));
        },
    ),
    (
        "two append behind the same list",
        "list-append",
        "lost-update G-single-item",
        |story| {
            for (process, value) in [(1, 1), (2, 2)] {
                let asked = json!([["r", "x", null], ["append", "x", value]]);
                txn(
                    story,
                    process,
                    asked,
                    json!([["r", "x", []], ["append", "x", value]]),
                );
            }
            read_list(story, 3, json!(["r", "x", [1, 2]]));
        },
    ),
    (
        "versions that agree with the list",
        "list-append",
        "valid",
        |story| {
            wrote(story, 1, json!([["append", "x", 1, 1]]));
            wrote(story, 2, json!([["append", "x", 2, 2]]));
            read_list(story, 3, json!(["r", "x", [1, 2], 2]));
        },
    ),
];

const REGISTERS: &[Rule] = &[
    (
        "one version of two values",
        "rw-register",
        "version-contradiction",
        |story| {
            wrote(story, 1, json!([["w", "x", 1, 1]]));
            wrote(story, 2, json!([["w", "x", 2, 1]]));
        },
    ),
    (
        "a read tells another version than the write",
        "rw-register",
        "version-contradiction",
        |story| {
            wrote(story, 1, json!([["w", "x", 1, 1]]));
            read_list(story, 3, json!(["r", "x", 1, 2]));
        },
    ),
    (
        "versions that agree with what was read",
        "rw-register",
        "valid",
        |story| {
            wrote(story, 1, json!([["w", "x", 1, 1]]));
            read_list(story, 2, json!(["r", "x", 1, 1]));
            wrote(story, 1, json!([["w", "x", 2, 2]]));
            read_list(story, 2, json!(["r", "x", 2, 2]));
        },
    ),
    (
        "two update the same value",
        "rw-register",
        "lost-update",
        |story| {
            wrote(story, 1, json!([["w", "x", 1]]));
            for (process, value) in [(2, 2), (3, 3)] {
                let asked = json!([["r", "x", null], ["w", "x", value]]);
                txn(
                    story,
                    process,
                    asked,
                    json!([["r", "x", 1], ["w", "x", value]]),
                );
            }
        },
    ),
    (
        "one updates a value that another one read",
        "rw-register",
        "valid",
        |story| {
            wrote(story, 1, json!([["w", "x", 1]]));
            read_list(story, 2, json!(["r", "x", 1]));
            txn(
                story,
                3,
                json!([["r", "x", null], ["w", "x", 3]]),
                json!([["r", "x", 1], ["w", "x", 3]]),
            );
        },
    ),
];

/// One reads `x`, and writes it and `y`; another one sees `y`, and `x` as it was before.
fn updated(story: &mut Story) {
    wrote(story, 1, json!([["w", "x", 1]]));
    txn(
        story,
        2,
        json!([["r", "x", null], ["w", "x", 2], ["w", "y", 1]]),
        json!([["r", "x", 1], ["w", "x", 2], ["w", "y", 1]]),
    );
    txn(
        story,
        3,
        json!([["r", "y", null], ["r", "x", null]]),
        json!([["r", "y", 1], ["r", "x", 1]]),
    );
}

/// The same, but for the read of who writes; the other one asks before that.
fn written_again(story: &mut Story, process: u64) {
    wrote(story, 1, json!([["w", "x", 1]]));
    let asked = json!([["r", "y", null], ["r", "x", null]]);
    story.ask(3, "txn", "", asked, Value::Null);
    wrote(story, process, json!([["w", "x", 2], ["w", "y", 1]]));
    let told = json!([["r", "y", 1], ["r", "x", 1]]);
    story.answer(3, "txn", "", told, Value::Null);
}

#[test]
fn a_value_that_nobody_wrote_may_stand_at_the_beginning_of_a_fragment_only() {
    let tell: Tell = |story| wrote(story, 1, json!([["r", "x", 2]]));
    let rule = "a value that nobody wrote";
    hold(
        &Parameters::default(),
        &[(rule, "rw-register", "garbage-read", tell)],
    );
    let fragment = Parameters {
        assume: vec!["fragment".to_owned()],
        ..Parameters::default()
    };
    let expected = "unknown: nothing was tested";
    hold(&fragment, &[(rule, "rw-register", expected, tell)]);
}

#[test]
fn a_read_of_another_shape_is_told_what_a_read_is() {
    for (checker, value, expected) in [
        (
            "list-append",
            json!(["r", "x", 5]),
            "a read of list-append has a list or null",
        ),
        ("list-append", json!(["w", "x", 5]), "rw-register knows w"),
        (
            "rw-register",
            json!(["append", "x", 5]),
            "list-append knows append",
        ),
        (
            "rw-register",
            json!(["w", "x", null]),
            "a value that is not null",
        ),
        ("rw-register", json!(["w", "x", 1, "new"]), "no version"),
    ] {
        let event = json!({"process":0,"type":"ok","f":"txn","value":[value]});
        let mut invoke = event.clone();
        invoke["type"] = json!("invoke");
        let lines = format!("{invoke}\n{event}\n");
        let (history, _) = keelhaul_checkers::History::read(lines.as_bytes()).unwrap();
        let said = said(&judge(checker, &history));
        assert!(said.contains(expected), "{said}");
    }
}

/// What is assumed of the order of versions, what is told without it, and what with it.
#[test]
fn what_may_be_assumed_of_versions() {
    let cases: [(&str, Tell); 3] = [
        ("wfr-keys", updated),
        ("sequential-keys", |story| written_again(story, 1)),
        ("linearizable-keys", |story| written_again(story, 2)),
    ];
    for (assumption, tell) in cases {
        for (assumed, expected) in [("none", "valid"), (assumption, "G-single-item")] {
            let parameters = Parameters {
                consistency: vec!["serializable".to_owned()],
                assume: vec![assumed.to_owned()],
                ..Parameters::default()
            };
            hold(&parameters, &[(assumption, "rw-register", expected, tell)]);
        }
    }
}

/// A read of a list without what was appended to it before: by the same process, and by another one.
#[test]
fn each_strength_of_serializability_has_an_order_of_its_own() {
    let own: Tell = |story| {
        wrote(story, 1, json!([["append", "x", 1]]));
        read_list(story, 1, json!(["r", "x", []]));
        read_list(story, 2, json!(["r", "x", [1]]));
    };
    let others: Tell = |story| {
        wrote(story, 1, json!([["append", "x", 1]]));
        read_list(story, 2, json!(["r", "x", []]));
        read_list(story, 3, json!(["r", "x", [1]]));
    };
    let (process, realtime) = ("G-single-item-process", "G-single-item-realtime");
    let (not_owed, neither) = (
        "outside: G-single-item-process",
        "outside: G-single-item-realtime",
    );
    for (model, expected) in [
        ("serializable", [not_owed, neither]),
        ("strong-session-serializable", [process, neither]),
        ("strict-serializable", [process, realtime]),
    ] {
        let parameters = Parameters {
            consistency: vec![model.to_owned()],
            ..Parameters::default()
        };
        for (expected, tell) in expected.into_iter().zip([own, others]) {
            hold(&parameters, &[(model, "list-append", expected, tell)]);
        }
    }
}

/// Ten who find nothing under a key, ten who put something there that nobody sees, and what `between` tells.
///
/// So many pairs of them are not drawn as edges one by one.
fn crowd(
    story: &mut Story,
    (put, key): (&str, &str),
    nothing: &Value,
    between: impl FnOnce(&mut Story),
) {
    for process in 0..10 {
        let told = json!([["r", key, nothing]]);
        txn(story, process, json!([["r", key, null]]), told);
    }
    between(story);
    for process in 0..10 {
        wrote(story, process, json!([[put, key, 10 + process]]));
    }
}

/// One of those who put something there is seen, by what it wrote to another key, by one who finds nothing there.
fn seen_too_early(
    story: &mut Story,
    put: &str,
    (key, other): (&str, &str),
    nothing: &Value,
    seen: &Value,
) {
    crowd(story, (put, key), nothing, |story| {
        wrote(story, 20, json!([[put, key, 1], [put, other, 1]]));
        txn(
            story,
            21,
            json!([["r", other, null], ["r", key, null]]),
            json!([["r", other, seen], ["r", key, nothing]]),
        );
    });
}

/// One of those who put something there found nothing before.
fn update(story: &mut Story, put: &str, nothing: &Value) {
    crowd(story, (put, "x"), nothing, |story| {
        txn(
            story,
            20,
            json!([["r", "x", null], [put, "x", 1]]),
            json!([["r", "x", nothing], [put, "x", 1]]),
        );
    });
}

const CROWDS: &[Rule] = &[
    (
        "one of many appends is seen by one of many who do not see it",
        "list-append",
        "G-single-item",
        |story| seen_too_early(story, "append", ("x", "z"), &json!([]), &json!([1])),
    ),
    (
        "one of many writes is seen by one of many who do not see it",
        "rw-register",
        "G-single-item",
        |story| seen_too_early(story, "w", ("x", "z"), &Value::Null, &json!(1)),
    ),
    (
        "one of many appends comes after its own read",
        "list-append",
        "valid",
        |story| update(story, "append", &json!([])),
    ),
    (
        "one of many writes comes after its own read",
        "rw-register",
        "valid",
        |story| update(story, "w", &Value::Null),
    ),
];

#[test]
fn many_who_come_before_many() {
    let serializable = Parameters {
        consistency: vec!["serializable".to_owned()],
        assume: vec!["none".to_owned()],
        ..Parameters::default()
    };
    hold(&serializable, CROWDS);
}

#[test]
fn each_crowd_is_searched() {
    let mut story = Story::default();
    for keys in [("x", "z"), ("v", "w")] {
        seen_too_early(&mut story, "append", keys, &json!([]), &json!([1]));
    }
    let details = judge("list-append", &story.history).details;
    assert_eq!(details["anomalies"]["G-single-item"], 2, "{details:#}");
}

#[test]
fn a_shape_that_was_not_searched_to_the_end_is_not_excluded() {
    let mut story = Story::default();
    let keys = ["x", "y", "z", "x"];
    for (process, pair) in (0..).zip(keys.windows(2)) {
        let told = json!([["r", pair[0], []], ["append", pair[1], process]]);
        story.ask(process, "txn", "", told, Value::Null);
    }
    for (process, pair) in (0..).zip(keys.windows(2)) {
        let told = json!([["r", pair[0], []], ["append", pair[1], process]]);
        story.answer(process, "txn", "", told, Value::Null);
    }
    let under = |states| {
        let budget = Budget {
            states,
            ..crate::common::PLENTY
        };
        let checker = by_name("list-append", &Parameters::default()).unwrap();
        said(&checker.check(&story.history, &budget))
    };
    assert_eq!(under(1_000), "G2-item");
    let said = under(0);
    assert!(
        said.starts_with("unknown: the budget of states was used up before ")
            && said.contains("G2-item"),
        "{said}"
    );
}

const ELEMENTS: &[Rule] = &[
    (
        "a failed append of what another one appended does not count",
        "list-append",
        "valid",
        |story| {
            wrote(story, 1, json!([["append", "x", 1]]));
            story.failed(2, "txn", "", json!([["append", "x", 1]]));
            read_list(story, 3, json!(["r", "x", [1]]));
        },
    ),
    (
        "nor does one that failed before",
        "list-append",
        "valid",
        |story| {
            story.failed(2, "txn", "", json!([["append", "x", 1]]));
            wrote(story, 1, json!([["append", "x", 1]]));
            read_list(story, 3, json!(["r", "x", [1]]));
        },
    ),
    (
        "one element is appended twice",
        "list-append",
        "unknown: every element must be appended once only",
        |story| {
            wrote(story, 1, json!([["append", "x", 1]]));
            wrote(story, 2, json!([["append", "x", 1]]));
        },
    ),
    (
        "a failed write of what another one wrote does not count",
        "rw-register",
        "valid",
        |story| {
            wrote(story, 1, json!([["w", "x", 1]]));
            story.failed(2, "txn", "", json!([["w", "x", 1]]));
            read_list(story, 3, json!(["r", "x", 1]));
        },
    ),
    (
        "nor does a write that failed before",
        "rw-register",
        "valid",
        |story| {
            story.failed(2, "txn", "", json!([["w", "x", 1]]));
            wrote(story, 1, json!([["w", "x", 1]]));
            read_list(story, 3, json!(["r", "x", 1]));
        },
    ),
    (
        "one value is written twice",
        "rw-register",
        "unknown: every value must be written once only",
        |story| {
            wrote(story, 1, json!([["w", "x", 1]]));
            wrote(story, 2, json!([["w", "x", 1]]));
        },
    ),
];

/// Each step of the cycle leads on to the next one, and the last one back.
#[test]
fn a_weak_cycle_is_told_with_all_of_its_steps() {
    let mut story = Story::default();
    for (at, next) in [("x", "y"), ("y", "z"), ("z", "x")] {
        let process = u64::from(at.as_bytes()[0]);
        let asked = json!([["w", at, 1], ["r", next, null]]);
        story.ask(process, "txn", "", asked, Value::Null);
    }
    for (at, next) in [("x", "y"), ("y", "z"), ("z", "x")] {
        let process = u64::from(at.as_bytes()[0]);
        let told = json!([["w", at, 1], ["r", next, 1]]);
        story.answer(process, "txn", "", told, Value::Null);
    }
    let finding = judge("read-committed", &story.history);
    assert_eq!(said(&finding), "G1c");
    let Verdict::Invalid(anomalies) = &finding.verdict else {
        unreachable!("it said so");
    };
    let cycle = anomalies[0].witness["cycle"].as_array().unwrap();
    assert_eq!(cycle.len(), 3, "{cycle:?}");
    for (step, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
        assert_eq!(step["to"], next["from"], "{cycle:?}");
    }
}

const FORKS: &[Rule] = &[
    (
        "a fork of what nobody wrote",
        "long-fork",
        "garbage-read",
        |story| {
            wrote(story, 1, json!([["w", "x", 1]]));
            let asked = json!([["r", "x", null], ["r", "y", null]]);
            txn(
                story,
                2,
                asked.clone(),
                json!([["r", "x", 2], ["r", "y", null]]),
            );
            txn(story, 2, asked, json!([["r", "x", 1], ["r", "y", null]]));
        },
    ),
    (
        "nothing but what is there before anything was written",
        "long-fork",
        "valid",
        |story| {
            let asked = json!([["r", "x", null], ["r", "y", null]]);
            txn(story, 2, asked.clone(), asked.clone());
            txn(story, 2, asked.clone(), asked);
        },
    ),
];

#[test]
fn forks() {
    hold(&Parameters::default(), FORKS);
}

#[test]
fn what_is_written_twice() {
    hold(&Parameters::default(), ELEMENTS);
}

#[test]
fn versions_that_are_told() {
    hold(&Parameters::default(), LISTS);
    let nothing_assumed = Parameters {
        assume: vec!["none".to_owned()],
        ..Parameters::default()
    };
    hold(&nothing_assumed, REGISTERS);
}

/// One reads a key twice, and sees another version the second time; `told` is what it read.
fn read_twice(story: &mut Story, told: Value) {
    let asked = json!([["r", "x", null], ["r", "x", null]]);
    txn(story, 3, asked, told);
}

#[test]
fn each_read_of_a_key_counts_where_a_transaction_reads_it_twice() {
    // That the two differ rules out read atomic and what is stronger; that they stand on both sides of a write rules out these.
    let first_nothing: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 1]]));
        read_twice(story, json!([["r", "x", null], ["r", "x", 1]]));
    };
    let early: Tell = |story| {
        read_twice(story, json!([["r", "x", null], ["r", "x", 1]]));
        wrote(story, 1, json!([["w", "x", 1]]));
    };
    let two: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 1, 1]]));
        wrote(story, 2, json!([["w", "x", 2, 2]]));
        read_twice(story, json!([["r", "x", 1], ["r", "x", 2]]));
    };
    let both = "outside: G-single-item internal";
    for (model, tell, expected) in [
        ("repeatable-read", first_nothing, "G-single-item"),
        ("consistent-view", first_nothing, "G-single-item"),
        ("repeatable-read", two, "G-single-item"),
        ("read-committed", first_nothing, both),
        ("read-committed", two, both),
        ("strong-read-committed", early, "G1c-realtime"),
        (
            "read-committed",
            early,
            "outside: G-single-item internal G1c-realtime",
        ),
    ] {
        let parameters = Parameters {
            consistency: vec![model.to_owned()],
            assume: vec!["none".to_owned()],
            ..Parameters::default()
        };
        hold(&parameters, &[(model, "rw-register", expected, tell)]);
    }
}

#[test]
fn who_updates_any_version_that_another_one_updates_loses_it() {
    let tell: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 1]]));
        txn(
            story,
            2,
            json!([["r", "x", null], ["w", "x", 2]]),
            json!([["r", "x", 1], ["w", "x", 2]]),
        );
        txn(
            story,
            3,
            json!([["r", "x", null], ["r", "x", null], ["w", "x", 3]]),
            json!([["r", "x", null], ["r", "x", 1], ["w", "x", 3]]),
        );
    };
    let parameters = Parameters {
        consistency: vec!["cursor-stability".to_owned()],
        assume: vec!["none".to_owned()],
        ..Parameters::default()
    };
    hold(
        &parameters,
        &[("a later read", "rw-register", "lost-update", tell)],
    );
}

/// One appends 1, or 2, behind what it read.
fn appended(story: &mut Story, process: u64, read: &[Value], element: u64) {
    let nothing = read.iter().map(|_| json!(["r", "x", null]));
    let lists = read.iter().map(|list| json!(["r", "x", list]));
    let append = || std::iter::once(json!(["append", "x", element]));
    let asked = nothing.chain(append()).collect();
    txn(story, process, asked, lists.chain(append()).collect());
}

#[test]
fn what_comes_between_any_list_that_was_read_and_an_append_overtakes_it() {
    let later: Tell = |story| {
        wrote(story, 1, json!([["append", "x", 2]]));
        appended(story, 2, &[json!([2]), json!([])], 1);
    };
    let earlier: Tell = |story| {
        wrote(story, 1, json!([["append", "x", 2]]));
        appended(story, 2, &[json!([]), json!([2])], 1);
    };
    let both: Tell = |story| {
        appended(story, 1, &[json!([])], 2);
        appended(story, 2, &[json!([2]), json!([])], 1);
        read_list(story, 3, json!(["r", "x", [2, 1]]));
    };
    let none: Tell = |story| {
        wrote(story, 1, json!([["append", "x", 2]]));
        appended(story, 2, &[json!([2]), json!([2])], 1);
    };
    let parameters = Parameters {
        consistency: vec!["cursor-stability".to_owned()],
        ..Parameters::default()
    };
    for (tell, expected) in [
        (later, "G-cursor"),
        (earlier, "G-cursor"),
        (both, "G-cursor lost-update"),
        (none, "valid"),
    ] {
        hold(&parameters, &[("cursors", "list-append", expected, tell)]);
    }
}

#[test]
fn a_read_of_an_initial_value_that_was_written_too_may_be_of_either() {
    let parameters = |model: &str| Parameters {
        initial: Some(json!(5)),
        consistency: vec![model.to_owned()],
        ..Parameters::default()
    };
    let updated: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 5]]));
        let asked = json!([["r", "x", null], ["w", "x", 6]]);
        txn(story, 2, asked, json!([["r", "x", 5], ["w", "x", 6]]));
    };
    // It is there before it is written, and once more when it was.
    let written_back: Tell = |story| {
        let asked = json!([["r", "x", null], ["w", "x", 5]]);
        txn(story, 1, asked, json!([["r", "x", 5], ["w", "x", 5]]));
    };
    let failed: Tell = |story| {
        story.failed(1, "txn", "", json!([["w", "x", 5]]));
        wrote(story, 2, json!([["r", "x", 5]]));
        wrote(story, 2, json!([["w", "x", 6]]));
        wrote(story, 3, json!([["r", "x", 5]]));
    };
    // What shows nothing does not stand between what was before it and what came after it.
    let between: Tell = |story| {
        let both = || json!([["w", "x", 2], ["w", "y", 2]]);
        story.ask(9, "txn", "", json!([["w", "x", 5]]), Value::Null);
        wrote(story, 1, json!([["w", "x", 1]]));
        story.answer(9, "txn", "", json!([["w", "x", 5]]), Value::Null);
        wrote(story, 1, json!([["r", "x", 5]]));
        story.ask(2, "txn", "", both(), Value::Null);
        let asked = json!([["r", "y", null], ["r", "x", null]]);
        story.ask(3, "txn", "", asked, Value::Null);
        story.answer(2, "txn", "", both(), Value::Null);
        let told = json!([["r", "y", 2], ["r", "x", 1]]);
        story.answer(3, "txn", "", told, Value::Null);
    };
    for (model, tell, expected) in [
        ("strict-serializable", between, "G-single-item"),
        ("serializable", updated, "unknown: nothing was tested"),
        ("strict-serializable", updated, "valid"),
        ("read-atomic", updated, "unknown: which begins with it"),
        ("serializable", written_back, "unknown: nothing was tested"),
        ("serializable", failed, "outside: G-single-item-realtime"),
        (
            "strict-serializable",
            failed,
            "G-single-item-realtime cyclic-versions",
        ),
    ] {
        hold(
            &parameters(model),
            &[(model, "rw-register", expected, tell)],
        );
    }
}

#[test]
fn a_valid_verdict_says_so_where_an_indeterminate_transaction_that_was_seen_has_no_order() {
    let registers: Tell = |story| {
        let asked = json!([["r", "x", null], ["w", "x", 2]]);
        txn(story, 3, asked.clone(), asked);
        let asked = json!([["w", "y", 1], ["r", "x", null]]);
        txn(story, 2, asked, json!([["w", "y", 1], ["r", "x", 2]]));
        story.lost(
            0,
            "txn",
            "",
            json!([["w", "y", 2], ["w", "x", 1]]),
            Value::Null,
        );
        let asked = json!([["r", "y", null], ["r", "x", null]]);
        txn(story, 1, asked, json!([["r", "y", 1], ["r", "x", 1]]));
    };
    let lists: Tell = |story| {
        wrote(story, 1, json!([["append", "y", 1]]));
        let lost = json!([["append", "y", 2], ["append", "x", 1]]);
        story.lost(2, "txn", "", lost, Value::Null);
        read_list(story, 3, json!(["r", "x", [1]]));
    };
    for (checker, model, tell) in [
        ("rw-register", "serializable", registers),
        ("rw-register", "snapshot-isolation", registers),
        ("list-append", "snapshot-isolation", lists),
    ] {
        let parameters = Parameters {
            consistency: vec![model.to_owned()],
            ..Parameters::default()
        };
        let mut story = Story::default();
        tell(&mut story);
        let finding = judge_with(checker, &parameters, &story.history);
        assert_eq!(said(&finding), "valid", "{checker}, {model}");
        assert!(finding.details["caveat"].is_string(), "{checker}, {model}");
    }
}

/// Lists that begin with 1, and registers that begin with 0.
#[test]
fn every_model_of_transactions_is_told_what_keys_begin_with() {
    let lists: Tell = |story| {
        read_list(story, 1, json!(["r", "x", [1]]));
        wrote(story, 2, json!([["append", "x", 2]]));
        read_list(story, 2, json!(["r", "x", [1, 2]]));
    };
    let without: Tell = |story| {
        wrote(story, 2, json!([["append", "x", 2]]));
        read_list(story, 2, json!(["r", "x", []]));
    };
    let registers: Tell = |story| {
        read_list(story, 1, json!(["r", "x", 0]));
        wrote(story, 2, json!([["w", "x", 2]]));
        read_list(story, 2, json!(["r", "x", 2]));
        read_list(story, 1, json!(["r", "x", 2]));
    };
    let goes_back: Tell = |story| {
        wrote(story, 2, json!([["w", "x", 2]]));
        read_list(story, 2, json!(["r", "x", 0]));
    };
    let nothing: Tell = |story| {
        wrote(story, 2, json!([["w", "x", 2]]));
        read_list(story, 2, json!(["r", "x", null]));
    };
    let written: Tell = |story| {
        wrote(story, 2, json!([["w", "x", 0]]));
        read_list(story, 2, json!(["r", "x", 0]));
    };
    let with = |initial: Value| Parameters {
        initial: Some(initial),
        ..Parameters::default()
    };
    let (first, zero) = (with(json!([1])), with(json!(0)));
    for (model, back) in [
        ("read-committed", "valid"),
        ("read-atomic", "session-not-seen"),
        ("causal", "causality-violation"),
        ("session-guarantees", "read-your-writes"),
    ] {
        let garbage = "garbage-read";
        hold(&first, &[("a list", model, "valid", lists)]);
        hold(&first, &[("another list", model, garbage, without)]);
        hold(&zero, &[("a register", model, "valid", registers)]);
        hold(&zero, &[("back to the beginning", model, back, goes_back)]);
        hold(&zero, &[("null is no beginning", model, garbage, nothing)]);
        let either = "unknown: begins with it";
        hold(&zero, &[("it was written, too", model, either, written)]);
    }
    let groups: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 1]]));
        wrote(story, 2, json!([["w", "y", 1]]));
        for told in [[0, 0], [0, 1], [1, 1]] {
            let asked = json!([["r", "x", null], ["r", "y", null]]);
            txn(
                story,
                3,
                asked,
                json!([["r", "x", told[0]], ["r", "y", told[1]]]),
            );
        }
    };
    let forked: Tell = |story| {
        wrote(story, 1, json!([["w", "x", 1]]));
        wrote(story, 2, json!([["w", "y", 1]]));
        for told in [[1, 0], [0, 1]] {
            let asked = json!([["r", "x", null], ["r", "y", null]]);
            txn(
                story,
                3,
                asked,
                json!([["r", "x", told[0]], ["r", "y", told[1]]]),
            );
        }
    };
    hold(&zero, &[("a group", "long-fork", "valid", groups)]);
    hold(&zero, &[("a fork", "long-fork", "long-fork", forked)]);
    let either = "unknown: begins with it";
    hold(
        &zero,
        &[("it was written, too", "long-fork", either, written)],
    );
}

#[test]
fn a_list_that_does_not_begin_as_all_do_is_told_so() {
    let parameters = Parameters {
        initial: Some(json!([1])),
        ..Parameters::default()
    };
    for checker in ["list-append", "causal"] {
        let mut story = Story::default();
        read_list(&mut story, 1, json!(["r", "x", []]));
        let finding = judge_with(checker, &parameters, &story.history);
        let Verdict::Invalid(anomalies) = &finding.verdict else {
            panic!("{checker}: {:?}", finding.verdict);
        };
        let summary = &anomalies[0].summary;
        assert!(
            summary.contains("does not begin as all lists do"),
            "{checker}: {summary}"
        );
    }
}

#[test]
fn transactions_under_another_name_are_refused_with_their_line() {
    let named = |story: &mut Story, name: &str, value: Value| {
        let (asked, told) = (value.clone(), value);
        story.done(0, name, "", (asked, Value::Null), (told, Value::Null));
    };
    for (checker, word, seen) in [
        ("list-append", "append", json!([1])),
        ("rw-register", "w", json!(1)),
        ("read-committed", "append", json!([1])),
        ("session-guarantees", "w", json!(1)),
        ("long-fork", "w", json!(1)),
    ] {
        let mut story = Story::default();
        wrote(&mut story, 1, json!([["r", "y", null]]));
        named(&mut story, "write-txn", json!([[word, "x", 1]]));
        read_list(&mut story, 1, json!(["r", "x", seen]));
        let finding = judge(checker, &story.history);
        let said = said(&finding);
        let is_told = said.starts_with("unknown: ") && said.contains("write-txn");
        assert!(is_told, "{checker}: {said}");
        assert_eq!(finding.details["misfit"]["index"], 2, "{checker}");
        // What is no transaction is none of these models' business.
        let mut story = Story::default();
        wrote(&mut story, 1, json!([[word, "x", 1]]));
        named(&mut story, "write", json!(5));
        named(&mut story, "read", json!([1, 2]));
        named(&mut story, "cas", json!([1, 2]));
        let said = crate::said(&judge(checker, &story.history));
        assert!(!said.contains("with micro-operations"), "{checker}: {said}");
    }
}
