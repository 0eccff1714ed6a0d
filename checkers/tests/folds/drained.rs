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
fn only_an_answer_shows_that_the_queue_was_empty() {
    assert_eq!(after_a_dequeue_that(r#""type":"ok""#), Some(false));
    for error in ["empty", "exhausted"] {
        let ended = format!(r#""type":"ok","error":"{error}""#);
        assert_eq!(after_a_dequeue_that(&ended), Some(false), "{error}");
    }
    assert_eq!(after_a_dequeue_that(r#""type":"fail""#), None);
    let refused = r#""type":"fail","error":"connection-refused""#;
    assert_eq!(after_a_dequeue_that(refused), None);
}
