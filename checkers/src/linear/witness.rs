//! From "no order exists" to the smallest window that a person can check by hand.
//!
//! The window begins after the last moment at which nothing was in flight, with the states that were possible there, and ends
//! with the operation that could not happen. Then whatever can go without making the window orderable goes: reads are left
//! out, and answered writes are turned into writes that may have happened. (Leaving an answered write out altogether would
//! prove nothing.) Every step is checked again by the same search.
//!
//! A contradiction names its operations itself; they are searched once more, by themselves, and shown in the same way.

use super::budget::Meter;
use super::cases::Case;
use super::judge::Task;
use super::model::{Contradiction, Entry, Model, NEVER};
use super::search::{Outcome, Search, Start, Stuck};
use crate::history::Operation;
use crate::verdict::Budget;
use rustc_hash::FxHashSet;
use serde_json::{Value, json};
use std::sync::atomic::AtomicU32;

/// Configurations that shrinking may visit, and never more than the whole check may: it must not take longer than the search
/// that it explains.
const SHRINK_STATES: u64 = 500_000;

/// Histories with more operations than this are not searched to explain a contradiction that is known.
const SEARCHED_AGAIN: usize = 20_000;

/// States that are listed at most; a window that allows more is not a small one.
const STATES_SHOWN: usize = 16;

/// What a witness is made from.
pub(super) struct Witness<'a, 'h, M: Model> {
    pub(super) task: &'a Task<'a, 'h, M>,
    pub(super) case: &'a Case<'h, M>,
    pub(super) key: &'a str,
}

/// A part of a history that cannot be ordered from any of its starts.
struct Window<M: Model> {
    /// The line before it; `None` for the beginning of the history.
    after: Option<u32>,
    starts: Vec<Start<M>>,
    /// Operations that may have happened.
    optional: Vec<Entry<M::Call>>,
    /// Operations that were answered, in the order of their invocations; `last` is not among them.
    answered: Vec<Entry<M::Call>>,
    /// The operation that cannot happen.
    last: Entry<M::Call>,
}

/// The operation as one that may have happened.
fn perhaps<C: Clone>(entry: &Entry<C>) -> Entry<C> {
    Entry {
        ret: NEVER,
        certain: false,
        ..entry.clone()
    }
}

fn run<M: Model>(
    model: &M,
    entries: &[Entry<M::Call>],
    starts: &[Start<M>],
    meter: &mut Meter,
) -> Option<Stuck<M>> {
    let never = AtomicU32::new(u32::MAX);
    match Search::new(model, entries).run(starts, meter, &never) {
        Outcome::Illegal(stuck) => Some(stuck),
        _ => None,
    }
}

impl<M: Model> Witness<'_, '_, M> {
    fn meter(&self) -> Meter {
        let budget = self.task.budget;
        Meter::new(budget.states.min(SHRINK_STATES), budget)
    }

    /// One sentence and the evidence, of operations that exclude each other; and how many configurations that took.
    pub(super) fn of_contradiction(&self, found: &Contradiction) -> (String, Value, u64) {
        let operations: Vec<Value> = found
            .operations
            .iter()
            .map(|place| self.show_operation(*place))
            .collect();
        let mut witness = json!({
            "key": self.key,
            "model": self.task.model.name(),
            "contradiction": { "text": found.text, "operations": operations },
        });
        let entries = self.entries_of(found);
        let mut meter = self.meter();
        let start = [Start::new(self.task.initial.clone())];
        if entries.len() <= SEARCHED_AGAIN
            && let Some(stuck) = run(self.task.model, &entries, &start, &mut meter)
        {
            self.explain(&entries, &stuck, &mut meter, &mut witness);
        }
        let summary = format!("{} is not linearizable: {}", self.key, found.text);
        (summary, witness, meter.visited)
    }

    /// The entries of a contradiction; all of them, if it needs the others.
    fn entries_of(&self, found: &Contradiction) -> Vec<Entry<M::Call>> {
        if !found.by_itself {
            return self.as_told(&self.task.narrowed(self.case));
        }
        let entries = self.case.entries.iter();
        entries
            .filter(|entry| found.operations.contains(&entry.operation))
            .cloned()
            .collect()
    }

