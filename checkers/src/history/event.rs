//! One line of a history.

use super::extra::Extra;
use serde::de::{self, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// Nanoseconds since the run's start, by the controller's monotonic clock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// Who acted: a client's process number, or a part of the controller by name (`nemesis`, `controller`).
///
/// A client whose operation became indeterminate, or whose session ended, goes on under process + workers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum Process {
    /// A client process.
    Client(u64),
    /// A part of the controller: `nemesis` or `controller`.
    Named(Arc<str>),
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Process, D::Error> {
        deserializer.deserialize_any(ProcessVisitor)
    }
}

struct ProcessVisitor;

impl Visitor<'_> for ProcessVisitor {
    type Value = Process;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a process: a whole number from 0, or `nemesis` or `controller`")
    }
    fn visit_u64<E: de::Error>(self, process: u64) -> Result<Process, E> {
        Ok(Process::Client(process))
    }
    fn visit_i64<E: de::Error>(self, process: i64) -> Result<Process, E> {
        let process = u64::try_from(process).map_err(|_| {
            E::custom(format!(
                "process {process} is below 0: processes count from 0"
            ))
        })?;
        Ok(Process::Client(process))
    }
    fn visit_str<E: de::Error>(self, name: &str) -> Result<Process, E> {
        Ok(Process::Named(name.into()))
    }
}

/// What kind of event a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An operation begins.
    Invoke,
    /// The server answered; an answer that is an error carries `error` and is an observation too.
    Ok,
    /// It certainly did not happen: never sent, or refused before it could be proposed.
    Fail,
    /// Indeterminate: it may have happened, may still happen, or never will. Lines of named processes are `info` too.
    Info,
}

/// One line of a history, in Jepsen's conventions.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position in the global order, from 0.
    pub index: u64,
    /// When: nanoseconds since the run's start.
    pub time: Nanos,
    /// Who.
    pub process: Process,
    /// Invocation, completion, or information (`type` on the line).
    pub kind: Kind,
    /// The function: `read`, `write`, `cas`, `add`, …; or the fault's or the controller's word.
    pub f: Arc<str>,
    /// The independent object, where a history has several; absent on the line where there is none.
    pub key: Option<Arc<str>>,
    /// Argument of an invocation, result of a completion. Always written, `null` when there is none.
    pub value: Value,
    /// Everything else on the line (`server`, `session`, `zxid`, `version`, `error`, …), kept as it was.
    pub extra: Extra,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &self.index)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("process", &self.process)?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("f", &*self.f)?;
        if let Some(key) = &self.key {
            map.serialize_entry("key", &**key)?;
        }
        map.serialize_entry("value", &self.value)?;
        self.extra.serialize_into(&mut map)?;
        map.end()
    }
}
