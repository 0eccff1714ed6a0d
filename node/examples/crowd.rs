//! A crowd on one server: what idle sessions cost, and how soon the watches of many clients on one znode have told all of them.
//!
//! ```text
//! cargo build --release -p keelhaul-node --examples --bins
//! cargo run --release -p keelhaul-node --example crowd -- [SESSIONS] [WATCHES]        # 100000 10000
//! ```
//!
//! Starts a server of its own beside this program, on loopback, and ends it. Each connection takes a file on both sides: where the limit of
//! a process does not allow for all sessions at a time (`ulimit -Hn`), those beyond it are open without a connection, as those of
//! clients that are on their way to another server.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

/// Handshakes under way at a time.
const AT_A_TIME: usize = 200;
/// Connections from one address: the kernel has about 28,000 ports for each, and looks longer for a free one the fewer there are.
const FROM_ONE: usize = 2_000;
const TIMEOUT_MS: i32 = 600_000;
const PATIENCE: Duration = Duration::from_secs(300);

struct Server {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    fn start(sessions: usize) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let [clients, peers] = [(); 2].map(|()| {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap()
        });
        let (config, data) = (dir.path().join("n.toml"), dir.path().join("data"));
        let text = format!(
            "id = 1\ndata_dir = {data:?}\nclient_address = \"{clients}\"\npeer_address = \"{peers}\"\n\
             [limits]\nconnections = {}\nsession_timeout_max_ms = {TIMEOUT_MS}\n",
            sessions + 1000
        );
        std::fs::write(&config, text).unwrap();
        let binary = binary();
        let formatted = Command::new(&binary)
            .args(["format", "--config"])
            .arg(&config)
            .status()
            .unwrap();
        assert!(formatted.success());
        let child = Command::new(&binary)
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            child,
            address: clients,
            _dir: dir,
        };
        let start = Instant::now();
        while !server.serves() {
            assert!(start.elapsed() < PATIENCE, "the server does not serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn serves(&self) -> bool {
        let ask = || {
            let mut stream = std::net::TcpStream::connect(self.address)?;
            stream.write_all(b"srvr")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        };
        ask().is_ok_and(|text| text.contains("Mode: "))
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Resident memory, in MiB.
    fn memory(&self) -> f64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }

    /// Processor time so far, in seconds; the kernel counts in hundredths.
    fn processor(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }
}

/// The server's program, which cargo puts beside the folder of this one.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let binary = folder.join("keelhaul-node");
    assert!(
        binary.exists(),
        "{} is not there: cargo build --release -p keelhaul-node --bins",
        binary.display()
    );
    binary
}

struct Client {
    stream: TcpStream,
    xid: i32,
}

impl Client {
    async fn connect(to: SocketAddr, number: usize) -> std::io::Result<Client> {
        let socket = TcpSocket::new_v4()?;
        let place = number / FROM_ONE;
        let from = [127, 0, 1 + (place / 250) as u8, 1 + (place % 250) as u8];
        socket.bind(SocketAddr::from((from, 0)))?;
        let mut stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let mut request = vec![0, 0, 0, 45];
        request.extend([0; 12]);
        request.extend(TIMEOUT_MS.to_be_bytes());
        request.extend([0; 8]);
        request.extend(16i32.to_be_bytes());
        request.extend([0; 17]);
        stream.write_all(&request).await?;
        let mut client = Client { stream, xid: 0 };
        client.frame().await?;
        Ok(client)
    }

    async fn frame(&mut self) -> std::io::Result<Vec<u8>> {
        let length = self.stream.read_i32().await?;
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame)
    }

    async fn ask(&mut self, code: i32, body: &[u8]) -> std::io::Result<()> {
        self.xid += 1;
        let mut request = ((8 + body.len()) as i32).to_be_bytes().to_vec();
        request.extend(self.xid.to_be_bytes());
        request.extend(code.to_be_bytes());
        request.extend(body);
        self.stream.write_all(&request).await?;
        let reply = self.frame().await?;
        assert_eq!(reply[12..16], [0; 4], "request {code} failed");
        Ok(())
    }

    async fn set(&mut self) -> std::io::Result<()> {
        let body = [&text(PATH)[..], &text("data"), &[255; 4]].concat();
        self.ask(5, &body).await
    }
}

