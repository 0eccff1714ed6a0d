//! What a model must say so that histories can be judged against it.

use crate::history::{Operation, ValueRef};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object: its states, and which calls may happen in which state.
///
/// A model is pure data and functions; it knows nothing of time, processes or searching.
pub trait Model: Send + Sync {
    /// A state of the object. Small: the search holds many.
    type State: Copy + Eq + Ord + Hash + Debug;
    /// A call with what is known of its outcome. Two calls that are equal can stand for each other.
    type Call: Copy + Eq + Hash + Debug;

    /// The model's name, as `--model` takes it.
    fn name(&self) -> &'static str;

    /// The state before the first operation.
    fn initial(&self, values: &mut Values) -> Self::State;

    /// The call that an operation made, for `ok` and indeterminate operations (failed ones never happened).
    ///
    /// `None` drops it: it says nothing (a read without an answer). An error says why the operation is not one of this
    /// model, in words that follow "the operation at index 7".
    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Self::Call>, String>;

    /// The state after the call, or `None` if it cannot happen in this state with this outcome.
    fn step(&self, state: Self::State, call: &Self::Call) -> Option<Self::State>;

    /// Whether the call leaves every state as it is.
    fn is_pure(&self, call: &Self::Call) -> bool;

    /// Whether the call, if it was answered, says anything of a state: a history of which no answer does proves nothing.
    fn observes(&self, call: &Self::Call) -> bool;

    /// Writes into indeterminate calls what the other operations show of them, without changing what is legal.
    fn narrow(&self, _calls: &mut [Self::Call]) {}

    /// Rewrites calls so that more of them are equal, without changing what is legal: values that nobody ever observes
    /// become [`ValueId::UNSEEN`].
    fn blur(&self, calls: &mut [Self::Call]);

    /// The state with what the call that made it says of it: its value, if that was blurred away.
    fn reveal(&self, state: Self::State, made_by: &Self::Call) -> Self::State;

    /// The state in words.
    fn show(&self, state: Self::State, values: &Values) -> String;

    /// Why the call cannot happen in this state, in words; asked only where [`Model::step`] says `None`.
    fn why_not(&self, state: Self::State, call: &Self::Call, values: &Values) -> String;

    /// Looks in linear time for a few operations that contradict each other whatever the rest did. Sound, not complete.
    fn contradiction(
        &self,
        _entries: &[Entry<Self::Call>],
        _values: &Values,
    ) -> Option<Contradiction> {
        None
    }
}

/// A call within a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<C> {
    /// What was called.
    pub call: C,
    /// Index of the invocation's line.
    pub inv: u64,
    /// Index of the completion's line; `None` for an operation that may have happened at any time after, or never.
    pub ret: Option<u64>,
    /// Which of the history's operations it is.
    pub operation: usize,
}

/// Operations that contradict each other, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// One sentence.
    pub text: String,
    /// Places of the operations in the history's operations, in the order of the sentence.
    pub operations: Vec<usize>,
    /// Index of the line by which the contradiction is there.
    pub at: u64,
}

/// A value by number, so that states stay small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    /// Stands for every value that no operation of the history observes.
    pub const UNSEEN: ValueId = ValueId(0);
}

/// The values of one history, each with its number.
#[derive(Debug)]
pub struct Values {
    numbers: FxHashMap<i64, ValueId>,
    ids: FxHashMap<Value, ValueId>,
    values: Vec<Value>,
}

impl Default for Values {
    fn default() -> Values {
        Values {
            numbers: FxHashMap::default(),
            ids: FxHashMap::default(),
            values: vec![Value::Null],
        }
    }
}

impl Values {
    /// The number of a value, given in the order in which they are first asked for.
    pub fn id(&mut self, value: ValueRef<'_>) -> ValueId {
        let Some(number) = value.as_i64() else {
            return self.id_of(&value.to_json());
        };
        if let Some(id) = self.numbers.get(&number) {
            return *id;
        }
        let id = self.add(Value::from(number));
        self.numbers.insert(number, id);
        id
    }

    /// The same of a value that no history holds.
    pub fn id_of(&mut self, value: &Value) -> ValueId {
        let known = match value.as_i64() {
            Some(number) => self.numbers.get(&number),
            None => self.ids.get(value),
        };
        if let Some(id) = known {
            return *id;
        }
        let id = self.add(value.clone());
        match value.as_i64() {
            Some(number) => self.numbers.insert(number, id),
            None => self.ids.insert(value.clone(), id),
        };
        id
    }

    fn add(&mut self, value: Value) -> ValueId {
        let next = u32::try_from(self.values.len()).expect("a history has fewer than 2^32 values");
        self.values.push(value);
        ValueId(next)
    }

    /// The value of this number.
    pub fn get(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The value in words.
    pub fn show(&self, id: ValueId) -> String {
        if id == ValueId::UNSEEN {
            return "a value that nobody read".to_owned();
        }
        format!("value {}", self.get(id))
    }
}
