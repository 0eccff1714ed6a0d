//! Who wrote what was read: so that no part of a history has a value that came from nowhere, unless the whole one has it too.
//!
//! What an operation writes and reads is told from its shape alone, whatever the model: the steps of a transaction; the
//! argument and the result of anything else; of a compare-and-set, the new value and the old one.

use super::selection::{Selection, keys_of};
use crate::history::{Operation, ValueRef};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// A value of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Element {
    key: String,
    value: String,
}

impl Element {
    pub(super) fn of_json(key: &str, value: &Value) -> Element {
        Element {
            key: key.to_owned(),
            value: value.to_string(),
        }
    }
}

pub(super) fn element(key: String, value: ValueRef<'_>) -> Element {
    Element {
        key,
        value: value.to_string(),
    }
}

/// Text as it is, anything else as JSON: how keys are compared.
pub(super) fn name(value: ValueRef<'_>) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A step of a transaction: what is done, to which object, and with what.
pub(super) struct Step<'h> {
    pub(super) f: &'h str,
    pub(super) key: ValueRef<'h>,
    pub(super) value: ValueRef<'h>,
}

/// The steps of a transaction, if this is one.
pub(super) fn steps(value: ValueRef<'_>) -> Option<Vec<Step<'_>>> {
    let list = value.as_list()?;
    list.iter().map(read_step).collect()
}

fn read_step(step: ValueRef<'_>) -> Option<Step<'_>> {
    let parts = step.as_list()?;
    Some(Step {
        f: parts.get(0)?.as_str()?,
        key: parts.get(1)?,
        value: parts.get(2)?,
    })
}

pub(super) fn is_transaction(operation: &Operation<'_>) -> bool {
    operation.f() == "txn"
}

pub(super) fn own_key(operation: &Operation<'_>) -> String {
    operation.key().unwrap_or_default().to_owned()
}

/// The session in which it ran, if that is told.
pub(super) fn session<'h>(operation: &Operation<'h>) -> Option<&'h str> {
    let lines = [operation.completion(), Some(operation.invocation())];
    lines
        .into_iter()
        .flatten()
        .find_map(|line| line.text("session"))
}

/// What an operation writes, as far as its argument tells.
fn written(operation: &Operation<'_>) -> Vec<Element> {
    let argument = operation.argument();
    if is_transaction(operation) {
        let steps = steps(argument).unwrap_or_default();
        let writes = steps.iter().filter(|step| step.f != "r");
        return writes
            .map(|step| element(name(step.key), step.value))
            .collect();
    }
    match (old_and_new(operation), argument.is_null()) {
        (_, true) => Vec::new(),
        (Some((_, new)), _) => vec![element(own_key(operation), new)],
        (None, _) => vec![element(own_key(operation), argument)],
    }
}

/// A compare-and-set's values.
fn old_and_new<'h>(operation: &Operation<'h>) -> Option<(ValueRef<'h>, ValueRef<'h>)> {
    let list = operation.argument().as_list()?;
    (operation.f() == "cas").then_some((list.get(0)?, list.get(1)?))
}

/// The single value that an operation saw, besides its own; lists are [`listed`].
fn seen(operation: &Operation<'_>) -> Option<Element> {
    if is_transaction(operation) {
        return None;
    }
    if let Some((old, _)) = old_and_new(operation) {
        return (operation.is_ok() && !old.is_null()).then(|| element(own_key(operation), old));
    }
    let result = operation.result()?;
    let is_own = result == operation.argument();
    let is_one = !result.is_null() && result.as_list().is_none();
    (is_one && !is_own).then(|| element(own_key(operation), result))
}

/// What can be left out of what an operation read: the elements of lists, and the steps of transactions.
fn listed(operation: &Operation<'_>) -> Vec<Element> {
    let Some(result) = operation.result() else {
        return Vec::new();
    };
    let each = |key: String, value: ValueRef<'_>| -> Vec<Element> {
        match value.as_list() {
            Some(list) => list
                .iter()
                .map(|value| element(key.clone(), value))
                .collect(),
            None => vec![element(key, value)],
        }
    };
    match is_transaction(operation) {
        true => steps(result)
            .unwrap_or_default()
            .iter()
            .filter(|step| step.f == "r")
            .flat_map(|step| each(name(step.key), step.value))
            .collect(),
        false if result.as_list().is_some() && old_and_new(operation).is_none() => {
            each(own_key(operation), result)
        }
        false => Vec::new(),
    }
}

