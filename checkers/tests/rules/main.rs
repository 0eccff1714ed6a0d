//! Single rules: a small history for each, and what is said of it.
//!
//! Most stand here because a checker without the rule passed all other tests, or all but the long ones. Where a rule has an
//! exception, the history that it excuses stands beside the one that it does not.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

#[path = "../common/mod.rs"]
mod common;
mod completed;
mod endings;
mod refused;
mod told;
mod transactions;
mod znodes;

use common::judge_with;
use keelhaul_checkers::{Event, Finding, History, Kind, Nanos, Parameters, Process, Verdict};
use serde_json::Value;

/// What is shown, the checker, what it says (`valid`, `unknown: part of a reason`, `outside: ` and anomalies that are no breach of
/// the contract, or anomalies), and the history.
type Rule = (&'static str, &'static str, &'static str, Tell);

/// Tells a history.
type Tell = fn(&mut Story);

/// Writes a history down; a millisecond passes with each line.
#[derive(Default)]
struct Story {
    history: History,
    now: u64,
}

impl Story {
    fn line(
        &mut self,
        process: Process,
        kind: Kind,
        f: &str,
        key: &str,
        value: Value,
        extra: Value,
    ) {
        self.now += 1;
        self.history.push(&Event {
            index: self.history.len() as u64,
            time: Nanos(self.now * 1_000_000),
            process,
            kind,
            f: f.into(),
            key: Some(key).filter(|key| !key.is_empty()).map(Into::into),
            value,
            extra: match extra {
                Value::Object(extra) => extra.into(),
                _ => serde_json::Map::new().into(),
            },
        });
    }

    fn ask(&mut self, process: u64, f: &str, key: &str, value: Value, extra: Value) {
        self.line(Process::Client(process), Kind::Invoke, f, key, value, extra);
    }

    fn answer(&mut self, process: u64, f: &str, key: &str, value: Value, extra: Value) {
        self.line(Process::Client(process), Kind::Ok, f, key, value, extra);
    }

    /// What was asked, and what was answered: value and further fields.
    fn done(
        &mut self,
        process: u64,
        f: &str,
        key: &str,
        asked: (Value, Value),
        told: (Value, Value),
    ) {
        self.ask(process, f, key, asked.0, asked.1);
        self.answer(process, f, key, told.0, told.1);
    }

    fn lost(&mut self, process: u64, f: &str, key: &str, value: Value, extra: Value) {
        self.ask(process, f, key, value.clone(), extra);
        self.line(
            Process::Client(process),
            Kind::Info,
            f,
            key,
            value,
            Value::Null,
        );
    }

    fn failed(&mut self, process: u64, f: &str, key: &str, value: Value) {
        self.ask(process, f, key, value.clone(), Value::Null);
        self.line(
            Process::Client(process),
            Kind::Fail,
            f,
            key,
            value,
            Value::Null,
        );
    }

    /// A line of the nemesis or the controller.
    fn note(&mut self, who: &str, f: &str, value: Value) {
        self.line(
            Process::Named(who.into()),
            Kind::Info,
            f,
            "",
            value,
            Value::Null,
        );
    }

    /// A line of its about one key.
    fn note_of(&mut self, who: &str, f: &str, key: &str, extra: Value) {
        let who = Process::Named(who.into());
        self.line(who, Kind::Info, f, key, Value::Null, extra);
    }

    fn wait(&mut self, millis: u64) {
        self.now += millis;
    }
}

fn said(finding: &Finding) -> String {
    let kinds = |anomalies: &[keelhaul_checkers::Anomaly]| {
        let kinds: Vec<&str> = anomalies.iter().map(|anomaly| &*anomaly.kind).collect();
        kinds.join(" ")
    };
    match &finding.verdict {
        Verdict::Valid if finding.outside_contract.is_empty() => "valid".to_owned(),
        Verdict::Valid => format!("outside: {}", kinds(&finding.outside_contract)),
        Verdict::Invalid(anomalies) => kinds(anomalies),
        Verdict::Unknown(reasons) => {
            let texts: Vec<&str> = reasons.iter().map(|reason| &*reason.text).collect();
            format!("unknown: {}", texts.join("; "))
        }
    }
}

/// Holds checkers to rules.
fn hold(parameters: &Parameters, rules: &[Rule]) {
    let mut wrong = Vec::new();
    for (shows, checker, expected, tell) in rules {
        let mut story = Story::default();
        tell(&mut story);
        let finding = judge_with(checker, parameters, &story.history);
        let said = said(&finding);
        let fits = match expected.strip_prefix("unknown: ") {
            Some(part) => said.starts_with("unknown: ") && said.contains(part),
            None => said == *expected,
        };
        if !fits {
            let text = common::text(&story.history);
            wrong.push(format!(
                "{checker}, {shows}: expected {expected}, got {said}\n{text}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
