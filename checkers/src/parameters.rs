//! What checkers must know beside the history.

use crate::history::Nanos;
use crate::reads::ReadMode;
use serde::{Deserialize, Serialize};

/// What some checkers must know of the run beside its history. Checkers that need none of it ignore it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// Every node's name, in the order of the cluster (`n1`, `n2`, …); empty where it is not known.
    pub nodes: Vec<String>,
    /// Within how long after the final heal every node must serve again, in nanoseconds.
    pub recovery_limit: Nanos,
    /// The kinds of fault that were asked for: `kill`, `pause`, `partition`.
    pub faults: Vec<String>,
    /// How the workload reads, where it is known.
    pub reads: Option<ReadMode>,
    /// The contract by name: what the system owes under which faults.
    pub contract: String,
    /// The consistency models that transactions must keep, by name or alias; or the names of anomalies that must not be. Empty:
    /// strict serializable.
    pub consistency: Vec<String>,
    /// What may be taken for granted when the versions of registers are put in order: `wfr-keys`, `sequential-keys`,
    /// `linearizable-keys`, or `none`. Empty: what the asked consistency models imply. `fragment` beside them: the history may be a part
    /// of a longer one, so that one value of a key may stand there from before it.
    pub assume: Vec<String>,
    /// The state of every object before the first operation, in the model's own form; the model's usual one if not given.
    pub initial: Option<serde_json::Value>,
    /// What a read that answered `null` says of a register.
    pub null_reads: NullReads,
}

/// What a read that answered `null` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullReads {
    /// That the value was `null`.
    #[default]
    Value,
    /// Nothing: as Knossos's models take `:ok :read nil`.
    Unknown,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            nodes: Vec::new(),
            recovery_limit: Nanos(30_000_000_000),
            faults: Vec::new(),
            reads: None,
            contract: "keelhaul-node".to_owned(),
            consistency: Vec::new(),
            assume: Vec::new(),
            initial: None,
            null_reads: NullReads::Value,
        }
    }
}
