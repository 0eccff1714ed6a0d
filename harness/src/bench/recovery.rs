//! What the loss of a leader costs clients, what a large tree costs in memory, and how soon a server is back.

use super::Options;
use super::load::{connect_options, path, send_through};
use super::rows::Row;
use super::side::Side;
use super::system::Started;
use crate::failure::Failure;
use crate::supervisor::protocol::NodeSignal;
use keelhaul_workloads::wire::request::ANY_VERSION;
use keelhaul_workloads::wire::{ConnectOptions, Connection, CreateMode, ErrorCode, Request};
use keelhaul_workloads::{Server, probe};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
}

/// How long clients may be without an answer at most.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long a client waits for a connection or an answer before it tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries of one client.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a server may take to load or fetch a large tree.
const RESTART: Duration = Duration::from_secs(300);

/// Bytes of each znode of the large tree.
const TREE_VALUE: usize = 100;

/// Znodes under one parent.
const SIBLINGS: u64 = 1_000;

/// Connections that make them.
const MAKERS: u64 = 8;

/// Resident memory of each server.
pub(super) async fn memory(side: &Side) -> Result<Vec<(Row, f64)>, Failure> {
    let memory = side.cluster()?.memory()?;
    let row = || Row::new("memory", "MiB");
    Ok(memory.into_iter().map(|size| (row(), size)).collect())
}

/// Loses the leader again and again: from the signal to the next acknowledged write on another server.
pub(super) async fn leader(
    side: &Side,
    loss: Loss,
    options: &Options,
) -> Result<Vec<(Row, f64)>, Failure> {
    let cluster = side.cluster()?;
    let name = match loss {
        Loss::Kill => "leader-kill",
        Loss::Stop => "leader-stop",
    };
    let mut rows = Vec::new();
    for _ in 0..options.leaders {
        let leader = cluster.leader().await?;
        let others: Vec<Server> = side
            .servers
            .iter()
            .filter(|server| server.name != leader)
            .cloned()
            .collect();
        let lost = Instant::now();
        match loss {
            Loss::Kill => cluster.kill(&leader).await?,
            Loss::Stop => cluster.signal(&leader, NodeSignal::Stop).await?,
        }
        let took = first_write(&others, lost).await?;
        rows.push((Row::new(name, "ms"), took.as_secs_f64() * 1_000.0));
        match loss {
            Loss::Kill => cluster.start_again(&leader).await?,
            Loss::Stop => cluster.signal(&leader, NodeSignal::Continue).await?,
        }
        follows(cluster, &leader, &side.servers).await?;
    }
    Ok(rows)
}

/// Tries to write on each of the servers until one acknowledges a write that was asked for after `lost`; when that was.
async fn first_write(servers: &[Server], lost: Instant) -> Result<Duration, Failure> {
    let mut clients = JoinSet::new();
    for server in servers {
        let server = server.clone();
        clients.spawn(async move {
            while lost.elapsed() < RECOVERY {
                if write_once(&server).await {
                    return Some(lost.elapsed());
                }
                tokio::time::sleep(PAUSE).await;
            }
            None
        });
    }
    while let Some(ended) = clients.join_next().await {
        if let Ok(Some(took)) = ended {
            return Ok(took);
        }
    }
    Err(Failure::Machinery(format!(
        "no write was acknowledged within {RECOVERY:?} of the loss of the leader"
    )))
}

/// One client: a new session, one write.
async fn write_once(server: &Server) -> bool {
    let options = ConnectOptions {
        connect_timeout: PATIENCE,
        ..connect_options()
    };
    let Ok(mut connection) = Connection::open(server, None, &options).await else {
        return false;
    };
    let write = Request::SetData {
        path: path(0),
        data: b"after".to_vec(),
        version: ANY_VERSION,
    };
    let reply = connection.call(&write, Instant::now() + PATIENCE).await;
    reply.is_ok_and(|reply| reply.result.is_ok())
}

/// Waits until a server that was away is in the ensemble again, as a follower that has what the leader has.
async fn follows(cluster: &Started, name: &str, servers: &[Server]) -> Result<(), Failure> {
    let server = servers.iter().find(|server| server.name == name);
    let server = server.expect("the leader is one of the servers");
    let begin = Instant::now();
    while begin.elapsed() < RECOVERY {
        let answer = probe::srvr(server.address, PATIENCE).await;
        if answer.is_ok_and(|srvr| srvr.mode == "follower") && write_once(server).await {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    cluster.serves(name, PATIENCE).await?;
    Err(Failure::node(
        name,
        format!("it serves no writes {RECOVERY:?} after it was started again"),
    ))
}

/// Makes a large tree; memory then, and the restart of a follower from its disk, and wiped.
pub(super) async fn tree(side: &Side, options: &Options) -> Result<Vec<(Row, f64)>, Failure> {
    let cluster = side.cluster()?;
    let begin = Instant::now();
    make_tree(side, options.znodes).await?;
    let mut rows = vec![(Row::new("tree made", "s"), begin.elapsed().as_secs_f64())];
    for size in cluster.memory()? {
        rows.push((Row::new("tree memory", "MiB"), size));
    }
    let leader = cluster.leader().await?;
    let follower = side.servers.iter().find(|server| server.name != leader);
    let follower = follower.ok_or_else(|| {
        Failure::Usage("tree: a restart needs a follower: start at least two servers".to_owned())
    })?;
    for (row, wiped) in [("tree restart", false), ("tree restart wiped", true)] {
        cluster.kill(&follower.name).await?;
        if wiped {
            cluster.wipe(&follower.name)?;
        }
        let begin = Instant::now();
        cluster.start_again(&follower.name).await?;
        cluster.serves(&follower.name, RESTART).await?;
        while !write_once(follower).await {
            if begin.elapsed() > RESTART {
                let problem = format!("no write within {RESTART:?} of its restart");
                return Err(Failure::node(&follower.name, problem));
            }
            tokio::time::sleep(PAUSE).await;
        }
        rows.push((Row::new(row, "s"), begin.elapsed().as_secs_f64()));
    }
    Ok(rows)
}

async fn make_tree(side: &Side, znodes: u64) -> Result<(), Failure> {
    let parents = znodes.div_ceil(SIBLINGS);
    let server = &side.servers[0];
    let all = (0..parents).map(|number| create(parent(number), 0));
    send_through(server, all, ErrorCode::NodeExists).await?;
    let mut makers = JoinSet::new();
    for maker in 0..MAKERS.min(parents) {
        let server = side.servers[maker as usize % side.servers.len()].clone();
        let requests = (maker..parents)
            .step_by(MAKERS as usize)
            .flat_map(move |number| {
                let here = SIBLINGS.min(znodes - number * SIBLINGS);
                (0..here)
                    .map(move |znode| create(format!("{}/n{znode}", parent(number)), TREE_VALUE))
            });
        makers.spawn(async move { send_through(&server, requests, ErrorCode::NodeExists).await });
    }
    while let Some(made) = makers.join_next().await {
        made.map_err(|error| Failure::Machinery(error.to_string()))??;
    }
    Ok(())
}

fn parent(number: u64) -> String {
    path(format_args!("t{number}"))
}

fn create(path: String, size: usize) -> Request {
    Request::Create {
        path,
        data: vec![b'x'; size],
        mode: CreateMode::Persistent,
    }
}
