//! Dialling a server and opening a session there, or coming back to one.

use super::connection::ConnectOptions;
use super::error::{ConnectTrouble, Garbled};
use super::frame::{FrameLengthError, framed};
use super::session::{Session, connect_reply, connect_request};
use crate::failure::HarnessFailure;
use crate::options::Server;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Dials and shakes hands, without a limit in time; the socket and the session that was granted.
pub(super) async fn dial(
    server: &Server,
    resume: Option<&Session>,
    options: &ConnectOptions,
) -> Result<(TcpStream, Session), ConnectTrouble> {
    let mut stream = reach(server).await?;
    let session = handshake(&mut stream, resume, options)
        .await
        .map_err(|trouble| host_or_peer(server, trouble))?;
    Ok((stream, session))
}

async fn reach(server: &Server) -> Result<TcpStream, ConnectTrouble> {
    let stream = match TcpStream::connect(server.address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(ConnectTrouble::Refused);
        }
        Err(error) => return Err(host_or_peer(server, ConnectTrouble::Lost(error))),
    };
    // A dial to a free port of the ephemeral range can meet itself (TCP's simultaneous open).
    if stream.local_addr().ok() == Some(server.address) {
        return Err(ConnectTrouble::ToItself);
    }
    stream.set_nodelay(true).map_err(ConnectTrouble::Lost)?;
    Ok(stream)
}

async fn handshake(
    stream: &mut TcpStream,
    resume: Option<&Session>,
    options: &ConnectOptions,
) -> Result<Session, ConnectTrouble> {
    let request = connect_request(resume, options.session_timeout);
    let frame = framed(&request, options.limits.outgoing)
        .expect("a handshake has 45 bytes and a password of at most 64");
    stream
        .write_all(&frame)
        .await
        .map_err(ConnectTrouble::Lost)?;
    let reply = read_one_frame(stream, options.limits.incoming).await?;
    let last_zxid = resume.map(|session| session.last_zxid).unwrap_or_default();
    let granted = connect_reply(&reply, last_zxid).map_err(Garbled::from)?;
    let session = granted.ok_or(ConnectTrouble::SessionExpired)?;
    match resume {
        Some(asked) if asked.id != session.id => Err(Garbled::OtherSession {
            asked: asked.id,
            got: session.id,
        }
        .into()),
        _ => Ok(session),
    }
}

/// Reads exactly one frame: nothing follows a handshake until the client has sent something.
async fn read_one_frame(stream: &mut TcpStream, limit: usize) -> Result<Vec<u8>, ConnectTrouble> {
    let mut prefix = [0; 4];
    stream
        .read_exact(&mut prefix)
        .await
        .map_err(ConnectTrouble::Lost)?;
    let length = i32::from_be_bytes(prefix);
    let count = usize::try_from(length)
        .ok()
        .filter(|count| *count <= limit)
        .ok_or(Garbled::Frame(FrameLengthError { length, limit }))?;
    let mut frame = vec![0; count];
    stream
        .read_exact(&mut frame)
        .await
        .map_err(ConnectTrouble::Lost)?;
    Ok(frame)
}

fn host_or_peer(server: &Server, trouble: ConnectTrouble) -> ConnectTrouble {
    match trouble {
        ConnectTrouble::Lost(error) => {
            match HarnessFailure::tell("open a connection to", server, error) {
                Ok(failure) => ConnectTrouble::Harness(failure),
                Err(error) => ConnectTrouble::Lost(error),
            }
        }
        other => other,
    }
}
