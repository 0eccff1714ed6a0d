//! Elle's own test cases, where the folder with recorded histories is there: all verdicts as Elle's, anomalies at least Elle's.
//!
//! The cases are fragments of histories. What is made of them:
//!
//! - completions without an invocation get one, before everything else and by a process of their own;
//! - what Elle was told beside the history is told here: models and anomalies to look for, assumptions (`none` where Elle's case makes
//!   none), that it is a fragment, and the order of transactions, which Elle's tests give as an option and our histories carry as `zxid`s.

use crate::common::{judge_with, validity};
use crate::edn::{self, Edn};
use keelhaul_checkers::txn::consistency::all_implied;
use keelhaul_checkers::{Event, Extra, Finding, History, Kind, Nanos, Parameters, Process};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// The orders of transactions that Elle's tests give to two cases, by completion.
const ORDERS: [(i64, &[i64]); 2] = [(64, &[2, 1]), (66, &[1, 4, 2, 3])];

fn corpus(name: &str) -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/elle");
    fs::read_to_string(folder.join(name)).ok()
}

/// Events as Elle's tests have them, as a history that has both halves of each operation.
fn history(events: &[Edn], order: &[i64]) -> History {
    struct Half<'e> {
        kind: Kind,
        process: u64,
        value: &'e Edn,
        /// Which operation it belongs to.
        operation: usize,
    }
    let mut halves: Vec<Half<'_>> = Vec::new();
    let mut open: Vec<(u64, &Edn, usize)> = Vec::new();
    let mut early: Vec<usize> = Vec::new();
    let mut operations = 0;
    for event in events {
        let process = event.get("process").and_then(Edn::int).unwrap_or(0) as u64;
        let value = event.get("value").unwrap_or(&Edn::Nil);
        let kind = match event.get("type").and_then(Edn::word) {
            Some("invoke") => Kind::Invoke,
            Some("ok") => Kind::Ok,
            Some("fail") => Kind::Fail,
            _ => Kind::Info,
        };
        let operation = if kind == Kind::Invoke {
            open.push((process, value, operations));
            operations += 1;
            operations - 1
        } else {
            let mine =
                |(p, asked, _): &(u64, &Edn, usize)| *p == process && same_shape(asked, value);
            match open.iter().position(mine) {
                Some(place) => open.remove(place).2,
                None => {
                    early.push(operations);
                    operations += 1;
                    operations - 1
                }
            }
        };
        halves.push(Half {
            kind,
            process,
            value,
            operation,
        });
    }
    // Operations that overlap another one of their process, and those that began unseen, go on under a process of their own.
    let mut busy: Vec<(u64, usize)> = Vec::new();
    let mut own: Vec<usize> = early.clone();
    for half in &halves {
        if half.kind != Kind::Invoke {
            busy.retain(|(_, operation)| *operation != half.operation);
        } else if busy.iter().any(|(process, _)| *process == half.process) {
            own.push(half.operation);
        } else {
            busy.push((half.process, half.operation));
        }
    }
    let process = |half: &Half<'_>| match own.contains(&half.operation) {
        true => 1000 + half.operation as u64,
        false => half.process,
    };
    let mut history = History::new();
    let mut push = |process: u64, kind: Kind, value: Value, zxid: Option<i64>| {
        let index = history.len() as u64;
        let extra = match zxid {
            Some(zxid) => [("zxid".to_owned(), json!(zxid))].into_iter().collect(),
            None => Extra::default(),
        };
        history.push(&Event {
            index,
            time: Nanos(index),
            process: Process::Client(process),
            kind,
            f: "txn".into(),
            key: None,
            value,
            extra,
        });
    };
    for half in halves
        .iter()
        .filter(|half| half.kind != Kind::Invoke && early.contains(&half.operation))
    {
        push(process(half), Kind::Invoke, half.value.to_json(), None);
    }
    let mut completed = order.iter();
    for half in &halves {
        let zxid = match half.kind {
            Kind::Invoke => None,
            _ => completed.next().copied(),
        };
        push(process(half), half.kind, half.value.to_json(), zxid);
    }
    history
}

/// Whether one is the other's completion: the same micro-operations of the same keys.
fn same_shape(asked: &Edn, told: &Edn) -> bool {
    let outline = |txn: &Edn| -> Vec<(Option<String>, String)> {
        let micros = txn.items().iter().map(|micro| {
            let parts = micro.items();
            let f = parts.first().and_then(Edn::word).map(str::to_owned);
            (f, format!("{:?}", parts.get(1)))
        });
        micros.collect()
    };
    outline(asked) == outline(told)
}

fn words(list: Option<&Edn>) -> Vec<String> {
    let items = list.map_or(&[][..], Edn::items).iter();
    items.filter_map(Edn::word).map(str::to_owned).collect()
}

