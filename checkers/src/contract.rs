//! What each system owes under which faults: a table.
//!
//! A promise that is not owed is never an anomaly: its breach is reported as outside the contract. A combination of faults
//! without a row is not known to owe anything, and what depends on it is unknown.

use crate::history::Nanos;

/// What is owed while some faults are active, and after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Answers agree with one order: linearizable writes and fenced reads, session order for plain reads.
    pub safety: bool,
    /// What was acknowledged stays.
    pub durability: bool,
    /// A read after `sync` is linearizable.
    pub sync_reads: bool,
    /// While a majority of the nodes runs and is connected, reads and writes succeed again within this time.
    pub liveness: Option<Nanos>,
    /// After the last heal every node serves within the run's recovery limit, and the replicas become equal.
    pub recovery: bool,
}

/// What the zxid in a read's reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyZxid {
    /// The prefix that the read shows, exactly.
    OfTheRead,
    /// What was applied when the reply was made: writes of other sessions may have come in between.
    SinceTheRead,
}

/// One row: a system, the faults that may be active, and what is owed then.
struct Row {
    system: &'static str,
    /// Any subset of these, on any number of nodes.
    faults: &'static [&'static str],
    owed: Owed,
}

const SECOND: u64 = 1_000_000_000;

/// A node notices a silent leader within 0.8 s and elects within 0.1 s; a client's retry and a busy machine take the rest. It
/// must stay below the length of the episodes that schedules have, or no dead cluster would ever be noticed by it.
const LIVENESS_OF_THE_NODE: Nanos = Nanos(5 * SECOND / 2);

/// Apache ZooKeeper notices a silent leader by its tick, which is longer.
const LIVENESS_OF_ZOOKEEPER: Nanos = Nanos(5 * SECOND);

const ROWS: &[Row] = &[
    Row {
        system: "keelhaul-node",
        faults: &["kill", "pause", "partition"],
        owed: Owed {
            safety: true,
            durability: true,
            sync_reads: true,
            liveness: Some(LIVENESS_OF_THE_NODE),
            recovery: true,
        },
    },
    // Apache ZooKeeper answers a sync without asking a quorum: a deposed leader may answer it from old data.
    Row {
        system: "zookeeper",
        faults: &["kill", "pause", "partition"],
        owed: Owed {
            safety: true,
            durability: true,
            sync_reads: false,
            liveness: Some(LIVENESS_OF_ZOOKEEPER),
            recovery: true,
        },
    },
];

/// What the system owes under these kinds of fault; `None` where no row covers them.
pub fn owed(system: &str, faults: &[&str]) -> Option<Owed> {
    let covers =
        |row: &&Row| row.system == system && faults.iter().all(|fault| row.faults.contains(fault));
    ROWS.iter().find(covers).map(|row| row.owed)
}

/// All contracts by name, each once: that of the system that has it.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = ROWS.iter().map(|row| row.system).collect();
    names.dedup();
    names
}

/// Whether a read after `sync` is linearizable under every row of the system.
pub fn owes_sync_reads(system: &str) -> bool {
    ROWS.iter()
        .filter(|row| row.system == system)
        .all(|row| row.owed.sync_reads)
}

/// What the zxid in a read's reply says on this system.
pub fn reply_zxid(system: &str) -> ReplyZxid {
    match system {
        "keelhaul-node" => ReplyZxid::OfTheRead,
        // Apache ZooKeeper stamps the reply after the read, and applies other sessions' writes beside it.
        _ => ReplyZxid::SinceTheRead,
    }
}
