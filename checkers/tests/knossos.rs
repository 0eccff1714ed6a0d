//! Histories that the Knossos project recorded from real systems, with known verdicts.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::{PLENTY, Script, edit, validity};
use keelhaul_checkers::linear::Linearizable;
use keelhaul_checkers::models::CasRegister;
use keelhaul_checkers::{Checker, History, Kind, Process};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the corpus is looked for, beside the workspace.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/knossos")
}

/// Reads a history of these files: a vector of maps from keywords to keywords, numbers, `nil` or vectors. Just that of EDN.
fn read(text: &str) -> History {
    let mut script = Script::default();
    let without_comments: String = text
        .lines()
        .map(|line| line.split(';').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join(" ");
    for map in without_comments.split('{').skip(1) {
        let map = map.split('}').next().unwrap();
        // A client by its number, or `:nemesis`.
        let name = field(map, ":process");
        let process = name
            .parse()
            .map_or_else(|_| Process::Named(name.as_str().into()), Process::Client);
        let kind = match field(map, ":type").as_str() {
            ":invoke" => Kind::Invoke,
            ":ok" => Kind::Ok,
            ":fail" => Kind::Fail,
            _ => Kind::Info,
        };
        let f = field(map, ":f");
        script.line(
            process,
            kind,
            f.trim_start_matches(':'),
            None,
            value(&field(map, ":value")),
            Value::Null,
        );
    }
    script.history
}

/// What follows a keyword: up to the end of a vector, or else of a word.
fn field(map: &str, keyword: &str) -> String {
    let Some(at) = map.find(&format!("{keyword} ")) else {
        return "nil".to_owned();
    };
    let rest = map[at + keyword.len()..].trim_start();
    let end = if rest.starts_with('[') {
        rest.find(']').unwrap() + 1
    } else {
        rest.find([',', ' ']).unwrap_or(rest.len())
    };
    rest[..end].to_owned()
}

fn value(text: &str) -> Value {
    if let Some(inner) = text.strip_prefix('[') {
        return json!(
            inner
                .trim_end_matches(']')
                .split_whitespace()
                .map(value)
                .collect::<Vec<_>>()
        );
    }
    text.parse::<i64>().map_or(Value::Null, Value::from)
}

/// In these files a read of `nil` says nothing of the value: it is left out, as an indeterminate read is.
fn forget_nil_reads(history: &mut History) {
    edit(history, |events| {
        for event in events {
            if event.kind == Kind::Ok && &*event.f == "read" && event.value.is_null() {
                event.kind = Kind::Info;
            }
        }
    });
}

#[test]
fn compare_and_set_registers_of_the_corpus_get_their_verdicts() {
    let Ok(expected) = std::fs::read_to_string(corpus().join("expected.csv")) else {
        println!(
            "skipped, because there is no corpus at {}",
            corpus().display()
        );
        return;
    };
    let checker = Linearizable::new("cas-register", CasRegister { initial: json!(0) }, true);
    let mut judged = 0;
    for row in expected
        .lines()
        .filter(|row| row.contains(",cas-register,"))
    {
        let columns: Vec<&str> = row.split(',').collect();
        let mut history = read(&std::fs::read_to_string(corpus().join(columns[0])).unwrap());
        assert_eq!(
            history.len().to_string(),
            columns[1],
            "{}: every event is read",
            columns[0]
        );
        forget_nil_reads(&mut history);
        let said = validity(&checker.check(&history, &PLENTY));
        assert_eq!(said, Some(columns[3] == "true"), "{}", columns[0]);
        judged += 1;
    }
    println!("{judged} histories");
    assert!(judged > 0, "expected.csv names no compare-and-set register");
}
