//! Anomalies as text for a terminal.
//!
//! The witness of `nonlinearizable` is
//!
//! ```text
//! {"key", "model",
//!  "contradiction": null | {"text", "operations": [operation, …]},     two operations that exclude each other, where there are
//!  "from": {"index": N|null, "time": ns|null, "states": [{"state", "by": operation|null}]},   possible before the window
//!  "window": [operation, …],                 answered operations without which an order could be found
//!  "may_have_happened": [operation, …],      operations that an order may use or leave out
//!  "stuck": {"operation", "states": [{"state", "by", "why"}]},   what cannot happen, and in each possible last state why
//!  "smallest": true|false}                   whether shrinking came to its end
//! ```
//!
//! `from`, `window`, `may_have_happened`, `stuck` and `smallest` are missing where the search itself ran out of budget and
//! only the contradiction is known. An operation is `{"index", "completed", "process", "f", "key", "outcome", "from", "to",
//! "text", "argument", "result", …}`: `index` and `completed` are lines of the history, `from` and `to` nanoseconds.

use crate::recovery::seconds;
use crate::verdict::Anomaly;
use serde_json::Value;
use std::fmt::Write;

/// Operations of a kind that are printed at most; the rest is counted.
const OPERATIONS_SHOWN: usize = 12;

/// The anomaly in a few lines, without a newline at the end.
pub fn render(anomaly: &Anomaly) -> String {
    let mut text = Text(String::new());
    text.line(
        0,
        &format!(
            "{} ({}): {}",
            anomaly.kind, anomaly.checker, anomaly.summary
        ),
    );
    let witness = &anomaly.witness;
    match witness {
        Value::Object(_) if witness.get("model").is_some() => text.unorderable(witness),
        Value::Object(_) if witness.get("shown").is_some() => {
            for case in list(&witness["shown"]) {
                text.line(
                    1,
                    &format!("{}: {}", word(&case["key"]), word(&case["text"])),
                );
                text.operations(2, list(&case["operations"]));
            }
        }
        Value::Object(_) if witness.get("operations").is_some() => {
            text.operations(1, list(&witness["operations"]))
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                text.line(1, &format!("{name}: {value}"));
            }
        }
        Value::Null => {}
        other => text.line(1, &other.to_string()),
    }
    text.0.truncate(text.0.trim_end().len());
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, depth: usize, line: &str) {
        writeln!(self.0, "{:width$}{line}", "", width = 2 * depth)
            .expect("writing to a string cannot fail");
    }

    fn unorderable(&mut self, witness: &Value) {
        if !witness["contradiction"].is_null() {
            self.line(1, "these exclude each other:");
            self.operations(2, list(&witness["contradiction"]["operations"]));
        }
        let stuck = &witness["stuck"];
        if stuck.is_null() {
            return;
        }
        match witness["from"]["index"].as_u64() {
            Some(index) => self.line(
                1,
                &format!("after line {index}, when nothing was in flight, it could be:"),
            ),
            None => self.line(1, "in the beginning it was:"),
        }
        for state in list(&witness["from"]["states"]) {
            self.line(2, &state_and_maker(state));
        }
        if !list(&witness["window"]).is_empty() {
            self.line(1, "then there were:");
            self.operations(2, list(&witness["window"]));
        }
        if !list(&witness["may_have_happened"]).is_empty() {
            self.line(1, "and these, which may have happened:");
            self.operations(2, list(&witness["may_have_happened"]));
        }
        self.line(1, "after which this cannot have happened:");
        self.operation(2, &stuck["operation"]);
        for state in list(&stuck["states"]) {
            self.line(
                2,
                &format!("from {}: {}", state_and_maker(state), word(&state["why"])),
            );
        }
    }

    fn operations(&mut self, depth: usize, operations: &[Value]) {
        for operation in operations.iter().take(OPERATIONS_SHOWN) {
            self.operation(depth, operation);
        }
        if operations.len() > OPERATIONS_SHOWN {
            self.line(
                depth,
                &format!("… and {} more", operations.len() - OPERATIONS_SHOWN),
            );
        }
    }

    /// `12.345 s … 12.350 s  process 3: write 9 → ok, version 7 (n2)`.
    fn operation(&mut self, depth: usize, operation: &Value) {
        let from = operation["from"].as_u64().map_or_else(String::new, seconds);
        let to = operation["to"]
            .as_u64()
            .map_or_else(|| "never".to_owned(), seconds);
        self.line(
            depth,
            &format!(
                "{from} … {to}  process {}: {}",
                word(&operation["process"]),
                word(&operation["text"])
            ),
        );
    }
}

/// A state, with the operation that last changed it.
fn state_and_maker(state: &Value) -> String {
    let by = match state["by"]["text"].as_str() {
        Some(by) => format!(" (by process {}: {by})", word(&state["by"]["process"])),
        None => String::new(),
    };
    format!("{}{by}", word(&state["state"]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Text without quotes, anything else as JSON.
fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
