//! Faults, targets, episodes and schedules, as data.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Name of a node: `n1`, `n2`, …
pub type NodeName = String;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// kill -9; the heal starts the node again on the same data.
    Kill,
    /// SIGSTOP; the heal is SIGCONT.
    Pause,
    /// Links between nodes are cut; the heal opens them.
    Partition {
        /// Which links.
        shape: Shape,
    },
}

/// The form of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A random majority and the rest cannot reach each other.
    Halves,
    /// The target, alone.
    Isolate,
    /// Every node sees a majority, but no two see the same one.
    MajoritiesRing,
    /// Two halves that meet only in one node.
    Bridge,
    /// The target's outgoing links are cut; it still hears the others.
    Mute,
    /// The target's incoming links are cut; the others still hear it.
    Deaf,
}

/// Whom it hits. Symbolic targets are resolved when the fault is installed, and what they resolved to is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The node that leads then; skipped if none leads within 2 s.
    Leader,
    /// One node, drawn.
    One,
    /// Fewer than half of the nodes, drawn.
    Minority,
    /// More than half of the nodes, drawn.
    Majority,
    /// All nodes.
    All,
    /// A node by name.
    Node(NodeName),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Leader => "leader",
            Target::One => "one",
            Target::Minority => "minority",
            Target::Majority => "majority",
            Target::All => "all",
            Target::Node(name) => name,
        })
    }
}

/// A fault with its target, start and length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// Position in the schedule, from 0.
    pub id: u32,
    /// What.
    pub fault: Fault,
    /// Whom.
    pub target: Target,
    /// When it is installed: milliseconds since the work phase began.
    pub start_ms: u64,
    /// How long it is held: milliseconds.
    pub length_ms: u64,
    /// Seed of the draws that resolving the target needs (which one, which halves).
    pub draw: u64,
}

/// The episodes of a run, by start. They may be replayed and shrunk: nothing else decides what is broken when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Ordered by `start_ms`.
    pub episodes: Vec<Episode>,
}
