//! One connection to one server.
//!
//! Requests may be pipelined; their answers are held to the order in which they were sent, which is what the protocol
//! promises. After the first error a connection is of no more use, and says so: it never mends itself.

use super::frame::{FrameBuffer, FrameLengthError, FrameLimits, framed};
use super::jute::{DecodeError, Decoder};
use super::reply::{Answer, Reply, ReplyHeader};
use super::request::{PING_XID, Request};
use super::session::{Session, connect_reply, connect_request};
use crate::failure::HarnessFailure;
use crate::options::Server;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The xid of a watch's notification. No request of this client sets a watch; a server may send one all the same.
const NOTIFICATION_XID: i32 = -1;

/// How to connect.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// The session time-out to ask for; the server may grant another.
    pub session_timeout: Duration,
    /// How long dialling and the handshake may take together.
    pub connect_timeout: Duration,
    /// Limits on frames.
    pub limits: FrameLimits,
}

/// Whether bytes of a request may have left this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Not one byte was handed to the socket.
    Nothing,
    /// At least one was: the server may have the request.
    Perhaps,
}

/// An answer that is not ZooKeeper's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// A frame of an impossible length.
    #[error(transparent)]
    Frame(#[from] FrameLengthError),
    /// A frame that is not the record that it should be.
    #[error(transparent)]
    Record(#[from] DecodeError),
    /// A reply out of order.
    #[error("the reply to request {got} came when {expected} was the oldest open one")]
    OutOfOrder {
        /// The oldest open request.
        expected: i32,
        /// The request that the reply names.
        got: i32,
    },
    /// A reply to nothing.
    #[error("a reply to request {0} came, and no request was open")]
    Unasked(i32),
    /// The answer does not fit the request: a multi with the wrong parts, say.
    #[error("the answer does not fit the request: {0}")]
    Unfitting(&'static str),
    /// Another session than the one that was asked for.
    #[error("session {got} was granted when {asked} was asked for")]
    OtherSession {
        /// The session asked for.
        asked: super::SessionId,
        /// The session granted.
        got: super::SessionId,
    },
}

/// Why a request has no answer. The connection is of no more use then.
#[derive(Debug, thiserror::Error)]
#[error("{trouble}")]
pub struct CallError {
    /// What happened.
    pub trouble: Trouble,
    /// Whether bytes of the request may have left.
    pub sent: Sent,
}

/// What can happen to a connection.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It was lost.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The answer is not ZooKeeper's protocol.
    #[error("the answer was garbled: {0}")]
    Garbled(#[from] Garbled),
    /// The request is longer than servers accept; it was not sent.
    #[error("the request of {0} bytes is longer than servers accept")]
    TooLong(usize),
    /// The connection had failed before.
    #[error("the connection had failed before")]
    Spent,
    /// The harness's own failure.
    #[error(transparent)]
    Harness(#[from] HarnessFailure),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("could not connect to {server} at {address}: {why}")]
pub struct ConnectError {
    /// The node's name.
    pub server: String,
    /// Where it was dialled.
    pub address: SocketAddr,
    /// What happened.
    pub why: ConnectTrouble,
}

/// What can happen to a try to connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectTrouble {
    /// Nobody listens there.
    #[error("refused")]
    Refused,
    /// Nobody listens there, and the kernel connected the socket to itself.
    #[error("the socket was connected to itself, so nobody listens there")]
    ToItself,
    /// The dial failed otherwise, or the server closed the connection instead of answering. (A ZooKeeper server does
    /// that when it does not serve, and to a session that has seen a newer zxid than its own.)
    #[error("lost before a session was granted: {0}")]
    Lost(io::Error),
    /// No session in time.
    #[error("no session was granted in time")]
    TimedOut,
    /// The session that was asked for has expired.
    #[error("the session has expired")]
    SessionExpired,
    /// The answer is not ZooKeeper's protocol.
    #[error("the answer was garbled: {0}")]
    Garbled(#[from] Garbled),
    /// The harness's own failure.
    #[error(transparent)]
    Harness(#[from] HarnessFailure),
}

impl CallError {
    /// The error itself if it is the system's doing.
    ///
    /// # Errors
    /// The harness's own failure, if it is that: for `?`.
    pub fn by_system(self) -> Result<CallError, HarnessFailure> {
        match self.trouble {
            Trouble::Harness(failure) => Err(failure),
            _ => Ok(self),
        }
    }
}

impl ConnectError {
    /// The error itself if it is the system's doing.
    ///
    /// # Errors
    /// The harness's own failure, if it is that: for `?`.
    pub fn by_system(self) -> Result<ConnectError, HarnessFailure> {
        match self.why {
            ConnectTrouble::Harness(failure) => Err(failure),
            _ => Ok(self),
        }
    }
}

/// A request that has no answer yet.
#[derive(Debug)]
struct Open {
    xid: i32,
    op: i32,
}

/// A connection that has a session. Dropping it closes the socket and leaves the session to expire.
#[derive(Debug)]
pub struct Connection {
    server: Server,
    stream: TcpStream,
    frames: FrameBuffer,
    limits: FrameLimits,
    session: Session,
    next_xid: i32,
    open: VecDeque<Open>,
    last_sent: Instant,
    last_heard: Instant,
    spent: bool,
}

impl Connection {
    /// Dials a server and opens a session there, or comes back to `resume`.
    ///
    /// # Errors
    /// [`ConnectError`]; nothing is tried twice.
    pub async fn open(
        server: &Server,
        resume: Option<&Session>,
        options: &ConnectOptions,
    ) -> Result<Connection, ConnectError> {
        let opening = open(server, resume, options);
        let why = match tokio::time::timeout(options.connect_timeout, opening).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => why,
            Err(_) => ConnectTrouble::TimedOut,
        };
        Err(ConnectError {
            server: server.name.clone(),
            address: server.address,
            why,
        })
    }

    /// The server at the other end.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The session, with the last zxid that it has seen so far.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether an error has made this connection useless.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`CallError`]; the connection is spent then, since an answer may still come.
    pub async fn call(&mut self, request: &Request, deadline: Instant) -> Result<Reply, CallError> {
        self.send(request, deadline).await?;
        self.receive(deadline).await
    }

    /// Sends a request without waiting; its number.
    ///
    /// # Errors
    /// [`CallError`]; the connection is spent then.
    pub async fn send(&mut self, request: &Request, deadline: Instant) -> Result<i32, CallError> {
        let xid = self.next_xid;
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        self.write(request, xid, deadline).await?;
        self.open.push_back(Open {
            xid,
            op: request.op(),
        });
        Ok(xid)
    }

    /// Waits for the answer to the oldest open request.
    ///
    /// # Errors
    /// [`CallError`]; the connection is spent then.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Reply, CallError> {
        let received = self.next_reply(deadline).await;
        received.map_err(|trouble| self.spend(trouble, Sent::Perhaps))
    }

    /// Keeps the session alive with pings until `until`; returns early only with an error.
    ///
    /// # Errors
    /// [`CallError`] when the connection is lost, silent for two thirds of the session's time-out, or says what nobody
    /// asked for.
    pub async fn idle(&mut self, until: Instant) -> Result<(), CallError> {
        let third = self.session.timeout / 3;
        loop {
            if self.spent {
                return Err(CallError {
                    trouble: Trouble::Spent,
                    sent: Sent::Nothing,
                });
            }
            self.take_in(None)
                .map_err(|trouble| self.spend(trouble, Sent::Nothing))?;
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            if now >= self.last_sent + third {
                self.write(&Request::Ping, PING_XID, now + third).await?;
                continue;
            }
            if now >= self.last_heard + third * 2 {
                return Err(self.spend(Trouble::TimedOut, Sent::Nothing));
            }
            let wake = until
                .min(self.last_sent + third)
                .min(self.last_heard + third * 2);
            tokio::select! {
                read = self.stream.read_buf(self.frames.space()) => {
                    self.heard(read).map_err(|trouble| self.spend(trouble, Sent::Nothing))?;
                }
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Closes the session and the connection.
    ///
    /// # Errors
    /// [`CallError`]; the session is left to expire then.
    pub async fn close(mut self, deadline: Instant) -> Result<(), CallError> {
        self.call(&Request::CloseSession, deadline)
            .await
            .map(|_| ())
    }

    /// Marks the connection as useless and says why.
    fn spend(&mut self, trouble: Trouble, sent: Sent) -> CallError {
        self.spent = true;
        CallError { trouble, sent }
    }

    async fn write(
        &mut self,
        request: &Request,
        xid: i32,
        deadline: Instant,
    ) -> Result<(), CallError> {
        if self.spent {
            return Err(CallError {
                trouble: Trouble::Spent,
                sent: Sent::Nothing,
            });
        }
        let record = request.encode(xid);
        let Some(frame) = framed(&record, self.limits.outgoing) else {
            return Err(self.spend(Trouble::TooLong(record.len()), Sent::Nothing));
        };
        // A connection that the server has closed since is noticed here, where the request has certainly not left.
        self.look()
            .map_err(|trouble| self.spend(trouble, Sent::Nothing))?;
        let mut done = 0;
        while done < frame.len() {
            let sent = if done == 0 {
                Sent::Nothing
            } else {
                Sent::Perhaps
            };
            match timeout_at(deadline, self.stream.write(&frame[done..])).await {
                Ok(Ok(0)) => {
                    return Err(self.spend(Trouble::Lost(io::ErrorKind::WriteZero.into()), sent));
                }
                Ok(Ok(count)) => done += count,
                Ok(Err(error)) => {
                    let trouble = self.lost("write to", error);
                    return Err(self.spend(trouble, sent));
                }
                Err(_) => return Err(self.spend(Trouble::TimedOut, sent)),
            }
        }
        self.last_sent = Instant::now();
        Ok(())
    }

    /// Takes what has already arrived, without waiting.
    fn look(&mut self) -> Result<(), Trouble> {
        match self.stream.try_read_buf(self.frames.space()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            read => self.heard(read),
        }
    }

    fn heard(&mut self, read: io::Result<usize>) -> Result<(), Trouble> {
        match read {
            Ok(0) => Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {
                self.last_heard = Instant::now();
                Ok(())
            }
            Err(error) => Err(self.lost("read from", error)),
        }
    }

    fn lost(&self, attempt: &'static str, error: io::Error) -> Trouble {
        match HarnessFailure::tell(attempt, &self.server, error) {
            Ok(failure) => Trouble::Harness(failure),
            Err(error) => Trouble::Lost(error),
        }
    }

    async fn next_reply(&mut self, deadline: Instant) -> Result<Reply, Trouble> {
        loop {
            if self.spent {
                return Err(Trouble::Spent);
            }
            let oldest = self.open.front().map(|open| (open.xid, open.op));
            if let Some(reply) = self.take_in(oldest)? {
                self.open.pop_front();
                return Ok(reply);
            }
            match timeout_at(deadline, self.stream.read_buf(self.frames.space())).await {
                Ok(read) => self.heard(read)?,
                Err(_) => return Err(Trouble::TimedOut),
            }
        }
    }

    /// Goes through the frames that have arrived up to the answer to `oldest` (number and type).
    fn take_in(&mut self, oldest: Option<(i32, i32)>) -> Result<Option<Reply>, Trouble> {
        while let Some(frame) = self.frames.next_frame().map_err(Garbled::from)? {
            if let Some(reply) = self.read_frame(&frame, oldest)? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// The reply in this frame; `None` for answers to pings and for notifications.
    fn read_frame(
        &mut self,
        frame: &BytesMut,
        oldest: Option<(i32, i32)>,
    ) -> Result<Option<Reply>, Garbled> {
        let mut from = Decoder::new(frame);
        let header = ReplyHeader::decode(&mut from)?;
        if header.xid == NOTIFICATION_XID {
            return Ok(None);
        }
        self.session.last_zxid = self.session.last_zxid.max(header.zxid);
        if header.xid == PING_XID {
            return Ok(None);
        }
        let (expected, op) = oldest.ok_or(Garbled::Unasked(header.xid))?;
        if header.xid != expected {
            return Err(Garbled::OutOfOrder {
                expected,
                got: header.xid,
            });
        }
        let result = match header.error {
            Some(error) => Err(error),
            None => Ok(Answer::decode(op, &mut from)?),
        };
        Ok(Some(Reply {
            xid: header.xid,
            zxid: header.zxid,
            result,
        }))
    }
}

/// Dial and handshake, without a limit in time.
async fn open(
    server: &Server,
    resume: Option<&Session>,
    options: &ConnectOptions,
) -> Result<Connection, ConnectTrouble> {
    let mut stream = dial(server).await?;
    let session = handshake(&mut stream, resume, options)
        .await
        .map_err(|trouble| host_or_peer(server, trouble))?;
    let now = Instant::now();
    Ok(Connection {
        server: server.clone(),
        stream,
        frames: FrameBuffer::new(options.limits.incoming),
        limits: options.limits,
        session,
        next_xid: 1,
        open: VecDeque::new(),
        last_sent: now,
        last_heard: now,
        spent: false,
    })
}

async fn dial(server: &Server) -> Result<TcpStream, ConnectTrouble> {
    let stream = match TcpStream::connect(server.address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(ConnectTrouble::Refused);
        }
        Err(error) => return Err(host_or_peer(server, ConnectTrouble::Lost(error))),
    };
    // A dial to a free port of the ephemeral range can meet itself (TCP's simultaneous open).
    if stream.local_addr().ok() == Some(server.address) {
        return Err(ConnectTrouble::ToItself);
    }
    stream.set_nodelay(true).map_err(ConnectTrouble::Lost)?;
    Ok(stream)
}

async fn handshake(
    stream: &mut TcpStream,
    resume: Option<&Session>,
    options: &ConnectOptions,
) -> Result<Session, ConnectTrouble> {
    let request = connect_request(resume, options.session_timeout);
    let frame = framed(&request, options.limits.outgoing)
        .expect("a handshake has 45 bytes and a password of at most 64");
    stream
        .write_all(&frame)
        .await
        .map_err(ConnectTrouble::Lost)?;
    let reply = read_one_frame(stream, options.limits.incoming).await?;
    let last_zxid = resume.map(|session| session.last_zxid).unwrap_or_default();
    let granted = connect_reply(&reply, last_zxid).map_err(Garbled::from)?;
    let session = granted.ok_or(ConnectTrouble::SessionExpired)?;
    match resume {
        Some(asked) if asked.id != session.id => Err(Garbled::OtherSession {
            asked: asked.id,
            got: session.id,
        }
        .into()),
        _ => Ok(session),
    }
}

/// Reads exactly one frame: nothing follows a handshake until the client has sent something.
async fn read_one_frame(stream: &mut TcpStream, limit: usize) -> Result<Vec<u8>, ConnectTrouble> {
    let mut prefix = [0; 4];
    stream
        .read_exact(&mut prefix)
        .await
        .map_err(ConnectTrouble::Lost)?;
    let length = i32::from_be_bytes(prefix);
    let count = usize::try_from(length)
        .ok()
        .filter(|count| *count <= limit)
        .ok_or(Garbled::Frame(FrameLengthError { length, limit }))?;
    let mut frame = vec![0; count];
    stream
        .read_exact(&mut frame)
        .await
        .map_err(ConnectTrouble::Lost)?;
    Ok(frame)
}

fn host_or_peer(server: &Server, trouble: ConnectTrouble) -> ConnectTrouble {
    match trouble {
        ConnectTrouble::Lost(error) => {
            match HarnessFailure::tell("open a connection to", server, error) {
                Ok(failure) => ConnectTrouble::Harness(failure),
                Err(error) => ConnectTrouble::Lost(error),
            }
        }
        other => other,
    }
}
