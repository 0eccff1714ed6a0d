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
fn what_a_lost_write_would_have_written_is_filled_in_by_nothing() {
    let mut story = Story::default();
    story.ask(1, "write", "a", NULL, NULL);
    story.line(Process::Client(1), Kind::Info, "write", "a", json!(2), NULL);
    story.done(2, "read", "a", (NULL, NULL), (json!(2), NULL));
    assert_eq!(said(&judge("register", &story.history)), "nonlinearizable");
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
fn an_answer_that_says_another_write_than_was_asked_is_refused() {
    for (checker, f) in OTHERS {
        let mut story = Story::default();
        story.done(1, f, "a", (json!(1), NULL), (json!(2), NULL));
        let finding = judge(checker, &story.history);
        let said = said(&finding);
        assert!(
            said.starts_with("unknown") && said.contains("with the value 2"),
            "{checker}, {f}: {said}"
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
