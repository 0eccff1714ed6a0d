//! A plain register: a value that is written and read.

use super::cas_register::{Call, CasRegister};
use super::{refused, unknown_error, unknown_function};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use serde_json::Value;

/// The model `register`: a [`CasRegister`] without compare-and-set.
///
/// A plain register: a value that is written and read.
///
/// What it proves: the reads and writes of one object happened in one order that agrees with real time. It begins with
/// `null`, unless said otherwise. It knows neither versions nor compare-and-set. In n log n steps where every value that was
/// read was written once; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"write","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"write","value":5}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Register {
    register: CasRegister,
}

impl Register {
    /// A register with this value before the first operation.
    pub fn starting_with(initial: Value) -> Register {
        Register {
            register: CasRegister { initial },
        }
    }
}

impl Model for Register {
    type State = ValueId;
    type Call = Call;

    fn name(&self) -> &'static str {
        "register"
    }
    fn initial(&self, values: &mut Values) -> Result<ValueId, String> {
        self.register.initial(values)
    }
    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        if !matches!(operation.f(), "write" | "read") {
            return Err(unknown_function(operation, self.name(), "write and read"));
        }
        if refused(operation).is_some() {
            return Err(unknown_error(operation, self.name(), "none"));
        }
        self.register.call(operation, values)
    }
    fn step(&self, state: &ValueId, call: &Call) -> Option<ValueId> {
        self.register.step(state, call)
    }
    fn is_pure(&self, call: &Call) -> bool {
        self.register.is_pure(call)
    }
    fn is_blind(&self, call: &Call) -> bool {
        self.register.is_blind(call)
    }
    fn observes(&self, call: &Call) -> bool {
        self.register.observes(call)
    }
    fn narrow(&self, entries: &mut Vec<Entry<Call>>) {
        self.register.narrow(entries);
    }
    fn blur(&self, entries: &mut [Entry<Call>]) {
        self.register.blur(entries);
    }
    fn reveal(&self, state: &ValueId, made_by: &Call) -> ValueId {
        self.register.reveal(state, made_by)
    }
    fn show(&self, state: &ValueId, values: &Values) -> String {
        self.register.show(state, values)
    }
    fn why_not(&self, state: &ValueId, call: &Call, values: &Values) -> String {
        self.register.why_not(state, call, values)
    }
    fn quick(&self, initial: &ValueId, entries: &[Entry<Call>], values: &Values) -> Quick {
        self.register.quick(initial, entries, values)
    }
    fn knows_ends(&self) -> bool {
        true
    }
}
