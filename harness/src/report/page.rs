//! What stands where on the page.

use super::series::Series;
use super::story::Story;
use super::text::cut;
use super::timeline::Mark;
use super::{ANOMALIES, recovery, tables, timeline, verdict, witness};
use crate::plan::Plan;
use crate::store::RunDirectory;
use keelhaul_checkers::{Anomaly, History, Results};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
const HOVER: &str = include_str!("hover.js");

/// The longest plan that is shown whole: bytes.
const PLAN: usize = 300_000;

/// Nothing may be loaded from anywhere, whatever is in the history.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The whole page.
pub(super) fn render(
    run: &RunDirectory,
    plan: &Plan,
    history: &History,
    results: &Results,
) -> String {
    let story = Story::of(history, &plan.nodes());
    let series = Series::of(history, story.end);
    let marks: Vec<Mark> = results
        .anomalies
        .iter()
        .filter_map(|anomaly| Some((witness::came_to_light(anomaly)?, &*anomaly.kind)))
        .take(ANOMALIES)
        .collect();
    let (_, word) = verdict::word(results.valid);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word) " · " (cut(&plan.test, 100)) " · seed " (plan.seed) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (verdict::section(run, plan, results, &results.stats, story.end))
                    @if !results.anomalies.is_empty() {
                        section #anomalies { h2 { "Anomalies" } (anomalies(&results.anomalies)) }
                    }
                    section #run { h2 { "The run" } (timeline::figure(&story, &series, &marks)) }
                    section #recovery { h2 { "Recovery" } (recovery::section(results, &story)) }
                    section #coverage { h2 { "Coverage" } (tables::coverage(results)) }
                    section #operations { h2 { "Operations" } (tables::operations(&results.stats)) }
                    @if !results.outside_contract.is_empty() {
                        section #outside {
                            h2 { "Outside the contract" }
                            p { "The contract " (cut(&plan.contract, 100)) " did not owe this under the faults that were in place. It is reported, and no part of the verdict." }
                            (anomalies(&results.outside_contract))
                        }
                    }
                    section #versions { h2 { "Versions and options" } (tables::versions(plan)) }
                    section #plan { h2 { "The plan" } (plan_itself(plan)) }
                    footer { (files(run)) }
                }
                script { (PreEscaped(HOVER)) }
            }
        }
    };
    page.into_string()
}

fn anomalies(anomalies: &[Anomaly]) -> Markup {
    html! {
        @for anomaly in anomalies.iter().take(ANOMALIES) { (witness::card(anomaly)) }
        @if anomalies.len() > ANOMALIES {
            p.note { (anomalies.len() - ANOMALIES) " more anomalies are in results.json." }
        }
    }
}

/// The plan, so that this file alone is enough to run it again.
fn plan_itself(plan: &Plan) -> Markup {
    let text = serde_json::to_string_pretty(plan).unwrap_or_default();
    html! {
        @if text.len() > PLAN {
            p { "It is long: see plan.json beside this file." }
        } @else {
            details {
                summary { "plan.json: save it, and give it to " code { "keelhaul run --plan" } }
                pre { (text) }
            }
        }
    }
}

fn files(run: &RunDirectory) -> Markup {
    html! {
        p.note {
            "Everything of this run is in " code { (run.path().display()) } ": "
            a href="history.jsonl.zst" { "history.jsonl.zst" } ", " a href="results.json" { "results.json" } ", "
            a href="plan.json" { "plan.json" } ", and each node's configuration and log under "
            a href="nodes/" { "nodes/" } "."
        }
    }
}
