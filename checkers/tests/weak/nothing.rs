//! A history that tests nothing of a model is no proof of it.

use crate::common::{judge, judge_with, validity};
use keelhaul_checkers::{History, Parameters};
use serde_json::json;

fn history(txns: &[(u64, &str)]) -> History {
    let line = |process, kind, value| {
        format!(r#"{{"process":{process},"type":"{kind}","f":"txn","value":{value}}}"#)
    };
    let lines: Vec<String> = (txns.iter())
        .flat_map(|(process, value)| ["invoke", "ok"].map(|kind| line(process, kind, value)))
        .collect();
    History::read(lines.join("\n").as_bytes()).unwrap().0
}

fn says(model: &str, txns: &[(u64, &str)]) -> Option<bool> {
    validity(&judge(model, &history(txns)))
}

const WRITE: (u64, &str) = (0, r#"[["w","x",1]]"#);
const READ: (u64, &str) = (0, r#"[["r","x",1]]"#);

#[test]
fn writes_that_nobody_read_prove_no_level() {
    for model in ["read-committed", "read-atomic", "causal"] {
        assert_eq!(says(model, &[WRITE]), None, "{model}");
        assert_eq!(says(model, &[WRITE, READ]), Some(true), "{model}");
    }
}

#[test]
fn session_guarantees_need_a_session_that_comes_back_to_a_key() {
    let model = "session-guarantees";
    assert_eq!(says(model, &[WRITE]), None);
    assert_eq!(says(model, &[WRITE, (1, READ.1)]), None);
    assert_eq!(says(model, &[WRITE, READ]), Some(true));
}

#[test]
fn a_fork_needs_two_reads_of_several_keys() {
    let both = r#"[["r","x",1],["r","y",null]]"#;
    assert_eq!(says("long-fork", &[WRITE]), None);
    assert_eq!(says("long-fork", &[WRITE, READ, READ]), None);
    assert_eq!(says("long-fork", &[WRITE, (1, both)]), None);
    assert_eq!(
        says("long-fork", &[WRITE, (1, both), (2, both)]),
        Some(true)
    );
}

#[test]
fn the_only_read_of_a_bank_needs_something_to_compare_with() {
    let lines = r#"{"process":0,"type":"invoke","f":"read","value":null}
{"process":0,"type":"ok","f":"read","value":{"0":95,"1":5}}
"#;
    let (history, _) = History::read(lines.as_bytes()).unwrap();
    assert_eq!(validity(&judge("bank", &history)), None);
    let told = Parameters {
        initial: Some(json!({ "0": 100, "1": 0 })),
        ..Parameters::default()
    };
    assert_eq!(validity(&judge_with("bank", &told, &history)), Some(true));
}
