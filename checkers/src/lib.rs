//! Histories of operations, and what they prove.
//!
//! Pure: no sockets, no clock, no threads of its own, no randomness outside tests. The only I/O is reading and
//! writing histories through `Read` and `Write`. The same history under the same [`Budget`] (without a deadline) gets
//! the same [`Verdict`], always.

pub mod contract;
mod coverage;
mod describe;
pub mod history;
pub mod linear;
pub mod models;
mod reads;
mod recovery;
mod registry;
mod render;
mod results;
mod session_order;
mod set;
mod stats;
mod timeline;
pub mod verdict;

pub use coverage::Coverage;
pub use history::{Event, Extra, History, HistoryError, Kind, Nanos, Note, Operation, Process};
pub use reads::ReadMode;
pub use recovery::Recovery;
pub use registry::{CheckerInfo, Parameters, by_name, list};
pub use render::render;
pub use results::{Checked, Results, Validity, merge};
pub use session_order::SessionOrder;
pub use set::Set;
pub use stats::Stats;
pub use verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
