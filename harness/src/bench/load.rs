//! Clients that work as fast as they are answered.
//!
//! Each client has a connection of its own, to the servers in turn, a znode of its own that it writes, and keeps a fixed
//! number of requests outstanding. An operation counts when its answer came within the measured time; its latency is from
//! the moment when it was handed to the socket. An error ends the measurement: a load that loses clients is another load.

use super::Options;
use super::rows::Row;
use super::side::Side;
use crate::failure::Failure;
use hdrhistogram::Histogram;
use keelhaul_workloads::Server;
use keelhaul_workloads::wire::request::ANY_VERSION;
use keelhaul_workloads::wire::{
    ConnectOptions, Connection, CreateMode, ErrorCode, Reply, Request, frame::FrameLimits,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Under this znode everything of a bench stands.
const ROOT: &str = "/keelhaul-bench";

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

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

fn trouble(server: &Server, error: &dyn std::fmt::Display) -> Failure {
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
    let connections = open(load, side).await?;
    let begin = Instant::now() + options.warm_up;
    let end = begin + options.duration;
    let mut clients = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let client = Client {
            connection,
            load: *load,
            number,
            value: vec![u8::try_from(round % 256).expect("below 256"); options.value_bytes],
            random: random(options.seed, round, number),
            begin,
            end,
            latencies: histogram(),
        };
        clients.spawn(client.work());
    }
    tokio::time::sleep_until(begin).await;
    let before = processor_time(side)?;
    tokio::time::sleep_until(end).await;
    let spent = processor_time(side)?;
    let mut all = histogram();
    while let Some(ended) = clients.join_next().await {
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
async fn open(load: &Load, side: &Side) -> Result<Vec<Connection>, Failure> {
    let mut opening = JoinSet::new();
    for client in 0..load.clients {
        let server = side.servers[client % side.servers.len()].clone();
        opening.spawn(async move { (client, connect(&server).await) });
    }
    let mut connections = Vec::with_capacity(load.clients);
    while let Some(opened) = opening.join_next().await {
        let (client, connection) = opened.map_err(|error| Failure::Machinery(error.to_string()))?;
        connections.push((client, connection?));
    }
    connections.sort_by_key(|(client, _)| *client);
    Ok(connections
        .into_iter()
        .map(|(_, connection)| connection)
        .collect())
}

fn random(seed: u64, round: u32, client: usize) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream((u64::from(round) << 32) | client as u64);
    random
}

/// Microseconds up to a minute, three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are legal")
}

struct Client {
    connection: Connection,
    load: Load,
    number: usize,
    value: Vec<u8>,
    random: ChaCha8Rng,
    begin: Instant,
    end: Instant,
    latencies: Histogram<u64>,
}

impl Client {
    async fn work(mut self) -> Result<Histogram<u64>, Failure> {
        let mut sent = VecDeque::with_capacity(self.load.outstanding);
        let mut free = self.load.outstanding;
        let mut batch = Vec::with_capacity(free);
        while Instant::now() < self.end {
            batch.clear();
            batch.extend((0..free).map(|_| self.request()));
            let now = Instant::now();
            let deadline = now + ANSWER;
            let done = self.connection.send_all(&batch, deadline).await;
            done.map_err(|error| trouble(self.connection.server(), &error))?;
            sent.extend(std::iter::repeat_n(now, free));
            free = 0;
            let first = self.connection.receive(deadline).await;
            let first = first.map_err(|error| trouble(self.connection.server(), &error))?;
            self.answered(&first, &mut sent)?;
            free += 1;
            while let Some(reply) = self.next_arrived()? {
                self.answered(&reply, &mut sent)?;
                free += 1;
            }
        }
        // What is still outstanding is not counted. The session may as well expire.
        let _ = self.connection.close(Instant::now() + ANSWER).await;
        Ok(self.latencies)
    }

    fn next_arrived(&mut self) -> Result<Option<Reply>, Failure> {
        let arrived = self.connection.arrived();
        arrived.map_err(|error| trouble(self.connection.server(), &error))
    }

    fn answered(&mut self, reply: &Reply, sent: &mut VecDeque<Instant>) -> Result<(), Failure> {
        if let Err(code) = &reply.result {
            return Err(trouble(self.connection.server(), &format!("{code:?}")));
        }
        let since = sent
            .pop_front()
            .expect("a connection answers only what was sent");
        let now = Instant::now();
        if since >= self.begin && now <= self.end {
            let micros = u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(micros);
        }
        Ok(())
    }

    fn request(&mut self) -> Request {
        let reads = self.load.reads_percent;
        let is_read = reads > 0 && (reads >= 100 || self.random.next_u32() % 100 < reads);
        if is_read {
            let of = self.random.next_u32() as usize % self.load.clients;
            return Request::GetData { path: path(of) };
        }
        Request::SetData {
            path: path(self.number),
            data: self.value.clone(),
            version: ANY_VERSION,
        }
    }
}
