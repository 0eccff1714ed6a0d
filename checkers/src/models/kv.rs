//! A store of values by key: put, get, append, delete and compare-and-set.

use super::{cas_register, pair, unknown_function, zones};
use crate::history::{Operation, ValueRef};
use crate::linear::{Entry, Model, Quick, ValueId, Values};
use rustc_hash::FxHashSet;
use serde_json::Value;
use std::sync::Arc;

/// The model `kv`.
///
/// A store of values by key: put, get, append, delete and compare-and-set.
///
/// What it proves: the operations on each key happened in one order that agrees with real time; keys are judged by
/// themselves. A key begins absent (`null`), unless `--initial` says what all keys hold. `append` adds to a text, and makes one
/// where there is none. Answers with an `error` are observations: `get` and `delete` of an absent key, `cas` of another value.
/// In n log n steps without appends, and where every value that was got was put once; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"append","key":"a","value":"x"}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"append","key":"a","value":"x"}
/// {"index":2,"time":10,"process":2,"type":"invoke","f":"get","key":"a","value":null}
/// {"index":3,"time":14,"process":2,"type":"ok","f":"get","key":"a","value":"x"}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Kv {
    /// What every key holds before the first operation; `null` for nothing.
    pub initial: Value,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    /// Nothing.
    Absent,
    /// A text: it can be appended to.
    Text(Arc<str>),
    /// Anything else.
    Other(ValueId),
}

/// What was called, and what is known of its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// From now on it holds this; a delete puts [`Content::Absent`].
    Put(Content),
    /// It held this.
    Saw(Content),
    /// It held another thing than this.
    SawOther(Content),
    /// A text was added.
    Append(Arc<str>),
    /// It held the first, and from now on holds the second.
    Cas(Content, Content),
}

fn content(value: ValueRef<'_>, values: &mut Values) -> Content {
    match value.as_str() {
        _ if value.is_null() => Content::Absent,
        Some(text) => Content::Text(text.into()),
        None => Content::Other(values.id(value)),
    }
}

impl Content {
    fn json(&self, values: &Values) -> Value {
        match self {
            Content::Absent => Value::Null,
            Content::Text(text) => Value::from(&**text),
            Content::Other(id) => values.get(*id),
        }
    }
}

impl Model for Kv {
    type State = Content;
    type Call = Call;

