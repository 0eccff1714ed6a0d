//! Invocations with their completions.
//!
//! One pass over the events; a process has at most one open invocation. An invocation that never completed is
//! indeterminate, as one whose completion is `info`.

use super::History;
use super::event::{Kind, Nanos, Process};
use super::rows::{NONE, Row};
use super::value::ValueRef;
use super::view::EventRef;
use crate::repeats::is_completed;
use std::fmt;
use std::sync::Arc;

/// A client's operation: its invocation and what came back. A view that costs nothing to copy.
#[derive(Clone, Copy)]
pub struct Operation<'h> {
    history: &'h History,
    invocation: u32,
    completion: u32,
}

impl<'h> Operation<'h> {
    /// The line that began it.
    pub fn invocation(&self) -> EventRef<'h> {
        EventRef {
            history: self.history,
            place: self.invocation,
        }
    }

    /// The line that ended it, if there is one.
    pub fn completion(&self) -> Option<EventRef<'h>> {
        (self.completion != NONE).then_some(EventRef {
            history: self.history,
            place: self.completion,
        })
    }

    /// `Ok`, `Fail`, or `Info` (also for an invocation without completion).
    pub fn kind(&self) -> Kind {
        self.completion().map_or(Kind::Info, EventRef::kind)
    }

    /// Whether the server answered.
    pub fn is_ok(&self) -> bool {
        self.kind() == Kind::Ok
    }

    /// Index of the invocation's line.
    pub fn inv(&self) -> u64 {
        self.history.number(self.invocation)
    }

    /// Index of the completion's line, if the outcome is known by then; an indeterminate operation has none.
    pub fn ret(&self) -> Option<u64> {
        self.completion()
            .filter(|completion| completion.kind() != Kind::Info)
            .map(EventRef::index)
    }

    /// When it was invoked.
    pub fn start(&self) -> Nanos {
        self.invocation().time()
    }

    /// When its completion was recorded, whatever it was.
    pub fn end(&self) -> Option<Nanos> {
        self.completion().map(EventRef::time)
    }

    /// Who.
    pub fn process(&self) -> &'h Process {
        self.invocation().process()
    }

    /// Who, by number: its place in [`History::processes`].
    pub fn process_id(&self) -> u32 {
        self.invocation().process_id()
    }

    /// The function.
    pub fn f(&self) -> &'h str {
        self.invocation().f()
    }

    /// The function, by number: its place in [`History::functions`].
    pub fn f_id(&self) -> u32 {
        self.invocation().f_id()
    }

    /// The object.
    pub fn key(&self) -> Option<&'h str> {
        self.invocation().key()
    }

    /// The object, by number: its place in [`History::keys`].
    pub fn key_id(&self) -> Option<u32> {
        self.invocation().key_id()
    }

    /// What was asked; of a write whose invocation has no value and whose completion has one, the completion's, if the write
    /// happened or may have: some recorders choose what is written when they send it, and Knossos completes such histories so, too. A text
    /// with which a lost one ends may be why it was lost, and is not taken for it.
    pub fn argument(&self) -> ValueRef<'h> {
        let asked = self.invocation().value();
        if !asked.is_null() || !is_completed(self.f()) {
            return asked;
        }
        match self.completion() {
            Some(told) if told.kind() == Kind::Info && told.value().as_str().is_some() => asked,
            Some(told) if told.kind() != Kind::Fail => told.value(),
            _ => asked,
        }
    }

    /// What the server answered; none unless the operation is `ok`.
    pub fn result(&self) -> Option<ValueRef<'h>> {
        self.answer().map(EventRef::value)
    }

    /// The word of the error, on any kind of completion.
    pub fn error(&self) -> Option<&'h str> {
        self.completion()?.text("error")
    }

    /// The invocation's line, for the fields that came with it (`expected`, `mode`, `final`).
    pub fn asked(&self) -> EventRef<'h> {
        self.invocation()
    }

    /// The line of the server's answer; none unless the operation is `ok`.
    pub fn answer(&self) -> Option<EventRef<'h>> {
        self.completion()
            .filter(|completion| completion.kind() == Kind::Ok)
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("invocation", &self.invocation())
            .field("completion", &self.completion())
            .finish()
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
    #[error("process {process} invokes `{f}` while its invocation on line {} is still open", .open + 1)]
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
        "process {process} completes `{f}`, but what it has open is `{open_f}` on line {}", .open + 1
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

/// The invocation that each process has open, by the process's number.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairing {
    open: Vec<u32>,
}

impl Pairing {
    fn slot(&mut self, process: u32) -> &mut u32 {
        let process = process as usize;
        if process >= self.open.len() {
            self.open.resize(process + 1, NONE);
        }
        &mut self.open[process]
    }
}

impl History {
    /// Appends a row, paired with its other half. A row that does not pair is appended all the same.
    pub(super) fn pair_and_push(&mut self, row: Row) -> Result<(), PairError> {
        let place = u32::try_from(self.rows.len()).unwrap_or(NONE);
        assert!(place < NONE, "a history has fewer than 2^32 - 1 events");
        self.rows.push(row);
        let Process::Client(process) = *self.processes.get(row.process) else {
            return Ok(());
        };
        let open = self.pairing.slot(row.process);
        let before = *open;
        if row.kind == Kind::Invoke {
            *open = place;
            return match before {
                NONE => Ok(()),
                open => Err(self.two_open(place, process, open)),
            };
        }
        *open = NONE;
        if before == NONE {
            return Err(PairError::NoInvocation {
                index: u64::from(place),
                process,
                f: self.functions.get(u32::from(row.f)).clone(),
            });
        }
        let invocation = self.rows[before as usize];
        if invocation.f != row.f || (row.key != NONE && invocation.key != row.key) {
            return Err(self.mismatch(place, process, before));
        }
        self.rows[before as usize].partner = place;
        self.rows[place as usize].partner = before;
        Ok(())
    }

    fn two_open(&self, place: u32, process: u64, open: u32) -> PairError {
        PairError::TwoOpen {
            index: u64::from(place),
            process,
            f: self.event(place as usize).f().into(),
            open: u64::from(open),
        }
    }

    fn mismatch(&self, place: u32, process: u64, open: u32) -> PairError {
        PairError::Mismatch {
            index: u64::from(place),
            process,
            f: named(self.event(place as usize)),
            open_f: named(self.event(open as usize)),
            open: u64::from(open),
        }
    }

    /// All clients' operations, in the order of their invocations.
    ///
    /// A history that [`History::read`] accepted always pairs; one that was built by hand may not.
    pub fn operations(&self) -> Result<Vec<Operation<'_>>, PairError> {
        if let Some(problem) = &self.unpaired {
            return Err(problem.clone());
        }
        let mut operations = Vec::with_capacity(self.rows.len() / 2);
        for (place, row) in self.rows.iter().enumerate() {
            if row.kind == Kind::Invoke && self.is_client(row.process) {
                operations.push(Operation {
                    history: self,
                    invocation: place as u32,
                    completion: row.partner,
                });
            }
        }
        Ok(operations)
    }

    fn is_client(&self, process: u32) -> bool {
        matches!(self.processes.get(process), Process::Client(_))
    }
}

fn named(event: EventRef<'_>) -> String {
    match event.key() {
        Some(key) => format!("{} of {key}", event.f()),
        None => event.f().to_owned(),
    }
}
