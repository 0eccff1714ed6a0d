//! Ports for one run, taken so that two runs side by side do not collide.
//!
//! A port lies below the kernel's ephemeral range: no outgoing connection can take it while its node is down, and no
//! dial to a dead node can connect to itself. Each port is held by a lock file for as long as the [`Lease`] lives; the
//! kernel gives the locks back however the process dies. Programs that know nothing of the locks are found by binding
//! the port once.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Lower ports belong to well-known services, and need privileges below 1024.
const LOWEST: u16 = 10_240;

/// Where the ephemeral range begins on a host that does not say (the lowest default among common systems).
const DEFAULT_EPHEMERAL: u16 = 32_768;

/// Why ports could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A port that was asked for is taken.
    #[error(
        "port {port} on 127.0.0.1 is in use: {source}; stop what listens there, or choose another with --port"
    )]
    InUse {
        /// The port.
        port: u16,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Too few ports are free.
    #[error(
        "found only {found} of {wanted} free ports between {lowest} and {highest} on 127.0.0.1; are other runs at work?"
    )]
    Exhausted {
        /// How many were found.
        found: usize,
        /// How many are needed.
        wanted: usize,
        /// Where the search began.
        lowest: u16,
        /// Where it ended.
        highest: u16,
    },
    /// The directory of the lock files cannot be used.
    #[error("could not use {} for the locks on ports: {source}", path.display())]
    Locks {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Ports held for this run.
#[derive(Debug)]
pub struct Lease {
    ports: Vec<u16>,
    _locks: Vec<File>,
}

impl Lease {
    /// Takes that many ports, wherever they are free.
    ///
    /// # Errors
    /// [`PortError::Exhausted`] or [`PortError::Locks`].
    pub fn any(wanted: usize) -> Result<Lease, PortError> {
        let locks = lock_directory()?;
        let end = ephemeral_start().max(LOWEST + 1);
        let span = end - LOWEST;
        let first = scattered_start(span);
        let mut lease = Lease {
            ports: Vec::with_capacity(wanted),
            _locks: Vec::with_capacity(wanted),
        };
        for step in 0..span {
            if lease.ports.len() == wanted {
                break;
            }
            let offset = (u32::from(first) + u32::from(step)) % u32::from(span);
            let port = LOWEST + u16::try_from(offset).expect("a remainder of a u16 is one");
            if let Ok(lock) = take(&locks, port) {
                lease.ports.push(port);
                lease._locks.push(lock);
            }
        }
        if lease.ports.len() == wanted {
            return Ok(lease);
        }
        Err(PortError::Exhausted {
            found: lease.ports.len(),
            wanted,
            lowest: LOWEST,
            highest: end - 1,
        })
    }

    /// Takes exactly these ports.
    ///
    /// # Errors
    /// [`PortError::InUse`] for the first that is taken, or [`PortError::Locks`].
    pub fn exactly(ports: impl IntoIterator<Item = u16>) -> Result<Lease, PortError> {
        let locks = lock_directory()?;
        let mut lease = Lease {
            ports: Vec::new(),
            _locks: Vec::new(),
        };
        for port in ports {
            let lock = take(&locks, port).map_err(|source| PortError::InUse { port, source })?;
            lease.ports.push(port);
            lease._locks.push(lock);
        }
        Ok(lease)
    }

    /// The ports, in the order in which they were taken.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }
}

/// The address of a port on this host.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn take(locks: &Path, port: u16) -> io::Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(locks.join(format!("{port}.lock")))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::other("another run holds it"))?;
    // The lock keeps out other runs; this keeps out everybody else, as far as can be known beforehand.
    TcpListener::bind(local(port))?;
    Ok(lock)
}

fn lock_directory() -> Result<PathBuf, PortError> {
    let path = std::env::temp_dir().join("keelhaul-ports");
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(PortError::Locks { path, source }),
    }
}

fn ephemeral_start() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let start = range.split_ascii_whitespace().next();
    start
        .and_then(|start| start.parse().ok())
        .unwrap_or(DEFAULT_EPHEMERAL)
}

/// Runs that begin at the same time look in different places. Not of the plan: ports never matter to a verdict.
fn scattered_start(span: u16) -> u16 {
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let mixed = nanos.wrapping_add(std::process::id().wrapping_mul(2_654_435_761));
    u16::try_from(mixed % u32::from(span)).expect("a remainder of a u16 is one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_leases_never_share_a_port_and_lie_below_the_ephemeral_range() {
        let one = Lease::any(40).unwrap();
        let two = Lease::any(40).unwrap();
        let all: BTreeSet<u16> = one.ports().iter().chain(two.ports()).copied().collect();
        assert_eq!(all.len(), 80);
        assert!(all.iter().all(|&port| port < ephemeral_start()));
    }

    #[test]
    fn a_port_in_use_is_named() {
        let held = Lease::any(1).unwrap();
        let port = held.ports()[0];
        let error = Lease::exactly([port]).unwrap_err();
        assert!(
            error.to_string().contains(&format!("port {port} ")),
            "{error}"
        );
        drop(held);
        let _listener = TcpListener::bind(local(port)).unwrap();
        let error = Lease::exactly([port]).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
    }
}
