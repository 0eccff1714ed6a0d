//! A mutex that its owner may acquire again.

use super::fenced_mutex::{Call, State, call, is_pure};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `reentrant-mutex`.
///
/// A mutex that its owner may acquire again.
///
/// What it proves: one process at a time held it, not more often at once than allowed, and only who held it released it, as
/// often as it had acquired it, in one order that agrees with real time. An owner may acquire it twice, as in Hazelcast's Jepsen
/// test, unless the initial value says how often. In n log n steps, unless calls were refused
/// ([`FencedMutex`](super::FencedMutex) says what that means).
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"acquire","value":null}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"acquire","value":null}
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReentrantMutex {
    /// How often its owner may acquire it without a release between; `null` is 2.
    pub limit: Value,
}

impl Model for ReentrantMutex {
    type State = State;
    type Call = Call;

    fn name(&self) -> &'static str {
        "reentrant-mutex"
    }
    fn initial(&self, _: &mut Values) -> Result<State, String> {
        State::free(&self.limit, 2)
    }
    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Call>, String> {
        call(operation, self.name(), false)
    }
    fn step(&self, state: &State, call: &Call) -> Option<State> {
        state.step(call)
    }
    fn is_pure(&self, call: &Call) -> bool {
        is_pure(call)
    }
    fn show(&self, state: &State, _: &Values) -> String {
        state.show()
    }
    fn why_not(&self, state: &State, call: &Call, _: &Values) -> String {
        state.why_not(call)
    }
    fn quick(&self, state: &State, entries: &[Entry<Call>], _: &Values) -> Quick {
        state.quick(entries)
    }
}
