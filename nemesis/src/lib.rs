//! What can go wrong, when, to whom, and how it is undone.
//!
//! Faults, targets, episodes and schedules are data ([`fault`]); a schedule is a pure function of seed and options
//! ([`plan`]); what a symbolic target means is a pure function of a draw, the nodes and the leader ([`resolve`]). The
//! [`driver`] carries a schedule out through the trait [`Control`], which the harness implements. This crate never reads
//! what clients saw, and owns no process, socket or file.

pub mod connectivity;
pub mod control;
pub mod driver;
pub mod fault;
pub mod kind;
pub mod plan;
pub mod resolve;

mod lines;
mod shapes;

pub use control::{Action, Control, Effect, Outcome};
pub use fault::{Episode, Fault, NodeName, Schedule, Shape, Target};
pub use kind::{FaultKind, UnknownKind};
pub use plan::ScheduleOptions;
