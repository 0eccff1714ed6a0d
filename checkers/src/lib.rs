//! Histories of operations, and what they prove.
//!
//! Pure: no sockets, no clock, no threads of its own, no randomness outside tests. The only I/O is reading and
//! writing histories through `Read` and `Write`. The same history under the same [`Budget`] (without a deadline) gets
//! the same [`Verdict`], always.

mod describe;
pub mod history;
pub mod linear;
pub mod models;
mod reads;
mod registry;
mod results;
pub mod verdict;

pub use history::{Event, Extra, History, HistoryError, Kind, Nanos, Note, Operation, Process};
pub use reads::ReadMode;
pub use registry::{CheckerInfo, Parameters, by_name, list};
pub use results::{Checked, Results, Validity, merge};
pub use verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
