//! Histories of several objects: each is judged by itself, whatever the checker.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use keelhaul_checkers::{Budget, Finding, History, Parameters, ReadOptions, Verdict, by_name};
use serde_json::{Value, json};

/// Whether the finding is unknown because the history tested nothing.
fn says_nothing_was_tested(finding: &Finding) -> bool {
    match &finding.verdict {
        Verdict::Unknown(reasons) => reasons
            .iter()
            .all(|reason| reason.text.ends_with("nothing was tested")),
        _ => false,
    }
}

/// Operations as (key, f, asked, answered), one process's after the other's.
fn history(operations: &[(&str, &str, Value, Value)]) -> History {
    let lines = operations.iter().map(|(key, f, asked, answered)| {
        let line = |kind: &str, value: &Value| {
            json!({ "process": 0, "type": kind, "f": f, "key": key, "value": value }).to_string()
        };
        format!("{}\n{}\n", line("invoke", asked), line("ok", answered))
    });
    let text: String = lines.collect();
    History::read(text.as_bytes()).unwrap().0
}

fn judge(model: &str, history: &History) -> Finding {
    let checker = by_name(model, &Parameters::default()).unwrap();
    checker.check(history, &Budget::default())
}

fn txn(
    key: &'static str,
    asked: Value,
    answered: Value,
) -> (&'static str, &'static str, Value, Value) {
    (key, "txn", asked, answered)
}

#[test]
fn what_is_wrong_within_one_object_may_be_right_in_two() {
    let lists = |other| {
        history(&[
            txn(
                "a",
                json!([["append", "x", 1]]),
                json!([["append", "x", 1]]),
            ),
            txn("a", json!([["r", "x", null]]), json!([["r", "x", [1]]])),
            txn(other, json!([["r", "x", null]]), json!([["r", "x", []]])),
        ])
    };
    for model in ["list-append", "session-guarantees", "causal"] {
        assert!(
            matches!(judge(model, &lists("a")).verdict, Verdict::Invalid(_)),
            "{model}"
        );
        assert_eq!(judge(model, &lists("b")).verdict, Verdict::Valid, "{model}");
    }
    let same = |other| {
        history(&[
            txn("a", json!([["w", "x", 1]]), json!([["w", "x", 1]])),
            txn("a", json!([["r", "x", null]]), json!([["r", "x", 1]])),
            txn(other, json!([["w", "x", 1]]), json!([["w", "x", 1]])),
            txn(other, json!([["r", "x", null]]), json!([["r", "x", 1]])),
        ])
    };
    // One value written twice: who wrote what was read is not known.
    for model in ["read-committed", "read-atomic"] {
        assert!(
            matches!(judge(model, &same("a")).verdict, Verdict::Unknown(_)),
            "{model}"
        );
        assert_eq!(judge(model, &same("b")).verdict, Verdict::Valid, "{model}");
    }
    let registers = |other| {
        history(&[
            txn("a", json!([["w", "x", 1]]), json!([["w", "x", 1]])),
            txn("a", json!([["r", "x", null]]), json!([["r", "x", 1]])),
            txn(other, json!([["w", "x", 2]]), json!([["w", "x", 2]])),
            txn(other, json!([["r", "x", null]]), json!([["r", "x", 2]])),
            txn("a", json!([["r", "x", null]]), json!([["r", "x", 1]])),
        ])
    };
    for model in ["rw-register", "multi-register"] {
        assert!(
            matches!(judge(model, &registers("a")).verdict, Verdict::Invalid(_)),
            "{model}"
        );
        assert_eq!(
            judge(model, &registers("b")).verdict,
            Verdict::Valid,
            "{model}"
        );
    }
    let ids = |other| {
        history(&[
            ("a", "generate", json!(null), json!(1)),
            (other, "generate", json!(null), json!(1)),
        ])
    };
    assert!(matches!(
        judge("unique-ids", &ids("a")).verdict,
        Verdict::Invalid(_)
    ));
    assert_eq!(judge("unique-ids", &ids("b")).verdict, Verdict::Valid);
    let banks = |other| {
        history(&[
            ("a", "read", json!(null), json!({ "0": 10 })),
            (other, "read", json!(null), json!({ "0": 20 })),
        ])
    };
    assert!(matches!(
        judge("bank", &banks("a")).verdict,
        Verdict::Invalid(_)
    ));
    // One read of each has nothing to be compared with.
    assert!(says_nothing_was_tested(&judge("bank", &banks("b"))));
    let forks = |other| {
        history(&[
            txn("a", json!([["w", "x", 1]]), json!([["w", "x", 1]])),
            txn("a", json!([["w", "y", 1]]), json!([["w", "y", 1]])),
            txn(
                "a",
                json!([["r", "x", null], ["r", "y", null]]),
                json!([["r", "x", 1], ["r", "y", null]]),
            ),
            txn(other, json!([["w", "x", 1]]), json!([["w", "x", 1]])),
            txn(other, json!([["w", "y", 1]]), json!([["w", "y", 1]])),
            txn(
                other,
                json!([["r", "x", null], ["r", "y", null]]),
                json!([["r", "x", null], ["r", "y", 1]]),
            ),
        ])
    };
    // Written once for each object; twice in one would be another model's.
    assert!(says_nothing_was_tested(&judge("long-fork", &forks("b"))));
    assert!(matches!(
        judge("long-fork", &forks("a")).verdict,
        Verdict::Unknown(_)
    ));
}

