//! A queue without order: what is enqueued is dequeued once, in any order.

use super::container::{self, Words};
use crate::containers::{self, Call, Telling, Trie};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use serde_json::Value;

/// The model `unordered-queue`.
///
/// A queue without order: what is enqueued is dequeued once, in any order.
///
/// What it proves: values went in and came out in one order that agrees with real time. A dequeue of nothing is `ok` with `null`
/// (or with the error `empty` or `exhausted`), and then nothing was inside; one that is `fail` says nothing. In n log n steps
/// where no value is put twice; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"enqueue","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"enqueue","value":5}
/// {"index":2,"time":11,"process":1,"type":"invoke","f":"dequeue","value":null}
/// {"index":3,"time":14,"process":1,"type":"ok","f":"dequeue","value":5}
/// ```
#[derive(Debug, Clone, Default)]
pub struct UnorderedQueue {
    /// The values inside before the first operation, as a list; `null` is none.
    pub initial: Value,
}

const WORDS: Words = Words {
    model: "unordered-queue",
    put: &["enqueue"],
    got: &["dequeue"],
};

/// What is inside, and what is gone though nobody knows which.
///
/// A dequeue of unknown outcome took one of the values that were inside when it happened: which one need not be chosen before
/// it shows. So values stand in groups by the dequeues of unknown outcome that they came before, and from the groups up to any
/// place as many must be left as such dequeues have taken of them. Where just as many are left, they are all gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The older values: each group, and how many dequeues of unknown outcome came right after it (never none).
    groups: Vec<(Trie, u64)>,
    /// What came in after the last of them.
    newest: Trie,
}

impl State {
    fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.newest.is_empty()
    }

    fn with(&self, value: u64) -> State {
        State {
            groups: self.groups.clone(),
            newest: self.newest.with(value),
        }
    }

    /// The youngest of equal values goes: the older ones can stand for more.
    fn without(&self, value: u64) -> Option<State> {
        let mut state = self.clone();
        if let Some(newest) = state.newest.without(value) {
            state.newest = newest;
            return Some(state);
        }
        let fewer = |(group, _): &mut (Trie, u64)| {
            let fewer = group.without(value);
            fewer.map(|fewer| *group = fewer).is_some()
        };
        state
            .groups
            .iter_mut()
            .rev()
            .find_map(|group| fewer(group).then_some(()))?;
        state.settle().then_some(state)
    }

    fn with_one_taken(&self) -> State {
        let mut state = self.clone();
        if !state.newest.is_empty() {
            state.groups.push((std::mem::take(&mut state.newest), 1));
        } else if let Some((_, taken)) = state.groups.last_mut() {
            *taken += 1;
        }
        state.settle();
        state
    }

    /// Drops what is all gone; false if more is gone than there was.
    fn settle(&mut self) -> bool {
        let mut gone = 0;
        let (mut inside, mut taken) = (0, 0);
        for (place, (group, count)) in self.groups.iter().enumerate() {
            inside += group.len();
            taken += count;
            if inside < taken {
                return false;
            }
            if inside == taken {
                gone = place + 1;
                (inside, taken) = (0, 0);
            }
        }
        self.groups.drain(..gone);
        true
    }

    fn values(&self) -> impl Iterator<Item = u64> {
        self.groups
            .iter()
            .flat_map(|(group, _)| group.iter())
            .chain(self.newest.iter())
    }

    fn gone(&self) -> u64 {
        self.groups.iter().map(|(_, taken)| taken).sum()
    }
}

impl Model for UnorderedQueue {
    type State = State;
    type Call = Call<ValueId>;

    fn name(&self) -> &'static str {
        WORDS.model
    }

    fn initial(&self, values: &mut Values) -> Result<State, String> {
        let inside = container::inside(&self.initial, WORDS.model)?.iter();
        let numbers = inside.map(|value| u64::from(values.id_of(value).number()));
        Ok(State {
            groups: Vec::new(),
            newest: numbers.collect(),
        })
    }

    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Call<ValueId>>, String> {
        container::call(operation, &WORDS, |value| Ok(values.id(value)))
    }

    fn step(&self, state: &State, call: &Call<ValueId>) -> Option<State> {
        match call {
            Call::Put(value) => Some(state.with(value.number().into())),
            Call::Got(value) => state.without(value.number().into()),
            Call::Empty => state.is_empty().then(|| state.clone()),
            Call::Took => Some(state.with_one_taken()),
        }
    }

    fn is_pure(&self, call: &Call<ValueId>) -> bool {
        *call == Call::Empty
    }

    fn observes(&self, call: &Call<ValueId>) -> bool {
        container::observes(call)
    }

    fn narrow(&self, entries: &mut Vec<Entry<Call<ValueId>>>) {
        container::narrow(entries);
    }

    fn blur(&self, entries: &mut [Entry<Call<ValueId>>]) {
        container::blur(entries);
    }

    fn show(&self, state: &State, values: &Values) -> String {
        let name = |number| container::name(ValueId::numbered(number as u32), values);
        let names = state.values().map(name);
        match state.gone() {
            0 => container::list(names),
            gone => format!("{} less {gone} of the older ones", container::list(names)),
        }
    }

    fn why_not(&self, state: &State, call: &Call<ValueId>, values: &Values) -> String {
        let told = container::told(call, |value| container::name(*value, values));
        container::why_not(&told, &self.show(state, values))
    }

    fn quick(&self, state: &State, entries: &[Entry<Call<ValueId>>], values: &Values) -> Quick {
        if !state.is_empty() {
            return Quick::Open(container::NOT_EMPTY);
        }
        let telling = Telling {
            put: "enqueued",
            got: "dequeued",
            name: &|value| container::name(value, values),
        };
        containers::bag(entries, &telling)
    }

    fn state_bytes(&self, state: &State) -> usize {
        let groups: usize = state.groups.len() * size_of::<(Trie, u64)>();
        size_of::<State>() + groups + state.newest.path_bytes()
    }
}
