//! What a checker cannot read: it says so, and of what, instead of judging the rest.

use crate::common::judge_with;
use crate::{Rule, Story, hold, said};
use keelhaul_checkers::{History, Kind, Parameters, Process, list};
use serde_json::{Value, json};

const NULL: Value = Value::Null;

/// Those that begin with something of a kind; the others take any value, or none.
const BEGIN: [&str; 14] = [
    "multi-register",
    "mutex",
    "fenced-mutex",
    "reentrant-mutex",
    "semaphore",
    "fifo-queue",
    "unordered-queue",
    "stack",
    "priority-queue",
    "counter",
    "set",
    "set-once",
    "list-append",
    "bank",
];

#[test]
fn a_beginning_that_cannot_be_is_refused() {
    let parameters = Parameters {
        initial: Some(json!(-0.5)),
        ..Parameters::default()
    };
    let known = list();
    for name in BEGIN {
        let info = known.iter().find(|info| info.name == name).unwrap();
        let mut invoke: Value = serde_json::from_str(info.example).unwrap();
        let answer = invoke.to_string();
        invoke["type"] = json!("invoke");
        let lines = format!("{invoke}\n{answer}\n");
        let (history, _) = History::read(lines.as_bytes()).unwrap();
        let said = said(&judge_with(name, &parameters, &history));
        assert!(
            said.starts_with("unknown: ") && said.contains("-0.5"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_model_that_does_not_have_a_function_calls_itself_by_its_own_name() {
    let told = list().into_iter().filter(|info| info.model);
    let mut named = 0;
    for info in told {
        let mut story = Story::default();
        story.done(1, "zap", "/a", (json!(1), NULL), (json!(1), NULL));
        let said = said(&judge_with(
            info.name,
            &Parameters::default(),
            &story.history,
        ));
        if said.contains("which the model ") {
            let own = |name: &&str| said.contains(&format!("which the model {name} does not have"));
            assert!([info.name].iter().chain(info.aliases).any(own), "{said}");
            named += 1;
        }
    }
    assert!(named >= 12, "{named}");
    let mut story = Story::default();
    story.done(1, "zap", "", (json!(1), NULL), (json!(1), NULL));
    let said = said(&judge_with(
        "register",
        &Parameters::default(),
        &story.history,
    ));
    assert!(said.contains("it knows write and read"), "{said}");
}

const MODELS: &[Rule] = &[
    (
        "a read that was refused",
        "cas-register",
        "unknown: Boom",
        |story| {
            story.done(1, "write", "", (json!(1), NULL), (json!(1), NULL));
            story.done(
                1,
                "read",
                "",
                (NULL, NULL),
                (json!(1), json!({ "error": "Boom" })),
            );
        },
    ),
    (
        "a put that was refused",
        "fifo-queue",
        "unknown: Boom",
        |story| {
            story.done(
                1,
                "enqueue",
                "",
                (json!(1), NULL),
                (json!(1), json!({ "error": "Boom" })),
            );
            story.done(1, "dequeue", "", (NULL, NULL), (json!(1), NULL));
        },
    ),
    (
        "what no queue has",
        "fifo-queue",
        "unknown: dance",
        |story| {
            story.done(1, "enqueue", "", (json!(1), NULL), (json!(1), NULL));
            story.done(1, "dance", "", (NULL, NULL), (json!(1), NULL));
        },
    ),
    (
        "another path than the one that was asked for",
        "znodes",
        "unknown: /b",
        |story| {
            story.done(
                1,
                "create",
                "/a",
                (json!(1), NULL),
                (json!(1), json!({ "path": "/b" })),
            );
        },
    ),
    ("a refused add", "set", "unknown: Boom", |story| {
        story.done(
            1,
            "add",
            "",
            (json!(1), NULL),
            (json!(1), json!({ "error": "Boom" })),
        );
        story.done(1, "read", "", (NULL, NULL), (json!([1]), NULL));
    }),
    ("a refused read", "set", "unknown: Boom", |story| {
        story.done(1, "add", "", (json!(1), NULL), (json!(1), NULL));
        story.done(
            1,
            "read",
            "",
            (NULL, NULL),
            (NULL, json!({ "error": "Boom" })),
        );
    }),
    (
        "no transactions",
        "list-append",
        "unknown: no transactions",
        |story| {
            story.note("nemesis", "kill", json!({}));
        },
    ),
    (
        "nothing put and nothing out",
        "total-queue",
        "unknown: nothing was tested",
        |story| {
            story.failed(1, "enqueue", "", json!(1));
        },
    ),
    (
        "what only a register with cas has",
        "register",
        "unknown: cas",
        |story| {
            story.done(1, "write", "", (json!(1), NULL), (json!(1), NULL));
            story.done(1, "cas", "", (json!([1, 2]), NULL), (json!([1, 2]), NULL));
        },
    ),
    (
        "one value written twice",
        "read-atomic",
        "unknown: written twice",
        |story| {
            let wrote = json!([["w", "x", 1]]);
            story.done(1, "txn", "", (wrote.clone(), NULL), (wrote.clone(), NULL));
            story.done(2, "txn", "", (wrote.clone(), NULL), (wrote, NULL));
        },
    ),
    (
        "one value written again by one who failed",
        "read-atomic",
        "valid",
        |story| {
            let wrote = json!([["w", "x", 1]]);
            story.done(1, "txn", "", (wrote.clone(), NULL), (wrote.clone(), NULL));
            story.failed(2, "txn", "", wrote);
            story.done(
                1,
                "txn",
                "",
                (json!([["r", "x", null]]), NULL),
                (json!([["r", "x", 1]]), NULL),
            );
        },
    ),
    (
        "a drain that was refused",
        "total-queue",
        "unknown: Boom",
        |story| {
            story.done(1, "enqueue", "", (json!(1), NULL), (json!(1), NULL));
            let error = json!({ "error": "Boom" });
            story.done(1, "drain", "", (NULL, NULL), (json!([1]), error));
        },
    ),
    (
        "a sequential znode that was made elsewhere",
        "znodes",
        "unknown: /q/m-0000000001",
        |story| {
            let asked = (json!(1), json!({ "sequential": true }));
            let told = (json!(1), json!({ "path": "/q/m-0000000001" }));
            story.done(1, "create", "/q/n-", asked, told);
        },
    ),
    (
        "a cas of three values",
        "znodes",
        "unknown: expected [old, new]",
        |story| {
            story.done(1, "create", "/a", (json!(1), NULL), (json!(1), NULL));
            story.done(
                1,
                "cas",
                "/a",
                (json!([1, 2, 3]), NULL),
                (json!([1, 2, 3]), NULL),
            );
        },
    ),
    (
        "a cas of one value to another one",
        "znodes",
        "valid",
        |story| {
            story.done(1, "create", "/a", (json!(1), NULL), (json!(1), NULL));
            story.done(1, "cas", "/a", (json!([1, 2]), NULL), (json!([1, 2]), NULL));
            story.done(2, "get", "/a", (NULL, NULL), (json!(2), NULL));
        },
    ),
    (
        "no read of a bank",
        "bank",
        "unknown: nothing was tested",
        |story| {
            story.lost(1, "read", "", NULL, NULL);
        },
    ),
    (
        "an account that is missing says nothing of the total",
        "bank",
        "missing-account",
        |story| {
            story.done(1, "read", "", (NULL, NULL), (json!({ "a": 50 }), NULL));
        },
    ),
    (
        "a debt does not hide that money is gone",
        "bank",
        "negative-balance wrong-total",
        |story| {
            story.done(
                1,
                "read",
                "",
                (NULL, NULL),
                (json!({ "a": 101, "b": -2 }), NULL),
            );
        },
    ),
    (
        "a line of the nemesis that cannot be read",
        "coverage",
        "unknown: cannot be read",
        |story| {
            story.note(
                "nemesis",
                "kill",
                json!({ "episode": "none", "phase": "install" }),
            );
            story.done(1, "write", "", (json!(1), NULL), (json!(1), NULL));
        },
    ),
    (
        "a line of the controller that cannot be read",
        "recovery",
        "unknown: cannot be read",
        |story| {
            story.note("controller", "role", json!({ "node": 7 }));
            story.done(1, "write", "", (json!(1), NULL), (json!(1), NULL));
        },
    ),
];

#[test]
fn what_cannot_be_read_is_named() {
    let bank = Parameters {
        initial: Some(json!({ "a": 50, "b": 50 })),
        ..Parameters::default()
    };
    let (with, without): (Vec<Rule>, Vec<Rule>) = MODELS.iter().partition(|rule| rule.1 == "bank");
    hold(&bank, &with);
    hold(&Parameters::default(), &without);
}

/// Checker and function, and argument and result of an answer that no model knows the error of.
type Answer = (&'static str, &'static str, fn() -> (Value, Value));

const ANSWERS: &[Answer] = &[
    ("set", "add", || (json!(1), json!(1))),
    ("set", "remove", || (json!(1), json!(1))),
    ("set", "contains", || (json!(1), json!(true))),
    ("set", "read", || (NULL, json!([]))),
    ("set-full", "add", || (json!(1), json!(1))),
    ("set-full", "read", || (NULL, json!([]))),
    ("fifo-queue", "enqueue", || (json!(1), json!(1))),
    ("total-queue", "enqueue", || (json!(1), json!(1))),
    ("fifo-queue", "dequeue", || (NULL, json!(1))),
    ("unordered-queue", "dequeue", || (NULL, json!(1))),
    ("stack", "push", || (json!(1), json!(1))),
    ("stack", "pop", || (NULL, json!(1))),
    ("priority-queue", "poll", || (NULL, json!(1))),
    ("register", "read", || (NULL, json!(1))),
    ("register", "write", || (json!(1), json!(1))),
    ("cas-register", "read", || (NULL, json!(1))),
    ("cas-register", "write", || (json!(1), json!(1))),
    ("counter", "add", || (json!(1), json!(1))),
    ("counter", "read", || (NULL, json!(1))),
    ("kv", "put", || (json!("a"), json!("a"))),
];

#[test]
fn an_error_that_no_model_knows_is_no_answer() {
    for (checker, f, values) in ANSWERS {
        let (asked, told) = values();
        let mut story = Story::default();
        let answer = (told, json!({ "error": "Boom" }));
        story.done(1, f, "", (asked, NULL), answer);
        // In a set something that only the general model judges.
        if *checker == "set" {
            story.done(1, "contains", "", (json!(7), NULL), (json!(false), NULL));
        }
        let said = said(&judge_with(checker, &Parameters::default(), &story.history));
        let named = said.starts_with("unknown: ") && said.contains("Boom");
        assert!(named, "{checker}, {f}: {said}");
    }
}

const ABSENT: &[Rule] = &[
    (
        "removed, and it is not there",
        "set",
        "nonlinearizable",
        |story| {
            story.done(1, "add", "", (json!(1), NULL), (json!(1), NULL));
            story.done(
                1,
                "remove",
                "",
                (json!(1), NULL),
                (NULL, json!({ "error": "NoNode" })),
            );
        },
    ),
    (
        "read, and there is no set",
        "set",
        "nonlinearizable",
        |story| {
            story.done(1, "add", "", (json!(1), NULL), (json!(1), NULL));
            story.done(1, "contains", "", (json!(7), NULL), (json!(false), NULL));
            story.done(
                1,
                "read",
                "",
                (NULL, NULL),
                (NULL, json!({ "error": "NoNode" })),
            );
        },
    ),
    ("read, and there is no set yet", "set", "valid", |story| {
        story.done(
            1,
            "read",
            "",
            (NULL, NULL),
            (NULL, json!({ "error": "NoNode" })),
        );
        story.done(1, "contains", "", (json!(7), NULL), (json!(false), NULL));
        story.done(1, "add", "", (json!(1), NULL), (json!(1), NULL));
    }),
    (
        "a queue that holds nothing is put",
        "fifo-queue",
        "unknown: puts null",
        |story| {
            story.done(1, "enqueue", "", (NULL, NULL), (NULL, NULL));
        },
    ),
];

#[test]
fn what_is_absent() {
    hold(&Parameters::default(), ABSENT);
}

#[test]
fn znodes_that_the_server_takes_away_by_itself_are_refused_by_line() {
    let create = |flags: Value| {
        let mut story = Story::default();
        story.done(
            1,
            "exists",
            "/b",
            (NULL, NULL),
            (NULL, json!({ "zxid": 9 })),
        );
        let told = json!({ "session": "0x1", "zxid": 10, "czxid": 10, "mzxid": 10 });
        story.done(1, "create", "/c", (json!(1), flags), (json!(1), told));
        story
    };
    let multi = |flags: Value| {
        let mut story = Story::default();
        let asked = json!([["create", "/c", 1, flags]]);
        let told = json!({ "session": "0x1", "zxid": 10 });
        story.done(1, "multi", "", (asked.clone(), NULL), (asked, told));
        story
    };
    let kinds: [(Value, bool); 5] = [
        (json!({ "container": true }), true),
        (json!({ "ttl": 5000 }), true),
        (json!({ "container": false, "ttl": null }), false),
        (json!({ "container": false, "ttl": -1 }), false),
        (json!({ "sequential": false }), false),
    ];
    for (flags, is_refused) in kinds {
        for story in [create(flags.clone()), multi(flags.clone())] {
            for checker in [
                "znodes",
                "zxid-audit",
                "session-order",
                "sequence",
                "ephemeral",
                "watch",
            ] {
                let parameters = Parameters::default();
                let said = said(&judge_with(checker, &parameters, &story.history));
                let is_named = said.contains("takes away by itself");
                assert_eq!(is_named, is_refused, "{checker}, {flags}: {said}");
            }
        }
    }
    // Where none was made, none is taken away.
    let mut story = Story::default();
    let flags = json!({ "container": true, "session": "0x1" });
    story.ask(1, "create", "/c", json!(1), flags);
    let why = json!({ "error": "unimplemented" });
    story.line(
        Process::Client(1),
        Kind::Fail,
        "create",
        "/c",
        json!(1),
        why,
    );
    let told = json!({ "session": "0x1", "zxid": 10, "czxid": 10, "mzxid": 10 });
    story.done(1, "create", "/d", (json!(1), NULL), (json!(1), told));
    assert_eq!(
        said(&judge_with(
            "znodes",
            &Parameters::default(),
            &story.history
        )),
        "valid"
    );
}
