//! What a completion repeats of its invocation: an answered operation wrote what it was asked to write, and a lost one can have written
//! nothing else.
//!
//! A completion that says otherwise was recorded wrongly, and would be judged wrongly whichever of the two was believed. But a text that a lost
//! operation ends with may be why it was lost: Jepsen's older tests put `:timed-out` in the place of the value. And where
//! only the completion says what was written, that is believed: [`Operation::argument`] is then the completion's. Where it
//! does, a write that was lost without a value, or with such a text, may have written anything.

use crate::history::{Kind, ListRef, Operation, ValueRef};
use crate::verdict::Misfit;

/// Functions whose completion, if it has a value, repeats what was written.
const WRITES: [&str; 9] = [
    "write", "append", "enqueue", "push", "add", "remove", "put", "set", "create",
];

/// Whether an invocation of this function without a value, if its completion has one, was to write that.
pub(crate) fn is_completed(f: &str) -> bool {
    f == "cas" || WRITES.contains(&f)
}

/// Refuses a write of which nobody knows what it may have written: it was lost, neither line has a value, and other writes of the
/// history had theirs from their completions alone.
pub(crate) fn all_known(operations: &[Operation<'_>]) -> Result<(), Misfit> {
    let asks_nothing = |operation: &&Operation<'_>| {
        operation.invocation().value().is_null() && is_completed(operation.f())
    };
    let is_told = |operation: &Operation<'_>| !operation.argument().is_null();
    let mut lost = operations
        .iter()
        .filter(|operation| operation.kind() == Kind::Info);
    let unknown = lost.find(|operation| asks_nothing(operation) && !is_told(operation));
    let Some(unknown) = unknown else {
        return Ok(());
    };
    match operations.iter().filter(asks_nothing).any(is_told) {
        true => Err(Misfit::of(
            unknown,
            format!(
                "is a lost `{}` without a value, where only completions say what was written: it may have written anything",
                unknown.f()
            ),
        )),
        false => Ok(()),
    }
}

/// Micro-operations that write.
const MICRO_WRITES: [&str; 3] = ["append", "w", "write"];

/// Refuses a completion that is about something else than what was asked. One that failed wrote neither.
pub(crate) fn check(operation: &Operation<'_>) -> Result<(), Misfit> {
    check_with(operation, &[])
}

/// The same, where the model has more functions than the usual ones whose completion repeats what was asked.
pub(crate) fn check_with(operation: &Operation<'_>, more: &[&str]) -> Result<(), Misfit> {
    let completion = operation.completion();
    let Some(answer) = completion.filter(|completion| completion.kind() != Kind::Fail) else {
        return Ok(());
    };
    let (asked, told) = (operation.argument(), answer.value());
    // Some recorders write no value where there is nothing new. An answer that is an error may say anything.
    let is_error = operation.is_ok() && answer.get("error").is_some();
    let is_reason = !operation.is_ok() && told.as_str().is_some();
    if told.is_null() || asked.is_null() || is_error || is_reason {
        return Ok(());
    }
    let word = if operation.is_ok() {
        "an answered"
    } else {
        "a lost"
    };
    let f = operation.f();
    let repeats = || match f {
        "cas" => asked.as_list().is_some() && told.as_list().is_some(),
        _ => WRITES.contains(&f) || more.contains(&f),
    };
    let problem = if matches!(f, "txn" | "") {
        asked
            .as_list()
            .zip(told.as_list())
            // One that was lost may say how far it came.
            .filter(|(asked, told)| operation.is_ok() || asked.len() == told.len())
            .and_then(|(asked, told)| of_transactions(asked, told))
    } else if asked != told && repeats() {
        Some(format!(
            "completes `{f}` of {asked} with the value {told}: {word} `{f}` repeats what was asked, or has no value"
        ))
    } else {
        None
    };
    match problem {
        Some(text) => Err(Misfit::at(answer.index(), text)),
        None => Ok(()),
    }
}

/// Micro-operations stay in their places, with their function and key, and with what they write.
fn of_transactions(asked: ListRef<'_>, told: ListRef<'_>) -> Option<String> {
    if asked.len() != told.len() {
        return Some(format!(
            "completes a transaction of {} micro-operations with {}: each of them is repeated, with what it read",
            asked.len(),
            told.len()
        ));
    }
    let differs = |(asked, told): (ValueRef<'_>, ValueRef<'_>)| {
        let (one, other) = asked.as_list().zip(told.as_list())?;
        let same = |place| one.get(place) == other.get(place);
        let writes = one.get(0).and_then(ValueRef::as_str);
        let writes = writes.is_some_and(|f| MICRO_WRITES.contains(&f));
        let repeats = same(0) && same(1) && (!writes || same(2));
        (!repeats).then(|| {
            // `[key [micro-operations]]`: the second of two is no micro-operation, but many.
            let many = one.get(0).is_some_and(|first| first.as_list().is_some());
            let hint = match many {
                true => "; if the values are [key [micro-operations]], say so with --independent",
                false => "",
            };
            format!(
                "completes the micro-operation {asked} with {told}: a transaction writes what it was asked to write, to the same key{hint}"
            )
        })
    };
    asked.iter().zip(told.iter()).find_map(differs)
}
