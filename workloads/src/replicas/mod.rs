//! Are the replicas identical at the end?
//!
//! One reader for each server is opened first (opening a session is a write); then one write goes through the quorum;
//! then each whole tree is read by local reads, bracketed by `srvr`: the comparison stands only if every node was at one
//! and the same zxid before and after. Else all of it is done again, until the limit. `/zookeeper` is left out: nodes
//! keep there what is their own.
//!
//! - `tree`: reading one whole tree.
//! - `diff`: comparing trees; pure.

mod diff;
mod tree;

use crate::options::Server;
use crate::probe;
use crate::steps;
use crate::wire::frame::FrameLimits;
use crate::wire::{ConnectOptions, Connection, Zxid};
use diff::Tree;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a single question to a node may take.
const QUESTION: Duration = Duration::from_secs(2);
/// How long nodes get to apply the one write, and how often they are asked.
const SETTLE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(20);
/// The readers' session time-out: readers do not ping while others read.
const SESSION: Duration = Duration::from_secs(30);

/// What the comparison found: the value of the history's `replicas` line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether all trees are the same; `None` if they could not be compared.
    pub equal: Option<bool>,
    /// Why they could not be compared.
    pub reason: Option<String>,
    /// The zxid at which all trees were read; 0 if they were not.
    pub zxid: Zxid,
    /// Each node's tree in short, by name.
    pub nodes: BTreeMap<String, ReplicaDigest>,
    /// Paths that differ, at most 100, in order.
    pub differences: Vec<Difference>,
}

/// A whole tree in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplicaDigest {
    /// Znodes compared.
    pub znodes: u64,
    /// SHA-256 over paths, data and Stats, in hex.
    pub digest: String,
}

/// A path at which the replicas differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The path.
    pub path: String,
    /// What each node has there; `null` where the znode is missing.
    pub nodes: BTreeMap<String, serde_json::Value>,
}

/// Reads and compares the whole trees of all servers at one zxid; tried again until the limit.
///
/// Call it when the cluster has recovered and no session of the test is at work any more.
pub async fn compare(servers: &[Server], limit: Duration) -> Comparison {
    let deadline = Instant::now() + limit;
    let mut readers = Vec::new();
    let comparison = loop {
        match compare_once(servers, &mut readers, deadline).await {
            Ok(comparison) => break comparison,
            Err(why) if Instant::now() + PAUSE >= deadline => break not_compared(limit, &why),
            Err(_) => sleep(PAUSE).await,
        }
    };
    for reader in readers {
        // A session that cannot be closed now expires by itself.
        let _ = reader.close(Instant::now() + QUESTION).await;
    }
    comparison
}

fn not_compared(limit: Duration, why: &str) -> Comparison {
    Comparison {
        equal: None,
        reason: Some(format!(
            "not comparable within {limit:?}; the last try: {why}"
        )),
        zxid: Zxid::default(),
        nodes: BTreeMap::new(),
        differences: Vec::new(),
    }
}

/// One try; why it did not stand. Readers that still can be used are kept for the next one: opening them anew is a write.
async fn compare_once(
    servers: &[Server],
    readers: &mut Vec<Connection>,
    deadline: Instant,
) -> Result<Comparison, String> {
    readers.retain(|reader| !reader.is_spent());
    for server in servers {
        if readers.iter().all(|reader| reader.server() != server) {
            readers.push(open(server).await?);
        }
    }
    let first = readers.first_mut().ok_or("there is no server")?;
    steps::fence(first, Instant::now() + QUESTION)
        .await
        .map_err(|no_answer| format!("no write went through the quorum: {}", no_answer.detail))?;
    let zxid = settled_zxid(servers, deadline).await?;
    let trees = read_all(readers, deadline).await?;
    let after = common_zxid(servers).await?;
    if after != zxid {
        return Err(format!(
            "the trees moved from {zxid} to {after} while they were read"
        ));
    }
    Ok(diff::compare(zxid, &trees))
}

async fn open(server: &Server) -> Result<Connection, String> {
    let options = ConnectOptions {
        session_timeout: SESSION,
        connect_timeout: QUESTION,
        limits: FrameLimits::default(),
    };
    Connection::open(server, None, &options)
        .await
        .map_err(|error| error.to_string())
}

/// The zxid that every node has applied, once they agree.
async fn settled_zxid(servers: &[Server], deadline: Instant) -> Result<Zxid, String> {
    let until = deadline.min(Instant::now() + SETTLE);
    loop {
        match common_zxid(servers).await {
            Err(_) if Instant::now() < until => sleep(GLANCE).await,
            settled => return settled,
        }
    }
}

/// The zxid that every node has applied, if it is one.
async fn common_zxid(servers: &[Server]) -> Result<Zxid, String> {
    let mut common: Option<(Zxid, &str)> = None;
    for server in servers {
        let srvr = probe::srvr(server.address, QUESTION)
            .await
            .map_err(|error| format!("{}: {error}", server.name))?;
        match common {
            Some((zxid, other)) if zxid != srvr.zxid => {
                let (name, at) = (&server.name, srvr.zxid);
                return Err(format!("{other} is at {zxid} and {name} at {at}"));
            }
            _ => common = Some((srvr.zxid, &server.name)),
        }
    }
    common
        .map(|(zxid, _)| zxid)
        .ok_or_else(|| "there is no server".to_owned())
}

/// All trees, read side by side; the readers come back with them.
async fn read_all(
    readers: &mut Vec<Connection>,
    deadline: Instant,
) -> Result<BTreeMap<String, Tree>, String> {
    let mut reading = JoinSet::new();
    for mut reader in readers.drain(..) {
        reading.spawn(async move {
            let tree = tree::read(&mut reader, deadline).await;
            (reader, tree)
        });
    }
    let mut trees = BTreeMap::new();
    let mut failed = None;
    for (reader, tree) in reading.join_all().await {
        let name = reader.server().name.clone();
        match tree {
            Ok(tree) => {
                trees.insert(name, tree);
                readers.push(reader);
            }
            // Answers may still be on their way to a reader that gave up: it is of no more use.
            Err(why) => failed = Some(format!("{name}: {why}")),
        }
    }
    match failed {
        None => Ok(trees),
        Some(why) => Err(why),
    }
}
