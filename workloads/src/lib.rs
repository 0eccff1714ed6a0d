//! What clients do, the wire client that does it, and which checkers judge it.
//!
//! - A [`Workload`] makes operations, as data, from a seed, and learns from their completions: `register`, `set`.
//! - A worker ([`run_worker`]) carries them out through the raw client of [`wire`] and records what came back, sorted by
//!   the one table in [`outcome`].
//! - Around the work: [`prepare`] before it, [`read_back`], [`probe`] and [`replicas`] after it.
//!
//! Never knows which fault is active, never judges what it saw, and writes history lines only through [`Record`].

pub mod failure;
pub mod meter;
pub mod options;
pub mod outcome;
pub mod probe;
pub mod record;
pub mod registry;
pub mod replicas;
pub mod wire;
pub mod worker;
pub mod workload;

mod pace;
mod perform;
mod readback;
mod register;
mod roam;
mod set;
mod setup;
mod slots;
mod steps;
mod stream;
#[cfg(test)]
mod tests;

pub use failure::HarnessFailure;
pub use meter::{Meter, Snapshot};
pub use options::{Reads, Server, WorkloadOptions};
pub use readback::{ReadBack, read_back};
pub use record::Record;
pub use registry::{UnknownWorkload, WorkloadInfo, build, list};
pub use setup::{PrepareError, prepare};
pub use worker::{WorkerSetup, WorkerSummary, run_worker};
pub use workload::Workload;
