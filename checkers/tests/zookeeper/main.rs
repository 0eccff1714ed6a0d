//! ZooKeeper's promises against a small simulated ZooKeeper and oracles that try everything.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;

mod explained;
mod fencing;
mod generated_watch;
mod names;
mod promises;
mod search;
mod session_order;
mod sim;
mod watch;
mod watch_oracle;
mod watch_server;
#[allow(dead_code)] // What breaks its histories is for the binary `blinding`.
mod watch_sim;
mod znodes;
