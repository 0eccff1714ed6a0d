//! One connection to one server.
//!
//! Requests may be pipelined; their answers are held to the order in which they were sent, which is what the protocol
//! promises. After the first error a connection is of no more use, and says so: it never mends itself.

use super::dial::dial;
use super::error::{CallError, ConnectError, ConnectTrouble, Garbled, Sent, Trouble};
use super::frame::{FrameBuffer, FrameLimits, framed};
use super::jute::Decoder;
use super::reply::{Answer, Reply, ReplyHeader};
use super::request::{PING_XID, Request};
use super::session::Session;
use crate::failure::HarnessFailure;
use crate::options::Server;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

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
        let dialled = timeout(options.connect_timeout, dial(server, resume, options)).await;
        match dialled.unwrap_or(Err(ConnectTrouble::TimedOut)) {
            Ok((stream, session)) => Ok(Connection::new(server, stream, session, options.limits)),
            Err(why) => Err(ConnectError {
                server: server.name.clone(),
                address: server.address,
                why,
            }),
        }
    }

    fn new(
        server: &Server,
        stream: TcpStream,
        session: Session,
        limits: FrameLimits,
    ) -> Connection {
        let now = Instant::now();
        Connection {
            server: server.clone(),
            stream,
            frames: FrameBuffer::new(limits.incoming),
            limits,
            session,
            next_xid: 1,
            open: VecDeque::new(),
            last_sent: now,
            last_heard: now,
            spent: false,
        }
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
        let xid = self.number();
        let frame = self.frame(request, xid)?;
        self.write(&frame, deadline).await?;
        self.open.push_back(Open {
            xid,
            op: request.op(),
        });
        Ok(xid)
    }

    /// Sends several requests in one piece without waiting, for load: whether any of them has left when it fails is not told
    /// request by request.
    ///
    /// # Errors
    /// [`CallError`]; the connection is spent then.
    pub async fn send_all(
        &mut self,
        requests: &[Request],
        deadline: Instant,
    ) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        for request in requests {
            let xid = self.number();
            bytes.append(&mut self.frame(request, xid)?);
            self.open.push_back(Open {
                xid,
                op: request.op(),
            });
        }
        self.write(&bytes, deadline).await
    }

    /// The socket, with its session, for who speaks the protocol on it himself. Before the first request.
    ///
    /// # Errors
    /// If the runtime does not give it.
    pub fn into_socket(self) -> io::Result<std::net::TcpStream> {
        self.stream.into_std()
    }

    fn number(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        xid
    }

    fn frame(&mut self, request: &Request, xid: i32) -> Result<Vec<u8>, CallError> {
        let record = request.encode(xid);
        framed(&record, self.limits.outgoing)
            .ok_or_else(|| self.spend(Trouble::TooLong(record.len()), Sent::Nothing))
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
                let ping = self.frame(&Request::Ping, PING_XID)?;
                self.write(&ping, now + third).await?;
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

    async fn write(&mut self, frame: &[u8], deadline: Instant) -> Result<(), CallError> {
        if self.spent {
            return Err(CallError {
                trouble: Trouble::Spent,
                sent: Sent::Nothing,
            });
        }
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
