//! The folds against naive implementations of their definitions, on random small histories.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;

mod counting;
mod drained;
mod grown;
mod set_full;
mod shapes;
mod total_queue;
