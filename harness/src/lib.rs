//! The controller: starts a cluster, lets clients work on it, breaks it on purpose, mends it, and judges the history.
//!
//! It owns every mechanism: the processes (`supervisor`, `cluster`), the links between them (`links`), the run
//! directory (`store`) and what undoes each fault (`undo`). What can go wrong and when comes from keelhaul-nemesis, what
//! clients do from keelhaul-workloads, and what a history proves from keelhaul-checkers: this crate never judges.

pub mod alarm;
pub mod aside;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod control;
pub mod exit;
pub mod failure;
pub mod identity;
pub mod junit;
pub mod links;
pub mod names;
pub mod plan;
pub mod ports;
pub mod report;
pub mod roles;
pub mod run;
pub mod stall;
pub mod store;
pub mod supervisor;
pub mod system;
pub mod undo;

pub use exit::Exit;
pub use failure::Failure;
