//! `report.html`: a run for a person to read, in one self-contained file.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::store::{RunDirectory, write_whole};
use keelhaul_checkers::{History, Results, Validity};
use maud::{DOCTYPE, html};

/// Writes the page.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    run: &RunDirectory,
    plan: &Plan,
    _history: &History,
    results: &Results,
) -> Result<(), Failure> {
    let verdict = match results.valid {
        Validity::Valid => "valid",
        Validity::Invalid => "invalid",
        Validity::Unknown => "unknown",
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (plan.test) ": " (verdict) } }
            body {
                h1 { (plan.test) ": " (verdict) }
                @for anomaly in &results.anomalies {
                    h2 { (anomaly.kind) }
                    p { (anomaly.summary) }
                }
                @for reason in &results.unknown { p { (reason.checker) ": " (reason.text) } }
                p { "Seed " (plan.seed) ". Run again: " code { (plan.again(run)) } }
            }
        }
    };
    write_whole(
        &run.path().join("report.html"),
        page.into_string().as_bytes(),
    )
}
