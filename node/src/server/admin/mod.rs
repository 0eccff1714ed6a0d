//! The admin server: ZooKeeper's `/commands/*` as JSON, `/metrics` for Prometheus, and the stream of alerts, over HTTP.
//!
//! It carries questions to the engine and answers back; `commands` and `answers` are the engine's part. Nobody is
//! authenticated, and nothing here changes data: it listens on loopback unless it is told otherwise.
//!
//! Bounds: so many connections at a time (the next ones wait), so many of them streams; a request's head must come in time and
//! is short; whoever does not read is cut off; an answer is made when it is asked for, and goes when it is sent.

mod answers;
mod commands;
mod lines;
mod patient;

pub(super) use commands::Command;

use super::NodeError;
use super::engine::Engine;
use super::event::Event;
use super::port::Port;
use crate::config::{Admin, NodeConfig};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lines::Lines;
use patient::Patient;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at a time, on each port.
const CONNECTIONS: usize = 16;

/// How many of them may be streams, on both ports together.
const STREAMS: usize = 8;

/// How long a request's head, an answer of the engine, and each step of sending may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const HEAD: usize = 16 << 10;

/// What somebody asks the engine.
#[derive(Debug)]
pub(super) enum Question {
    /// One of ZooKeeper's commands, by name.
    Command(String),
    /// All metrics, as Prometheus reads them.
    Metrics,
}

/// Alerts as lines of JSON: what is sent here goes to everybody who listens at `/alerts`.
pub(super) type AlertLines = broadcast::Sender<Arc<str>>;

/// The ports, taken before the node starts.
#[derive(Debug)]
pub(super) struct Ports {
    admin: Option<Port>,
    metrics: Option<Port>,
}

impl Ports {
    /// Takes what the configuration names. The port that ZooKeeper's configuration implies may be another's.
    pub(super) fn take(config: &NodeConfig) -> Result<Ports, NodeError> {
        let Admin {
            address,
            metrics_address,
            address_is_implied,
            ..
        } = &config.admin;
        let admin = match take(*address, "operators", "admin.address") {
            Err(problem) if *address_is_implied => {
                tracing::warn!(%problem, "there is no admin server");
                None
            }
            result => result?,
        };
        let metrics = take(*metrics_address, "Prometheus", "admin.metrics_address")?;
        if let (Some(_), Some(address)) = (&admin, address) {
            tracing::info!(%address, url = config.admin.command_url, "admin server");
        }
        Ok(Ports { admin, metrics })
    }

    /// Serves on them, for ever.
    pub(super) fn serve(
        self,
        tasks: &mut JoinSet<()>,
        events: &mpsc::Sender<Event>,
        engine: &Engine,
    ) -> Result<(), NodeError> {
        let url = &engine.config.admin.command_url;
        let shared = Shared {
            events: events.clone(),
            alerts: engine.alert_lines.clone(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            url: url.as_str().into(),
        };
        let metrics = Router::new().route("/metrics", get(metrics));
        if let Some(port) = self.metrics {
            tasks.spawn(listen(
                port.listen()?,
                metrics.clone().with_state(shared.clone()),
            ));
        }
        if let Some(port) = self.admin {
            let all = metrics
                .route(url, get(index))
                .route(&format!("{url}/"), get(index))
                .route(&format!("{url}/{{name}}"), get(command))
                .route("/alerts", get(stream));
            tasks.spawn(listen(port.listen()?, all.with_state(shared)));
        }
        Ok(())
    }
}

fn take(
    address: Option<SocketAddr>,
    whom: &'static str,
    key: &'static str,
) -> Result<Option<Port>, NodeError> {
    address
        .map(|address| Port::take(whom, key, address))
        .transpose()
}

/// What all requests share.
#[derive(Debug, Clone)]
struct Shared {
    events: mpsc::Sender<Event>,
    alerts: AlertLines,
    streams: Arc<Semaphore>,
    url: Arc<str>,
}

async fn listen(listener: TcpListener, routes: Router) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = slots
            .clone()
            .acquire_owned()
            .await
            .expect("nobody closes it");
        match listener.accept().await {
            Ok((stream, address)) => {
                let routes = routes.clone();
                connections.spawn(async move {
                    if let Err(problem) = serve(stream, routes).await {
                        tracing::debug!(%address, %problem, "connection of an operator ended");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an operator");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(
            TokioIo::new(Patient::new(stream, PATIENCE)),
            TowerToHyperService::new(routes),
        )
        .await
}

impl Shared {
    /// The engine's answer.
    async fn ask(&self, question: Question) -> Result<Bytes, Response> {
        let (answer, text) = oneshot::channel();
        let asking = async {
            self.events
                .send(Event::Question { question, answer })
                .await
                .ok()?;
            text.await.ok()
        };
        match timeout(PATIENCE, asking).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(unavailable("the server stops\n")),
            Err(_) => Err(unavailable("the server is too busy to answer\n")),
        }
    }
}

fn unavailable(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn index(State(shared): State<Shared>) -> Html<String> {
    let link = |name: &str| {
        format!(
            "<a href=\"{url}/{name}\">{name}</a>\n<br/>\n",
            url = shared.url
        )
    };
    Html(Command::names().map(link).collect())
}

async fn command(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    match shared.ask(Question::Command(name)).await {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(problem) => problem,
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.ask(Question::Metrics).await {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(problem) => problem,
    }
}

/// Every alert from now on, a line of JSON each, until the client leaves. Who reads too slowly misses some, and is told how many.
async fn stream(State(shared): State<Shared>) -> Response {
    let Ok(place) = shared.streams.clone().try_acquire_owned() else {
        return unavailable("as many listen already as may\n");
    };
    let lines = Lines::new(shared.alerts.subscribe(), place);
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::new(lines),
    )
        .into_response()
}
