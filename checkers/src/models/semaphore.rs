//! A semaphore: a number of permits.

use super::{refused, unknown_function};
use crate::containers::{Flip, Span, toggle};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `semaphore`.
///
/// A semaphore: a number of permits.
///
/// What it proves: never were more permits out than there are, and none came back that was not out, in one order that agrees
/// with real time. Permits have no owners: who acquires them need not be who releases them. The value of a call is the number
/// of permits; where it is `null` that is 1, whatever the answer has. An acquire that is `ok` with an error found too few, such a release gave back more than
/// were out. There are 2 permits unless the initial value says otherwise. In n log n steps
/// where permits are taken one by one and no call was refused; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"acquire","value":1}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"acquire","value":1}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Semaphore {
    /// How many permits there are; `null` is 2.
    pub permits: Value,
}

/// How many permits there are if nobody says.
const USUAL: u64 = 2;

/// How many permits are out, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// How many are out.
    pub out: u64,
    /// How many there are.
    pub of: u64,
}

/// What was called, with the number of permits, and what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// Permits were acquired (or may have been).
    Acquire(u64),
    /// Permits were released (or may have been).
    Release(u64),
    /// An acquire that was refused: fewer were left.
    TooFewLeft(u64),
    /// A release that was refused: fewer were out.
    TooFewOut(u64),
}

const REFUSALS: &str = "refused calls";
const TOGETHER: &str = "several permits taken together";

impl Model for Semaphore {
    type State = State;
    type Call = Call;

    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn initial(&self, _: &mut Values) -> Result<State, String> {
        let permits = match &self.permits {
            Value::Null => Some(USUAL),
            permits => permits.as_u64(),
        };
        let of = permits.ok_or_else(|| {
            format!(
                "a semaphore has a whole number of permits, not {}",
                self.permits
            )
        })?;
        Ok(State { out: 0, of })
    }

    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Call>, String> {
        // An answer to null may be anything: the permit's number, who has it.
        let argument = operation.argument();
        let permits = match argument.is_null() {
            true => Some(1),
            false => argument.as_u64(),
        };
        let permits = permits.ok_or_else(|| {
            format!("is for {argument} permits; expected a whole number from 0, or null for 1")
        })?;
        match (operation.f(), refused(operation)) {
            ("acquire", None) => Ok(Some(Call::Acquire(permits))),
            ("acquire", Some(_)) => Ok(Some(Call::TooFewLeft(permits))),
            ("release", None) => Ok(Some(Call::Release(permits))),
            ("release", Some(_)) => Ok(Some(Call::TooFewOut(permits))),
            _ => Err(unknown_function(
                operation,
                self.name(),
                "acquire and release",
            )),
        }
    }

    fn repeats(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn step(&self, state: &State, call: &Call) -> Option<State> {
        let State { out, of } = *state;
        match *call {
            Call::Acquire(permits) => {
                let out = out.checked_add(permits).filter(|out| *out <= of)?;
                Some(State { out, of })
            }
            Call::Release(permits) => {
                let out = out.checked_sub(permits)?;
                Some(State { out, of })
            }
            Call::TooFewLeft(permits) => (of - out < permits).then_some(*state),
            Call::TooFewOut(permits) => (out < permits).then_some(*state),
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        match call {
            Call::Acquire(permits) | Call::Release(permits) => *permits == 0,
            Call::TooFewLeft(_) | Call::TooFewOut(_) => true,
        }
    }

    fn show(&self, state: &State, _: &Values) -> String {
        format!("{} of {} permits out", state.out, state.of)
    }

    fn why_not(&self, state: &State, call: &Call, values: &Values) -> String {
        let known = self.show(state, values);
        match call {
            Call::Acquire(permits) => format!("{permits} cannot be acquired with {known}"),
            Call::Release(permits) => format!("{permits} cannot be released with {known}"),
            Call::TooFewLeft(permits) => format!("{permits} were left with {known}"),
            Call::TooFewOut(permits) => format!("{permits} could come back with {known}"),
        }
    }

    fn quick(&self, state: &State, entries: &[Entry<Call>], _: &Values) -> Quick {
        let mut flips: Vec<(Flip, Span)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let flip = match entry.call {
                Call::Acquire(1) => Flip::Up,
                Call::Release(1) => Flip::Down,
                // Between two ends further apart it would matter when the object turns.
                Call::TooFewLeft(1) if state.of == 1 => Flip::SawUp,
                Call::TooFewOut(1) if state.of == 1 => Flip::SawDown,
                Call::TooFewLeft(_) | Call::TooFewOut(_) => return Quick::Open(REFUSALS),
                Call::Acquire(0) | Call::Release(0) => continue,
                _ => return Quick::Open(TOGETHER),
            };
            flips.push((flip, Span::of(entry)));
        }
        toggle(&flips, state.of, state.out, &why_not)
    }
}

fn why_not(flip: Flip) -> String {
    match flip {
        Flip::Up => "a permit was acquired, and all of them must have been out",
        Flip::Down => "a permit was released, and none can have been out",
        Flip::SawUp => "an acquire was refused, and a permit must have been left",
        Flip::SawDown => "a release was refused, and a permit must have been out",
    }
    .to_owned()
}
