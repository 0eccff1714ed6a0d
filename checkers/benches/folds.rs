//! Folds, weak levels and ZooKeeper's own promises: `cargo bench -p keelhaul-checkers --bench folds`.

#![allow(missing_docs)] // What criterion's macros make.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Budget, History, Parameters, by_name};

const BUDGET: Budget = Budget {
    states: u64::MAX,
    bytes: 4 << 30,
    deadline: None,
};

/// Checker, the model of the history, and how many operations; of sets, one in a hundred reads all.
const WORK: &[(&str, &str, u64)] = &[
    ("set-full", "set-full", 10_000),
    ("set-full", "set-full", 100_000),
    ("unique-ids", "unique-ids", 1_000_000),
    ("total-queue", "total-queue", 1_000_000),
    ("bank", "bank", 100_000),
    ("long-fork", "long-fork", 100_000),
    ("read-committed", "list-append", 100_000),
    ("read-atomic", "list-append", 100_000),
    ("causal", "list-append", 100_000),
    ("session-guarantees", "list-append", 100_000),
    ("znodes", "znodes", 100_000),
    ("watch", "watch", 100_000),
];

fn history(model: &str, operations: u64) -> History {
    let options = Options {
        model: model.to_owned(),
        operations,
        values: (model == "set-full").then_some(100),
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).expect("the options are right");
    History::read(&lines[..])
        .expect("what was generated can be read")
        .0
}

fn folds(criterion: &mut Criterion) {
    for (name, model, operations) in WORK {
        let history = history(model, *operations);
        let checker = by_name(name, &Parameters::default()).expect("it is in the list");
        let mut group = criterion.benchmark_group(*name);
        group.sample_size(10);
        group.throughput(Throughput::Elements(*operations));
        group.bench_function(BenchmarkId::from_parameter(operations), |bencher| {
            bencher.iter(|| checker.check(&history, &BUDGET));
        });
        group.finish();
    }
}

criterion_group!(benches, folds);
criterion_main!(benches);
