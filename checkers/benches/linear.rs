//! Registers, from bytes to verdicts: `cargo bench -p keelhaul-checkers --bench linear`.

#![allow(missing_docs)] // What criterion's macros make.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Budget, History, Parameters, by_name};

const BUDGET: Budget = Budget {
    states: u64::MAX,
    bytes: 4 << 30,
    deadline: None,
};

fn history(options: &Options) -> History {
    let mut lines = Vec::new();
    generate(options, &mut lines).expect("the options are right");
    History::read(&lines[..])
        .expect("what was generated can be read")
        .0
}

fn options(model: &str, operations: u64) -> Options {
    Options {
        model: model.to_owned(),
        operations,
        info: 0.01,
        ..Options::default()
    }
}

fn sizes(criterion: &mut Criterion, name: &str, model: &str, values: Option<u64>, sizes: &[u64]) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for operations in sizes {
        let history = history(&Options {
            values,
            ..options(model, *operations)
        });
        let checker = by_name(model, &Parameters::default()).expect("it is in the list");
        group.throughput(Throughput::Elements(*operations));
        group.bench_function(BenchmarkId::from_parameter(operations), |bencher| {
            bencher.iter(|| checker.check(&history, &BUDGET));
        });
    }
    group.finish();
}

fn registers(criterion: &mut Criterion) {
    sizes(
        criterion,
        "register, unique values",
        "register",
        None,
        &[10_000, 100_000, 1_000_000],
    );
    sizes(
        criterion,
        "register, five values",
        "register",
        Some(5),
        &[10_000, 100_000],
    );
    sizes(
        criterion,
        "cas-register, unique values",
        "cas-register",
        None,
        &[10_000, 100_000],
    );
}

/// A hundred small histories, each read and judged.
fn small(criterion: &mut Criterion) {
    let logs: Vec<Vec<u8>> = (0..102)
        .map(|seed| {
            let mut lines = Vec::new();
            let options = Options {
                values: Some(5),
                concurrency: 5,
                seed,
                ..options("cas-register", 84)
            };
            generate(&options, &mut lines).expect("the options are right");
            lines
        })
        .collect();
    let checker = by_name("cas-register", &Parameters::default()).expect("it is in the list");
    criterion.bench_function(
        "102 histories of 84 compare-and-sets, reads and writes",
        |bencher| {
            bencher.iter(|| {
                for log in &logs {
                    let (history, _) =
                        History::read(&log[..]).expect("what was generated can be read");
                    std::hint::black_box(checker.check(&history, &BUDGET));
                }
            });
        },
    );
}

criterion_group!(benches, registers, small);
criterion_main!(benches);
