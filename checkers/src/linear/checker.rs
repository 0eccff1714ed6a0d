//! The checker: every key by itself, the first illegal one with its witness.

use super::budget::{Exhausted, Meter};
use super::model::{Contradiction, Entry, Model, Values};
use super::search::{Outcome, Search, Stuck};
use super::table::Config;
use super::witness::Witness;
use crate::history::{History, Kind, Operation};
use crate::reads::{ReadMode, read_mode};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
use serde_json::json;
use std::collections::BTreeMap;

/// Judges histories against a model, key by key.
///
/// Details: `{"model", "keys": N, "operations": N, "configurations": visited in all, "bytes": most held at once,
/// "reads_left_out": {"local": N, "sync": N}, "illegal_keys": [key, …], "undecided_keys": [key, …]}`.
/// Anomaly `nonlinearizable`, for the key that was refuted first; its witness is described in `render.rs`.
#[derive(Debug)]
pub struct Linearizable<M> {
    name: &'static str,
    model: M,
    sync_is_owed: bool,
}

impl<M: Model> Linearizable<M> {
    /// A checker of this name. Where `sync_is_owed` is false, reads after a `sync` are left out as local ones are.
    pub fn new(name: &'static str, model: M, sync_is_owed: bool) -> Linearizable<M> {
        Linearizable {
            name,
            model,
            sync_is_owed,
        }
    }

    /// A checker with the model's own name, for which every read owes linearizability.
    pub fn of(model: M) -> Linearizable<M> {
        Linearizable::new(model.name(), model, true)
    }

    fn unknown(&self, text: String) -> Finding {
        Finding::unknown(self.name, text)
    }

    fn owes_linearizability(&self, operation: &Operation<'_>) -> bool {
        match read_mode(operation) {
            Some(ReadMode::Local) => false,
            Some(ReadMode::Sync) => self.sync_is_owed,
            Some(ReadMode::Fenced) | None => true,
        }
    }
}

/// One key's operations, ready to be searched.
struct Case<'h, M: Model> {
    key: Option<&'h str>,
    /// As they were: what a witness is best made from.
    plain: Vec<Entry<M::Call>>,
    /// With what later operations show of indeterminate ones, and with more of them equal: quicker to search.
    narrowed: Vec<Entry<M::Call>>,
    contradiction: Option<Contradiction>,
}

/// What is known of one key.
enum Judged<S> {
    Legal,
    Illegal { at: u64, stuck: Option<Stuck<S>> },
    Undecided { why: Exhausted, at: u64 },
}

impl<M: Model> Checker for Linearizable<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let operations = match history.operations() {
            Ok(operations) => operations,
            Err(error) => return self.unknown(format!("the history is malformed: {error}")),
        };
        if operations.is_empty() {
            return self.unknown("the history has no operations: nothing was tested".to_owned());
        }
        let mut values = Values::default();
        let cases = match self.cases(&operations, &mut values) {
            Ok(cases) => cases,
            Err(text) => return self.unknown(text),
        };
        let initial = self.model.initial(&mut values);
        let mut work = Work {
            budget,
            left: budget.states,
            visited: 0,
            held: 0,
        };
        let judged = self.judge_all(&cases, initial, &mut work);
        self.conclude(&Judgement {
            operations,
            values,
            initial,
            cases,
            judged,
            work,
        })
    }
}

/// The configurations that all keys share, and what was spent.
struct Work<'b> {
    budget: &'b Budget,
    left: u64,
    visited: u64,
    held: u64,
}

impl Work<'_> {
    fn meter(&self, states: u64) -> Meter {
        Meter::new(states.min(self.left), self.budget)
    }

    fn spent(&mut self, meter: &Meter) {
        self.left -= meter.visited;
        self.visited += meter.visited;
        self.held = self.held.max(meter.held);
    }
}

struct Judgement<'h, 'b, M: Model> {
    operations: Vec<Operation<'h>>,
    values: Values,
    initial: M::State,
    cases: Vec<Case<'h, M>>,
    judged: Vec<Judged<M::State>>,
    work: Work<'b>,
}

