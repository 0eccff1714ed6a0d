//! ZooKeeper's promises against a small simulated ZooKeeper and oracles that try everything.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;

mod explained;
mod fencing;
mod promises;
mod search;
mod sim;
mod watch;
mod watch_oracle;
mod watch_server;
mod watch_sim;
mod znodes;
