//! Operations in witnesses: as data, with one line that a person can read.

use crate::history::{EventRef, Kind, Operation, ValueRef};
use serde_json::{Value, json};

/// Longer lists than this are cut in witnesses: a set's read has up to 2,000 elements.
const LIST_SHOWN: usize = 16;

/// `{"index", "completed", "process", "f", "key", "outcome": "ok"|"fail"|"info", "from", "to", "text", …}`: `index` and
/// `completed` are lines, `from` and `to` nanoseconds since the run's start (`null` without completion); `text` is one line;
/// `argument`, `result` and the completion's other fields (`version`, `zxid`, `server`, `session`, `error`) follow.
pub(crate) fn operation(operation: &Operation<'_>) -> Value {
    let mut shown = json!({
        "index": operation.inv(),
        "completed": operation.completion().map(|completion| completion.index()),
        "process": operation.process(),
        "f": operation.f(),
        "key": operation.key(),
        "outcome": operation.kind(),
        "from": operation.start(),
        "to": operation.end(),
        "text": text(operation),
        "argument": operation.argument(),
        "result": operation.result().map(short),
    });
    let answered = operation.completion().into_iter().flat_map(EventRef::extra);
    for (name, value) in operation.asked().extra().chain(answered) {
        if shown.get(name).is_none() {
            shown[name] = value.to_json();
        }
    }
    shown
}

/// A long list as its length and its ends.
fn short(value: ValueRef<'_>) -> Value {
    match value.as_list() {
        Some(list) if list.len() > LIST_SHOWN => {
            let half = LIST_SHOWN / 2;
            let first: Vec<ValueRef<'_>> = list.iter().take(half).collect();
            let last: Vec<ValueRef<'_>> = list.iter().skip(list.len() - half).collect();
            json!({ "elements": list.len(), "first": first, "last": last })
        }
        _ => value.to_json(),
    }
}

/// One line: `write 9 → ok, version 7 (n2)`.
pub(crate) fn text(operation: &Operation<'_>) -> String {
    let mut text = operation.f().to_owned();
    // What a transaction read stands where it asked for it.
    let asked = match operation.result() {
        Some(result) if operation.f() == "txn" => result,
        _ => operation.argument(),
    };
    if !asked.is_null() {
        text.push_str(&format!(" {asked}"));
    }
    if let Some(expected) = operation.asked().int("expected") {
        text.push_str(&format!(" at version {expected}"));
    }
    text.push_str(" → ");
    text.push_str(&outcome(operation));
    if let Some(server) = operation
        .completion()
        .and_then(|completion| completion.text("server"))
    {
        text.push_str(&format!(" ({server})"));
    }
    text
}

fn outcome(operation: &Operation<'_>) -> String {
    let error = operation
        .error()
        .map(|error| format!(" {error}"))
        .unwrap_or_default();
    match operation.kind() {
        Kind::Ok if !error.is_empty() => error.trim_start().to_owned(),
        Kind::Ok => {
            let value = match operation.result() {
                Some(value) if operation.f() == "read" => read(value),
                _ => "ok".to_owned(),
            };
            let version = operation.answer().and_then(|answer| answer.int("version"));
            version.map_or(value.clone(), |version| {
                format!("{value}, version {version}")
            })
        }
        Kind::Fail => format!("failed{error}"),
        Kind::Info | Kind::Invoke => format!("unknown{error}"),
    }
}

fn read(value: ValueRef<'_>) -> String {
    match value.as_list() {
        Some(list) if list.len() > LIST_SHOWN => format!("{} elements", list.len()),
        _ => value.to_string(),
    }
}
