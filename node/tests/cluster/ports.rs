//! Ports for servers of tests.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::sync::Mutex;

/// Ports that were free a moment ago, below the range from which the kernel gives ports to those who dial. Each is locked as long as this
/// process runs, so that tests which run side by side, in whichever programs, do not choose the same.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    static TAKEN: Mutex<(u16, Vec<File>)> = Mutex::new((0, Vec::new()));
    let mut taken = TAKEN.lock().unwrap();
    let (next, locks) = &mut *taken;
    let mut ports = Vec::new();
    while ports.len() < count {
        *next = match *next {
            12_000..31_000 => *next + 1,
            _ => 12_000,
        };
        if let Ok(lock) = take(*next) {
            ports.push(*next);
            locks.push(lock);
        }
    }
    ports
}

/// The lock on a port that nobody has; in the folder where `keelhaul` has its own.
fn take(port: u16) -> io::Result<File> {
    let folder = std::env::temp_dir().join("keelhaul-ports");
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(format!("{port}.lock")))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    TcpListener::bind(("127.0.0.1", port))?;
    Ok(lock)
}
