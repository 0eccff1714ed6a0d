//! One line of a history, where it lies.

use super::block::Place;
use super::event::{Event, Kind, Nanos, Process};
use super::rows::{NONE, Row};
use super::value::{FieldsRef, ValueRef};
use super::{Extra, History};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// An event of a history: a view that costs nothing to copy.
#[derive(Clone, Copy)]
pub struct EventRef<'h> {
    pub(super) history: &'h History,
    pub(super) place: u32,
}

impl<'h> EventRef<'h> {
    pub(super) fn row(self) -> &'h Row {
        &self.history.rows[self.place as usize]
    }

    /// Position in the global order, from 0.
    pub fn index(self) -> u64 {
        self.history.number(self.place)
    }

    /// When: nanoseconds since the run's start.
    pub fn time(self) -> Nanos {
        Nanos(self.row().time)
    }

    /// Who.
    pub fn process(self) -> &'h Process {
        self.history.processes.get(self.row().process)
    }

    /// Who, by number: its place in [`History::processes`].
    pub fn process_id(self) -> u32 {
        self.row().process
    }

    /// Invocation, completion, or information.
    pub fn kind(self) -> Kind {
        self.row().kind
    }

    /// The function.
    pub fn f(self) -> &'h str {
        self.history.functions.get(u32::from(self.row().f))
    }

    /// The function, by number: its place in [`History::functions`].
    pub fn f_id(self) -> u32 {
        u32::from(self.row().f)
    }

    /// The independent object, where a history has several.
    pub fn key(self) -> Option<&'h str> {
        self.key_id().map(|key| &**self.history.keys.get(key))
    }

    /// The object, by number: its place in [`History::keys`].
    pub fn key_id(self) -> Option<u32> {
        let key = self.row().key;
        (key != NONE).then_some(key)
    }

    /// Argument of an invocation, result of a completion.
    pub fn value(self) -> ValueRef<'h> {
        self.history.value(self.row().value)
    }

    /// Where its value was in the file that it was read from, for messages about it.
    pub fn place(self) -> Option<Place> {
        self.history.place(self.place as usize)
    }

    /// An extra field as a whole number, if it is there and is one.
    pub fn int(self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// An extra field as text, if it is there and is text.
    pub fn text(self, name: &str) -> Option<&'h str> {
        self.get(name)?.as_str()
    }

    /// Whether an extra field is there and is `true`.
    pub fn flag(self, name: &str) -> bool {
        self.get(name).and_then(ValueRef::as_bool) == Some(true)
    }

    /// An extra field, if it is there.
    pub fn get(self, name: &str) -> Option<ValueRef<'h>> {
        self.fields()?.get(name)
    }

    /// All extra fields in the order of the line.
    pub fn extra(self) -> impl Iterator<Item = (&'h str, ValueRef<'h>)> {
        self.fields().into_iter().flat_map(FieldsRef::iter)
    }

    /// The event by itself.
    pub fn to_event(self) -> Event {
        let extra: Extra = self
            .extra()
            .map(|(name, value)| (name, value.to_json()))
            .collect();
        Event {
            index: self.index(),
            time: self.time(),
            process: self.process().clone(),
            kind: self.kind(),
            f: self.history.functions.get(u32::from(self.row().f)).clone(),
            key: self.key_id().map(|key| self.history.keys.get(key).clone()),
            value: self.value().to_json(),
            extra,
        }
    }

    fn fields(self) -> Option<FieldsRef<'h>> {
        self.history.fields(self.row().extra)
    }
}

impl PartialEq for EventRef<'_> {
    /// Whether they say the same.
    fn eq(&self, other: &EventRef<'_>) -> bool {
        self.index() == other.index()
            && self.time() == other.time()
            && self.kind() == other.kind()
            && self.process() == other.process()
            && self.f() == other.f()
            && self.key() == other.key()
            && self.value() == other.value()
            && self.extra().eq(other.extra())
    }
}

impl Serialize for EventRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &self.index())?;
        if !self.history.is_timeless {
            map.serialize_entry("time", &self.time())?;
        }
        map.serialize_entry("process", &self.process())?;
        map.serialize_entry("type", &self.kind())?;
        map.serialize_entry("f", self.f())?;
        if let Some(key) = self.key() {
            map.serialize_entry("key", key)?;
        }
        map.serialize_entry("value", &self.value())?;
        for (name, value) in self.extra() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
