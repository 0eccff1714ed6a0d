//! The controller's end of the pipe.

use super::HIDDEN_WORD;
use super::protocol::{Command, Message, NodeSignal, Request};
use crate::identity::{ProcessIdentity, ProcessState};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};

/// How long the supervisor may take over an answer: it only makes system calls.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long the death of a killed process may take: the kernel finishes the disk write that it is in first.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Why the supervisor did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// It could not be started.
    #[error("could not start the supervisor {}: {source}", program.display())]
    Start {
        /// The program: `keelhaul` itself.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// It is gone, and every node with it.
    #[error("the supervisor process is gone, and all nodes with it; was it killed from outside?")]
    Gone,
    /// It is there and silent.
    #[error("the supervisor did not {attempt} within {ANSWER_LIMIT:?}")]
    Silent {
        /// What it was asked.
        attempt: String,
    },
    /// It could not carry the request out.
    #[error("the supervisor could not {attempt}: {reason}")]
    Refused {
        /// What it was asked.
        attempt: String,
        /// Why not.
        reason: String,
    },
}

/// A node's process, as the supervisor knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeProcess {
    /// It was started and has not ended. (It may be stopped.)
    Running(ProcessIdentity),
    /// It ended.
    Ended {
        /// The process that it was.
        identity: ProcessIdentity,
        /// Its exit code, if it ended by itself.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
}

/// All nodes' processes, and whether the supervisor is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// By node name; a node that was never started is absent.
    pub nodes: BTreeMap<String, NodeProcess>,
    /// The supervisor is gone: the harness has failed, unless it is shutting down.
    pub supervisor_gone: bool,
}

impl Processes {
    /// The node's live process.
    pub fn running(&self, node: &str) -> Option<&ProcessIdentity> {
        match self.nodes.get(node) {
            Some(NodeProcess::Running(identity)) => Some(identity),
            _ => None,
        }
    }

    /// The nodes that have ended since `before`.
    pub fn newly_ended<'a>(&'a self, before: &'a Processes) -> impl Iterator<Item = EndedNode<'a>> {
        self.nodes
            .iter()
            .filter_map(|(node, process)| match process {
                NodeProcess::Ended { code, signal, .. }
                    if before.nodes.get(node) != Some(process) =>
                {
                    Some(EndedNode {
                        node,
                        code: *code,
                        signal: *signal,
                    })
                }
                _ => None,
            })
    }
}

/// A node whose process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedNode<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Its exit code, if it had one.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

impl EndedNode<'_> {
    /// `exit code 1`, `signal 9`.
    pub fn how(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "for no reason that is known".to_owned(),
        }
    }
}

type Answers = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Message>>>>;

/// The supervisor, from the controller's side. Dropping it closes the pipe, which ends every node.
pub struct Supervisor {
    pid: Option<u32>,
    child: AsyncMutex<Child>,
    /// `None` once it is shut down.
    stdin: AsyncMutex<Option<ChildStdin>>,
    next_id: AtomicU64,
    answers: Answers,
    processes: watch::Receiver<Processes>,
}

