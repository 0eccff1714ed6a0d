//! Recording calls, and explaining what was found in them.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod alone;
#[path = "../common/mod.rs"]
mod common;
mod pictures;
mod recording;
mod shrinking;
mod telling;
mod trees;
