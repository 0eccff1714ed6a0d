//! What a person reads is what happened: answers with their values, moments that differ, one line a line, and no more lines
//! than it takes.

use crate::common::PLENTY;
use keelhaul_checkers::explain::{explain, shrink, smallest_part};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{
    Anomaly, Event, EventRef, Finding, History, Parameters, Verdict, by_name, render,
};
use serde_json::{Value, json};

/// `(process, type, f, value)`, a line each, so many nanoseconds apart.
fn history(lines: &[(u64, &str, &str, Value)], step: u64) -> History {
    let lines = lines.iter().enumerate();
    let text: String = lines
        .map(|(index, (process, kind, f, value))| {
            let time = (index as u64 + 1) * step;
            let line = json!({"index": index, "time": time, "process": process, "type": kind, "f": f, "value": value});
            format!("{line}\n")
        })
        .collect();
    History::read(text.as_bytes()).unwrap().0
}

fn found(model: &str, history: &History) -> Finding {
    let checker = by_name(model, &Parameters::default()).unwrap();
    let mut finding = checker.check(history, &PLENTY);
    shrink(history, &*checker, &mut finding, &PLENTY);
    finding
}

fn first(finding: &Finding) -> &Anomaly {
    match &finding.verdict {
        Verdict::Invalid(anomalies) => &anomalies[0],
        other => panic!("it is invalid, not {other:?}"),
    }
}

fn asked(f: &str, question: Value, answer: Value) -> Vec<(u64, &str, &str, Value)> {
    vec![(0, "invoke", f, question), (0, "ok", f, answer)]
}

#[test]
fn answers_are_told_with_their_values() {
    for (model, calls, told) in [
        (
            "fifo-queue",
            vec![
                asked("enqueue", json!(1), json!(1)),
                asked("enqueue", json!(2), json!(2)),
                asked("dequeue", json!(null), json!(2)),
            ],
            "dequeue → 2",
        ),
        (
            "stack",
            vec![
                asked("push", json!(1), json!(1)),
                asked("pop", json!(null), json!(null)),
            ],
            "pop → null",
        ),
        (
            "set",
            vec![
                asked("add", json!(1), json!(1)),
                asked("contains", json!(1), json!(false)),
            ],
            "contains 1 → false",
        ),
        (
            "counter",
            vec![asked("add-and-get", json!(1), json!(2))],
            "add-and-get 1 → 2",
        ),
        (
            "fenced-mutex",
            vec![
                asked("acquire", json!(null), json!(7)),
                asked("release", json!(null), json!(null)),
                asked("acquire", json!(null), json!(6)),
            ],
            "acquire → 6",
        ),
    ] {
        let history = history(&calls.concat(), 1_000);
        let finding = found(model, &history);
        let explanation = explain(&history, first(&finding));
        for (form, text) in [
            ("text", &explanation.text),
            ("svg", &explanation.svg),
            ("dot", &explanation.dot),
        ] {
            assert!(
                text.contains(told),
                "{model}: no `{told}` in {form}: {text}"
            );
        }
    }
}

/// A stale read after a write, as people see it most.
fn stale(step: u64) -> History {
    let calls = [
        asked("write", json!(1), json!(1)),
        asked("read", json!(null), json!(null)),
    ];
    history(&calls.concat(), step)
}

#[test]
fn a_stale_read_is_told_as_one() {
    let finding = found("register", &stale(1_000_000));
    let text = render(first(&finding));
    assert!(
        text.contains("the read of value null at line 3 began after the write of value 1 had ended at line 2; nobody wrote value null again"),
        "{text}"
    );
}

#[test]
fn what_excludes_each_other_is_told_as_it_happened() {
    let calls = [
        asked("write", json!(1), json!(1)),
        asked("write", json!(2), json!(2)),
        asked("read", json!(null), json!(1)),
        asked("read", json!(null), json!(2)),
    ];
    let history = history(&calls.concat(), 1_000_000);
    let finding = found("register", &history);
    let text = render(first(&finding));
    let at = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("{words}: {text}"))
    };
    assert!(at(": write 1 → ok") < at(": write 2 → ok"), "{text}");
    assert!(at(": write 2 → ok") < at(": read → 1"), "{text}");
    // The last read has nothing to do with it.
    assert_eq!(
        first(&finding).witness["history_indices"],
        json!([0, 1, 2, 3, 4, 5])
    );
}

#[test]
fn moments_that_differ_are_told_apart() {
    for (step, one, other) in [
        (50, "50 ns", "100 ns"),
        (700, "700 ns", "1400 ns"),
        (20_000, "20 µs", "40 µs"),
        (400_000, "0.400 ms", "0.800 ms"),
        (50_000_000, "0.050 s", "0.100 s"),
    ] {
        let finding = found("register", &stale(step));
        let text = render(first(&finding));
        let told = format!("{one} … {other}  process 0: write 1 → ok");
        assert!(text.contains(&told), "{step}: no `{told}` in {text}");
    }
}

