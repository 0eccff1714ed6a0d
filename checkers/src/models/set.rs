//! A set: elements are added, removed, asked for, and read as a whole.

use super::{container, refused, unknown_error, unknown_function};
use crate::containers::{Flip, Span, Trie, toggle};
use crate::history::{Operation, ValueRef};
use crate::linear::{Contradiction, Entry, Model, Quick, ValueId, Values};
use serde_json::Value;

/// The model `set`.
///
/// A set: elements are added, removed, asked for, and read as a whole.
///
/// What it proves: all of these happened in one order that agrees with real time. After an `add` that is `ok` its element is there,
/// after such a `remove` it is not; whether that changed anything is told by the error `NodeExists`, `exists` or `present`, or for a
/// remove `NoNode`, `absent` or `missing`, or by the field `changed`: without them it may have or not. The model `set-once` takes
/// what is `ok` and does not say otherwise to have changed it: the element of an `add` was not there before, that of a `remove` was.
/// `contains` answers `true` or `false`, `read` with a list. In n log n steps where no `read` stands beside a `remove` and every
/// answer may have changed something: each element by itself, for without whole reads a set is as many independent objects. A whole
/// read is held against each element as well, which refutes, and then goes to the search.
///
/// Histories of adds and reads alone are judged by [`crate::Set`], exactly and with names for what became of each element.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"add","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"add","value":5}
/// {"index":2,"time":11,"process":2,"type":"invoke","f":"contains","value":5}
/// {"index":3,"time":14,"process":2,"type":"ok","f":"contains","value":true}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Set {
    /// The elements before the first operation, as a list; `null` is none.
    pub initial: Value,
    /// Whether an answer that does not say otherwise changed the set.
    pub once: bool,
}

/// What was called, and what is known of its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// An element came in (or may have).
    Added(ValueId),
    /// An element went out (or may have).
    Removed(ValueId),
    /// An element is there from then on, wherever it was before (or may be).
    Put(ValueId),
    /// An element is not there from then on, wherever it was before (or may not be).
    Dropped(ValueId),
    /// An element was there.
    SawIn(ValueId),
    /// An element was not there.
    SawOut(ValueId),
    /// These elements were there, and no others.
    Saw(Trie),
}

const WHOLE: &str = "whole reads beside removes";
const AGAIN: &str = "elements added or removed that may have been so already";

/// Reads times elements, up to which reads are held against each element.
const COMPARED: usize = 4_000_000;

const IN: [&str; 3] = ["NodeExists", "exists", "present"];
const OUT: [&str; 3] = ["NoNode", "absent", "missing"];

/// What an `add` shows.
pub(crate) enum Added {
    /// The element came in.
    New,
    /// It was there already.
    Already,
    /// Nothing: there was no such set to add it to.
    Nowhere,
}

/// What an `add` shows; of one that was not answered, what it may have done.
pub(crate) fn added(operation: &Operation<'_>, model: &str) -> Result<Added, String> {
    match refused(operation) {
        Some(error) if IN.contains(&error) => Ok(Added::Already),
        Some("NoNode") => Ok(Added::Nowhere),
        Some(_) => Err(unknown_error(
            operation,
            model,
            "NodeExists, exists, present and NoNode (add)",
        )),
        None if unchanged(operation) => Ok(Added::Already),
        None => Ok(Added::New),
    }
}

/// Whether the answer says that nothing was changed.
fn unchanged(operation: &Operation<'_>) -> bool {
    changed(operation) == Some(false)
}

/// Whether the answer says that it changed something, or that it did not.
pub(crate) fn changed(operation: &Operation<'_>) -> Option<bool> {
    let changed = operation.answer().and_then(|answer| answer.get("changed"));
    changed.and_then(ValueRef::as_bool)
}

fn number(value: ValueId) -> u64 {
    value.number().into()
}

impl Model for Set {
    type State = Trie;
    type Call = Call;

