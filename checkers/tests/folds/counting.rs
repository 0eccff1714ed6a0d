//! unique-ids and unhandled-errors against plain counting.

use crate::common::random::Mix;
use crate::common::{Script, judge, text, validity};
use keelhaul_checkers::Kind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HISTORIES: u64 = 100_000;

#[test]
fn unique_ids_agree_with_counting() {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut script = Script::default();
        let mut given: BTreeMap<String, usize> = BTreeMap::new();
        for process in 0..rng.random_range(2..8) {
            script.client(
                process,
                Kind::Invoke,
                "generate",
                None,
                Value::Null,
                Value::Null,
            );
            let kind = match rng.random_range(0..8) {
                0 => Kind::Fail,
                1 | 2 => Kind::Info,
                _ => Kind::Ok,
            };
            // 1, "1" and [1] are three ids.
            let number = rng.random_range(0..3);
            let id = match rng.random_range(0..3) {
                0 => json!(number),
                1 => json!(number.to_string()),
                _ => json!([number, "x"]),
            };
            if kind == Kind::Ok {
                *given.entry(id.to_string()).or_default() += 1;
            }
            script.client(process, kind, "generate", None, id, Value::Null);
        }
        if given.is_empty() {
            continue;
        }
        let twice = given.values().filter(|count| **count > 1).count();
        let finding = judge("unique-ids", &script.history);
        assert_eq!(
            validity(&finding),
            Some(twice == 0),
            "seed {seed}:\n{}",
            text(&script.history)
        );
        assert_eq!(finding.details["duplicated"], json!(twice), "seed {seed}");
        assert_eq!(
            finding.details["acknowledged"],
            json!(given.values().sum::<usize>()),
            "seed {seed}"
        );
        mix.count(&script.history, twice == 0);
    }
    mix.report("unique-ids");
}

#[test]
fn unhandled_errors_agree_with_counting() {
    const WORDS: [&str; 3] = ["timed-out", "connection-lost", "garbled-reply"];
    for seed in 0..10_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut script = Script::default();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for process in 0..rng.random_range(1..12) {
            let word = WORDS[rng.random_range(0..3)];
            script.client(
                process,
                Kind::Invoke,
                "write",
                None,
                json!(process),
                Value::Null,
            );
            let kind = [Kind::Ok, Kind::Fail, Kind::Info][rng.random_range(0..3)];
            if kind == Kind::Info {
                *counts.entry(word).or_default() += 1;
            }
            script.client(
                process,
                kind,
                "write",
                None,
                json!(process),
                json!({ "error": word }),
            );
        }
        let finding = judge("unhandled-errors", &script.history);
        let shown: Vec<(String, u64)> = finding.details["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                (
                    error["error"].as_str().unwrap().to_owned(),
                    error["count"].as_u64().unwrap(),
                )
            })
            .collect();
        let mut expected: Vec<(String, u64)> = counts
            .iter()
            .map(|(word, count)| ((*word).to_owned(), *count))
            .collect();
        expected.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        assert_eq!(shown, expected, "seed {seed}");
    }
}
