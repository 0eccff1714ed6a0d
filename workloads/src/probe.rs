//! Questions of the controller's own to one node: four-letter words, and whether it serves.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::wire::Zxid;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What `srvr` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srvr {
    /// `leader`, `follower`, `observer` or `standalone`, as the node wrote it.
    pub mode: String,
    /// The last zxid that this node applied.
    pub zxid: Zxid,
    /// How many znodes its tree has.
    pub znodes: u64,
}

/// Why a node gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be reached, or was silent until the time-out.
    #[error("no answer to `{word}` from {address}: {source}")]
    Unreachable {
        /// The four-letter word.
        word: String,
        /// Who was asked.
        address: SocketAddr,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// It runs but takes no part: `srvr` has no Mode.
    #[error("{address} runs but does not serve: {answer}")]
    NotServing {
        /// Who was asked.
        address: SocketAddr,
        /// The first line of its answer.
        answer: String,
    },
    /// It answered something else.
    #[error("{address} answered `srvr` without {missing}")]
    Garbled {
        /// Who was asked.
        address: SocketAddr,
        /// The line that is missing.
        missing: &'static str,
    },
}

/// Why a node was not seen serving.
#[derive(Debug, thiserror::Error)]
pub enum ServesError {
    /// The harness itself could not go on.
    #[error(transparent)]
    Harness(#[from] HarnessFailure),
    /// No fenced operation went through this node within the limit.
    #[error("{server} served no write and read within {limit:?}; the last try: {last}")]
    NotServing {
        /// The node.
        server: String,
        /// How long it was tried.
        limit: Duration,
        /// How the last try ended.
        last: String,
    },
}

/// Sends a four-letter word over a connection of its own; everything that comes back until the node closes.
///
/// # Errors
/// What the socket says; `TimedOut` if the node was not done within the time-out.
pub async fn four_letter(address: SocketAddr, word: &str, timeout: Duration) -> io::Result<String> {
    let _ = (address, word, timeout);
    Ok(String::new())
}

/// Asks `srvr`.
///
/// # Errors
/// [`ProbeError`]: unreachable, not serving, or garbled.
pub async fn srvr(address: SocketAddr, timeout: Duration) -> Result<Srvr, ProbeError> {
    let _ = timeout;
    Err(ProbeError::Garbled {
        address,
        missing: "Mode",
    })
}

/// Waits until a quorum write and a read, both through this very node, succeed; tried again and again until the limit.
///
/// # Errors
/// [`ServesError`].
pub async fn serves(server: &Server, limit: Duration) -> Result<(), ServesError> {
    let _ = (server, limit);
    Ok(())
}
