//! What a shrunk history says by itself is what was found in the whole one.

use crate::common::{PLENTY, judge};
use crate::pictures::inspect;
use keelhaul_checkers::explain::{explain, shrink, smallest_part};
use keelhaul_checkers::generate::{Options, generate, models};
use keelhaul_checkers::{Anomaly, Finding, History, Parameters, Verdict, by_name};
use serde_json::Value;
use std::collections::BTreeSet;

fn broken(model: &str, anomaly: &str, operations: u64, seed: u64) -> History {
    let options = Options {
        model: model.to_owned(),
        operations,
        breaking: Some(anomaly.to_owned()),
        info: 0.01,
        seed,
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0
}

fn anomalies(finding: &Finding) -> Vec<&Anomaly> {
    let found = match &finding.verdict {
        Verdict::Invalid(found) => found.as_slice(),
        _ => &[],
    };
    found.iter().chain(&finding.outside_contract).collect()
}

fn kinds(finding: &Finding) -> BTreeSet<&str> {
    anomalies(finding)
        .into_iter()
        .map(|anomaly| &*anomaly.kind)
        .collect()
}

/// The sub-history of a witness, read again from its lines as a file's would be.
fn sub_history(anomaly: &Anomaly) -> Option<History> {
    let Value::Array(lines) = &anomaly.witness["history"] else {
        assert!(anomaly.witness["history_note"].is_string(), "{anomaly:?}");
        return None;
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Some(History::read(text.as_bytes()).unwrap().0)
}

/// Shrinks all anomalies of the history; how many lines show each by itself, where any do.
fn shrunk(checker: &str, history: &History) -> Vec<(String, Option<usize>)> {
    let checker = by_name(checker, &Parameters::default()).unwrap();
    let begun = std::time::Instant::now();
    let mut finding = checker.check(history, &PLENTY);
    let judged = begun.elapsed();
    let before = kinds(&finding)
        .into_iter()
        .map(str::to_owned)
        .collect::<BTreeSet<_>>();
    let begun = std::time::Instant::now();
    shrink(history, &*checker, &mut finding, &PLENTY);
    let shrunk = begun.elapsed();
    println!(
        "{:>8.1} ms to judge, {:>8.1} ms to shrink",
        judged.as_secs_f64() * 1e3,
        shrunk.as_secs_f64() * 1e3
    );
    let told = anomalies(&finding).into_iter().map(|anomaly| {
        let part = sub_history(anomaly);
        if let Some(part) = &part {
            let again = checker.check(part, &PLENTY);
            let again = kinds(&again);
            assert!(
                again.contains(&*anomaly.kind),
                "{}: only {again:?} is left",
                anomaly.kind
            );
            assert!(
                again.iter().all(|kind| before.contains(*kind)),
                "{again:?} and not only {before:?}"
            );
            let lines = anomaly.witness["history_indices"].as_array().unwrap();
            assert_eq!(lines.len(), part.len());
            for (place, line) in lines.iter().enumerate() {
                let (whole, part) = (
                    history.event(line.as_u64().unwrap() as usize),
                    part.event(place),
                );
                assert_eq!(
                    (whole.process(), whole.kind(), whole.f(), whole.time()),
                    (part.process(), part.kind(), part.f(), part.time())
                );
            }
        }
        (anomaly.kind.clone(), part.map(|part| part.len()))
    });
    told.collect()
}

/// Lines by which an anomaly is shown at most, where it can be shown at all.
const FEW: usize = 16;

#[test]
fn what_can_be_planted_is_shown_by_a_few_lines() {
    let known: Vec<&str> = keelhaul_checkers::list()
        .iter()
        .map(|info| info.name)
        .collect();
    let (mut shown, mut all) = (0, 0);
    for model in models().iter().filter(|model| known.contains(&model.name)) {
        for anomaly in model.breaks {
            let history = broken(model.name, anomaly, 1_000, 1);
            for (kind, lines) in shrunk(model.name, &history) {
                let of = history.len();
                println!(
                    "{:<16} {anomaly:<20} {kind:<24} {lines:?} of {of}",
                    model.name
                );
                all += 1;
                shown += usize::from(lines.is_some_and(|lines| lines <= FEW));
            }
        }
    }
    println!("{shown} of {all} are shown by at most {FEW} lines");
    assert!(all >= 90 && 20 * shown >= 19 * all, "{shown} of {all}");
}

/// What an anomaly is about: the kind, and the lines and elements that its witness names.
fn subject(anomaly: &Anomaly, line: impl Fn(u64) -> u64) -> (String, BTreeSet<u64>, Vec<Value>) {
    fn walk(value: &Value, lines: &mut BTreeSet<u64>, elements: &mut Vec<Value>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "history" | "history_indices" => {}
                        "index" if fields.contains_key("completed") => {
                            lines.extend(value.as_u64());
                        }
                        "element" => elements.push(value.clone()),
                        _ => walk(value, lines, elements),
                    }
                }
            }
            Value::Array(values) => {
                for value in values {
                    walk(value, lines, elements);
                }
            }
            _ => {}
        }
    }
    let (mut lines, mut elements) = (BTreeSet::new(), Vec::new());
    walk(&anomaly.witness, &mut lines, &mut elements);
    let lines = lines.into_iter().map(line).collect();
    (anomaly.kind.clone(), lines, elements)
}

