//! What the driver asks of whoever owns the mechanisms.

use crate::fault::NodeName;
use serde::{Deserialize, Serialize};
use std::future::Future;

/// A fault with its target resolved: what exactly is done, to exactly whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// kill -9 these nodes; healing starts them again.
    Kill {
        /// Whom.
        nodes: Vec<NodeName>,
    },
    /// SIGSTOP these nodes; healing is SIGCONT.
    Pause {
        /// Whom.
        nodes: Vec<NodeName>,
    },
    /// Cut these ordered pairs: no byte crosses from the first to the second. Healing opens them.
    Cut {
        /// The links, (from, to).
        links: Vec<(NodeName, NodeName)>,
    },
}

/// What became of installing or healing a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// It is in place.
    Installed,
    /// It was not attempted, and why.
    Skipped(String),
    /// It may be in place, wholly or in part, and why that is not known.
    Indeterminate(String),
    /// It is undone.
    Healed,
}

/// What was seen of a fault from outside while it was in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Whether the effect was seen.
    pub observed: bool,
    /// What was looked at: "process 4711 of n2 is gone", "3120 bytes were held back on 4 cut links".
    pub detail: String,
}

/// The mechanisms, as the driver sees them. The harness implements it.
///
/// Every method returns; none panics for a fault that cannot be installed: it says so in its [`Outcome`].
pub trait Control: Send + Sync {
    /// All nodes, in order.
    fn nodes(&self) -> Vec<NodeName>;
    /// The node that leads now, as the controller's own poll saw it last; `None` if none does or it is not known.
    fn leader(&self) -> Option<NodeName>;
    /// Installs the fault; its undo is durable before the first step is taken.
    fn install(&self, episode: u32, action: &Action) -> impl Future<Output = Outcome> + Send;
    /// Looks from outside whether the installed fault has its effect (called while it is in place, before the heal).
    fn observe(&self, episode: u32, action: &Action) -> impl Future<Output = Effect> + Send;
    /// Undoes the fault. Idempotent.
    fn heal(&self, episode: u32, action: &Action) -> impl Future<Output = Outcome> + Send;
    /// Whether more than half of the nodes run, unstopped, and are mutually connected (both ways, as a clique or
    /// through one node that reaches a majority) by what the controller has installed now.
    fn majority_connected(&self) -> bool;
    /// Records a nemesis line (`value` as DESIGN.md's history line has it).
    fn record(&self, f: &str, value: serde_json::Value);
}
