//! The smallest sub-history of a witness in a few lines for a terminal.
//!
//! ```text
//! the smallest part that was found to show it by itself, 4 lines:
//!   line 17  process 2  invoke write r1 5
//!   line 18  process 2  ok     write r1 5
//!   line 31  process 3  invoke read r1
//!   line 40  process 3  ok     read r1 null
//! ```
//!
//! Lines are those of the whole history, from 1. [`shrink()`](super::shrink()) fills what is told here.

use super::canvas::{columns, cut};
use super::evidence::word;
use crate::render::on_one_line;
use crate::verdict::Anomaly;
use serde_json::Value;

/// Lines that are told at most.
const MOST: usize = 16;
/// Columns of a value at most.
const VALUE: usize = 72;

/// The smallest part of the history that shows this anomaly, as [`shrink()`](super::shrink()) found it, in a few lines; or why
/// there is none; nothing where nobody looked for it. Without a newline at the end.
pub fn smallest_part(anomaly: &Anomaly) -> Option<String> {
    let witness = &anomaly.witness;
    let (Value::Array(events), Value::Array(indices)) =
        (&witness["history"], &witness["history_indices"])
    else {
        let note = witness["history_note"].as_str()?;
        return Some(format!("no part of the history to show: {note}"));
    };
    let rows: Vec<[String; 4]> = events.iter().zip(indices).take(MOST).map(row).collect();
    let mut text = format!(
        "the smallest part that was found to show it by itself, {} lines:",
        events.len()
    );
    let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max();
    let widths: Vec<usize> = (0..4).map(|column| widest(column).unwrap_or(0)).collect();
    for row in &rows {
        let [line, process, kind, what] = row;
        let pad = |words: &str, column: usize| " ".repeat(widths[column] - columns(words));
        text.push_str(&format!(
            "\n  line {}{line}  process {process}{}  {kind}{} {what}",
            pad(line, 0),
            pad(process, 1),
            pad(kind, 2)
        ));
    }
    if events.len() > MOST {
        text.push_str(&format!("\n  … and {} more", events.len() - MOST));
    }
    Some(text)
}

/// Fields beside key, value and error that say what was called or told, each after its name unless it is just there.
const TOLD: [&str; 6] = [
    "event",
    "watch",
    "expected",
    "ephemeral",
    "sequential",
    "token",
];

fn field(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(name.to_owned()),
        // The name of an event says itself that it is one.
        Value::String(event) if name == "event" => Some(event.clone()),
        other => Some(format!("{name} {}", word(other))),
    }
}

/// Line, process, kind, and what was called or answered.
fn row((event, index): (&Value, &Value)) -> [String; 4] {
    let line = index.as_u64().map_or(0, |index| index + 1);
    let mut what = vec![word(&event["f"])];
    let told = ["key", "value", "error"];
    let told = told.iter().map(|name| &event[*name]);
    what.extend(
        told.filter(|value| !value.is_null())
            .map(|value| cut(&on_one_line(&word(value)), VALUE)),
    );
    let fields = TOLD.iter().filter_map(|name| field(name, &event[*name]));
    what.extend(fields.map(|field| cut(&on_one_line(&field), VALUE)));
    // A read of nothing says so; an invocation has no answer yet.
    if event["value"].is_null() && event["type"] == "ok" {
        what.push("null".to_owned());
    }
    [
        line.to_string(),
        word(&event["process"]),
        word(&event["type"]),
        what.join(" "),
    ]
}
