//! The history: what every process invoked and what came back, in one global order.

mod event;

pub use event::{Event, Kind, Nanos, Process};

/// A whole history: events in the one global order in which the controller recorded them.
///
/// Times never run backwards; `events[i].index == i`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The events, ordered by `index`.
    pub events: Vec<Event>,
}
