//! What checkers counted, in words: the counts of those that judge nothing, how stale reads were, and what a verdict rests on.

use keelhaul_checkers::Results;
use serde_json::Value;
use std::fmt::Write;

/// Errors that are listed at most.
const ERRORS: usize = 20;

/// The counts of every checker that has some for a person.
pub(super) fn told(results: &Results) -> String {
    let mut text = String::new();
    for (name, checked) in &results.checkers {
        let details = &checked["details"];
        match name.as_str() {
            "stats" => stats(&mut text, details),
            "unhandled-errors" => unhandled_errors(&mut text, details),
            "set-full" => set_full(&mut text, details),
            _ => {}
        }
    }
    text + &caveats(results)
}

/// What valid verdicts rest on, where the history does not tell all.
pub(super) fn caveats(results: &Results) -> String {
    let mut text = String::new();
    for (name, checked) in &results.checkers {
        if let Some(caveat) = checked["details"]["caveat"].as_str() {
            line(&mut text, format_args!("{name}: {caveat}"));
        }
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// Nanoseconds in a unit that shows them.
fn time(ns: &Value) -> String {
    match ns.as_f64() {
        None => "-".to_owned(),
        Some(ns) if ns < 1e3 => format!("{ns:.0} ns"),
        Some(ns) if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        Some(ns) if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        Some(ns) => format!("{:.2} s", ns / 1e9),
    }
}

fn stats(text: &mut String, details: &Value) {
    let Some(by_f) = details["by_f"].as_object() else {
        return;
    };
    line(
        text,
        format_args!(
            "{:<16} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11}",
            "operation", "ok", "fail", "info", "p50", "p99", "slowest"
        ),
    );
    let mut row = |f: &str, tally: &Value| {
        let latency = &tally["latency_ns"];
        line(
            text,
            format_args!(
                "{f:<16} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11}",
                count(&tally["ok"]),
                count(&tally["fail"]),
                count(&tally["info"]),
                time(&latency["p50"]),
                time(&latency["p99"]),
                time(&latency["max"]),
            ),
        );
    };
    for (f, tally) in by_f {
        row(f, tally);
    }
    row("all", details);
    let rate = details["ok_per_second"].as_f64().unwrap_or_default();
    line(
        text,
        format_args!("{rate:.0} ok/s over {}", time(&details["duration_ns"])),
    );
    for (error, times) in details["errors"]
        .as_object()
        .into_iter()
        .flatten()
        .take(ERRORS)
    {
        line(text, format_args!("{:>9} {error}", count(times)));
    }
}

fn unhandled_errors(text: &mut String, details: &Value) {
    let Some(errors) = details["errors"].as_array() else {
        return;
    };
    line(
        text,
        format_args!(
            "indeterminate operations: {} ({} of them without a completion)",
            count(&details["indeterminate"]),
            count(&details["without_completion"])
        ),
    );
    for error in errors.iter().take(ERRORS) {
        let by_f = error["f"].as_object().into_iter().flatten();
        let by_f: Vec<String> = by_f.map(|(f, times)| format!("{f} {times}")).collect();
        line(
            text,
            format_args!(
                "{:>9} {} ({})",
                count(&error["count"]),
                error["error"].as_str().unwrap_or_default(),
                by_f.join(", ")
            ),
        );
    }
}

fn set_full(text: &mut String, details: &Value) {
    if details["elements"].is_null() {
        return;
    }
    let of = |name: &str| count(&details[name]);
    line(
        text,
        format_args!(
            "elements: {} ({} stable, {} lost, {} never read); reads: {}",
            of("elements"),
            of("stable"),
            of("lost"),
            of("never_read"),
            of("reads")
        ),
    );
    if of("stale") > 0 {
        let stale = &details["stale_ns"];
        line(
            text,
            format_args!(
                "stale, missed by a later read and then there again: {}; for p50 {}, p99 {}, at most {}",
                of("stale"),
                time(&stale["p50"]),
                time(&stale["p99"]),
                time(&stale["max"])
            ),
        );
    }
}
