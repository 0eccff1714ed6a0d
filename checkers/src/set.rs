//! Sets: elements added under parents, and read whole.

mod elements;
mod order;

use crate::contract::owes_sync_reads;
use crate::describe;
use crate::history::{History, Operation};
use crate::linear::{Linearizable, Model, Values};
use crate::models;
use crate::parameters::Parameters;
use crate::reads::{ReadMode, read_mode};
use crate::recovery::listed;
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use elements::Parent;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAME: &str = "set";
const ONCE: &str = "set-once";

/// Cases that a witness lists at most.
const CASES_SHOWN: usize = 10;

/// The checkers `set` and `set-once`.
///
/// Sets: elements added under parents, and read whole.
///
/// An `add` that is `ok` says that its element is there from then on: whether it was before, it does not say, unless by
/// `"changed":true`. One that is `ok` with the error `NodeExists`, `exists` or `present` (or with `"changed":false`) found the element
/// there, one with `NoNode` found no set and says nothing of the element. Histories of adds and reads alone are judged element by
/// element, as told below. Where there is a `remove`, a `contains` or a `changed`, every answer is a sight of its element, and the
/// history is judged as [`crate::models::Set`] instead, by the same name and with other details; so is, beside that rule, one that
/// does not begin empty.
///
/// `set-once` is for tests that add unique elements: what is `ok` and does not say otherwise made its element, so that it is
/// `duplicated` if two did, and what was acknowledged and never read again is unknown, wherever the set began.
///
/// It proves that each parent is a linearizable grow-only set, and names the ways in which it is not:
/// - `lost`: an element that was acknowledged, or that a linearizable read showed, is missing from the last such reads;
/// - `stale`: it is missing from a linearizable read that began after that, but a later one shows it again;
/// - `unexpected`: an element that nobody had tried to add by the end of the read (or whose add certainly failed);
/// - `duplicated`: an element twice in one read, or (of `set-once`) acknowledged as created twice;
/// - `unordered`: none of these, and yet no order of adds and reads explains what was read (two reads, neither of which holds
///   all of the other's elements, say).
///
/// Linearizable are fenced reads, reads after `sync` where the contract owes it, and reads without a `mode`. Plain reads are
/// only asked for `unexpected` and `duplicated`. An add that is indeterminate counts as added once it is seen.
///
/// Each anomaly's witness: `{"total": N, "shown": [{"key", "element", "text", "operations": [operation, …]}]}`, at most ten.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"add","key":"p0","value":812}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"add","key":"p0","value":812}
/// {"index":2,"time":10,"process":2,"type":"invoke","f":"read","key":"p0","value":null,"final":true}
/// {"index":3,"time":14,"process":2,"type":"ok","f":"read","key":"p0","value":[812]}
/// ```
///
/// Details: `{"parents", "elements", "acknowledged", "indeterminate_seen", "reads", "linearizable_reads", "lost", "stale",
/// "unexpected", "duplicated", "unordered"}`: counts, of elements where it says nothing else.
#[derive(Debug, Clone)]
pub struct Set {
    sync_is_owed: bool,
    /// The elements before the first operation; `null` is none.
    initial: Value,
    /// Whether every element is added once, and read after that.
    once: bool,
}

impl Set {
    /// The checker `set`, for a system under this contract.
    pub fn new(parameters: &Parameters) -> Set {
        Set {
            sync_is_owed: owes_sync_reads(&parameters.contract),
            initial: parameters.initial.clone().unwrap_or_default(),
            once: false,
        }
    }

    /// The checker `set-once`.
    pub fn once(parameters: &Parameters) -> Set {
        Set {
            once: true,
            ..Set::new(parameters)
        }
    }

    fn is_linearizable(&self, read: &Operation<'_>) -> bool {
        match read_mode(read) {
            Some(ReadMode::Local) => false,
            Some(ReadMode::Sync) => self.sync_is_owed,
            Some(ReadMode::Fenced) | None => true,
        }
    }
}

/// One way in which a parent is not a set that grows.
#[derive(Debug)]
pub(super) struct Case {
    kind: &'static str,
    /// The element, as it was written; none for a breach that is no single element's.
    element: Value,
    text: String,
    /// Places of the operations that show it.
    operations: Vec<usize>,
}

