//! Folds: generated histories, broken in one place while they are made.

use crate::common::blinding::{Row, invalid, measure};
use keelhaul_checkers::History;
use keelhaul_checkers::generate::{Options, generate};
use rand::RngExt;

const BLINDINGS: u64 = 100;

/// Checker, the generator's name of the breach, and what it is.
const BREACHES: &[(&str, &str, &str)] = &[
    ("set-full", "lost-write", "an added element is never seen"),
    ("set-full", "unwritten-read", "an element that nobody added"),
    ("set-full", "duplicate-elements", "an element seen twice"),
    ("unique-ids", "duplicate-id", "an identifier given twice"),
    ("total-queue", "lost-write", "an enqueued value is lost"),
    (
        "total-queue",
        "unwritten-read",
        "a value that nobody enqueued",
    ),
];

pub(crate) fn rows() -> Vec<Row> {
    let row = |(checker, breaking, mutation): &(&'static str, &'static str, &'static str)| {
        measure(checker, mutation, 0..BLINDINGS, |rng| {
            let seed = rng.random_range(0..1 << 32);
            let sound = generated(checker, seed, None);
            assert!(
                !invalid(checker, &sound),
                "{checker}, {seed}: the base must be sound"
            );
            Some(invalid(checker, &generated(checker, seed, Some(breaking))))
        })
    };
    BREACHES.iter().map(row).collect()
}

fn generated(model: &str, seed: u64, breaking: Option<&str>) -> History {
    let options = Options {
        model: model.to_owned(),
        operations: 200,
        concurrency: 4,
        fail: 0.02,
        seed,
        breaking: breaking.map(str::to_owned),
        ..Options::default()
    };
    let mut lines = Vec::new();
    let report = generate(&options, &mut lines).unwrap();
    assert_eq!(report.broken.len(), usize::from(breaking.is_some()));
    History::read(&lines[..]).unwrap().0
}
