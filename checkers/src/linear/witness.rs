//! From "no order exists" to the smallest window that a person can check by hand.
//!
//! The window begins after the last moment at which nothing was in flight, with the states that were possible there, and ends
//! with the operation that could not happen. Then whatever can go without making the window orderable goes: reads are left
//! out, and answered writes are turned into writes that may have happened. (Leaving an answered write out altogether would
//! prove nothing.) Every step is checked again by the same search.

use super::budget::Meter;
use super::model::{Contradiction, Entry, Model, Values};
use super::search::{Outcome, Search, Stuck};
use super::table::Config;
use crate::history::Operation;
use crate::verdict::Budget;
use serde_json::{Value, json};

/// Configurations that shrinking may visit: it must never take longer than the search that it explains.
const SHRINK_STATES: u64 = 500_000;

/// States that are listed at most; a window that allows more is not a small one.
const STATES_SHOWN: usize = 16;

/// What a witness is made from.
pub(super) struct Witness<'a, 'h, M: Model> {
    pub(super) model: &'a M,
    pub(super) values: &'a Values,
    pub(super) operations: &'a [Operation<'h>],
    pub(super) initial: M::State,
    pub(super) plain: &'a [Entry<M::Call>],
    pub(super) narrowed: &'a [Entry<M::Call>],
    pub(super) contradiction: Option<&'a Contradiction>,
    pub(super) key: &'a str,
}

/// A part of a history that cannot be ordered from any of its starts.
struct Window<M: Model> {
    /// The line before it; `None` for the beginning of the history.
    after: Option<u64>,
    starts: Vec<Config<M::State>>,
    /// Operations that may have happened: those from before the window first, so that their classes keep their numbers.
    optional: Vec<Entry<M::Call>>,
    /// Operations that were answered, in the order of their invocations; `last` is not among them.
    answered: Vec<Entry<M::Call>>,
    /// The operation that cannot happen.
    last: Entry<M::Call>,
}

impl<M: Model> Witness<'_, '_, M> {
    /// One sentence and the evidence.
    pub(super) fn build(
        &self,
        stuck: Option<&Stuck<M::State>>,
        budget: &Budget,
    ) -> (String, Value) {
        let contradiction = self.contradiction.map(|found| {
            let operations: Vec<Value> = found
                .operations
                .iter()
                .map(|place| self.show_operation(*place))
                .collect();
            json!({ "text": found.text, "operations": operations })
        });
        let mut witness =
            json!({ "key": self.key, "model": self.model.name(), "contradiction": contradiction });
        if let Some(stuck) = stuck {
            let mut meter = Meter::new(SHRINK_STATES, budget);
            // Told with every value by its name, and without what only later operations show, if that can be searched too and
            // leaves few states: easier to follow by hand.
            let start = vec![Config::new(self.initial)];
            let told;
            let (entries, stuck) = match Search::new(self.model, self.plain).run(start, &mut meter)
            {
                Outcome::Illegal(plain) if plain.last.len() <= STATES_SHOWN => {
                    told = plain;
                    (self.plain, &told)
                }
                _ => (self.narrowed, stuck),
            };
            let mut window = self.window(entries, stuck, &mut meter);
            let shrunk = self.shrink(&mut window, &mut meter);
            self.show_window(&window, stuck, shrunk, &mut witness);
        }
        (self.summary(&witness), witness)
    }

    fn summary(&self, witness: &Value) -> String {
        let found = match (
            self.contradiction,
            witness["stuck"]["operation"]["text"].as_str(),
        ) {
            (Some(found), _) => found.text.clone(),
            (None, Some(last)) => format!("no order of its operations lets `{last}` happen"),
            (None, None) => "no order of its operations is legal".to_owned(),
        };
        format!("{} is not linearizable: {found}", self.key)
    }