#[test]
fn an_anomaly_names_its_object_and_the_lines_of_the_whole_history() {
    let history = history(&[
        txn(
            "a",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
        txn(
            "b",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
        txn("a", json!([["r", "x", null]]), json!([["r", "x", [1]]])),
        txn("b", json!([["r", "x", null]]), json!([["r", "x", []]])),
    ]);
    let finding = judge("list-append", &history);
    let Verdict::Invalid(anomalies) = &finding.verdict else {
        panic!("{finding:?}")
    };
    assert!(
        anomalies[0].summary.starts_with("b: "),
        "{}",
        anomalies[0].summary
    );
    assert_eq!(anomalies[0].witness["object"], "b");
    let told = anomalies[0].witness.to_string();
    assert!(
        told.contains("\"index\":2") && told.contains("\"index\":6"),
        "{told}"
    );
    assert!(!told.contains("\"index\":0"), "{told}");
    assert_eq!(finding.details["keys"], 2);
    assert_eq!(finding.details["illegal_keys"], json!(["b"]));
    let not = finding.details["not"].as_array().unwrap();
    assert!(!not.is_empty());
    let also_not = finding.details["also_not"].as_array().unwrap();
    assert!(
        also_not.contains(&json!("strong-serializable")),
        "{also_not:?}"
    );
}

#[test]
fn an_object_with_nothing_to_judge_leaves_the_others_as_they_are() {
    let some = history(&[
        txn(
            "a",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
        txn(
            "b",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
        txn("b", json!([["r", "x", null]]), json!([["r", "x", [1]]])),
    ]);
    assert_eq!(judge("list-append", &some).verdict, Verdict::Valid);
    let none = history(&[
        txn(
            "a",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
        txn(
            "b",
            json!([["append", "x", 1]]),
            json!([["append", "x", 1]]),
        ),
    ]);
    assert!(matches!(
        judge("list-append", &none).verdict,
        Verdict::Unknown(_)
    ));
}

#[test]
fn tuples_are_judged_key_by_key() {
    let text = "{:type :invoke, :f :txn, :value [1 [[:append :x 1]]], :process 0}\n\
        {:type :ok, :f :txn, :value [1 [[:append :x 1]]], :process 0}\n\
        {:type :invoke, :f :txn, :value [2 [[:append :x 2] [:r :x nil]]], :process 0}\n\
        {:type :ok, :f :txn, :value [2 [[:append :x 2] [:r :x [2]]]], :process 0}\n\
        {:type :invoke, :f :txn, :value [2 [[:r :x nil]]], :process 0}\n\
        {:type :ok, :f :txn, :value [2 [[:r :x [2]]]], :process 0}\n";
    let options = ReadOptions {
        independent: Some(true),
    };
    let (history, _) = History::read_with(text.as_bytes(), &options).unwrap();
    assert_eq!(judge("list-append", &history).verdict, Verdict::Valid);
}
