//! A cluster that is started for a bench: our node, or Apache ZooKeeper as Debian packages it.
//!
//! Servers are children of the supervisor, listen on 127.0.0.1, dial each other directly, and keep their data in a directory
//! that is deleted with the cluster. Everything is at its default but addresses, and what would measure something else: Apache's limit
//! on connections per address, and its admin server on a fixed port.

use crate::failure::Failure;
use crate::identity::stat_fields;
use crate::ports::{Lease, local};
use crate::supervisor::Supervisor;
use crate::supervisor::protocol::NodeSignal;
use keelhaul_workloads::{Server, probe};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Where Debian's package `zookeeper` has the server.
const APACHE_JAR: &str = "/usr/share/java/zookeeper.jar";

/// Where it has the configuration of its log.
const APACHE_LOGGING: &str = "/etc/zookeeper/conf";

/// How long servers may take until they serve.
const READY: Duration = Duration::from_secs(60);

/// How long one question may take, and the pause between two.
const QUESTION: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// What can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// keelhaul-node.
    Node,
    /// Apache ZooKeeper.
    Zookeeper,
}

impl System {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            System::Node => "node",
            System::Zookeeper => "zookeeper",
        }
    }
}

/// Where programs and data are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The controller's own program, which is the supervisor's too.
    pub keelhaul: PathBuf,
    /// The node's program, where a node is started.
    pub node: Option<PathBuf>,
    /// Where the data goes: the disk that is measured.
    pub store: PathBuf,
}

struct Member {
    name: String,
    id: u64,
    client: SocketAddr,
    peer: SocketAddr,
    election: SocketAddr,
    directory: PathBuf,
}

/// A running cluster. Dropping it ends every server and deletes its data.
pub struct Started {
    /// What it is.
    pub system: System,
    members: Vec<Member>,
    supervisor: Supervisor,
    program: PathBuf,
    // After the supervisor: the servers are gone before their data.
    _directory: tempfile::TempDir,
    _lease: Lease,
}

impl Started {
    /// Starts servers and waits until all serve.
    ///
    /// # Errors
    /// If ports, programs or files are not to be had, or a server does not come up; the message says where its log is.
    pub async fn start(system: System, servers: u16, places: &Places) -> Result<Started, Failure> {
        let program = match system {
            System::Node => places.node.clone().expect("the caller has found the node"),
            System::Zookeeper => java()?,
        };
        std::fs::create_dir_all(&places.store)
            .map_err(Failure::file("create the directory", &places.store))?;
        let directory = tempfile::Builder::new()
            .prefix(&format!("bench-{}-", system.name()))
            .tempdir_in(&places.store)
            .map_err(Failure::file("create a directory in", &places.store))?;
        let root = std::path::absolute(directory.path())
            .map_err(Failure::file("find", directory.path()))?;
        let lease = Lease::any(3 * usize::from(servers))
            .map_err(|error| Failure::Machinery(error.to_string()))?;
        let members = (1u64..)
            .zip(lease.ports().chunks_exact(3))
            .map(|(id, ports)| Member {
                name: format!("n{id}"),
                id,
                client: local(ports[0]),
                peer: local(ports[1]),
                election: local(ports[2]),
                directory: root.join(format!("n{id}")),
            })
            .collect();
        let supervisor = Supervisor::start(&places.keelhaul)
            .map_err(|error| Failure::Machinery(error.to_string()))?;
        let started = Started {
            system,
            members,
            supervisor,
            program,
            _directory: directory,
            _lease: lease,
        };
        for member in &started.members {
            started.set_up(member)?;
            started.launch(member).await?;
        }
        for member in &started.members {
            started.serves(&member.name, READY).await?;
        }
        Ok(started)
    }

    /// The servers as clients dial them.
    pub fn servers(&self) -> Vec<Server> {
        let all = self.members.iter().map(|member| Server {
            name: member.name.clone(),
            address: member.client,
        });
        all.collect()
    }

