//! What is told of a tree of znodes is about the znodes in question, and small.

use crate::common::PLENTY;
use keelhaul_checkers::explain::{shrink, smallest_part};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Anomaly, History, Parameters, Verdict, by_name, render};

/// The first anomaly of a generated history that is broken, shrunk.
fn found(model: &str, breaking: &str, zxids: bool) -> Anomaly {
    let options = Options {
        model: model.to_owned(),
        operations: 60,
        concurrency: 3,
        seed: 3,
        breaking: Some(breaking.to_owned()),
        zxids,
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    let history = History::read(&lines[..]).unwrap().0;
    let checker = by_name(model, &Parameters::default()).unwrap();
    let mut finding = checker.check(&history, &PLENTY);
    shrink(&history, &*checker, &mut finding, &PLENTY);
    let Verdict::Invalid(anomalies) = finding.verdict else {
        panic!("{model}, {breaking}: {:?}", finding.verdict);
    };
    anomalies.into_iter().next().unwrap()
}

#[test]
fn without_zxids_only_the_znodes_in_question_are_told_of() {
    for breaking in ["stale-read", "lost-write", "unwritten-read", "wrong-error"] {
        let anomaly = found("znodes", breaking, false);
        let text = render(&anomaly);
        assert!(text.contains("/k10 = 2"), "{breaking}:\n{text}");
        assert!(!text.contains("/k0"), "{breaking}:\n{text}");
        let states: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
        assert!(states.len() <= 4, "{breaking}:\n{text}");
        let lines = anomaly.witness["history"].as_array().unwrap().len();
        assert!(lines <= 8, "{breaking}: {lines} lines\n{text}");
    }
}

#[test]
fn an_operation_on_the_tree_is_told_with_its_path() {
    let text = render(&found("znodes", "stale-read", true));
    assert!(text.contains("get /k10 → 20, version 0"), "{text}");
}

#[test]
fn events_and_watches_are_told_by_name() {
    let part = smallest_part(&found("watch", "doubled-event", true)).unwrap();
    let of = |word: &str| part.lines().filter(|line| line.ends_with(word)).count();
    assert_eq!(of("event /k10 NodeDataChanged"), 2, "{part}");
    assert_eq!(of("invoke get /k10 watch"), 1, "{part}");
}
