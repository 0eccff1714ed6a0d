//! Containers, locks, sets and counters: every layer against an oracle that tries every order, golden histories, corpora.

#![allow(unreachable_pub, clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod golden;
mod layers;
mod oracle;
mod systems;
mod workers;
