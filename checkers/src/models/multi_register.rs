//! Several registers, read and written together.

use super::unknown_function;
use crate::history::{Operation, ValueRef};
use crate::linear::{Model, ValueId, Values};
use serde_json::Value;
use std::sync::Arc;

/// The model `multi-register`.
///
/// Several registers, read and written together.
///
/// What it proves: transactions of reads and writes of several registers happened, each as a whole, in one order that agrees
/// with real time: strict serializability, by searching. Registers begin with `null`, unless `--initial` names others in an
/// object (`{"x":0,"y":0}`). What an indeterminate transaction read says nothing; what it wrote may have happened.
///
/// It cannot be split into its registers, so it is for small histories; for long ones there is `rw-register`.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"txn","value":[["r","x",null],["w","y",2]]}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"txn","value":[["r","x",0],["w","y",2]]}
/// ```
#[derive(Debug, Clone, Default)]
pub struct MultiRegister {
    /// The registers before the first operation: an object; `null` for none.
    pub initial: Value,
}

/// The registers that are not `null`, in the order of their names' numbers.
type State = Arc<[(ValueId, ValueId)]>;

/// A micro-operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Micro {
    /// The register had this value.
    Saw(ValueId, ValueId),
    /// The register got this value.
    Wrote(ValueId, ValueId),
}

impl Model for MultiRegister {
    type State = State;
    type Call = Arc<[Micro]>;

    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn initial(&self, values: &mut Values) -> Result<State, String> {
        let registers = match &self.initial {
            Value::Null => return Ok(State::default()),
            Value::Object(registers) => registers,
            other => {
                return Err(format!(
                    "the initial state of multi-register is an object of registers, not {other}"
                ));
            }
        };
        let mut state: Vec<(ValueId, ValueId)> = registers
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                (
                    values.id_of(&Value::from(name.as_str())),
                    values.id_of(value),
                )
            })
            .collect();
        state.sort_unstable();
        Ok(state.into())
    }

    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Arc<[Micro]>>, String> {
        if operation.f() != "txn" {
            return Err(unknown_function(operation, self.name(), "txn"));
        }
        let told = operation.result().unwrap_or(operation.argument());
        let list = told.as_list().ok_or_else(|| {
            format!("is a txn with the value {told}; expected a list of [\"r\" or \"w\", register, value]")
        })?;
        let answered = operation.is_ok();
        let mut micros = Vec::with_capacity(list.len());
        for micro in list.iter() {
            if let Some(micro) = self::micro(micro, answered, values)? {
                micros.push(micro);
            }
        }
        Ok(Some(micros.into()))
    }

    fn step(&self, state: &State, call: &Arc<[Micro]>) -> Option<State> {
        let mut changed: Option<Vec<(ValueId, ValueId)>> = None;
        for micro in call.iter() {
            let now: &[(ValueId, ValueId)] = changed.as_deref().unwrap_or(state);
            let found = match micro {
                Micro::Saw(register, _) | Micro::Wrote(register, _) => {
                    now.binary_search_by_key(register, |(register, _)| *register)
                }
            };
            match (*micro, found) {
                (Micro::Saw(_, value), Ok(at)) if now[at].1 == value => {}
                (Micro::Saw(_, ValueId::NULL), Err(_)) => {}
                (Micro::Saw(..), _) => return None,
                (Micro::Wrote(register, value), found) => {
                    let registers = changed.get_or_insert_with(|| state.to_vec());
                    match (found, value) {
                        (Ok(at), ValueId::NULL) => {
                            registers.remove(at);
                        }
                        (Ok(at), value) => registers[at].1 = value,
                        (Err(_), ValueId::NULL) => {}
                        (Err(at), value) => registers.insert(at, (register, value)),
                    }
                }
            }
        }
        Some(changed.map_or_else(|| state.clone(), Into::into))
    }

    fn is_pure(&self, call: &Arc<[Micro]>) -> bool {
        call.iter().all(|micro| matches!(micro, Micro::Saw(..)))
    }

    fn observes(&self, call: &Arc<[Micro]>) -> bool {
        call.iter().any(|micro| matches!(micro, Micro::Saw(..)))
    }

    fn show(&self, state: &State, values: &Values) -> String {
        if state.is_empty() {
            return "every register null".to_owned();
        }
        let registers = state.iter().map(|(register, value)| {
            format!("{} = {}", word(&values.get(*register)), values.get(*value))
        });
        registers.collect::<Vec<_>>().join(", ")
    }

    fn why_not(&self, state: &State, call: &Arc<[Micro]>, values: &Values) -> String {
        // The registers as the transaction itself left them so far.
        let mut now = state.clone();
        for micro in call.iter() {
            let one: Arc<[Micro]> = [*micro].into();
            match (self.step(&now, &one), micro) {
                (Some(next), _) => now = next,
                (None, Micro::Saw(register, value) | Micro::Wrote(register, value)) => {
                    return format!(
                        "it read {} = {}, and the state is: {}",
                        word(&values.get(*register)),
                        values.get(*value),
                        self.show(&now, values)
                    );
                }
            }
        }
        "it fits".to_owned()
    }

    fn state_bytes(&self, state: &State) -> usize {
        size_of::<State>() + 16 + size_of_val(&**state)
    }
}

/// One micro-operation; none if it says nothing.
fn micro(told: ValueRef<'_>, answered: bool, values: &mut Values) -> Result<Option<Micro>, String> {
    let parts = told.as_list().filter(|parts| parts.len() == 3);
    let parts =
        parts.and_then(|parts| Some((parts.get(0)?.as_str()?, parts.get(1)?, parts.get(2)?)));
    match parts {
        Some(("r" | "read", _, _)) if !answered => Ok(None),
        Some(("r" | "read", register, value)) => {
            Ok(Some(Micro::Saw(values.id(register), values.id(value))))
        }
        Some(("w" | "write", register, value)) => {
            Ok(Some(Micro::Wrote(values.id(register), values.id(value))))
        }
        _ => Err(format!(
            "has the micro-operation {told}; expected [\"r\" or \"w\", register, value]"
        )),
    }
}

fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
