//! The checker: every key by itself, the first illegal one with its witness.

use super::budget::Exhausted;
use super::cases::{Case, cases, left_out};
use super::judge::{Judged, Judgement, Task};
use super::model::{Layer, Model};
use super::values::Values;
use super::witness::Witness;
use crate::history::{History, Operation};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
use serde_json::json;

/// Judges histories against a model, key by key.
///
/// Details: `{"model", "keys": N, "operations": N, "configurations": visited in all, "bytes": most held at once,
/// "reads_left_out": {"local": N, "sync": N}, "decided_by": {"refutation": N, "zones": N, "witness": N, "search": N} (keys),
/// "fell_through": {why the model's own algorithm could not tell: keys}, "illegal_keys": [the one that was refuted first],
/// "undecided_keys": [key, …], "configurations_to_explain": visited for the witness, where one key was refuted}`. Where a key was refuted, `configurations` and `search` count that key alone.
/// Anomaly `nonlinearizable`, for the key that was refuted first; its witness is described in `render.rs`.
///
/// `close` or `closeSession` with a field `session` is no operation on the object: once it is answered, no indeterminate
/// operation of that session can take effect any more.
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

    /// A checker of this model, by the model's name.
    pub fn of(model: M) -> Linearizable<M> {
        Linearizable::new(model.name(), model, true)
    }

    fn unknown(&self, text: String) -> Finding {
        Finding::unknown(self.name, text)
    }
}

impl<M: Model> Checker for Linearizable<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let mut values = Values::default();
        let initial = match self.model.initial(&mut values) {
            Ok(initial) => initial,
            Err(text) => return Finding::misfit_initial(self.name, text),
        };
        let operations = match history.operations() {
            Ok(operations) => operations,
            Err(error) => return self.unknown(format!("the history is malformed: {error}")),
        };
        if operations.is_empty() {
            return self.unknown("the history has no operations: nothing was tested".to_owned());
        }
        let cases = cases(
            &self.model,
            self.sync_is_owed,
            history,
            &operations,
            &mut values,
        );
        let cases = match cases {
            Ok(cases) => cases,
            Err(misfit) => return Finding::misfit(self.name, misfit),
        };
        let task = Task {
            model: &self.model,
            initial: &initial,
            values: &values,
            operations: &operations,
            budget,
        };
        let judgement = task.judge(&cases);
        self.conclude(&task, &cases, &judgement)
    }
}

impl<M: Model> Linearizable<M> {
    fn conclude(
        &self,
        task: &Task<'_, '_, M>,
        cases: &[Case<'_, M>],
        all: &Judgement<M>,
    ) -> Finding {
        let illegal: Vec<&str> = all
            .first
            .iter()
            .map(|at| key_name(cases[*at].key))
            .collect();
        let undecided: Vec<&str> = match all.first {
            Some(_) => Vec::new(),
            None => cases
                .iter()
                .zip(&all.judged)
                .filter(|(_, judged)| matches!(judged, Judged::Undecided { .. }))
                .map(|(case, _)| key_name(case.key))
                .collect(),
        };
        let decided_by: serde_json::Map<_, _> = all
            .decided_by()
            .into_iter()
            .map(|(layer, keys): (Layer, usize)| (layer.name().to_owned(), json!(keys)))
            .collect();
        let (local, sync) = left_out(task.operations, self.sync_is_owed);
        let mut details = json!({
            "model": self.model.name(),
            "keys": cases.len(),
            "operations": cases.iter().map(|case| case.entries.len()).sum::<usize>(),
            "configurations": all.visited,
            "bytes": all.held,
            "reads_left_out": { "local": local, "sync": sync },
            "decided_by": decided_by,
            "fell_through": all.fell_through,
            "illegal_keys": illegal,
            "undecided_keys": undecided,
        });
        let verdict = match all.first {
            Some(first) => {
                let (verdict, visited) = self.invalid(task, &cases[first], &all.judged[first]);
                details["configurations_to_explain"] = json!(visited);
                verdict
            }
            None => self.undecided(task.operations, cases, all),
        };
        Finding {
            verdict,
            outside_contract: Vec::new(),
            details,
        }
    }

    fn undecided(
        &self,
        operations: &[Operation<'_>],
        cases: &[Case<'_, M>],
        all: &Judgement<M>,
    ) -> Verdict {
        let reasons: Vec<Reason> = cases
            .iter()
            .zip(&all.judged)
            .filter_map(|(case, judged)| self.reason(case, judged))
            .collect();
        if !reasons.is_empty() {
            return Verdict::Unknown(reasons);
        }
        match self.why_nothing_was_judged(operations, cases) {
            Some(why) => Verdict::Unknown(vec![Reason {
                checker: self.name.to_owned(),
                text: why.to_owned(),
            }]),
            None => Verdict::Valid,
        }
    }

    /// Why a history that contradicts nothing proves nothing either, if so.
    fn why_nothing_was_judged(
        &self,
        operations: &[Operation<'_>],
        cases: &[Case<'_, M>],
    ) -> Option<&'static str> {
        if !operations.iter().any(Operation::is_ok) {
            return Some("nothing was answered: nothing was tested");
        }
        let entries = cases.iter().flat_map(|case| &case.entries);
        let mut answered = entries.filter(|entry| entry.certain).peekable();
        if answered.peek().is_none() {
            return Some("no answered operation owes linearizability here: nothing was judged");
        }
        let observed = answered.any(|entry| self.model.observes(&entry.call));
        (!observed)
            .then_some("nothing was ever read: no answer shows whether the writes took effect")
    }

    fn reason(&self, case: &Case<'_, M>, judged: &Judged<M>) -> Option<Reason> {
        let Judged::Undecided { why, at } = judged else {
            return None;
        };
        let all = case.entries.len();
        let before = case.entries.partition_point(|entry| entry.inv < *at);
        let open = case.entries.iter().filter(|entry| !entry.certain).count();
        let help = match why {
            Exhausted::InFlight(_) => {
                "no budget helps: record fewer operations of unknown outcome, or more keys"
            }
            _ => "give it a larger budget, or record fewer operations on a key",
        };
        let text = format!(
            "{}: the search came to index {at} ({before} of {all} operations, {open} of them indeterminate) when {why}; {help}",
            key_name(case.key)
        );
        Some(Reason {
            checker: self.name.to_owned(),
            text,
        })
    }

    fn invalid(
        &self,
        task: &Task<'_, '_, M>,
        case: &Case<'_, M>,
        judged: &Judged<M>,
    ) -> (Verdict, u64) {
        let witness = Witness {
            task,
            case,
            key: key_name(case.key),
        };
        let (summary, witness, visited) = match judged {
            Judged::Contradicted(found) => witness.of_contradiction(found),
            Judged::Stuck(stuck) => witness.of_search(stuck),
            _ => unreachable!("the first key was refuted"),
        };
        let anomaly = Anomaly {
            kind: "nonlinearizable".to_owned(),
            checker: self.name.to_owned(),
            summary,
            witness,
        };
        (Verdict::Invalid(vec![anomaly]), visited)
    }
}

fn key_name(key: Option<&str>) -> &str {
    key.unwrap_or("the only object")
}
