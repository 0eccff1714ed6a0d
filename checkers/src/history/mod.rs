//! The history: what every process invoked and what came back, in one global order.
//!
//! - [`event`](Event): one line, as recorders write it; [`extra`](Extra): its fields beyond the common ones;
//! - `rows`, `names`, `arena`: the whole history in memory, tens of bytes a line;
//! - `view`, `value`, `pair`: what is seen of it: lines ([`EventRef`]), values ([`ValueRef`]), and invocations with their
//!   completions ([`Operation`]); all of them are `Copy` and refer to the history;
//! - `objects`: a history with keys as one for each object;
//! - `unread`: a history whose reads of `null` say nothing;
//! - `read`, `write`: whole files, in our own form and in Jepsen's; `block`: what is read of a part of one.

mod arena;
mod block;
mod event;
mod extra;
mod names;
mod objects;
mod pair;
mod read;
mod rows;
mod unread;
mod value;
mod view;
mod write;

pub use block::Place;
pub use event::{Event, Kind, Nanos, Process};
pub use extra::Extra;
pub use pair::{Operation, PairError};
pub use read::{HistoryError, Note, ReadOptions};
pub use rows::History;
pub use value::{ListRef, MapRef, ValueRef};
pub use view::EventRef;
pub use write::{Exported, Format};
