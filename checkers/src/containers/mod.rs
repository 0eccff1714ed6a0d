//! Containers, locks, sets and counters in about n log n: what their models try before the general search.
//!
//! Each file proves one thing about one kind of object, over calls with their first and last line:
//!
//! | file | object | exact without indeterminate gets | exact with them |
//! | --- | --- | --- | --- |
//! | `bag` | unordered queue | yes | yes |
//! | `fifo` | first in, first out | yes | where no get found nothing |
//! | `priority` | the best comes out first | yes | no |
//! | `stack` | last in, first out | yes | no |
//! | `toggle` | mutex without owners; one element of a set; unit semaphore | yes | yes |
//! | `holds` | mutexes with owners, reentrant or fenced | yes | yes |
//! | `counter` | a sum of equal steps | yes | yes |
//!
//! All of the four containers need every value to be put at most once, and say so where that does not hold ([`crate::linear::Quick::Open`]).
//! Indeterminate puts never stand in the way: one whose value came out happened, one whose value did not can be left out.
//!
//! What makes containers easy is the *definite interval* of a value: from the line at which its put had returned to the line
//! at which its get was invoked it was inside, whatever the order. Between two neighbouring lines (a *slot*) in which no value
//! is definitely inside, the container can be empty, and it can be empty in all such slots at once.
//! Sources: Emmi & Enea, "Sound, complete, and tractable linearizability monitoring for concurrent collections" (POPL 2018);
//! Lee & Mathur, "Efficient decrease-and-conquer linearizability monitoring" (2024); Gibbons & Korach, "Testing shared
//! memories" (1997).
//!
//! `chain` and `trie` hold the states of the general search: a queue of thousands of values costs a few words more than the
//! queue that it was before its last call.

mod bag;
mod chain;
mod counter;
mod cover;
mod fifo;
mod holds;
mod pairs;
mod priority;
mod stack;
mod suffix;
mod toggle;
mod trie;

pub(crate) use bag::judge as bag;
pub use chain::Chain;
pub use counter::Counted;
pub(crate) use counter::judge as counter;
pub(crate) use fifo::judge as fifo;
pub(crate) use holds::{Grip, judge as holds};
pub(crate) use priority::judge as priority_queue;
pub(crate) use stack::judge as stack;
pub(crate) use toggle::{Flip, judge as toggle};
pub use trie::Trie;

use crate::linear::Contradiction;

/// A call to a container, with what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call<V> {
    /// A put that took effect (or may have).
    Put(V),
    /// A get that gave this value.
    Got(V),
    /// A get that found nothing.
    Empty,
    /// A get of unknown outcome: it took what it would have been given, or nothing, or never happened.
    Took,
}

/// When an operation was in flight, by lines: it took effect after `inv` and before `ret`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) inv: u64,
    /// [`FOREVER`] for one that may still take effect.
    pub(crate) ret: u64,
    /// Its place among the history's operations.
    pub(crate) operation: u32,
}

/// After every line.
pub(crate) const FOREVER: u64 = u64::MAX;

/// When what never came out is taken to come out.
pub(crate) const END: u64 = u64::MAX - 1;

/// How a container is spoken of.
pub(crate) struct Telling<'a, V> {
    /// "enqueued"
    pub(crate) put: &'static str,
    /// "dequeued"
    pub(crate) got: &'static str,
    /// The value in words.
    pub(crate) name: &'a dyn Fn(V) -> String,
}

impl<V> Telling<'_, V> {
    fn name(&self, value: V) -> String {
        (self.name)(value)
    }
}

/// A line as contradictions have it.
fn line(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A contradiction that one pass found.
fn refutation(text: String, operations: Vec<u32>, at: u64) -> Contradiction {
    Contradiction::refutation(text, operations, line(at))
}

/// A contradiction that needed the whole picture.
fn zones(text: String, operations: Vec<u32>, at: u64) -> Contradiction {
    Contradiction::zones(text, operations, line(at))
}

/// Of two contradictions the one that was there first; ties go to the one that was found first.
fn earlier(found: &mut Option<Contradiction>, other: Contradiction) {
    if found.as_ref().is_none_or(|found| other.at < found.at) {
        *found = Some(other);
    }
}
