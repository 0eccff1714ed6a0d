//! The promises of a ZooKeeper: numbers, ephemeral znodes, sessions, locks.

use crate::common::{judge, judge_with};
use crate::{Rule, Story, hold, said};
use keelhaul_checkers::Parameters;
use serde_json::{Value, json};

const NULL: Value = Value::Null;

/// A sequential create below `/q`, answered with this number.
fn numbered(story: &mut Story, process: u64, number: u32) {
    story.ask(
        process,
        "create",
        "/q/n-",
        json!(1),
        json!({ "sequential": true }),
    );
    told_number(story, process, number);
}

fn told_number(story: &mut Story, process: u64, number: u32) {
    let path = format!("/q/n-{number:010}");
    story.answer(
        process,
        "create",
        "/q/n-",
        json!(1),
        json!({ "path": path }),
    );
}

const NUMBERS: &[Rule] = &[
    (
        "a number twice, without zxids",
        "sequence",
        "sequence-reused",
        |story| {
            numbered(story, 1, 5);
            numbered(story, 2, 5);
        },
    ),
    (
        "a smaller number after a greater one, without zxids",
        "sequence",
        "sequence-went-back",
        |story| {
            numbered(story, 1, 5);
            numbered(story, 2, 3);
        },
    ),
    (
        "a number between two that were given out before, without zxids",
        "sequence",
        "sequence-went-back",
        |story| {
            numbered(story, 1, 3);
            numbered(story, 2, 5);
            numbered(story, 3, 4);
        },
    ),
    (
        "who asked at one time is told in either order",
        "sequence",
        "valid",
        |story| {
            story.ask(
                1,
                "create",
                "/q/n-",
                json!(1),
                json!({ "sequential": true }),
            );
            numbered(story, 2, 5);
            told_number(story, 1, 3);
        },
    ),
    (
        "a parent that was made again counts from the beginning",
        "sequence",
        "valid",
        |story| {
            numbered(story, 1, 5);
            story.done(2, "delete", "/q", (NULL, NULL), (NULL, NULL));
            story.done(2, "create", "/q", (NULL, NULL), (NULL, NULL));
            numbered(story, 1, 0);
        },
    ),
    (
        "a parent that was made again at a known zxid counts from the beginning",
        "sequence",
        "valid",
        |story| {
            numbered(story, 1, 5);
            story.done(
                2,
                "delete",
                "/q",
                (NULL, NULL),
                (NULL, json!({ "zxid": 8 })),
            );
            story.done(
                2,
                "create",
                "/q",
                (NULL, NULL),
                (NULL, json!({ "zxid": 9 })),
            );
            numbered(story, 1, 0);
        },
    ),
];

/// A sequential create below `/q`, answered with this number at this zxid.
fn numbered_at(story: &mut Story, process: u64, number: u32, zxid: i64) {
    let asked = json!({ "sequential": true });
    let told = json!({ "path": format!("/q/n-{number:010}"), "zxid": zxid });
    story.done(
        process,
        "create",
        "/q/n-",
        (json!(1), asked),
        (json!(1), told),
    );
}

/// What begins a new incarnation of the parent: a delete of it that may have been done in between, and nothing else.
const INCARNATIONS: &[Rule] = &[
    (
        "a lost create of the parent, and a number twice",
        "sequence",
        "sequence-reused",
        |story| {
            story.lost(1, "create", "/q", json!(1), NULL);
            numbered_at(story, 2, 0, 5);
            numbered_at(story, 2, 0, 6);
        },
    ),
    (
        "a create of the parent without a zxid, and a number twice",
        "sequence",
        "sequence-reused",
        |story| {
            story.done(1, "create", "/q", (json!(1), NULL), (json!(1), NULL));
            numbered(story, 2, 0);
            numbered(story, 2, 0);
        },
    ),
    (
        "a create of the parent without a zxid, and a number that goes back",
        "sequence",
        "sequence-went-back",
        |story| {
            story.done(1, "create", "/q", (json!(1), NULL), (json!(1), NULL));
            numbered(story, 2, 4);
            numbered(story, 2, 3);
        },
    ),
    (
        "a lost delete of the parent may have been done between two numbers",
        "sequence",
        "unknown: none could be compared",
        |story| {
            numbered_at(story, 2, 0, 5);
            story.lost(1, "delete", "/q", NULL, NULL);
            numbered_at(story, 2, 0, 9);
        },
    ),
    (
        "and before two numbers that were asked for after it",
        "sequence",
        "unknown: none could be compared",
        |story| {
            story.lost(1, "delete", "/q", NULL, NULL);
            numbered(story, 2, 5);
            numbered(story, 2, 0);
        },
    ),
    (
        "a lost delete of the parent that was asked for later",
        "sequence",
        "sequence-reused",
        |story| {
            numbered_at(story, 2, 0, 5);
            numbered_at(story, 2, 0, 6);
            story.lost(1, "delete", "/q", NULL, NULL);
        },
    ),
    (
        "a delete of the parent that was answered before",
        "sequence",
        "sequence-went-back",
        |story| {
            story.done(1, "delete", "/q", (NULL, NULL), (NULL, NULL));
            numbered(story, 2, 1);
            numbered(story, 2, 0);
        },
    ),
    (
        "a delete of the parent that was under way",
        "sequence",
        "unknown: none could be compared",
        |story| {
            story.ask(1, "delete", "/q", NULL, NULL);
            numbered(story, 2, 1);
            numbered(story, 2, 1);
            story.answer(1, "delete", "/q", NULL, NULL);
        },
    ),
];

