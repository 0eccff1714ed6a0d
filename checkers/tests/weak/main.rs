//! Weak isolation levels and session guarantees against brute force, and what the simulated database's levels must rule out.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;

mod guarantees;
mod isolation;
mod nothing;
mod oracle;
mod small;
