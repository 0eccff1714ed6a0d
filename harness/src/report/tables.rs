//! What was tested, what was counted, and what it was done with.

use super::text::{count, count_in, cut, duration_in, plain, plural, sentence};
use crate::plan::Plan;
use keelhaul_checkers::Results;
use maud::{Markup, html};
use serde_json::Value;
use std::cmp::Reverse;

/// Words of errors that are shown for each function.
const ERRORS: usize = 12;

/// The coverage: what keeps a verdict from being vacuously green.
pub(super) fn coverage(results: &Results) -> Markup {
    let coverage = &results.coverage;
    if coverage.is_null() {
        return html! { p { "Coverage was not judged." } };
    }
    let missing = coverage["missing"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    html! {
        @if missing.is_empty() {
            p { "Nothing is missing." }
        } @else {
            p { b { "Missing:" } }
            ul { @for text in missing.iter().take(ERRORS) { li { (plain(text)) } } }
        }
        div.scroll { table {
            thead { tr {
                th { "fault" } th.number { "episodes" } th.number { "installed" } th.number { "skipped" }
                th.number { "indeterminate" } th.number { "longest held" } th.number { "effect seen" }
                th { "reads and writes while a majority was connected" }
            } }
            tbody { @for kind in coverage["kinds"].as_array().into_iter().flatten() {
                tr {
                    td { i class={ "dot " (super::lanes::class(&plain(&kind["kind"]))) } {} " " (plain(&kind["kind"])) }
                    td.number { (count_in(&kind["episodes"])) }
                    td.number { (count_in(&kind["installed"])) }
                    td.number { (count_in(&kind["skipped"])) }
                    td.number { (count_in(&kind["indeterminate"])) }
                    td.number { (duration_in(&kind["longest_ns"])) }
                    td.number { (count_in(&kind["observed"])) }
                    td { (judged(coverage, &kind["kind"])) }
                }
            } }
        } }
        p.note {
            "Successes before the first fault: " (both(&coverage["before"])) "; after the last heal: " (both(&coverage["after"])) "."
        }
    }
}

fn both(counted: &Value) -> String {
    let (reads, writes) = (&counted["reads"], &counted["writes"]);
    format!("{} reads, {} writes", count_in(reads), count_in(writes))
}

/// `3 covered, 1 too short, 2 not owed`.
fn judged(coverage: &Value, kind: &Value) -> String {
    let words = ["covered", "missing", "too-short", "not-owed"];
    let counts = words.map(|word| {
        let rows = coverage["episodes"].as_array().into_iter().flatten();
        let number = rows
            .filter(|row| row["kind"] == *kind && row["judged"] == word)
            .count();
        (number, word.replace('-', " "))
    });
    let shown: Vec<String> = counts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    shown.join(", ")
}

/// Counts and latencies by function.
pub(super) fn operations(stats: &Value) -> Markup {
    let by_f = stats["by_f"].as_object().filter(|by_f| !by_f.is_empty());
    if by_f.is_none() {
        return html! { p { "There were none." } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th { "operation" } th.number { "ok" } th.number { "fail" } th.number { "info" }
                th.number { "p50" } th.number { "p90" } th.number { "p99" } th.number { "p99.9" } th.number { "max" }
                th { "errors by word" }
            } }
            tbody {
                @for (f, row) in by_f.into_iter().flatten() { (function(f, row)) }
                @if by_f.is_some_and(|by_f| by_f.len() > 1) { (function("all", stats)) }
            }
        } }
        p.note {
            "ok: the server answered, also with an error that is an observation (NodeExists, NoNode, BadVersion). "
            "fail: it certainly did not happen. info: it may have happened. Latencies are those of ok operations."
        }
    }
}

fn function(f: &str, row: &Value) -> Markup {
    let latency = &row["latency_ns"];
    html! {
        tr {
            td { code { (cut(f, 60)) } }
            td.number { (count_in(&row["ok"])) }
            td.number { (count_in(&row["fail"])) }
            td.number { (count_in(&row["info"])) }
            @for rank in ["p50", "p90", "p99", "p999", "max"] { td.number { (duration_in(&latency[rank])) } }
            td { (errors(&row["errors"])) }
        }
    }
}

/// The most frequent first.
fn errors(words: &Value) -> String {
    let mut words: Vec<(&String, u64)> = words
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(word, number)| Some((word, number.as_u64()?)))
        .collect();
    words.sort_by_key(|(word, number)| (Reverse(*number), *word));
    let more = words.len().saturating_sub(ERRORS);
    let mut shown: Vec<String> = words
        .into_iter()
        .take(ERRORS)
        .map(|(word, number)| format!("{} {}", cut(word, 60), count(number)))
        .collect();
    if more > 0 {
        shown.push(format!("{} more", plural(more, "word")));
    }
    shown.join(" · ")
}

/// What it was done with: versions, and every option by name.
pub(super) fn versions(plan: &Plan) -> Markup {
    let options = serde_json::to_value(&plan.options).unwrap_or_default();
    html! {
        div.columns {
            table.pairs { tbody {
                tr { th { "keelhaul" } td { (cut(&plan.version, 100)) } }
                tr { th { "system" } td { (cut(&plan.system, 100)) } }
                tr { th { "contract" } td { (cut(&plan.contract, 100)) } }
                tr { th { "node" } td { (cut(&plan.node.version, 200)) } }
                tr { th { "node's program" } td.mono { (sentence(&plan.node.path.display().to_string())) } }
                tr { th { "node's sha256" } td.mono { (cut(&plan.node.sha256, 100)) } }
                tr { th { "checkers" } td { (cut(&plan.checkers.join(", "), 400)) } }
            } }
            table.pairs { tbody {
                @for (name, value) in options.as_object().into_iter().flatten() {
                    tr { th { (name) } td { (option(value)) } }
                }
            } }
        }
    }
}

fn option(value: &Value) -> String {
    match value {
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    }
}