/// What can be left out of what these read.
pub(super) fn all_listed(all: &[Operation<'_>], chosen: &BTreeSet<usize>) -> FxHashSet<Element> {
    let listed = chosen.iter().flat_map(|place| listed(&all[*place]));
    listed.collect()
}

/// A single value of an object, by its hash: where two of a million share one, a part stays larger than it needs to be.
type Mark = u64;

fn mark(step: &Step<'_>) -> Mark {
    let mut hasher = FxHasher::default();
    for value in [step.key, step.value] {
        match (value.as_i64(), value.as_str()) {
            (Some(number), _) => number.hash(&mut hasher),
            (None, Some(text)) => text.hash(&mut hasher),
            (None, None) => value.to_string().hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// Every single value that a step of a transaction wrote, whatever became of it.
#[derive(Debug)]
pub(super) struct Writers(FxHashSet<Mark>);

impl Writers {
    pub(super) fn of(all: &[Operation<'_>]) -> Writers {
        let mut marks = FxHashSet::default();
        for operation in all.iter().filter(|operation| is_transaction(operation)) {
            let steps = steps(operation.argument()).unwrap_or_default();
            marks.extend(steps.iter().filter(|step| writes(step)).map(mark));
        }
        Writers(marks)
    }

    pub(super) fn has(&self, value: Mark) -> bool {
        self.0.contains(&value)
    }
}

fn writes(step: &Step<'_>) -> bool {
    !matches!(step.f, "r" | "read")
}

/// The single values that transactions read and none of these wrote. Lists are not looked at: what they hold was appended.
pub(super) fn unwritten(operations: &[Operation<'_>]) -> Vec<Mark> {
    let transactions = operations
        .iter()
        .filter(|operation| is_transaction(operation));
    let mut read = Vec::new();
    for operation in transactions.clone() {
        let steps = operation.result().and_then(steps).unwrap_or_default();
        let single = |step: &&Step<'_>| {
            !writes(step) && !step.value.is_null() && step.value.as_list().is_none()
        };
        read.extend(steps.iter().filter(single).map(mark));
    }
    if read.is_empty() {
        return read;
    }
    let mut written = FxHashSet::default();
    for operation in transactions {
        let steps = steps(operation.argument()).unwrap_or_default();
        written.extend(steps.iter().filter(|step| writes(step)).map(mark));
    }
    read.retain(|value| !written.contains(value));
    read
}

/// The operations on the objects in question, and what they wrote and saw.
#[derive(Debug)]
pub(super) struct Sources {
    /// By place among all operations.
    related: BTreeSet<usize>,
    /// The single value that an operation saw, if somebody wrote it.
    sees: FxHashMap<usize, u32>,
    /// The values that operations wrote and somebody saw.
    writes: FxHashMap<usize, u32>,
    /// Who wrote each value first.
    first: Vec<usize>,
    /// The life that an operation belongs to: all that put, saw or took one value; from a process's acquire to its release.
    life: FxHashMap<usize, u32>,
}

impl Sources {
    pub(super) fn of(all: &[Operation<'_>], keys: &FxHashSet<String>) -> Sources {
        let names =
            |operation: &Operation<'_>| keys_of(operation).iter().any(|key| keys.contains(key));
        // The end of a session takes what is its own.
        let owns = |operation: &&Operation<'_>| {
            operation.asked().flag("ephemeral") || operation.f() == "multi"
        };
        let owners: FxHashSet<&str> = (all.iter().filter(owns))
            .filter(|operation| names(operation))
            .filter_map(session)
            .collect();
        let touches = |operation: &Operation<'_>| {
            let ends = operation.f() == "close"
                && session(operation).is_some_and(|own| owners.contains(own));
            ends || names(operation)
        };
        let related: BTreeSet<usize> = all
            .iter()
            .enumerate()
            .filter(|(_, operation)| touches(operation))
            .map(|(place, _)| place)
            .collect();
        let mut sources = Sources {
            related,
            sees: FxHashMap::default(),
            writes: FxHashMap::default(),
            first: Vec::new(),
            life: FxHashMap::default(),
        };
        let mut known: FxHashMap<Element, u32> = FxHashMap::default();
        let single = |place: &usize| !is_transaction(&all[*place]);
        for place in sources
            .related
            .iter()
            .copied()
            .filter(|place| single(place))
        {
            for element in written(&all[place]) {
                let next = sources.first.len() as u32;
                let id = *known.entry(element).or_insert(next);
                if id == next {
                    sources.first.push(place);
                }
                sources.writes.insert(place, id);
            }
        }
        for place in sources
            .related
            .iter()
            .copied()
            .filter(|place| single(place))
        {
            let id = seen(&all[place]).and_then(|seen| known.get(&seen));
            if let Some(id) = id {
                sources.sees.insert(place, *id);
            }
        }
        sources.life = sources.lives(all);
        sources
    }

    /// Holds by their processes, anything else by its value; what has neither is by itself.
    fn lives(&self, all: &[Operation<'_>]) -> FxHashMap<usize, u32> {
        let mut life = FxHashMap::default();
        let mut next = self.first.len() as u32;
        let mut held: FxHashMap<(Option<u32>, u32), u32> = FxHashMap::default();
        for place in &self.related {
            let operation = &all[*place];
            let holder = (operation.key_id(), operation.process_id());
            let id = match operation.f() {
                "acquire" => {
                    next += 1;
                    *held.entry(holder).or_insert(next)
                }
                "release" => match held.remove(&holder) {
                    Some(id) => id,
                    None => continue,
                },
                _ => {
                    let value = self.sees.get(place).or(self.writes.get(place));
                    let Some(id) = value else { continue };
                    *id
                }
            };
            life.insert(*place, id);
        }
        life
    }

    /// These operations in groups that leave nothing half done when they go.
    pub(super) fn lives_of(&self, operations: &BTreeSet<usize>) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: FxHashMap<u32, usize> = FxHashMap::default();
        for place in operations {
            let group = match self.life.get(place) {
                Some(life) => *known.entry(*life).or_insert(groups.len()),
                None => groups.len(),
            };
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(*place);
        }
        groups
    }

    /// With all that belongs to the same lives, of these.
    pub(super) fn with_lives(
        &self,
        chosen: &BTreeSet<usize>,
        among: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        let lives: FxHashSet<u32> = chosen
            .iter()
            .filter_map(|place| self.life.get(place).copied())
            .collect();
        let belongs = |place: &usize| {
            let life = self.life.get(place);
            life.is_some_and(|life| lives.contains(life))
        };
        let others = among.iter().copied().filter(belongs);
        others.chain(chosen.iter().copied()).collect()
    }

    /// The operations on the objects in question.
    pub(super) fn related(&self) -> &BTreeSet<usize> {
        &self.related
    }

    /// Whether an operation of the part saw a value that somebody wrote, but nobody in the part.
    pub(super) fn has_orphans(&self, part: &Selection) -> bool {
        let written: FxHashSet<u32> = part
            .operations
            .iter()
            .filter_map(|place| self.writes.get(place).copied())
            .collect();
        let mut seen = part
            .operations
            .iter()
            .filter_map(|place| self.sees.get(place));
        seen.any(|value| !written.contains(value))
    }

    /// With the first writer of each value that was seen, and so on.
    pub(super) fn with_writers(&self, mut chosen: BTreeSet<usize>) -> BTreeSet<usize> {
        let mut written: FxHashSet<u32> = chosen
            .iter()
            .filter_map(|place| self.writes.get(place).copied())
            .collect();
        let mut open: Vec<usize> = chosen.iter().copied().collect();
        while let Some(place) = open.pop() {
            let Some(value) = self.sees.get(&place) else {
                continue;
            };
            if written.insert(*value) {
                let writer = self.first[*value as usize];
                chosen.insert(writer);
                open.push(writer);
            }
        }
        chosen
    }

    /// With all who wrote what is listed in what the chosen ones read.
    pub(super) fn with_all_writers(
        &self,
        all: &[Operation<'_>],
        chosen: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        let read = all_listed(all, chosen);
        let mut with = chosen.clone();
        if !read.is_empty() {
            let wrote = |place: &usize| {
                let written = written(&all[*place]);
                written.iter().any(|element| read.contains(element))
            };
            with.extend(self.related.iter().copied().filter(wrote));
        }
        self.with_writers(with)
    }

    /// With those who saw in which order the chosen ones wrote: of each object the first read that shows most of it.
    pub(super) fn with_observers(
        &self,
        all: &[Operation<'_>],
        chosen: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        let own: FxHashSet<Element> = chosen
            .iter()
            .flat_map(|place| written(&all[*place]))
            .collect();
        let mut best: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for place in &self.related {
            let mut shown: BTreeMap<String, usize> = BTreeMap::new();
            for element in listed(&all[*place]) {
                if own.contains(&element) {
                    *shown.entry(element.key).or_default() += 1;
                }
            }
            for (key, count) in shown {
                let most = best.entry(key).or_insert((0, *place));
                if count > most.0 {
                    *most = (count, *place);
                }
            }
        }
        let mut with = chosen.clone();
        with.extend(best.into_values().map(|(_, place)| place));
        self.with_writers(with)
    }

    /// What the chosen ones wrote, of what is listed.
    pub(super) fn listed_of(
        &self,
        all: &[Operation<'_>],
        chosen: impl Iterator<Item = usize>,
        listed: &FxHashSet<Element>,
    ) -> Vec<Element> {
        if listed.is_empty() {
            return Vec::new();
        }
        chosen
            .flat_map(|place| written(&all[place]))
            .filter(|element| listed.contains(element))
            .collect()
    }

    /// What is listed in what the chosen ones read and only others wrote.
    pub(super) fn foreign(
        &self,
        all: &[Operation<'_>],
        chosen: &BTreeSet<usize>,
    ) -> FxHashSet<Element> {
        let mut own: FxHashSet<Element> = FxHashSet::default();
        let mut read: FxHashSet<Element> = FxHashSet::default();
        for place in chosen {
            own.extend(written(&all[*place]));
            read.extend(listed(&all[*place]));
        }
        read.retain(|element| !own.contains(element));
        if read.is_empty() {
            return read;
        }
        let others = self.related.iter().filter(|place| !chosen.contains(place));
        others
            .flat_map(|place| written(&all[*place]))
            .filter(|element| read.contains(element))
            .collect()
    }
}
