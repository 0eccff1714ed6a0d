//! The checkers of transactions: against brute force, against recorded verdicts, against themselves with something changed.

#![allow(unreachable_pub, clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod corpora;
mod edn;
mod limits;
mod list_append;
mod oracle;
mod registers;
mod story;
mod weaker;