    fn name(&self) -> &'static str {
        if self.once { "set-once" } else { "set" }
    }

    fn initial(&self, values: &mut Values) -> Result<Trie, String> {
        let inside = container::inside(&self.initial, self.name())?.iter();
        Ok(inside.map(|value| number(values.id_of(value))).collect())
    }

    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        let argument = operation.argument();
        match operation.f() {
            "add" => {
                let element = values.id(argument);
                Ok(match added(operation, self.name())? {
                    Added::New if self.is_change(operation) => Some(Call::Added(element)),
                    Added::New => Some(Call::Put(element)),
                    Added::Already => Some(Call::SawIn(element)),
                    Added::Nowhere => None,
                })
            }
            "remove" => {
                let element = values.id(argument);
                match refused(operation) {
                    Some(error) if OUT.contains(&error) => Ok(Some(Call::SawOut(element))),
                    Some(_) => Err(unknown_error(
                        operation,
                        self.name(),
                        "NoNode, absent and missing (remove)",
                    )),
                    None if unchanged(operation) => Ok(Some(Call::SawOut(element))),
                    None if self.is_change(operation) => Ok(Some(Call::Removed(element))),
                    None => Ok(Some(Call::Dropped(element))),
                }
            }
            "contains" => self.contains(operation, values),
            "read" => self.read(operation, values),
            _ => Err(unknown_function(
                operation,
                self.name(),
                "add, remove, contains and read",
            )),
        }
    }

    fn step(&self, state: &Trie, call: &Call) -> Option<Trie> {
        let has = |element: &ValueId| state.count(number(*element)) > 0;
        match call {
            Call::Added(element) => (!has(element)).then(|| state.with(number(*element))),
            Call::Removed(element) => state.without(number(*element)),
            Call::Put(element) if has(element) => Some(state.clone()),
            Call::Put(element) => Some(state.with(number(*element))),
            Call::Dropped(element) => state
                .without(number(*element))
                .or_else(|| Some(state.clone())),
            Call::SawIn(element) => has(element).then(|| state.clone()),
            Call::SawOut(element) => (!has(element)).then(|| state.clone()),
            Call::Saw(elements) => (state == elements).then(|| state.clone()),
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        matches!(call, Call::SawIn(_) | Call::SawOut(_) | Call::Saw(_))
    }

    fn observes(&self, call: &Call) -> bool {
        !matches!(call, Call::Put(_) | Call::Dropped(_))
    }

    fn is_local(&self) -> bool {
        true
    }

    fn matters(&self, one: &Call, other: &Call) -> bool {
        match (element_of(one), element_of(other)) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        }
    }

    fn show(&self, state: &Trie, values: &Values) -> String {
        container::list(names(state, values))
    }

    fn why_not(&self, state: &Trie, call: &Call, values: &Values) -> String {
        let name = |element: &ValueId| container::name(*element, values);
        match call {
            Call::Added(element) => format!("{} was there already", name(element)),
            Call::Removed(element) => format!("{} was not there", name(element)),
            Call::Put(_) | Call::Dropped(_) => "it can happen at any time".to_owned(),
            Call::SawIn(element) => format!("it found {}, which was not there", name(element)),
            Call::SawOut(element) => format!("it missed {}, which was there", name(element)),
            Call::Saw(elements) => format!(
                "it saw {}, and the set was {}",
                container::list(names(elements, values)),
                self.show(state, values)
            ),
        }
    }

    fn quick(&self, state: &Trie, entries: &[Entry<Call>], values: &Values) -> Quick {
        let reads: Vec<(&Trie, Span)> = entries
            .iter()
            .filter_map(|entry| match &entry.call {
                Call::Saw(elements) => Some((elements, Span::of(entry))),
                _ => None,
            })
            .collect();
        let mut single: Vec<(ValueId, Flip, Span)> = entries.iter().filter_map(single).collect();
        single.sort_by_key(|(element, _, span)| (*element, span.inv));
        let elements = single.chunk_by(|one, other| one.0 == other.0);
        let count = elements.clone().count();
        let held_against = if count * reads.len() <= COMPARED {
            &reads[..]
        } else {
            &[]
        };
        let mut found: Option<Contradiction> = None;
        for element in elements {
            if let Quick::Illegal(other) = judge(element, held_against, state, values)
                && found.as_ref().is_none_or(|found| other.at < found.at)
            {
                found = Some(other);
            }
        }
        // Taken to have changed something each time, it may be illegal where it is legal; never the other way round.
        let again = |entry: &Entry<Call>| matches!(entry.call, Call::Put(_) | Call::Dropped(_));
        match found {
            Some(_) if entries.iter().any(again) => Quick::Open(AGAIN),
            Some(found) => Quick::Illegal(found),
            None if reads.is_empty() => Quick::Legal,
            None => Quick::Open(WHOLE),
        }
    }

    fn state_bytes(&self, state: &Trie) -> usize {
        state.path_bytes()
    }
}

