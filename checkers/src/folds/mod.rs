//! Folds: one pass over the operations, and what adds up.
//!
//! Each is judged in about the time that it takes to look at its history once:
//!
//! | fold | what it says |
//! | --- | --- |
//! | [`SetFull`] | the fate of each element of a set that grows: stable, lost, never read; stale for how long |
//! | [`UniqueIds`] | no id was given out twice |
//! | [`TotalQueue`] | what went into a queue came out again |
//! | [`UnhandledErrors`] | which errors left operations indeterminate, and how often |
//! | [`Stats`](crate::Stats) | counts, errors, rates, latencies |

mod set_full;
mod total_queue;
mod unhandled_errors;
mod unique_ids;

pub use set_full::SetFull;
pub use total_queue::TotalQueue;
pub(crate) use unhandled_errors::NAME as UNHANDLED_ERRORS;
pub use unhandled_errors::UnhandledErrors;
pub use unique_ids::UniqueIds;
