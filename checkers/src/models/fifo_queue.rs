//! A queue: first in, first out.

use super::container::{self, Words};
use crate::containers::{self, Call, Chain, Telling};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use serde_json::Value;

/// The model `fifo-queue`.
///
/// A queue: first in, first out.
///
/// What it proves: values went in and came out in one order that agrees with real time, the oldest first. A get of nothing is
/// `ok` with `null` (or with the error `empty` or `exhausted`); one that is `fail` says nothing. In n log n steps where no value is
/// put twice (and, beside gets that found nothing, few gets are of unknown outcome); by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"enqueue","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"enqueue","value":5}
/// {"index":2,"time":11,"process":1,"type":"invoke","f":"dequeue","value":null}
/// {"index":3,"time":14,"process":1,"type":"ok","f":"dequeue","value":5}
/// ```
#[derive(Debug, Clone, Default)]
pub struct FifoQueue {
    /// The values inside before the first operation, as a list, in the order in which they were put; `null` is none.
    pub initial: Value,
}

const WORDS: Words = Words {
    model: "fifo-queue",
    put: &["enqueue"],
    got: &["dequeue"],
};

impl Model for FifoQueue {
    type State = Chain<ValueId>;
    type Call = Call<ValueId>;

    fn name(&self) -> &'static str {
        WORDS.model
    }

    fn initial(&self, values: &mut Values) -> Result<Self::State, String> {
        let inside = container::inside(&self.initial, WORDS.model)?.iter();
        Ok(inside.fold(Chain::default(), |chain, value| {
            chain.with(values.id_of(value))
        }))
    }

    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Self::Call>, String> {
        container::call(operation, &WORDS, |value| Ok(values.id(value)))
    }

    fn step(&self, state: &Self::State, call: &Self::Call) -> Option<Self::State> {
        match *call {
            Call::Put(value) => Some(state.with(value)),
            Call::Got(value) => (state.oldest() == Some(value)).then(|| state.without_oldest()),
            Call::Empty => state.is_empty().then(|| state.clone()),
            Call::Took => Some(state.without_oldest()),
        }
    }

    fn is_pure(&self, call: &Self::Call) -> bool {
        *call == Call::Empty
    }

    fn observes(&self, call: &Self::Call) -> bool {
        container::observes(call)
    }

    fn narrow(&self, entries: &mut Vec<Entry<Self::Call>>) {
        container::narrow(entries);
    }

    fn blur(&self, entries: &mut [Entry<Self::Call>]) {
        container::blur(entries);
    }

    fn show(&self, state: &Self::State, values: &Values) -> String {
        let mut inside: Vec<ValueId> = state.iter().collect();
        inside.reverse();
        container::list(
            inside
                .into_iter()
                .map(|value| container::name(value, values)),
        )
    }

    fn why_not(&self, state: &Self::State, call: &Self::Call, values: &Values) -> String {
        let told = container::told(call, |value| container::name(*value, values));
        container::why_not(&told, &self.show(state, values))
    }

    fn quick(&self, state: &Self::State, entries: &[Entry<Self::Call>], values: &Values) -> Quick {
        if !state.is_empty() {
            return Quick::Open(container::NOT_EMPTY);
        }
        let telling = Telling {
            put: "enqueued",
            got: "dequeued",
            name: &|value| container::name(value, values),
        };
        containers::fifo(entries, &telling)
    }

    fn state_bytes(&self, _: &Self::State) -> usize {
        // A link of its own; the others are shared.
        size_of::<Self::State>() + Chain::<ValueId>::LINK
    }
}
