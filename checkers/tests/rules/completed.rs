//! What only the answer says of a write, and what it says otherwise than the question.

use crate::common::judge;
use crate::{Story, said};
use keelhaul_checkers::{Kind, Process};
use serde_json::{Value, json};

const NULL: Value = Value::Null;

/// Checker, the function that writes, and one that shows the value that was written: what is asked, and what is answered to 2.
type Written = (
    &'static str,
    &'static str,
    &'static str,
    fn() -> (Value, Value),
);

const WRITTEN: &[Written] = &[
    ("register", "write", "read", || (NULL, json!(2))),
    ("cas-register", "write", "read", || (NULL, json!(2))),
    ("kv", "put", "get", || (NULL, json!(2))),
    ("set", "add", "read", || (NULL, json!([2]))),
    ("set", "add", "contains", || (json!(2), json!(true))),
    ("set-once", "add", "read", || (NULL, json!([2]))),
    ("set-full", "add", "read", || (NULL, json!([2]))),
    ("fifo-queue", "enqueue", "dequeue", || (NULL, json!(2))),
    ("unordered-queue", "enqueue", "dequeue", || (NULL, json!(2))),
    ("priority-queue", "add", "poll", || (NULL, json!(2))),
    ("stack", "push", "pop", || (NULL, json!(2))),
    ("total-queue", "enqueue", "drain", || (NULL, json!([2]))),
    ("counter", "add", "read", || (NULL, json!(2))),
];

#[test]
fn a_write_whose_value_only_its_answer_tells_wrote_that() {
    for (checker, f, shows, values) in WRITTEN {
        let (asked, told) = values();
        let mut story = Story::default();
        story.done(1, f, "a", (NULL, NULL), (json!(2), NULL));
        story.done(2, shows, "a", (asked, NULL), (told, NULL));
        assert_eq!(said(&judge(checker, &story.history)), "valid", "{checker}");
    }
}

#[test]
fn a_write_of_null_that_was_answered_by_null_wrote_null() {
    let mut story = Story::default();
    story.done(1, "write", "a", (NULL, NULL), (NULL, NULL));
    story.done(2, "read", "a", (NULL, NULL), (json!(2), NULL));
    assert_eq!(said(&judge("register", &story.history)), "nonlinearizable");
}

#[test]
fn a_lost_write_whose_value_only_its_completion_tells_may_have_written_that() {
    for (kind, expected) in [(Kind::Info, "valid"), (Kind::Fail, "nonlinearizable")] {
        let mut story = Story::default();
        story.ask(1, "write", "a", NULL, NULL);
        story.line(Process::Client(1), kind, "write", "a", json!(2), NULL);
        story.done(2, "read", "a", (NULL, NULL), (json!(2), NULL));
        assert_eq!(said(&judge("register", &story.history)), expected);
    }
}

#[test]
fn a_lost_write_without_a_value_may_have_written_anything_where_answers_tell_values() {
    let lost = |f: &str, others: Value| {
        let mut story = Story::default();
        story.lost(1, f, "a", NULL, NULL);
        story.done(3, f, "a", (others, NULL), (json!(1), NULL));
        story
    };
    for (checker, f, shows, values) in WRITTEN {
        let (asked, told) = values();
        let mut story = lost(f, NULL);
        story.done(2, shows, "a", (asked, NULL), (told, NULL));
        let said = said(&judge(checker, &story.history));
        assert!(
            said.starts_with("unknown") && said.contains("anything"),
            "{checker}: {said}"
        );
    }
    // Where invocations tell, null is a value as any other.
    for (value, expected) in [(json!(2), "nonlinearizable"), (NULL, "valid")] {
        let mut story = lost("write", json!(1));
        story.done(2, "read", "a", (NULL, NULL), (value, NULL));
        assert_eq!(said(&judge("register", &story.history)), expected);
    }
}

#[test]
fn a_permit_is_one_whatever_its_answer_is() {
    for told in [json!({ "client": "n1", "uid": 3 }), json!(7), NULL] {
        for (times, expected) in [(2, "valid"), (3, "nonlinearizable")] {
            let mut story = Story::default();
            for process in 0..times {
                let answer = (told.clone(), NULL);
                story.done(process, "acquire", "a", (NULL, NULL), answer);
            }
            assert_eq!(
                said(&judge("semaphore", &story.history)),
                expected,
                "{told}"
            );
        }
    }
}

#[test]
fn an_error_that_no_set_knows_is_told_with_the_set_that_was_asked() {
    let error = json!({ "error": "Surprise" });
    for checker in ["set", "set-once", "set-full"] {
        for f in ["add", "remove"] {
            if (checker, f) == ("set-full", "remove") {
                continue;
            }
            let mut story = Story::default();
            story.done(1, f, "a", (json!(1), NULL), (json!(1), error.clone()));
            let said = said(&judge(checker, &story.history));
            assert!(
                said.contains(&format!("the model {checker} cannot")),
                "{checker}, {f}: {said}"
            );
        }
    }
}

