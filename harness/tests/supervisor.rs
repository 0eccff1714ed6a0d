//! No node outlives whoever started it.

#![allow(clippy::unwrap_used)]

use keelhaul::identity::{ProcessIdentity, ProcessState};
use keelhaul::supervisor::protocol::NodeSignal;
use keelhaul::supervisor::{NodeProcess, Supervisor};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const KEELHAUL: &str = env!("CARGO_BIN_EXE_keelhaul");

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

async fn start_sleeper(supervisor: &Supervisor, node: &str, directory: &Path) -> ProcessIdentity {
    let log = directory.join(format!("{node}.log"));
    let arguments = vec!["1000".to_owned()];
    supervisor
        .start_node(node, Path::new("sleep"), arguments, &log, &log)
        .await
        .unwrap()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_9(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn it_starts_stops_continues_and_kills_and_tells_of_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(Path::new(KEELHAUL)).unwrap();
    let identity = start_sleeper(&supervisor, "n1", directory.path()).await;
    assert_eq!(identity.state(), ProcessState::Running);

    supervisor.signal("n1", NodeSignal::Stop).await.unwrap();
    wait_until("stopped", || identity.state() == ProcessState::Stopped);
    supervisor.signal("n1", NodeSignal::Continue).await.unwrap();
    wait_until("running", || identity.state() == ProcessState::Running);

    supervisor.kill("n1").await.unwrap();
    assert_eq!(identity.state(), ProcessState::Gone);
    let processes = supervisor.processes().borrow().clone();
    assert!(matches!(
        processes.nodes["n1"],
        NodeProcess::Ended {
            signal: Some(9),
            ..
        }
    ));

    let again = start_sleeper(&supervisor, "n1", directory.path()).await;
    assert_ne!(again, identity);
    supervisor.shut_down().await.unwrap();
    assert_eq!(again.state(), ProcessState::Gone);
}

#[tokio::test]
async fn what_cannot_be_started_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(Path::new(KEELHAUL)).unwrap();
    let log = directory.path().join("log");
    let error = supervisor
        .start_node("n1", Path::new("/no/such/program"), Vec::new(), &log, &log)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    supervisor.shut_down().await.unwrap();
}

#[tokio::test]
async fn no_node_survives_kill_9_of_the_supervisor_and_the_controller_notices() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(Path::new(KEELHAUL)).unwrap();
    let running = start_sleeper(&supervisor, "n1", directory.path()).await;
    let stopped = start_sleeper(&supervisor, "n2", directory.path()).await;
    supervisor.signal("n2", NodeSignal::Stop).await.unwrap();
    wait_until("stopped", || stopped.state() == ProcessState::Stopped);

    kill_9(supervisor.pid().unwrap());
    let mut processes = supervisor.processes();
    tokio::time::timeout(LIMIT, processes.wait_for(|now| now.supervisor_gone))
        .await
        .unwrap()
        .unwrap();
    wait_until("no node is left", || {
        running.state() == ProcessState::Gone && stopped.state() == ProcessState::Gone
    });
}

#[test]
fn no_node_running_or_stopped_survives_kill_9_of_the_controller() {
    let mut controller = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_controller_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(controller.stdout.take().unwrap());
    let nodes: Vec<ProcessIdentity> = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("nodes: ").map(str::to_owned))
        .map(|line| serde_json::from_str(&line).unwrap())
        .next()
        .unwrap();
    assert_eq!(nodes[0].state(), ProcessState::Running);
    assert_eq!(nodes[1].state(), ProcessState::Stopped);

    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until("no node is left", || {
        nodes.iter().all(|node| node.state() == ProcessState::Gone)
    });
}

/// Not a test: the process that the test above kills.
#[tokio::test]
#[ignore = "run by no_node_running_or_stopped_survives_kill_9_of_the_controller"]
async fn a_controller_to_be_killed() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(Path::new(KEELHAUL)).unwrap();
    let running = start_sleeper(&supervisor, "n1", directory.path()).await;
    let stopped = start_sleeper(&supervisor, "n2", directory.path()).await;
    supervisor.signal("n2", NodeSignal::Stop).await.unwrap();
    wait_until("stopped", || stopped.state() == ProcessState::Stopped);
    let nodes = serde_json::to_string(&[running, stopped]).unwrap();
    println!("\nnodes: {nodes}");
    std::future::pending::<()>().await;
}
