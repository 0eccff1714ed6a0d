//! The checkers of transactions: against brute force, against recorded verdicts, against themselves with something changed.

#[path = "../common/mod.rs"]
mod common;
mod list_append;
mod oracle;
mod story;
