//! Reading histories: what is tolerated with a note, and what is refused, with line, column and what was expected.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;
mod forms;
mod malformed;
mod mutated;
mod round_trip;
mod told_apart;

use common::recorded::{Run, register};
use common::text;
use keelhaul_checkers::{Extra, History, Kind, Note, Results, merge};
use serde_json::{Map, Value, json};
use std::io::Write;

fn small() -> History {
    register(&Run {
        operations: 40,
        ..Run::default()
    })
}

/// As the controller writes it: each batch of lines is a frame of its own.
fn in_frames(lines: &str) -> Vec<u8> {
    let lines: Vec<&str> = lines.split_inclusive('\n').collect();
    lines
        .chunks(7)
        .flat_map(|batch| zstd::encode_all(batch.concat().as_bytes(), 3).unwrap())
        .collect()
}

fn starts_with(whole: &History, begin: &History) -> bool {
    whole.events().take(begin.len()).eq(begin.events())
}

fn refused(lines: &str) -> String {
    History::read(lines.as_bytes()).unwrap_err().to_string()
}

const BEGINS: &str =
    r#"{"index":0,"time":5,"process":1,"type":"invoke","f":"read","key":"r1","value":null}"#;
const ENDS: &str =
    r#"{"index":1,"time":9,"process":1,"type":"ok","f":"read","key":"r1","value":4}"#;

#[test]
fn what_is_written_is_read_again() {
    let history = small();
    let lines = text(&history);
    assert_eq!(
        History::read(lines.as_bytes()).unwrap(),
        (history.clone(), vec![])
    );
    assert_eq!(
        History::read(&in_frames(&lines)[..]).unwrap(),
        (history, vec![])
    );
}

#[test]
fn unknown_fields_of_every_shape_are_kept_in_their_order() {
    let line = r#"{"index":0,"time":5,"process":"nemesis","type":"info","f":"kill","value":{"b":1,"a":[2]},"z":null,"y":true,"x":-3,"w":1.5,"v":"t","u":{"k":[]},"t":18446744073709551615}"#;
    let (history, _) = History::read(line.as_bytes()).unwrap();
    assert_eq!(text(&history).trim_end(), line);
    let event = history.events().next().unwrap().to_event();
    let extra = &event.extra;
    assert_eq!(
        (extra.int("x"), extra.text("v"), extra.flag("y")),
        (Some(-3), Some("t"), true)
    );
    assert_eq!(
        (extra.get("w"), extra.get("none")),
        (Some(json!(1.5)), None)
    );
    let map: Map<String, Value> = extra
        .iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(Extra::from(map), *extra);
}

#[test]
fn a_history_cut_anywhere_is_read_up_to_there() {
    let lines = text(&small());
    let whole = History::read(lines.as_bytes()).unwrap().0;
    for cut in 0..lines.len() {
        let (read, notes) = History::read(&lines.as_bytes()[..cut])
            .unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert!(starts_with(&whole, &read), "cut at {cut}");
        let complete = lines[..cut].is_empty() || lines[..cut].ends_with(['\n', '}']);
        assert!(
            complete || matches!(notes[..], [Note::CutLine { .. }]),
            "cut at {cut}: {notes:?}"
        );
    }
    let packed = in_frames(&lines);
    let mut noted = 0;
    for cut in 0..packed.len() {
        match History::read(&packed[..cut]) {
            Ok((read, notes)) => {
                assert!(starts_with(&whole, &read), "cut at {cut}");
                noted += u32::from(matches!(notes[..], [Note::CutFrame { .. }]));
            }
            // Less than the four bytes that tell what it is.
            Err(error) => assert!(cut < 4, "cut at {cut}: {error}"),
        }
    }
    assert!(
        noted as usize > packed.len() / 2,
        "{noted} of {} cuts were noted",
        packed.len()
    );
}

#[test]
fn results_carry_what_was_noted_of_the_file() {
    let cut = format!("{BEGINS}\n{ENDS}\n{{\"index\":2,");
    let (_, notes) = History::read(cut.as_bytes()).unwrap();
    let mut results = merge(Vec::new());
    results.notes = notes;
    let written = serde_json::to_value(&results).unwrap();
    assert_eq!(written["notes"], json!([{ "note": "cut-line", "line": 3 }]));
    assert_eq!(serde_json::from_value::<Results>(written).unwrap(), results);
    assert!(
        results.notes[0]
            .to_string()
            .contains("in the middle of line 3")
    );
}

