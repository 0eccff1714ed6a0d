//! A port: taken before anything is written to the disk, and listened on when its connections can be served.
//!
//! In between, whoever connects is refused at once and can go to another server.

use super::NodeError;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps until they are accepted, if it allows so many: when it has no room, who dials waits for a second.
const BACKLOG: u32 = 4096;

/// Listens there at once.
pub(super) fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    bound(address)?.listen(BACKLOG)
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A port of a process that has just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A port that this process has, and that nobody can connect to yet.
#[derive(Debug)]
pub(super) struct Port {
    socket: TcpSocket,
    pub(super) whom: &'static str,
    key: &'static str,
    pub(super) address: SocketAddr,
}

impl Port {
    /// Takes it. `key` is the configuration's, and `whom` it is for.
    pub(super) fn take(
        whom: &'static str,
        key: &'static str,
        address: SocketAddr,
    ) -> Result<Port, NodeError> {
        let socket = bound(address).map_err(|source| NodeError::Listen {
            whom,
            address,
            key,
            source,
        })?;
        Ok(Port {
            socket,
            whom,
            key,
            address,
        })
    }

    /// Lets others connect.
    pub(super) fn listen(self) -> Result<TcpListener, NodeError> {
        let Port {
            socket,
            whom,
            key,
            address,
        } = self;
        socket.listen(BACKLOG).map_err(|source| NodeError::Listen {
            whom,
            address,
            key,
            source,
        })
    }
}
