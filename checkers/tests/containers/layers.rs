//! A model's layers, each by itself.

use super::common::PLENTY;
use keelhaul_checkers::linear::{Entry, Linearizable, Model, NEVER, Quick, Values};
use keelhaul_checkers::{Checker, Finding, History, Kind, Operation, Verdict};

/// The model's calls, and what its own algorithm says of them.
pub fn quick<M: Model>(model: &M, history: &History) -> Quick {
    let mut values = Values::default();
    let initial = model.initial(&mut values).unwrap();
    let operations = history.operations().unwrap();
    let mut entries = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        if operation.kind() == Kind::Fail {
            continue;
        }
        let Some(call) = model.call(operation, &mut values).unwrap() else {
            continue;
        };
        if operation.is_ok() || !model.is_pure(&call) {
            entries.push(Entry {
                call,
                inv: operation.inv() as u32,
                ret: operation.ret().map_or(NEVER, |ret| ret as u32),
                operation: place as u32,
                certain: operation.is_ok(),
            });
        }
    }
    model.quick(&initial, &entries, &values)
}

/// The model without its own algorithm: the general search alone.
pub struct Searched<M>(pub M);

impl<M: Model> Model for Searched<M> {
    type State = M::State;
    type Call = M::Call;
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn initial(&self, values: &mut Values) -> Result<M::State, String> {
        self.0.initial(values)
    }
    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<M::Call>, String> {
        self.0.call(operation, values)
    }
    fn step(&self, state: &M::State, call: &M::Call) -> Option<M::State> {
        self.0.step(state, call)
    }
    fn is_pure(&self, call: &M::Call) -> bool {
        self.0.is_pure(call)
    }
    fn is_blind(&self, call: &M::Call) -> bool {
        self.0.is_blind(call)
    }
    fn narrow(&self, entries: &mut Vec<Entry<M::Call>>) {
        self.0.narrow(entries);
    }
    fn blur(&self, entries: &mut [Entry<M::Call>]) {
        self.0.blur(entries);
    }
    fn reveal(&self, state: &M::State, made_by: &M::Call) -> M::State {
        self.0.reveal(state, made_by)
    }
    fn show(&self, state: &M::State, values: &Values) -> String {
        self.0.show(state, values)
    }
    fn why_not(&self, state: &M::State, call: &M::Call, values: &Values) -> String {
        self.0.why_not(state, call, values)
    }
}

/// What the general search alone says.
pub fn searched<M: Model + 'static>(model: M, history: &History) -> Option<bool> {
    valid(&Linearizable::of(Searched(model)).check(history, &PLENTY))
}

/// What all layers say together.
pub fn judged<M: Model + 'static>(model: M, history: &History) -> Option<bool> {
    valid(&Linearizable::of(model).check(history, &PLENTY))
}

fn valid(finding: &Finding) -> Option<bool> {
    match finding.verdict {
        Verdict::Valid => Some(true),
        Verdict::Invalid(_) => Some(false),
        Verdict::Unknown(_) => None,
    }
}
