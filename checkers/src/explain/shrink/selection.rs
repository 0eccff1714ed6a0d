//! A part of a history: some operations, of transactions some keys and steps, of what was read some elements.

use super::sources::Step;
use super::sources::{Element, element, is_transaction, name, own_key, steps};
use crate::history::{Event, EventRef, History, Kind, Operation, Process, ValueRef};
use rustc_hash::FxHashSet;
use serde_json::Value;
use std::collections::BTreeSet;

/// Which part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Operations, by their place among all.
    pub(super) operations: BTreeSet<usize>,
    /// Transactions keep their steps on these keys only.
    pub(super) keys: Option<BTreeSet<String>>,
    /// Steps that are left out: the operation and the step's place.
    pub(super) without: BTreeSet<(usize, usize)>,
    /// Elements that are left out of everything that was read: those that operations wrote which are not in this part.
    pub(super) hidden: FxHashSet<Element>,
    /// Lines that a session was told and nobody asked for, by index.
    pub(super) told: BTreeSet<u64>,
    /// Lines of the controller stay.
    pub(super) controller: bool,
}

/// A part by itself.
pub(super) struct Part {
    pub(super) history: History,
    /// Where each of its lines stood.
    pub(super) lines: Vec<u64>,
}

impl Part {
    /// The line of the whole history at which this line of the part stood.
    pub(super) fn line_before(&self, index: u64) -> Option<u64> {
        let index = usize::try_from(index).ok()?;
        self.lines.get(index).copied()
    }
}

/// A line that a session was told and nobody asked for: an event of a watch.
pub(super) fn is_told(event: &EventRef<'_>) -> bool {
    matches!(event.process(), Process::Named(_)) && event.text("session").is_some()
}

/// The keys of a transaction's steps, or the operation's own; those of all parts of a multi.
pub(super) fn keys_of(operation: &Operation<'_>) -> Vec<String> {
    match is_transaction(operation) {
        true => {
            let steps = steps(operation.argument()).unwrap_or_default();
            steps.iter().map(|step| name(step.key)).collect()
        }
        false if operation.f() == "multi" => paths(operation.argument()),
        false => vec![own_key(operation)],
    }
}

fn paths(multi: ValueRef<'_>) -> Vec<String> {
    let parts = multi.as_list().into_iter().flat_map(|list| list.iter());
    let path = |part: ValueRef<'_>| part.as_list()?.get(1).map(name);
    parts.filter_map(path).collect()
}

impl Selection {
    /// The part by itself. Its operations begin and end as they did, in the same order and at the same times.
    pub(super) fn cast(&self, history: &History, all: &[Operation<'_>]) -> Part {
        let mut events: Vec<Event> = Vec::new();
        for place in &self.operations {
            let operation = &all[*place];
            let halves = [Some(operation.invocation()), operation.completion()];
            let steps = self.steps_kept(*place, operation);
            if steps.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            for half in halves.into_iter().flatten() {
                let mut event = half.to_event();
                self.project(&mut event, operation, steps.as_deref());
                events.push(event);
            }
        }
        let told = self.told.iter().map(|line| history.event(*line as usize));
        events.extend(told.map(EventRef::to_event));
        if self.controller {
            let is_client = |event: &EventRef<'_>| matches!(event.process(), Process::Client(_));
            let named = history
                .events()
                .filter(|event| !is_client(event) && !is_told(event));
            events.extend(named.map(EventRef::to_event));
        }
        events.sort_by_key(|event| event.index);
        Part {
            history: History::from_events(&events),
            lines: events.iter().map(|event| event.index).collect(),
        }
    }

    /// Which steps of a transaction stay; `None`: all, or it is none.
    fn steps_kept(&self, place: usize, operation: &Operation<'_>) -> Option<Vec<bool>> {
        if !is_transaction(operation) {
            return None;
        }
        let asked = steps(operation.argument())?;
        let read = operation.result().and_then(steps);
        let stays = |at: usize, step: &Step<'_>| {
            let key = name(step.key);
            let wanted = self.keys.as_ref().is_none_or(|keys| keys.contains(&key));
            // A register's value by another writer: not to be read here.
            let value = read.as_ref().and_then(|read| read.get(at));
            let is_foreign = value.is_some_and(|read| {
                step.f == "r"
                    && read.value.as_list().is_none()
                    && self.hidden.contains(&element(key, read.value))
            });
            wanted && !is_foreign && !self.without.contains(&(place, at))
        };
        let kept = asked
            .iter()
            .enumerate()
            .map(|(at, step)| stays(at, step))
            .collect::<Vec<bool>>();
        match kept.contains(&true) {
            true => Some(kept),
            false => Some(Vec::new()),
        }
    }

    fn project(&self, event: &mut Event, operation: &Operation<'_>, steps: Option<&[bool]>) {
        if let (Some(steps), Value::Array(list)) = (steps, &mut event.value) {
            let mut place = 0;
            list.retain(|_| {
                place += 1;
                steps.get(place - 1).copied().unwrap_or(true)
            });
        }
        if self.hidden.is_empty() || event.kind != Kind::Ok {
            return;
        }
        match &mut event.value {
            Value::Array(list) if is_transaction(operation) => {
                for step in list {
                    let Value::Array(parts) = step else { continue };
                    if parts.first().is_none_or(|f| f != "r") {
                        continue;
                    }
                    let key = parts.get(1).map(json_name).unwrap_or_default();
                    if let Some(Value::Array(read)) = parts.get_mut(2) {
                        self.hide(&key, read);
                    }
                }
            }
            Value::Array(read) => self.hide(&own_key(operation), read),
            _ => {}
        }
    }

    fn hide(&self, key: &str, read: &mut Vec<Value>) {
        read.retain(|value| {
            let element = Element::of_json(key, value);
            !self.hidden.contains(&element)
        });
    }
}

fn json_name(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
