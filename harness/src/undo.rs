//! What undoes each fault, on disk before the fault goes in.
//!
//! `undo.jsonl` has one JSON object a line, each fsynced before its fault is installed. A controller that heals by
//! itself marks what it has done; [`heal`] replays the rest for a controller that was killed. It may be replayed any
//! number of times, and it touches no process but those named here by id, start time and boot.
//!
//! Links need no undo after the controller's death: they are proxies inside it, and are gone with it. Neither do killed
//! nodes: their cluster is gone too.

use crate::failure::Failure;
use crate::identity::{ProcessIdentity, ProcessState};
use crate::store::RunDirectory;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a process may take to show that a signal has reached it.
const SIGNAL_LIMIT: Duration = Duration::from_secs(5);

/// One line of `undo.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "kebab-case")]
pub enum Undo {
    /// Who heals for as long as it lives.
    Controller {
        /// The controller.
        process: ProcessIdentity,
    },
    /// A node was started: the end of the run is its end.
    End {
        /// The node.
        node: String,
        /// Its process, which leads a process group.
        process: ProcessIdentity,
    },
    /// A node is about to be killed: start it again. Only a living controller can.
    Start {
        /// The fault's episode.
        episode: u32,
        /// The node.
        node: String,
    },
    /// A node is about to be stopped: continue it.
    Continue {
        /// The fault's episode.
        episode: u32,
        /// The node.
        node: String,
        /// Its process, which leads a process group.
        process: ProcessIdentity,
    },
    /// Links are about to be cut: open them. They are gone with the controller.
    Open {
        /// The fault's episode.
        episode: u32,
        /// The links, (from, to).
        links: Vec<(String, String)>,
    },
    /// Everything of this episode is undone.
    Done {
        /// The fault's episode.
        episode: u32,
    },
}

/// Where a living controller writes its undos.
#[derive(Debug)]
pub struct UndoLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl UndoLog {
    /// Opens the file and names this process as the controller.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<UndoLog, Failure> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(Failure::file("create", path))?;
        let log = UndoLog {
            path: path.to_owned(),
            file: Mutex::new(file),
        };
        if let Some(process) = ProcessIdentity::of(std::process::id()) {
            log.append(&Undo::Controller { process })?;
        }
        Ok(log)
    }

    /// Makes an undo durable. The fault may be installed when this has returned `Ok`.
    ///
    /// # Errors
    /// If it cannot be written: then the fault must not be installed.
    pub fn append(&self, undo: &Undo) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(undo).expect("an undo is plain data");
        line.push(b'\n');
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(&line)
            .and_then(|()| file.sync_data())
            .map_err(Failure::file("write an undo to", &self.path))
    }
}

/// What [`heal`] did and found, a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Healed {
    /// What was undone now.
    pub undone: Vec<String>,
    /// What needed nothing any more.
    pub already: Vec<String>,
    /// What could not be undone, and why.
    pub failed: Vec<String>,
    /// Lines that say nothing that could be undone.
    pub unreadable: Vec<String>,
}

/// Undoes what a killed controller left behind. Doing it again does nothing more.
///
/// # Errors
/// If the file cannot be read, or the controller still lives: it heals by itself.
pub fn heal(run: &RunDirectory) -> Result<Healed, Failure> {
    let path = run.undo();
    let (undos, unreadable) = read(&path)?;
    if let Some(pid) = living_controller(&undos) {
        return Err(Failure::Usage(format!(
            "the run in {} is still controlled by process {pid}, which heals by itself: press Ctrl-C there",
            run.path().display()
        )));
    }
    let mut healed = Healed {
        undone: Vec::new(),
        already: Vec::new(),
        failed: Vec::new(),
        unreadable,
    };
    // The newest first, as nested faults come off.
    for undo in undos.iter().rev() {
        healed.replay(undo, is_done(undo, &undos));
    }
    Ok(healed)
}

/// The undos, and a sentence about each line that is none. A last line that was cut off belongs to a fault that was never
/// installed.
fn read(path: &Path) -> Result<(Vec<Undo>, Vec<String>), Failure> {
    let bytes = std::fs::read(path).map_err(Failure::input("read", path))?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let (mut undos, mut unreadable) = (Vec::new(), Vec::new());
    for (line, number) in bytes[..end].split(|byte| *byte == b'\n').zip(1..) {
        match serde_json::from_slice(line) {
            Ok(undo) => undos.push(undo),
            Err(error) => unreadable.push(format!(
                "line {number} of {} is not an undo ({error}); look at it by hand",
                path.display()
            )),
        }
    }
    Ok((undos, unreadable))
}

fn living_controller(undos: &[Undo]) -> Option<u32> {
    undos.iter().find_map(|undo| match undo {
        Undo::Controller { process } if process.state() != ProcessState::Gone => Some(process.pid),
        _ => None,
    })
}

fn is_done(undo: &Undo, all: &[Undo]) -> bool {
    match undo {
        Undo::Start { episode, .. }
        | Undo::Continue { episode, .. }
        | Undo::Open { episode, .. } => all.contains(&Undo::Done { episode: *episode }),
        Undo::Controller { .. } | Undo::End { .. } | Undo::Done { .. } => false,
    }
}