fn parameters(case: &Edn) -> Parameters {
    let options = case.get("opts").unwrap_or(&Edn::Nil);
    let mut consistency = words(options.get("consistency-models"));
    consistency.extend(words(options.get("anomalies")));
    let assumptions = ["wfr-keys", "sequential-keys", "linearizable-keys"];
    let given = |name: &&str| options.get(&format!("{name}?")) == Some(&Edn::Bool(true));
    let mut assume: Vec<String> = assumptions
        .iter()
        .filter(|name| given(name))
        .map(|name| (*name).to_owned())
        .collect();
    if assume.is_empty() {
        assume.push("none".to_owned());
    }
    assume.push("fragment".to_owned());
    Parameters {
        consistency,
        assume,
        ..Parameters::default()
    }
}

fn found(finding: &Finding) -> Vec<String> {
    let counts = finding.details["anomalies"].as_object();
    counts
        .into_iter()
        .flatten()
        .map(|(kind, _)| kind.clone())
        .collect()
}

#[test]
fn all_of_elles_cases_come_out_as_elle_says() {
    let Some(text) = corpus("elle_test_cases.edn") else {
        println!("no corpora here: skipped");
        return;
    };
    let mut cases = 0;
    let mut wrong = Vec::new();
    let mut worse = Vec::new();
    for case in text.lines().map(edn::read) {
        let number = case.get("case").and_then(Edn::int).unwrap();
        let order = ORDERS
            .iter()
            .find(|(case, _)| *case == number)
            .map_or(&[][..], |row| row.1);
        let history = history(case.get("history").unwrap().items(), order);
        let checker = case.get("checker").and_then(Edn::word).unwrap();
        let finding = judge_with(checker, &parameters(&case), &history);
        let expected = case.get("expect").unwrap();
        let valid = match expected.get("valid?") {
            Some(Edn::Bool(valid)) => Some(*valid),
            _ => None,
        };
        let found = found(&finding);
        // That the graph is empty is no anomaly here: where nothing else is found, the verdict is unknown.
        let mut missing: Vec<String> = words(expected.get("anomaly-types"))
            .into_iter()
            .filter(|kind| kind != "empty-transaction-graph" && !found.contains(kind))
            .collect();
        let implied = all_implied(found.iter().map(String::as_str));
        if !missing.is_empty() && missing.iter().all(|kind| implied.contains(&kind[..])) {
            worse.push(number);
            missing.clear();
        }
        // Models that Elle rules out must be ruled out, by whatever we found.
        let out = |model: &String| {
            let lists = [&finding.details["not"], &finding.details["also_not"]];
            let mut all = lists.into_iter().filter_map(Value::as_array).flatten();
            all.any(|name| name == model)
        };
        let mut models = words(expected.get("not"));
        models.extend(words(expected.get("also-not")));
        let lenient: Vec<&String> = models.iter().filter(|model| !out(model)).collect();
        cases += 1;
        if validity(&finding) != valid || !missing.is_empty() || !lenient.is_empty() {
            wrong.push(format!(
                "case {number}: {:?} expected {valid:?}; found {found:?}, missing {missing:?}, not ruled out {lenient:?}: {:?}",
                validity(&finding), finding.verdict
            ));
        }
    }
    assert_eq!(cases, 49);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // T4 wrote the 4 that T3 read before it wrote 3, and T3 came first. Elle tells of the read (G1c-realtime); that T3's write came after
    // T4's is just as certain, as reads come before writes there by assumption, and is the worse anomaly: G0-process.
    assert_eq!(worse, [81]);
}

#[test]
fn the_papers_example_and_the_one_without_a_single_anti_dependency() {
    let judged = |name: &str, model: &str| {
        let text = corpus(name)?;
        let lines = text
            .lines()
            .map(|line| line.split(';').next().unwrap_or_default().trim());
        let events: Vec<Edn> = lines
            .filter(|line| !line.is_empty())
            .map(edn::read)
            .collect();
        // The paper's example names no processes: each operation is one of its own.
        let parameters = Parameters {
            consistency: vec![model.to_owned()],
            ..Parameters::default()
        };
        let finding = judge_with("list-append", &parameters, &history(&events, &[]));
        Some((validity(&finding), found(&finding)))
    };
    let Some((valid, kinds)) = judged("paper-example.edn", "serializable") else {
        println!("no corpora here: skipped");
        return;
    };
    assert_eq!(valid, Some(false), "{kinds:?}");
    let (valid, kinds) = judged("si-without-g-single.edn", "snapshot-isolation").unwrap();
    assert_eq!(valid, Some(true));
    let has = |kind: &str| kinds.iter().any(|found| found == kind);
    assert!(has("G2-item") && !has("G-single-item"), "{kinds:?}");
}
