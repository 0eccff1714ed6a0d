//! When the harness itself cannot go on: never a verdict on the system.

use crate::options::Server;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;

/// The harness's own failure. It ends the run; it is neither `ok`, `fail` nor `info` of any operation.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempt} {server} at {address}: {source}; {advice}")]
pub struct HarnessFailure {
    /// What was tried: "open a connection to".
    pub attempt: &'static str,
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

impl HarnessFailure {
    /// Tells an error of the host that the harness runs on from one that the system under test caused: the failure, or
    /// the error back.
    pub fn tell(
        attempt: &'static str,
        server: &Server,
        error: io::Error,
    ) -> Result<HarnessFailure, io::Error> {
        match advice(&error) {
            Some(advice) => Ok(HarnessFailure {
                attempt,
                server: server.name.clone(),
                address: server.address,
                source: error,
                advice,
            }),
            None => Err(error),
        }
    }
}

/// The next step, if this error is the host's own. No node can cause these from the other end of a socket.
fn advice(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => {
            Some("raise the limit on open files (ulimit -n) or use fewer workers")
        }
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Some(
            "no local port is free: wait for old connections to go, or widen the ephemeral port range",
        ),
        Errno::NOMEM | Errno::NOBUFS => Some("the host is out of memory: free some and run again"),
        Errno::ACCESS | Errno::PERM => {
            Some("the host forbids this connection: look at its firewall or sandbox")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: Errno) -> bool {
        let server = Server {
            name: "n1".into(),
            address: ([127, 0, 0, 1], 1).into(),
        };
        HarnessFailure::tell("open a connection to", &server, errno.into()).is_ok()
    }

    #[test]
    fn the_hosts_own_limits_are_the_harnesss_failure_and_the_peers_doings_are_not() {
        for own in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::ADDRNOTAVAIL,
            Errno::NOBUFS,
            Errno::ACCESS,
        ] {
            assert!(told(own), "{own:?}");
        }
        for peers in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::PIPE,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
        ] {
            assert!(!told(peers), "{peers:?}");
        }
    }
}