impl Checker for Set {
    fn name(&self) -> &'static str {
        if self.once { ONCE } else { NAME }
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let name = self.name();
        let model = models::Set {
            initial: self.initial.clone(),
            once: self.once,
        };
        if let Err(text) = model.initial(&mut Values::default()) {
            return Finding::misfit_initial(name, text);
        }
        let linearizable =
            || Linearizable::new(name, model.clone(), self.sync_is_owed).check(history, budget);
        let operations = match some_operations(history, name) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let is_more = |operation: &Operation<'_>| {
            matches!(operation.f(), "remove" | "contains")
                || !self.once && models::changed(operation) == Some(true)
        };
        if operations.iter().any(is_more) {
            return linearizable();
        }
        let begins_empty = match &self.initial {
            Value::Null => true,
            Value::Array(elements) => elements.is_empty(),
            _ => false,
        };
        let mut values = Values::default();
        let parents = match self.parents(&operations, &mut values) {
            Ok(parents) => parents,
            Err(misfit) => return Finding::misfit(name, misfit),
        };
        if !begins_empty {
            let mut finding = linearizable();
            if finding.verdict == Verdict::Valid {
                finding.verdict = Verdict::of(Vec::new(), self.unread(&parents));
            }
            return finding;
        }
        let mut cases: BTreeMap<&str, Vec<(&str, Case)>> = BTreeMap::new();
        for (key, parent) in &parents {
            for case in parent.judge(&values) {
                cases.entry(case.kind).or_default().push((key, case));
            }
        }
        let details = details(&parents, &cases);
        let anomalies: Vec<Anomaly> = cases
            .iter()
            .map(|(kind, cases)| anomaly(name, kind, cases, &operations))
            .collect();
        let verdict = Verdict::of(anomalies, self.unread(&parents));
        Finding {
            verdict,
            outside_contract: Vec::new(),
            details,
        }
    }
}

impl Set {
    fn parents<'h>(
        &self,
        operations: &[Operation<'h>],
        values: &mut Values,
    ) -> Result<BTreeMap<&'h str, Parent>, Misfit> {
        crate::repeats::all_known(operations)?;
        let mut parents: BTreeMap<&str, Parent> = BTreeMap::new();
        for (place, operation) in operations.iter().enumerate() {
            let key = operation.key().unwrap_or("the only set");
            let parent = parents.entry(key).or_default();
            crate::repeats::check(operation)?;
            let taken = match operation.f() {
                "add" => parent.add(place, operation, self.once, values),
                "read" => parent.read(place, operation, self.is_linearizable(operation), values),
                other => Err(format!(
                    "is `{other}`, which sets do not have: they know add, read, remove and contains"
                )),
            };
            taken.map_err(|text| Misfit::of(operation, text))?;
        }
        Ok(parents)
    }

    /// Why not all of it can be judged, or nothing.
    fn unread(&self, parents: &BTreeMap<&str, Parent>) -> Vec<Reason> {
        let unread: Vec<(&str, usize)> = parents
            .iter()
            .map(|(key, parent)| (*key, parent.acknowledged_and_unread()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let shows_nothing = |parent: &Parent| parent.acknowledged() == 0 && !parent.any_seen();
        let text = if parents.values().all(|parent| parent.reads() == 0) {
            "no read was answered: nothing can be judged".to_owned()
        } else if parents.values().all(shows_nothing) {
            "no add was acknowledged and no element was seen: nothing was tested".to_owned()
        } else if self.once && !unread.is_empty() {
            let mut keys: Vec<&str> = unread.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable_by_key(|key| in_counting_order(key));
            let adds: usize = unread.iter().map(|(_, count)| count).sum();
            format!(
                "{} never read again by a linearizable read after {}: {}",
                counted(keys.len(), "parent was", "parents were"),
                counted(adds, "acknowledged add", "acknowledged adds"),
                listed(&keys)
            )
        } else {
            return Vec::new();
        };
        vec![Reason {
            checker: self.name().to_owned(),
            text,
        }]
    }
}

/// `p2` before `p10`: by the text before the number at the end, then by the number.
fn in_counting_order(key: &str) -> (&str, u64, &str) {
    let text = key.trim_end_matches(|digit: char| digit.is_ascii_digit());
    (text, key[text.len()..].parse().unwrap_or(0), key)
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn details(parents: &BTreeMap<&str, Parent>, cases: &BTreeMap<&str, Vec<(&str, Case)>>) -> Value {
    let sum = |count: fn(&Parent) -> usize| parents.values().map(count).sum::<usize>();
    let found = |kind: &str| cases.get(kind).map_or(0, Vec::len);
    json!({
        "parents": parents.len(),
        "elements": sum(Parent::elements),
        "acknowledged": sum(Parent::acknowledged),
        "indeterminate_seen": sum(Parent::indeterminate_seen),
        "reads": sum(Parent::reads),
        "linearizable_reads": sum(Parent::linearizable_reads),
        "lost": found("lost"),
        "stale": found("stale"),
        "unexpected": found("unexpected"),
        "duplicated": found("duplicated"),
        "unordered": found("unordered"),
    })
}

fn anomaly(
    checker: &str,
    kind: &str,
    cases: &[(&str, Case)],
    operations: &[Operation<'_>],
) -> Anomaly {
    let shown: Vec<Value> = cases
        .iter()
        .take(CASES_SHOWN)
        .map(|(key, case)| {
            let operations: Vec<Value> =
                case.operations.iter().map(|place| describe::operation(&operations[*place])).collect();
            json!({ "key": key, "element": case.element, "text": case.text, "operations": operations })
        })
        .collect();
    let (key, first) = &cases[0];
    let more = match cases.len() {
        1 => String::new(),
        all => format!(" ({} more of the kind)", all - 1),
    };
    Anomaly {
        kind: kind.to_owned(),
        checker: checker.to_owned(),
        summary: format!("{key}: {}{more}", first.text),
        witness: json!({ "total": cases.len(), "shown": shown }),
    }
}