#[test]
fn incarnations_of_the_parent_of_sequential_znodes() {
    hold(&Parameters::default(), INCARNATIONS);
}

#[test]
fn numbers_of_sequential_znodes() {
    hold(&Parameters::default(), NUMBERS);
}

fn in_session(session: &str, zxid: i64) -> Value {
    json!({ "session": session, "zxid": zxid })
}

/// An ephemeral znode `/e`, made at zxid 1 in session 0x1, whose time-out is four seconds.
fn ephemeral(story: &mut Story) {
    let asked = json!({ "ephemeral": true, "session": "0x1", "timeout_ms": 4000 });
    story.done(
        1,
        "create",
        "/e",
        (json!(1), asked),
        (json!(1), in_session("0x1", 1)),
    );
}

/// Somebody else finds no `/e` at this zxid.
fn missing(story: &mut Story, zxid: i64) {
    let told = json!({ "session": "0x2", "zxid": zxid, "error": "NoNode" });
    story.done(2, "get", "/e", (NULL, NULL), (NULL, told));
}

/// Somebody else finds it.
fn there(story: &mut Story, mode: Value, zxid: i64) {
    let told = json!({ "session": "0x2", "zxid": zxid, "czxid": 1 });
    story.done(
        2,
        "get",
        "/e",
        (NULL, json!({ "mode": mode })),
        (json!(1), told),
    );
}

/// Its session is left to expire.
fn leave(story: &mut Story) {
    story.lost(1, "close", "", NULL, json!({ "session": "0x1" }));
}

fn install(story: &mut Story) {
    let what = json!({
        "episode": 0, "phase": "install", "fault": { "kind": "pause" }, "target": "one", "targets": ["n1"],
        "majority": true, "outcome": "installed", "reason": null
    });
    story.note("nemesis", "pause", what);
}

fn heal(story: &mut Story) {
    let what = json!({ "episode": 0, "phase": "heal", "outcome": "healed", "reason": null });
    story.note("nemesis", "pause", what);
}

