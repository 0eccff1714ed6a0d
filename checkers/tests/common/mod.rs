//! What the tests share: writing small histories down, and judging them by trying every order.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test binary uses its part; a test that cannot go on fails.

pub mod blinding;
pub mod oracle;
pub mod random;
pub mod recorded;

use keelhaul_checkers::{
    Budget, Event, Finding, History, Kind, Nanos, Parameters, Process, Verdict, by_name,
};
use serde_json::{Map, Value};

/// A budget that small histories never reach.
pub const PLENTY: Budget = Budget {
    states: 10_000_000,
    bytes: 1 << 30,
    deadline: None,
};

/// Writes a history line by line; a millisecond passes with each.
#[derive(Default)]
pub struct Script {
    pub history: History,
}

impl Script {
    pub fn line(
        &mut self,
        process: Process,
        kind: Kind,
        f: &str,
        key: Option<&str>,
        value: Value,
        extra: Value,
    ) {
        let index = self.history.len() as u64;
        let extra: Map<String, Value> = match extra {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => panic!("extra fields are an object, not {other}"),
        };
        self.history.push(&Event {
            index,
            time: Nanos(index * 1_000_000),
            process,
            kind,
            f: f.into(),
            key: key.map(Into::into),
            value,
            extra: extra.into(),
        });
    }

    pub fn client(
        &mut self,
        process: u64,
        kind: Kind,
        f: &str,
        key: Option<&str>,
        value: Value,
        extra: Value,
    ) {
        self.line(Process::Client(process), kind, f, key, value, extra);
    }
}

/// Changes events of a history.
pub fn edit<R>(history: &mut History, change: impl FnOnce(&mut Vec<Event>) -> R) -> R {
    let mut events = history.to_events();
    let result = change(&mut events);
    *history = History::from_events(&events);
    result
}

/// What the checker of this name says, with the usual parameters.
pub fn judge(name: &str, history: &History) -> Finding {
    judge_with(name, &Parameters::default(), history)
}

pub fn judge_with(name: &str, parameters: &Parameters, history: &History) -> Finding {
    by_name(name, parameters)
        .unwrap_or_else(|| panic!("no checker {name}"))
        .check(history, &PLENTY)
}

/// `Some(true)`, `Some(false)`, or `None` for unknown.
pub fn validity(finding: &Finding) -> Option<bool> {
    match &finding.verdict {
        Verdict::Valid => Some(true),
        Verdict::Invalid(anomalies) => {
            assert!(!anomalies.is_empty(), "invalid without an anomaly");
            Some(false)
        }
        Verdict::Unknown(reasons) => {
            assert!(!reasons.is_empty(), "unknown without a reason");
            None
        }
    }
}

/// Whether the finding is unknown because the history tested nothing.
pub fn says_nothing_was_tested(finding: &Finding) -> bool {
    match &finding.verdict {
        Verdict::Unknown(reasons) => reasons
            .iter()
            .all(|reason| reason.text.ends_with("nothing was tested")),
        _ => false,
    }
}

/// The history as it would stand in a file.
pub fn text(history: &History) -> String {
    let mut out = Vec::new();
    history.write_jsonl(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