/// That something is missing is shown by what is there, whatever is left out: the anomalies whose witness is an absence.
const ABSENCES: [(&str, &str); 8] = [
    ("watch", "missed-event"),
    ("watch", "data-before-event"),
    ("set", "lost-write"),
    ("set-full", "lost-write"),
    ("total-queue", "lost-write"),
    ("znodes", "lost-write"),
    ("znodes", "ephemeral-stays"),
    ("znodes", "wrong-number"),
];

#[test]
fn what_is_missing_in_a_part_is_missing_in_the_whole() {
    let judges = ["ephemeral", "sequence", "zxid-audit", "session-order"];
    let mut compared = 0;
    for (model, broke) in ABSENCES {
        let more: &[&str] = if model == "znodes" { &judges } else { &[] };
        for seed in 1..=3 {
            let history = broken(model, broke, 400, seed);
            for judge in [&[model], more].concat() {
                compared += compare_with_the_whole(judge, &history);
            }
        }
    }
    println!("{compared} parts were compared");
    assert!(compared >= 20, "{compared}");
}

/// How many parts have an anomaly that is also the whole history's, and leave out nothing that was told of it.
fn compare_with_the_whole(checker: &str, history: &History) -> usize {
    let checker = by_name(checker, &Parameters::default()).unwrap();
    let mut finding = checker.check(history, &PLENTY);
    shrink(history, &*checker, &mut finding, &PLENTY);
    let mut compared = 0;
    for anomaly in anomalies(&finding) {
        let Some(part) = sub_history(anomaly) else {
            continue;
        };
        let indices: Vec<u64> =
            serde_json::from_value(anomaly.witness["history_indices"].clone()).unwrap();
        let (kind, about, elements) = subject(anomaly, |line| line);
        let again = checker.check(&part, &PLENTY);
        let is_same = |found: &&Anomaly| {
            let (other, lines, others) = subject(found, |line| indices[line as usize]);
            let common = about.intersection(&lines).next().is_some();
            other == kind && common && others.iter().all(|element| elements.contains(element))
        };
        assert!(
            anomalies(&again).into_iter().any(|found| is_same(&found)),
            "{kind} about {about:?}: {again:?}"
        );
        // What a session was told of what it is about.
        let told = history.events().filter(|event| event.f() == "event");
        for event in told {
            let ours = |line: &u64| {
                let operation = history.event(*line as usize);
                operation.key() == event.key()
            };
            let of_the_session = |line: &u64| {
                let operation = history.event(*line as usize);
                operation.text("session") == event.text("session")
            };
            let lasts = about.first()..=about.last();
            let within = lasts.contains(&Some(&event.index()));
            if within && about.iter().any(ours) && about.iter().any(of_the_session) {
                assert!(indices.contains(&event.index()), "{kind}: {event:?}");
            }
        }
        compared += 1;
    }
    compared
}

