//! A connection, plain or over TLS: two halves that read and write, and the certificate that the other side has shown.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection whose other end is whom it claims to be, as far as that was asked for.
pub(super) struct Stream {
    pub(super) read: ReadHalf,
    /// What is written over TLS goes out with the next flush.
    pub(super) write: WriteHalf,
    /// The same way out, for what can be written at once; not over TLS.
    pub(super) direct: Option<Direct>,
    /// The other side's own certificate, of an authority that is trusted.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Where the other side is.
    pub(super) from: SocketAddr,
}

impl Stream {
    /// The side that was dialled. Without `tls` as it comes.
    pub(super) async fn accept(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        let from = stream.peer_addr()?;
        let Some(tls) = tls else {
            return Ok(Stream::plain(stream, from));
        };
        let stream = TlsAcceptor::from(tls.clone()).accept(stream).await?;
        let certificate = own(stream.get_ref().1.peer_certificates());
        let (read, write) = tokio::io::split(stream);
        Ok(Stream {
            read: Box::new(read),
            write: Box::new(write),
            direct: None,
            certificate,
            from,
        })
    }

    /// The side that has dialled. Without `tls` as it comes.
    pub(super) async fn connect(
        stream: TcpStream,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        let from = stream.peer_addr()?;
        let Some(tls) = tls else {
            return Ok(Stream::plain(stream, from));
        };
        // Names are looked at when the other side has said who it is; an address asks for none.
        let name = ServerName::IpAddress(from.ip().into());
        let stream = TlsConnector::from(tls.clone())
            .connect(name, stream)
            .await?;
        let certificate = own(stream.get_ref().1.peer_certificates());
        let (read, write) = tokio::io::split(stream);
        Ok(Stream {
            read: Box::new(read),
            write: Box::new(write),
            direct: None,
            certificate,
            from,
        })
    }

    fn plain(stream: TcpStream, from: SocketAddr) -> Stream {
        let (read, write) = stream.into_split();
        let direct = Direct(Arc::new(write));
        Stream {
            read: Box::new(read),
            write: Box::new(direct.clone()),
            direct: Some(direct),
            certificate: None,
            from,
        }
    }
}

/// The way out of a plain connection. It is closed when it is shut down, or when nobody has it any more.
#[derive(Debug, Clone)]
pub(super) struct Direct(Arc<OwnedWriteHalf>);

impl Direct {
    /// Writes what the socket takes without waiting, and says how much that was. What is wrong with the socket is found by who waits
    /// for it.
    pub(super) fn write_now(&self, bytes: &[u8]) -> usize {
        self.0.try_write(bytes).unwrap_or(0)
    }

    fn socket(&self) -> &TcpStream {
        (*self.0).as_ref()
    }
}

impl AsyncWrite for Direct {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket().poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = rustix::net::shutdown(self.socket(), rustix::net::Shutdown::Write);
        Poll::Ready(shut.map_err(io::Error::from))
    }
}

/// The first certificate of a chain is that of who shows it.
fn own(chain: Option<&[CertificateDer<'static>]>) -> Option<CertificateDer<'static>> {
    chain.and_then(<[_]>::first).cloned()
}
