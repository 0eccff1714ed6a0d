//! A mutex with owners, whose acquires answer with fencing tokens.

use super::{owner, refused, unknown_function};
use crate::containers::{Grip, Span, holds};
use crate::history::{Operation, ValueRef};
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `fenced-mutex`.
///
/// A mutex with owners, whose acquires answer with fencing tokens.
///
/// What it proves: one process at a time held it, only who held it released it, and the tokens rose from each hold to the next,
/// in one order that agrees with real time. The token is the value of the answer, or its field `fence` or `token`; `null` and 0
/// say that it was not told. As in Hazelcast's Jepsen test, a hold has one token: where it may be acquired again by its owner
/// (an initial value says how often in all; once if it does not), the token stays the same. An acquire that is `ok` with an
/// error was refused: another process held it, or its owner as often as may be; such a release came from a process that did
/// not hold it. In n log n steps, unless calls were refused.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"acquire","value":null}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"acquire","value":33}
/// ```
#[derive(Debug, Clone, Default)]
pub struct FencedMutex {
    /// How often its owner may acquire it without a release between; `null` is 1.
    pub limit: Value,
}

/// A mutex with an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// Who holds it, and how often.
    pub held: Option<(u64, u64)>,
    /// The token of this hold, if it was told.
    pub token: Option<i64>,
    /// The highest token so far.
    pub highest: Option<i64>,
    /// How often its owner may acquire it.
    pub limit: u64,
}

/// What was called by whom, and what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// It was acquired (or may have been).
    Acquire {
        /// By this process.
        owner: u64,
        /// The fencing token, if it was told.
        token: Option<i64>,
    },
    /// It was released (or may have been) by this process.
    Release {
        /// By this process.
        owner: u64,
    },
    /// An acquire of this process that was refused.
    AcquireRefused {
        /// Of this process.
        owner: u64,
    },
    /// A release of this process that was refused.
    ReleaseRefused {
        /// Of this process.
        owner: u64,
    },
}

const REFUSALS: &str = "refused calls";

impl State {
    /// Free, and nothing known.
    pub(super) fn free(limit: &Value, usual: u64) -> Result<State, String> {
        let limit = match limit {
            Value::Null => Some(usual),
            limit => limit.as_u64().filter(|limit| *limit > 0),
        }
        .ok_or_else(|| {
            format!("an owner may hold a mutex a whole number of times from 1, not {limit}")
        })?;
        Ok(State {
            held: None,
            token: None,
            highest: None,
            limit,
        })
    }

    /// After the call, or `None` if it cannot happen.
    pub(super) fn step(&self, call: &Call) -> Option<State> {
        match *call {
            Call::Acquire { owner, token } => self.acquired(owner, token),
            Call::Release { owner } => self.released(owner),
            Call::AcquireRefused { owner } => {
                let free_to_it = self
                    .held
                    .is_none_or(|(holder, depth)| holder == owner && depth < self.limit);
                (!free_to_it).then_some(*self)
            }
            Call::ReleaseRefused { owner } => self
                .held
                .is_none_or(|(holder, _)| holder != owner)
                .then_some(*self),
        }
    }

    fn acquired(&self, owner: u64, token: Option<i64>) -> Option<State> {
        let depth = match self.held {
            None => 0,
            Some((holder, depth)) if holder == owner && depth < self.limit => depth,
            Some(_) => return None,
        };
        let fits = match (self.token, token) {
            (_, None) => true,
            (Some(known), Some(token)) => known == token,
            (None, Some(token)) => self.highest.is_none_or(|highest| token > highest),
        };
        fits.then_some(State {
            held: Some((owner, depth + 1)),
            token: self.token.or(token),
            highest: self.highest.max(token),
            limit: self.limit,
        })
    }

