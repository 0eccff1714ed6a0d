//! A connection, plain or over TLS: two halves that read and write, and the certificate that the other side has shown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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
            certificate,
            from,
        })
    }

    fn plain(stream: TcpStream, from: SocketAddr) -> Stream {
        let (read, write) = stream.into_split();
        Stream {
            read: Box::new(read),
            write: Box::new(write),
            certificate: None,
            from,
        }
    }
}

/// The first certificate of a chain is that of who shows it.
fn own(chain: Option<&[CertificateDer<'static>]>) -> Option<CertificateDer<'static>> {
    chain.and_then(<[_]>::first).cloned()
}
