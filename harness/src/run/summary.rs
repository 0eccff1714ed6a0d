//! The end of a run, in words: the verdict first, then why, then where everything is.

use crate::plan::Plan;
use crate::store::RunDirectory;
use keelhaul_checkers::{Anomaly, Results, Validity};
use serde_json::Value;
use std::fmt::Write;

/// How many anomalies are shown whole; the rest is in `results.json`.
const SHOWN: usize = 3;

/// The verdict in a word.
pub fn word(valid: Validity) -> &'static str {
    match valid {
        Validity::Valid => "VALID",
        Validity::Invalid => "INVALID",
        Validity::Unknown => "UNKNOWN",
    }
}

/// What was found, without where it is stored.
pub fn findings(results: &Results) -> String {
    let mut text = String::new();
    for anomaly in results.anomalies.iter().take(SHOWN) {
        text.push_str(&render(anomaly));
    }
    if results.anomalies.len() > SHOWN {
        let more = results.anomalies.len() - SHOWN;
        line(
            &mut text,
            &format!("… and {more} more anomalies, all in results.json"),
        );
    }
    for reason in &results.unknown {
        line(
            &mut text,
            &format!("unknown ({}): {}", reason.checker, reason.text),
        );
    }
    for anomaly in &results.outside_contract {
        line(
            &mut text,
            &format!(
                "outside the contract ({}): {}",
                anomaly.checker, anomaly.summary
            ),
        );
    }
    text
}

/// The whole end of a run.
pub fn of_run(plan: &Plan, run: &RunDirectory, results: &Results) -> String {
    let mut text = String::new();
    line(
        &mut text,
        &format!("{} {} (seed {})", word(results.valid), plan.test, plan.seed),
    );
    text.push_str(&findings(results));
    text.push_str(&recovery(&results.recovery));
    line(
        &mut text,
        &format!("run directory: {}", run.path().display()),
    );
    line(&mut text, &format!("run it again:  {}", plan.again(run)));
    text
}

/// One anomaly with its witness.
pub fn render(anomaly: &Anomaly) -> String {
    let mut text = String::new();
    line(
        &mut text,
        &format!(
            "{} ({}): {}",
            anomaly.kind, anomaly.checker, anomaly.summary
        ),
    );
    let witness = match anomaly.witness.get("text").and_then(Value::as_str) {
        Some(rendered) => rendered.to_owned(),
        None => serde_json::to_string_pretty(&anomaly.witness).unwrap_or_default(),
    };
    for one in witness.lines() {
        line(&mut text, &format!("    {one}"));
    }
    text
}

/// The recovery table in short; rows as checker `recovery` documents them.
fn recovery(rows: &Value) -> String {
    let mut text = String::new();
    let Some(rows) = rows.as_array().filter(|rows| !rows.is_empty()) else {
        return text;
    };
    line(&mut text, &format!("{} episodes:", rows.len()));
    for row in rows {
        line(&mut text, &format!("    {row}"));
    }
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("writing to a string does not fail");
}
