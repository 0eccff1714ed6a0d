//! Linearizability: registers, and the search.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;
mod figures;
mod knossos;
mod objects;
mod oracle;
mod small;
