//! Client connections: bytes in, requests out; replies in, bytes out. Nothing is decided here.
//!
//! Bytes that make no sense end their connection, with a line in the log.

use super::event::{ConnectionId, Event};
use super::metrics::Metrics;
use crate::config::{Limits, NodeConfig};
use crate::jute::{ConnectRequest, Frame, Garbage, Request, Word, next_frame};
use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

/// How much is read from a socket at a time, at least.
const READ: usize = 8 << 10;

/// Replies that go out together.
#[derive(Debug)]
struct Flush {
    bytes: Bytes,
    replies: usize,
}

/// The engine's end of a connection. The connection is closed when it is dropped and everything is sent.
#[derive(Debug)]
pub(super) struct ClientLink {
    out: mpsc::UnboundedSender<Flush>,
    unsent: Arc<AtomicUsize>,
    limit: usize,
    event_limit: usize,
    abort: Arc<Notify>,
    /// Where the client is.
    pub(super) address: SocketAddr,
}

impl ClientLink {
    /// Sends so many replies.
    pub(super) fn send(&self, bytes: Bytes, replies: usize) {
        self.unsent.fetch_add(bytes.len(), Ordering::Relaxed);
        // If the connection is gone, the engine hears of it by an event.
        let _ = self.out.send(Flush { bytes, replies });
    }

    /// How many bytes it may leave unread.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes are on their way to it.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// How many bytes it may leave unread, events included.
    pub(super) fn event_limit(&self) -> usize {
        self.event_limit
    }

    /// Closes the connection at once, with what is not sent.
    pub(super) fn abort(&self) {
        self.abort.notify_one();
    }

    /// Whether the client must read before it gets more; [`Event::Drained`] says when it has.
    pub(super) fn is_full(&self) -> bool {
        self.unsent() >= self.limit
    }
}

/// Why a connection ends early.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("{0}")]
    Garbage(#[from] Garbage),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it said nothing for {0} ms")]
    Silent(u64),
    #[error("it left more than {0} bytes unread")]
    Drowned(usize),
    #[error("the node stops")]
    Stopping,
}

/// How many connections each address has.
type Places = Arc<Mutex<FxHashMap<IpAddr, usize>>>;

/// A connection's place among those of its address; given back when it is dropped.
struct Place {
    places: Places,
    address: IpAddr,
}

