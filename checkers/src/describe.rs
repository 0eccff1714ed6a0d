//! Operations in witnesses: as data, with one line that a person can read.

use crate::history::{EventRef, Kind, Operation, ValueRef};
use serde_json::{Value, json};

/// Longer lists than this are cut in witnesses: a set's read has up to 2,000 elements.
const LIST_SHOWN: usize = 16;

/// Numbers beside an answer's value that say what happened.
const TOLD: [&str; 3] = ["version", "token", "fence"];

/// Words for asking: of a write, `null` says nothing; of these it says that nothing was there.
const ASKING: [&str; 15] = [
    "read", "get", "contains", "dequeue", "poll", "pop", "peek", "take", "drain", "min", "max",
    "first", "last", "size", "find",
];

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

/// One line: `write 9 → ok, version 7 (n2)`; of a tree's operations with the path, for what is told may be about several.
pub(crate) fn text(operation: &Operation<'_>) -> String {
    let mut text = operation.f().to_owned();
    if let Some(path) = operation.key().filter(|key| key.starts_with('/')) {
        text.push_str(&format!(" {path}"));
    }
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
            let value = added(operation).unwrap_or_else(|| "ok".to_owned());
            let answer = operation.answer();
            let told = TOLD.iter().filter_map(|name| {
                let number = answer.and_then(|answer| answer.int(name))?;
                Some(format!(", {name} {number}"))
            });
            format!("{value}{}", told.collect::<String>())
        }
        Kind::Fail => format!("failed{error}"),
        Kind::Info | Kind::Invoke => format!("unknown{error}"),
    }
}

/// What the answer's value adds to what was asked, if anything.
fn added(operation: &Operation<'_>) -> Option<String> {
    let (asked, value) = (operation.argument(), operation.result()?);
    if operation.f() == "txn" {
        return None;
    }
    if value.is_null() {
        return asks(operation.f()).then(|| read(value));
    }
    if value == asked && !asks(operation.f()) {
        return None;
    }
    // An answer that repeats the question before it: `contains 1 → true` from `[1,true]`.
    let rest = value.as_list().filter(|list| list.len() == 2);
    let rest = rest.filter(|list| asked.as_list().is_none() && list.get(0) == Some(asked));
    Some(read(rest.and_then(|list| list.get(1)).unwrap_or(value)))
}

/// Whether a function of this name asks for a value, so that `null` is an answer, and the same value again is one, too.
fn asks(f: &str) -> bool {
    f.split(['-', '_']).any(|word| ASKING.contains(&word))
}

fn read(value: ValueRef<'_>) -> String {
    match value.as_list() {
        Some(list) if list.len() > LIST_SHOWN => format!("{} elements", list.len()),
        _ => value.to_string(),
    }
}
