//! A znode's data: absent, or a value with the number of times it was set since it was created.

use super::{old_and_new, unknown_error, unknown_function};
use crate::history::{Kind, Operation};
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use rustc_hash::{FxHashMap, FxHashSet};

mod contradiction;
mod order;

/// The model `versioned-register`.
///
/// A znode's data: absent, or a value with the number of times it was set since it was created.
///
/// What it proves: creates, writes, compare-and-sets by version and reads of one znode, errors included, happened in one
/// order that agrees with real time. What it cannot: anything across znodes, deletes, or wall-clock times.
/// An indeterminate write that nobody saw is not free to be forgotten: if it happened, it moved the version.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"create","key":"r1","value":5}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"create","key":"r1","value":5,"version":0}
/// {"index":2,"time":10,"process":2,"type":"invoke","f":"cas","key":"r1","value":[5,6],"expected":0}
/// {"index":3,"time":14,"process":2,"type":"ok","f":"cas","key":"r1","value":[5,6],"version":1}
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct VersionedRegister;

/// A znode's data and data version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There is no znode.
    Absent,
    /// There is one.
    Holds {
        /// Its data.
        value: ValueId,
        /// How often its data was set since its creation.
        version: i32,
    },
}

/// What was called, and what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A create that made the znode (or may have).
    Create {
        /// The data.
        value: ValueId,
    },
    /// A set of the data that took effect (or may have).
    Set {
        /// The data.
        value: ValueId,
        /// The version that it demanded, if it did.
        expected: Option<i32>,
        /// The version that it made, as the server answered.
        made: Option<i32>,
    },
    /// A read that saw data.
    Saw {
        /// The data.
        value: ValueId,
        /// Its version.
        version: i32,
    },
    /// `NoNode`: there was no znode.
    SawAbsent,
    /// `NodeExists`: there was a znode.
    SawPresent,
    /// `BadVersion`: there was a znode, with another version.
    SawOther {
        /// The version that it did not have.
        version: i32,
    },
}

const FUNCTIONS: &str = "create, write, cas and read";
const ERRORS: &str = "NodeExists (create), NoNode (write, cas, read) and BadVersion (cas)";

impl Model for VersionedRegister {
    type State = State;
    type Call = Call;

