//! Clients that others wrote, against real servers: kazoo (Python), zkCli.sh (Java), cli_mt (C) and zookeeper-client (Rust).
//!
//! What is not installed is skipped, and says so: kazoo is looked for in `KEELHAUL_PYTHON`, or else `python3`; zkCli.sh and cli_mt
//! where Debian's packages `zookeeper` and `zookeeper-bin` put them. With `KEELHAUL_CLIENTS=all` a missing one is a failure.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cluster/authority.rs"]
mod authority;
mod c;
mod java;
#[path = "../cluster/ports.rs"]
mod ports;
#[path = "../cluster/process.rs"]
#[allow(dead_code, reason = "the cluster tests need more of it")]
mod process;
mod python;
mod rust;

use process::Cluster;
use std::io::Write;
use std::process::{Command, Stdio};

/// `host:port,host:port,…`, as clients take it.
fn hosts(cluster: &Cluster) -> String {
    let addresses: Vec<String> = (0..cluster.servers.len())
        .map(|n| cluster.address(n).to_string())
        .collect();
    addresses.join(",")
}

/// Says that a client is missing. With `KEELHAUL_CLIENTS=all` that is a failure.
fn skipped(why: &str) {
    assert!(
        std::env::var("KEELHAUL_CLIENTS").as_deref() != Ok("all"),
        "KEELHAUL_CLIENTS=all, but {why}"
    );
    println!("skipped, because {why}");
}

/// What a program prints, on either stream, to these lines of input.
fn answers(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("timeout")
        .args(["120", "sh", "-c", "exec \"$0\" \"$@\" 2>&1", program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = child.stdin.take().unwrap();
    lines.write_all(input.as_bytes()).unwrap();
    drop(lines);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}:\n{text}",
        output.status
    );
    text
}

/// Each of these stands in the text, after the one before.
fn in_this_order(text: &str, expected: &[&str]) {
    let mut rest = text;
    for part in expected {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => panic!("{part:?} is not there, or not after what comes before it, in:\n{text}"),
        }
    }
}
