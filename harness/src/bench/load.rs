//! Clients that work as fast as they are answered.
//!
//! Each client has a connection of its own, to the servers in turn, a znode of its own that it writes, and keeps a fixed
//! number of requests outstanding. An operation counts when it was sent and answered within the measured time; its latency is from
//! the moment when it was handed to the socket. An error ends the measurement: a load that loses clients is another load.
//! `drive` is how they do it.

use super::Options;
use super::drive::{Client, Script, drive, histogram};
use super::rows::Row;
use super::side::Side;
use crate::failure::Failure;
use keelhaul_workloads::Server;
use keelhaul_workloads::wire::frame::{FrameLimits, framed};
use keelhaul_workloads::wire::request::ANY_VERSION;
use keelhaul_workloads::wire::{ConnectOptions, Connection, CreateMode, ErrorCode, Request};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Under this znode everything of a bench stands.
const ROOT: &str = "/keelhaul-bench";

/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Most requests that are in flight while znodes are made or deleted.
const BATCH: usize = 500;

/// What clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many clients.
    pub clients: usize,
    /// Requests that each keeps outstanding.
    pub outstanding: usize,
    /// How many of a hundred are reads; the others are writes.
    pub reads_percent: u32,
}

/// How to connect for load.
pub(super) fn connect_options() -> ConnectOptions {
    ConnectOptions {
        session_timeout: Duration::from_secs(30),
        connect_timeout: ANSWER,
        limits: FrameLimits::default(),
    }
}

/// A znode of the bench.
pub(super) fn path(name: impl std::fmt::Display) -> String {
    format!("{ROOT}/{name}")
}

/// Makes the znodes that clients work on.
pub(super) async fn prepare(side: &Side, options: &Options) -> Result<(), Failure> {
    let clients = most_clients(options);
    let create = |path: String, data: Vec<u8>| Request::Create {
        path,
        data,
        mode: CreateMode::Persistent,
    };
    let root = std::iter::once(create(ROOT.to_owned(), Vec::new()));
    let own = (0..clients).map(|client| create(path(client), vec![0; options.value_bytes]));
    send_through(&side.servers[0], root.chain(own), ErrorCode::NodeExists).await
}

/// Deletes them again.
pub(super) async fn clear(side: &Side, options: &Options) -> Result<(), Failure> {
    let delete = |path: String| Request::Delete {
        path,
        version: ANY_VERSION,
    };
    let own = (0..most_clients(options)).map(|client| delete(path(client)));
    let root = std::iter::once(delete(ROOT.to_owned()));
    send_through(&side.servers[0], own.chain(root), ErrorCode::NoNode).await
}

fn most_clients(options: &Options) -> usize {
    let loads = options
        .figures
        .iter()
        .filter_map(|figure| match figure.kind {
            super::figures::Kind::Load(load) => Some(load.clients),
            _ => None,
        });
    loads.max().unwrap_or(1)
}

/// Sends requests through one connection, many at a time; `forgiven` is no error.
pub(super) async fn send_through(
    server: &Server,
    requests: impl Iterator<Item = Request>,
    forgiven: ErrorCode,
) -> Result<(), Failure> {
    let mut connection = connect(server).await?;
    let mut requests = requests.peekable();
    while requests.peek().is_some() {
        let batch: Vec<Request> = requests.by_ref().take(BATCH).collect();
        let deadline = Instant::now() + ANSWER;
        let sent = connection.send_all(&batch, deadline).await;
        sent.map_err(|error| trouble(server, &error))?;
        for request in &batch {
            let reply = connection.receive(deadline).await;
            let reply = reply.map_err(|error| trouble(server, &error))?;
            match reply.result {
                Err(code) if code != forgiven => {
                    return Err(trouble(server, &format!("{code:?} for {request:?}")));
                }
                _ => {}
            }
        }
    }
    // The session may as well expire.
    let _ = connection.close(Instant::now() + ANSWER).await;
    Ok(())
}

pub(super) async fn connect(server: &Server) -> Result<Connection, Failure> {
    let connection = Connection::open(server, None, &connect_options()).await;
    connection.map_err(|error| trouble(server, &error))
}

pub(super) fn trouble(server: &Server, error: &dyn std::fmt::Display) -> Failure {
    Failure::Machinery(format!(
        "the bench cannot go on with {} at {}: {error}",
        server.name, server.address
    ))
}

