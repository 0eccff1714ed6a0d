//! How long the register checkers take. Measured by hand, not asserted:
//! `cargo test --release -p keelhaul-checkers --test linear -- --ignored --nocapture figures`.

use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Budget, History, Parameters, Verdict, by_name};
use std::time::{Duration, Instant};

fn measure(what: &str, model: &str, options: &Options) {
    let mut lines = Vec::new();
    generate(options, &mut lines).unwrap();
    let started = Instant::now();
    let (history, _) = History::read(&lines[..]).unwrap();
    let read = started.elapsed();
    let budget = Budget {
        states: 200_000_000,
        bytes: 8 << 30,
        deadline: Some(Instant::now() + Duration::from_secs(20)),
    };
    let started = Instant::now();
    let finding = by_name(model, &Parameters::default())
        .unwrap()
        .check(&history, &budget);
    let verdict = match &finding.verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Invalid(anomalies) => format!("invalid: {}", anomalies[0].summary),
        Verdict::Unknown(reasons) => format!("unknown: {}", reasons[0].text),
    };
    println!(
        "{what}: read in {read:?}, judged in {:?}: {verdict}; {} configurations, {} bytes, {} {}",
        started.elapsed(),
        finding.details["configurations"],
        finding.details["bytes"],
        finding.details["decided_by"],
        finding.details["fell_through"],
    );
}

#[test]
#[ignore = "a measurement"]
fn figures() {
    let unique = |operations| Options {
        operations,
        info: 0.01,
        ..Options::default()
    };
    let five = |operations, seed| Options {
        operations,
        info: 0.01,
        values: Some(5),
        seed,
        ..Options::default()
    };
    for operations in [10_000, 100_000, 1_000_000] {
        measure(
            &format!("unique values, {operations}"),
            "register",
            &unique(operations),
        );
    }
    for seed in 0..4 {
        for operations in [10_000, 100_000] {
            measure(
                &format!("five values, {operations}, seed {seed}"),
                "register",
                &five(operations, seed),
            );
        }
    }
    for breaking in ["stale-read", "unwritten-read", "lost-write"] {
        for (what, base) in [("unique", unique(10_000)), ("five values", five(10_000, 1))] {
            let options = Options {
                breaking: Some(breaking.to_owned()),
                ..base
            };
            measure(&format!("{what}, {breaking}"), "register", &options);
        }
    }
    for (what, base) in [("unique", unique(10_000)), ("five values", five(10_000, 1))] {
        let options = Options {
            model: "cas-register".to_owned(),
            ..base
        };
        measure(
            &format!("{what}, compare-and-set"),
            "cas-register",
            &options,
        );
    }
}