    /// One sentence and the evidence, of what the search found; and how many configurations that took.
    pub(super) fn of_search(&self, found: &Stuck<M>) -> (String, Value, u64) {
        let mut witness = json!({
            "key": self.key,
            "model": self.task.model.name(),
            "contradiction": null,
        });
        let mut meter = self.meter();
        let narrowed = self.task.narrowed(self.case);
        let start = [Start::new(self.task.initial.clone())];
        // Told with every value by its name, and without what only later operations show, if that can be searched too and
        // leaves few states: easier to follow by hand.
        let named = self.as_told(&narrowed);
        match run(self.task.model, &named, &start, &mut meter) {
            Some(stuck) if stuck.last.len() <= STATES_SHOWN => {
                self.explain(&named, &stuck, &mut meter, &mut witness);
            }
            _ => {
                let operation = self.case.entries[found.entry].operation;
                let entry = narrowed.partition_point(|entry| entry.operation < operation);
                let stuck = Stuck {
                    entry,
                    last: found.last.clone(),
                    quiet: found.quiet,
                };
                self.explain(&narrowed, &stuck, &mut meter, &mut witness);
            }
        }
        let why = match witness["stuck"]["operation"]["text"].as_str() {
            Some(last) => format!("no order of its operations lets `{last}` happen"),
            None => "no order of its operations is legal".to_owned(),
        };
        let summary = format!("{} is not linearizable: {why}", self.key);
        (summary, witness, meter.visited)
    }

    /// The calls as they were, of those operations that are worth telling of.
    fn as_told(&self, narrowed: &[Entry<M::Call>]) -> Vec<Entry<M::Call>> {
        let mut kept = narrowed.iter().map(|entry| entry.operation).peekable();
        let entries = self.case.entries.iter();
        entries
            .filter(|entry| kept.next_if_eq(&entry.operation).is_some())
            .cloned()
            .collect()
    }

    fn explain(
        &self,
        entries: &[Entry<M::Call>],
        stuck: &Stuck<M>,
        meter: &mut Meter,
        witness: &mut Value,
    ) {
        let mut window = self.window(entries, stuck, meter);
        let shrunk = self.shrink(&mut window, meter);
        self.show_window(&window, stuck, shrunk, witness);
    }

    /// The window as the search left it, before shrinking.
    fn window(&self, entries: &[Entry<M::Call>], stuck: &Stuck<M>, meter: &mut Meter) -> Window<M> {
        let last = entries[stuck.entry].clone();
        let end = last.ret;
        let start = vec![Start::new(self.task.initial.clone())];
        let cut = stuck.quiet.and_then(|quiet| {
            let starts = Search::new(self.task.model, entries).run_to(quiet, &start, meter)?;
            Some((quiet, starts))
        });
        let (after, starts) = match cut {
            Some((quiet, starts)) => (Some(quiet), starts),
            None => (None, start),
        };
        let mut window = Window {
            after,
            starts,
            optional: Vec::new(),
            answered: Vec::new(),
            last,
        };
        let last = window.last.operation;
        for entry in entries
            .iter()
            .filter(|entry| entry.inv < end && entry.operation != last)
        {
            if after.is_some_and(|after| entry.ret <= after) {
                continue;
            }
            if entry.certain && entry.ret < end {
                window.answered.push(entry.clone());
            } else if !entry.certain {
                window.optional.push(entry.clone());
            } else {
                // Still in flight at the end: it may have happened, with the outcome that is known.
                window.optional.push(perhaps(entry));
            }
        }
        window
            .optional
            .retain(|entry| !self.task.model.is_pure(&entry.call));
        window
    }

    /// Whether the window, with these of its answered operations, still cannot be ordered.
    fn stays_illegal(
        &self,
        window: &Window<M>,
        answered: &[Entry<M::Call>],
        dropped: &[Entry<M::Call>],
        meter: &mut Meter,
    ) -> bool {
        let mut entries = window.optional.clone();
        entries.extend(self.may_have_happened(dropped));
        entries.extend_from_slice(answered);
        entries.push(window.last.clone());
        run(self.task.model, &entries, &window.starts, meter).is_some()
    }

    fn may_have_happened(
        &self,
        dropped: &[Entry<M::Call>],
    ) -> impl Iterator<Item = Entry<M::Call>> {
        dropped
            .iter()
            .filter(|entry| !self.task.model.is_pure(&entry.call))
            .map(perhaps)
    }