    fn name(&self) -> &'static str {
        "kv"
    }

    fn initial(&self, values: &mut Values) -> Result<Content, String> {
        Ok(match &self.initial {
            Value::Null => Content::Absent,
            Value::String(text) => Content::Text(text.as_str().into()),
            other => Content::Other(values.id_of(other)),
        })
    }

    fn call(&self, operation: &Operation<'_>, values: &mut Values) -> Result<Option<Call>, String> {
        let refused = operation.is_ok() && operation.error().is_some();
        let call = match operation.f() {
            "get" | "read" if refused => Call::Saw(Content::Absent),
            "get" | "read" => match operation.result() {
                Some(value) => Call::Saw(content(value, values)),
                None => return Ok(None),
            },
            "delete" if refused => Call::Saw(Content::Absent),
            "delete" => Call::Put(Content::Absent),
            "cas" => {
                let (old, new) = pair(operation)?;
                let (old, new) = (content(old, values), content(new, values));
                if refused {
                    Call::SawOther(old)
                } else {
                    Call::Cas(old, new)
                }
            }
            "put" | "write" | "append" if refused => {
                return Err(super::unknown_error(
                    operation,
                    self.name(),
                    "a refused get, delete or cas",
                ));
            }
            "put" | "write" => Call::Put(content(operation.argument(), values)),
            "append" => match operation.argument().as_str() {
                Some(text) => Call::Append(text.into()),
                None => return Err(format!("appends {}; expected a text", operation.argument())),
            },
            _ => {
                return Err(unknown_function(
                    operation,
                    self.name(),
                    "put, get, append, delete and cas",
                ));
            }
        };
        Ok(Some(call))
    }

    fn step(&self, state: &Content, call: &Call) -> Option<Content> {
        match call {
            Call::Put(content) => Some(content.clone()),
            Call::Saw(content) => (content == state).then(|| state.clone()),
            Call::SawOther(content) => (content != state).then(|| state.clone()),
            Call::Cas(old, new) => (old == state).then(|| new.clone()),
            Call::Append(more) => match state {
                Content::Absent => Some(Content::Text(more.clone())),
                Content::Text(text) => Some(Content::Text([&**text, &**more].concat().into())),
                Content::Other(_) => None,
            },
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        match call {
            Call::Saw(_) | Call::SawOther(_) => true,
            Call::Cas(old, new) => old == new,
            Call::Put(_) | Call::Append(_) => false,
        }
    }

    fn is_blind(&self, call: &Call) -> bool {
        matches!(call, Call::Put(_))
    }

    fn observes(&self, call: &Call) -> bool {
        matches!(call, Call::Saw(_) | Call::SawOther(_) | Call::Cas(..))
    }

    /// Without appends, a put that nobody can have seen may as well not have happened.
    fn narrow(&self, entries: &mut Vec<Entry<Call>>) {
        let builds =
            |entry: &Entry<Call>| matches!(entry.call, Call::Append(_) | Call::SawOther(_));
        if entries.iter().any(builds) {
            return;
        }
        let asked: FxHashSet<Content> = entries
            .iter()
            .filter_map(|entry| match &entry.call {
                Call::Saw(content) | Call::Cas(content, _) => Some(content.clone()),
                _ => None,
            })
            .collect();
        entries.retain(|entry| match &entry.call {
            Call::Put(content) | Call::Cas(_, content) => entry.certain || asked.contains(content),
            _ => true,
        });
    }

    fn show(&self, state: &Content, values: &Values) -> String {
        match state {
            Content::Absent => "nothing".to_owned(),
            other => format!("value {}", other.json(values)),
        }
    }

    fn why_not(&self, state: &Content, call: &Call, values: &Values) -> String {
        let has = self.show(state, values);
        match call {
            Call::Put(_) => format!("a put always fits, also on {has}"),
            Call::Saw(content) => format!(
                "it saw {}, and the key holds {has}",
                self.show(content, values)
            ),
            Call::SawOther(content) => {
                format!(
                    "it found something else than {}, and the key holds just that",
                    self.show(content, values)
                )
            }
            Call::Cas(old, _) => format!(
                "it demanded {}, and the key holds {has}",
                self.show(old, values)
            ),
            Call::Append(_) => format!("only a text can be appended to, and the key holds {has}"),
        }
    }

    fn quick(&self, initial: &Content, entries: &[Entry<Call>], values: &Values) -> Quick {
        let mut own = Values::default();
        let mut id = |content: &Content| own.id_of(&content.json(values));
        let initial = id(initial);
        let mut calls = Vec::with_capacity(entries.len());
        for entry in entries {
            let call = match &entry.call {
                Call::Put(content) => cas_register::Call::Write(id(content)),
                Call::Saw(content) => cas_register::Call::Saw(id(content)),
                Call::SawOther(content) => cas_register::Call::SawOther(id(content)),
                Call::Cas(old, new) => cas_register::Call::Cas {
                    old: id(old),
                    new: id(new),
                },
                Call::Append(_) => return Quick::Open("there are appends"),
            };
            calls.push(Entry {
                call,
                inv: entry.inv,
                ret: entry.ret,
                operation: entry.operation,
                certain: entry.certain,
            });
        }
        zones::judge(initial, &calls, &own)
    }

    fn knows_ends(&self) -> bool {
        true
    }

    fn state_bytes(&self, state: &Content) -> usize {
        match state {
            Content::Text(text) => size_of::<Content>() + 16 + text.len(),
            _ => size_of::<Content>(),
        }
    }
}
