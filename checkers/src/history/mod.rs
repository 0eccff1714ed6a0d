//! The history: what every process invoked and what came back, in one global order.
//!
//! - [`event`](Event): one line; [`extra`](Extra): its fields beyond the common ones;
//! - `line`, `names`: a line of JSON into an event, each word once in memory;
//! - `read`, `write`: whole files, plain or compressed with zstd;
//! - `pair`: invocations with their completions, as [`Operation`]s.

mod event;
mod extra;
mod line;
mod names;
mod pair;
mod read;
mod write;

pub use event::{Event, Kind, Nanos, Process};
pub use extra::Extra;
pub use pair::{Operation, PairError};
pub use read::{HistoryError, Note};

/// A whole history: events in the one global order in which the controller recorded them.
///
/// Times never run backwards; `events[i].index == i`. [`History::read`] refuses a file that breaks this.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The events, ordered by `index`.
    pub events: Vec<Event>,
}
