//! The supervisor: a process of its own that is the parent of all nodes, so that none outlives the controller.
//!
//! `keelhaul` starts itself again under a hidden word; that process is single-threaded and never starts a runtime. It
//! takes requests from a pipe ([`protocol`]), starts and signals nodes, and tells of their ends. When the pipe closes,
//! however the controller died, it kills every node (SIGKILL ends stopped ones too) and leaves. If the supervisor
//! itself is killed, Linux kills the nodes (parent-death signal), and the controller, which sees the pipe close, kills
//! what is left and ends its run as a failure of the harness.
//!
//! It never decides anything: what to start, and when, is the controller's business.

mod client;
pub mod protocol;
mod server;

pub use client::{EndedNode, NodeProcess, Processes, Supervisor, SupervisorError};
pub use server::serve;

/// The hidden first argument under which `keelhaul` is the supervisor.
pub const HIDDEN_WORD: &str = "__supervisor";