    /// The window as the search left it, before shrinking.
    fn window(
        &self,
        entries: &[Entry<M::Call>],
        stuck: &Stuck<M::State>,
        meter: &mut Meter,
    ) -> Window<M> {
        let last = entries[stuck.entry];
        let end = last.ret.expect("an operation got stuck when it returned");
        let start = vec![Config::new(self.initial)];
        let cut = stuck.quiet.and_then(|quiet| {
            let starts = Search::new(self.model, entries).run_to(quiet, start.clone(), meter)?;
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
        for entry in entries
            .iter()
            .filter(|entry| entry.inv < end && **entry != last)
        {
            match entry.ret {
                Some(ret) if after.is_some_and(|after| ret <= after) => {}
                Some(ret) if ret < end => window.answered.push(*entry),
                // Still in flight at the end: it may have happened, with the outcome that is known.
                _ => window.optional.push(Entry {
                    ret: None,
                    ..*entry
                }),
            }
        }
        window
            .optional
            .retain(|entry| !self.model.is_pure(&entry.call));
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
        entries.extend(
            dropped
                .iter()
                .filter(|entry| !self.model.is_pure(&entry.call))
                .map(|entry| Entry {
                    ret: None,
                    ..*entry
                }),
        );
        entries.extend_from_slice(answered);
        entries.push(window.last);
        let outcome = Search::new(self.model, &entries).run(window.starts.clone(), meter);
        matches!(outcome, Outcome::Illegal(_))
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
                    let may_have = dropped
                        .into_iter()
                        .filter(|entry| !self.model.is_pure(&entry.call));
                    window
                        .optional
                        .extend(may_have.map(|entry| Entry { ret: None, ..entry }));
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
        true
    }

    /// Runs the window once more and writes down what it shows.
    fn show_window(
        &self,
        window: &Window<M>,
        first: &Stuck<M::State>,
        shrunk: bool,
        witness: &mut Value,
    ) {
        let mut entries = window.optional.clone();
        entries.extend_from_slice(&window.answered);
        entries.push(window.last);
        let mut meter = Meter::new(
            SHRINK_STATES,
            &Budget {
                states: SHRINK_STATES,
                bytes: u64::MAX,
                deadline: None,
            },
        );
        let outcome = Search::new(self.model, &entries).run(window.starts.clone(), &mut meter);
        let (last_states, last) = match &outcome {
            Outcome::Illegal(stuck) => (&stuck.last, &entries[stuck.entry]),
            // The first search proved it; only its explanation was too long to repeat.
            _ => (&first.last, &window.last),
        };
        witness["from"] = json!({
            "index": window.after,
            "time": window.after.and_then(|index| self.time_at(index)),
            "states": self.show_states(&window.starts, None),
        });
        let mut answered: Vec<&Entry<M::Call>> = window.answered.iter().collect();
        answered.sort_by_key(|entry| entry.inv);
        let mut optional: Vec<&Entry<M::Call>> = window.optional.iter().collect();
        optional.sort_by_key(|entry| entry.inv);
        let show = |entries: Vec<&Entry<M::Call>>| -> Vec<Value> {
            entries
                .iter()
                .map(|entry| self.show_operation(entry.operation))
                .collect()
        };
        witness["window"] = json!(show(answered));
        witness["may_have_happened"] = json!(show(optional));
        witness["stuck"] = json!({
            "operation": self.show_operation(last.operation),
            "states": self.show_states(last_states, Some(&last.call)),
        });
        witness["smallest"] = json!(shrunk);
    }

    fn time_at(&self, index: u64) -> Option<u64> {
        let at = |operation: &&Operation<'_>| {
            operation
                .completion()
                .is_some_and(|completion| completion.index() == index)
        };
        self.operations
            .iter()
            .find(at)
            .and_then(|operation| operation.end())
            .map(|time| time.0)
    }

    /// Each distinct state once, with the operation that made it, and why the call does not fit.
    fn show_states(&self, configs: &[Config<M::State>], call: Option<&M::Call>) -> Vec<Value> {
        let mut states: Vec<(M::State, Option<u32>)> = configs
            .iter()
            .map(|config| (config.state, config.by))
            .collect();
        states.sort_unstable();
        states.dedup_by_key(|(state, _)| *state);
        let show = |&(state, by): &(M::State, Option<u32>)| {
            let known = self.revealed(state, by);
            let mut shown = json!({
                "state": self.model.show(known, self.values),
                "by": by.map(|place| self.show_operation(place as usize)),
            });
            if let Some(call) = call {
                shown["why"] = json!(match self.model.step(state, call) {
                    None => self.model.why_not(known, call, self.values),
                    Some(_) =>
                        "it would fit, but another operation had to come first and could not"
                            .to_owned(),
                });
            }
            shown
        };
        states.iter().take(STATES_SHOWN).map(show).collect()
    }

    /// The state with its value, which the operation that made it knows even if nobody read it.
    fn revealed(&self, state: M::State, by: Option<u32>) -> M::State {
        let made_by = by.and_then(|place| {
            let mut entries = self.plain.iter();
            entries.find(|entry| entry.operation == place as usize)
        });
        made_by.map_or(state, |entry| self.model.reveal(state, &entry.call))
    }

    fn show_operation(&self, place: usize) -> Value {
        crate::describe::operation(&self.operations[place])
    }
}
