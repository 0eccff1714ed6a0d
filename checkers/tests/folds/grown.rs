//! Sets that grow: one rule for what an answer says, whichever way they are judged; and how stale their reads were.

use crate::common::{judge, judge_with, validity};
use keelhaul_checkers::{History, Parameters, ReadMode};
use serde_json::{Value, json};

/// A history of one process, one line for each answer: what is asked is what the answer says.
fn history(answers: &[&str]) -> History {
    let lines = answers.iter().flat_map(|answer| {
        ["invoke", "ok"].map(|kind| format!("{{\"process\":0,\"type\":\"{kind}\",{answer}}}\n"))
    });
    let lines: Vec<String> = lines.collect();
    History::read(lines.concat().as_bytes()).unwrap().0
}

const ADD: &str = r#""f":"add","value":1"#;
const READ: &str = r#""f":"read","value":[1]"#;

#[test]
fn an_add_that_found_its_element_is_the_same_answer_in_any_words() {
    let again = ["NodeExists", "exists", "present"];
    let mut again: Vec<String> = again
        .iter()
        .map(|error| format!("{ADD},\"error\":\"{error}\""))
        .collect();
    again.push(format!("{ADD},\"changed\":false"));
    for again in &again {
        for model in ["set", "set-full"] {
            let plain = history(&[ADD, again, READ]);
            assert_eq!(
                validity(&judge(model, &plain)),
                Some(true),
                "{model} {again}"
            );
            if again.contains("error") {
                let nobody = history(&[again, r#""f":"read","value":[]"#]);
                assert_eq!(validity(&judge("set", &nobody)), Some(false), "{again}");
            }
        }
    }
}

#[test]
fn what_was_never_read_again_has_an_order_and_is_unknown_to_those_who_read_all_again() {
    for (model, verdict) in [("set", Some(true)), ("set-once", None)] {
        never_read_again(model, verdict);
    }
}

/// Wherever the set began.
fn never_read_again(model: &str, verdict: Option<bool>) {
    let unread = history(&[ADD, READ, r#""f":"add","value":2"#]);
    for initial in [None, Some(json!([]))] {
        let parameters = Parameters {
            initial,
            ..Parameters::default()
        };
        let finding = judge_with(model, &parameters, &unread);
        assert_eq!(validity(&finding), verdict, "{model}");
    }
    let begun = Parameters {
        initial: Some(json!([1])),
        ..Parameters::default()
    };
    let read = history(&[r#""f":"add","value":2"#, r#""f":"read","value":[1,2]"#]);
    assert_eq!(validity(&judge_with(model, &begun, &read)), Some(true));
    let unread = history(&[READ, r#""f":"add","value":2"#]);
    assert_eq!(validity(&judge_with(model, &begun, &unread)), verdict);
}

#[test]
fn a_stale_read_is_an_anomaly_where_reads_are_said_to_be_linearizable() {
    let stale = history(&[ADD, r#""f":"read","value":[]"#, READ]);
    let measured = judge("set-full", &stale);
    assert_eq!(validity(&measured), Some(true));
    assert_eq!(measured.details["stale"], Value::from(1));
    let told = Parameters {
        reads: Some(ReadMode::Fenced),
        ..Parameters::default()
    };
    assert_eq!(
        validity(&judge_with("set-full", &told, &stale)),
        Some(false)
    );
}
