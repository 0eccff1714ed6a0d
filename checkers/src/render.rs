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
//! "text", "argument", "result", …}`: `index` and `completed` are those of the history's lines, from 0, `from` and `to` nanoseconds.
//! A cycle's is `{"transactions": [operation, …], "cycle": [{"from", "to", "relation", "key", "because"}, …]}`; `from` and `to` are places in
//! `transactions`. Any may have the smallest part of the history that shows it, `history`: see [`crate::explain::shrink()`].
//!
//! One rule for all texts, pictures and messages: what is called `index` is the field of the history and counts from 0; what is
//! called a line counts from 1, as editors count them.

use crate::history::Nanos;
use crate::recovery::seconds;
use crate::verdict::Anomaly;
use serde_json::Value;
use std::fmt::Write;

/// Operations of a kind that are printed at most; the rest is counted.
const OPERATIONS_SHOWN: usize = 12;

/// The anomaly in a few lines, without a newline at the end.
pub fn render(anomaly: &Anomaly) -> String {
    let mut text = Text {
        out: String::new(),
        clock: Clock::of(&anomaly.witness),
    };
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
        Value::Object(_) if witness.get("cycle").is_some() => text.cycle(anomaly),
        Value::Object(_) if witness.get("shown").is_some() => {
            for case in list(&witness["shown"]) {
                let line = format!("{}: {}", word(&case["key"]), word(&case["text"]));
                // The first case is the summary.
                let told = anomaly.summary.starts_with(&line);
                if !told {
                    text.line(1, &line);
                }
                text.operations(if told { 1 } else { 2 }, list(&case["operations"]));
            }
        }
        Value::Object(_) if witness.get("operations").is_some() => {
            text.operations(1, list(&witness["operations"]))
        }
        Value::Object(fields) => {
            let told = fields
                .iter()
                .filter(|(name, _)| !name.starts_with("history"));
            for (name, value) in told {
                text.line(1, &format!("{name}: {value}"));
            }
        }
        Value::Null => {}
        other => text.line(1, &other.to_string()),
    }
    text.out.truncate(text.out.trim_end().len());
    text.out
}

/// How the moments of an anomaly are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The history has no times.
    Lines,
    /// All of it is within [`SHORT`].
    Microseconds,
    Milliseconds,
}

/// Windows that are shorter are told in microseconds.
const SHORT: Nanos = Nanos(10_000_000);

impl Clock {
    pub(crate) fn of(witness: &Value) -> Clock {
        let mut times = Vec::new();
        times_in(witness, &mut times);
        let (first, last) = (times.iter().min(), times.iter().max());
        match (first, last) {
            (Some(_), Some(0)) => Clock::Lines,
            (Some(first), Some(last)) if last - first < SHORT.0 => Clock::Microseconds,
            _ => Clock::Milliseconds,
        }
    }

    /// A moment at which the line of this index was written.
    pub(crate) fn tell(self, time: u64, index: &Value) -> String {
        match self {
            Clock::Lines => match index.as_u64() {
                Some(index) => format!("line {}", index + 1),
                None => String::new(),
            },
            Clock::Microseconds => {
                let micros = time / 1_000;
                format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
            }
            Clock::Milliseconds => seconds(time),
        }
    }
}

/// The times of all operations in a witness.
fn times_in(witness: &Value, times: &mut Vec<u64>) {
    match witness {
        Value::Object(fields) => {
            if fields.contains_key("process") {
                times.extend(
                    ["from", "to"]
                        .iter()
                        .filter_map(|at| fields.get(*at)?.as_u64()),
                );
            }
            fields.values().for_each(|field| times_in(field, times));
        }
        Value::Array(list) => list.iter().for_each(|item| times_in(item, times)),
        _ => {}
    }
}

struct Text {
    out: String,
    clock: Clock,
}

impl Text {
    fn line(&mut self, depth: usize, line: &str) {
        writeln!(self.out, "{:width$}{line}", "", width = 2 * depth)
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
                &format!(
                    "after line {}, when nothing was in flight, it could be:",
                    index + 1
                ),
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

    /// The transactions by name, and why each had to come before the next where the summary does not say it.
    fn cycle(&mut self, anomaly: &Anomaly) {
        let transactions = list(&anomaly.witness["transactions"]);
        for (place, transaction) in transactions.iter().take(OPERATIONS_SHOWN).enumerate() {
            let line = format!("T{}: {}", place + 1, self.told(transaction));
            self.line(1, &line);
        }
        let more = transactions.len().saturating_sub(OPERATIONS_SHOWN);
        if more > 0 {
            self.line(1, &format!("… and {more} more transactions"));
        }
        let steps = list(&anomaly.witness["cycle"]);
        for step in steps.iter().take(OPERATIONS_SHOWN) {
            let because = word(&step["because"]);
            if anomaly.summary.contains(&because) {
                continue;
            }
            let name = |place: &Value| format!("T{}", place.as_u64().unwrap_or_default() + 1);
            let (from, to) = (name(&step["from"]), name(&step["to"]));
            self.line(1, &format!("{from} < {to}: {because}"));
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
        let line = self.told(operation);
        self.line(depth, &line);
    }

    fn told(&self, operation: &Value) -> String {
        let tell = |time: &Value, index: &Value| {
            let time = time.as_u64();
            time.map(|time| self.clock.tell(time, index))
        };
        let from = tell(&operation["from"], &operation["index"]).unwrap_or_default();
        let to = tell(&operation["to"], &operation["completed"]);
        format!(
            "{from} … {}  process {}: {}",
            to.unwrap_or_else(|| "never".to_owned()),
            word(&operation["process"]),
            word(&operation["text"])
        )
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