#[test]
fn damage_in_the_middle_is_refused() {
    let mut packed = in_frames(&text(&small()));
    let middle = packed.len() / 2;
    packed[middle..middle + 40].fill(0xff);
    let error = History::read(&packed[..]).unwrap_err().to_string();
    assert!(
        error.contains("is damaged") && error.contains("after line"),
        "{error}"
    );
    let broken = format!("{BEGINS}\n{{\"index\":1,\n{ENDS}\n");
    assert!(
        refused(&broken).starts_with("line 2, column "),
        "{}",
        refused(&broken)
    );
}

#[test]
fn malformed_lines_are_refused_with_line_and_column() {
    let cases = [
        (
            format!(
                "{BEGINS}\n{{\"index\":1,\"time\":9,\"process\":1,\"type\":\"okay\",\"f\":\"read\"}}\n"
            ),
            "line 2, column 45: unknown variant `okay`",
        ),
        (
            format!("{BEGINS}\n[]\n"),
            "line 2, column 1: invalid type: sequence, expected one event as an object",
        ),
        (
            format!("{BEGINS}\n{{\"index\":1,\"time\":9,\"process\":1,\"type\":\"ok\"}}\n"),
            "line 2, column 44: missing field `f`",
        ),
        (
            format!("{BEGINS}\nnonsense\n"),
            "line 2, column 2: this is no JSON value",
        ),
        (
            BEGINS.replace("\"process\":1", "\"process\":-1"),
            "line 1, column 32: process -1 is below 0: processes count from 0",
        ),
        (
            BEGINS.replace("\"process\":1", "\"process\":1.5"),
            "line 1, column 33: invalid type: floating point `1.5`, expected a process: a whole number from 0",
        ),
    ];
    for (lines, expected) in cases {
        assert!(
            refused(&lines).starts_with(expected),
            "expected {expected}, got {}",
            refused(&lines)
        );
    }
}

#[test]
fn lines_that_cannot_stand_there_are_refused() {
    let second = |line: &str| refused(&format!("{BEGINS}\n{line}\n"));
    let cases = [
        (
            second(&ENDS.replace("\"index\":1", "\"index\":3")),
            "index 3, where 1 comes next; indices count the lines",
        ),
        (
            second(&ENDS.replace("\"time\":9", "\"time\":4")),
            "time 4 ns, after 5 ns on the line before; one clock",
        ),
        (
            second(&ENDS.replace("\"process\":1", "\"process\":2")),
            "process 2 completes `read` but has no open invocation",
        ),
        (
            second(&BEGINS.replace("\"index\":0", "\"index\":1")),
            "process 1 invokes `read` while its invocation on line 1 is still open",
        ),
        (
            second(&ENDS.replace("\"r1\"", "\"r2\"")),
            "process 1 completes `read of r2`, but what it has open is `read of r1`",
        ),
    ];
    for (error, expected) in cases {
        assert!(
            error.starts_with("line 2, column 1: ") && error.contains(expected),
            "expected {expected}, got {error}"
        );
    }
}

#[test]
fn other_formats_are_told_by_their_first_bytes() {
    for (head, expected) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (
            b"{:process 0}",
            "the event has no type; expected events as maps",
        ),
        (b"[1]", "expected a list of events"),
        (
            b"0 :invoke\n",
            "expected one event a line, as in `0 :invoke :read nil`",
        ),
    ] {
        let error = History::read(head).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, got {error}");
    }
}

#[test]
fn an_empty_file_is_an_empty_history() {
    assert_eq!(
        History::read(&b""[..]).unwrap(),
        (History::default(), vec![])
    );
    assert_eq!(
        History::read(&b"\n\n"[..]).unwrap(),
        (History::default(), vec![])
    );
}

#[test]
fn a_history_without_times_and_indices_is_read_by_its_order() {
    let lines = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"key\":3}\n{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":1}\n";
    let (history, notes) = History::read(lines.as_bytes()).unwrap();
    assert_eq!(notes, [Note::NoTimes]);
    assert_eq!(history.event(1).index(), 1);
    assert_eq!(history.event(0).key(), Some("3"));
}

#[test]
fn an_invocation_that_never_completed_is_indeterminate() {
    let (history, _) = History::read(BEGINS.as_bytes()).unwrap();
    let operations = history.operations().unwrap();
    assert_eq!(
        (operations[0].kind(), operations[0].ret()),
        (Kind::Info, None)
    );
}

#[test]
fn a_reader_that_gives_one_byte_at_a_time_is_read() {
    struct Drip<'a>(&'a [u8]);
    impl std::io::Read for Drip<'_> {
        fn read(&mut self, mut into: &mut [u8]) -> std::io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(1));
            self.0 = later;
            into.write(now)
        }
    }
    let history = small();
    let packed = in_frames(&text(&history));
    assert_eq!(History::read(Drip(&packed)).unwrap().0, history);
}
