//! Client connections: bytes in, requests out; replies in, bytes out. Nothing is decided here.
//!
//! Bytes that make no sense end their connection, with a line in the log. Connections over TLS have a thread of their own:
//! handshakes cost so much that a flood of them would stop everybody else.

use super::complaints::Complaints;
use super::door::{Door, Place};
use super::event::{ConnectionId, Event};
use super::metrics::Metrics;
use super::stream::{ReadHalf, Stream, WriteHalf};
use crate::config::Limits;
use crate::jute::{ConnectRequest, Frame, Garbage, Request, Word, next_frame};
use crate::tls::names;
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::ready;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_rustls::rustls::ServerConfig;

/// How much is read from a socket at a time, at least while a frame is under way.
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
    /// The subject of the certificate that it has shown.
    pub(super) subject: Option<String>,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
    /// Says that the engine has dropped its end.
    _dropped: oneshot::Sender<()>,
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
    #[error("no TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("it said nothing for {0} ms")]
    Silent(u64),
    #[error("it had not said what it wants when others came")]
    Evicted,
    #[error("it left more than {0} bytes unread")]
    Drowned(usize),
    #[error("it did not read its last answers for {0} ms")]
    Deaf(u64),
    #[error("the node stops")]
    Stopping,
}

/// Accepts connections, for ever.
pub(super) async fn listen(listener: TcpListener, door: Arc<Door>, tls: Option<Arc<ServerConfig>>) {
    let mut connections = tokio::task::JoinSet::new();
    let complaints = Arc::new(Mutex::new(Complaints::default()));
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must end before there is a next one.
                tracing::warn!(%error, "cannot accept a client");
                door.shed();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some((place, evicted)) = door.enter(address) else {
            continue;
        };
        match address.ip().to_canonical().is_loopback() {
            true => door.metrics.local_connections.inc(),
            false => door.metrics.remote_connections.inc(),
        }
        let (door, tls, complaints) = (door.clone(), tls.clone(), complaints.clone());
        connections.spawn(async move {
            let result = serve(stream, tls.as_ref(), address, &place, evicted, &door).await;
            door.metrics.connection_drop_count.inc();
            if let Err(problem) = result {
                tell(&problem, address, &door.metrics, &complaints);
            }
        });
    }
}

/// Says why a connection ended; what its own end could do ten thousand times a second is said once a minute.
fn tell(problem: &Closed, client: SocketAddr, metrics: &Metrics, complaints: &Mutex<Complaints>) {
    match problem {
        Closed::Garbage(garbage) => {
            if matches!(garbage, Garbage::Length { length, .. } if *length > 0) {
                metrics.large_requests_rejected.inc();
            }
            tracing::warn!(%client, %problem, "closed: garbage");
        }
        Closed::Handshake(_) => {
            metrics.unsuccessful_handshake.inc();
            let mut complaints = complaints.lock().expect("nobody panics while he holds it");
            if let Some(times) = complaints.about(client.ip(), Instant::now()) {
                tracing::warn!(%client, %problem, times, "closed; not said again for a minute");
            }
        }
        _ => tracing::debug!(%client, %problem, "closed"),
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    address: SocketAddr,
    place: &Place,
    evicted: oneshot::Receiver<()>,
    door: &Door,
) -> Result<(), Closed> {
    let (limits, metrics, events, id) =
        (&door.config.limits, &door.metrics, &door.events, place.id);
    let mut buffer = BytesMut::new();
    let greeting = async {
        let opened = Stream::accept(stream, tls).await;
        let mut stream = opened.map_err(match tls {
            Some(_) => Closed::Handshake,
            None => Closed::Io,
        })?;
        let said = greet(&mut stream.read, &mut buffer, limits.frame_bytes).await?;
        Ok::<_, Closed>((stream, said))
    };
    let patience = Duration::from_millis(limits.greeting_ms);
    let silent = || {
        metrics.sessionless_connections_expired.inc();
        Closed::Silent(limits.greeting_ms)
    };
    let (stream, said) = tokio::select! {
        greeting = tokio::time::timeout(patience, greeting) => greeting.map_err(|_| silent())??,
        _ = evicted => return Err(Closed::Evicted),
    };
    place.greeted();
    let Stream {
        mut read,
        mut write,
        certificate,
        ..
    } = stream;
    let request = match said {
        Greeting::Gone => return Ok(()),
        Greeting::Word(word) => {
            let answering = answer_word(word, &mut write, events);
            let answered = tokio::time::timeout(patience, answering).await;
            return answered.map_err(|_| Closed::Deaf(limits.greeting_ms))?;
        }
        Greeting::Connect(request) => request,
    };
    let Some(_slot) = place.slot(address) else {
        return Ok(());
    };
    let (out, replies) = mpsc::unbounded_channel();
    let (unsent, abort) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (dropped, engine_is_gone) = oneshot::channel();
    let link = ClientLink {
        out,
        unsent: unsent.clone(),
        limit: limits.unsent_bytes,
        event_limit: limits.unsent_event_bytes,
        abort: abort.clone(),
        address,
        subject: certificate.as_ref().and_then(names::subject),
        secure: tls.is_some(),
        _dropped: dropped,
    };
    drop(certificate);
    send(events, Event::Connect { id, link, request }).await?;
    let outstanding = Semaphore::new(limits.outstanding);
    // Who does not read its last answers must not stay for ever.
    let deaf = async {
        let _ = engine_is_gone.await;
        tokio::time::sleep(patience).await;
    };
    let result = tokio::select! {
        result = read_requests(&mut read, buffer, id, limits, &outstanding, metrics, events) => result,
        result = write_replies(&mut write, replies, id, limits, &unsent, &outstanding, events) => result,
        () = abort.notified() => Err(Closed::Drowned(limits.unsent_event_bytes)),
        () = deaf => Err(Closed::Deaf(limits.greeting_ms)),
    };
    send(events, Event::Gone(id)).await?;
    result
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
    read: &mut ReadHalf,
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
        if read_some(read, buffer).await? == 0 {
            return Ok(Greeting::Gone);
        }
    }
}

/// Reads what is there, at least one byte unless the other side has closed. Nothing is held while nothing comes: an idle
/// connection needs no buffer.
async fn read_some(read: &mut ReadHalf, buffer: &mut BytesMut) -> io::Result<usize> {
    if !buffer.is_empty() {
        buffer.reserve(READ);
        return read.read_buf(buffer).await;
    }
    *buffer = BytesMut::new();
    poll_fn(|context| {
        let mut scratch = [MaybeUninit::uninit(); READ];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut *read).poll_read(context, &mut scratch))?;
        buffer.extend_from_slice(scratch.filled());
        Ok(scratch.filled().len()).into()
    })
    .await
}

async fn answer_word(
    word: Word,
    write: &mut WriteHalf,
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
    read: &mut ReadHalf,
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
        let bytes = read_some(read, &mut buffer).await?;
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
    write: &mut WriteHalf,
    mut replies: mpsc::UnboundedReceiver<Flush>,
    id: ConnectionId,
    limits: &Limits,
    unsent: &AtomicUsize,
    outstanding: &Semaphore,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    while let Some(Flush { bytes, replies }) = replies.recv().await {
        write.write_all(&bytes).await?;
        write.flush().await?;
        outstanding.add_permits(replies);
        let before = unsent.fetch_sub(bytes.len(), Ordering::Relaxed);
        if before >= limits.unsent_bytes && before - bytes.len() < limits.unsent_bytes {
            send(events, Event::Drained(id)).await?;
        }
    }
    Ok(write.shutdown().await?)
}
