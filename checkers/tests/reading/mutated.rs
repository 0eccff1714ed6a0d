//! Histories with random damage: they are read or refused, and nothing else happens.

use crate::common::random::pick;
use keelhaul_checkers::{Format, History, HistoryError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const INPUTS: u64 = 40_000;

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"\"",
    b"\\",
    b":",
    b",",
    b"#",
    b"#_",
    b"#{",
    b"^",
    b";",
    b"\n",
    b"\r\n",
    b"-",
    b"0",
    b"99999999999999999999",
    b"1e999",
    b"N",
    b"M",
    b"/",
    b"nil",
    b"null",
    b"\xff",
    b"\xc3",
    b"\0",
    b"\\u12",
    b"##Inf",
    b":ok",
    b":invoke",
    b"\"index\":",
    b":process ",
    b"\"process\":-1",
    b"\x28\xb5\x2f\xfd",
    b"  ",
    b"#:a{",
    b"\"type\":\"info\"",
];

fn seeds() -> Vec<Vec<u8>> {
    let lines = r#"{"index":0,"time":5,"process":0,"type":"invoke","f":"txn","value":[["append","x",1],["r",5,null]]}
{"index":1,"time":6,"process":1,"type":"invoke","f":"write","key":"k\u00e9","value":{"a":[1.5,-3,true]},"expected":7}
{"index":2,"time":7,"process":0,"type":"ok","f":"txn","value":[["append","x",1],["r",5,[1,2]]],"server":"n1","zxid":4294967311}
{"index":3,"time":8,"process":"nemesis","type":"info","f":"kill","value":"all \\ \"quoted\""}
{"index":4,"time":9,"process":1,"type":"info","f":"write","key":"k\u00e9","value":null,"error":"timeout"}
"#;
    let (history, _) = History::read(lines.as_bytes()).unwrap();
    let mut forms = vec![lines.as_bytes().to_vec()];
    for format in [Format::Json, Format::Edn] {
        let mut out = Vec::new();
        history.write(format, &mut out).unwrap();
        forms.push(out);
    }
    forms.push([b"[".as_slice(), &forms[2], b"]"].concat());
    forms.push(b"INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - :nemesis\t:info\t:start\t\"a {b\"\nINFO  jepsen.util - 0\t:info\t:cas\t[1 2]\tan error\n".to_vec());
    forms.push(zstd::encode_all(lines.as_bytes(), 1).unwrap());
    forms
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..5) {
        0 if at < bytes.len() => bytes[at] = rng.random(),
        1 => {
            let end = (at + rng.random_range(0..9)).min(bytes.len());
            bytes.drain(at..end);
        }
        2 => bytes.truncate(at),
        3 => {
            let end = (at + rng.random_range(0..60)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
        _ => {
            bytes.splice(at..at, pick(rng, PIECES).iter().copied());
        }
    }
}

#[test]
fn damaged_histories_are_read_or_refused() {
    let seeds = seeds();
    let (mut read, mut refused) = (0, 0);
    for seed in 0..INPUTS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = pick(&mut rng, &seeds).clone();
        for _ in 0..rng.random_range(1..5) {
            mutate(&mut bytes, &mut rng);
        }
        match History::read(&bytes[..]) {
            Ok((history, _)) => {
                read += 1;
                // What was accepted is whole: it pairs, and can be written and read again.
                assert!(history.operations().is_ok());
                let mut out = Vec::new();
                history.write_jsonl(&mut out).unwrap();
                let again = History::read(&out[..]).unwrap().0;
                assert_eq!(again, history, "seed {seed}");
            }
            Err(
                HistoryError::Malformed { line, column, .. }
                | HistoryError::Order { line, column, .. },
            ) => {
                refused += 1;
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                assert!(line >= 1 && column >= 1, "seed {seed}");
                let plain = !bytes.starts_with(b"\x28\xb5\x2f\xfd");
                assert!(
                    !plain || line <= lines + 1,
                    "seed {seed}: line {line} of {lines}"
                );
            }
            Err(_) => refused += 1,
        }
    }
    println!("{read} were read, {refused} refused");
    assert!(read > INPUTS / 20 && refused > INPUTS / 20);
}
