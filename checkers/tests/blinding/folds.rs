//! Folds and weak levels: generated histories, broken in one place while they are made, or afterwards.

use crate::common::blinding::{Row, invalid, measure};
use crate::common::random::pick;
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{History, Kind};
use rand::RngExt;
use serde_json::Value;
use std::collections::BTreeMap;

const BLINDINGS: u64 = 100;

/// Checker, the model of the history, the generator's name of the breach, and what it is.
const BREACHES: &[(&str, &str, &str, &str)] = &[
    (
        "set-full",
        "set-full",
        "lost-write",
        "an added element is never seen",
    ),
    (
        "set-full",
        "set-full",
        "unwritten-read",
        "an element that nobody added",
    ),
    (
        "set-full",
        "set-full",
        "duplicate-elements",
        "an element seen twice",
    ),
    (
        "unique-ids",
        "unique-ids",
        "duplicate-id",
        "an identifier given twice",
    ),
    (
        "total-queue",
        "total-queue",
        "lost-write",
        "an enqueued value is lost",
    ),
    (
        "total-queue",
        "total-queue",
        "unwritten-read",
        "a value that nobody enqueued",
    ),
    (
        "semaphore",
        "semaphore",
        "too-many-permits",
        "more permits out than there are",
    ),
    ("bank", "bank", "wrong-total", "money made or lost"),
    (
        "bank",
        "bank",
        "negative-balance",
        "a balance below nothing",
    ),
    (
        "bank",
        "bank",
        "unexpected-account",
        "an account that nobody opened",
    ),
    (
        "long-fork",
        "long-fork",
        "long-fork",
        "two writes seen in both orders",
    ),
    (
        "read-committed",
        "list-append",
        "G1a",
        "a read of what was aborted",
    ),
    (
        "read-committed",
        "rw-register",
        "G1b",
        "a read of what was overwritten in its transaction",
    ),
    (
        "read-atomic",
        "list-append",
        "fractured-read",
        "half of a transaction's writes seen",
    ),
    (
        "read-atomic",
        "rw-register",
        "fractured-read",
        "half of a transaction's writes seen",
    ),
    (
        "causal",
        "list-append",
        "causal",
        "an effect seen without its cause",
    ),
    (
        "causal",
        "rw-register",
        "causal",
        "an effect seen without its cause",
    ),
];

pub(crate) fn rows() -> Vec<Row> {
    let rows = BREACHES
        .iter()
        .map(|&(checker, model, breaking, mutation)| {
            measure(checker, mutation, 0..BLINDINGS, |rng| {
                let seed = rng.random_range(0..1 << 32);
                let sound = generated(model, seed, None);
                assert!(
                    !invalid(checker, &sound),
                    "{checker}, {seed}: the base must be sound"
                );
                Some(invalid(checker, &generated(model, seed, Some(breaking))))
            })
        });
    rows.chain([older_than_its_own()]).collect()
}

/// A transaction reads a list as it was before its process last read it or appended to it.
fn older_than_its_own() -> Row {
    let checker = "session-guarantees";
    let mutation = "a read older than what its process had seen";
    measure(checker, mutation, 0..BLINDINGS, |rng| {
        let mut events = generated("list-append", rng.random_range(0..1 << 32), None).to_events();
        let mut longest: BTreeMap<(String, String), usize> = BTreeMap::new();
        // Event and place in its transaction of a read, and how many elements its process knew before.
        let mut places = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let ours = event.kind == Kind::Ok && &*event.f == "txn";
            let Some(steps) = event.value.as_array().filter(|_| ours) else {
                continue;
            };
            let reads = steps.iter().enumerate().filter(|(_, step)| step[0] == "r");
            let alone = |key: &Value| steps.iter().filter(|step| step[1] == *key).count() == 1;
            for (place, step) in reads {
                let knows = (format!("{:?}", event.process), step[1].to_string());
                let seen = step[2].as_array().map_or(0, Vec::len);
                let known = longest.entry(knows).or_default();
                if *known > 0 && alone(&step[1]) {
                    places.push((at, place, *known));
                }
                *known = seen.max(*known);
            }
        }
        if places.is_empty() {
            return None;
        }
        let (at, place, known) = *pick(rng, &places);
        let list = events[at].value[place][2].as_array_mut()?;
        list.truncate(rng.random_range(0..known));
        Some(invalid(checker, &History::from_events(&events)))
    })
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
