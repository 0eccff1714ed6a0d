//! How long the checkers take for a run of 300,000 operations, and what it weighs in memory. Measured by hand, not asserted:
//! `cargo test --release -p keelhaul-checkers --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::recorded::{Run, register};
use common::{judge, text, validity};
use keelhaul_checkers::History;
use std::time::Instant;

/// The resident set of this process; 0 where there is no /proc.
fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4 / 1024
}

#[test]
#[ignore = "measures; asserts nothing about time"]
fn three_hundred_thousand_operations() {
    let history = register(&Run {
        operations: 300_000,
        lost_one_in: 300,
        ..Run::default()
    });
    let lines = text(&history);
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    drop(lines);
    let before = resident_mib();
    let begun = Instant::now();
    let (read, notes) = History::read(&packed[..]).unwrap();
    println!(
        "read: {} lines, {} MB packed, {:?}",
        read.len(),
        packed.len() / 1_000_000,
        begun.elapsed()
    );
    println!("memory: {} MiB", resident_mib().saturating_sub(before));
    assert!(notes.is_empty());
    assert_eq!(read, history);
    for name in [
        "register-linearizable",
        "session-order",
        "recovery",
        "coverage",
        "stats",
    ] {
        let begun = Instant::now();
        let finding = judge(name, &read);
        println!("{name}: {:?}, {:?}", validity(&finding), begun.elapsed());
    }
}
