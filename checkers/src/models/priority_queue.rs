//! A priority queue: the least value comes out first.

use super::container::{self, Words};
use crate::containers::{self, Call, Telling, Trie};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `priority-queue`.
///
/// A priority queue: the least value comes out first.
///
/// What it proves: values went in and came out in one order that agrees with real time, each time the least of those inside. A
/// value is a whole number, and its own priority; equal ones may be inside more than once. A poll of nothing is `ok` with `null`
/// (or with the error `empty` or `exhausted`); one that is `fail` says nothing. In n log n steps where no value is added twice
/// (and few polls are of unknown outcome); by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"add","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"add","value":5}
/// {"index":2,"time":11,"process":1,"type":"invoke","f":"poll","value":null}
/// {"index":3,"time":14,"process":1,"type":"ok","f":"poll","value":5}
/// ```
#[derive(Debug, Clone, Default)]
pub struct PriorityQueue {
    /// The values inside before the first operation, as a list; `null` is none.
    pub initial: Value,
}

const WORDS: Words = Words {
    model: "priority-queue",
    put: &["add"],
    got: &["poll", "poll-min"],
};

/// Numbers as the trie orders them: the least negative one first.
fn ordered(priority: i64) -> u64 {
    priority as u64 ^ 1 << 63
}

fn priority(ordered: u64) -> i64 {
    (ordered ^ 1 << 63) as i64
}

impl PriorityQueue {
    fn without_least(state: &Trie) -> Option<Trie> {
        state.least().and_then(|least| state.without(least))
    }
}

impl Model for PriorityQueue {
    type State = Trie;
    type Call = Call<i64>;

    fn name(&self) -> &'static str {
        WORDS.model
    }

    fn initial(&self, _: &mut Values) -> Result<Trie, String> {
        let inside = container::inside(&self.initial, WORDS.model)?.iter();
        let numbers = inside.map(|value| {
            let number = value.as_i64().map(ordered);
            number.ok_or_else(|| format!("a priority is a whole number, not {value}"))
        });
        numbers.collect()
    }

    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Call<i64>>, String> {
        container::call(operation, &WORDS, |value| {
            let number = value.as_i64();
            number.ok_or_else(|| {
                format!("has the value {value}; expected a priority, a whole number")
            })
        })
    }

    fn step(&self, state: &Trie, call: &Call<i64>) -> Option<Trie> {
        match *call {
            Call::Put(value) => Some(state.with(ordered(value))),
            Call::Got(value) => {
                let least = state.least()?;
                if least == ordered(value) {
                    state.without(least)
                } else {
                    None
                }
            }
            Call::Empty => state.is_empty().then(|| state.clone()),
            Call::Took => Some(Self::without_least(state).unwrap_or_default()),
        }
    }

    fn is_pure(&self, call: &Call<i64>) -> bool {
        *call == Call::Empty
    }

    fn observes(&self, call: &Call<i64>) -> bool {
        container::observes(call)
    }

    fn narrow(&self, entries: &mut Vec<Entry<Call<i64>>>) {
        container::narrow(entries);
    }

    fn show(&self, state: &Trie, _: &Values) -> String {
        container::list(state.iter().map(|number| priority(number).to_string()))
    }

    fn why_not(&self, state: &Trie, call: &Call<i64>, values: &Values) -> String {
        let told = container::told(call, i64::to_string);
        container::why_not(&told, &self.show(state, values))
    }

    fn quick(&self, state: &Trie, entries: &[Entry<Call<i64>>], _: &Values) -> Quick {
        if !state.is_empty() {
            return Quick::Open(container::NOT_EMPTY);
        }
        let telling = Telling {
            put: "added",
            got: "polled",
            name: &|value: i64| value.to_string(),
        };
        containers::priority_queue(entries, &telling)
    }

    fn state_bytes(&self, state: &Trie) -> usize {
        state.path_bytes()
    }
}