impl Supervisor {
    /// Starts the supervisor; `program` is `keelhaul`.
    ///
    /// # Errors
    /// [`SupervisorError::Start`].
    pub fn start(program: &Path) -> Result<Supervisor, SupervisorError> {
        let failed = |source| SupervisorError::Start {
            program: program.to_owned(),
            source,
        };
        let mut child = tokio::process::Command::new(program)
            .arg(HIDDEN_WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C on the terminal goes to the controller alone, which heals before it lets the nodes go.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take().expect("standard input was piped");
        let stdout = child.stdout.take().expect("standard output was piped");
        let answers = Answers::default();
        let (publish, processes) = watch::channel(Processes::default());
        tokio::spawn(listen(stdout, answers.clone(), publish));
        Ok(Supervisor {
            pid: child.id(),
            child: AsyncMutex::new(child),
            stdin: AsyncMutex::new(Some(stdin)),
            next_id: AtomicU64::new(1),
            answers,
            processes,
        })
    }

    /// The process id that the supervisor was started with.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The nodes' processes, now and as they change.
    pub fn processes(&self) -> watch::Receiver<Processes> {
        self.processes.clone()
    }

    /// Starts a node's process; its output is appended to the two files.
    ///
    /// # Errors
    /// [`SupervisorError`], `Refused` if the node has a process or the program cannot be started.
    pub async fn start_node(
        &self,
        node: &str,
        program: &Path,
        arguments: Vec<String>,
        stdout: &Path,
        stderr: &Path,
    ) -> Result<ProcessIdentity, SupervisorError> {
        let command = Command::Start {
            node: node.to_owned(),
            program: program.to_owned(),
            arguments,
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        };
        match self.ask(format!("start {node}"), command).await? {
            Message::Started { pid, .. } => Ok(identify(pid)),
            other => Err(SupervisorError::Refused {
                attempt: format!("start {node}"),
                reason: format!("it answered {other:?}"),
            }),
        }
    }

    /// Sends a node's process group a signal.
    ///
    /// # Errors
    /// [`SupervisorError`], `Refused` if the node has no process.
    pub async fn signal(&self, node: &str, signal: NodeSignal) -> Result<(), SupervisorError> {
        let command = Command::Signal {
            node: node.to_owned(),
            signal,
        };
        let attempt = format!("send {signal:?} to {node}");
        self.ask(attempt, command).await.map(|_| ())
    }

    /// Kills a node's process and waits until it has ended. A node without a process is left as it is.
    ///
    /// # Errors
    /// [`SupervisorError`]; `Silent` if the process did not end in time.
    pub async fn kill(&self, node: &str) -> Result<(), SupervisorError> {
        match self.signal(node, NodeSignal::Kill).await {
            Ok(()) | Err(SupervisorError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut processes = self.processes();
        let ended = processes.wait_for(|now| now.running(node).is_none() || now.supervisor_gone);
        match tokio::time::timeout(DEATH_LIMIT, ended).await {
            Ok(Ok(now)) if !now.supervisor_gone => Ok(()),
            Ok(_) => Err(SupervisorError::Gone),
            Err(_) => Err(SupervisorError::Silent {
                attempt: format!("see the end of {node} after SIGKILL"),
            }),
        }
    }

    /// Ends every node and the supervisor itself; returns when they are gone.
    ///
    /// # Errors
    /// [`SupervisorError::Silent`] if it does not end in time.
    pub async fn shut_down(&self) -> Result<(), SupervisorError> {
        // The pipe closes.
        self.stdin.lock().await.take();
        let mut child = self.child.lock().await;
        match tokio::time::timeout(DEATH_LIMIT, child.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SupervisorError::Silent {
                attempt: "end itself and all nodes".to_owned(),
            }),
        }
    }

    async fn ask(&self, attempt: String, command: Command) -> Result<Message, SupervisorError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        lock(&self.answers).insert(id, sender);
        let mut line = serde_json::to_vec(&Request { id, command })
            .expect("a request is plain data: it always has a JSON form");
        line.push(b'\n');
        // A supervisor that is gone shows in the answer that never comes.
        let written = match &mut *self.stdin.lock().await {
            Some(stdin) => stdin.write_all(&line).await.is_ok(),
            None => false,
        };
        if !written || self.processes.borrow().supervisor_gone {
            lock(&self.answers).remove(&id);
            return Err(SupervisorError::Gone);
        }
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(Message::Refused { reason, .. })) => {
                Err(SupervisorError::Refused { attempt, reason })
            }
            Ok(Ok(message)) => Ok(message),
            Ok(Err(_)) => Err(SupervisorError::Gone),
            Err(_) => Err(SupervisorError::Silent { attempt }),
        }
    }
}

/// Reads the supervisor's messages until its end, and keeps the table of processes.
async fn listen(stdout: ChildStdout, answers: Answers, publish: watch::Sender<Processes>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str::<Message>(&line) {
            Ok(message) => take(message, &answers, &publish),
            Err(error) => {
                tracing::error!(%error, line, "the supervisor said something that is not of its protocol");
                break;
            }
        }
    }
    kill_orphans(&publish.borrow());
    publish.send_modify(|processes| processes.supervisor_gone = true);
    lock(&answers).clear();
}

fn take(message: Message, answers: &Answers, publish: &watch::Sender<Processes>) {
    match &message {
        Message::Started { node, pid, .. } => publish.send_modify(|processes| {
            let running = NodeProcess::Running(identify(*pid));
            processes.nodes.insert(node.clone(), running);
        }),
        Message::Exited {
            node, code, signal, ..
        } => publish.send_modify(|processes| {
            if let Some(NodeProcess::Running(identity)) = processes.nodes.get(node) {
                let ended = NodeProcess::Ended {
                    identity: identity.clone(),
                    code: *code,
                    signal: *signal,
                };
                processes.nodes.insert(node.clone(), ended);
            }
        }),
        Message::Signalled { .. } | Message::Refused { .. } => {}
    }
    let answered = match &message {
        Message::Started { id, .. } | Message::Signalled { id } | Message::Refused { id, .. } => {
            lock(answers).remove(id)
        }
        Message::Exited { .. } => None,
    };
    if let Some(waiting) = answered {
        // Whoever asked may have given up.
        let _ = waiting.send(message);
    }
}

/// Where no kernel kills the nodes with the supervisor, the controller does.
fn kill_orphans(processes: &Processes) {
    for process in processes.nodes.values() {
        let NodeProcess::Running(identity) = process else {
            continue;
        };
        if identity.state() == ProcessState::Gone {
            continue;
        }
        if let Some(group) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) {
            // It can only fail for a group that is gone by now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A process that ended before it could be looked at has no start time, and so counts as gone.
fn identify(pid: u32) -> ProcessIdentity {
    ProcessIdentity::of(pid).unwrap_or(ProcessIdentity {
        pid,
        started: String::new(),
        boot: None,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