impl<M: Model> Linearizable<M> {
    /// Every key's entries, in the order of the keys.
    fn cases<'h>(
        &self,
        operations: &[Operation<'h>],
        values: &mut Values,
    ) -> Result<Vec<Case<'h, M>>, String> {
        let mut by_key: BTreeMap<Option<&'h str>, Vec<Entry<M::Call>>> = BTreeMap::new();
        for (place, operation) in operations.iter().enumerate() {
            if operation.kind() == Kind::Fail || !self.owes_linearizability(operation) {
                continue;
            }
            let call = self
                .model
                .call(operation, values)
                .map_err(|text| format!("the operation at index {} {text}", operation.inv()))?;
            let entries = by_key.entry(operation.key()).or_default();
            if let Some(call) = call {
                let entry = Entry {
                    call,
                    inv: operation.inv(),
                    ret: operation.ret(),
                    operation: place,
                };
                // An indeterminate call that changes nothing says nothing.
                if entry.ret.is_some() || !self.model.is_pure(&call) {
                    entries.push(entry);
                }
            }
        }
        Ok(by_key
            .into_iter()
            .map(|(key, entries)| self.case(key, entries, values))
            .collect())
    }

    fn case<'h>(
        &self,
        key: Option<&'h str>,
        plain: Vec<Entry<M::Call>>,
        values: &Values,
    ) -> Case<'h, M> {
        let mut calls: Vec<M::Call> = plain.iter().map(|entry| entry.call).collect();
        self.model.narrow(&mut calls);
        self.model.blur(&mut calls);
        let narrowed = plain
            .iter()
            .zip(calls)
            .map(|(entry, call)| Entry { call, ..*entry })
            .collect();
        let contradiction = self.model.contradiction(&plain, values);
        Case {
            key,
            plain,
            narrowed,
            contradiction,
        }
    }

    /// Judges every key with an equal share of the configurations, and then, with what is left, those that needed more.
    fn judge_all(
        &self,
        cases: &[Case<'_, M>],
        initial: M::State,
        work: &mut Work<'_>,
    ) -> Vec<Judged<M::State>> {
        let share = work.budget.states / (cases.len() as u64).max(1);
        let mut judged: Vec<_> = cases
            .iter()
            .map(|case| self.judge(case, initial, share, work))
            .collect();
        for (case, verdict) in cases.iter().zip(&mut judged) {
            let short = matches!(
                verdict,
                Judged::Undecided {
                    why: Exhausted::States(_),
                    ..
                }
            );
            if short && work.left > share {
                *verdict = self.judge(case, initial, work.left, work);
            }
        }
        judged
    }

    fn judge(
        &self,
        case: &Case<'_, M>,
        initial: M::State,
        states: u64,
        work: &mut Work<'_>,
    ) -> Judged<M::State> {
        let mut meter = work.meter(states);
        let started = meter.look_at_clock();
        let outcome = match started {
            Ok(()) => {
                Search::new(&self.model, &case.narrowed).run(vec![Config::new(initial)], &mut meter)
            }
            Err(why) => Outcome::Exhausted(why, 0),
        };
        work.spent(&meter);
        let contradicted = case.contradiction.as_ref().map(|found| found.at);
        match (outcome, contradicted) {
            (Outcome::Illegal(stuck), _) => {
                let returned = case.narrowed[stuck.entry].ret.unwrap_or(u64::MAX);
                Judged::Illegal {
                    at: returned.min(contradicted.unwrap_or(u64::MAX)),
                    stuck: Some(stuck),
                }
            }
            (Outcome::Exhausted(..), Some(at)) => Judged::Illegal { at, stuck: None },
            (Outcome::Exhausted(why, at), None) => Judged::Undecided { why, at },
            (Outcome::Legal, Some(at)) => {
                debug_assert!(false, "a contradiction is sound: {:?}", case.contradiction);
                Judged::Illegal { at, stuck: None }
            }
            (Outcome::Legal, None) => Judged::Legal,
        }
    }

    fn conclude(&self, all: &Judgement<'_, '_, M>) -> Finding {
        let named = |wanted: fn(&Judged<M::State>) -> bool| -> Vec<&str> {
            let pairs = all.cases.iter().zip(&all.judged);
            pairs
                .filter(|(_, judged)| wanted(judged))
                .map(|(case, _)| key_name(case.key))
                .collect()
        };
        let illegal = named(|judged| matches!(judged, Judged::Illegal { .. }));
        let details = json!({
            "model": self.model.name(),
            "keys": all.cases.len(),
            "operations": all.cases.iter().map(|case| case.plain.len()).sum::<usize>(),
            "configurations": all.work.visited,
            "bytes": all.work.held,
            "reads_left_out": self.left_out(&all.operations),
            "illegal_keys": illegal,
            "undecided_keys": named(|judged| matches!(judged, Judged::Undecided { .. })),
        });
        let verdict = if illegal.is_empty() {
            self.undecided(all)
        } else {
            self.invalid(all, &illegal)
        };
        Finding {
            verdict,
            outside_contract: Vec::new(),
            details,
        }
    }

    fn left_out(&self, operations: &[Operation<'_>]) -> serde_json::Value {
        let count = |mode| {
            operations
                .iter()
                .filter(|operation| read_mode(operation) == Some(mode))
                .count()
        };
        let sync = if self.sync_is_owed {
            0
        } else {
            count(ReadMode::Sync)
        };
        json!({ "local": count(ReadMode::Local), "sync": sync })
    }

    fn undecided(&self, all: &Judgement<'_, '_, M>) -> Verdict {
        let reasons: Vec<Reason> = all
            .cases
            .iter()
            .zip(&all.judged)
            .filter_map(|(case, judged)| match judged {
                Judged::Undecided { why, at } => Some(self.reason(case, *why, *at)),
                _ => None,
            })
            .collect();
        if !reasons.is_empty() {
            return Verdict::Unknown(reasons);
        }
        match self.why_nothing_was_judged(all) {
            Some(why) => Verdict::Unknown(vec![Reason {
                checker: self.name.to_owned(),
                text: why.to_owned(),
            }]),
            None => Verdict::Valid,
        }
    }

    /// Why a history that contradicts nothing proves nothing either, if so.
    fn why_nothing_was_judged(&self, all: &Judgement<'_, '_, M>) -> Option<&'static str> {
        if !all.operations.iter().any(Operation::is_ok) {
            return Some("nothing was answered: nothing was tested");
        }
        let entries = all.cases.iter().flat_map(|case| &case.plain);
        let mut answered = entries.filter(|entry| entry.ret.is_some()).peekable();
        if answered.peek().is_none() {
            return Some("no answered operation owes linearizability here: nothing was judged");
        }
        let observed = answered.any(|entry| self.model.observes(&entry.call));
        (!observed)
            .then_some("nothing was ever read: no answer shows whether the writes took effect")
    }

    fn reason(&self, case: &Case<'_, M>, why: Exhausted, at: u64) -> Reason {
        let all = case.plain.len();
        let before = case.plain.iter().filter(|entry| entry.inv < at).count();
        let open = case
            .plain
            .iter()
            .filter(|entry| entry.ret.is_none())
            .count();
        let text = format!(
            "{}: the search came to index {at} ({before} of {all} operations, {open} of them indeterminate) when {why}; \
             give it a larger budget, or record fewer operations on a key",
            key_name(case.key)
        );
        Reason {
            checker: self.name.to_owned(),
            text,
        }
    }

    fn invalid(&self, all: &Judgement<'_, '_, M>, illegal: &[&str]) -> Verdict {
        let first = all
            .cases
            .iter()
            .zip(&all.judged)
            .filter_map(|(case, judged)| match judged {
                Judged::Illegal { at, stuck } => Some((*at, case, stuck)),
                _ => None,
            });
        let (_, case, stuck) = first
            .min_by_key(|(at, case, _)| (*at, case.key))
            .expect("one key is illegal");
        let witness = Witness {
            model: &self.model,
            values: &all.values,
            operations: &all.operations,
            initial: all.initial,
            plain: &case.plain,
            narrowed: &case.narrowed,
            contradiction: case.contradiction.as_ref(),
            key: key_name(case.key),
        };
        let (summary, witness) = witness.build(stuck.as_ref(), all.work.budget);
        let others = match illegal.len() {
            1 => String::new(),
            more => format!(" ({} other keys are illegal too)", more - 1),
        };
        Verdict::Invalid(vec![Anomaly {
            kind: "nonlinearizable".to_owned(),
            checker: self.name.to_owned(),
            summary: format!("{summary}{others}"),
            witness,
        }])
    }
}

fn key_name(key: Option<&str>) -> &str {
    key.unwrap_or("the only object")
}
