//! One line of a history.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Nanoseconds since the run's start, by the controller's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// Who acted: a client's process number, or a part of the controller by name (`nemesis`, `controller`).
///
/// A client whose operation became indeterminate, or whose session ended, goes on under process + workers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Process {
    /// A client process.
    Client(u64),
    /// A part of the controller: `nemesis` or `controller`.
    Named(Arc<str>),
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the global order, from 0.
    pub index: u64,
    /// When: nanoseconds since the run's start.
    pub time: Nanos,
    /// Who.
    pub process: Process,
    /// Invocation, completion, or information.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The function: `read`, `write`, `cas`, `add`, …; or the fault's or the controller's word.
    pub f: Arc<str>,
    /// The independent object, where a history has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// Argument of an invocation, result of a completion. Always written, `null` when there is none.
    #[serde(default)]
    pub value: Value,
    /// Everything else on the line (`server`, `session`, `zxid`, `version`, `error`, …), kept as it was.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
