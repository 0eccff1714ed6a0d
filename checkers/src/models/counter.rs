//! A counter: a number that is added to, and read.

use super::{refused, unknown_error, unknown_function};
use crate::containers::{self, Counted, Span};
use crate::history::{Operation, ValueRef};
use crate::linear::{Entry, Model, Quick, Values};
use serde_json::Value;

/// The model `counter`.
///
/// A counter: a number that is added to, and read.
///
/// What it proves: adds and reads happened in one order that agrees with real time. `add` adds its value, `increment` and
/// `decrement` add 1 and -1; `add-and-get` and `increment-and-get` answer with the value that they made. It begins with 0. An
/// add of unknown outcome that nobody saw is not free to be forgotten, and not owed: it may show at any time. In n log n steps
/// where all steps are equal, and where a value lies beyond all that can have been added; by searching otherwise.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"add","value":1}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"add","value":1}
/// {"index":2,"time":11,"process":1,"type":"invoke","f":"read","value":null}
/// {"index":3,"time":14,"process":1,"type":"ok","f":"read","value":1}
/// ```
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// The number before the first operation; `null` is 0.
    pub initial: Value,
}

const FUNCTIONS: &str = "add, increment, decrement, add-and-get, increment-and-get and read";

impl Model for Counter {
    type State = i64;
    type Call = Counted;

    fn name(&self) -> &'static str {
        "counter"
    }

    fn initial(&self, _: &mut Values) -> Result<i64, String> {
        match &self.initial {
            Value::Null => Ok(0),
            other => other
                .as_i64()
                .ok_or_else(|| format!("a counter begins with a whole number, not with {other}")),
        }
    }

    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Counted>, String> {
        if refused(operation).is_some() {
            return Err(unknown_error(operation, self.name(), "none"));
        }
        let argument = operation.argument();
        let result = operation.result();
        match operation.f() {
            "add" => Ok(Some(Counted::Add(whole(argument)?))),
            "increment" if argument.is_null() => Ok(Some(Counted::Add(1))),
            "increment" => Ok(Some(Counted::Add(whole(argument)?))),
            "decrement" if argument.is_null() => Ok(Some(Counted::Add(-1))),
            "decrement" => Ok(Some(Counted::Add(negated(argument)?))),
            "add-and-get" => made(whole(argument)?, result).map(Some),
            "increment-and-get" => made(1, result).map(Some),
            "read" => result
                .map(|value| whole(value).map(Counted::Saw))
                .transpose(),
            _ => Err(unknown_function(operation, self.name(), FUNCTIONS)),
        }
    }

    fn repeats(&self) -> &'static [&'static str] {
        &["increment", "decrement"]
    }

    fn step(&self, state: &i64, call: &Counted) -> Option<i64> {
        match *call {
            Counted::Add(step) => state.checked_add(step),
            Counted::Saw(value) => (value == *state).then_some(value),
            Counted::Made { step, value } => state.checked_add(step).filter(|made| *made == value),
        }
    }

    fn is_pure(&self, call: &Counted) -> bool {
        matches!(
            call,
            Counted::Saw(_) | Counted::Add(0) | Counted::Made { step: 0, .. }
        )
    }

    fn observes(&self, call: &Counted) -> bool {
        !matches!(call, Counted::Add(_))
    }

    fn show(&self, state: &i64, _: &Values) -> String {
        state.to_string()
    }

    fn why_not(&self, state: &i64, call: &Counted, _: &Values) -> String {
        match call {
            Counted::Add(step) => format!("{state} and {step} is too large a number"),
            Counted::Saw(value) => format!("it saw {value}, and the counter is at {state}"),
            Counted::Made { step, value } => {
                format!("it made {value} by adding {step}, and the counter is at {state}")
            }
        }
    }

    fn quick(&self, state: &i64, entries: &[Entry<Counted>], _: &Values) -> Quick {
        let operations: Vec<(Counted, Span)> = entries
            .iter()
            .map(|entry| (entry.call, Span::of(entry)))
            .collect();
        containers::counter(&operations, *state)
    }
}

fn whole(value: ValueRef<'_>) -> Result<i64, String> {
    let number = value.as_i64();
    number.ok_or_else(|| format!("has the value {value}; expected a whole number"))
}

fn negated(value: ValueRef<'_>) -> Result<i64, String> {
    let number = whole(value)?.checked_neg();
    number.ok_or_else(|| format!("has the value {value}, which cannot be negated"))
}

fn made(step: i64, result: Option<ValueRef<'_>>) -> Result<Counted, String> {
    Ok(match result {
        None => Counted::Add(step),
        Some(value) => Counted::Made {
            step,
            value: whole(value)?,
        },
    })
}
