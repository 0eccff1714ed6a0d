//! The plan: all that is decided before a run begins, and enough to run it again.

use crate::cluster::NodeBinary;
use crate::failure::Failure;
use crate::store::RunDirectory;
use keelhaul_checkers::{Nanos, Parameters, ReadMode};
use keelhaul_nemesis::{FaultKind, Schedule, ScheduleOptions};
use keelhaul_workloads::{Reads, WorkloadOptions};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

mod notes;
mod validate;

/// The most nodes that one host is asked to run.
pub const MOST_NODES: u16 = 15;
/// The most workers: each has a session, and a connection through a proxy.
pub const MOST_WORKERS: u64 = 1_000;
/// The most keys that are worked on at a time: each is a znode, and a history of its own.
pub const MOST_KEYS: u64 = 10_000;
/// Operations per second of all workers together, at least and at most, where they are limited.
pub const SMALLEST_RATE: f64 = 0.001;
/// See [`SMALLEST_RATE`].
pub const LARGEST_RATE: f64 = 1_000_000.0;
/// The longest of all times: a day, in milliseconds.
pub const LONGEST_MS: u64 = 24 * 60 * 60 * 1_000;
/// The shortest recovery limit: milliseconds.
pub const SHORTEST_RECOVERY_MS: u64 = 1_000;
/// The longest name of a test, which is a directory's: characters.
pub const LONGEST_TEST_NAME: usize = 100;

/// What the user asked for, by the names of the options; durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// How many nodes: 1 to 15.
    pub nodes: u16,
    /// The workload's name.
    pub workload: String,
    /// Kinds of fault; empty for none.
    pub nemesis: Vec<FaultKind>,
    /// How long the work lasts: milliseconds.
    pub time_limit_ms: u64,
    /// Operations per second of all workers together; 0: as fast as answers come.
    pub rate: f64,
    /// How many workers.
    pub workers: u64,
    /// How many keys are worked on at a time.
    pub keys: u64,
    /// What stands before each read.
    pub reads: Reads,
    /// Within how long every node must serve again after the last heal: milliseconds.
    pub recovery_limit_ms: u64,
    /// A planted bug that every node shows.
    pub bug: Option<String>,
}

/// A run, before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The test's name, which is its directory in the store.
    pub test: String,
    /// Version of the harness.
    pub version: String,
    /// The seed of all that is chosen at random.
    pub seed: u64,
    /// What was asked for.
    pub options: Options,
    /// The nodes' program.
    pub node: NodeBinary,
    /// What is tested.
    pub system: String,
    /// What it owes, by name.
    pub contract: String,
    /// What is broken when.
    pub schedule: Schedule,
    /// Who judges.
    pub checkers: Vec<String>,
}

impl Options {
    /// The test's name: workload and faults.
    pub fn test(&self) -> String {
        let mut parts = vec![self.workload.as_str()];
        match self.nemesis.is_empty() {
            true => parts.push("none"),
            false => parts.extend(self.nemesis.iter().map(|kind| kind.name())),
        }
        if let Some(bug) = &self.bug {
            parts.extend(["bug", bug]);
        }
        parts.join("-")
    }

    /// How long the work lasts.
    pub fn time_limit(&self) -> Duration {
        Duration::from_millis(self.time_limit_ms)
    }

    /// Within how long every node must serve again.
    pub fn recovery_limit(&self) -> Duration {
        Duration::from_millis(self.recovery_limit_ms)
    }

    /// What the workload is told.
    pub fn for_workload(&self) -> WorkloadOptions {
        WorkloadOptions {
            keys: self.keys,
            reads: self.reads,
            ..WorkloadOptions::default()
        }
    }

    /// What the schedule is made for.
    pub fn for_schedule(&self) -> ScheduleOptions {
        ScheduleOptions {
            kinds: self.nemesis.clone(),
            nodes: self.nodes.into(),
            time_limit_ms: self.time_limit_ms,
        }
    }

    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// A sentence that names the option, its value and what is possible.
    pub fn validate(&self) -> Result<(), Failure> {
        validate::options(self)
    }
}

impl Plan {
    /// Reads a recorded plan: a `plan.json`, or a run directory that has one.
    ///
    /// # Errors
    /// If there is none, or it is not a plan.
    pub fn read(path: &Path) -> Result<Plan, Failure> {
        let path = match path.is_dir() {
            true => RunDirectory::existing(path)?.plan(),
            false => path.to_owned(),
        };
        let text =
            std::fs::read_to_string(&path).map_err(Failure::input("read the plan", &path))?;
        Plan::parse(&text).map_err(|failure| {
            Failure::Usage(format!(
                "{} is not a plan that can be run: {failure}; a plan is the plan.json of a run directory, or what `keelhaul run --dry-run` prints",
                path.display()
            ))
        })
    }

    /// Reads a plan's text, and refuses what cannot be run.
    ///
    /// # Errors
    /// If it is not a plan, or says what cannot be; a sentence that names it.
    pub fn parse(text: &str) -> Result<Plan, Failure> {
        let plan: Plan =
            serde_json::from_str(text).map_err(|error| Failure::Usage(error.to_string()))?;
        validate::plan(&plan)?;
        Ok(plan)
    }

    /// Names of the nodes, in order.
    pub fn nodes(&self) -> Vec<String> {
        (1..=self.options.nodes)
            .map(|id| format!("n{id}"))
            .collect()
    }

    /// What the checkers must know of the run beside its history.
    pub fn parameters(&self) -> Parameters {
        let reads = match self.options.reads {
            Reads::Fenced => ReadMode::Fenced,
            Reads::Sync => ReadMode::Sync,
            Reads::Local => ReadMode::Local,
        };
        Parameters {
            nodes: self.nodes(),
            recovery_limit: Nanos(self.options.recovery_limit_ms * 1_000_000),
            faults: self
                .options
                .nemesis
                .iter()
                .map(ToString::to_string)
                .collect(),
            reads: Some(reads),
            contract: self.contract.clone(),
            ..Parameters::default()
        }
    }

    /// The command that runs this plan again.
    pub fn again(&self, run: &RunDirectory) -> String {
        format!("keelhaul run --plan {}", run.plan().display())
    }
}