    fn name(&self) -> &'static str {
        "versioned-register"
    }

    fn initial(&self, _values: &mut Values) -> Result<State, String> {
        Ok(State::Absent)
    }

    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        if operation.is_ok() && operation.error().is_some() {
            return observed_error(operation).map(Some);
        }
        let ok = operation.kind() == Kind::Ok;
        match operation.f() {
            "create" => Ok(Some(Call::Create {
                value: values.id(operation.argument()),
            })),
            "write" => {
                let made = if ok { Some(version(operation)?) } else { None };
                Ok(Some(Call::Set {
                    value: values.id(operation.argument()),
                    expected: None,
                    made,
                }))
            }
            "cas" => {
                let (_, value) = old_and_new(operation, values)?;
                let made = if ok { Some(version(operation)?) } else { None };
                Ok(Some(Call::Set {
                    value,
                    expected: expected(operation)?,
                    made,
                }))
            }
            "read" => match operation.result() {
                Some(value) => Ok(Some(Call::Saw {
                    value: values.id(value),
                    version: version(operation)?,
                })),
                None => Ok(None),
            },
            _ => Err(unknown_function(operation, self.name(), FUNCTIONS)),
        }
    }

    fn step(&self, state: &State, call: &Call) -> Option<State> {
        let state = *state;
        match (*call, state) {
            (Call::Create { value }, State::Absent) => Some(State::Holds { value, version: 0 }),
            (
                Call::Set {
                    value,
                    expected,
                    made,
                },
                State::Holds { version, .. },
            ) => {
                let next = version.checked_add(1)?;
                let fits = expected.is_none_or(|expected| expected == version)
                    && made.is_none_or(|made| made == next);
                fits.then_some(State::Holds {
                    value,
                    version: next,
                })
            }
            (Call::Saw { value, version }, seen) if seen == (State::Holds { value, version }) => {
                Some(state)
            }
            (Call::SawAbsent, State::Absent) | (Call::SawPresent, State::Holds { .. }) => {
                Some(state)
            }
            (Call::SawOther { version: other }, State::Holds { version, .. })
                if other != version =>
            {
                Some(state)
            }
            _ => None,
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        !matches!(call, Call::Create { .. } | Call::Set { .. })
    }

    fn observes(&self, call: &Call) -> bool {
        // Every answer but that of a set shows whether there was a znode, or which; that of a set names the version it made.
        !matches!(call, Call::Set { made: None, .. })
    }

    /// A value with one possible writer, read at some version: if that write's outcome is not known, it made that version.
    fn narrow(&self, entries: &mut Vec<Entry<Call>>) {
        let mut writers: FxHashMap<ValueId, u32> = FxHashMap::default();
        let mut read_at: FxHashMap<ValueId, i32> = FxHashMap::default();
        for entry in entries.iter() {
            match entry.call {
                Call::Create { value } | Call::Set { value, .. } => {
                    *writers.entry(value).or_default() += 1
                }
                Call::Saw { value, version } => {
                    read_at.entry(value).or_insert(version);
                }
                _ => {}
            }
        }
        for entry in entries {
            if let Call::Set { value, made, .. } = &mut entry.call
                && made.is_none()
                && writers[value] == 1
            {
                *made = read_at.get(value).copied();
            }
        }
    }

    fn blur(&self, entries: &mut [Entry<Call>]) {
        let seen: FxHashSet<ValueId> = entries
            .iter()
            .filter_map(|entry| match entry.call {
                Call::Saw { value, .. } => Some(value),
                _ => None,
            })
            .collect();
        for entry in entries {
            if let Call::Create { value } | Call::Set { value, .. } = &mut entry.call
                && !seen.contains(value)
            {
                *value = ValueId::UNSEEN;
            }
        }
    }

    fn reveal(&self, state: &State, made_by: &Call) -> State {
        match (*state, *made_by) {
            (
                State::Holds {
                    value: ValueId::UNSEEN,
                    version,
                },
                Call::Create { value } | Call::Set { value, .. },
            ) => State::Holds { value, version },
            _ => *state,
        }
    }

    fn show(&self, state: &State, values: &Values) -> String {
        match *state {
            State::Absent => "no znode".to_owned(),
            State::Holds { value, version } => format!("{}, version {version}", values.show(value)),
        }
    }

    fn why_not(&self, state: &State, call: &Call, values: &Values) -> String {
        let (present, has) = match *state {
            State::Absent => (false, "there is none".to_owned()),
            State::Holds { version, .. } => (true, format!("it has version {version}")),
        };
        match *call {
            Call::Create { .. } => {
                "a create succeeds only where there is no znode, and there is one".to_owned()
            }
            Call::SawPresent => "NodeExists needs a znode, and there is none".to_owned(),
            Call::SawAbsent => "NoNode needs that there is no znode, and there is one".to_owned(),
            Call::SawOther { version } if present => {
                format!("BadVersion needs another version than {version}, and it has just that")
            }
            Call::SawOther { .. } => "BadVersion needs a znode, and there is none".to_owned(),
            Call::Set { .. } if !present => "a set needs a znode, and there is none".to_owned(),
            Call::Set {
                expected: Some(expected),
                ..
            } => format!("it demanded version {expected}, and {has}"),
            Call::Set { made, .. } => match made {
                Some(made) => format!(
                    "it made version {made}, so it needs version {}, and {has}",
                    i64::from(made) - 1
                ),
                None => format!("it cannot be set, and {has}"),
            },
            Call::Saw { value, version } => {
                format!(
                    "it saw {}, version {version}, and the state is: {}",
                    values.show(value),
                    self.show(state, values)
                )
            }
        }
    }

    fn quick(&self, _: &State, entries: &[Entry<Call>], values: &Values) -> Quick {
        match contradiction::find(entries, values) {
            Some(found) => Quick::Illegal(found),
            None => order::judge(self, entries, values),
        }
    }
}

fn observed_error(operation: &Operation<'_>) -> Result<Call, String> {
    match (operation.f(), operation.error()) {
        ("create", Some("NodeExists")) => Ok(Call::SawPresent),
        ("write" | "cas" | "read", Some("NoNode")) => Ok(Call::SawAbsent),
        ("cas", Some("BadVersion")) => match expected(operation)? {
            Some(version) => Ok(Call::SawOther { version }),
            None => Err("answered BadVersion to a cas that expected any version".to_owned()),
        },
        _ => Err(unknown_error(operation, "versioned-register", ERRORS)),
    }
}

/// The version that the answer names.
fn version(operation: &Operation<'_>) -> Result<i32, String> {
    operation
        .answer()
        .and_then(|answer| answer.int("version"))
        .and_then(|version| i32::try_from(version).ok())
        .ok_or_else(|| {
            format!(
                "is an ok `{}` without a whole number `version`; for registers without versions take the model \
                 register or cas-register",
                operation.f()
            )
        })
}

/// The version that a compare-and-set demands; -1 demands none, as in ZooKeeper.
fn expected(operation: &Operation<'_>) -> Result<Option<i32>, String> {
    let expected = operation
        .asked()
        .int("expected")
        .and_then(|version| i32::try_from(version).ok());
    match expected {
        Some(-1) => Ok(None),
        Some(version) => Ok(Some(version)),
        None => Err(
            "is a cas without a whole number `expected`, the version that it demands".to_owned(),
        ),
    }
}
