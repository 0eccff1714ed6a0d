//! What the command line says to input that is wrong, and to histories by themselves.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Store, code, json, keelhaul};
use std::io::Write;
use std::process::{Output, Stdio};

fn refused(output: &Output, exit: i32, wanted: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(output), exit, "{said}");
    for word in wanted {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
}

fn check_text(history: &str, model: &str) -> Output {
    let mut command = keelhaul(&["check", "--json", "-", "--model", model]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A history that is refused early is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(history.as_bytes());
    child.wait_with_output().unwrap()
}

const VALID: &str = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","value":1}
{"index":1,"time":20,"process":0,"type":"ok","f":"write","value":1}
{"index":2,"time":30,"process":1,"type":"invoke","f":"read","value":null}
{"index":3,"time":40,"process":1,"type":"ok","f":"read","value":1}
"#;

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let run = |options: &[&str]| Store::new().run(options).output().unwrap();
    refused(
        &run(&["--workload", "regsiter"]),
        64,
        &["regsiter", "`register`"],
    );
    refused(
        &run(&["--nemesis", "kill,puase"]),
        64,
        &["puase", "`pause`"],
    );
    refused(&run(&["--nodes", "99"]), 64, &["--nodes 99"]);
    refused(&run(&["--time-limit", "soon"]), 64, &["soon", "500ms"]);
    refused(
        &run(&["--node-bin", "/no/such/node"]),
        64,
        &["/no/such/node", "cargo build"],
    );
    refused(
        &run(&["--plan", "/no/such/plan.json"]),
        64,
        &["/no/such/plan.json"],
    );
    let model = keelhaul(&["check", "-", "--model", "registre"])
        .output()
        .unwrap();
    refused(&model, 64, &["registre", "`register`"]);
}

#[test]
fn a_history_by_itself_is_judged_and_the_exit_code_says_it() {
    let valid = check_text(VALID, "register");
    assert_eq!((code(&valid), &json(&valid)["valid"]), (0, &true.into()));
    let stale = VALID.replace(
        r#""ok","f":"read","value":1"#,
        r#""ok","f":"read","value":2"#,
    );
    let invalid = check_text(&stale, "register");
    assert_eq!(
        (code(&invalid), &json(&invalid)["valid"]),
        (1, &false.into())
    );
}

#[test]
fn a_history_without_operations_is_unknown_not_valid() {
    let empty = check_text("", "register");
    assert_eq!(
        (code(&empty), &json(&empty)["valid"]),
        (2, &"unknown".into())
    );
}

#[test]
fn a_cut_off_history_is_judged_and_told_of_and_a_broken_one_is_refused() {
    let cut = check_text(&format!("{VALID}{{\"index\":4,\"ti"), "register");
    assert_eq!(code(&cut), 0);
    assert!(
        String::from_utf8_lossy(&cut.stderr).contains("line 5"),
        "{cut:?}"
    );
    refused(
        &check_text("no history\n", "register"),
        64,
        &["standard input", "line 1"],
    );
    let missing = keelhaul(&["check", "/no/such/history", "--model", "register"])
        .output()
        .unwrap();
    refused(&missing, 64, &["/no/such/history"]);
}

#[test]
fn a_port_in_use_is_named() {
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    let store = Store::new();
    let up = keelhaul(&["up", "--nodes", "1", "--port", &port.to_string(), "--store"])
        .arg(store.path())
        .output()
        .unwrap();
    refused(&up, 64, &[&format!("port {port} "), "in use"]);
}

#[test]
fn a_dry_run_prints_a_plan_and_the_same_seed_prints_the_same() {
    let store = Store::new();
    let plan = |seed: &str| json(&store.run(&["--dry-run", "--seed", seed]).output().unwrap());
    assert_eq!(plan("7"), plan("7"));
    assert_ne!(plan("7")["schedule"], plan("8")["schedule"]);
    assert!(!store.latest().exists());
}

#[test]
fn only_what_exists_is_listed_and_helped_with() {
    let listed = json(&keelhaul(&["list", "--json"]).output().unwrap());
    for part in ["workloads", "faults", "models", "checkers", "systems"] {
        assert!(!listed[part].as_array().unwrap().is_empty(), "{part}");
    }
    let help = keelhaul(&["--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        !help.contains("supervisor") && help.contains("130"),
        "{help}"
    );
}
