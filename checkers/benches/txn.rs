//! How long it takes to judge transactions: `cargo bench -p keelhaul-checkers --bench txn`.

#![allow(missing_docs)] // What criterion's macros make.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Budget, History, Parameters, by_name};
use std::hint::black_box;

const PLENTY: Budget = Budget {
    states: 100_000_000,
    bytes: 4 << 30,
    deadline: None,
};

/// A model, how many transactions, and the isolation level that they were run under.
const HISTORIES: [(&str, u64, &str); 5] = [
    ("list-append", 10_000, "strict-serializable"),
    ("list-append", 100_000, "strict-serializable"),
    ("list-append", 100_000, "read-uncommitted"),
    ("rw-register", 10_000, "strict-serializable"),
    ("rw-register", 100_000, "strict-serializable"),
];

fn lines(model: &str, operations: u64, isolation: &str) -> Vec<u8> {
    let options = Options {
        model: model.to_owned(),
        operations,
        info: 0.01,
        isolation: Some(isolation.to_owned()),
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).expect("the options are sound");
    lines
}

fn judging(c: &mut Criterion) {
    let mut group = c.benchmark_group("txn");
    group.sample_size(10);
    for (model, operations, isolation) in HISTORIES {
        let lines = lines(model, operations, isolation);
        let (history, _) = History::read(&lines[..]).expect("what was generated can be read");
        let checker = by_name(model, &Parameters::default()).expect("it is in the list");
        group.throughput(Throughput::Elements(operations));
        group.bench_function(format!("{model}/{operations}/{isolation}"), |b| {
            b.iter_batched(
                || &history,
                |history| black_box(checker.check(history, &PLENTY)),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("{model}/{operations}/{isolation}/read"), |b| {
            b.iter(|| black_box(History::read(&lines[..]).map(|read| read.0.len())));
        });
    }
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
