//! Whatever a history holds: written in any form and read again it is the same, but for what `Exported` says.

use crate::common::random::pick;
use crate::common::text;
use keelhaul_checkers::{Event, Format, History, Kind, Nanos, Process, ReadOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

const HISTORIES: u64 = 3_000;

const TEXTS: &[&str] = &[
    "",
    "a",
    "nil",
    "true",
    "a b",
    "x/y",
    ":k",
    "\"q\"",
    "\\",
    "é😀",
    "line\nline",
    "\u{1}",
    "12",
    "-7",
    "1.5",
    "[1]",
    "#{}",
    ";",
    "timeout",
    "n2",
    "an error that is longer than what is shared between lines, by far",
];

/// Any value; `deep` limits it.
fn value(rng: &mut ChaCha8Rng, deep: u32) -> Value {
    match rng.random_range(0..if deep > 0 { 12 } else { 9 }) {
        0 => Value::Null,
        1 => json!(rng.random_bool(0.5)),
        2 | 3 => json!(rng.random_range(-9..100_i64)),
        4 => json!(*pick(
            rng,
            &[
                i64::MIN,
                i64::MAX,
                1 << 28,
                -(1 << 28) - 1,
                1 << 60,
                -(1 << 60) - 1
            ]
        )),
        5 => json!(*pick(rng, &[u64::MAX, 1 << 63])),
        6 => json!(*pick(
            rng,
            &[
                0.1,
                -0.0,
                1.0,
                1e300,
                5e-324,
                123456789.12345679,
                0.30000000000000004
            ]
        )),
        7 | 8 => json!(pick(rng, TEXTS)),
        9 => json!([["append", "x", 1], ["r", 5, [1, 2]], ["w", "y", null]]),
        10 => {
            let length = rng.random_range(0..4);
            Value::Array((0..length).map(|_| value(rng, deep - 1)).collect())
        }
        _ => {
            let length = rng.random_range(0..4);
            let fields =
                (0..length).map(|_| ((*pick(rng, TEXTS)).to_owned(), value(rng, deep - 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

/// A history of any values: all clients' lines have a key, some of them have, or none has.
fn history(rng: &mut ChaCha8Rng) -> History {
    let keyed = *pick(rng, &[0.0, 0.5, 1.0]);
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<Option<(String, Option<String>)>> = vec![None; 3];
    let mut time = 0;
    for _ in 0..rng.random_range(0..12) {
        time += rng.random_range(0..3) * 1_000_000_007;
        let client = rng.random_range(0..4);
        let process = match client {
            3 => Process::Named((*pick(rng, &["nemesis", "controller", "an other"])).into()),
            client => Process::Client(client * 1_000_000_007),
        };
        let names = ["read", "txn", "a b", "?!", "Add"];
        let fresh = || (*pick(&mut ChaCha8Rng::seed_from_u64(time), &names)).to_owned();
        let (kind, f, key) = match client {
            3 => (Kind::Info, fresh(), None),
            _ => match open[client as usize].take() {
                Some((f, key)) => (*pick(rng, &[Kind::Ok, Kind::Fail, Kind::Info]), f, key),
                None => {
                    let key = rng
                        .random_bool(keyed)
                        .then(|| (*pick(rng, TEXTS)).to_owned());
                    open[client as usize] = Some((fresh(), key.clone()));
                    (Kind::Invoke, fresh(), key)
                }
            },
        };
        let mut extra = Map::new();
        for name in ["server", "zxid", "an extra", "mode"] {
            if rng.random_bool(0.3) {
                extra.insert(name.to_owned(), value(rng, 2));
            }
        }
        if kind != Kind::Ok && rng.random_bool(0.3) {
            extra.insert("error".to_owned(), json!(pick(rng, TEXTS)));
        }
        events.push(Event {
            index: events.len() as u64,
            time: Nanos(time),
            process,
            kind,
            f: f.into(),
            key: key.map(Into::into),
            value: value(rng, 3),
            extra: extra.into(),
        });
    }
    History::from_events(&events)
}

fn written(history: &History, format: Format) -> (String, bool) {
    let mut out = Vec::new();
    let exported = history.write(format, &mut out).unwrap();
    assert_eq!(exported.errors_as_fail, 0);
    (String::from_utf8(out).unwrap(), exported.independent)
}

#[test]
fn every_form_gives_back_what_was_written() {
    let (mut independent, mut values) = (0, 0);
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let history = history(&mut rng);
        values += history.len();
        for format in [Format::JsonLines, Format::Json, Format::Edn] {
            let (form, tuples) = written(&history, format);
            independent += u32::from(tuples);
            let options = ReadOptions {
                independent: Some(tuples),
            };
            let (read, _) = History::read_with(form.as_bytes(), &options)
                .unwrap_or_else(|error| panic!("seed {seed}, {format:?}: {error}\n{form}"));
            assert_eq!(
                text(&read),
                text(&history),
                "seed {seed}, {format:?}:\n{form}"
            );
            assert_eq!(read, history, "seed {seed}, {format:?}:\n{form}");
            // And once more through another form.
            let (again, _) = written(&read, format);
            assert_eq!(again, form, "seed {seed}, {format:?}");
        }
    }
    println!("{HISTORIES} histories, {values} lines, {independent} forms with tuples");
    assert!(independent > 200 && values > 5_000);
}

#[test]
fn forms_are_written_as_their_tools_write_them() {
    let lines = r#"{"index":0,"time":5,"process":0,"type":"invoke","f":"txn","value":[["append","x",1],["r",5,null]]}
{"index":1,"time":6,"process":0,"type":"ok","f":"txn","value":[["append","x",1],["r",5,[1,2]]],"server":"n1"}
{"index":2,"time":7,"process":1,"type":"invoke","f":"transfer","value":{"from":0,"0":1.5}}
{"index":3,"time":8,"process":1,"type":"ok","f":"transfer","value":null,"error":"NoNode"}
{"index":4,"time":9,"process":"nemesis","type":"info","f":"start","value":18446744073709551615}
"#;
    let (history, _) = History::read(lines.as_bytes()).unwrap();
    let mut out = Vec::new();
    let exported = history.write(Format::Edn, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\
{:index 0, :time 5, :process 0, :type :invoke, :f :txn, :value [[:append \"x\" 1] [:r 5 nil]]}
{:index 1, :time 6, :process 0, :type :ok, :f :txn, :value [[:append \"x\" 1] [:r 5 [1 2]]], :server \"n1\"}
{:index 2, :time 7, :process 1, :type :invoke, :f :transfer, :value {:from 0, 0 1.5}}
{:index 3, :time 8, :process 1, :type :fail, :f :transfer, :value nil, :error :NoNode}
{:index 4, :time 9, :process :nemesis, :type :info, :f :start, :value 18446744073709551615N}
"
    );
    assert_eq!(exported.errors_as_fail, 1);
    assert!(
        exported
            .to_string()
            .starts_with("1 answers that were errors")
    );
    let keyed = r#"{"process":0,"type":"invoke","f":"read","key":"7","value":null}
{"process":0,"type":"ok","f":"read","value":4}
"#;
    let (history, _) = History::read(keyed.as_bytes()).unwrap();
    let mut out = Vec::new();
    assert!(history.write(Format::Json, &mut out).unwrap().independent);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "[{\"index\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":[7,null]},\n\
         {\"index\":1,\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":[7,4]}]\n"
    );
}

#[test]
fn what_is_longer_than_a_chunk_is_read_in_the_same_order_by_all_cores() {
    let mut events = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for place in 0..60_000_u64 {
        let process = place / 2 % 7 + 100 * (place / 9_000);
        let kind = if place % 2 == 0 {
            Kind::Invoke
        } else {
            Kind::Ok
        };
        // New names turn up in every chunk.
        let f = format!("f{}", place / 2 % 5 + place / 10_000);
        let key = format!("key {}", place / 2 % 11 + place / 5_000);
        events.push(Event {
            index: place,
            time: Nanos(place * 3),
            process: Process::Client(process),
            kind,
            f: f.into(),
            key: Some(key.into()),
            value: value(&mut rng, 2),
            extra: [("server", json!("n1")), ("zxid", json!(place << 32))]
                .into_iter()
                .collect(),
        });
    }
    let history = History::from_events(&events);
    for format in [Format::JsonLines, Format::Json, Format::Edn] {
        let (form, tuples) = written(&history, format);
        assert!(form.len() > 5 << 20);
        let options = ReadOptions {
            independent: Some(tuples),
        };
        let packed = zstd::encode_all(form.as_bytes(), 1).unwrap();
        for bytes in [form.as_bytes(), &packed] {
            let (read, _) = History::read_with(bytes, &options).unwrap();
            assert!(read == history, "{format:?}");
            assert_eq!(read.functions(), history.functions(), "{format:?}");
            assert_eq!(read.processes(), history.processes(), "{format:?}");
            assert_eq!(read.keys(), history.keys(), "{format:?}");
            let places: Vec<u32> = (0..read.len())
                .map(|at| read.place(at).unwrap().line)
                .collect();
            assert!(
                places
                    .iter()
                    .zip(1..)
                    .all(|(line, expected)| *line == expected),
                "{format:?}"
            );
        }
        // The first thing that is wrong is told, wherever it is.
        let end = form.trim_end().rfind('\n').unwrap();
        let broken = form.lines().count();
        let text = format!("{}\n nonsense\n", &form[..end]);
        let error = History::read(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("line {broken}, column ")),
            "{format:?}: {error}"
        );
    }
}
