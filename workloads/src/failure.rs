//! When the harness itself cannot go on: never a verdict on the system.

use std::io;
use std::net::SocketAddr;

/// The harness's own failure. It ends the run; it is neither `ok`, `fail` nor `info` of any operation.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempt} {server} at {address}: {source}; {advice}")]
pub struct HarnessFailure {
    /// What was tried: "open a socket to".
    pub attempt: String,
    /// The node's name.
    pub server: String,
    /// Where it was dialled.
    pub address: SocketAddr,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
    /// The next step for the person who reads this.
    pub advice: &'static str,
}
