//! A cluster to play with, and what a script hears of it.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Store, background, keelhaul, signal};
use rustix::process::Signal;
use serde_json::{Deserializer, Value};

fn free_port() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// The process of the one node that was started in this run directory.
fn node_process(directory: &str) -> u32 {
    let undos = std::fs::read_to_string(format!("{directory}/undo.jsonl")).unwrap();
    let undos = Deserializer::from_str(&undos).into_iter::<Value>();
    let mut nodes = undos
        .map(Result::unwrap)
        .filter(|undo| undo["undo"] == "end");
    let pid = nodes.next().unwrap()["process"]["pid"].as_u64().unwrap();
    u32::try_from(pid).unwrap()
}

#[test]
fn a_node_that_dies_is_told_of_and_the_cluster_stays_up() {
    let store = Store::new();
    let mut command = keelhaul(&[
        "up",
        "--json",
        "--nodes",
        "1",
        "--port",
        &free_port(),
        "--store",
    ]);
    command.arg(store.path());
    let mut up = background(command);
    let mut said = Deserializer::from_reader(up.stdout.take().unwrap()).into_iter::<Value>();
    let shown = said.next().unwrap().unwrap();
    assert_eq!(shown["nodes"][0]["name"], "n1");

    signal(
        node_process(shown["directory"].as_str().unwrap()),
        Signal::KILL,
    );
    let told = said.next().unwrap().unwrap();
    assert_eq!(told["event"], "exited");
    assert_eq!((&told["node"], &told["signal"]), (&"n1".into(), &9.into()));

    signal(up.id(), Signal::INT);
    let output = up.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("n1 ended (signal 9)"), "{said}");
}
