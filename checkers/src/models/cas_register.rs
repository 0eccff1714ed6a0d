//! A register with compare-and-set by value.

use super::{old_and_new, unknown_error, unknown_function, zones};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use rustc_hash::FxHashSet;
use serde_json::Value;

/// The model `cas-register`.
///
/// A register with compare-and-set by value.
///
/// What it proves: reads, writes and compare-and-sets of one object happened in one order that agrees with real time. A
/// compare-and-set that is `ok` with an error is an observation: the value was another one. One that is `fail` says nothing.
/// In n log n steps where every value that was observed was written once; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"cas","value":[null,5]}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"cas","value":[null,5]}
/// ```
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

    fn initial(&self, values: &mut Values) -> Result<ValueId, String> {
        Ok(values.id_of(&self.initial))
    }

    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        match operation.f() {
            "read" => {
                let Some(answer) = operation.answer() else {
                    return Ok(None);
                };
                if answer.text("error").is_some() {
                    return Err(unknown_error(operation, self.name(), "a refused cas"));
                }
                Ok(Some(Call::Saw(values.id(answer.value()))))
            }
            "write" if refused(operation) => {
                Err(unknown_error(operation, self.name(), "a refused cas"))
            }
            "write" => Ok(Some(Call::Write(values.id(operation.argument())))),
            "cas" => {
                let (old, new) = old_and_new(operation, values)?;
                Ok(Some(if refused(operation) {
                    Call::SawOther(old)
                } else {
                    Call::Cas { old, new }
                }))
            }
            _ => Err(unknown_function(
                operation,
                self.name(),
                "write, cas and read",
            )),
        }
    }

    fn step(&self, state: &ValueId, call: &Call) -> Option<ValueId> {
        match *call {
            Call::Write(value) => Some(value),
            Call::Saw(value) => (value == *state).then_some(*state),
            Call::Cas { old, new } => (old == *state).then_some(new),
            Call::SawOther(value) => (value != *state).then_some(*state),
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        match call {
            Call::Saw(_) | Call::SawOther(_) => true,
            Call::Cas { old, new } => old == new,
            Call::Write(_) => false,
        }
    }

    fn is_blind(&self, call: &Call) -> bool {
        matches!(call, Call::Write(_))
    }

    fn outdoes(&self, one: &Call, other: &Call) -> bool {
        match (*one, *other) {
            (Call::Write(value), Call::Cas { new, .. }) => value == new,
            _ => false,
        }
    }

    fn observes(&self, call: &Call) -> bool {
        // A write fits everywhere.
        !matches!(call, Call::Write(_))
    }

    fn narrow(&self, entries: &mut Vec<Entry<Call>>) {
        // A failed compare-and-set may have seen any value: then no write is unseen.
        if entries
            .iter()
            .any(|entry| matches!(entry.call, Call::SawOther(_)))
        {
            return;
        }
        let observed = observed(entries);
        entries.retain(|entry| match entry.call {
            Call::Write(value) | Call::Cas { new: value, .. } => {
                entry.certain || observed.contains(&value)
            }
            Call::Saw(_) | Call::SawOther(_) => true,
        });
    }

    fn blur(&self, entries: &mut [Entry<Call>]) {
        // A value matters as soon as any call asks for it, were it only in vain.
        let asked: FxHashSet<ValueId> = entries
            .iter()
            .filter_map(|entry| match entry.call {
                Call::Saw(value) | Call::SawOther(value) | Call::Cas { old: value, .. } => {
                    Some(value)
                }
                Call::Write(_) => None,
            })
            .collect();
        for entry in entries {
            if let Call::Write(value) | Call::Cas { new: value, .. } = &mut entry.call
                && !asked.contains(value)
            {
                *value = ValueId::UNSEEN;
            }
        }
    }

    fn reveal(&self, state: &ValueId, made_by: &Call) -> ValueId {
        match *made_by {
            Call::Write(value) | Call::Cas { new: value, .. } if *state == ValueId::UNSEEN => value,
            _ => *state,
        }
    }

    fn show(&self, state: &ValueId, values: &Values) -> String {
        values.show(*state)
    }

    fn why_not(&self, state: &ValueId, call: &Call, values: &Values) -> String {
        let has = values.show(*state);
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

    fn quick(&self, initial: &ValueId, entries: &[Entry<Call>], values: &Values) -> Quick {
        zones::judge(*initial, entries, values)
    }

    fn knows_ends(&self) -> bool {
        true
    }
}

/// Whether the server answered with an error: an observation.
fn refused(operation: &Operation<'_>) -> bool {
    operation
        .answer()
        .is_some_and(|answer| answer.text("error").is_some())
}

/// The values that were there for certain, or may have had to be so that another one was: whoever wrote none of them may as
/// well not have written at all.
fn observed(entries: &[Entry<Call>]) -> FxHashSet<ValueId> {
    let mut observed = FxHashSet::default();
    for entry in entries {
        match entry.call {
            Call::Saw(value) => {
                observed.insert(value);
            }
            Call::Cas { old, .. } if entry.certain => {
                observed.insert(old);
            }
            _ => {}
        }
    }
    let perhaps: Vec<(ValueId, ValueId)> = entries
        .iter()
        .filter(|entry| !entry.certain)
        .filter_map(|entry| match entry.call {
            Call::Cas { old, new } => Some((old, new)),
            _ => None,
        })
        .collect();
    let mut grows = true;
    while grows {
        grows = false;
        for (old, new) in &perhaps {
            grows |= observed.contains(new) && observed.insert(*old);
        }
    }
    observed
}
