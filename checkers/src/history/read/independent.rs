//! Values `[key value]` into a key and a value.

use super::{HistoryError, Note, ReadOptions};
use crate::history::History;
use crate::history::block::Place;
use crate::history::event::{Kind, Process};
use crate::history::rows::NONE;
use crate::history::value::ValueRef;
use rustc_hash::FxHashMap;

/// Splits the values, if the history is one of independent keys, or is said to be.
pub(super) fn split(
    history: &mut History,
    notes: &mut Vec<Note>,
    foreign: bool,
    tagged: bool,
    options: &ReadOptions,
) -> Result<(), HistoryError> {
    match options.independent {
        Some(false) => return Ok(()),
        Some(true) => insist(history)?,
        None if tagged => insist(history)?,
        None if foreign && agrees(history) => {}
        None => return Ok(()),
    }
    let mut texts = Texts::default();
    for place in 0..history.rows.len() {
        texts.check(history, place)?;
        split_row(history, place);
    }
    let keys = history.keys.all().len() as u64;
    notes.push(Note::Independent { keys });
    Ok(())
}

fn split_row(history: &mut History, place: usize) {
    let row = history.rows[place];
    let event = history.event(place);
    if !matches!(event.process(), Process::Client(_)) {
        return;
    }
    let Some((key, _)) = tuple(event.value()) else {
        return;
    };
    // An indeterminate completion may carry anything: it is a tuple if it has the invocation's key.
    let asked = (row.partner != NONE && row.kind != Kind::Invoke)
        .then(|| history.rows[row.partner as usize].key);
    let key = key_text(key);
    if let Some(asked) = asked
        && (asked == NONE || **history.keys.get(asked) != *key)
    {
        return;
    }
    let cell = history.writer.arena().cell(row.value.at() + 2);
    let id = history.keys.text(&key);
    history.rows[place].key = id;
    history.rows[place].value = cell;
}

/// Which keys are texts: a text `1` would be taken for the number.
#[derive(Default)]
struct Texts(FxHashMap<String, bool>);

impl Texts {
    fn check(&mut self, history: &History, place: usize) -> Result<(), HistoryError> {
        let event = history.event(place);
        if event.kind() != Kind::Invoke || !matches!(event.process(), Process::Client(_)) {
            return Ok(());
        }
        let Some((key, _)) = tuple(event.value()) else {
            return Ok(());
        };
        let is_text = key.as_str().is_some();
        match self.0.get(&key_text(key)) {
            Some(before) if *before != is_text => Err(refused(
                history,
                place,
                format!("the key {key} stands both as a text and otherwise"),
                "an object has one name: write its key in one way",
            )),
            Some(_) => Ok(()),
            None => {
                self.0.insert(key_text(key), is_text);
                Ok(())
            }
        }
    }
}

/// A list of two of which the first names a key.
fn tuple(value: ValueRef<'_>) -> Option<(ValueRef<'_>, ValueRef<'_>)> {
    let pair = value.as_list().filter(|pair| pair.len() == 2)?;
    let (key, value) = pair.get(0).zip(pair.get(1))?;
    let names = key.as_i64().is_some() || key.as_str().is_some() || key.as_list().is_some();
    names.then_some((key, value))
}

fn key_text(key: ValueRef<'_>) -> String {
    key.as_str().map_or_else(|| key.to_string(), str::to_owned)
}

/// Whether every client's operation looks like one on a key; see the rule at the top of the folder.
fn agrees(history: &History) -> bool {
    let (mut reads, mut transactions, mut all) = (0, 0, 0);
    let Ok(operations) = history.operations() else {
        return false;
    };
    for operation in &operations {
        if operation.key().is_some() {
            return false;
        }
        let Some((key, value)) = tuple(operation.argument()) else {
            return false;
        };
        let pair = value.as_list().is_some_and(|pair| pair.len() == 2);
        if operation.f() == "cas" && !pair {
            return false;
        }
        let same = |value| tuple(value).is_some_and(|(answered, _)| answered == key);
        if !operation.result().is_none_or(same) {
            return false;
        }
        reads += u32::from(value.is_null());
        transactions += u32::from(is_transaction(operation.f(), key, value));
        all += 1;
    }
    reads > 0 || (all > 0 && transactions == all)
}

/// Whether this is a transaction behind a key, which is no micro-operation itself.
fn is_transaction(f: &str, key: ValueRef<'_>, value: ValueRef<'_>) -> bool {
    let is_micro = |micro: ValueRef<'_>| {
        let parts = micro.as_list().filter(|parts| parts.len() >= 2);
        let f = parts.and_then(|parts| parts.get(0)?.as_str());
        f.is_some_and(|f| matches!(f, "r" | "w" | "append"))
    };
    let micros = value.as_list().filter(|micros| !micros.is_empty());
    matches!(f, "txn" | "")
        && key.as_list().is_none()
        && micros.is_some_and(|micros| micros.iter().all(is_micro))
}

/// Refuses what is said to be `[key value]` and is not.
fn insist(history: &History) -> Result<(), HistoryError> {
    let client = |event: &crate::history::EventRef<'_>| {
        matches!(event.process(), Process::Client(_))
            && matches!(event.kind(), Kind::Invoke | Kind::Ok)
    };
    let wrong = history
        .events()
        .filter(client)
        .find(|event| tuple(event.value()).is_none());
    let Some(event) = wrong else { return Ok(()) };
    Err(refused(
        history,
        event.index() as usize,
        format!("the value {} is no [key value]", event.value()),
        "a history of independent keys has such a value on every line of a client",
    ))
}

fn refused(
    history: &History,
    place: usize,
    problem: String,
    expected: &'static str,
) -> HistoryError {
    let place = history.place(place);
    let Place { line, column } = place.unwrap_or(Place { line: 1, column: 1 });
    HistoryError::Order {
        line: line.into(),
        column: column.into(),
        problem,
        expected,
    }
}