    /// The server that leads.
    ///
    /// # Errors
    /// If none does for a minute.
    pub async fn leader(&self) -> Result<String, Failure> {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            for member in &self.members {
                let answer = probe::srvr(member.client, QUESTION).await;
                if answer.is_ok_and(|srvr| matches!(&*srvr.mode, "leader" | "standalone")) {
                    return Ok(member.name.clone());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Failure::Machinery(format!(
            "no server of {} led within {READY:?}",
            self.system.name()
        )))
    }

    /// Waits until a server answers with its mode; how long that took.
    ///
    /// # Errors
    /// If it does not within the limit.
    pub async fn serves(&self, name: &str, limit: Duration) -> Result<Duration, Failure> {
        let begin = Instant::now();
        let member = self.member(name);
        loop {
            let last = match probe::srvr(member.client, QUESTION).await {
                Ok(_) => return Ok(begin.elapsed()),
                Err(error) => error.to_string(),
            };
            let ended = self.supervisor.processes().borrow().running(name).is_none();
            if ended || begin.elapsed() > limit {
                let how = if ended { "ended" } else { "did not serve" };
                let log = std::fs::read_to_string(member.directory.join("stderr.log"));
                let log = log.unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                return Err(Failure::node(
                    name,
                    format!(
                        "{} {how} within {limit:?} ({last})\n{}",
                        self.system.name(),
                        tail.join("\n")
                    ),
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// kill -9; returns when it is gone.
    ///
    /// # Errors
    /// If the supervisor cannot.
    pub async fn kill(&self, name: &str) -> Result<(), Failure> {
        let killed = self.supervisor.kill(name).await;
        killed.map_err(|error| Failure::node(name, error.to_string()))
    }

    /// SIGSTOP or SIGCONT.
    ///
    /// # Errors
    /// If the supervisor cannot.
    pub async fn signal(&self, name: &str, signal: NodeSignal) -> Result<(), Failure> {
        let signalled = self.supervisor.signal(name, signal).await;
        signalled.map_err(|error| Failure::node(name, error.to_string()))
    }

    /// Starts a server again on its data.
    ///
    /// # Errors
    /// If the supervisor cannot.
    pub async fn start_again(&self, name: &str) -> Result<(), Failure> {
        self.launch(self.member(name)).await
    }

    /// Deletes the data of a server that does not run: what a lost disk leaves.
    ///
    /// # Errors
    /// If the files cannot be deleted or made.
    pub fn wipe(&self, name: &str) -> Result<(), Failure> {
        let member = self.member(name);
        let data = member.directory.join("data");
        std::fs::remove_dir_all(&data).map_err(Failure::file("delete", &data))?;
        match self.system {
            // It comes back as it would in production: its data directory was never formatted, and it says so.
            System::Node => Ok(()),
            System::Zookeeper => self.set_up(member),
        }
    }

    /// Resident memory of each server, in MiB.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn memory(&self) -> Result<Vec<f64>, Failure> {
        self.of_each_process(resident)
    }

    /// The processor time that the servers have had since they started, all together, in seconds.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn processor_time(&self) -> Result<f64, Failure> {
        Ok(self.of_each_process(processor_time)?.iter().sum())
    }

    fn of_each_process(
        &self,
        ask: impl Fn(u32) -> Result<f64, Failure>,
    ) -> Result<Vec<f64>, Failure> {
        let processes = self.supervisor.processes();
        let processes = processes.borrow();
        let all = self.members.iter().map(|member| {
            let process = processes
                .running(&member.name)
                .ok_or_else(|| Failure::node(&member.name, "it does not run"))?;
            ask(process.pid)
        });
        all.collect()
    }

    /// Ends every server.
    ///
    /// # Errors
    /// If they do not end in time.
    pub async fn shut_down(&self) -> Result<(), Failure> {
        let ended = self.supervisor.shut_down().await;
        ended.map_err(|error| Failure::Machinery(error.to_string()))
    }

    fn member(&self, name: &str) -> &Member {
        let found = self.members.iter().find(|member| member.name == name);
        found.expect("the name is one of this cluster's own")
    }

    fn set_up(&self, member: &Member) -> Result<(), Failure> {
        let data = member.directory.join("data");
        let make = |path: &Path| {
            std::fs::create_dir_all(path).map_err(Failure::file("create the directory", path))
        };
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(Failure::file("write", path))
        };
        make(&member.directory)?;
        let config = self.config_path(member);
        match self.system {
            System::Node => {
                write(&config, &self.node_config(member))?;
                let format = std::process::Command::new(&self.program)
                    .args(["format", "--config"])
                    .arg(&config)
                    .output()
                    .map_err(Failure::file("run", &self.program))?;
                if !format.status.success() {
                    let said = String::from_utf8_lossy(&format.stderr).trim().to_owned();
                    return Err(Failure::node(&member.name, said));
                }
            }
            System::Zookeeper => {
                make(&data)?;
                write(&data.join("myid"), &member.id.to_string())?;
                write(&config, &self.apache_config(member))?;
            }
        }
        Ok(())
    }

    fn config_path(&self, member: &Member) -> PathBuf {
        member.directory.join(match self.system {
            System::Node => "node.toml",
            System::Zookeeper => "zoo.cfg",
        })
    }

    fn node_config(&self, member: &Member) -> String {
        let mut text = format!(
            "id = {}\ndata_dir = {:?}\n",
            member.id,
            member.directory.join("data").display().to_string()
        );
        for other in &self.members {
            write!(
                text,
                "[[members]]\nid = {}\npeer_address = \"{}\"\nclient_address = \"{}\"\nrole = \"voter\"\n",
                other.id, other.peer, other.client
            )
            .expect("writing to a string does not fail");
        }
        text
    }

    fn apache_config(&self, member: &Member) -> String {
        let mut text = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\n\
             maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
            member.directory.join("data").display(),
            member.client.port()
        );
        for other in &self.members {
            let (peer, election) = (other.peer.port(), other.election.port());
            writeln!(text, "server.{}=127.0.0.1:{peer}:{election}", other.id)
                .expect("writing to a string does not fail");
        }
        text
    }

    async fn launch(&self, member: &Member) -> Result<(), Failure> {
        let config = self.config_path(member).display().to_string();
        let arguments = match self.system {
            System::Node => vec!["--config".to_owned(), config],
            System::Zookeeper => vec![
                "-Dzookeeper.root.logger=WARN,CONSOLE".to_owned(),
                "-cp".to_owned(),
                format!("{APACHE_LOGGING}:{APACHE_JAR}"),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned(),
                config,
            ],
        };
        let stdout = member.directory.join("stdout.log");
        let stderr = member.directory.join("stderr.log");
        let process = self
            .supervisor
            .start_node(&member.name, &self.program, arguments, &stdout, &stderr)
            .await;
        process
            .map(|_| ())
            .map_err(|error| Failure::node(&member.name, error.to_string()))
    }
}

/// The Java program, where Apache ZooKeeper is installed.
fn java() -> Result<PathBuf, Failure> {
    let missing = |what: &str| {
        Failure::Usage(format!(
            "--system zookeeper: {what}; install Debian's package `zookeeper`, or start it yourself and use --endpoints"
        ))
    };
    if !Path::new(APACHE_JAR).exists() {
        return Err(missing(&format!("{APACHE_JAR} is not there")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join("java"))
        .find(|program| program.exists())
        .ok_or_else(|| missing("there is no `java` in PATH"))
}

/// `VmRSS` of a process, in MiB.
fn resident(pid: u32) -> Result<f64, Failure> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_ascii_whitespace().next())
        .and_then(|kib| kib.parse::<f64>().ok());
    kib.map(|kib| kib / 1_024.0)
        .ok_or_else(|| Failure::Machinery(format!("{} has no VmRSS", path.display())))
}

/// User and system time of a process, in seconds.
fn processor_time(pid: u32) -> Result<f64, Failure> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let stat = std::fs::read_to_string(&path).map_err(Failure::file("read", &path))?;
    // utime and stime are the fields 14 and 15.
    let ticks = stat_fields(&stat).and_then(|fields| {
        let mut fields = fields.skip(11);
        let mut next = || fields.next()?.parse::<f64>().ok();
        Some(next()? + next()?)
    });
    ticks
        .map(|ticks| ticks / rustix::param::clock_ticks_per_second() as f64)
        .ok_or_else(|| Failure::Machinery(format!("{} has no times", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_has_processor_time() {
        let (pid, start) = (std::process::id(), std::time::Instant::now());
        let before = processor_time(pid).unwrap();
        while processor_time(pid).unwrap() < before + 0.05 {
            assert!(start.elapsed().as_secs() < 60, "it has had none");
        }
    }
}
