//! What can go wrong, when, to whom, and how it is undone.
//!
//! Faults, targets, episodes and schedules are data; a schedule is a pure function of seed and options. The driver
//! carries a schedule out through the trait [`Control`], which the harness implements. This crate never reads what
//! clients saw, and owns no process, socket or file.

pub mod control;
pub mod fault;

pub use control::{Action, Control, Effect, Outcome};
pub use fault::{Episode, Fault, Schedule, Shape, Target};
