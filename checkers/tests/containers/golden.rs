//! Golden histories, named after what they show, and the corpus of the Knossos project.

use super::common::{judge, validity};
use keelhaul_checkers::{History, Verdict};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A file in `testdata/containers`, the model, whether it is legal, the layer that must decide it, and words of the sentence.
const GOLDEN: &[(&str, &str, bool, &str, &str)] = &[
    (
        "priority-queue-two-better-values-cover-a-poll",
        "priority-queue",
        false,
        "zones",
        "6 was polled, though all the while a better one was inside: 3, then 4",
    ),
    (
        "stack-three-values-none-of-them-at-the-bottom",
        "stack",
        false,
        "zones",
        "8, 4, 10",
    ),
    (
        "fifo-queue-indeterminate-dequeue-took-the-first",
        "fifo-queue",
        true,
        "zones",
        "",
    ),
    (
        "fifo-queue-overtaken",
        "fifo-queue",
        false,
        "zones",
        "1 was enqueued before 2, and 2 was dequeued before 1",
    ),
    (
        "fifo-queue-one-indeterminate-dequeue-for-two-values",
        "fifo-queue",
        false,
        "zones",
        "by the time 3 was dequeued, 1, 2 had to be out, and only 1 of them",
    ),
    (
        "unordered-queue-found-empty-while-two-values-took-turns",
        "unordered-queue",
        false,
        "zones",
        "something was inside: 1, then 2",
    ),
    (
        "unordered-queue-indeterminate-enqueue-was-taken",
        "unordered-queue",
        true,
        "zones",
        "",
    ),
    (
        "unordered-queue-equal-values-one-taken-by-nobody-knows-whom",
        "unordered-queue",
        true,
        "search",
        "",
    ),
    (
        "mutex-acquired-twice",
        "mutex",
        false,
        "zones",
        "it was acquired, and nobody can have released it",
    ),
    (
        "mutex-indeterminate-release-came-late",
        "mutex",
        true,
        "zones",
        "",
    ),
    (
        "semaphore-three-of-two-permits",
        "semaphore",
        false,
        "zones",
        "all of them must have been out",
    ),
    (
        "fenced-mutex-token-went-back",
        "fenced-mutex",
        false,
        "zones",
        "the fencing token 6 was given out after 7",
    ),
    (
        "reentrant-mutex-released-by-another",
        "reentrant-mutex",
        false,
        "zones",
        "process 1 released what it did not hold",
    ),
    (
        "reentrant-mutex-third-acquire",
        "reentrant-mutex",
        false,
        "zones",
        "process 0 acquired again what it held 2 times already",
    ),
    (
        "set-removed-and-still-there",
        "set-once",
        false,
        "zones",
        "5 was seen, and cannot have been there",
    ),
    ("set-added-removed-added", "set", true, "search", ""),
    (
        "counter-more-than-was-added",
        "counter",
        false,
        "zones",
        "the value 3 was seen, and it was 2 all the while",
    ),
    (
        "counter-read-went-back",
        "counter",
        false,
        "zones",
        "the value 1 was seen, and it was between 2 and 3 all the while",
    ),
    (
        "counter-add-complete-between-two-equal-reads",
        "counter",
        false,
        "zones",
        "a value after 2 steps was seen after more than that were complete",
    ),
    (
        "counter-indeterminate-add-seen-late",
        "counter",
        true,
        "zones",
        "",
    ),
    ("stack-equal-values", "stack", true, "search", ""),
];

#[test]
fn golden_histories_are_judged_by_the_layer_that_can() {
    for (file, model, legal, layer, words) in GOLDEN {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/containers/{file}.jsonl"));
        let (history, _) = History::read(File::open(path).unwrap()).unwrap();
        let finding = judge(model, &history);
        assert_eq!(validity(&finding), Some(*legal), "{file}: {finding:?}");
        assert_eq!(
            finding.details["decided_by"][layer], 1,
            "{file}: {}",
            finding.details
        );
        if let Verdict::Invalid(anomalies) = &finding.verdict {
            assert!(
                anomalies[0].summary.contains(words),
                "{file}: {}",
                anomalies[0].summary
            );
        }
    }
}

#[test]
fn mutexes_of_the_corpus_get_their_verdicts() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/knossos");
    let Ok(expected) = fs::read_to_string(corpus.join("expected.csv")) else {
        println!(
            "skipped, because there is no corpus at {}",
            corpus.display()
        );
        return;
    };
    let mut judged = 0;
    for row in expected.lines().filter(|row| row.contains(",mutex,")) {
        let columns: Vec<&str> = row.split(',').collect();
        let file: PathBuf = corpus.join(columns[0]);
        let (history, _) = History::read(File::open(&file).unwrap()).unwrap();
        assert_eq!(
            history.len().to_string(),
            columns[1],
            "{}: every event is read",
            columns[0]
        );
        let finding = judge("mutex", &history);
        assert_eq!(
            validity(&finding),
            Some(columns[3] == "true"),
            "{}",
            columns[0]
        );
        assert_eq!(
            finding.details["decided_by"]["zones"], 1,
            "{}",
            finding.details
        );
        judged += 1;
    }
    println!("{judged} histories of mutexes");
    assert!(judged > 0, "expected.csv names no mutex");
}
