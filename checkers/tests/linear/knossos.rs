//! Histories that the Knossos project recorded from real systems, with known verdicts.

use crate::common::{PLENTY, validity};
use keelhaul_checkers::{History, NullReads, Parameters, by_name};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Where the corpus is looked for, beside the workspace.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/knossos")
}

/// The history of one of the files. Some have times that run back; order is all that counts here.
fn read(file: &Path) -> History {
    let mut text = std::fs::read_to_string(file).unwrap();
    while let Some(at) = text.find(":time ") {
        let digits = text[at + 6..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        text.replace_range(at..at + 6 + digits, "");
    }
    History::read(text.as_bytes()).unwrap().0
}

#[test]
fn the_corpus_gets_its_verdicts() {
    let Ok(expected) = std::fs::read_to_string(corpus().join("expected.csv")) else {
        println!(
            "skipped, because there is no corpus at {}",
            corpus().display()
        );
        return;
    };
    let mut judged = 0;
    for row in expected.lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let initial = match columns[2] {
            "cas-register" => json!(0),
            "multi-register" => json!({ "x": 0, "y": 0 }),
            _ => continue,
        };
        let history = read(&corpus().join(columns[0]));
        assert_eq!(
            history.len().to_string(),
            columns[1],
            "{}: every event is read",
            columns[0]
        );
        // To Knossos a read of `nil` says nothing of the value.
        let parameters = Parameters {
            initial: Some(initial),
            null_reads: NullReads::Unknown,
            ..Parameters::default()
        };
        let checker = by_name(columns[2], &parameters).unwrap();
        let said = validity(&checker.check(&history, &PLENTY));
        assert_eq!(said, Some(columns[3] == "true"), "{}", columns[0]);
        judged += 1;
    }
    println!("{judged} histories");
    assert!(judged > 0, "expected.csv names no register");
}
