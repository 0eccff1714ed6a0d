//! What shows that a queue was empty, and what does not.

use crate::common::{judge, validity};
use keelhaul_checkers::History;

/// One acknowledged value that never came out, and how the dequeue after it ended.
fn after_a_dequeue_that(ended: &str) -> Option<bool> {
    let lines = format!(
        r#"{{"process":0,"type":"invoke","f":"enqueue","value":1}}
{{"process":0,"type":"ok","f":"enqueue","value":1}}
{{"process":0,"type":"invoke","f":"dequeue","value":null}}
{{"process":0,{ended},"f":"dequeue","value":null}}
"#
    );
    let (history, _) = History::read(lines.as_bytes()).unwrap();
    validity(&judge("total-queue", &history))
}

#[test]
fn only_what_found_nothing_shows_that_the_queue_was_empty() {
    assert_eq!(after_a_dequeue_that(r#""type":"ok""#), Some(false));
    for error in ["empty", "exhausted"] {
        let ended = format!(r#""type":"ok","error":"{error}""#);
        assert_eq!(after_a_dequeue_that(&ended), Some(false), "{error}");
    }
    // Jepsen's queues say it of one that failed.
    let exhausted = r#""type":"fail","error":"exhausted""#;
    assert_eq!(after_a_dequeue_that(exhausted), Some(false));
    assert_eq!(after_a_dequeue_that(r#""type":"fail""#), None);
    let refused = r#""type":"fail","error":"connection-refused""#;
    assert_eq!(after_a_dequeue_that(refused), None);
}

fn verdict(lines: &[&str]) -> Option<bool> {
    let lines: String = lines.iter().map(|line| format!("{{{line}}}\n")).collect();
    let (history, _) = History::read(lines.as_bytes()).unwrap();
    validity(&judge("total-queue", &history))
}

const ENQUEUED: [&str; 2] = [
    r#""process":0,"type":"invoke","f":"enqueue","value":1"#,
    r#""process":0,"type":"ok","f":"enqueue","value":1"#,
];
const EMPTY: [&str; 2] = [
    r#""process":0,"type":"invoke","f":"dequeue","value":null"#,
    r#""process":0,"type":"ok","f":"dequeue","value":null,"error":"exhausted""#,
];

#[test]
fn what_was_asked_for_after_the_queue_was_empty_took_nothing_before() {
    for f in ["dequeue", "drain"] {
        let invoked = format!(r#""process":1,"type":"invoke","f":"{f}","value":null"#);
        let lost = format!(r#""process":1,"type":"info","f":"{f}","value":null"#);
        let taken = [&*invoked, &*lost];
        let later = [ENQUEUED, EMPTY, taken].concat();
        assert_eq!(verdict(&later), Some(false), "{f}");
        let earlier = [ENQUEUED, taken, EMPTY].concat();
        assert_eq!(verdict(&earlier), None, "{f}");
        let meanwhile = [
            ENQUEUED[0],
            ENQUEUED[1],
            EMPTY[0],
            taken[0],
            EMPTY[1],
            taken[1],
        ];
        assert_eq!(verdict(&meanwhile), None, "{f}");
        // Found empty once more, it was empty before all the same.
        let again = [ENQUEUED, EMPTY, taken, EMPTY].concat();
        assert_eq!(verdict(&again), Some(false), "{f}");
    }
}

/// Of two equal values, of which one came out, the one that was under way may have been put in last.
#[test]
fn which_of_equal_values_is_missing_is_not_known() {
    let lines = [
        r#""process":0,"type":"invoke","f":"enqueue","value":1"#,
        r#""process":1,"type":"invoke","f":"enqueue","value":1"#,
        r#""process":1,"type":"ok","f":"enqueue","value":1"#,
        r#""process":2,"type":"invoke","f":"dequeue","value":null"#,
        r#""process":2,"type":"ok","f":"dequeue","value":1"#,
        r#""process":2,"type":"invoke","f":"dequeue","value":null"#,
        r#""process":2,"type":"ok","f":"dequeue","value":null"#,
        r#""process":0,"type":"ok","f":"enqueue","value":1"#,
    ];
    assert_eq!(verdict(&lines), None);
}
