//! How long the checkers take for a run of 300,000 operations. Measured by hand, not asserted:
//! `cargo test --release -p keelhaul-checkers --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::recorded::{Run, register};
use common::{judge, text, validity};
use keelhaul_checkers::History;
use std::time::Instant;

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
    let begun = Instant::now();
    let (read, notes) = History::read(&packed[..]).unwrap();
    println!(
        "read: {} lines, {} MB packed, {:?}",
        read.events.len(),
        packed.len() / 1_000_000,
        begun.elapsed()
    );
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
