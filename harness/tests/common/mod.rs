//! Runs of the real `keelhaul` on real nodes, in stores of their own.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");

/// Longer than anything here takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A store that is removed with the test.
pub struct Store(tempfile::TempDir);

impl Store {
    pub fn new() -> Store {
        Store(tempfile::tempdir().unwrap())
    }

    /// The newest run.
    pub fn latest(&self) -> PathBuf {
        self.0.path().join("latest")
    }

    /// `keelhaul run` with these options, in this store.
    pub fn run(&self, options: &[&str]) -> Command {
        let mut command = keelhaul(&["run", "--json", "--store"]);
        command.arg(self.0.path()).args(options);
        command
    }

    /// A plan of these options, with a schedule of the test's own.
    pub fn plan(&self, options: &[&str], episodes: Value) -> PathBuf {
        let output = self.run(options).arg("--dry-run").output().unwrap();
        let mut plan = json(&output);
        plan["schedule"]["episodes"] = episodes;
        let path = self.0.path().join("asked.json");
        std::fs::write(&path, plan.to_string()).unwrap();
        path
    }

    /// The history of the newest run, as far as it is written.
    pub fn history(&self) -> Vec<Value> {
        let path = self.latest().join("history.jsonl.zst");
        let Ok(file) = std::fs::File::open(path) else {
            return Vec::new();
        };
        let (history, _) = keelhaul_checkers::History::read(file).unwrap();
        let lines = history.events();
        lines
            .map(|event| serde_json::to_value(event).unwrap())
            .collect()
    }

    /// Waits until the newest run has a line like this.
    pub fn wait_for_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        wait_until(what, || self.history().iter().any(&wanted));
    }

    /// The processes of the newest run's nodes that `undo.jsonl` names.
    pub fn node_processes(&self) -> Vec<keelhaul::identity::ProcessIdentity> {
        let undos = std::fs::read_to_string(self.latest().join("undo.jsonl")).unwrap();
        undos
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|undo| undo["undo"] == "end")
            .map(|undo| serde_json::from_value(undo["process"].clone()).unwrap())
            .collect()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// `keelhaul`, which builds the nodes' program itself: it is run by cargo here.
pub fn keelhaul(arguments: &[&str]) -> Command {
    let mut command = Command::new(KEELHAUL);
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn background(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a command printed on standard output.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