#[test]
fn pictures_of_planted_anomalies_are_whole() {
    let known: Vec<&str> = keelhaul_checkers::list()
        .iter()
        .map(|info| info.name)
        .collect();
    for model in models().iter().filter(|model| known.contains(&model.name)) {
        for anomaly in model.breaks {
            let history = broken(model.name, anomaly, 1_000, 1);
            for found in anomalies(&judge(model.name, &history)) {
                inspect(
                    &format!("{}-{}-{}", model.name, anomaly, found.kind),
                    &explain(&history, found),
                );
            }
        }
    }
}

#[test]
fn shrinking_stays_within_its_limits() {
    let history = broken("register", "stale-read", 200_000, 3);
    let begun = std::time::Instant::now();
    let told = shrunk("register", &history);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(told.len(), 1);
}

#[test]
fn the_smallest_part_is_told_in_lines_of_the_whole_history() {
    let history = broken("register", "lost-write", 1_000, 1);
    let checker = by_name("register", &Parameters::default()).unwrap();
    let mut finding = checker.check(&history, &PLENTY);
    assert_eq!(smallest_part(anomalies(&finding)[0]), None);
    shrink(&history, &*checker, &mut finding, &PLENTY);
    let anomaly = anomalies(&finding)[0];
    let text = smallest_part(anomaly).unwrap();
    let indices = anomaly.witness["history_indices"].as_array().unwrap();
    let mut told = text.lines();
    assert!(told.next().unwrap().ends_with("6 lines:"), "{text}");
    for (line, index) in told.by_ref().zip(indices) {
        let event = history.event(index.as_u64().unwrap() as usize);
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = (event.index() + 1).to_string();
        assert_eq!(words[..2], ["line", &number], "{text}");
        assert_eq!(words[5], event.f(), "{text}");
    }
    assert_eq!(told.next(), None, "{text}");
}

/// A chain of operations without a gap between them, which no search can cut: what was found stays, and it ends.
#[test]
fn the_work_of_shrinking_is_bounded_by_counts() {
    for (model, anomaly) in [
        ("semaphore", "too-many-permits"),
        ("counter", "unwritten-read"),
    ] {
        let history = broken(model, anomaly, 3_000, 2);
        let checker = by_name(model, &Parameters::default()).unwrap();
        let found = checker.check(&history, &PLENTY);
        let mut once = found.clone();
        shrink(&history, &*checker, &mut once, &PLENTY);
        let mut again = found.clone();
        shrink(&history, &*checker, &mut again, &PLENTY);
        assert_eq!(once, again, "{model}");
        assert_eq!(kinds(&once), kinds(&found), "{model}");
    }
}

#[test]
fn sentences_pictures_and_terminal_count_lines_from_one() {
    let history = broken("list-append", "stale-read", 300, 1);
    let finding = judge("list-append", &history);
    let mut seen = 0;
    for anomaly in anomalies(&finding) {
        let witness = &anomaly.witness;
        let explanation = explain(&history, anomaly);
        for step in witness["cycle"].as_array().into_iter().flatten() {
            let of = |end: &str| &witness["transactions"][step[end].as_u64().unwrap() as usize];
            let (completed, invoked) = (&of("from")["completed"], &of("to")["index"]);
            let line = |index: &Value| format!("line {}", index.as_u64().unwrap() + 1);
            assert!(explanation.dot.contains(&line(invoked)), "{anomaly:?}");
            assert!(explanation.svg.contains(&line(invoked)), "{anomaly:?}");
            if step["relation"] != "realtime" {
                continue;
            }
            let because = step["because"].as_str().unwrap();
            for index in [completed, invoked] {
                assert!(because.contains(&format!("({})", line(index))), "{because}");
            }
            assert!(explanation.text.contains(because), "{}", explanation.text);
            seen += 1;
        }
    }
    assert!(seen > 0, "{finding:?}");
}