const EPHEMERALS: &[Rule] = &[
    (
        "it is missing before its session ended",
        "ephemeral",
        "ephemeral-not-at-once",
        |story| {
            ephemeral(story);
            story.ask(1, "close", "", NULL, NULL);
            missing(story, 3);
            story.answer(1, "close", "", NULL, in_session("0x1", 5));
        },
    ),
    (
        "it is missing once its session ended",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            story.ask(1, "close", "", NULL, NULL);
            missing(story, 5);
            story.answer(1, "close", "", NULL, in_session("0x1", 5));
        },
    ),
    (
        "it is gone, and its session was heard of just now",
        "ephemeral",
        "ephemeral-too-early",
        |story| {
            ephemeral(story);
            story.wait(3_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone, and its session was heard of just now, though not when it began",
        "ephemeral",
        "ephemeral-too-early",
        |story| {
            ephemeral(story);
            story.wait(3_000);
            story.done(1, "sync", "", (NULL, NULL), (NULL, in_session("0x1", 1)));
            story.wait(3_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone, and its session was silent for long enough",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            story.wait(4_000);
            missing(story, 5);
            // This was answered too late to count, by a server that had not heard.
            story.done(1, "sync", "", (NULL, NULL), (NULL, in_session("0x1", 1)));
        },
    ),
    (
        "it is gone, and its session was left",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            leave(story);
            story.wait(1_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone early, during a fault",
        "ephemeral",
        "outside: ephemeral-too-early",
        |story| {
            ephemeral(story);
            install(story);
            story.wait(3_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone early, after a fault",
        "ephemeral",
        "ephemeral-too-early",
        |story| {
            install(story);
            heal(story);
            ephemeral(story);
            story.wait(3_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone early, before a fault",
        "ephemeral",
        "ephemeral-too-early",
        |story| {
            ephemeral(story);
            story.wait(3_000);
            missing(story, 5);
            install(story);
            heal(story);
        },
    ),
    (
        "it is gone early, around a change of roles",
        "ephemeral",
        "outside: ephemeral-too-early",
        |story| {
            ephemeral(story);
            story.note(
                "controller",
                "role",
                json!({ "node": "n1", "role": "leader" }),
            );
            story.wait(3_000);
            missing(story, 5);
        },
    ),
    (
        "it is gone early, while the controller stood still",
        "ephemeral",
        "outside: ephemeral-too-early",
        |story| {
            ephemeral(story);
            story.wait(3_000);
            let stall = json!({ "from": 1_000_000_000, "to": 2_000_000_000 });
            story.note("controller", "stall", stall);
            missing(story, 5);
        },
    ),
    // The time-out of 4 s and 10 s of grace after the session was left.
    (
        "it outlives its session",
        "ephemeral",
        "ephemeral-too-late",
        |story| {
            ephemeral(story);
            leave(story);
            story.wait(14_001);
            there(story, NULL, 5);
        },
    ),
    (
        "it outlives its session on a server that lags",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            leave(story);
            story.wait(14_001);
            there(story, json!("local"), 5);
        },
    ),
    (
        "it outlives its session for a while",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            leave(story);
            story.wait(13_900);
            there(story, NULL, 5);
        },
    ),
    (
        "its session has more time from the last heal on",
        "ephemeral",
        "valid",
        |story| {
            ephemeral(story);
            leave(story);
            install(story);
            story.wait(5_000);
            heal(story);
            story.wait(10_000);
            there(story, NULL, 5);
        },
    ),
    (
        "it outlives its session around a change of roles",
        "ephemeral",
        "outside: ephemeral-too-late",
        |story| {
            ephemeral(story);
            leave(story);
            story.wait(14_001);
            story.note(
                "controller",
                "role",
                json!({ "node": "n1", "role": "leader" }),
            );
            there(story, NULL, 5);
        },
    ),
];

#[test]
fn ends_of_ephemeral_znodes() {
    hold(&Parameters::default(), EPHEMERALS);
}

/// What a session asked, and never heard of again.
fn lost_in(story: &mut Story, process: u64, session: &str, f: &str, key: &str, value: Value) {
    story.lost(process, f, key, value, json!({ "session": session }));
}

fn get(story: &mut Story, key: &str, data: Option<i32>) {
    let told = match data {
        Some(data) => (json!(data), json!({ "session": "0x2" })),
        None => (NULL, json!({ "session": "0x2", "error": "NoNode" })),
    };
    story.done(2, "get", key, (NULL, NULL), told);
}

/// The parent `/p` and the ephemeral `/p/e`, made at zxid 1 in session 0x1.
fn ephemeral_below(story: &mut Story) {
    let asked = json!({ "ephemeral": true, "session": "0x1" });
    let told = (json!(1), in_session("0x1", 1));
    story.done(1, "create", "/p/e", (json!(1), asked), told);
}

fn children(story: &mut Story, names: Value, zxid: i64) {
    story.done(
        2,
        "children",
        "/p",
        (NULL, NULL),
        (names, in_session("0x2", zxid)),
    );
}

const LISTED: &[Rule] = &[
    (
        "it is in a list after its session ended",
        "ephemeral",
        "ephemeral-survived",
        |story| {
            ephemeral_below(story);
            story.done(1, "close", "", (NULL, NULL), (NULL, in_session("0x1", 5)));
            children(story, json!(["e"]), 6);
        },
    ),
    (
        "it is in no list before its session ended",
        "ephemeral",
        "ephemeral-not-at-once",
        |story| {
            ephemeral_below(story);
            story.ask(1, "close", "", NULL, NULL);
            children(story, json!([]), 3);
            story.answer(1, "close", "", NULL, in_session("0x1", 5));
        },
    ),
    (
        "one of its name may be another one's",
        "ephemeral",
        "valid",
        |story| {
            ephemeral_below(story);
            story.done(1, "close", "", (NULL, NULL), (NULL, in_session("0x1", 5)));
            let told = (json!(1), in_session("0x3", 6));
            story.done(3, "create", "/p/e", (json!(1), NULL), told);
            children(story, json!(["e"]), 6);
        },
    ),
    (
        "it is gone in one list, and there in a later one",
        "ephemeral",
        "ephemeral-not-at-once",
        |story| {
            ephemeral_below(story);
            children(story, json!([]), 3);
            children(story, json!(["e"]), 4);
        },
    ),
    (
        "its session writes after it is gone",
        "ephemeral",
        "write-after-close",
        |story| {
            ephemeral_below(story);
            children(story, json!([]), 3);
            let told = (json!(1), in_session("0x1", 4));
            story.done(1, "create", "/b", (json!(1), NULL), told);
        },
    ),
];

#[test]
fn lists_of_ephemeral_znodes() {
    hold(&Parameters::default(), LISTED);
}

fn made(story: &mut Story, session: &str, key: &str, zxid: i64) {
    let asked = json!({ "session": session });
    let told = (json!(1), in_session(session, zxid));
    story.done(1, "create", key, (json!(1), asked), told);
}

/// A plain read of `/a`.
fn plain(story: &mut Story, session: &str, data: i32, zxid: i64) {
    let asked = json!({ "session": session, "mode": "local" });
    let told = (json!(data), in_session(session, zxid));
    story.done(2, "get", "/a", (NULL, asked), told);
}

/// Two writes of one transaction that fails.
fn refused_multi(story: &mut Story, results: Value) {
    let asked = json!([["set", "/a", 2, -1], ["check", "/a", 7]]);
    let told = json!({
        "session": "0x2", "zxid": 2, "error": "BadVersion", "results": results
    });
    story.done(2, "multi", "", (asked.clone(), NULL), (asked, told));
}

/// A multi that failed and does not say which part did.
fn failed_multi(story: &mut Story, asked: Value, error: &str) {
    let told = json!({ "session": "0x1", "zxid": 5, "error": error });
    story.done(1, "multi", "", (asked.clone(), NULL), (asked, told));
}

/// What was there before the history.
const BEFORE: &[Rule] = &[
    (
        "the root is there for a multi that makes a znode and meets it at a wrong version",
        "znodes",
        "valid",
        |story| {
            let asked = json!([["create", "/a", 1, {}], ["delete", "/a", 1]]);
            failed_multi(story, asked, "BadVersion");
        },
    ),
    (
        "a multi that makes one znode twice shows its parent",
        "znodes",
        "valid",
        |story| {
            let asked = json!([["create", "/p/a", 1, {}], ["create", "/p/a", 1, {}]]);
            failed_multi(story, asked, "NodeExists");
            made(story, "0x1", "/q", 6);
        },
    ),
    (
        "a multi that makes two znodes met one of them",
        "znodes",
        "valid",
        |story| {
            let asked = json!([["create", "/a", 1, {}], ["create", "/b", 1, {}]]);
            failed_multi(story, asked, "NodeExists");
        },
    ),
    (
        "and of two znodes that were not there it meets none",
        "znodes",
        "answer-does-not-fit",
        |story| {
            let none = json!({ "session": "0x1", "zxid": 4, "error": "NoNode" });
            for key in ["/a", "/b"] {
                story.done(1, "exists", key, (NULL, NULL), (NULL, none.clone()));
            }
            let asked = json!([["create", "/a", 1, {}], ["create", "/b", 1, {}]]);
            failed_multi(story, asked, "NodeExists");
        },
    ),
    (
        "the root cannot be missing",
        "znodes",
        "answer-does-not-fit",
        |story| {
            let none = json!({ "session": "0x1", "zxid": 5, "error": "NoNode" });
            story.done(1, "children", "/", (NULL, NULL), (NULL, none));
        },
    ),
    (
        "the root is nobody's",
        "znodes",
        "answer-does-not-fit",
        |story| {
            let told = json!({ "session": "0x1", "zxid": 5, "error": "NoChildrenForEphemerals" });
            story.done(1, "create", "/a", (json!(1), NULL), (json!(1), told));
        },
    ),
];

#[test]
fn what_was_there_before_the_history() {
    hold(&Parameters::default(), BEFORE);
}

/// A read of this znode, refused with this error at zxid 1; without zxid, of all that zxids tell nothing is told.
fn refused_read(story: &mut Story, f: &str, key: &str, error: &str, has_zxid: bool) {
    made(story, "0x1", "/a", 1);
    let told = match has_zxid {
        true => json!({ "session": "0x2", "zxid": 1, "error": error }),
        false => json!({ "session": "0x2", "error": error }),
    };
    story.done(2, f, key, (NULL, NULL), (NULL, told));
}

/// Which errors a read may have: NoNode, where there is no znode.
const ERRORS: &[Rule] = &[
    ("a read of a missing znode", "znodes", "valid", |story| {
        refused_read(story, "get", "/b", "NoNode", true);
    }),
    ("a get with a version", "znodes", "wrong-error", |story| {
        refused_read(story, "get", "/b", "BadVersion", true);
    }),
    (
        "a list that meets a znode",
        "znodes",
        "wrong-error",
        |story| {
            refused_read(story, "children", "/b", "NodeExists", true);
        },
    ),
    ("a get without a zxid", "znodes", "wrong-error", |story| {
        refused_read(story, "get", "/b", "BadVersion", false);
    }),
    ("whatever is lost", "znodes", "wrong-error", |story| {
        story.lost(9, "delete", "/b", NULL, NULL);
        refused_read(story, "exists", "/b", "NotEmpty", true);
    }),
    (
        "a session's missing znode",
        "session-order",
        "valid",
        |story| {
            refused_read(story, "get", "/b", "NoNode", true);
        },
    ),
    (
        "a session's get with a version",
        "session-order",
        "wrong-error",
        |story| {
            refused_read(story, "get", "/a", "BadVersion", true);
        },
    ),
];

#[test]
fn errors_of_reads() {
    hold(&Parameters::default(), ERRORS);
}

/// A create at zxid 5, and what its reply says of that.
fn made_by_reply(story: &mut Story, reply: i64) {
    let told = json!({ "session": "0x1", "zxid": reply, "czxid": 5, "mzxid": 5, "pzxid": 5 });
    story.done(1, "create", "/a", (json!(1), NULL), (json!(1), told));
}

/// Who looks at that, and what they say if it is wrong.
const CHECKERS_OF_REPLIES: [(&str, &str); 3] = [
    ("znodes", "wrong-reply-zxid"),
    ("session-order", "wrong-reply-zxid"),
    ("zxid-audit", "stat-inconsistent"),
];

#[test]
fn a_reply_to_a_write_has_the_zxid_of_the_write() {
    let later = Parameters {
        contract: "zookeeper".to_owned(),
        ..Parameters::default()
    };
    let told = |parameters: &Parameters, checker: &str, reply: i64| {
        let mut story = Story::default();
        made_by_reply(&mut story, reply);
        said(&judge_with(checker, parameters, &story.history))
    };
    for (checker, wrong) in CHECKERS_OF_REPLIES {
        assert_eq!(told(&Parameters::default(), checker, 5), "valid");
        assert_eq!(told(&Parameters::default(), checker, 9), wrong);
        assert_eq!(told(&Parameters::default(), checker, 3), wrong);
        // It may be stamped later, and never earlier.
        assert_eq!(told(&later, checker, 9), "valid");
        assert_eq!(told(&later, checker, 3), wrong);
    }
    // What the session saw with the reply it has seen.
    let mut story = Story::default();
    made_by_reply(&mut story, 9);
    let told = json!({ "session": "0x1", "zxid": 7, "mzxid": 7 });
    story.done(1, "set", "/a", (json!(2), NULL), (json!(2), told));
    let said = said(&judge_with("session-order", &later, &story.history));
    assert_eq!(said, "session-went-back");
}

const ORDER: &[Rule] = &[
    ("two writes of one zxid", "znodes", "zxid-reused", |story| {
        made(story, "0x1", "/a", 1);
        made(story, "0x2", "/b", 1);
    }),
    (
        "a later write of a smaller zxid",
        "znodes",
        "zxid-against-real-time",
        |story| {
            made(story, "0x1", "/a", 2);
            made(story, "0x2", "/b", 1);
        },
    ),
    (
        "a session whose replies go back",
        "znodes",
        "session-went-back",
        |story| {
            made(story, "0x1", "/a", 1);
            made(story, "0x1", "/b", 2);
            plain(story, "0x2", 1, 2);
            plain(story, "0x2", 1, 1);
        },
    ),
    (
        "two sessions, one behind the other",
        "znodes",
        "valid",
        |story| {
            made(story, "0x1", "/a", 1);
            made(story, "0x1", "/b", 2);
            plain(story, "0x2", 1, 2);
            plain(story, "0x3", 1, 1);
        },
    ),
    (
        "a plain read that shows what is written later",
        "znodes",
        "future-read",
        |story| {
            made(story, "0x1", "/a", 1);
            plain(story, "0x2", 2, 2);
            let asked = (json!(2), json!({ "session": "0x1" }));
            story.done(1, "set", "/a", asked, (json!(2), in_session("0x1", 2)));
        },
    ),
    (
        "what was there before the history is not made in it",
        "znodes",
        "write-does-not-fit",
        |story| {
            plain(story, "0x2", 1, 1);
            made(story, "0x1", "/a", 1);
        },
    ),
    (
        "a read that does not show what was answered before",
        "znodes",
        "stale-answer",
        |story| {
            made(story, "0x1", "/a", 1);
            made(story, "0x1", "/b", 2);
            story.done(
                2,
                "get",
                "/a",
                (NULL, NULL),
                (json!(1), in_session("0x2", 1)),
            );
        },
    ),
    (
        "a create of what is there",
        "znodes",
        "write-does-not-fit",
        |story| {
            made(story, "0x1", "/a", 1);
            made(story, "0x2", "/a", 2);
        },
    ),
    (
        "a read of other data",
        "znodes",
        "answer-does-not-fit",
        |story| {
            made(story, "0x1", "/a", 1);
            plain(story, "0x2", 2, 1);
        },
    ),
    (
        "a znode that was there before is deleted with a child",
        "znodes",
        "write-does-not-fit",
        |story| {
            made(story, "0x1", "/p/b", 1);
            story.done(
                2,
                "delete",
                "/p",
                (NULL, NULL),
                (NULL, in_session("0x2", 2)),
            );
        },
    ),
    (
        "a znode that was there before does not list a child",
        "znodes",
        "answer-does-not-fit",
        |story| {
            made(story, "0x1", "/p/b", 1);
            children(story, json!([]), 1);
        },
    ),
    (
        "a znode that was there before lists others too",
        "znodes",
        "valid",
        |story| {
            made(story, "0x1", "/p/b", 1);
            children(story, json!(["a", "b"]), 1);
        },
    ),
    (
        "a transaction that failed in another part",
        "znodes",
        "answer-does-not-fit",
        |story| {
            made(story, "0x1", "/a", 1);
            refused_multi(story, json!(["BadVersion", "RuntimeInconsistency"]));
        },
    ),
    (
        "a transaction that failed in its last part",
        "znodes",
        "valid",
        |story| {
            made(story, "0x1", "/a", 1);
            refused_multi(story, json!([null, "BadVersion"]));
        },
    ),
];

/// `/p` is made, gets a child, and is set once; then this Stat of it is answered.
fn stat_of_p(story: &mut Story, field: &str, value: Value) {
    made(story, "0x1", "/p", 1);
    made(story, "0x1", "/p/c", 2);
    let told = (json!(2), in_session("0x1", 3));
    story.done(1, "set", "/p", (json!(2), NULL), told);
    let mut stat = in_session("0x2", 3);
    stat[field] = value;
    story.done(2, "get", "/p", (NULL, NULL), (json!(2), stat));
}

#[test]
fn each_field_of_a_stat_is_what_the_tree_says() {
    let fields = [
        ("czxid", json!(1), json!(2)),
        ("mzxid", json!(3), json!(1)),
        ("pzxid", json!(2), json!(1)),
        ("version", json!(1), json!(0)),
        ("cversion", json!(1), json!(2)),
        ("numChildren", json!(1), json!(2)),
        ("ephemeralOwner", json!(0), json!("0x1")),
    ];
    for (field, right, wrong) in fields {
        for (value, expected) in [(right, "valid"), (wrong, "answer-does-not-fit")] {
            let mut story = Story::default();
            stat_of_p(&mut story, field, value);
            let said = said(&judge("znodes", &story.history));
            assert_eq!(said, expected, "{field}");
        }
    }
}

/// A transaction of one set, which made this version.
fn set_made(story: &mut Story, version: i32) {
    made(story, "0x1", "/a", 1);
    let told = json!({ "session": "0x1", "zxid": 2, "results": [version] });
    let asked = json!([["set", "/a", 2, -1]]);
    story.done(1, "multi", "", (asked.clone(), NULL), (asked, told));
}

const PARTS: &[Rule] = &[
    (
        "a part of a transaction made another version",
        "znodes",
        "write-does-not-fit",
        |story| set_made(story, 2),
    ),
    (
        "a part of a transaction made the next version",
        "znodes",
        "valid",
        |story| set_made(story, 1),
    ),
    (
        "a child of an ephemeral znode",
        "znodes",
        "write-does-not-fit",
        |story| {
            ephemeral(story);
            made(story, "0x1", "/e/c", 2);
        },
    ),
    (
        "a child of an ephemeral znode is refused",
        "znodes",
        "valid",
        |story| {
            ephemeral(story);
            let told = json!({ "session": "0x2", "zxid": 2, "error": "NoChildrenForEphemerals" });
            story.done(2, "create", "/e/c", (json!(1), NULL), (json!(1), told));
        },
    ),
    (
        "a child of another znode is refused",
        "znodes",
        "answer-does-not-fit",
        |story| {
            made(story, "0x1", "/a", 1);
            let told = json!({ "session": "0x2", "zxid": 2, "error": "NoChildrenForEphemerals" });
            story.done(2, "create", "/a/c", (json!(1), NULL), (json!(1), told));
        },
    ),
    (
        "a version that was there is refused with another error",
        "znodes",
        "answer-does-not-fit",
        |story| {
            made(story, "0x1", "/a", 1);
            let asked = (json!(2), json!({ "expected": 7 }));
            let told = json!({ "session": "0x2", "zxid": 2, "error": "NoNode" });
            story.done(2, "set", "/a", asked, (json!(2), told));
        },
    ),
];

#[test]
fn parts_and_errors_of_writes() {
    hold(&Parameters::default(), PARTS);
}

#[test]
fn the_order_of_all_writes() {
    hold(&Parameters::default(), ORDER);
}

/// Session 0x2 watches `/a`, which is made anew while its connection is another one; then it is told of that.
fn made_anew(story: &mut Story, told: &str) {
    made(story, "0x1", "/a", 1);
    let watched = (NULL, json!({ "watch": true }));
    story.done(2, "get", "/a", watched, (json!(1), in_session("0x2", 1)));
    story.ask(2, "connect", "", NULL, json!({ "session": "0x2" }));
    let gone = (NULL, in_session("0x1", 2));
    story.done(1, "delete", "/a", (NULL, NULL), gone);
    made(story, "0x1", "/a", 3);
    story.note_of(
        "watcher",
        "event",
        "/a",
        json!({ "session": "0x2", "zxid": 3, "event": told }),
    );
    story.answer(2, "connect", "", NULL, in_session("0x2", 3));
    story.done(
        2,
        "exists",
        "/a",
        (NULL, NULL),
        (NULL, in_session("0x2", 3)),
    );
}

const RECONNECTED: &[Rule] = &[
    (
        "what was made anew is told as changed data",
        "watch",
        "valid",
        |story| made_anew(story, "NodeDataChanged"),
    ),
    (
        "a change of children is no sign of that",
        "watch",
        "missed-event unregistered-event",
        |story| made_anew(story, "NodeChildrenChanged"),
    ),
    (
        "nothing was made meanwhile, and changed data is told",
        "watch",
        "event-without-change",
        |story| {
            made(story, "0x1", "/a", 1);
            let watched = (NULL, json!({ "watch": true }));
            story.done(2, "get", "/a", watched, (json!(1), in_session("0x2", 1)));
            story.ask(2, "connect", "", NULL, json!({ "session": "0x2" }));
            let told = json!({ "session": "0x2", "zxid": 1, "event": "NodeDataChanged" });
            story.note_of("watcher", "event", "/a", told);
            story.answer(2, "connect", "", NULL, in_session("0x2", 1));
            story.done(
                2,
                "exists",
                "/a",
                (NULL, NULL),
                (NULL, in_session("0x2", 1)),
            );
        },
    ),
];

/// A watch of `/a`; zxid 5 is answered before a set of `/a` is asked for and lost. Then an event of this zxid.
fn told_of_a_lost_set(story: &mut Story, zxid: i64) {
    made(story, "0x1", "/a", 1);
    let watched = (NULL, json!({ "watch": true }));
    story.done(2, "get", "/a", watched, (json!(1), in_session("0x2", 1)));
    made(story, "0x1", "/b", 5);
    story.lost(3, "set", "/a", json!(2), json!({ "session": "0x3" }));
    let told = json!({ "session": "0x2", "zxid": zxid, "event": "NodeDataChanged" });
    story.note_of("watcher", "event", "/a", told);
    story.done(
        2,
        "get",
        "/b",
        (NULL, NULL),
        (json!(1), in_session("0x2", 9)),
    );
}

const LOST_SETS: &[Rule] = &[
    (
        "a lost set is told at a zxid that was over before it was asked for",
        "watch",
        "event-without-change",
        |story| told_of_a_lost_set(story, 3),
    ),
    (
        "a lost set is told at a zxid that came later",
        "watch",
        "valid",
        |story| {
            // Not all that is no client's is an event.
            story.note("controller", "phase", json!({ "phase": "work" }));
            told_of_a_lost_set(story, 6);
        },
    ),
    (
        "a lost set is told after its session had seen a newer tree",
        "watch",
        "data-before-event",
        |story| told_after_a_newer_tree(story, true),
    ),
    (
        "a lost set is told after another session had seen a newer tree",
        "watch",
        "valid",
        |story| told_after_a_newer_tree(story, false),
    ),
];

/// A watch of `/a`, whose set is lost; the session of the watch, or another one, sees zxid 9. Then an event of zxid 6.
fn told_after_a_newer_tree(story: &mut Story, is_own: bool) {
    made(story, "0x1", "/a", 1);
    made(story, "0x1", "/b", 5);
    let watched = (NULL, json!({ "watch": true }));
    story.done(2, "get", "/a", watched, (json!(1), in_session("0x2", 5)));
    story.lost(3, "set", "/a", json!(2), json!({ "session": "0x3" }));
    let (process, session) = if is_own { (2, "0x2") } else { (4, "0x4") };
    let seen = (json!(1), in_session(session, 9));
    story.done(process, "get", "/b", (NULL, NULL), seen);
    let told = json!({ "session": "0x2", "zxid": 6, "event": "NodeDataChanged" });
    story.note_of("watcher", "event", "/a", told);
}

#[test]
fn events_of_lost_sets() {
    hold(&Parameters::default(), LOST_SETS);
}

#[test]
fn events_around_a_connection() {
    hold(&Parameters::default(), RECONNECTED);
}

const SESSIONS: &[Rule] = &[
    (
        "a lost write takes effect after its session's end was answered, without zxids",
        "znodes",
        "nonlinearizable",
        |story| {
            lost_in(story, 1, "0x1", "create", "/a", json!(1));
            story.done(
                3,
                "close",
                "",
                (NULL, json!({ "session": "0x1" })),
                (NULL, json!({ "session": "0x1" })),
            );
            get(story, "/a", None);
            get(story, "/a", Some(1));
        },
    ),
    (
        "a lost write takes effect after its session's end showed, without zxids",
        "znodes",
        "nonlinearizable",
        |story| {
            let owned = json!({ "session": "0x1", "ephemeral": true });
            story.done(
                1,
                "create",
                "/e",
                (json!(0), owned),
                (json!(0), json!({ "session": "0x1" })),
            );
            lost_in(story, 1, "0x1", "create", "/a", json!(1));
            story.ask(3, "close", "", NULL, json!({ "session": "0x1" }));
            get(story, "/e", None);
            get(story, "/a", None);
            story.answer(3, "close", "", NULL, json!({ "session": "0x1" }));
            get(story, "/a", Some(1));
        },
    ),
    (
        "a lost write takes effect before its session's end, without zxids",
        "znodes",
        "valid",
        |story| {
            lost_in(story, 1, "0x1", "create", "/a", json!(1));
            get(story, "/a", None);
            story.done(
                3,
                "close",
                "",
                (NULL, json!({ "session": "0x1" })),
                (NULL, json!({ "session": "0x1" })),
            );
            get(story, "/a", Some(1));
        },
    ),
    (
        "a session's requests are not answered in the order in which they took effect, without zxids",
        "znodes",
        "nonlinearizable",
        |story| {
            let own = || json!({ "session": "0x1" });
            story.ask(1, "create", "/a", json!(1), own());
            story.ask(3, "get", "/a", NULL, own());
            story.answer(3, "get", "/a", json!(1), own());
            story.answer(1, "create", "/a", json!(1), own());
        },
    ),
    (
        "a session's requests that overlap and are answered in their order, without zxids",
        "znodes",
        "valid",
        |story| {
            let own = || json!({ "session": "0x1" });
            story.ask(1, "create", "/a", json!(1), own());
            story.ask(3, "get", "/a", NULL, own());
            story.answer(1, "create", "/a", json!(1), own());
            story.answer(3, "get", "/a", json!(1), own());
        },
    ),
    (
        "a plain read shows what has a greater zxid than it, and not all zxids are known",
        "znodes",
        "nonlinearizable",
        |story| {
            made(story, "0x1", "/a", 5);
            let told = (json!(1), json!({ "session": "0x1" }));
            story.done(1, "create", "/b", (json!(1), NULL), told);
            plain(story, "0x2", 1, 3);
        },
    ),
    (
        "a plain read shows what has its own zxid, and not all zxids are known",
        "znodes",
        "valid",
        |story| {
            made(story, "0x1", "/a", 5);
            let told = (json!(1), json!({ "session": "0x1" }));
            story.done(1, "create", "/b", (json!(1), NULL), told);
            plain(story, "0x2", 1, 5);
        },
    ),
    (
        "another session may see what is not answered yet, without zxids",
        "znodes",
        "valid",
        |story| {
            story.ask(1, "create", "/a", json!(1), json!({ "session": "0x1" }));
            get(story, "/a", Some(1));
            story.answer(1, "create", "/a", json!(1), json!({ "session": "0x1" }));
        },
    ),
];

#[test]
fn ends_and_order_of_sessions() {
    hold(&Parameters::default(), SESSIONS);
}

/// `/a` and `/b` are made, and then this Stat of `/a` is answered.
fn stat_of_a(story: &mut Story, stat: Value) {
    two(story);
    stat_only(story, stat);
}

/// `/a` and `/b`, made at zxids 1 and 2.
fn two(story: &mut Story) {
    for (zxid, key) in [(1, "/a"), (2, "/b")] {
        let told = (json!(1), in_session("0x1", zxid));
        story.done(1, "create", key, (json!(1), NULL), told);
    }
}

fn stat_only(story: &mut Story, stat: Value) {
    story.done(2, "get", "/a", (NULL, NULL), (json!(1), stat));
}

const STATS: &[Rule] = &[
    (
        "the zxid of a write of something else",
        "zxid-audit",
        "zxid-of-another-write",
        |story| stat_of_a(story, json!({ "zxid": 9, "session": "0x2", "mzxid": 2 })),
    ),
    (
        "a zxid that is newer than its reply's",
        "zxid-audit",
        "stat-inconsistent",
        |story| stat_of_a(story, json!({ "zxid": 9, "session": "0x2", "mzxid": 10 })),
    ),
    (
        "pzxid before czxid",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat = json!({ "zxid": 9, "session": "0x2", "czxid": 8, "pzxid": 7 });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "mzxid before czxid",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat = json!({ "zxid": 9, "session": "0x2", "czxid": 8, "mzxid": 7 });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "never set, and another mzxid than czxid",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat = json!({ "zxid": 9, "session": "0x2", "czxid": 7, "mzxid": 8, "version": 0 });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "never had a child, and another pzxid than czxid",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat =
                json!({ "zxid": 9, "session": "0x2", "czxid": 7, "pzxid": 8, "cversion": 0 });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "more children than were ever made",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat = json!({
                "zxid": 9, "session": "0x2", "pzxid": 8, "cversion": 1, "numChildren": 3
            });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "a number of children that creates and deletes cannot leave",
        "zxid-audit",
        "stat-inconsistent",
        |story| {
            let stat = json!({
                "zxid": 9, "session": "0x2", "pzxid": 8, "cversion": 4, "numChildren": 3
            });
            story.done(2, "get", "/c", (NULL, NULL), (json!(1), stat));
        },
    ),
    (
        "a set that was answered before is not in it",
        "zxid-audit",
        "missed-write",
        |story| {
            two(story);
            story.done(
                1,
                "set",
                "/a",
                (json!(2), NULL),
                (json!(2), in_session("0x1", 5)),
            );
            stat_only(story, json!({ "zxid": 9, "session": "0x2", "mzxid": 1 }));
        },
    ),
    (
        "a child that was made before is not in it",
        "zxid-audit",
        "missed-write",
        |story| {
            two(story);
            story.done(
                1,
                "create",
                "/a/b",
                (json!(2), NULL),
                (json!(2), in_session("0x1", 5)),
            );
            stat_only(story, json!({ "zxid": 9, "session": "0x2", "pzxid": 1 }));
        },
    ),
    (
        "what was made later than it is not in it",
        "zxid-audit",
        "valid",
        |story| {
            two(story);
            story.ask(1, "create", "/a/b", json!(2), NULL);
            stat_only(story, json!({ "zxid": 9, "session": "0x2", "pzxid": 1 }));
            story.answer(1, "create", "/a/b", json!(2), in_session("0x1", 10));
        },
    ),
    (
        "two writes of one zxid",
        "zxid-audit",
        "zxid-reused",
        |story| {
            made(story, "0x1", "/a", 1);
            made(story, "0x2", "/b", 1);
        },
    ),
    (
        "a later write of a smaller zxid",
        "zxid-audit",
        "zxid-against-real-time",
        |story| {
            made(story, "0x1", "/a", 2);
            made(story, "0x2", "/b", 1);
        },
    ),
    (
        "what a correct server says",
        "zxid-audit",
        "valid",
        |story| {
            stat_of_a(
                story,
                json!({
                    "zxid": 9, "session": "0x2", "czxid": 1, "mzxid": 1, "pzxid": 1, "version": 0,
                    "cversion": 0, "numChildren": 0
                }),
            );
        },
    ),
];

#[test]
fn what_one_stat_says() {
    hold(&Parameters::default(), STATS);
}

#[test]
fn a_lost_connection_ends_a_holding() {
    let acquired = |token: i64| {
        (
            NULL,
            json!({ "token": token, "zxid": token, "session": "0x1" }),
        )
    };
    let overlaps = |error: &str| {
        let mut story = Story::default();
        story.done(1, "acquire", "", (NULL, NULL), acquired(1));
        story.ask(1, "write", "r", json!(7), json!({ "token": 1 }));
        story.answer(1, "write", "r", NULL, json!({ "error": error, "zxid": 2 }));
        story.done(2, "acquire", "", (NULL, NULL), acquired(3));
        story.done(
            2,
            "write",
            "r",
            (json!(8), json!({ "token": 3 })),
            (NULL, json!({ "zxid": 4 })),
        );
        judge("lock", &story.history).details["overlaps"]["count"].clone()
    };
    assert_eq!(overlaps("connection-lost"), 0);
    assert_eq!(overlaps("session-expired"), 0);
    assert_eq!(overlaps("NoNode"), 1);
}
