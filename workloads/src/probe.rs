//! Questions of the controller's own to one node: four-letter words, and whether it serves.
//!
//! Each question is a connection of its own. Nothing here is an operation of a client, and nothing is recorded.

use crate::failure::HarnessFailure;
use crate::options::Server;
use crate::wire::request::ANY_VERSION;
use crate::wire::{Answer, ConnectOptions, Connection, Request, Zxid};
use crate::workload::FENCE;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Most bytes of an answer to a four-letter word that are kept; the rest is not read.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Pause between two tries to be served.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one try to be served may take.
const TRY: Duration = Duration::from_secs(1);

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
    #[error("{address} answered `srvr` without a usable {missing} line")]
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

/// Sends a four-letter word over a connection of its own; everything that comes back until the node closes, at most
/// 1 MiB of it.
///
/// # Errors
/// What the socket says; `TimedOut` if the node was not done within the limit.
pub async fn four_letter(address: SocketAddr, word: &str, limit: Duration) -> io::Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        if stream.local_addr()? == address {
            return Err(io::ErrorKind::ConnectionRefused.into()); // the socket met itself: nobody listens
        }
        stream.write_all(word.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    timeout(limit, exchange)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Asks `srvr`.
///
/// # Errors
/// [`ProbeError`]: unreachable, not serving, or garbled.
pub async fn srvr(address: SocketAddr, limit: Duration) -> Result<Srvr, ProbeError> {
    match four_letter(address, "srvr", limit).await {
        Ok(answer) => parse_srvr(address, &answer),
        Err(source) => Err(ProbeError::Unreachable {
            word: "srvr".to_owned(),
            address,
            source,
        }),
    }
}

fn parse_srvr(address: SocketAddr, answer: &str) -> Result<Srvr, ProbeError> {
    let line = |name: &str| {
        answer
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let Some(mode) = line("Mode:") else {
        let answer = answer
            .lines()
            .next()
            .unwrap_or("an empty answer")
            .to_owned();
        return Err(ProbeError::NotServing { address, answer });
    };
    let zxid = line("Zxid:")
        .and_then(|zxid| i64::from_str_radix(zxid.trim_start_matches("0x"), 16).ok())
        .ok_or(ProbeError::Garbled {
            address,
            missing: "Zxid",
        })?;
    let znodes = line("Node count:")
        .and_then(|count| count.parse().ok())
        .ok_or(ProbeError::Garbled {
            address,
            missing: "Node count",
        })?;
    Ok(Srvr {
        mode: mode.to_owned(),
        zxid: Zxid(zxid),
        znodes,
    })
}

/// Waits until a quorum write and a read that sees it, both through this very node, succeed; tried again and again until
/// the limit. The write sets the fence znode's data.
///
/// # Errors
/// [`ServesError`].
pub async fn serves(server: &Server, limit: Duration) -> Result<(), ServesError> {
    let began = Instant::now();
    loop {
        let last = match serves_once(server).await? {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        if began.elapsed() + PAUSE >= limit {
            return Err(ServesError::NotServing {
                server: server.name.clone(),
                limit,
                last,
            });
        }
        sleep(PAUSE).await;
    }
}

/// One try; why it failed.
async fn serves_once(server: &Server) -> Result<Result<(), String>, HarnessFailure> {
    let options = ConnectOptions {
        session_timeout: TRY * 4,
        connect_timeout: TRY,
        limits: crate::wire::frame::FrameLimits::default(),
    };
    let mut connection = match Connection::open(server, None, &options).await {
        Ok(connection) => connection,
        Err(error) => return Ok(Err(error.by_system()?.to_string())),
    };
    let served = write_and_read(&mut connection).await;
    // A session that cannot be closed now expires by itself.
    let _ = connection.close(Instant::now() + TRY).await;
    match served {
        Ok(()) => Ok(Ok(())),
        Err(TryError::Harness(failure)) => Err(failure),
        Err(TryError::Failed(why)) => Ok(Err(why)),
    }
}

/// Why one try did not succeed.
enum TryError {
    Failed(String),
    Harness(HarnessFailure),
}

async fn write_and_read(connection: &mut Connection) -> Result<(), TryError> {
    let path = FENCE.to_owned();
    let write = Request::SetData {
        path: path.clone(),
        data: b"probe".to_vec(),
        version: ANY_VERSION,
    };
    let Answer::Stat(written) = ask(connection, &write).await? else {
        return Err(TryError::Failed(
            "setData was answered by something else".to_owned(),
        ));
    };
    let Answer::Data { stat: read, .. } = ask(connection, &Request::GetData { path }).await? else {
        return Err(TryError::Failed(
            "getData was answered by something else".to_owned(),
        ));
    };
    if read.mzxid < written.mzxid {
        let why = format!(
            "a write at {} was not seen by the read after it",
            written.mzxid
        );
        return Err(TryError::Failed(why));
    }
    Ok(())
}

async fn ask(connection: &mut Connection, request: &Request) -> Result<Answer, TryError> {
    match connection.call(request, Instant::now() + TRY).await {
        Ok(reply) => reply
            .result
            .map_err(|code| TryError::Failed(format!("the server answered {code}"))),
        Err(error) => Err(match error.by_system() {
            Ok(error) => TryError::Failed(error.to_string()),
            Err(failure) => TryError::Harness(failure),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(answer: &str) -> Result<Srvr, ProbeError> {
        parse_srvr(([127, 0, 0, 1], 2181).into(), answer)
    }

    #[test]
    fn srvr_is_read_as_zookeeper_writes_it() {
        let answer = "Zookeeper version: 3.8.4\nLatency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\n\
                      Connections: 1\nOutstanding: 0\nZxid: 0x10000000f\nMode: follower\nNode count: 5\n";
        let expected = Srvr {
            mode: "follower".into(),
            zxid: Zxid(0x1_0000_000f),
            znodes: 5,
        };
        assert_eq!(parse(answer).ok(), Some(expected));
    }

    #[test]
    fn a_node_that_is_looking_does_not_serve() {
        let answer = "This ZooKeeper instance is not currently serving requests\n";
        let error = parse(answer).unwrap_err();
        assert!(
            matches!(&error, ProbeError::NotServing { answer, .. } if answer.starts_with("This"))
        );
    }

    #[test]
    fn a_mode_without_a_zxid_is_garbled() {
        let error = parse("Mode: leader\n").unwrap_err();
        assert!(matches!(
            error,
            ProbeError::Garbled {
                missing: "Zxid",
                ..
            }
        ));
    }
}