/// Checker and function of an answer that says another write than was asked for.
const OTHERS: &[(&str, &str)] = &[
    ("register", "write"),
    ("kv", "put"),
    ("set", "add"),
    ("set", "remove"),
    ("set-once", "add"),
    ("set-full", "add"),
    ("semaphore", "acquire"),
    ("semaphore", "release"),
    ("counter", "add"),
    ("counter", "increment"),
    ("fifo-queue", "enqueue"),
    ("priority-queue", "add"),
    ("stack", "push"),
    ("total-queue", "enqueue"),
    ("register-linearizable", "create"),
];

#[test]
fn a_completion_that_says_another_write_than_was_asked_is_refused() {
    let kinds = [Kind::Ok, Kind::Info];
    let cases = OTHERS
        .iter()
        .flat_map(|case| kinds.map(|kind| (case, kind)));
    for ((checker, f), kind) in cases {
        let mut story = Story::default();
        story.ask(1, f, "a", json!(1), NULL);
        let error = match kind {
            Kind::Info => json!({ "error": "timeout" }),
            _ => NULL,
        };
        story.line(Process::Client(1), kind, f, "a", json!(2), error);
        let finding = judge(checker, &story.history);
        let said = said(&finding);
        assert!(
            said.starts_with("unknown") && said.contains("with the value 2"),
            "{checker}, {f}, {kind:?}: {said}"
        );
        assert_eq!(
            finding.details["misfit"]["index"],
            json!(1),
            "{checker}, {f}"
        );
    }
    let mut story = Story::default();
    let (asked, told) = (json!([1, 2]), json!([1, 3]));
    story.done(1, "cas", "a", (asked, NULL), (told, NULL));
    let said = said(&judge("cas-register", &story.history));
    assert!(said.contains("with the value [1,3]"), "{said}");
}

#[test]
fn a_text_with_which_a_lost_write_ends_may_be_why_it_was_lost() {
    let lost = |asked: Value| {
        let mut story = Story::default();
        story.done(3, "write", "a", (NULL, NULL), (json!(4), NULL));
        story.ask(1, "write", "a", asked, NULL);
        let why = json!("timed-out");
        story.line(Process::Client(1), Kind::Info, "write", "a", why, NULL);
        story
    };
    for (shown, expected) in [(4, "valid"), (3, "valid"), (5, "nonlinearizable")] {
        let mut story = lost(json!(3));
        story.done(2, "read", "a", (NULL, NULL), (json!(shown), NULL));
        assert_eq!(
            said(&judge("register", &story.history)),
            expected,
            "{shown}"
        );
    }
    let mut story = lost(NULL);
    story.done(2, "read", "a", (NULL, NULL), (json!(3), NULL));
    let said = said(&judge("register", &story.history));
    assert!(
        said.contains("anything"),
        "nobody knows what it wrote: {said}"
    );
}

#[test]
fn a_lost_transaction_may_say_how_far_it_came() {
    let mut story = Story::default();
    story.ask(1, "txn", "", json!([["w", "x", 1], ["w", "y", 2]]), NULL);
    let told = json!([["w", "x", 1]]);
    story.line(Process::Client(1), Kind::Info, "txn", "", told, NULL);
    let read = |value: Value| json!([["r", "y", value]]);
    story.done(2, "txn", "", (read(NULL), NULL), (read(json!(2)), NULL));
    assert_eq!(said(&judge("rw-register", &story.history)), "valid");
}

#[test]
fn a_lost_transaction_that_says_another_write_than_was_asked_is_refused() {
    for (checker, f) in [
        ("rw-register", "w"),
        ("list-append", "append"),
        ("causal", "w"),
    ] {
        let mut story = Story::default();
        story.ask(1, "txn", "", json!([[f, "x", 1]]), NULL);
        let told = json!([[f, "x", 2]]);
        story.line(Process::Client(1), Kind::Info, "txn", "", told, NULL);
        let said = said(&judge(checker, &story.history));
        let is_told = said.starts_with("unknown") && said.contains("what it was asked to write");
        assert!(is_told, "{checker}: {said}");
    }
}

#[test]
fn a_refused_write_may_say_anything() {
    let mut story = Story::default();
    story.ask(1, "write", "a", json!(1), NULL);
    story.line(Process::Client(1), Kind::Fail, "write", "a", json!(2), NULL);
    story.done(2, "read", "a", (NULL, NULL), (NULL, NULL));
    assert_eq!(said(&judge("register", &story.history)), "valid");
}
