//! The search over one object whose calls somebody else decoded: of a whole history at once, not operation by operation.

use super::budget::Meter;
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

impl<M: Model> Single<'_, '_, M> {
    pub(crate) fn judge(self) -> Whole {
        let mut meter = Meter::new(self.budget.states, self.budget);
        let outcome = match meter.look_at_clock() {
            Ok(()) => {
                let never = AtomicU32::new(u32::MAX);
                let start = [Start::new(self.initial.clone())];
                Search::new(self.model, &self.entries).run(&start, &mut meter, &never)
            }
            Err(why) => Outcome::Exhausted(why, 0),
        };
        let found = match outcome {
            Outcome::Legal | Outcome::Late => Found::Legal,
            Outcome::Exhausted(why, at) => {
                let all = self.entries.len();
                let before = self.entries.partition_point(|entry| entry.inv < at);
                let open = self.entries.iter().filter(|entry| !entry.certain).count();
                Found::Undecided(format!(
                    "the search came to index {at} ({before} of {all} operations, {open} of them indeterminate) when {why}"
                ))
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