impl Place {
    /// `None` if the address has as many connections as it may; 0 is no limit.
    fn take(places: &Places, address: IpAddr, limit: usize) -> Option<Place> {
        let mut counts = places.lock().expect("nobody panics while he holds it");
        let count = counts.entry(address).or_default();
        if limit > 0 && *count >= limit {
            return None;
        }
        *count += 1;
        Some(Place {
            places: places.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.lock().expect("nobody panics while he holds it");
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Accepts connections, for ever.
pub(super) async fn listen(
    listener: TcpListener,
    config: Arc<NodeConfig>,
    metrics: Arc<Metrics>,
    events: mpsc::Sender<Event>,
) {
    let slots = Arc::new(Semaphore::new(config.limits.connections));
    let places = Places::default();
    let mut connections = tokio::task::JoinSet::new();
    for number in 0.. {
        while connections.try_join_next().is_some() {}
        let slot = slots
            .clone()
            .acquire_owned()
            .await
            .expect("nobody closes it");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must end before there is a next one.
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let limit = config.limits.connections_per_address;
        let Some(place) = Place::take(&places, address.ip(), limit) else {
            metrics.connection_rejected.inc();
            tracing::warn!(client = %address, limit, "refused: too many connections from its address");
            continue;
        };
        match address.ip().to_canonical().is_loopback() {
            true => metrics.local_connections.inc(),
            false => metrics.remote_connections.inc(),
        }
        let (config, metrics, events) = (config.clone(), metrics.clone(), events.clone());
        connections.spawn(async move {
            let result = serve(
                stream,
                address,
                ConnectionId(number),
                &config.limits,
                &metrics,
                &events,
            )
            .await;
            metrics.connection_drop_count.inc();
            match result {
                Ok(()) => tracing::debug!(client = %address, "closed"),
                Err(Closed::Garbage(problem)) => {
                    if matches!(problem, Garbage::Length { length, .. } if length > 0) {
                        metrics.large_requests_rejected.inc();
                    }
                    tracing::warn!(client = %address, %problem, "closed: garbage")
                }
                Err(problem) => tracing::debug!(client = %address, %problem, "closed"),
            }
            drop((slot, place));
        });
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    id: ConnectionId,
    limits: &Limits,
    metrics: &Metrics,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    stream.set_nodelay(true)?;
    let (mut read, mut write) = stream.into_split();
    let mut buffer = BytesMut::with_capacity(READ);
    let greeting = greet(&mut read, &mut buffer, limits.frame_bytes);
    let greeting = tokio::time::timeout(Duration::from_millis(limits.greeting_ms), greeting).await;
    let greeting = greeting.map_err(|_| {
        metrics.sessionless_connections_expired.inc();
        Closed::Silent(limits.greeting_ms)
    })??;
    match greeting {
        Greeting::Gone => Ok(()),
        Greeting::Word(word) => answer_word(word, &mut write, events).await,
        Greeting::Connect(request) => {
            let (out, replies) = mpsc::unbounded_channel();
            let (unsent, abort) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
            let link = ClientLink {
                out,
                unsent: unsent.clone(),
                limit: limits.unsent_bytes,
                event_limit: limits.unsent_event_bytes,
                abort: abort.clone(),
                address,
            };
            send(events, Event::Connect { id, link, request }).await?;
            let outstanding = Semaphore::new(limits.outstanding);
            let result = tokio::select! {
                result = read_requests(&mut read, buffer, id, limits, &outstanding, metrics, events) => result,
                result = write_replies(&mut write, replies, id, limits, &unsent, &outstanding, events) => result,
                () = abort.notified() => Err(Closed::Drowned(limits.unsent_event_bytes)),
            };
            send(events, Event::Gone(id)).await?;
            result
        }
    }
}

async fn send(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Closed> {
    events.send(event).await.map_err(|_| Closed::Stopping)
}

enum Greeting {
    Gone,
    Word(Word),
    Connect(ConnectRequest),
}

async fn greet(
    read: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    limit: usize,
) -> Result<Greeting, Closed> {
    loop {
        if let Some(word) = buffer
            .first_chunk::<4>()
            .and_then(|first| Word::parse(*first))
        {
            return Ok(Greeting::Word(word));
        }
        if let Frame::Whole(frame) = next_frame(buffer, limit)? {
            return Ok(Greeting::Connect(ConnectRequest::decode(frame)?));
        }
        if read.read_buf(buffer).await? == 0 {
            return Ok(Greeting::Gone);
        }
    }
}

async fn answer_word(
    word: Word,
    write: &mut OwnedWriteHalf,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    let (answer, text) = oneshot::channel();
    send(events, Event::Word { word, answer }).await?;
    let text = text.await.map_err(|_| Closed::Stopping)?;
    write.write_all(text.as_bytes()).await?;
    Ok(write.shutdown().await?)
}

/// Reads requests until the client closes. Of one connection at most `limits.outstanding` are unanswered.
async fn read_requests(
    read: &mut OwnedReadHalf,
    mut buffer: BytesMut,
    id: ConnectionId,
    limits: &Limits,
    outstanding: &Semaphore,
    metrics: &Metrics,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    let mut came = Instant::now();
    let mut requests = Vec::new();
    loop {
        while let Frame::Whole(frame) = next_frame(&mut buffer, limits.frame_bytes)? {
            let permit = match outstanding.try_acquire() {
                Ok(permit) => permit,
                Err(_) => {
                    // What is decoded must be answered first, or nothing ever makes room.
                    metrics.request_throttle_wait_count.inc();
                    hand_over(id, &mut requests, came, events).await?;
                    outstanding.acquire().await.expect("nobody closes it")
                }
            };
            permit.forget();
            requests.push(Request::decode(frame)?);
        }
        hand_over(id, &mut requests, came, events).await?;
        buffer.reserve(READ);
        let bytes = read.read_buf(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        metrics.bytes_received_count.add(bytes as u64);
        came = Instant::now();
    }
}

async fn hand_over(
    id: ConnectionId,
    requests: &mut Vec<Request>,
    came: Instant,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    if requests.is_empty() {
        return Ok(());
    }
    send(
        events,
        Event::Requests {
            id,
            requests: std::mem::take(requests),
            came,
        },
    )
    .await
}

/// Writes replies until the engine drops its end.
async fn write_replies(
    write: &mut OwnedWriteHalf,
    mut replies: mpsc::UnboundedReceiver<Flush>,
    id: ConnectionId,
    limits: &Limits,
    unsent: &AtomicUsize,
    outstanding: &Semaphore,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    while let Some(Flush { bytes, replies }) = replies.recv().await {
        write.write_all(&bytes).await?;
        outstanding.add_permits(replies);
        let before = unsent.fetch_sub(bytes.len(), Ordering::Relaxed);
        if before >= limits.unsent_bytes && before - bytes.len() < limits.unsent_bytes {
            send(events, Event::Drained(id)).await?;
        }
    }
    Ok(write.shutdown().await?)
}
