//! A plain register: a value that is written and read.
//!
//! What it proves: the reads and writes of one object happened in one order that agrees with real time. It begins with
//! `null`. It knows neither versions nor compare-and-set.
//!
//! ```text
//! {"index":0,"time":5,"process":1,"type":"invoke","f":"write","value":5}
//! {"index":1,"time":9,"process":1,"type":"ok","f":"write","value":5}
//! ```

use super::cas_register::{Call, CasRegister};
use super::unknown_function;
use crate::history::Operation;
use crate::linear::{Model, ValueId, Values};

/// The model `register`: a [`CasRegister`] without compare-and-set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Register;

impl Model for Register {
    type State = ValueId;
    type Call = Call;

    fn name(&self) -> &'static str {
        "register"
    }
    fn initial(&self, values: &mut Values) -> ValueId {
        CasRegister::default().initial(values)
    }
    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        match operation.f() {
            "read" | "write" => CasRegister::default().call(operation, values),
            _ => Err(unknown_function(operation, self.name(), "write and read")),
        }
    }
    fn step(&self, state: ValueId, call: &Call) -> Option<ValueId> {
        CasRegister::default().step(state, call)
    }
    fn is_pure(&self, call: &Call) -> bool {
        CasRegister::default().is_pure(call)
    }
    fn observes(&self, call: &Call) -> bool {
        CasRegister::default().observes(call)
    }
    fn blur(&self, calls: &mut [Call]) {
        CasRegister::default().blur(calls);
    }
    fn reveal(&self, state: ValueId, made_by: &Call) -> ValueId {
        CasRegister::default().reveal(state, made_by)
    }
    fn show(&self, state: ValueId, values: &Values) -> String {
        CasRegister::default().show(state, values)
    }
    fn why_not(&self, state: ValueId, call: &Call, values: &Values) -> String {
        CasRegister::default().why_not(state, call, values)
    }
}
