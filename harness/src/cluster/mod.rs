//! A cluster of local processes: set up, started, signalled, and started again.
//!
//! Nodes listen on 127.0.0.1 and keep their data under the run directory. They are children of the supervisor, and reach
//! each other through the links alone.

pub mod binary;
mod layout;

pub use binary::NodeBinary;
pub use layout::Member;

use crate::failure::Failure;
use crate::identity::{ProcessIdentity, ProcessState};
use crate::links::Links;
use crate::ports::Lease;
use crate::store::RunDirectory;
use crate::supervisor::protocol::NodeSignal;
use crate::supervisor::{Processes, Supervisor, SupervisorError};
use crate::undo::{Undo, UndoLog};
use keelhaul_workloads::{Server, probe};
use layout::Layout;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often a starting node is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(10);

/// How long one such question may take.
const READY_ANSWER: Duration = Duration::from_millis(250);

/// How long a process may take to show that a signal has reached it.
const SIGNAL_LIMIT: Duration = Duration::from_secs(5);

/// What to deploy.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The controller's own program, which is the supervisor's too.
    pub keelhaul: PathBuf,
    /// The nodes' program.
    pub node: PathBuf,
    /// A planted bug that every node shows.
    pub bug: Option<String>,
    /// How many nodes.
    pub nodes: u16,
    /// The first client port; wherever there is room if not given.
    pub first_port: Option<u16>,
    /// The run's seed.
    pub seed: u64,
}

/// A deployed cluster. Dropping it ends every node.
pub struct Cluster {
    members: Vec<Member>,
    links: Links,
    supervisor: Supervisor,
    undo: Arc<UndoLog>,
    program: PathBuf,
    bug: Option<String>,
    _leases: Vec<Lease>,
}

impl Cluster {
    /// Sets every node up and starts it. They are ready later: see [`Cluster::ready`].
    ///
    /// # Errors
    /// If ports, files or programs are not to be had; the message names the node.
    pub async fn deploy(
        deployment: &Deployment,
        run: &RunDirectory,
        undo: Arc<UndoLog>,
    ) -> Result<Cluster, Failure> {
        let layout = Layout::plan(run, deployment.nodes, deployment.first_port)?;
        let links = Links::open(layout.proxied, deployment.seed)
            .map_err(|error| Failure::Machinery(format!("could not open the links: {error}")))?;
        let supervisor = Supervisor::start(&deployment.keelhaul).map_err(machinery)?;
        let cluster = Cluster {
            members: layout.members,
            links,
            supervisor,
            undo,
            program: deployment.node.clone(),
            bug: deployment.bug.clone(),
            _leases: layout.leases,
        };
        cluster.format_all().await?;
        for member in &cluster.members {
            cluster.start(&member.name).await?;
        }
        Ok(cluster)
    }

    /// The nodes, in the order of their ids.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The nodes as clients dial them.
    pub fn for_clients(&self) -> Vec<Server> {
        self.members.iter().map(Member::for_clients).collect()
    }

    /// The nodes as the controller asks them: past every fault.
    pub fn for_controller(&self) -> Vec<Server> {
        self.members.iter().map(Member::for_controller).collect()
    }

    /// The links between them.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The nodes' processes, now and as they change.
    pub fn processes(&self) -> watch::Receiver<Processes> {
        self.supervisor.processes()
    }

    /// The node's live process.
    pub fn running(&self, name: &str) -> Option<ProcessIdentity> {
        self.processes().borrow().running(name).cloned()
    }