#[test]
fn a_key_with_a_line_feed_stays_on_its_line() {
    let text = r#"{"process":0,"type":"invoke","f":"write","key":"a\nb","value":1}
{"process":0,"type":"ok","f":"write","key":"a\nb","value":1}
{"process":0,"type":"invoke","f":"read","key":"a\nb","value":null}
{"process":0,"type":"ok","f":"read","key":"a\nb","value":null}
"#;
    let history = History::read(text.as_bytes()).unwrap().0;
    let finding = found("register", &history);
    let anomaly = first(&finding);
    for text in [render(anomaly), smallest_part(anomaly).unwrap()] {
        assert!(text.contains("a\\nb"), "{text}");
        assert!(text.lines().all(|line| !line.starts_with('b')), "{text}");
    }
}

/// The events of a part without those of one operation.
fn without(events: &[Event], process: &keelhaul_checkers::Process, first: usize) -> Vec<Event> {
    let mut left = 2;
    let mine = |(place, event): &(usize, &Event)| {
        let is_mine = *place >= first && event.process == *process && left > 0;
        left -= u32::from(is_mine);
        !is_mine
    };
    let kept = events.iter().enumerate().filter(mine);
    kept.map(|(_, event)| event.clone()).collect()
}

/// What cannot have happened, and in which states.
fn stuck(anomaly: &Anomaly) -> (Value, Vec<Value>) {
    let stuck = &anomaly.witness["stuck"];
    let operation = &stuck["operation"];
    let states = stuck["states"].as_array().into_iter().flatten();
    (
        json!([operation["from"], operation["process"], operation["text"]]),
        states.map(|state| state["state"].clone()).collect(),
    )
}

#[test]
fn of_the_smallest_part_nothing_can_be_left_out() {
    for (breaking, values) in [("stale-read", 5), ("stale-read", 0), ("lost-write", 5)] {
        let options = Options {
            model: "register".to_owned(),
            operations: 2_000,
            breaking: Some(breaking.to_owned()),
            values: (values > 0).then_some(values),
            info: 0.01,
            seed: 3,
            ..Options::default()
        };
        let mut lines = Vec::new();
        generate(&options, &mut lines).unwrap();
        let history = History::read(&lines[..]).unwrap().0;
        let finding = found("register", &history);
        let anomaly = first(&finding);
        assert_eq!(anomaly.witness["history_smallest"], true, "{breaking}");
        let lines = anomaly.witness["history"].as_array().unwrap();
        assert!(lines.len() <= 6, "{breaking}: {lines:#?}");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let part = History::read(text.as_bytes()).unwrap().0;
        let events: Vec<Event> = part.events().map(EventRef::to_event).collect();
        let checker = by_name("register", &Parameters::default()).unwrap();
        let (operation, states) = stuck(anomaly);
        let writes = |events: &[Event], value: &Value| {
            events
                .iter()
                .any(|event| &*event.f == "write" && event.value == *value)
        };
        let read = &anomaly.witness["stuck"]["operation"]["result"];
        for place in 0..events.len() {
            if events[place].kind != keelhaul_checkers::Kind::Invoke {
                continue;
            }
            let rest = without(&events, &events[place].process.clone(), place);
            let fewer = History::from_events(&rest);
            if let Verdict::Invalid(found) = checker.check(&fewer, &PLENTY).verdict {
                let (same, again) = stuck(&found[0]);
                let common = again.iter().any(|state| states.contains(state));
                let written = writes(&rest, read) || !writes(&events, read);
                assert!(
                    !(same == operation && common && written),
                    "{breaking}: {place} of {events:#?}"
                );
            }
        }
    }
}

#[test]
fn what_is_read_in_a_part_is_written_in_it_if_anybody_wrote_it() {
    let calls = [
        (
            2,
            "invoke",
            "txn",
            json!([["w", "x", 1], ["w", "y", 2], ["r", "x", null]]),
        ),
        (
            0,
            "invoke",
            "txn",
            json!([["r", "x", null], ["w", "y", 3], ["r", "y", null]]),
        ),
        (
            2,
            "ok",
            "txn",
            json!([["w", "x", 1], ["w", "y", 2], ["r", "x", 1]]),
        ),
        (
            2,
            "invoke",
            "txn",
            json!([["r", "x", null], ["r", "y", null], ["w", "x", 4]]),
        ),
        (
            0,
            "ok",
            "txn",
            json!([["r", "x", 1], ["w", "y", 3], ["r", "y", 3]]),
        ),
        (
            2,
            "ok",
            "txn",
            json!([["r", "x", 1], ["r", "y", 2], ["w", "x", 4]]),
        ),
        (1, "invoke", "txn", json!([["r", "y", null]])),
        (1, "ok", "txn", json!([["r", "y", 2]])),
    ];
    let history = history(&calls, 1_000);
    let finding = found("multi-register", &history);
    let anomaly = first(&finding);
    let lines = anomaly.witness["history"]
        .as_array()
        .expect("a few lines show it");
    let steps = |of: &str| -> Vec<Value> {
        let lines = lines.iter().filter(|line| line["type"] == "ok");
        let steps = lines.flat_map(|line| line["value"].as_array().unwrap());
        steps
            .filter(|step| step[0] == of && !step[2].is_null())
            .cloned()
            .collect()
    };
    let written: Vec<Value> = steps("w")
        .iter()
        .map(|step| json!([step[1], step[2]]))
        .collect();
    for read in steps("r") {
        assert!(
            written.contains(&json!([read[1], read[2]])),
            "{read}: {lines:#?}"
        );
    }
}
