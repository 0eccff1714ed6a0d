//! How connecting and asking can go wrong.

use super::SessionId;
use super::frame::FrameLengthError;
use super::jute::DecodeError;
use crate::failure::HarnessFailure;
use std::io;
use std::net::SocketAddr;

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
        asked: SessionId,
        /// The session granted.
        got: SessionId,
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