    /// Waits until every node has a role in a cluster that works.
    ///
    /// # Errors
    /// If one has ended, or is not ready within the limit; the message quotes the end of its log.
    pub async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        for member in &self.members {
            loop {
                let last = match probe::srvr(member.client_address, READY_ANSWER).await {
                    Ok(_) => break,
                    Err(error) => error.to_string(),
                };
                if self.running(&member.name).is_none() {
                    return Err(self.trouble(member, "it ended while it was starting"));
                }
                if Instant::now() >= deadline {
                    let problem = format!("not ready within {limit:?} ({last})");
                    return Err(self.trouble(member, &problem));
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
        Ok(())
    }

    /// Starts a node's process on its data.
    ///
    /// # Errors
    /// If the supervisor cannot; a node that runs already is refused.
    pub async fn start(&self, name: &str) -> Result<ProcessIdentity, Failure> {
        let member = self.member(name)?;
        let mut arguments = vec!["--config".to_owned(), path_text(&member.files.config)];
        if let Some(bug) = &self.bug {
            arguments.extend(["--bug".to_owned(), bug.clone()]);
        }
        let files = &member.files;
        let process = self
            .supervisor
            .start_node(name, &self.program, arguments, &files.stdout, &files.stderr)
            .await
            .map_err(|error| Failure::node(name, error.to_string()))?;
        self.undo.append(&Undo::End {
            node: name.to_owned(),
            process: process.clone(),
        })?;
        Ok(process)
    }

    /// kill -9; returns when the process is gone.
    ///
    /// # Errors
    /// If it is not gone in time, or the supervisor is.
    pub async fn kill(&self, name: &str) -> Result<(), SupervisorError> {
        self.supervisor.kill(name).await
    }

    /// SIGSTOP; returns whether the process was seen stopped.
    ///
    /// # Errors
    /// If the signal could not be sent.
    pub async fn stop(
        &self,
        process: &ProcessIdentity,
        name: &str,
    ) -> Result<bool, SupervisorError> {
        self.supervisor.signal(name, NodeSignal::Stop).await?;
        Ok(shows(process, |state| state == ProcessState::Stopped).await)
    }

    /// SIGCONT; returns whether the process was seen running, or gone.
    ///
    /// # Errors
    /// If the signal could not be sent.
    pub async fn resume(
        &self,
        process: &ProcessIdentity,
        name: &str,
    ) -> Result<bool, SupervisorError> {
        self.supervisor.signal(name, NodeSignal::Continue).await?;
        Ok(shows(process, |state| state != ProcessState::Stopped).await)
    }

    /// Ends every node and the supervisor; returns when they are gone.
    ///
    /// # Errors
    /// If they do not end in time.
    pub async fn shut_down(&self) -> Result<(), Failure> {
        self.supervisor.shut_down().await.map_err(machinery)
    }

    /// Writes each node's configuration and makes its data directory, all at a time.
    async fn format_all(&self) -> Result<(), Failure> {
        let mut formats = JoinSet::new();
        for member in &self.members {
            let files = &member.files;
            std::fs::create_dir_all(&files.directory)
                .map_err(Failure::file("create the directory", &files.directory))?;
            std::fs::write(&files.config, member.config(&self.members))
                .map_err(Failure::file("write", &files.config))?;
            formats.spawn(format(
                self.program.clone(),
                member.name.clone(),
                files.config.clone(),
            ));
        }
        while let Some(formatted) = formats.join_next().await {
            formatted.map_err(|error| Failure::Machinery(error.to_string()))??;
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Result<&Member, Failure> {
        let found = self.members.iter().find(|member| member.name == name);
        found.ok_or_else(|| Failure::node(name, "there is no such node in this cluster"))
    }

    fn trouble(&self, member: &Member, problem: &str) -> Failure {
        let log = std::fs::read_to_string(&member.files.stderr).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let mut text = format!("{problem}; its log is {}", member.files.stderr.display());
        for line in last.iter().rev() {
            text.push_str("\n    ");
            text.push_str(line);
        }
        Failure::node(&member.name, text)
    }
}

async fn format(program: PathBuf, name: String, config: PathBuf) -> Result<(), Failure> {
    let output = tokio::process::Command::new(&program)
        .arg("format")
        .arg("--config")
        .arg(&config)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Failure::file("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::node(
        &name,
        format!(
            "`{} format --config {}` ended with {}: {}",
            program.display(),
            config.display(),
            output.status,
            said.trim()
        ),
    ))
}

async fn shows(process: &ProcessIdentity, wanted: impl Fn(ProcessState) -> bool) -> bool {
    let deadline = Instant::now() + SIGNAL_LIMIT;
    while !wanted(process.state()) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

fn machinery(error: SupervisorError) -> Failure {
    Failure::Machinery(error.to_string())
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