    fn released(&self, owner: u64) -> Option<State> {
        match self.held {
            Some((holder, 1)) if holder == owner => Some(State {
                held: None,
                token: None,
                ..*self
            }),
            Some((holder, depth)) if holder == owner => Some(State {
                held: Some((owner, depth - 1)),
                ..*self
            }),
            _ => None,
        }
    }

    pub(super) fn show(&self) -> String {
        let mut text = match self.held {
            None => "free".to_owned(),
            Some((owner, 1)) => format!("held by process {owner}"),
            Some((owner, depth)) => format!("held {depth} times by process {owner}"),
        };
        if let Some(highest) = self.highest {
            text.push_str(&format!(", highest token {highest}"));
        }
        text
    }

    pub(super) fn why_not(&self, call: &Call) -> String {
        let known = self.show();
        match call {
            Call::Acquire {
                owner,
                token: Some(token),
            } => {
                format!("process {owner} cannot acquire it with token {token}: it is {known}")
            }
            Call::Acquire { owner, token: None } => {
                format!("process {owner} cannot acquire it: it is {known}")
            }
            Call::Release { owner } => format!("process {owner} cannot release it: it is {known}"),
            Call::AcquireRefused { owner } => {
                format!("process {owner} could acquire it: it is {known}")
            }
            Call::ReleaseRefused { owner } => {
                format!("process {owner} could release it: it is {known}")
            }
        }
    }

    pub(super) fn quick(&self, entries: &[Entry<Call>]) -> Quick {
        let mut grips: Vec<(u64, Grip, Span)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let span = Span::of(entry);
            grips.push(match entry.call {
                Call::Acquire { owner, token } => (owner, Grip::Acquire(token), span),
                Call::Release { owner } => (owner, Grip::Release, span),
                Call::AcquireRefused { .. } | Call::ReleaseRefused { .. } => {
                    return Quick::Open(REFUSALS);
                }
            });
        }
        holds(&mut grips, self.limit, &|owner| format!("process {owner}"))
    }
}

/// The call that an operation made; `fenced` says whether answers carry tokens.
pub(super) fn call(
    operation: &Operation<'_>,
    model: &str,
    fenced: bool,
) -> Result<Option<Call>, String> {
    let owner = owner(operation)?;
    match (operation.f(), refused(operation)) {
        ("acquire", None) => Ok(Some(Call::Acquire {
            owner,
            token: if fenced { token(operation)? } else { None },
        })),
        ("acquire", Some(_)) => Ok(Some(Call::AcquireRefused { owner })),
        ("release", None) => Ok(Some(Call::Release { owner })),
        ("release", Some(_)) => Ok(Some(Call::ReleaseRefused { owner })),
        _ => Err(unknown_function(operation, model, "acquire and release")),
    }
}

fn token(operation: &Operation<'_>) -> Result<Option<i64>, String> {
    let Some(answer) = operation.answer() else {
        return Ok(None);
    };
    let named = answer.int("fence").or_else(|| answer.int("token"));
    let value = answer.value();
    let within = value
        .as_map()
        .and_then(|map| map.get("fence").or_else(|| map.get("token")));
    let token = match (named, within) {
        (Some(token), _) => Some(token),
        (None, Some(token)) => token.as_i64(),
        (None, None) if value.is_null() => None,
        (None, None) => Some(whole(value)?),
    };
    Ok(token.filter(|token| *token != 0))
}

fn whole(value: ValueRef<'_>) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| {
        format!("is an acquire that answered {value}; expected a fencing token (a whole number), or null")
    })
}

impl Model for FencedMutex {
    type State = State;
    type Call = Call;

    fn name(&self) -> &'static str {
        "fenced-mutex"
    }
    fn initial(&self, _: &mut Values) -> Result<State, String> {
        State::free(&self.limit, 1)
    }
    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Call>, String> {
        call(operation, self.name(), true)
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

pub(super) fn is_pure(call: &Call) -> bool {
    matches!(
        call,
        Call::AcquireRefused { .. } | Call::ReleaseRefused { .. }
    )
}
