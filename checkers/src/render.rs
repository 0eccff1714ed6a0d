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

use crate::verdict::Anomaly;
use serde_json::Value;
use std::borrow::Cow;
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

/// How the moments of an anomaly are told: in a unit that suits the latest of them, with as many digits as tell the ends of a
/// short operation apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The history has no times.
    Lines,
    /// In this unit, down to so many nanoseconds.
    Times { unit: Unit, least: u64 },
}

/// Its name, and how many nanoseconds it has.
pub(crate) type Unit = (&'static str, u64);

const SECONDS: Unit = ("s", 1_000_000_000);

impl Clock {
    pub(crate) fn of(witness: &Value) -> Clock {
        let mut spans = Vec::new();
        spans_in(witness, &mut spans);
        let latest = spans.iter().map(|(from, to)| to.unwrap_or(*from)).max();
        let latest = match latest {
            Some(0) => return Clock::Lines,
            latest => latest.unwrap_or(u64::MAX),
        };
        let lengths = spans
            .iter()
            .filter_map(|(from, to)| to.as_ref()?.checked_sub(*from));
        let least = match lengths.filter(|length| *length > 0).min() {
            Some(0..2_000) => 1,
            Some(2_000..2_000_000) => 1_000,
            _ => 1_000_000,
        };
        let unit = match latest {
            0..10_000 => ("ns", 1),
            10_000..1_000_000 => ("µs", 1_000),
            1_000_000..1_000_000_000 if least < 1_000_000 => ("ms", 1_000_000),
            _ => SECONDS,
        };
        let least = least.min(unit.1);
        Clock::Times { unit, least }
    }

    /// A moment at which the line of this index was written.
    pub(crate) fn tell(self, time: u64, index: &Value) -> String {
        let Clock::Times {
            unit: (unit, nanos),
            least,
        } = self
        else {
            let index = index.as_u64();
            return index.map_or_else(String::new, |index| format!("line {}", index + 1));
        };
        let (whole, rest) = (time / nanos, time % nanos / least);
        match (nanos / least).ilog10() as usize {
            0 => format!("{whole} {unit}"),
            digits => format!("{whole}.{rest:0digits$} {unit}"),
        }
    }
}

/// When all operations in a witness began and ended.
fn spans_in(witness: &Value, spans: &mut Vec<(u64, Option<u64>)>) {
    match witness {
        Value::Object(fields) => {
            let at = |name: &str| fields.get(name).and_then(Value::as_u64);
            if fields.contains_key("process")
                && let Some(from) = at("from")
            {
                spans.push((from, at("to")));
            }
            fields.values().for_each(|field| spans_in(field, spans));
        }
        Value::Array(list) => list.iter().for_each(|item| spans_in(item, spans)),
        _ => {}
    }
}

/// The text on one line: what a key or a value has of line feeds and the like is told as `\n`.
pub(crate) fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let told = text.chars().flat_map(|character| {
        let raw = (!character.is_control()).then_some(character);
        let escaped = character.is_control().then(|| character.escape_default());
        raw.into_iter().chain(escaped.into_iter().flatten())
    });
    Cow::Owned(told.collect())
}

struct Text {
    out: String,
    clock: Clock,
}

impl Text {
    fn line(&mut self, depth: usize, line: &str) {
        let line = on_one_line(line);
        writeln!(self.out, "{:width$}{line}", "", width = 2 * depth)
            .expect("writing to a string cannot fail");
    }

    fn unorderable(&mut self, witness: &Value) {
        if !witness["contradiction"].is_null() {
            self.line(1, "these exclude each other:");
            // The witness has them in the order of its sentence; a person reads them as they happened.
            let mut operations = list(&witness["contradiction"]["operations"]).to_vec();
            operations.sort_by_key(|operation| operation["index"].as_u64());
            self.operations(2, &operations);
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
        let optional = list(&witness["may_have_happened"]).iter().cloned();
        let (answered, unknown): (Vec<Value>, Vec<Value>) =
            optional.partition(|operation| operation["outcome"] == "ok");
        if !answered.is_empty() {
            self.line(
                1,
                "and these, answered too; without any of them there is no order either:",
            );
            self.operations(2, &answered);
        }
        if !unknown.is_empty() {
            self.line(1, "and these, which may have happened:");
            self.operations(2, &unknown);
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