impl Healed {
    fn replay(&mut self, undo: &Undo, done: bool) {
        match undo {
            Undo::Controller { .. } | Undo::Done { .. } => {}
            _ if done => {}
            Undo::Start { episode, node } => self.already.push(format!(
                "episode {episode}: {node} was killed; its cluster is gone, so it is not started again"
            )),
            Undo::Open { episode, links } => self.already.push(format!(
                "episode {episode}: {} cut links are gone with their controller",
                links.len()
            )),
            Undo::Continue {
                episode,
                node,
                process,
            } => self.continue_process(*episode, node, process),
            Undo::End { node, process } => self.end_process(node, process),
        }
    }

    fn continue_process(&mut self, episode: u32, node: &str, process: &ProcessIdentity) {
        let what = format!("episode {episode}: process {} of {node}", process.pid);
        match process.state() {
            ProcessState::Gone => self.already.push(format!("{what} is gone")),
            ProcessState::Running => self.already.push(format!("{what} is not stopped")),
            ProcessState::Stopped => {
                if signal(process, Signal::CONT, |now| now != ProcessState::Stopped) {
                    self.undone.push(format!("{what} continues"));
                } else {
                    self.failed.push(format!(
                        "{what} is still stopped; try `kill -CONT {}`",
                        process.pid
                    ));
                }
            }
        }
    }

    fn end_process(&mut self, node: &str, process: &ProcessIdentity) {
        let what = format!("process {} of {node}", process.pid);
        if process.state() == ProcessState::Gone {
            self.already.push(format!("{what} is gone"));
        } else if signal(process, Signal::KILL, |now| now == ProcessState::Gone) {
            self.undone
                .push(format!("{what} was left behind and is killed"));
        } else {
            self.failed.push(format!(
                "{what} is still there; try `kill -9 {}`",
                process.pid
            ));
        }
    }
}

/// Sends the process's group a signal and waits for its effect; whether it was seen.
fn signal(process: &ProcessIdentity, signal: Signal, seen: impl Fn(ProcessState) -> bool) -> bool {
    let Some(group) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // Whether it worked shows below.
    let _ = kill_process_group(group, signal);
    let deadline = Instant::now() + SIGNAL_LIMIT;
    while !seen(process.state()) {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    /// A run directory whose controller is gone, and that names a stopped process.
    fn orphaned_run(stopped: &Child) -> (tempfile::TempDir, RunDirectory) {
        let store = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(store.path(), "register", 1, chrono::Utc::now()).unwrap();
        crate::store::write_json(&run.plan(), &()).unwrap();
        let process = ProcessIdentity::of(stopped.id()).unwrap();
        let mut gone = ProcessIdentity::of(std::process::id()).unwrap();
        gone.started.push('0');
        let lines = [
            Undo::Controller { process: gone },
            Undo::Start {
                episode: 0,
                node: "n2".to_owned(),
            },
            Undo::Continue {
                episode: 1,
                node: "n1".to_owned(),
                process,
            },
        ];
        let mut text: String = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap() + "\n")
            .collect();
        text.push_str(r#"{"undo":"open","epis"#);
        std::fs::write(run.undo(), text).unwrap();
        (store, run)
    }

    fn stopped_sleeper() -> Child {
        let child = Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .spawn()
            .unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(signal(&identity, Signal::STOP, |now| now == ProcessState::Stopped));
        child
    }

    #[test]
    fn heal_continues_what_is_stopped_and_doing_it_again_does_nothing_more() {
        let mut child = stopped_sleeper();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        let (_store, run) = orphaned_run(&child);
        let first = heal(&run).unwrap();
        assert_eq!(
            (first.undone.len(), first.failed.len()),
            (1, 0),
            "{first:?}"
        );
        assert_eq!(identity.state(), ProcessState::Running);
        let second = heal(&run).unwrap();
        assert_eq!(
            (second.undone.len(), second.failed.len()),
            (0, 0),
            "{second:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn lines_of_junk_do_not_keep_the_others_from_being_undone() {
        let mut child = stopped_sleeper();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        let (_store, run) = orphaned_run(&child);
        let text = std::fs::read(run.undo()).unwrap();
        std::fs::write(run.undo(), [b"junk\n\xff\xfe\n", &text[..]].concat()).unwrap();
        let healed = heal(&run).unwrap();
        assert_eq!((healed.undone.len(), healed.unreadable.len()), (1, 2));
        assert!(healed.unreadable[1].contains("line 2"), "{healed:?}");
        assert_eq!(identity.state(), ProcessState::Running);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_took_over_the_number_is_left_alone() {
        let mut child = stopped_sleeper();
        let (_store, run) = orphaned_run(&child);
        let text = std::fs::read_to_string(run.undo()).unwrap();
        let started = ProcessIdentity::of(child.id()).unwrap().started;
        let other = text.replace(&format!("\"{started}\""), "\"1\"");
        std::fs::write(run.undo(), other).unwrap();
        let healed = heal(&run).unwrap();
        assert!(healed.undone.is_empty(), "{healed:?}");
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert_eq!(identity.state(), ProcessState::Stopped);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_living_controller_is_not_interfered_with() {
        let store = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(store.path(), "register", 1, chrono::Utc::now()).unwrap();
        UndoLog::create(&run.undo()).unwrap();
        let error = heal(&run).unwrap_err();
        assert!(error.to_string().contains("Ctrl-C"), "{error}");
    }
}
