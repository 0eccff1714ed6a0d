//! What a history costs in memory, and a search: one that would need a gigabyte ends as unknown within its budget, and so does
//! the process.

#![cfg(target_os = "linux")] // The resident set is read from /proc.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::{Script, validity};
use keelhaul_checkers::{Budget, Finding, History, Kind, Parameters, Verdict, by_name};
use serde_json::{Value, json};
use std::io::{Read, Write};

const MIB: u64 = 1 << 20;

/// Compare-and-sets whose outcome nobody knows, from each of 24 stations to the next by two ways: the value at the end may have
/// come there by 2^24 different sets of them, each as good as any other, and a search must keep them all: at some hundred
/// bytes each, several gigabytes.
fn explosive() -> History {
    const STATIONS: u64 = 24;
    let mut script = Script::default();
    let mut process = 0;
    let mut cas = |old: u64, new: u64| {
        script.client(
            process,
            Kind::Invoke,
            "cas",
            None,
            json!([old, new]),
            Value::Null,
        );
        script.client(
            process,
            Kind::Info,
            "cas",
            None,
            json!([old, new]),
            Value::Null,
        );
        process += 1;
    };
    for station in 0..STATIONS {
        let (here, next) = (10 * station, 10 * (station + 1));
        for way in [1, 2] {
            cas(here, here + way);
            cas(here + way, next);
        }
    }
    for (f, argument, result) in [
        ("write", json!(0), json!(0)),
        ("read", Value::Null, json!(10 * STATIONS)),
    ] {
        script.client(1_000, Kind::Invoke, f, None, argument, Value::Null);
        script.client(1_000, Kind::Ok, f, None, result, Value::Null);
    }
    script.history
}

fn judge_within(bytes: u64, history: &History) -> Finding {
    let budget = Budget {
        states: u64::MAX,
        bytes,
        deadline: None,
    };
    by_name("cas-register", &Parameters::default())
        .unwrap()
        .check(history, &budget)
}

/// The resident set of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The most that was ever resident, in bytes.
fn most_resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

/// Lines of a register's operations, made while they are read: `lines` of them, about 90 bytes each.
struct Lines {
    next: u64,
    lines: u64,
    text: Vec<u8>,
    given: usize,
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.text.len() && self.next < self.lines {
            self.text.clear();
            self.given = 0;
            for index in self.next..self.lines.min(self.next + 1_000) {
                let (operation, kind) = (index / 2, ["invoke", "ok"][index as usize % 2]);
                let (process, time) = (operation % 10, index * 1_003);
                writeln!(
                    self.text,
                    r#"{{"index":{index},"time":{time},"process":{process},"type":"{kind}","f":"write","key":"r{}","value":{operation}}}"#,
                    operation % 8
                )?;
                self.next += 1;
            }
        }
        let read = (&self.text[self.given..]).read(into)?;
        self.given += read;
        Ok(read)
    }
}

#[test]
fn memory_is_bounded() {
    // One after the other: both look at the whole process.
    a_history_costs_tens_of_bytes_an_operation();
    a_search_beyond_its_bytes_is_unknown_and_stays_within_them();
}

fn a_history_costs_tens_of_bytes_an_operation() {
    const LINES: u64 = 1_200_000;
    let before = resident();
    let lines = Lines {
        next: 0,
        lines: LINES,
        text: Vec::new(),
        given: 0,
    };
    let (history, notes) = History::read(lines).unwrap();
    let (kept, most) = (resident() - before, most_resident() - before);
    assert!(history.len() as u64 == LINES && notes.is_empty());
    println!(
        "{} bytes a line: {} in columns, {} resident, {} MiB at most while reading {} MiB of text",
        history.held() as u64 / LINES,
        history.held(),
        kept / LINES,
        most / MIB,
        LINES * 90 / MIB
    );
    assert!(history.held() as u64 <= 45 * LINES, "{}", history.held());
    assert!(kept <= 45 * LINES + 48 * MIB, "{kept} bytes are resident");
    // A few chunks of text are in memory at a time, with what was read of them, and no more.
    assert!(most <= 45 * LINES + 64 * MIB, "{most} bytes were resident");
}

fn a_search_beyond_its_bytes_is_unknown_and_stays_within_them() {
    let history = explosive();
    let before = resident();
    let finding = judge_within(64 * MIB, &history);
    let grown = most_resident().saturating_sub(before);
    let Verdict::Unknown(reasons) = &finding.verdict else {
        panic!("expected unknown, got {:?}", finding.verdict)
    };
    println!(
        "{}; the process grew by {} MiB",
        reasons[0].text,
        grown / MIB
    );
    assert!(reasons[0].text.contains("64 MiB"), "{}", reasons[0].text);
    assert_eq!(validity(&finding), None);
    assert!(
        finding.details["bytes"].as_u64().unwrap() > 32 * MIB,
        "the budget was hardly used: {}",
        finding.details
    );
    // The allocator may keep a little beside what is counted.
    assert!(
        grown < (64 + 16) * MIB,
        "grew by {} MiB under a budget of 64 MiB",
        grown / MIB
    );
}