impl Set {
    /// Whether what is `ok`, without an error, changed the set for certain.
    fn is_change(&self, operation: &Operation<'_>) -> bool {
        self.once || changed(operation) == Some(true)
    }

    fn contains(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Call>, String> {
        if refused(operation).is_some() {
            return Err(unknown_error(operation, self.name(), "none of contains"));
        }
        let Some(result) = operation.result() else {
            return Ok(None);
        };
        let element = values.id(operation.argument());
        match result.as_bool() {
            Some(true) => Ok(Some(Call::SawIn(element))),
            Some(false) => Ok(Some(Call::SawOut(element))),
            None => Err(format!(
                "is a contains that answered {result}; expected true or false"
            )),
        }
    }

    fn read(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        let Some(result) = operation.result() else {
            return Ok(None);
        };
        if refused(operation) == Some("NoNode") {
            return Ok(Some(Call::Saw(Trie::default())));
        }
        if refused(operation).is_some() {
            return Err(unknown_error(operation, self.name(), "NoNode (read)"));
        }
        let Some(list) = result.as_list() else {
            return Err(format!(
                "is an ok read of {result}; expected a list of elements"
            ));
        };
        Ok(Some(Call::Saw(
            list.iter().map(|value| number(values.id(value))).collect(),
        )))
    }
}

fn names(elements: &Trie, values: &Values) -> impl Iterator<Item = String> {
    elements
        .iter()
        .map(|number| container::name(ValueId::numbered(number as u32), values))
}

/// The element that a call is about, if it is one.
fn element_of(call: &Call) -> Option<ValueId> {
    match *call {
        Call::Added(element)
        | Call::Removed(element)
        | Call::Put(element)
        | Call::Dropped(element)
        | Call::SawIn(element)
        | Call::SawOut(element) => Some(element),
        Call::Saw(_) => None,
    }
}

/// What a call does to one element.
fn single(entry: &Entry<Call>) -> Option<(ValueId, Flip, Span)> {
    let span = Span::of(entry);
    match entry.call {
        Call::Added(element) | Call::Put(element) => Some((element, Flip::Up, span)),
        Call::Removed(element) | Call::Dropped(element) => Some((element, Flip::Down, span)),
        Call::SawIn(element) => Some((element, Flip::SawUp, span)),
        Call::SawOut(element) => Some((element, Flip::SawDown, span)),
        Call::Saw(_) => None,
    }
}

/// One element by itself.
fn judge(
    calls: &[(ValueId, Flip, Span)],
    reads: &[(&Trie, Span)],
    initial: &Trie,
    values: &Values,
) -> Quick {
    let element = calls[0].0;
    let name = || container::name(element, values);
    let why_not = |flip: Flip| match flip {
        Flip::Up => format!("{} was added, and must have been there", name()),
        Flip::Down => format!("{} was removed, and cannot have been there", name()),
        Flip::SawUp => format!("{} was seen, and cannot have been there", name()),
        Flip::SawDown => format!("{} was missed, and must have been there", name()),
    };
    let mut flips: Vec<(Flip, Span)> = calls.iter().map(|(_, flip, span)| (*flip, *span)).collect();
    flips.extend(reads.iter().map(|(elements, span)| {
        let saw = elements.count(number(element)) > 0;
        (if saw { Flip::SawUp } else { Flip::SawDown }, *span)
    }));
    let start = initial.count(number(element)).min(1);
    toggle(&flips, 1, start, &why_not)
}
