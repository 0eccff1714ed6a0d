//! The end of a run, in words: the verdict first, then why, then where everything is.

use crate::plan::Plan;
use crate::store::RunDirectory;
use keelhaul_checkers::explain::smallest_part;
use keelhaul_checkers::{Anomaly, Results, Validity, render};
use serde_json::Value;
use std::fmt::Write;
use std::io::IsTerminal;

/// How many anomalies are shown whole; the rest is in `results.json`.
const SHOWN: usize = 3;

/// The verdict in a word: in colour where a terminal shows it.
pub fn word(valid: Validity) -> String {
    let (word, colour) = match valid {
        Validity::Valid => ("VALID", 32),
        Validity::Invalid => ("INVALID", 31),
        Validity::Unknown => ("UNKNOWN", 33),
    };
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    match plain {
        true => word.to_owned(),
        false => format!("\x1b[1;{colour}m{word}\x1b[0m"),
    }
}

/// Which of their layers decided, where checkers say it: `zones`, or `zones 7, search 1` with the keys that each decided.
pub fn decided_by(results: &Results) -> Option<String> {
    let mut layers: Vec<(String, u64)> = Vec::new();
    for checked in results.checkers.values() {
        let Some(decided) = checked["details"]["decided_by"].as_object() else {
            continue;
        };
        for (layer, keys) in decided {
            match keys.as_u64() {
                None | Some(0) => {}
                Some(keys) => match layers.iter_mut().find(|(known, _)| known == layer) {
                    Some((_, sum)) => *sum += keys,
                    None => layers.push((layer.clone(), keys)),
                },
            }
        }
    }
    match &layers[..] {
        [] => None,
        [(layer, _)] => Some(layer.clone()),
        several => {
            let told = several
                .iter()
                .map(|(layer, keys)| format!("{layer} {keys}"));
            Some(told.collect::<Vec<String>>().join(", "))
        }
    }
}

/// A sentence for each anomaly, and why something cannot be told.
pub fn in_short(results: &Results) -> String {
    let mut text = String::new();
    for anomaly in &results.anomalies {
        let Anomaly {
            kind,
            checker,
            summary,
            ..
        } = anomaly;
        line(&mut text, &format!("{kind} ({checker}): {summary}"));
    }
    unknown(&mut text, results);
    text
}

fn unknown(text: &mut String, results: &Results) {
    for reason in &results.unknown {
        line(
            text,
            &format!("unknown ({}): {}", reason.checker, reason.text),
        );
    }
}

/// What was found, without where it is stored.
pub fn findings(results: &Results) -> String {
    let mut text = String::new();
    for anomaly in results.anomalies.iter().take(SHOWN) {
        line(&mut text, &render(anomaly));
        for told in smallest_part(anomaly).iter().flat_map(|part| part.lines()) {
            line(&mut text, &format!("  {told}"));
        }
    }
    if results.anomalies.len() > SHOWN {
        let more = results.anomalies.len() - SHOWN;
        line(
            &mut text,
            &format!("… and {more} more anomalies, all in results.json"),
        );
    }
    unknown(&mut text, results);
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
    text.push_str(&statistics(&results.stats));
    line(
        &mut text,
        &format!("run directory: {}", run.path().display()),
    );
    line(&mut text, &format!("run it again:  {}", plan.again(run)));
    text
}

/// How much was done, and how fast: one line.
fn statistics(stats: &Value) -> String {
    let count = |name: &str| stats[name].as_u64().unwrap_or_default();
    let Some(first_ok) = stats["first_ok_ns"].as_u64() else {
        return String::new();
    };
    let (ok, fail, info) = (count("ok"), count("fail"), count("info"));
    let rate = stats["ok_per_second"].as_f64().unwrap_or_default();
    let latency = |name: &str| stats["latency_ns"][name].as_f64().unwrap_or_default() / 1e6;
    let (p50, p99) = (latency("p50"), latency("p99"));
    format!(
        "{ok} ok, {fail} fail, {info} info; {rate:.0} ok/s, p50 {p50:.1} ms, p99 {p99:.1} ms; first answer after {:.2} s\n",
        first_ok as f64 / 1e9
    )
}

/// The recovery table in short: one line for each episode. Times count from its installation; the last column is the
/// first write again, counted from its heal.
fn recovery(rows: &Value) -> String {
    let mut text = String::new();
    let Some(rows) = rows.as_array().filter(|rows| !rows.is_empty()) else {
        return text;
    };
    line(
        &mut text,
        &format!(
            "{:<9} {:<22} {:>8} {:>12} {:>12} {:>12}",
            "fault", "target", "held", "new leader", "first write", "from heal"
        ),
    );
    for row in rows {
        line(&mut text, &episode(row));
    }
    text
}

/// One row of checker `recovery`.
fn episode(row: &Value) -> String {
    let word = |name: &str| row[name].as_str().unwrap_or_default();
    let nodes: Vec<&str> = row["targets"]
        .as_array()
        .map(|nodes| nodes.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let target = match nodes.is_empty() {
        true => word("target").to_owned(),
        false => format!("{}: {}", word("target"), nodes.join(" ")),
    };
    let start = format!("{:<9} {target:<22}", word("kind"));
    if word("outcome") != "installed" {
        return format!("{start} {}: {}", word("outcome"), word("reason"));
    }
    let held = row["healed_ns"]
        .as_u64()
        .zip(row["installed_ns"].as_u64())
        .map(|(healed, installed)| healed.saturating_sub(installed));
    let mut cells = start;
    for (nanos, width) in [
        (held, 8),
        (row["leader_from_install_ns"].as_u64(), 12),
        (row["write_from_install_ns"].as_u64(), 12),
        (row["write_from_heal_ns"].as_u64(), 12),
    ] {
        let cell = nanos.map_or("-".to_owned(), |nanos| {
            format!("{:.2} s", nanos as f64 / 1e9)
        });
        write!(cells, " {cell:>width$}").expect("writing to a string does not fail");
    }
    cells
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_hit_how_long_and_what_came_back() {
        let row = serde_json::json!({
            "episode": 2, "kind": "kill", "target": "leader", "targets": ["n3"], "outcome": "installed",
            "installed_ns": 9_650_000_000u64, "healed_ns": 12_050_000_000u64,
            "leader_from_install_ns": 101_000_000, "write_from_install_ns": null, "write_from_heal_ns": 52_000_000,
        });
        assert_eq!(
            episode(&row),
            "kill      leader: n3               2.40 s       0.10 s            -       0.05 s"
        );
        let skipped = serde_json::json!({
            "kind": "pause", "target": "leader", "targets": [], "outcome": "skipped", "reason": "no node led within 2 s",
        });
        assert!(episode(&skipped).ends_with("skipped: no node led within 2 s"));
    }
}
