//! Client connections: bytes in, requests out; for the way back see [`super::outbox`]. Nothing is decided here.
//!
//! Bytes that make no sense end their connection, with a line in the log once a minute. Connections over TLS have a thread of their own:
//! handshakes cost so much that a flood of them would stop everybody else.

use super::complaints::Complaints;
use super::door::{Door, Place};
use super::event::{ConnectionId, Event};
use super::listener::Listener;
use super::metrics::Metrics;
use super::outbox::{Backlog, BacklogLimits, Unsent, outbox};
use super::stream::{ReadHalf, Stream, WriteHalf};
use crate::jute::{ConnectRequest, Frame, Garbage, Request, Word, next_frame};
use crate::tls::names;
use bytes::BytesMut;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::ready;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::rustls::ServerConfig;

/// How much is read from a socket at a time, at least while a frame is under way.
const READ: usize = 8 << 10;

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
    #[error(transparent)]
    Unsent(#[from] Unsent),
    #[error("the node stops")]
    Stopping,
}

/// What was said of whom; of either kind by itself.
#[derive(Default)]
struct Said {
    garbage: Complaints,
    handshakes: Complaints,
}

/// Accepts connections, for ever.
pub(super) async fn listen(
    mut listener: Listener,
    door: Arc<Door>,
    tls: Option<Arc<ServerConfig>>,
) {
    let mut connections = tokio::task::JoinSet::new();
    let complaints = Arc::new(Mutex::new(Said::default()));
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
fn tell(problem: &Closed, client: SocketAddr, metrics: &Metrics, said: &Mutex<Said>) {
    let mut said = said.lock().expect("nobody panics while he holds it");
    let complaints = match problem {
        Closed::Garbage(garbage) => {
            if matches!(garbage, Garbage::Length { length, .. } if *length > 0) {
                metrics.large_requests_rejected.inc();
            }
            &mut said.garbage
        }
        Closed::Handshake(_) => {
            metrics.unsuccessful_handshake.inc();
            &mut said.handshakes
        }
        _ => return tracing::debug!(%client, %problem, "closed"),
    };
    if let Some(times) = complaints.about(client.ip(), Instant::now()) {
        tracing::warn!(%client, %problem, times, "closed; not said again for a minute");
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
        direct,
        certificate,
        ..
    } = stream;
    let request = match said {
        Greeting::Gone => return Ok(()),
        Greeting::Word(word) => {
            let answering = answer_word(word, &mut write, events);
            let answered = tokio::time::timeout(patience, answering).await;
            return answered.map_err(|_| Unsent::Deaf(patience))?;
        }
        Greeting::Connect(request) => request,
    };
    let Some(_slot) = place.slot(address) else {
        return Ok(());
    };
    let backlog = Arc::new(Backlog::new(BacklogLimits {
        unsent: limits.unsent_bytes,
        unsent_events: limits.unsent_event_bytes,
        unanswered: limits.outstanding,
    }));
    let subject = certificate.as_ref().and_then(names::subject);
    drop(certificate);
    let (link, outbox) = outbox(backlog.clone(), direct, address, subject, tls.is_some());
    send(events, Event::Connect { id, link, request }).await?;
    let result = tokio::select! {
        biased;
        result = read_requests(&mut read, buffer, id, limits.frame_bytes, &backlog, metrics, events) => result,
        result = outbox.send_all(&mut write, patience, id, events) => result.map_err(Closed::from),
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

/// Reads requests until the client closes. While as many are unanswered as may be, nothing is read.
async fn read_requests(
    read: &mut ReadHalf,
    mut buffer: BytesMut,
    id: ConnectionId,
    longest: usize,
    backlog: &Backlog,
    metrics: &Metrics,
    events: &mpsc::Sender<Event>,
) -> Result<(), Closed> {
    let mut came = Instant::now();
    let mut requests = Vec::new();
    loop {
        while let Frame::Whole(frame) = next_frame(&mut buffer, longest)? {
            if backlog.is_full() {
                // What is decoded must be answered first, or nothing ever makes room.
                metrics.request_throttle_wait_count.inc();
                hand_over(id, &mut requests, came, events).await?;
                backlog.room().await;
            }
            backlog.asked();
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