const PATH: &str = "/crowd";

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as i32).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Opens so many sessions; the first `kept` keep their connections.
async fn open(server: &Server, sessions: usize, kept: usize) -> Vec<Client> {
    let (slots, address) = (Arc::new(Semaphore::new(AT_A_TIME)), server.address);
    let mut tasks = tokio::task::JoinSet::new();
    let mut clients = Vec::new();
    for number in 0..sessions {
        let slot = slots.clone().acquire_owned().await.unwrap();
        tasks.spawn(async move {
            let client = Client::connect(address, number).await.unwrap();
            drop(slot);
            if number < kept {
                return Some(client);
            }
            // No port waits for what may still come.
            client.stream.set_zero_linger().unwrap();
            None
        });
        while let Some(done) = tasks.try_join_next() {
            clients.extend(done.unwrap());
        }
    }
    while let Some(done) = tasks.join_next().await {
        clients.extend(done.unwrap());
    }
    clients
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Writes of one client for a while, one after the other.
async fn writes(client: &mut Client) -> String {
    let (start, mut took) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(5) {
        let sent = Instant::now();
        client.set().await.unwrap();
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    let (half, most) = (percentile(&took, 50), percentile(&took, 99));
    format!("{} writes, p50 {half:.1?}, p99 {most:.1?}", took.len())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let sessions: usize = arguments.next().unwrap_or(100_000);
    let watches: usize = arguments.next().unwrap_or(10_000);
    let files = keelhaul_node::server::raise_file_limit() as usize;
    let kept = sessions.min(files.saturating_sub(500));
    let server = Server::start(sessions);
    let mut writer = Client::connect(server.address, 0).await.unwrap();
    let acl = [
        &[0, 0, 0, 1, 0, 0, 0, 31][..],
        &text("world"),
        &text("anyone"),
        &[0; 4],
    ]
    .concat();
    let create = [&text(PATH)[..], &text(""), &acl].concat();
    writer.ask(1, &create).await.unwrap();
    println!(
        "alone: {}; {:.0} MiB",
        writes(&mut writer).await,
        server.memory()
    );

    let (start, before) = (Instant::now(), server.memory());
    let mut clients = open(&server, sessions, kept).await;
    let (took, after) = (start.elapsed(), server.memory());
    println!(
        "{sessions} sessions, {kept} of them connected: opened in {took:.1?} ({:.0} a second); {after:.0} MiB, {:.1} KiB each",
        sessions as f64 / took.as_secs_f64(),
        (after - before) * 1024.0 / sessions as f64
    );
    let (start, used) = (Instant::now(), server.processor());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (server.processor() - used) / start.elapsed().as_secs_f64();
    println!("idle: {:.1} % of a processor", idle * 100.0);
    println!("with them: {}", writes(&mut writer).await);

    clients.truncate(watches);
    let watch = [&text(PATH)[..], &[1]].concat();
    let mut rounds = Vec::new();
    for _ in 0..5 {
        for client in &mut clients {
            client.ask(4, &watch).await.unwrap();
        }
        let start = Instant::now();
        writer.set().await.unwrap();
        let acknowledged = start.elapsed();
        let mut told = tokio::task::JoinSet::new();
        let count = clients.len();
        for mut client in clients.drain(..) {
            told.spawn(async move {
                let event = client.frame().await.unwrap();
                assert_eq!(event[..4], [255; 4], "an event");
                client
            });
        }
        while let Some(client) = told.join_next().await {
            clients.push(client.unwrap());
        }
        rounds.push((start.elapsed(), acknowledged));
        assert_eq!(clients.len(), count);
    }
    rounds.sort_unstable();
    let (all, acknowledged) = rounds[rounds.len() / 2];
    println!(
        "{} watches on one znode: the write was acknowledged after {acknowledged:.1?}, the last event was read after {all:.1?} (median of 5)",
        clients.len()
    );
}
