//! The supervisor's own process: one thread, one loop.

use super::protocol::{Command, Message, NodeSignal, Request};
use crate::aside;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

/// How often ended children are looked for: while a kill is under way, and otherwise.
const REAP_AFTER_KILL: Duration = Duration::from_millis(2);
const REAP: Duration = Duration::from_millis(25);

/// A longer request than this means that the pipe is not what it should be.
const LONGEST_REQUEST: usize = 1 << 20;

/// Is the supervisor until the pipe on standard input closes; then no node is left.
pub fn serve() -> ExitCode {
    let mut server = Server::default();
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            aside::say(format_args!(
                "keelhaul supervisor: {error}; killing all nodes"
            ));
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Server {
    nodes: BTreeMap<String, Node>,
    input: Vec<u8>,
}

struct Node {
    child: Child,
    killed: bool,
}

impl Server {
    /// Serves until the controller is gone (`Ok`) or the conversation makes no sense any more.
    fn run(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        loop {
            let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut watched, Some(&self.patience())) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !watched[0].revents().is_empty() && !self.take_input(&stdin)? {
                return Ok(());
            }
            self.reap()?;
        }
    }

    fn patience(&self) -> Timespec {
        let killing = self.nodes.values().any(|node| node.killed);
        let wait = if killing { REAP_AFTER_KILL } else { REAP };
        Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(wait.subsec_nanos()),
        }
    }

    /// Reads what there is and carries out every whole line; `false` once the pipe is closed.
    fn take_input(&mut self, stdin: &io::Stdin) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        match rustix::io::read(stdin, &mut chunk) {
            Ok(0) => return Ok(false),
            Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let request: Request = serde_json::from_slice(&line)?;
            let answer = self.carry_out(request);
            say(&answer)?;
        }
        if self.input.len() > LONGEST_REQUEST {
            return Err(io::Error::other("a request without an end"));
        }
        Ok(true)
    }

    fn carry_out(&mut self, request: Request) -> Message {
        let id = request.id;
        let done = match request.command {
            Command::Start {
                node,
                program,
                arguments,
                stdout,
                stderr,
            } => self
                .start(&node, &program, &arguments, &stdout, &stderr)
                .map(|pid| Message::Started { id, node, pid }),
            Command::Signal { node, signal } => self
                .signal(&node, signal)
                .map(|()| Message::Signalled { id }),
        };
        done.unwrap_or_else(|reason| Message::Refused { id, reason })
    }

    fn start(
        &mut self,
        node: &str,
        program: &Path,
        arguments: &[String],
        stdout: &Path,
        stderr: &Path,
    ) -> Result<u32, String> {
        if self.nodes.contains_key(node) {
            return Err(format!("{node} already runs"));
        }
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(append_to(stdout)?)
            .stderr(append_to(stderr)?)
            .process_group(0);
        die_with_parent(&mut command);
        let child = command
            .spawn()
            .map_err(|error| format!("could not start {}: {error}", program.display()))?;
        let pid = child.id();
        let killed = false;
        self.nodes.insert(node.to_owned(), Node { child, killed });
        Ok(pid)
    }

    fn signal(&mut self, name: &str, signal: NodeSignal) -> Result<(), String> {
        let node = self
            .nodes
            .get_mut(name)
            .ok_or_else(|| format!("{name} has no process"))?;
        let number = match signal {
            NodeSignal::Kill => Signal::KILL,
            NodeSignal::Stop => Signal::STOP,
            NodeSignal::Continue => Signal::CONT,
        };
        // Not reaped yet, so the number still belongs to this child and its group.
        kill_process_group(Pid::from_child(&node.child), number)
            .map_err(|error| format!("could not signal {name}: {error}"))?;
        node.killed |= signal == NodeSignal::Kill;
        Ok(())
    }

    /// Tells of the nodes that have ended.
    fn reap(&mut self) -> io::Result<()> {
        let mut ended = Vec::new();
        for (name, node) in &mut self.nodes {
            if let Some(status) = node.child.try_wait()? {
                ended.push((name.clone(), node.child.id(), status));
            }
        }
        for (node, pid, status) in ended {
            self.nodes.remove(&node);
            say(&Message::Exited {
                node,
                pid,
                code: status.code(),
                signal: status.signal(),
            })?;
        }
        Ok(())
    }
}

impl Drop for Server {
    /// Whatever way the loop ended: no node is left behind.
    fn drop(&mut self) {
        for node in self.nodes.values() {
            // It can only fail for a group that is gone already.
            let _ = kill_process_group(Pid::from_child(&node.child), Signal::KILL);
        }
        for node in self.nodes.values_mut() {
            let _ = node.child.wait();
        }
    }
}

fn append_to(path: &Path) -> Result<File, String> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("could not open {}: {error}", path.display()))
}

fn say(message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// Makes the kernel kill the node when the supervisor dies, where there is a kernel that can.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut std::process::Command) {
    let supervisor = rustix::process::getpid();
    let in_child = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The supervisor may have died before the call above: then no signal will ever come.
        if rustix::process::getppid() != Some(supervisor) {
            return Err(io::Error::other("the supervisor is gone"));
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two plain system calls and touches no memory that another
    // thread could have left locked (there is no other thread; it does not allocate on the path that goes on).
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Elsewhere the controller kills the nodes when it notices that the supervisor is gone.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut std::process::Command) {}
