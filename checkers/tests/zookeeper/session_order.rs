//! `session-order` on the tree's own operations.

use crate::common::{judge, validity};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{History, Verdict};

fn generated(options: &Options) -> History {
    let mut lines = Vec::new();
    generate(options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0
}

fn znodes(seed: u64, info: f64, fail: f64) -> Options {
    Options {
        model: "znodes".to_owned(),
        operations: 300,
        info,
        fail,
        seed,
        ..Options::default()
    }
}

fn read(lines: &str) -> History {
    History::read(lines.as_bytes()).unwrap().0
}

#[test]
fn a_stale_local_get_is_no_write_with_a_used_zxid() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"create","key":"/a","value":1,"session":"s1"}
{"index":1,"time":2,"process":0,"type":"ok","f":"create","key":"/a","value":1,"zxid":1,"session":"s1"}
{"index":2,"time":3,"process":1,"type":"invoke","f":"set","key":"/a","value":2,"expected":0,"session":"s2"}
{"index":3,"time":4,"process":1,"type":"ok","f":"set","key":"/a","value":2,"zxid":2,"version":1,"session":"s2"}
{"index":4,"time":5,"process":2,"type":"invoke","f":"get","key":"/a","value":null,"mode":"local","session":"s3"}
{"index":5,"time":6,"process":2,"type":"ok","f":"get","key":"/a","value":1,"zxid":1,"version":0,"mzxid":1,"session":"s3"}
"#,
    );
    assert_eq!(judge("session-order", &history).verdict, Verdict::Valid);
}

#[test]
fn every_sound_history_of_znodes_is_valid() {
    for seed in 1..=200 {
        let (info, fail) = [(0.0, 0.0), (0.02, 0.0), (0.05, 0.03), (0.2, 0.1)][seed as usize % 4];
        let history = generated(&znodes(seed, info, fail));
        let finding = judge("session-order", &history);
        assert_eq!(
            finding.verdict,
            Verdict::Valid,
            "seed {seed}, info {info}, fail {fail}"
        );
        assert!(finding.details["writes"].as_u64() > Some(50));
        assert!(finding.details["reads"]["local"].as_u64() > Some(10));
    }
}

#[test]
fn what_breaks_session_order_among_znodes_is_found() {
    // What is broken, and of how many such histories at least it shows to those who only look at zxids and data.
    let kinds = [
        ("session-went-back", 20),
        ("zxid-reused", 20),
        ("unwritten-read", 20),
        ("lost-write", 18),
    ];
    for (kind, at_least) in kinds {
        let is_found = |seed: &u64| {
            let options = Options {
                breaking: Some(kind.to_owned()),
                ..znodes(*seed, 0.01, 0.01)
            };
            validity(&judge("session-order", &generated(&options))) == Some(false)
        };
        let found = (0..20).filter(is_found).count();
        println!("{kind}: {found} of 20");
        assert!(found >= at_least, "{kind}: {found} of 20");
    }
}

#[test]
fn a_function_that_the_tree_does_not_have_is_refused_by_name() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"zap","key":"/a","value":1}
{"index":1,"time":2,"process":0,"type":"ok","f":"zap","key":"/a","value":1,"zxid":1}
"#,
    );
    let finding = judge("session-order", &history);
    let text = finding.details["misfit"]["text"].as_str().unwrap();
    assert!(
        text.contains("`zap`") && text.contains("children"),
        "{text}"
    );
}

#[test]
fn a_get_that_does_not_tell_which_write_it_shows_is_refused() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"get","key":"/a","value":null}
{"index":1,"time":2,"process":0,"type":"ok","f":"get","key":"/a","value":1,"zxid":1}
"#,
    );
    let finding = judge("session-order", &history);
    let text = finding.details["misfit"]["text"].as_str().unwrap();
    assert!(text.contains("`mzxid`"), "{text}");
}
