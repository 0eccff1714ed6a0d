//! What the four containers have in common: puts and gets of values.

use super::{refused, unknown_error, unknown_function};
use crate::containers::Call;
use crate::history::{Operation, ValueRef};
use crate::linear::{Entry, ValueId, Values};
use rustc_hash::FxHashSet;
use serde_json::Value;

/// Errors of a get that say that there was nothing to get.
const NOTHING: [&str; 4] = ["empty", "Empty", "exhausted", "NoSuchElement"];

/// Whether the error of a get says that there was nothing to get.
pub(crate) fn found_nothing(error: &str) -> bool {
    NOTHING.contains(&error)
}

/// How a container's functions are called.
pub(super) struct Words {
    pub(super) model: &'static str,
    pub(super) put: &'static [&'static str],
    pub(super) got: &'static [&'static str],
}

/// The call that an operation made; `read` turns its value into what the model knows it by.
pub(super) fn call<V>(
    operation: &Operation<'_>,
    words: &Words,
    read: impl FnOnce(ValueRef<'_>) -> Result<V, String>,
) -> Result<Option<Call<V>>, String> {
    let f = operation.f();
    let error = refused(operation);
    if words.put.contains(&f) {
        if error.is_some() {
            return Err(unknown_error(operation, words.model, "none of a put"));
        }
        let value = operation.argument();
        if value.is_null() {
            return Err("puts null, which is what a get of nothing answers".to_owned());
        }
        return read(value).map(|value| Some(Call::Put(value)));
    }
    if !words.got.contains(&f) {
        let known = format!("{} and {}", words.put[0], words.got[0]);
        return Err(unknown_function(operation, words.model, &known));
    }
    match (operation.answer(), error) {
        (_, Some(error)) if found_nothing(error) => Ok(Some(Call::Empty)),
        (_, Some(_)) => Err(unknown_error(operation, words.model, "empty and exhausted")),
        (None, None) => Ok(Some(Call::Took)),
        (Some(answer), None) if answer.value().is_null() => Ok(Some(Call::Empty)),
        (Some(answer), None) => read(answer.value()).map(|value| Some(Call::Got(value))),
    }
}

/// Whether an answer of this call shows anything: every put fits.
pub(super) fn observes<V>(call: &Call<V>) -> bool {
    !matches!(call, Call::Put(_))
}

/// The values inside before the first operation, from a list.
pub(super) fn inside<'v>(initial: &'v Value, model: &str) -> Result<&'v [Value], String> {
    match initial {
        Value::Null => Ok(&[]),
        Value::Array(values) => Ok(values),
        other => Err(format!(
            "a {model} begins with a list of values, not with {other}"
        )),
    }
}

/// Values that came out.
fn got<V: Copy + Eq + std::hash::Hash>(entries: &[Entry<Call<V>>]) -> FxHashSet<V> {
    let got = entries.iter().filter_map(|entry| match entry.call {
        Call::Got(value) => Some(value),
        _ => None,
    });
    got.collect()
}

/// Drops puts of unknown outcome of values that never came out: without such a value, the rest is as legal as with it.
pub(super) fn narrow<V: Copy + Eq + std::hash::Hash>(entries: &mut Vec<Entry<Call<V>>>) {
    let got = got(entries);
    entries.retain(|entry| match &entry.call {
        Call::Put(value) => entry.certain || got.contains(value),
        _ => true,
    });
}

/// Makes values that never came out one value, where only their places matter.
pub(super) fn blur(entries: &mut [Entry<Call<ValueId>>]) {
    let got = got(entries);
    for entry in entries {
        if let Call::Put(value) = &mut entry.call
            && !got.contains(value)
        {
            *value = ValueId::UNSEEN;
        }
    }
}

/// A list of values in words.
pub(super) fn list(values: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 16;
    let mut shown: Vec<String> = values.take(SHOWN + 1).collect();
    if shown.len() > SHOWN {
        shown[SHOWN] = "…".to_owned();
    }
    format!("[{}]", shown.join(", "))
}

/// A value in a list.
pub(super) fn name(value: ValueId, values: &Values) -> String {
    match value {
        ValueId::UNSEEN => "(never taken)".to_owned(),
        value => values.get(value).to_string(),
    }
}

/// Why a get does not fit.
pub(super) fn why_not(call: &str, state: &str) -> String {
    format!("it {call}, and what is inside is {state}")
}

/// What a call was, for [`why_not`].
pub(super) fn told<V>(call: &Call<V>, show: impl FnOnce(&V) -> String) -> String {
    match call {
        Call::Put(value) => format!("put {}", show(value)),
        Call::Got(value) => format!("got {}", show(value)),
        Call::Empty => "found nothing".to_owned(),
        Call::Took => "took what there was".to_owned(),
    }
}

/// Why a model's own algorithm cannot tell.
pub(super) const NOT_EMPTY: &str = "it did not begin empty";
