//! A mutex: held or free.

use super::{refused, unknown_function};
use crate::containers::{Flip, Span, toggle};
use crate::history::Operation;
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `mutex`.
///
/// A mutex: held or free.
///
/// What it proves: acquires and releases took turns in one order that agrees with real time. As Knossos has it, a mutex knows
/// no owners: any process may release it ([`FencedMutex`](super::FencedMutex) and [`ReentrantMutex`](super::ReentrantMutex)
/// know them). An acquire that is `ok` with an error found it held, such a release found it free. In n log n steps, whatever
/// the history.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"acquire","value":null}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"acquire","value":null}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Mutex {
    /// Whether it is held before the first operation; `null` is `false`.
    pub initial: Value,
}

/// What was called, and what is known of its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// It was acquired (or may have been).
    Acquire,
    /// It was released (or may have been).
    Release,
    /// An acquire that was refused.
    SawHeld,
    /// A release that was refused.
    SawFree,
}

impl Model for Mutex {
    type State = bool;
    type Call = Call;

    fn name(&self) -> &'static str {
        "mutex"
    }

    fn initial(&self, _: &mut Values) -> Result<bool, String> {
        match &self.initial {
            Value::Null => Ok(false),
            Value::Bool(held) => Ok(*held),
            other => Err(format!(
                "a mutex begins held (true) or free (false), not with {other}"
            )),
        }
    }

    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Call>, String> {
        match (operation.f(), refused(operation)) {
            ("acquire", None) => Ok(Some(Call::Acquire)),
            ("acquire", Some(_)) => Ok(Some(Call::SawHeld)),
            ("release", None) => Ok(Some(Call::Release)),
            ("release", Some(_)) => Ok(Some(Call::SawFree)),
            _ => Err(unknown_function(
                operation,
                self.name(),
                "acquire and release",
            )),
        }
    }

    fn step(&self, held: &bool, call: &Call) -> Option<bool> {
        match call {
            Call::Acquire => (!held).then_some(true),
            Call::Release => held.then_some(false),
            Call::SawHeld => held.then_some(true),
            Call::SawFree => (!held).then_some(false),
        }
    }

    fn is_pure(&self, call: &Call) -> bool {
        matches!(call, Call::SawHeld | Call::SawFree)
    }

    fn show(&self, held: &bool, _: &Values) -> String {
        if *held { "held" } else { "free" }.to_owned()
    }

    fn why_not(&self, held: &bool, call: &Call, values: &Values) -> String {
        let wanted = match call {
            Call::Acquire => "it can be acquired only while it is free",
            Call::Release => "it can be released only while it is held",
            Call::SawHeld => "an acquire is refused only while it is held",
            Call::SawFree => "a release is refused only while it is free",
        };
        format!("{wanted}, and it is {}", self.show(held, values))
    }

    fn quick(&self, held: &bool, entries: &[Entry<Call>], _: &Values) -> Quick {
        let flip = |call: &Call| match call {
            Call::Acquire => Flip::Up,
            Call::Release => Flip::Down,
            Call::SawHeld => Flip::SawUp,
            Call::SawFree => Flip::SawDown,
        };
        let flips: Vec<(Flip, Span)> = entries
            .iter()
            .map(|entry| (flip(&entry.call), Span::of(entry)))
            .collect();
        toggle(&flips, 1, u64::from(*held), &why_not)
    }
}

fn why_not(flip: Flip) -> String {
    match flip {
        Flip::Up => "it was acquired, and nobody can have released it since it was acquired before",
        Flip::Down => {
            "it was released, and nobody can have acquired it since it was released before"
        }
        Flip::SawUp => "an acquire was refused, and nobody can have held it",
        Flip::SawDown => "a release was refused, and it must have been held",
    }
    .to_owned()
}
