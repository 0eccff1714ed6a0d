//! The search over one object whose calls somebody else decoded: of a whole history at once, not operation by operation.

use super::budget::{Exhausted, Meter};
use super::cases::Case;
use super::judge::Task;
use super::model::{Entry, Model};
use super::search::{Outcome, Search, Start};
use super::values::Values;
use super::witness::Witness;
use crate::history::Operation;
use crate::verdict::Budget;
use serde_json::Value;
use std::sync::atomic::AtomicU32;

/// One object and all that was done to it.
pub(crate) struct Single<'a, 'h, M: Model> {
    pub(crate) model: &'a M,
    /// What the object is called in words.
    pub(crate) name: &'a str,
    pub(crate) initial: M::State,
    /// In the order of the invocations; `operation` is a place in `operations`.
    pub(crate) entries: Vec<Entry<M::Call>>,
    pub(crate) operations: &'a [Operation<'h>],
    pub(crate) budget: &'a Budget,
}

/// What the search says.
pub(crate) struct Whole {
    pub(crate) found: Found,
    /// Configurations visited, and bytes held at most.
    pub(crate) visited: u64,
    pub(crate) held: u64,
}

pub(crate) enum Found {
    Legal,
    /// There is no order: in one sentence, and the evidence.
    Illegal(String, Value),
    /// Why it cannot be told.
    Undecided(String),
}

/// What the search says where the entries do not stand at lines.
pub(crate) struct Bare {
    pub(crate) found: Stuck,
    pub(crate) visited: u64,
    pub(crate) held: u64,
}

pub(crate) enum Stuck {
    /// There is an order: which indeterminate entries took effect in one, in that order, and before which lines.
    Nowhere(Vec<(usize, u32)>),
    /// At this operation, and why the state in which it was left the last chance does not allow it.
    At(usize, String),
    /// Why it cannot be told.
    Undecided(String),
}

impl<M: Model> Single<'_, '_, M> {
    fn run(&self, search: &mut Search<'_, M>) -> (Outcome<M>, Meter) {
        let mut meter = Meter::new(self.budget.states, self.budget);
        let outcome = match meter.look_at_clock() {
            Ok(()) => {
                let never = AtomicU32::new(u32::MAX);
                let start = [Start::new(self.initial.clone())];
                search.run(&start, &mut meter, &never)
            }
            Err(why) => Outcome::Exhausted(why, 0),
        };
        (outcome, meter)
    }

    fn undecided(&self, why: &Exhausted, at: u32, place: &str) -> String {
        let all = self.entries.len();
        let before = self.entries.partition_point(|entry| entry.inv < at);
        let open = self.entries.iter().filter(|entry| !entry.certain).count();
        format!(
            "the search came to {place}{before} of {all} operations, {open} of them indeterminate) when {why}"
        )
    }

    /// Where the entries' places are no lines: the operation that cannot have happened, without a picture of what could have.
    pub(crate) fn stuck(self) -> Bare {
        let mut search = Search::new(self.model, &self.entries).tracing();
        let (outcome, meter) = self.run(&mut search);
        let found = match outcome {
            Outcome::Legal | Outcome::Late => Stuck::Nowhere(search.used()),
            Outcome::Exhausted(why, at) => Stuck::Undecided(self.undecided(&why, at, "(")),
            Outcome::Illegal(stuck) => {
                let entry = &self.entries[stuck.entry];
                let why = stuck.last.first().map_or_else(String::new, |last| {
                    let values = Values::default();
                    self.model.why_not(&last.state, &entry.call, &values)
                });
                Stuck::At(entry.operation as usize, why)
            }
        };
        Bare {
            found,
            visited: meter.visited,
            held: meter.held,
        }
    }

    pub(crate) fn judge(self) -> Whole {
        let (outcome, meter) = self.run(&mut Search::new(self.model, &self.entries));
        let found = match outcome {
            Outcome::Legal | Outcome::Late => Found::Legal,
            Outcome::Exhausted(why, at) => {
                Found::Undecided(self.undecided(&why, at, &format!("index {at} (")))
            }
            Outcome::Illegal(stuck) => {
                let case: Case<'_, M> = Case {
                    key: None,
                    entries: self.entries,
                    has_ends: false,
                };
                let task = Task {
                    model: self.model,
                    initial: &self.initial,
                    values: &Values::default(),
                    operations: self.operations,
                    budget: self.budget,
                };
                let witness = Witness {
                    task: &task,
                    case: &case,
                    key: self.name,
                };
                let (summary, witness, _) = witness.of_search(&stuck);
                Found::Illegal(summary, witness)
            }
        };
        Whole {
            found,
            visited: meter.visited,
            held: meter.held,
        }
    }
}
