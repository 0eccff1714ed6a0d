//! Where history lines go.

use keelhaul_checkers::{Kind, Nanos, Process};
use serde_json::{Map, Value};

/// The history's writer, as those who act see it.
///
/// It stamps index and time under one lock, so the order of calls is the order of lines: call it before the first byte
/// of an operation is handed to the socket, and again as soon as its answer is known.
pub trait Record: Send + Sync {
    /// Records one line; the time that it was stamped with.
    ///
    /// `extra` holds the fields beside the fixed ones (`server`, `session`, `zxid`, `version`, `error`, …).
    fn record(
        &self,
        process: Process,
        kind: Kind,
        f: &str,
        key: Option<&str>,
        value: Value,
        extra: Map<String, Value>,
    ) -> Nanos;
}
