//! The quick reader of JSON is never of another opinion than the exact one.

use super::line::{self, Strictness};
use super::scan;
use crate::history::block::{Block, Place};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LINES: u64 = 150_000;

const START: Place = Place { line: 1, column: 1 };

fn pick<'a>(rng: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

const VALUES: &[&str] = &[
    "null",
    "5",
    "-12",
    "[1,[2,{}],\"a\"]",
    "{\"a\":[],\"b\":{\"a\":null}}",
    "[[\"append\",\"x\",1],[\"r\",\"y\",[1,2,3]]]",
    "\"text\"",
    "\"\u{e9}\"",
    "true",
    "false",
    "9223372036854775807",
    "18446744073709551615",
];

const ODD: &[&str] = &[
    "1.5",
    "-0",
    "01",
    "1e3",
    "nul",
    "\"a\\nb\"",
    "18446744073709551616",
    "[1,]",
    "{\"a\" 1}",
    "\"",
    "-",
    "[",
    "\t7 ",
    "1-1",
    "-9223372036854775809",
    "{\"a\":1,\"a\":2}",
    "\"\u{1}\"",
    "nullx",
    "tru",
    "]",
];

/// A line as recorders write it, and now and then another one.
fn a_line(rng: &mut ChaCha8Rng) -> String {
    let odd = rng.random_bool(0.3);
    let value = |rng: &mut ChaCha8Rng| match odd && rng.random_bool(0.3) {
        true => pick(rng, ODD),
        false => pick(rng, VALUES),
    };
    let numbers = ["0", "7", "48213377", "18446744073709551614"];
    let mut fields = vec![
        format!("\"index\":{}", pick(rng, &numbers)),
        format!("\"time\":{}", pick(rng, &numbers)),
        format!("\"process\":{}", pick(rng, &["0", "3", "\"nemesis\""])),
        format!(
            "\"type\":{}",
            pick(rng, &["\"invoke\"", "\"ok\"", "\"fail\"", "\"info\""])
        ),
        format!("\"f\":{}", pick(rng, &["\"read\"", "\"write\"", "\"txn\""])),
        format!("\"value\":{}", value(rng)),
    ];
    for name in ["key", "server", "zxid", "error", "x"] {
        match rng.random_range(0..4) {
            0 if name == "key" => fields.push("\"key\":\"r1\"".to_owned()),
            0 => fields.push(format!("\"{name}\":{}", value(rng))),
            _ => {}
        }
    }
    if odd {
        let at = rng.random_range(0..fields.len());
        match rng.random_range(0..4) {
            0 => drop(fields.remove(at)),
            1 => {
                fields[at] = format!(
                    "\"{}\":{}",
                    pick(rng, &["index", "time", "process", "type", "f", "key"]),
                    value(rng)
                )
            }
            2 => fields[at].insert(rng.random_range(0..2), ' '),
            _ => {}
        }
    }
    let space = pick(rng, &["", "", "", " ", "\t"]);
    let end = match odd && rng.random_bool(0.2) {
        true => pick(rng, &["", ",}", "}}", "} x"]),
        false => "}",
    };
    format!("{space}{{{}{end}{space}", fields.join(&format!(",{space}")))
}

#[test]
fn both_readers_of_a_line_agree() {
    let (mut quick, mut refused) = (0, 0);
    for seed in 0..LINES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let text = a_line(&mut rng);
        let strictness = match rng.random_bool(0.5) {
            true => Strictness::Own,
            false => Strictness::Foreign,
        };
        let mut exact = Block::default();
        let expected = line::parse(text.as_bytes(), &mut exact, strictness, START);
        refused += u64::from(expected.is_err());
        let mut block = Block::default();
        let Some((draft, length)) = scan::event(&text, &mut block, strictness, START) else {
            continue;
        };
        quick += 1;
        // What stands behind the event is the caller's matter.
        if !text[length..].trim().is_empty() {
            let event = line::parse(&text.as_bytes()[..length], &mut exact, strictness, START);
            assert!(expected.is_err() && event.is_ok(), "{text}");
            continue;
        }
        let expected = expected.unwrap_or_else(|error| panic!("{text}: {error}"));
        let value_at = line::value_at(text.as_bytes()).map_or(1, |at| at as u32 + 1);
        assert_eq!(draft.value_at.column, value_at, "{text}");
        assert_eq!(
            (draft.index, draft.time),
            (expected.index, expected.time),
            "{text}"
        );
        assert_eq!(draft.kind, expected.kind, "{text}");
        assert_eq!(block.event(&draft), exact.event(&expected), "{text}");
    }
    println!("{LINES} lines, {quick} read by both, {refused} refused");
    assert!(quick > LINES / 3 && refused > LINES / 20);
}
