//! `keelhaul bench` on clusters of the real node.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Store, json, keelhaul};
use serde_json::Value;

fn figure<'a>(measured: &'a Value, name: &str) -> &'a Value {
    let all = measured["figures"].as_array().unwrap();
    let found = all.iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {measured}"))
}

#[test]
fn two_clusters_are_measured_in_turn_and_compared_and_nothing_is_left() {
    let store = Store::new();
    let mut command = keelhaul(&["bench", "--json", "--system", "node", "--system", "node"]);
    command.args([
        "--measure",
        "memory,mixed,leader-kill,tree",
        "--leaders",
        "1",
    ]);
    command.args([
        "--rounds",
        "2",
        "--duration",
        "300ms",
        "--warm-up",
        "100ms",
        "--znodes",
        "2500",
    ]);
    let output = command.arg("--store").arg(store.path()).output().unwrap();
    let measured = json(&output);
    assert_eq!(measured["sides"], serde_json::json!(["node", "node"]));
    let mixed = figure(&measured, "mixed");
    for side in 0..2 {
        assert_eq!(mixed["all"][side].as_array().unwrap().len(), 2, "{mixed}");
        assert!(mixed["medians"][side].as_f64().unwrap() > 10.0, "{mixed}");
        assert_eq!(
            figure(&measured, "memory")["all"][side]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
    assert!(mixed["ratio"].as_f64().unwrap() > 0.0, "{mixed}");
    for name in [
        "mixed p99",
        "leader-kill",
        "tree memory",
        "tree restart",
        "tree restart wiped",
    ] {
        assert!(figure(&measured, name)["ratio"].is_f64(), "{name}");
    }
    assert_eq!(
        std::fs::read_dir(store.path()).unwrap().count(),
        0,
        "data is left"
    );
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_starts() {
    for (arguments, expected) in [
        (&["--measure", "memroy"][..], "did you mean `memory`"),
        (
            &["--endpoints", "127.0.0.1:1", "--measure", "tree"],
            "use --system or leave it out",
        ),
        (&["--endpoints", "no such host"], "host:port"),
        (
            &["--system", "node", "--system", "node", "--system", "node"],
            "at most two sides",
        ),
    ] {
        let output = keelhaul(&["bench"]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