/// Measures a load once: operations a second, latencies, and of a cluster of the bench's own what the servers spent on an operation.
pub(super) async fn measure(
    load: &Load,
    name: &str,
    side: &Side,
    options: &Options,
    round: u32,
) -> Result<Vec<(Row, f64)>, Failure> {
    let clients = open(load, side, options, round).await?;
    let begin = Instant::now() + options.warm_up;
    let end = begin + options.duration;
    let script = Arc::new(script(load, options, round, (begin, end))?);
    let mut threads = JoinSet::new();
    for clients in shares(clients) {
        let script = script.clone();
        threads.spawn_blocking(move || drive(clients, &script));
    }
    tokio::time::sleep_until(begin).await;
    let before = processor_time(side)?;
    tokio::time::sleep_until(end).await;
    let spent = processor_time(side)?;
    let mut all = histogram();
    while let Some(ended) = threads.join_next().await {
        let latencies = ended.map_err(|error| Failure::Machinery(error.to_string()))??;
        all.add(latencies)
            .expect("all histograms have the same bounds");
    }
    let rate = all.len() as f64 / options.duration.as_secs_f64();
    let quantile = |share| all.value_at_quantile(share) as f64 / 1_000.0;
    let mut rows = vec![
        (Row::new(name, "1/s"), rate),
        (Row::new(format!("{name} p50"), "ms"), quantile(0.5)),
        (Row::new(format!("{name} p99"), "ms"), quantile(0.99)),
    ];
    if let (Some(before), Some(spent), false) = (before, spent, all.is_empty()) {
        let each = 1e6 * (spent - before) / all.len() as f64;
        rows.push((Row::new(format!("{name} servers' CPU"), "µs"), each));
    }
    Ok(rows)
}

/// What the servers have had of the processors, if they are the bench's own.
fn processor_time(side: &Side) -> Result<Option<f64>, Failure> {
    let started = side.started.as_ref();
    started
        .map(super::system::Started::processor_time)
        .transpose()
}

/// Opens every client's connection, spread over the servers.
async fn open(
    load: &Load,
    side: &Side,
    options: &Options,
    round: u32,
) -> Result<Vec<Client>, Failure> {
    let mut opening = JoinSet::new();
    for number in 0..load.clients {
        let server = side.servers[number % side.servers.len()].clone();
        let random = random(options.seed, round, number);
        opening.spawn(async move {
            let connection = connect(&server).await?;
            let socket = connection.into_socket();
            let socket = socket.map_err(|error| trouble(&server, &error))?;
            Ok::<_, Failure>((number, Client::new(server, socket, number, random)))
        });
    }
    let mut clients = Vec::with_capacity(load.clients);
    while let Some(opened) = opening.join_next().await {
        clients.push(opened.map_err(|error| Failure::Machinery(error.to_string()))??);
    }
    clients.sort_by_key(|(number, _)| *number);
    Ok(clients.into_iter().map(|(_, client)| client).collect())
}

/// The clients of each thread: for the servers as many processors are left as the clients have.
fn shares(clients: Vec<Client>) -> Vec<Vec<Client>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (processors / 2).clamp(1, clients.len().max(1));
    let mut shares: Vec<Vec<Client>> = (0..threads).map(|_| Vec::new()).collect();
    for (number, client) in clients.into_iter().enumerate() {
        shares[number % threads].push(client);
    }
    shares
}

fn script(
    load: &Load,
    options: &Options,
    round: u32,
    (begin, end): (Instant, Instant),
) -> Result<Script, Failure> {
    let longest = FrameLimits::default().outgoing;
    let frame = |request: &Request| {
        framed(&request.encode(0), longest).ok_or_else(|| {
            let bytes = options.value_bytes;
            Failure::Usage(format!(
                "values of {bytes} bytes are too long: a request has at most {longest}"
            ))
        })
    };
    let value = vec![u8::try_from(round % 256).expect("below 256"); options.value_bytes];
    let read = |of| frame(&Request::GetData { path: path(of) });
    let write = |of| {
        frame(&Request::SetData {
            path: path(of),
            data: value.clone(),
            version: ANY_VERSION,
        })
    };
    Ok(Script {
        load: *load,
        reads: (0..load.clients).map(read).collect::<Result<_, _>>()?,
        writes: (0..load.clients).map(write).collect::<Result<_, _>>()?,
        farewell: frame(&Request::CloseSession)?,
        begin: begin.into_std(),
        end: end.into_std(),
    })
}

fn random(seed: u64, round: u32, client: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream((u64::from(round) << 32) | client as u64);
    random
}