    /// Drops answered operations, many at a time and then one by one. Whether it came to the end.
    fn shrink(&self, window: &mut Window<M>, meter: &mut Meter) -> bool {
        let mut size = window.answered.len();
        while size > 0 {
            let mut at = 0;
            while at < window.answered.len() {
                let end = (at + size).min(window.answered.len());
                let (mut kept, dropped) =
                    (window.answered.clone(), window.answered[at..end].to_vec());
                kept.drain(at..end);
                if meter.visit().is_err() {
                    return false;
                }
                if self.stays_illegal(window, &kept, &dropped, meter) {
                    window.answered = kept;
                    window.optional.extend(self.may_have_happened(&dropped));
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
        true
    }

    /// Runs the window once more and writes down what it shows.
    fn show_window(&self, window: &Window<M>, first: &Stuck<M>, shrunk: bool, witness: &mut Value) {
        let mut entries = window.optional.clone();
        entries.extend_from_slice(&window.answered);
        entries.push(window.last.clone());
        let budget = Budget {
            states: self.task.budget.states.min(SHRINK_STATES),
            bytes: u64::MAX,
            deadline: None,
        };
        let mut meter = Meter::new(budget.states, &budget);
        let again = run(self.task.model, &entries, &window.starts, &mut meter);
        let (last_states, last) = match &again {
            Some(stuck) => (&stuck.last, &entries[stuck.entry]),
            // The first search proved it; only its explanation was too long to repeat.
            None => (&first.last, &window.last),
        };
        witness["from"] = json!({
            "index": window.after,
            "time": window.after.and_then(|index| self.time_at(index)),
            "states": self.show_states(&window.starts, &last.call, false),
        });
        let show = |entries: &[Entry<M::Call>]| -> Vec<Value> {
            let mut entries: Vec<&Entry<M::Call>> = entries.iter().collect();
            entries.sort_by_key(|entry| entry.inv);
            entries
                .iter()
                .map(|entry| self.show_operation(entry.operation))
                .collect()
        };
        witness["window"] = json!(show(&window.answered));
        witness["may_have_happened"] = json!(show(&window.optional));
        witness["stuck"] = json!({
            "operation": self.show_operation(last.operation),
            "states": self.show_states(last_states, &last.call, true),
        });
        witness["smallest"] = json!(shrunk);
    }

    fn time_at(&self, index: u32) -> Option<u64> {
        let at = |operation: &&Operation<'_>| {
            operation
                .completion()
                .is_some_and(|completion| completion.index() == u64::from(index))
        };
        let mut operations = self.task.operations.iter();
        let operation = operations.find(at)?;
        operation.end().map(|time| time.0)
    }

    /// Each distinct state once, as far as it matters to the call, with the operation that made it; and, where that is asked, why
    /// the call does not fit.
    fn show_states(&self, starts: &[Start<M>], call: &M::Call, why: bool) -> Vec<Value> {
        let model = self.task.model;
        let mut distinct: FxHashSet<&M::State> = FxHashSet::default();
        let mut told: Vec<Value> = Vec::new();
        for Start { state, by, .. } in starts {
            if told.len() == STATES_SHOWN {
                break;
            }
            if !distinct.insert(state) {
                continue;
            }
            let known = self.revealed(state, *by);
            let mut shown = json!({
                "state": model.show_about(&known, call, self.task.values),
                "by": by.map(|place| self.show_operation(place)),
            });
            if why {
                shown["why"] = json!(match model.step(state, call) {
                    None => model.why_not(&known, call, self.task.values),
                    Some(_) =>
                        "it would fit, but another operation had to come first and could not"
                            .to_owned(),
                });
            }
            // States that differ elsewhere only look the same.
            if !told.contains(&shown) {
                told.push(shown);
            }
        }
        told
    }

    /// The state with its value, which the operation that made it knows even if nobody read it.
    fn revealed(&self, state: &M::State, by: Option<u32>) -> M::State {
        let entries = &self.case.entries;
        let made_by = by.and_then(|place| {
            let at = entries.partition_point(|entry| entry.operation < place);
            entries.get(at).filter(|entry| entry.operation == place)
        });
        made_by.map_or_else(
            || state.clone(),
            |entry| self.task.model.reveal(state, &entry.call),
        )
    }

    fn show_operation(&self, place: u32) -> Value {
        crate::describe::operation(&self.task.operations[place as usize])
    }
}
