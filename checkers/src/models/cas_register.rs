//! A register with compare-and-set by value.
//!
//! What it proves: reads, writes and compare-and-sets of one object happened in one order that agrees with real time. A
//! compare-and-set that is `ok` with an error is an observation: the value was another one. One that is `fail` says nothing.
//!
//! ```text
//! {"index":0,"time":5,"process":1,"type":"invoke","f":"cas","value":[null,5]}
//! {"index":1,"time":9,"process":1,"type":"ok","f":"cas","value":[null,5]}
//! ```

use super::{old_and_new, unknown_error, unknown_function};
use crate::history::Operation;
use crate::linear::{Model, ValueId, Values};
use rustc_hash::FxHashSet;
use serde_json::Value;

/// The model `cas-register`.
#[derive(Debug, Clone, Default)]
pub struct CasRegister {
    /// The value before the first operation; `null` unless said otherwise.
    pub initial: Value,
}

/// What was called, and what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A write that took effect (or may have).
    Write(ValueId),
    /// A read that saw this.
    Saw(ValueId),
    /// A compare-and-set that took effect (or may have).
    Cas {
        /// What it demands.
        old: ValueId,
        /// What it writes.
        new: ValueId,
    },
    /// A compare-and-set that found another value than this.
    SawOther(ValueId),
}

impl Model for CasRegister {
    type State = ValueId;
    type Call = Call;

    fn name(&self) -> &'static str {
        "cas-register"
    }

    fn initial(&self, values: &mut Values) -> ValueId {
        values.id_of(&self.initial)
    }

    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        let refused = operation.is_ok() && operation.error().is_some();
        match operation.f() {
            "cas" => {
                let (old, new) = old_and_new(operation, values)?;
                Ok(Some(if refused {
                    Call::SawOther(old)
                } else {
                    Call::Cas { old, new }
                }))
            }
            "read" | "write" if refused => {
                Err(unknown_error(operation, self.name(), "a refused cas"))
            }
            "write" => Ok(Some(Call::Write(values.id(operation.argument())))),
            "read" => Ok(operation.result().map(|value| Call::Saw(values.id(value)))),
            _ => Err(unknown_function(
                operation,
                self.name(),
                "write, cas and read",
            )),
        }
    }

    fn step(&self, state: ValueId, call: &Call) -> Option<ValueId> {
        match *call {
            Call::Write(value) => Some(value),
            Call::Saw(value) => (value == state).then_some(state),
            Call::Cas { old, new } => (old == state).then_some(new),
            Call::SawOther(value) => (value != state).then_some(state),
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        match call {
            Call::Saw(_) | Call::SawOther(_) => true,
            Call::Cas { old, new } => old == new,
            Call::Write(_) => false,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        // A write fits everywhere.
        !matches!(call, Call::Write(_))
    }

    fn blur(&self, calls: &mut [Call]) {
        // A value matters as soon as any call asks for it, were it only in vain.
        let asked: FxHashSet<ValueId> = calls
            .iter()
            .filter_map(|call| match *call {
                Call::Saw(value) | Call::SawOther(value) | Call::Cas { old: value, .. } => {
                    Some(value)
                }
                Call::Write(_) => None,
            })
            .collect();
        for call in calls {
            if let Call::Write(value) | Call::Cas { new: value, .. } = call
                && !asked.contains(value)
            {
                *value = ValueId::UNSEEN;
            }
        }
    }

    fn reveal(&self, state: ValueId, made_by: &Call) -> ValueId {
        match *made_by {
            Call::Write(value) | Call::Cas { new: value, .. } if state == ValueId::UNSEEN => value,
            _ => state,
        }
    }

    fn show(&self, state: ValueId, values: &Values) -> String {
        values.show(state)
    }

    fn why_not(&self, state: ValueId, call: &Call, values: &Values) -> String {
        let has = values.show(state);
        match *call {
            Call::Write(_) => format!("a write always fits, also on {has}"),
            Call::Saw(value) => format!(
                "it saw {}, and the register holds {has}",
                values.show(value)
            ),
            Call::Cas { old, .. } => format!(
                "it demanded {}, and the register holds {has}",
                values.show(old)
            ),
            Call::SawOther(value) => format!(
                "it found another value than {}, and the register holds just that",
                values.show(value)
            ),
        }
    }
}
