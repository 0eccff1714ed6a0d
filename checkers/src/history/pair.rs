//! Invocations with their completions.
//!
//! One pass over the events; a process has at most one open invocation. An invocation that never completed is
//! indeterminate, as one whose completion is `info`.

use super::event::{Event, Kind, Nanos, Process};
use super::{Extra, History};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

/// A client's operation: its invocation and what came back.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'h> {
    /// The line that began it.
    pub invocation: &'h Event,
    /// The line that ended it, if there is one.
    pub completion: Option<&'h Event>,
}

impl<'h> Operation<'h> {
    /// `Ok`, `Fail`, or `Info` (also for an invocation without completion).
    pub fn kind(&self) -> Kind {
        self.completion
            .map_or(Kind::Info, |completion| completion.kind)
    }

    /// Whether the server answered.
    pub fn is_ok(&self) -> bool {
        self.kind() == Kind::Ok
    }

    /// Index of the invocation's line.
    pub fn inv(&self) -> u64 {
        self.invocation.index
    }

    /// Index of the completion's line, if the outcome is known by then; an indeterminate operation has none.
    pub fn ret(&self) -> Option<u64> {
        self.completion
            .filter(|completion| completion.kind != Kind::Info)
            .map(|completion| completion.index)
    }

    /// When it was invoked.
    pub fn start(&self) -> Nanos {
        self.invocation.time
    }

    /// When its completion was recorded, whatever it was.
    pub fn end(&self) -> Option<Nanos> {
        self.completion.map(|completion| completion.time)
    }

    /// Who.
    pub fn process(&self) -> &'h Process {
        &self.invocation.process
    }

    /// The function.
    pub fn f(&self) -> &'h str {
        &self.invocation.f
    }

    /// The object.
    pub fn key(&self) -> Option<&'h Arc<str>> {
        self.invocation.key.as_ref()
    }

    /// What was asked.
    pub fn argument(&self) -> &'h Value {
        &self.invocation.value
    }

    /// What the server answered; none unless the operation is `ok`.
    pub fn result(&self) -> Option<&'h Value> {
        self.answer().map(|completion| &completion.value)
    }

    /// The word of the error, on any kind of completion.
    pub fn error(&self) -> Option<&'h str> {
        self.completion
            .and_then(|completion| completion.extra.text("error"))
    }

    /// The fields that came with the invocation (`expected`, `mode`, `final`).
    pub fn asked(&self) -> &'h Extra {
        &self.invocation.extra
    }

    /// The line of the server's answer; none unless the operation is `ok`.
    pub fn answer(&self) -> Option<&'h Event> {
        self.completion
            .filter(|completion| completion.kind == Kind::Ok)
    }
}

/// What stands in the way of pairing a line with its other half.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A completion whose process has nothing open.
    #[error("process {process} completes `{f}` but has no open invocation")]
    NoInvocation {
        /// Index of the line.
        index: u64,
        /// Who.
        process: u64,
        /// The completion's function.
        f: Arc<str>,
    },
    /// A second invocation of a process before the first is complete.
    #[error("process {process} invokes `{f}` while its invocation at index {open} is still open")]
    TwoOpen {
        /// Index of the line.
        index: u64,
        /// Who.
        process: u64,
        /// The second invocation's function.
        f: Arc<str>,
        /// Index of the first invocation.
        open: u64,
    },
    /// A completion of another function or key than the open invocation.
    #[error(
        "process {process} completes `{f}`, but what it has open is `{open_f}` at index {open}"
    )]
    Mismatch {
        /// Index of the line.
        index: u64,
        /// Who.
        process: u64,
        /// The completion's function (and key).
        f: String,
        /// The invocation's function (and key).
        open_f: String,
        /// Index of the invocation.
        open: u64,
    },
}

/// The invocations that are open, by process: where each stands among the operations.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    open: FxHashMap<u64, usize>,
}

/// What an event means for pairing.
pub(super) enum Half {
    /// A line of the controller or the nemesis: no operation.
    None,
    /// An operation begins.
    Begins,
    /// The operation at this place, as the caller counted it, ends.
    Ends(usize),
}

impl Pairing {
    /// Takes the next event. `place` is what to remember an invocation by; `look` gives the invocation at a place.
    pub(super) fn take<'h>(
        &mut self,
        event: &Event,
        place: usize,
        look: impl Fn(usize) -> &'h Event,
    ) -> Result<Half, PairError> {
        let Process::Client(process) = event.process else {
            return Ok(Half::None);
        };
        let index = event.index;
        if event.kind == Kind::Invoke {
            return match self.open.insert(process, place) {
                None => Ok(Half::Begins),
                Some(open) => Err(PairError::TwoOpen {
                    index,
                    process,
                    f: event.f.clone(),
                    open: look(open).index,
                }),
            };
        }
        let Some(open) = self.open.remove(&process) else {
            return Err(PairError::NoInvocation {
                index,
                process,
                f: event.f.clone(),
            });
        };
        let invocation = look(open);
        if invocation.f != event.f || (event.key.is_some() && invocation.key != event.key) {
            return Err(PairError::Mismatch {
                index,
                process,
                f: named(event),
                open_f: named(invocation),
                open: invocation.index,
            });
        }
        Ok(Half::Ends(open))
    }
}

fn named(event: &Event) -> String {
    match &event.key {
        Some(key) => format!("{} of {key}", event.f),
        None => event.f.to_string(),
    }
}

impl History {
    /// All clients' operations, in the order of their invocations.
    ///
    /// A history that [`History::read`] accepted always pairs; one that was built by hand may not.
    pub fn operations(&self) -> Result<Vec<Operation<'_>>, PairError> {
        let mut operations: Vec<Operation<'_>> = Vec::with_capacity(self.events.len() / 2);
        let mut pairing = Pairing::default();
        for event in &self.events {
            let half = pairing.take(event, operations.len(), |place| {
                operations[place].invocation
            })?;
            match half {
                Half::None => {}
                Half::Begins => operations.push(Operation {
                    invocation: event,
                    completion: None,
                }),
                Half::Ends(place) => operations[place].completion = Some(event),
            }
        }
        Ok(operations)
    }
}
