//! What a workload is: operations as data, made from a seed, and what it learns from their completions.

use crate::options::{Reads, WorkloadOptions};
use crate::outcome::Effect;
use crate::wire::{Answer, ErrorCode};
use serde_json::{Map, Value};
use std::fmt;

/// Everything that the harness makes lies below this znode.
pub const ROOT: &str = "/keelhaul";
/// The znode that a fence's multi checks.
pub const FENCE: &str = "/keelhaul/fence";

/// An independent object: `r1`, `p3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The workload's letter.
    pub letter: char,
    /// Which one.
    pub number: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.letter, self.number)
    }
}

/// What is done to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Create a persistent znode.
    Create {
        /// A parent that may not exist yet and is created first. That is no part of the operation: if it fails, the
        /// operation was never sent.
        parent: Option<String>,
        /// Its path.
        path: String,
        /// Its data.
        data: Vec<u8>,
    },
    /// Set a znode's data.
    Set {
        /// Its path.
        path: String,
        /// The new data.
        data: Vec<u8>,
        /// The version that it must have; `None`: any.
        version: Option<i32>,
    },
    /// Read a znode's data.
    Read {
        /// Its path.
        path: String,
        /// What stands before the read.
        mode: Reads,
    },
    /// Read the names of a znode's children.
    List {
        /// Its path.
        path: String,
        /// What stands before the read.
        mode: Reads,
    },
}

impl Action {
    /// Whether it can change anything that a checker looks at.
    pub fn effect(&self) -> Effect {
        match self {
            Action::Create { .. } | Action::Set { .. } => Effect::Write,
            Action::Read { .. } | Action::List { .. } => Effect::Read,
        }
    }
}

/// An operation: what its history lines say, and what is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The function's name in the history.
    pub f: &'static str,
    /// The object.
    pub key: Key,
    /// The argument, as the history's `value` has it.
    pub value: Value,
    /// More fields of the invocation's line (`expected`, `mode`, `final`); the completion's line repeats them.
    pub extra: Map<String, Value>,
    /// What is done.
    pub action: Action,
}

/// What an answer shows, in the history's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The completion's `value`.
    pub value: Value,
    /// More fields of the completion's line (`version`, `mzxid`).
    pub fields: Map<String, Value>,
}

/// What a generator learns from how its operation ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lesson<'a> {
    /// It was answered.
    Seen(&'a Seen),
    /// It was answered by an error that the state explains.
    Error(ErrorCode),
    /// It certainly did not happen.
    Failed,
    /// It may have happened.
    Indeterminate,
}

/// Which worker a generator is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0 on. It begins at the server with this number, modulo `servers`.
    pub worker: u64,
    /// How many workers there are; at least one.
    pub workers: u64,
    /// How many servers they work at; at least one.
    pub servers: u64,
}

impl Place {
    /// Whether this worker, where a workload asks, does nothing but read: the first at each server does, as long as
    /// half of all workers are left to write.
    ///
    /// A worker at a server that is cut off waits at its first write until the cut is healed or the write times out.
    /// One that reads is still answered by a server that ought to be silent, and shows what that server believes.
    pub fn reads_only(self) -> bool {
        self.worker < self.servers.min(self.workers / 2)
    }
}

/// The source of one worker's operations.
pub trait Generator: Send {
    /// The next operation.
    fn next(&mut self) -> Operation;
    /// How the last one ended.
    fn learn(&mut self, operation: &Operation, lesson: Lesson<'_>);
}

/// Operations and what judges them. One value is shared by all workers of a run.
pub trait Workload: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// Names of the checkers that judge its histories.
    fn checkers(&self) -> Vec<&'static str>;
    /// What it was told.
    fn options(&self) -> &WorkloadOptions;
    /// The znodes that must exist before the work begins, beside [`ROOT`] and [`FENCE`]; parents first.
    fn parents(&self) -> Vec<String>;
    /// The source of one worker's operations. The same seed gives the same choices; which znode a choice meets and what
    /// it is compared with depend on what all workers have seen.
    fn generator(&self, place: Place, seed: u64) -> Box<dyn Generator>;
    /// What an answer to one of its operations shows.
    ///
    /// # Errors
    /// A sentence, if this is no answer to that operation.
    fn seen(&self, operation: &Operation, answer: &Answer) -> Result<Seen, &'static str>;
    /// A fenced read of every object that was touched, with `"final":true`.
    fn final_reads(&self) -> Vec<Operation>;
}
