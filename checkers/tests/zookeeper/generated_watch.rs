//! `watch` on generated histories: sound ones are valid, whatever is lost or fails.

use crate::common::judge;
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{History, Verdict};

#[test]
fn five_hundred_sound_histories_with_failures_and_lost_answers_are_valid() {
    let shares = [
        (0.0, 0.03),
        (0.01, 0.03),
        (0.05, 0.03),
        (0.02, 0.1),
        (0.05, 0.0),
    ];
    for (info, fail) in shares {
        for seed in 100..200 {
            let options = Options {
                model: "watch".to_owned(),
                operations: 400,
                info,
                fail,
                seed,
                ..Options::default()
            };
            let mut lines = Vec::new();
            generate(&options, &mut lines).unwrap();
            let history = History::read(&lines[..]).unwrap().0;
            let verdict = judge("watch", &history).verdict;
            assert_eq!(verdict, Verdict::Valid, "seed {seed}, {info}, {fail}");
        }
    }
}

/// A watch that lasts, a change of connection, and an event that came before the first answer after it.
fn told_before_the_answer(between: &str) -> History {
    let lines = format!(
        r#"{{"index":0,"time":1,"process":1,"type":"invoke","f":"create","key":"/a","value":1,"session":"s1"}}
{{"index":1,"time":2,"process":1,"type":"ok","f":"create","key":"/a","value":1,"zxid":1,"path":"/a","session":"s1"}}
{{"index":2,"time":3,"process":2,"type":"invoke","f":"add-watch","key":"/a","value":"persistent","session":"s2"}}
{{"index":3,"time":4,"process":2,"type":"ok","f":"add-watch","key":"/a","value":"persistent","zxid":1,"session":"s2"}}
{between}
{{"index":6,"time":7,"process":2,"type":"invoke","f":"create","key":"/b","value":2,"session":"s2"}}
{{"index":7,"time":8,"process":1,"type":"invoke","f":"set","key":"/a","value":3,"session":"s1"}}
{{"index":8,"time":9,"process":"watcher","type":"info","f":"event","key":"/a","value":null,"event":"NodeDataChanged","zxid":3,"session":"s2"}}
{{"index":9,"time":10,"process":1,"type":"ok","f":"set","key":"/a","value":3,"zxid":3,"version":1,"session":"s1"}}
{{"index":10,"time":11,"process":2,"type":"ok","f":"create","key":"/b","value":2,"zxid":2,"path":"/b","session":"s2"}}
{{"index":11,"time":12,"process":2,"type":"invoke","f":"get","key":"/a","value":null,"mode":"local","session":"s2"}}
{{"index":12,"time":13,"process":2,"type":"ok","f":"get","key":"/a","value":3,"zxid":3,"version":1,"mzxid":3,"session":"s2"}}
"#
    );
    History::read(lines.as_bytes()).unwrap().0
}

#[test]
fn an_event_that_came_before_the_first_answer_after_a_change_of_connection_came() {
    let failed = r#"{"index":4,"time":5,"process":2,"type":"invoke","f":"set","key":"/b","value":9,"session":"s2"}
{"index":5,"time":6,"process":2,"type":"fail","f":"set","key":"/b","value":9,"session":"s2"}"#;
    let connected = r#"{"index":4,"time":5,"process":2,"type":"invoke","f":"connect","value":null,"session":"s2"}
{"index":5,"time":6,"process":2,"type":"ok","f":"connect","value":null,"session":"s2"}"#;
    let lost = failed.replace("fail", "info");
    for between in [failed, connected, &lost] {
        let history = told_before_the_answer(between);
        let verdict = judge("watch", &history).verdict;
        assert_eq!(verdict, Verdict::Valid, "{between}");
        let events = history.to_events().into_iter();
        let silent: Vec<_> = events.filter(|event| &*event.f != "event").collect();
        let verdict = judge("watch", &History::from_events(&silent)).verdict;
        assert!(matches!(verdict, Verdict::Invalid(_)), "{between}");
    }
}
