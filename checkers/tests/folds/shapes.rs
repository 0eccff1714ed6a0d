//! A value or a function that a checker does not know is refused at its line, whichever checker it is: it is no verdict.

use crate::common::judge;
use keelhaul_checkers::{History, Verdict};

/// Checker, and a history whose second operation (line 3 of the file) does not fit it.
const MISFITS: &[(&str, &str, &str)] = &[
    ("set", r#""f":"add","value":1"#, r#""f":"read","value":5"#),
    ("set", r#""f":"add","value":1"#, r#""f":"dance","value":5"#),
    (
        "set-full",
        r#""f":"add","value":1"#,
        r#""f":"read","value":5"#,
    ),
    (
        "total-queue",
        r#""f":"enqueue","value":1"#,
        r#""f":"drain","value":5"#,
    ),
    (
        "total-queue",
        r#""f":"enqueue","value":1"#,
        r#""f":"dequeue","value":null,"error":"busy""#,
    ),
    (
        "unique-ids",
        r#""f":"generate","value":1"#,
        r#""f":"genrate","value":2"#,
    ),
    (
        "bank",
        r#""f":"transfer","value":{"from":0,"to":1,"amount":1}"#,
        r#""f":"read","value":[10,20]"#,
    ),
    (
        "long-fork",
        r#""f":"txn","value":[["w","x",1]]"#,
        r#""f":"txn","value":[["x","x",1]]"#,
    ),
    (
        "session-guarantees",
        r#""f":"txn","value":[["w","x",1]]"#,
        r#""f":"txn","value":[["x","x",1]]"#,
    ),
    (
        "causal",
        r#""f":"txn","value":[["w","x",1]]"#,
        r#""f":"txn","value":[["x","x",1]]"#,
    ),
    (
        "session-order",
        r#""f":"write","key":"/a","value":1,"zxid":1"#,
        r#""f":"read","key":"/a","value":1"#,
    ),
    (
        "lock",
        r#""f":"read","value":1"#,
        r#""f":"acquire","value":null"#,
    ),
    (
        "election",
        r#""f":"read","value":1"#,
        r#""f":"dance","value":1"#,
    ),
    (
        "znodes",
        r#""f":"create","key":"/a","value":1,"zxid":1"#,
        r#""f":"dance","key":"/a","value":1,"zxid":2"#,
    ),
    (
        "zxid-audit",
        r#""f":"create","key":"/a","value":1,"zxid":1"#,
        r#""f":"create","value":1,"zxid":2"#,
    ),
    (
        "sequence",
        r#""f":"create","key":"/a","value":1,"zxid":1"#,
        r#""f":"dance","key":"/a","value":1,"zxid":2"#,
    ),
    (
        "ephemeral",
        r#""f":"create","key":"/a","value":1,"zxid":1"#,
        r#""f":"dance","key":"/a","value":1,"zxid":2"#,
    ),
    (
        "watch",
        r#""f":"create","key":"/a","value":1,"zxid":1"#,
        r#""f":"add-watch","value":1,"zxid":2"#,
    ),
    (
        "register",
        r#""f":"write","value":1"#,
        r#""f":"dance","value":1"#,
    ),
];

#[test]
fn what_does_not_fit_is_refused_at_its_line() {
    for (checker, fits, wrong) in MISFITS {
        let line =
            |kind: &str, rest: &str| format!("{{\"process\":0,\"type\":\"{kind}\",{rest}}}\n");
        let lines = [
            line("invoke", fits),
            line("ok", fits),
            line("invoke", wrong),
            line("ok", wrong),
        ];
        let (history, _) = History::read(lines.concat().as_bytes()).unwrap();
        let finding = judge(checker, &history);
        assert!(
            matches!(finding.verdict, Verdict::Unknown(_)),
            "{checker}, {wrong}: {finding:?}"
        );
        let misfit = &finding.details["misfit"];
        let index = misfit["index"].as_u64();
        assert!(
            index.is_some_and(|index| index == 2 || index == 3),
            "{checker}, {wrong}: {misfit}"
        );
        let text = misfit["text"].as_str().unwrap();
        assert!(
            !text.contains("index"),
            "{checker}: the place is told once: {text}"
        );
    }
}
