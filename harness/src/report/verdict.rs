//! The answer first: valid, INVALID or unknown, why, what was run, and how to run it again.

use super::text::{count_in, cut, duration, duration_in, plural, sentence};
use crate::plan::Plan;
use crate::store::RunDirectory;
use keelhaul_checkers::{Nanos, Results, Validity};
use maud::{Markup, html};
use serde_json::Value;

/// Reasons that are listed at most.
const REASONS: usize = 12;

/// The word, which is also a class.
pub(super) fn word(valid: Validity) -> (&'static str, &'static str) {
    match valid {
        Validity::Valid => ("valid", "valid"),
        Validity::Invalid => ("invalid", "INVALID"),
        Validity::Unknown => ("unknown", "unknown"),
    }
}

/// The head of the page.
pub(super) fn section(
    run: &RunDirectory,
    plan: &Plan,
    results: &Results,
    stats: &Value,
    end: Nanos,
) -> Markup {
    let (class, word) = word(results.valid);
    html! {
        header #verdict class={ "verdict " (class) } {
            p.word { (word) }
            div {
                h1 { (cut(&plan.test, 200)) }
                (why(results))
            }
        }
        (facts(plan, stats, end))
        (judges(results))
        div.again {
            h2 { "Run it again" }
            p { "This plan:" } pre { (plan.again(run)) }
            p { "The same options and seed, with whatever node is built now:" } pre { (from_options(plan)) }
            p.note {
                "The same plan gives the same faults and the same operations to invoke, not the same interleaving. The plan itself is "
                a href="#plan" { "at the end of this page" } "."
            }
        }
    }
}

/// What the verdict rests on, in sentences.
fn why(results: &Results) -> Markup {
    let (found, open) = (results.anomalies.len(), results.unknown.len());
    html! {
        @match results.valid {
            Validity::Valid => p.lead { "Every promise that was judged was kept, and what was asked for was tested." },
            Validity::Invalid => p.lead { (plural(found, "promise")) " broken:" },
            Validity::Unknown => p.lead { "It cannot be told whether the system kept its promises:" },
        }
        @if found + open > 0 {
            ul.reasons {
                @for anomaly in results.anomalies.iter().take(REASONS) {
                    li { b { (cut(&anomaly.kind, 60)) } " " (sentence(&anomaly.summary)) }
                }
                @for reason in results.unknown.iter().take(REASONS) {
                    li.unknown { b { "unknown" } " (" (cut(&reason.checker, 60)) ") " (sentence(&reason.text)) }
                }
            }
            @let more = found.saturating_sub(REASONS) + open.saturating_sub(REASONS);
            @if more > 0 { p.note { (more) " more are in results.json." } }
        }
        @if !results.outside_contract.is_empty() {
            p.note {
                (plural(results.outside_contract.len(), "breach")) " outside the contract: reported "
                a href="#outside" { "below" } ", and no part of the verdict."
            }
        }
    }
}

fn facts(plan: &Plan, stats: &Value, end: Nanos) -> Markup {
    let hash = cut(&plan.node.sha256, 17);
    html! {
        dl.facts {
            div { dt { "seed" } dd.mono { (plan.seed) } }
            div { dt { "system" } dd { (cut(&plan.system, 60)) ", " (plural(plan.options.nodes.into(), "node")) } }
            div { dt { "node" } dd { (cut(&plan.node.version, 100)) } }
            div { dt { "sha256" } dd.mono title=(plan.node.sha256) { (hash) } }
            div { dt { "workload" } dd { (cut(&plan.options.workload, 60)) ", " (plural(plan.options.workers as usize, "worker")) } }
            div { dt { "duration" } dd { (duration(end)) } }
            div { dt { "operations" } dd { (count_in(&stats["operations"])) } }
            div { dt { "ok" } dd { (count_in(&stats["ok"])) } }
            div { dt { "fail" } dd { (count_in(&stats["fail"])) } }
            div { dt { "info" } dd { (count_in(&stats["info"])) } }
            div { dt { "ok per second" } dd { (super::text::plain(&stats["ok_per_second"])) } }
            div { dt { "latency p50 / p99" } dd { (duration_in(&stats["latency_ns"]["p50"])) " / " (duration_in(&stats["latency_ns"]["p99"])) } }
        }
    }
}

/// Who judged, and what each said; `stats` only counts.
fn judges(results: &Results) -> Markup {
    html! {
        p.judges {
            @for (name, checked) in results.checkers.iter().filter(|(name, _)| *name != "stats") {
                @let valid = Validity::try_from(checked["valid"].clone()).unwrap_or(Validity::Unknown);
                @let (class, word) = word(valid);
                span class={ "judge " (class) } { (cut(name, 60)) ": " b { (word) } }
            }
        }
    }
}

/// The command line that asks for the same run.
fn from_options(plan: &Plan) -> String {
    let options = &plan.options;
    let faults: Vec<String> = options.nemesis.iter().map(ToString::to_string).collect();
    let faults = match faults.is_empty() {
        true => "none".to_owned(),
        false => faults.join(","),
    };
    let reads = serde_json::to_value(options.reads).unwrap_or_default();
    let bug = options.bug.as_ref().map(|bug| format!(" --bug {bug}"));
    format!(
        "keelhaul run --seed {} --nodes {} --workload {} --nemesis {faults} --time-limit {}ms --rate {} --workers {} --keys {} \
         --reads {} --recovery-limit {}ms --system {}{}",
        plan.seed,
        options.nodes,
        options.workload,
        options.time_limit_ms,
        options.rate,
        options.workers,
        options.keys,
        super::text::plain(&reads),
        options.recovery_limit_ms,
        plan.system,
        bug.unwrap_or_default(),
    )
}
