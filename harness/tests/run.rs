//! Whole runs, from the command line to the exit code.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Store, background, code, json, keelhaul, signal, wait_until};
use keelhaul::identity::ProcessState;
use rustix::process::Signal;
use serde_json::json as value;
use std::process::Child;

/// A small cluster that works for a moment.
const SMALL: [&str; 6] = ["--nodes", "3", "--workers", "4", "--seed", "7"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], more].concat()
}

/// One pause of n1 that begins soon and lasts.
fn long_pause() -> serde_json::Value {
    value!([{"id": 0, "fault": {"kind": "pause"}, "target": {"node": "n1"}, "start_ms": 200, "length_ms": 60_000, "draw": 1}])
}

fn is_installed(line: &serde_json::Value) -> bool {
    line["process"] == "nemesis"
        && line["value"]["phase"] == "install"
        && line["value"]["outcome"] == "installed"
}

fn no_node_is_left(store: &Store) {
    let nodes = store.node_processes();
    assert!(nodes.len() >= 3);
    wait_until("no node is left", || {
        nodes.iter().all(|node| node.state() == ProcessState::Gone)
    });
}

/// The controller's only child.
fn supervisor_of(controller: &Child) -> u32 {
    let id = controller.id();
    let children = std::process::Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .unwrap();
    let children = String::from_utf8_lossy(&children.stdout).into_owned();
    children
        .lines()
        .map(|line| line.split_whitespace().map(|n| n.parse::<u32>().unwrap()))
        .filter_map(|mut pair| pair.next().zip(pair.next()))
        .find_map(|(pid, parent)| (parent == id).then_some(pid))
        .unwrap()
}

