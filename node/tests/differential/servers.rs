//! The two servers, as processes, each ended with its handle.

use crate::ports::free_ports;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLASSES: &str = "/usr/share/java/zookeeper.jar";
const LIMIT: Duration = Duration::from_secs(60);

/// `super:test`.
const SUPER: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The zxid before the script: others are told relative to it.
    pub(crate) base: i64,
    child: Child,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is an Apache ZooKeeper here; else it says why not.
pub(crate) fn is_there() -> bool {
    if !Path::new(CLASSES).exists() {
        println!("skipped, because {CLASSES} is not there: install Debian's package zookeeper");
        return false;
    }
    if Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped, because there is no java");
        return false;
    }
    true
}

/// A fresh Apache ZooKeeper and a fresh node, if there is an Apache ZooKeeper here.
pub(crate) fn pair() -> Option<(Server, Server)> {
    is_there().then(|| (apache(), ours()))
}

fn apache() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let port = free_ports(1)[0];
    let config = dir.path().join("zoo.cfg");
    let text = format!(
        "tickTime=1000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\n",
        dir.path().join("data").display()
    );
    std::fs::write(&config, text).unwrap();
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = Command::new("java")
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .args([
            "-Dzookeeper.extendedTypesEnabled=true",
            "-Dzookeeper.enforceQuota=true",
            "-Dzookeeper.forceSync=no",
        ])
        .args([
            "-Dznode.container.checkIntervalMs=3600000",
            "-Dzookeeper.preAllocSize=1024",
        ])
        .arg(format!(
            "-Dzookeeper.DigestAuthenticationProvider.superDigest={SUPER}"
        ))
        .args([
            "-cp",
            CLASSES,
            "org.apache.zookeeper.server.ZooKeeperServerMain",
        ])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    ready(child, port, dir)
}

fn ours() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let [port, peer] = free_ports(2).try_into().expect("two ports");
    let config = dir.path().join("n.toml");
    let text = format!(
        "id = 1\ndata_dir = {:?}\nclient_address = \"127.0.0.1:{port}\"\npeer_address = \"127.0.0.1:{peer}\"\n\
         [znodes]\ncontainer_check_ms = 3600000\nenforce_quotas = true\n[security]\nsuper_digest = {SUPER:?}\n[warn]\nznodes = false\n",
        dir.path().join("data")
    );
    std::fs::write(&config, text).unwrap();
    let binary = env!("CARGO_BIN_EXE_keelhaul-node");
    let format = Command::new(binary)
        .arg("format")
        .arg("--config")
        .arg(&config)
        .status();
    assert!(format.unwrap().success());
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = Command::new(binary)
        .arg("--config")
        .arg(&config)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    ready(child, port, dir)
}

fn ready(child: Child, port: u16, dir: TempDir) -> Server {
    let mut server = Server {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        base: 0,
        child,
        dir,
    };
    let start = Instant::now();
    while !word(server.address, "srvr").is_some_and(|answer| answer.contains("Mode:")) {
        let ended = server.child.try_wait().unwrap();
        if ended.is_some() || start.elapsed() > LIMIT {
            let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap();
            panic!(
                "the server at {} does not serve ({ended:?}):\n{log}",
                server.address
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

/// The answer to a four-letter word; `None` if nobody answers: Apache leaves a connection that comes too early without a word.
pub(crate) fn word(address: SocketAddr, word: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
