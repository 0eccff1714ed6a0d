//! How a read was made, and with it what it is owed.

use crate::history::Operation;
use serde::{Deserialize, Serialize};

/// The three ways to read, as the field `mode` of an invocation names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadMode {
    /// After a write that went through the quorum on the same session: linearizable on every system.
    Fenced,
    /// After a `sync` on the same session: linearizable where the contract says so.
    Sync,
    /// Plain: owes session order only.
    Local,
}

/// The mode of a read; `None` for an operation that is no read, or names no mode (judged as linearizable).
pub(crate) fn read_mode(operation: &Operation<'_>) -> Option<ReadMode> {
    if operation.f() != "read" {
        return None;
    }
    match operation.asked().text("mode") {
        Some("fenced") => Some(ReadMode::Fenced),
        Some("sync") => Some(ReadMode::Sync),
        Some("local") => Some(ReadMode::Local),
        _ => None,
    }
}
