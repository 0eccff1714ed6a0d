//! A sound history is changed in one place, and must become invalid by the checker of the broken promise.
//!
//! Each room of checkers has a file here that gives its rows; `cargo test --test blinding -- --nocapture` prints them as one
//! table: checker, mutation, killed/tried. A survivor fails the test.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;
mod containers;
#[allow(dead_code)] // The oracle's own tests are in the binary `zookeeper`, and use all of it.
#[path = "../zookeeper/explained.rs"]
mod explained;
mod fencing;
mod folds;
mod recorded;
mod registers;
#[allow(dead_code)]
#[path = "../zookeeper/sim.rs"]
mod sim;
mod txn;
mod watch;
#[path = "../zookeeper/watch_sim.rs"]
mod watch_sim;
mod zookeeper;

use common::blinding::{Row, report};

/// A room's name, and what gives its rows.
type Room = (&'static str, fn() -> Vec<Row>);

/// The rooms, in the order of the table.
const ROOMS: &[Room] = &[
    ("containers", containers::rows),
    ("fencing", fencing::rows),
    ("folds", folds::rows),
    ("recorded", recorded::rows),
    ("registers", registers::rows),
    ("txn", txn::rows),
    ("watch", watch::rows),
    ("zookeeper", zookeeper::rows),
];

#[test]
fn nothing_that_was_broken_survives() {
    // Only the rooms that are named, if any are: KEELHAUL_BLINDING=recorded,txn.
    let only = std::env::var("KEELHAUL_BLINDING").ok();
    let wanted = |name: &str| {
        only.as_deref()
            .is_none_or(|only| only.split(',').any(|room| room == name))
    };
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let rooms: Vec<_> = ROOMS
            .iter()
            .filter(|(name, _)| wanted(name))
            .map(|(_, rows)| scope.spawn(rows))
            .collect();
        rooms
            .into_iter()
            .flat_map(|room| room.join().expect("a room's own assertions hold"))
            .collect()
    });
    report(&rows);
}
