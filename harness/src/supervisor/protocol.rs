//! What controller and supervisor say to each other: one JSON object a line, requests one way, messages the other.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A request, with the number that its answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the controller; never used twice.
    pub id: u64,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// What the supervisor can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Command {
    /// Start this node's process, in a process group of its own.
    Start {
        /// The node's name; it must have no process now.
        node: String,
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Where its standard output is appended.
        stdout: PathBuf,
        /// Where its standard error is appended.
        stderr: PathBuf,
    },
    /// Send this node's process group a signal.
    Signal {
        /// The node's name.
        node: String,
        /// Which signal.
        signal: NodeSignal,
    },
}

/// The signals that nodes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeSignal {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
}

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum Message {
    /// The node was started.
    Started {
        /// Of which request.
        id: u64,
        /// The node's name.
        node: String,
        /// Its process id.
        pid: u32,
    },
    /// The signal was sent.
    Signalled {
        /// Of which request.
        id: u64,
    },
    /// The request could not be carried out.
    Refused {
        /// Of which request.
        id: u64,
        /// Why.
        reason: String,
    },
    /// A node's process ended. Comes after its `Started`.
    Exited {
        /// The node's name.
        node: String,
        /// The process id that it had.
        pid: u32,
        /// Its exit code, if it ended by itself.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
}
