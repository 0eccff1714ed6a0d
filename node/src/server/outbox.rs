//! Answers on their way to a client.
//!
//! ```text
//! engine ── ClientLink::send ──► socket                      as much as it takes at once, if nothing waits
//!                           └──► queue ──► Outbox::send_all  the rest, as the client reads
//! ```
//!
//! Most answers fit into the socket's buffer: handing them over there and then spares waking a task for each. Over TLS all go
//! through the queue, to the thread that encrypts them.

use super::event::{ConnectionId, Event};
use super::stream::{Direct, WriteHalf};
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc, oneshot};

/// What is under way on a connection, and how much of it may be.
#[derive(Debug)]
pub(super) struct Backlog {
    limits: BacklogLimits,
    /// Bytes that the socket has not taken.
    unsent: AtomicUsize,
    /// Requests that were read, and whose answers the socket has not taken.
    unanswered: AtomicUsize,
    /// There is room for a request again.
    room: Notify,
    /// The connection is to end at once.
    abort: Notify,
}

/// How much may be under way on a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct BacklogLimits {
    /// Bytes that the client may leave unread before its requests wait.
    pub(super) unsent: usize,
    /// Bytes that it may leave unread, events included.
    pub(super) unsent_events: usize,
    /// Requests without an answer.
    pub(super) unanswered: usize,
}

impl Backlog {
    pub(super) fn new(limits: BacklogLimits) -> Backlog {
        Backlog {
            limits,
            unsent: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            room: Notify::new(),
            abort: Notify::new(),
        }
    }

    /// Whether as many requests are unanswered as may be.
    pub(super) fn is_full(&self) -> bool {
        self.unanswered.load(Relaxed) >= self.limits.unanswered
    }

    /// A request was read.
    pub(super) fn asked(&self) {
        self.unanswered.fetch_add(1, Relaxed);
    }

    /// Waits until there is room for a request.
    pub(super) async fn room(&self) {
        while self.is_full() {
            self.room.notified().await;
        }
    }

    /// So many answers were taken by the socket.
    fn answered(&self, replies: usize) {
        // Read before it is lowered: whoever waits has seen it at the limit, or sees it below.
        if self.unanswered.fetch_sub(replies, Relaxed) >= self.limits.unanswered {
            self.room.notify_one();
        }
    }
}

/// The engine's end of a connection. The connection is closed when it is dropped and everything is sent.
#[derive(Debug)]
pub(super) struct ClientLink {
    direct: Option<Direct>,
    queue: mpsc::UnboundedSender<Flush>,
    backlog: Arc<Backlog>,
    /// Where the client is.
    pub(super) address: SocketAddr,
    /// The subject of the certificate that it has shown.
    pub(super) subject: Option<String>,
    /// Whether it speaks TLS.
    pub(super) secure: bool,
    /// Says that the engine has dropped its end.
    _dropped: oneshot::Sender<()>,
}

/// The connection's end of it.
pub(super) struct Outbox {
    queue: mpsc::UnboundedReceiver<Flush>,
    backlog: Arc<Backlog>,
    engine_is_gone: oneshot::Receiver<()>,
}

/// Answers that go out together, and how many they are; events do not count.
#[derive(Debug)]
struct Flush {
    bytes: Bytes,
    replies: usize,
}

/// Why not everything was sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it left more than {0} bytes unread")]
    Drowned(usize),
    #[error("it did not read its last answers for {} ms", .0.as_millis())]
    Deaf(Duration),
}

/// Both ends. `direct` is what the engine may write to without waiting.
pub(super) fn outbox(
    backlog: Arc<Backlog>,
    direct: Option<Direct>,
    address: SocketAddr,
    subject: Option<String>,
    secure: bool,
) -> (ClientLink, Outbox) {
    let (sender, queue) = mpsc::unbounded_channel();
    let (_dropped, engine_is_gone) = oneshot::channel();
    let link = ClientLink {
        direct,
        queue: sender,
        backlog: backlog.clone(),
        address,
        subject,
        secure,
        _dropped,
    };
    let outbox = Outbox {
        queue,
        backlog,
        engine_is_gone,
    };
    (link, outbox)
}

impl ClientLink {
    /// Sends all of `bytes`, with so many replies in them.
    pub(super) fn send(&self, mut bytes: BytesMut, replies: usize) {
        if let Some(direct) = self.direct.as_ref().filter(|_| self.unsent() == 0) {
            bytes.advance(direct.write_now(&bytes));
        }
        if bytes.is_empty() {
            return self.backlog.answered(replies);
        }
        self.backlog.unsent.fetch_add(bytes.len(), Relaxed);
        // If the connection is gone, the engine hears of it by an event.
        let _ = self.queue.send(Flush {
            bytes: bytes.freeze(),
            replies,
        });
    }

    /// How many bytes it may leave unread.
    pub(super) fn limit(&self) -> usize {
        self.backlog.limits.unsent
    }

    /// How many bytes are on their way to it.
    pub(super) fn unsent(&self) -> usize {
        self.backlog.unsent.load(Relaxed)
    }

    /// How many bytes it may leave unread, events included.
    pub(super) fn event_limit(&self) -> usize {
        self.backlog.limits.unsent_events
    }

    /// Closes the connection at once, with what is not sent.
    pub(super) fn abort(&self) {
        self.backlog.abort.notify_one();
    }

    /// Whether the client must read before it gets more; `Event::Drained` says when it has.
    pub(super) fn is_full(&self) -> bool {
        self.unsent() >= self.limit()
    }
}

impl Outbox {
    /// Sends what is queued until the engine drops its end, and closes what is written to. Who does not read its last answers
    /// within `patience` gets no more of them. The engine is told when the client `id` has read so much that it gets answers again.
    pub(super) async fn send_all(
        mut self,
        write: &mut WriteHalf,
        patience: Duration,
        id: ConnectionId,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), Unsent> {
        let Backlog {
            limits,
            unsent,
            abort,
            ..
        } = &*self.backlog;
        let deaf = async {
            let _ = self.engine_is_gone.await;
            tokio::time::sleep(patience).await;
        };
        tokio::pin!(deaf);
        while let Some(Flush { bytes, replies }) = self.queue.recv().await {
            let writing = async {
                write.write_all(&bytes).await?;
                write.flush().await
            };
            tokio::select! {
                written = writing => written?,
                () = abort.notified() => return Err(Unsent::Drowned(limits.unsent_events)),
                () = &mut deaf => return Err(Unsent::Deaf(patience)),
            }
            self.backlog.answered(replies);
            let before = unsent.fetch_sub(bytes.len(), Relaxed);
            if before >= limits.unsent && before - bytes.len() < limits.unsent {
                // If there is no engine to hear it, the queue ends.
                let _ = events.send(Event::Drained(id)).await;
            }
        }
        tokio::select! {
            closed = write.shutdown() => Ok(closed?),
            () = &mut deaf => Err(Unsent::Deaf(patience)),
        }
    }
}