#[test]
fn a_run_without_faults_is_valid_and_leaves_everything_in_its_directory() {
    let store = Store::new();
    let output = store
        .run(&with(&["--nemesis", "none", "--time-limit", "2"]))
        .output()
        .unwrap();
    let printed = json(&output);
    assert_eq!(code(&output), 0, "{printed:#}");
    assert_eq!(printed["results"]["valid"], true);
    let latest = store.latest();
    for file in [
        "plan.json",
        "history.jsonl.zst",
        "results.json",
        "report.html",
        "junit.xml",
        "undo.jsonl",
    ] {
        assert!(latest.join(file).is_file(), "{file}");
    }
    assert!(latest.join("nodes/n1/stderr.log").is_file());
    assert!(
        !latest.join("nodes/n1/data").exists(),
        "data is removed after a valid run"
    );

    let again = keelhaul(&["check", "--json", latest.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(code(&again), 0);
    let mut again = json(&again);
    assert_eq!(again["file"], latest.to_str().unwrap());
    again.as_object_mut().unwrap().remove("file");
    assert_eq!(again, printed["results"]);
}

#[test]
fn a_pause_and_a_cut_that_the_plan_asks_for_are_installed_felt_and_healed() {
    let store = Store::new();
    let plan = store.plan(
        &with(&["--nemesis", "pause,partition", "--time-limit", "7"]),
        value!([
            {"id": 0, "fault": {"kind": "pause"}, "target": "leader", "start_ms": 800, "length_ms": 1_500, "draw": 1},
            {"id": 1, "fault": {"kind": "partition", "shape": "isolate"}, "target": "leader", "start_ms": 3_500, "length_ms": 1_500, "draw": 2},
        ]),
    );
    let output = store
        .run(&["--plan", plan.to_str().unwrap()])
        .output()
        .unwrap();
    let lines = store.history();
    for kind in ["pause", "partition"] {
        let of = |phase: &str| {
            let found = lines
                .iter()
                .find(|line| line["f"] == kind && line["value"]["phase"] == phase);
            found.unwrap_or_else(|| panic!("no {phase} of {kind}"))["value"].clone()
        };
        assert_eq!(of("install")["outcome"], "installed");
        assert_eq!(of("observe")["observed"], true, "{}", of("observe"));
        assert_eq!(of("heal")["outcome"], "healed");
    }
    assert_ne!(code(&output), 1, "{:#}", json(&output));
    assert_ne!(code(&output), 70, "{output:?}");
}

#[test]
fn ctrl_c_heals_saves_and_checks_what_there_is() {
    let store = Store::new();
    let plan = store.plan(
        &with(&["--nemesis", "pause", "--time-limit", "60"]),
        long_pause(),
    );
    let run = background(store.run(&["--plan", plan.to_str().unwrap()]));
    store.wait_for_line("the pause", is_installed);
    signal(run.id(), Signal::INT);
    let output = run.wait_with_output().unwrap();
    let printed = json(&output);
    assert_eq!(code(&output), 2, "{printed:#}");
    assert!(
        printed["results"]["unknown"]
            .to_string()
            .contains("interrupted"),
        "{printed:#}"
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Ctrl-C again stops at once"), "{said}");
    let lines = store.history();
    assert!(
        lines
            .iter()
            .any(|line| line["value"]["outcome"] == "healed")
    );
    no_node_is_left(&store);
}

#[test]
fn a_second_ctrl_c_stops_at_once_and_no_node_is_left() {
    let store = Store::new();
    let plan = store.plan(
        &with(&["--nemesis", "none", "--time-limit", "60"]),
        value!([]),
    );
    let run = background(store.run(&["--plan", plan.to_str().unwrap()]));
    store.wait_for_line("the work", |line| line["value"]["phase"] == "work");
    signal(run.id(), Signal::INT);
    signal(run.id(), Signal::TERM);
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    no_node_is_left(&store);
}

#[test]
fn kill_9_of_the_controller_in_the_middle_of_a_fault_leaves_nothing_and_heal_says_so() {
    let store = Store::new();
    let plan = store.plan(
        &with(&["--nemesis", "pause", "--time-limit", "60"]),
        long_pause(),
    );
    let mut run = background(store.run(&["--plan", plan.to_str().unwrap()]));
    store.wait_for_line("the pause", is_installed);
    let latest = store.latest();
    let refused = keelhaul(&["heal", latest.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(code(&refused), 64, "a living controller heals by itself");

    let stopped = store.node_processes();
    assert!(
        stopped
            .iter()
            .any(|node| node.state() == ProcessState::Stopped)
    );
    run.kill().unwrap();
    run.wait().unwrap();
    no_node_is_left(&store);
    for _ in 0..2 {
        let healed = keelhaul(&["heal", "--json", latest.to_str().unwrap()])
            .output()
            .unwrap();
        assert_eq!(code(&healed), 0);
        let healed = json(&healed);
        assert_eq!(healed["undone"], value!([]));
        assert!(
            healed["already"].to_string().contains("episode 0"),
            "{healed:#}"
        );
    }
    let checked = keelhaul(&["check", "--json", latest.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(
        code(&checked),
        2,
        "what there is can be judged: {checked:?}"
    );
}

#[test]
fn kill_9_of_the_supervisor_is_a_failure_of_the_harness() {
    let store = Store::new();
    let plan = store.plan(
        &with(&["--nemesis", "none", "--time-limit", "60"]),
        value!([]),
    );
    let run = background(store.run(&["--plan", plan.to_str().unwrap()]));
    store.wait_for_line("the work", |line| line["value"]["phase"] == "work");
    signal(supervisor_of(&run), Signal::KILL);
    let output = run.wait_with_output().unwrap();
    assert_eq!(code(&output), 70);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("supervisor"), "{said}");
    no_node_is_left(&store);
    assert!(
        store.latest().join("nodes/n1/data").is_dir(),
        "data is kept on failure"
    );
}

#[test]
fn two_runs_side_by_side_do_not_collide() {
    let stores = [Store::new(), Store::new()];
    let options = with(&["--nemesis", "none", "--time-limit", "2"]);
    let runs = stores
        .each_ref()
        .map(|store| background(store.run(&options)));
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
    }
}
