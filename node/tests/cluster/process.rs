//! Servers as child processes, each killed when its handle is dropped.

use crate::ports::free_ports;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_keelhaul-node");

/// Far more than anything here takes, on a machine with much else to do.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Tries until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(
            start.elapsed() < LIMIT,
            "{what} did not happen within {LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The answer to a four-letter word; `None` if nobody answers.
pub(crate) fn word(address: SocketAddr, word: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(word.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

pub(crate) struct Server {
    config: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) peer_address: SocketAddr,
    /// Where its admin server or another port is, if the configuration says `address = "@ADMIN@"`.
    pub(crate) admin_address: SocketAddr,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(BINARY);
        command.arg("--config").arg(&self.config);
        self.spawn(command);
    }

    /// Starts it with a planted bug.
    #[cfg(feature = "bugs")]
    pub(crate) fn start_with_bug(&mut self, bug: &str) {
        let mut command = Command::new(BINARY);
        command.args(["--bug", bug, "--config"]).arg(&self.config);
        self.spawn(command);
    }

    /// Starts it with files limited to about this size: its disk is full soon.
    pub(crate) fn start_with_small_disk(&mut self, kib: u32) {
        let mut command = Command::new("sh");
        // Without the signal's default the write fails with an error, as on a full disk.
        let script = format!(
            "trap '' XFSZ; ulimit -f {}; exec \"$0\" --config \"$1\"",
            2 * kib
        );
        command.arg("-c").arg(script).arg(BINARY).arg(&self.config);
        self.spawn(command);
    }

    /// Starts it behind `shim.c`: see [`Server::stall_disk`] and [`Server::free_disk`].
    pub(crate) fn start_with_shim(&mut self, clock_ms: i64) {
        let library = self.config.with_extension("so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .status()
            .expect("a C compiler is there: the workspace needs one");
        assert!(built.success());
        let mut command = Command::new(BINARY);
        command
            .arg("--config")
            .arg(&self.config)
            .env("LD_PRELOAD", library)
            .env("SHIM_STALL", self.config.with_extension("stall"))
            .env("SHIM_CLOCK_MS", clock_ms.to_string());
        self.spawn(command);
    }

    /// From now on no sync of its files returns.
    pub(crate) fn stall_disk(&self) {
        std::fs::write(self.config.with_extension("stall"), "").unwrap();
    }

    /// They return again.
    pub(crate) fn free_disk(&self) {
        std::fs::remove_file(self.config.with_extension("stall")).unwrap();
    }

    fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.config.with_extension("log"))
            .unwrap();
        self.child = Some(
            command
                .env("RUST_LOG", "info")
                .stdin(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        eventually("the server's end", || child.try_wait().unwrap())
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends it a signal.
    /// Its resident memory, in MiB.
    pub(crate) fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: usize = line.split_whitespace().next().unwrap().parse().unwrap();
        kib / 1024
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().expect("it runs"));
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }

    /// Its configuration and its data directory.
    pub(crate) fn files(&self) -> (PathBuf, PathBuf) {
        (self.config.clone(), self.config.with_extension(""))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap()
    }

    /// leader, follower or observer; `None` while it does not serve.
    pub(crate) fn mode(&self) -> Option<String> {
        let answer = word(self.address, "srvr")?;
        answer
            .lines()
            .find_map(|line| line.strip_prefix("Mode: ").map(str::to_owned))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    _dir: TempDir,
}

impl Cluster {
    /// So many servers, formatted, started, and serving. `limits` is added to each configuration.
    pub(crate) fn start(size: usize, limits: &str) -> Cluster {
        Cluster::with_observers(size, 0, limits)
    }

    /// So many voters, and behind them so many observers.
    pub(crate) fn with_observers(voters: usize, observers: usize, limits: &str) -> Cluster {
        let size = voters + observers;
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(3 * size);
        let members: String = (0..size)
            .map(|n| member(n as u64 + 1, ports[n], ports[size + n], n < voters))
            .collect();
        let mut cluster = Cluster {
            servers: Vec::new(),
            _dir: dir,
        };
        for n in 0..size {
            let config = cluster._dir.path().join(format!("n{}.toml", n + 1));
            let data = cluster._dir.path().join(format!("n{}", n + 1));
            let [address, peer_address, admin_address] =
                [ports[n], ports[size + n], ports[2 * size + n]]
                    .map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let limits = limits
                .replace("@ADMIN@", &admin_address.to_string())
                .replace("@N@", &(n + 1).to_string());
            // Tests that count zxids are not to be disturbed by what a busy machine makes the servers say.
            let quiet = if limits.contains("[warn]") {
                ""
            } else {
                "[warn]\nznodes = false"
            };
            // What belongs to no table stands first.
            let (first, tables) = limits.split_at(limits.find('[').unwrap_or(limits.len()));
            let text = format!(
                "id = {}\ndata_dir = {data:?}\n{first}\n{members}\n{tables}\n{quiet}\n",
                n + 1
            );
            std::fs::write(&config, text).unwrap();
            let formatted = Command::new(BINARY)
                .arg("format")
                .arg("--config")
                .arg(&config)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert!(formatted.success());
            cluster.servers.push(Server {
                config,
                address,
                peer_address,
                admin_address,
                child: None,
            });
            cluster.servers[n].start();
        }
        cluster.wait();
        cluster
    }

    /// A server that does not belong yet is set up with the list of all so far and itself, and started; returns which it is.
    pub(crate) fn join(&mut self, limits: &str) -> usize {
        let n = self.servers.len();
        let ports = free_ports(3);
        let [address, peer_address, admin_address] =
            [ports[0], ports[1], ports[2]].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (config, data) = (
            self._dir.path().join(format!("n{}.toml", n + 1)),
            self._dir.path().join(format!("n{}", n + 1)),
        );
        self.servers.push(Server {
            config: config.clone(),
            address,
            peer_address,
            admin_address,
            child: None,
        });
        let members: String = (0..=n)
            .map(|n| (n, &self.servers[n]))
            .map(|(n, one)| {
                member(
                    n as u64 + 1,
                    one.address.port(),
                    one.peer_address.port(),
                    true,
                )
            })
            .collect();
        let text = format!("id = {}\ndata_dir = {data:?}\n{members}\n{limits}\n", n + 1);
        std::fs::write(&config, text).unwrap();
        let mut format = Command::new(BINARY);
        assert!(
            format
                .arg("format")
                .arg("--config")
                .arg(&config)
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        self.servers[n].start();
        n
    }

    /// A server's line, as reconfig takes it.
    pub(crate) fn line(&self, n: usize, role: &str) -> String {
        let (peer, client) = (self.servers[n].peer_address, self.servers[n].address);
        format!("server.{}={peer}:{}:{role};{client}", n + 1, peer.port())
    }

    /// Waits until every running server serves; returns the leader.
    pub(crate) fn wait(&self) -> usize {
        eventually("a leader and its followers", || {
            let running: Vec<usize> = (0..self.servers.len())
                .filter(|&n| self.servers[n].child.is_some())
                .collect();
            let modes: Option<Vec<(usize, String)>> = running
                .iter()
                .map(|&n| self.servers[n].mode().map(|mode| (n, mode)))
                .collect();
            let leaders: Vec<usize> = modes?
                .into_iter()
                .filter(|(_, mode)| mode == "leader" || mode == "standalone")
                .map(|(n, _)| n)
                .collect();
            if let [leader] = leaders[..] {
                Some(leader)
            } else {
                None
            }
        })
    }

    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        self.servers[n].address
    }
}

fn member(id: u64, client: u16, peer: u16, votes: bool) -> String {
    let role = if votes { "voter" } else { "observer" };
    format!(
        "[[members]]\nid = {id}\nclient_address = \"127.0.0.1:{client}\"\npeer_address = \"127.0.0.1:{peer}\"\nrole = \"{role}\"\n"
    )
}
