//! Limits on memory and time: what they stop is unknown, and what was proven by then stays proven.

use crate::common::validity;
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Budget, Finding, History, Parameters, Verdict, by_name};
use std::time::{Duration, Instant};

fn under(model: &str, history: &History, bytes: u64, deadline: Option<Instant>) -> Finding {
    let budget = Budget {
        states: 1_000_000,
        bytes,
        deadline,
    };
    let checker = by_name(model, &Parameters::default()).unwrap();
    checker.check(history, &budget)
}

fn generated(model: &str, operations: u64, breaking: Option<&str>) -> History {
    let options = Options {
        model: model.to_owned(),
        operations,
        seed: 7,
        breaking: breaking.map(str::to_owned),
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0
}

/// Every checker of transactions.
const MODELS: [&str; 6] = [
    "list-append",
    "rw-register",
    "read-committed",
    "read-atomic",
    "causal",
    "session-guarantees",
];

fn database(model: &str) -> &str {
    match model {
        "rw-register" => model,
        _ => "list-append",
    }
}

#[test]
fn no_memory_and_no_time_are_unknown_with_the_reason() {
    for model in MODELS {
        let history = generated(database(model), 2_000, None);
        let plenty = under(model, &history, 1 << 30, None);
        assert_eq!(
            validity(&plenty),
            Some(true),
            "{model}: {:?}",
            plenty.verdict
        );
        let no_memory = under(model, &history, 1, None);
        let no_time = under(model, &history, 1 << 30, Some(Instant::now()));
        for (finding, why) in [
            (no_memory, "allow more memory"),
            (no_time, "allow more time"),
        ] {
            let Verdict::Unknown(reasons) = &finding.verdict else {
                panic!("{model}, {why}: {:?}", finding.verdict);
            };
            assert!(
                reasons[0].text.contains(why),
                "{model}: {}",
                reasons[0].text
            );
        }
    }
}

#[test]
fn what_one_key_shows_stands_where_there_is_no_room_for_the_graph() {
    for model in ["list-append", "rw-register"] {
        let (sound, broken) = (
            generated(model, 2_000, None),
            generated(model, 2_000, Some("G1a")),
        );
        let says = |history: &History, bytes| validity(&under(model, history, bytes, None));
        // The least memory in which the aborted read is found is not enough for a history without one to be called valid.
        let enough = (10..30).map(|exponent| 1_u64 << exponent);
        let found = enough.clone().find(|bytes| says(&broken, *bytes).is_some());
        let found = found.unwrap();
        assert_eq!(
            says(&broken, found),
            Some(false),
            "{model} in {found} bytes"
        );
        let judged = enough.clone().find(|bytes| says(&sound, *bytes).is_some());
        let judged = judged.unwrap();
        assert_eq!(
            says(&sound, judged),
            Some(true),
            "{model} in {judged} bytes"
        );
        // Powers of two are too coarse to tell the two apart: look between.
        let between = (1..64).map(|part| judged / 2 + judged / 128 * part);
        let apart = between
            .into_iter()
            .any(|bytes| says(&broken, bytes) == Some(false) && says(&sound, bytes).is_none());
        assert!(apart || found < judged, "{model}: {found}, {judged}");
    }
}

#[test]
fn a_deadline_is_overrun_by_little() {
    let history = generated("list-append", 100_000, None);
    let begun = Instant::now();
    let allowed = Duration::from_millis(5);
    let finding = under("list-append", &history, 1 << 30, Some(begun + allowed));
    assert_eq!(validity(&finding), None, "{:?}", finding.verdict);
    // Generous, for a loaded machine; all of it takes several times as long there.
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn many_transactions_that_know_nothing_of_each_other_take_no_steps_in_the_square() {
    let pairs = |count: u32| {
        let mut lines = String::new();
        for value in 0..count {
            for micro in [
                format!(r#"["w","x",{value}]"#),
                format!(r#"["r","x",{value}]"#),
            ] {
                for kind in ["invoke", "ok"] {
                    lines += &format!(
                        "{{\"process\":0,\"type\":\"{kind}\",\"f\":\"txn\",\"value\":[{micro}]}}\n"
                    );
                }
            }
        }
        History::read(lines.as_bytes()).unwrap().0
    };
    let parameters = Parameters {
        consistency: vec!["causal".to_owned()],
        ..Parameters::default()
    };
    let judge = |count| {
        let budget = Budget {
            states: 1_000_000,
            bytes: 1 << 32,
            deadline: None,
        };
        let checker = by_name("rw-register", &parameters).unwrap();
        checker.check(&pairs(count), &budget).verdict
    };
    assert_eq!(judge(2_000), Verdict::Valid);
    let begun = Instant::now();
    let Verdict::Unknown(reasons) = judge(20_000) else {
        panic!("it takes more steps than are allowed");
    };
    assert!(reasons[0].text.contains("too many steps"), "{reasons:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
