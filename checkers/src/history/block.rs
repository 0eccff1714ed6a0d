//! A run of lines that was read by itself: with numbers of its own for its names, and an arena of its own.
//!
//! Blocks are read in parallel, and joined in their order: so the numbers of names do not depend on who was quicker.

use super::arena::{At, Cell, Writer};
use super::event::{Event, Kind, Nanos, Process};
use super::names::Names;
use super::rows::NONE;
use super::value::{FieldsRef, ValueRef};
use std::fmt;
use std::sync::Arc;

/// The fields of every line.
const COMMON: [&str; 7] = ["index", "time", "process", "type", "f", "key", "value"];

/// No index, no time.
pub(super) const ABSENT: u64 = u64::MAX;

/// Lines, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) drafts: Vec<Draft>,
    pub(super) writer: Writer,
    pub(super) processes: Names<Process>,
    pub(super) keys: Names<Arc<str>>,
    pub(super) functions: Names<Arc<str>>,
    /// Names and values of a line's extra fields, while it is read.
    fields: Vec<(Cell, Cell)>,
    /// Which of the common fields the line has had, while it is read.
    seen: u8,
    /// Whether a value was tagged as the tuple of an independent key.
    pub(super) is_tagged: bool,
}

/// A line that was read, and is not yet known to fit where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draft {
    pub(super) index: u64,
    pub(super) time: u64,
    pub(super) value: Cell,
    /// [`NONE`] where the line names no process.
    pub(super) process: u32,
    pub(super) key: u32,
    /// [`NONE`] where the line names no function.
    pub(super) f: u32,
    pub(super) extra: At,
    /// Whether the key was written as a number.
    pub(super) key_is_number: bool,
    /// [`None`] while it is not known.
    pub(super) kind: Option<Kind>,
    /// Where it begins.
    pub(super) begins: Place,
    /// Where its value is, or else where it begins.
    pub(super) value_at: Place,
}

/// A place in a file: line and column, from 1, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which line, from 1.
    pub line: u32,
    /// Which byte of the line, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    /// `line 7, column 41`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Draft {
    pub(super) fn at(begins: Place) -> Draft {
        Draft {
            index: ABSENT,
            time: ABSENT,
            value: Cell::NULL,
            process: NONE,
            key: NONE,
            f: NONE,
            extra: NONE,
            key_is_number: false,
            kind: None,
            begins,
            value_at: begins,
        }
    }
}

impl Block {
    pub(super) fn client(&mut self, process: u64) -> u32 {
        self.process(Process::Client(process))
    }

    pub(super) fn named(&mut self, name: &str) -> u32 {
        self.process(Process::Named(name.into()))
    }

    fn process(&mut self, process: Process) -> u32 {
        self.processes.id(&process, || process.clone())
    }

    /// Begins a line: what an abandoned one left is forgotten.
    pub(super) fn begin(&mut self) {
        self.fields.clear();
        self.seen = 0;
        self.writer.abandon();
    }

    /// Whether the line that is being read had no field of this name so far: a second one would hide the first.
    pub(super) fn is_new(&mut self, name: &str) -> bool {
        match COMMON.iter().position(|common| *common == name) {
            Some(place) => {
                let bit = 1 << place;
                let is_new = self.seen & bit == 0;
                self.seen |= bit;
                is_new
            }
            None => {
                let arena = self.writer.arena();
                let mut names = self.fields.iter().map(|(name, _)| name.at());
                !names.any(|at| arena.text_bytes(at) == name.as_bytes())
            }
        }
    }

    /// Adds an extra field to the line that is being read.
    pub(super) fn field(&mut self, name: Cell, value: Cell) {
        self.fields.push((name, value));
    }

    /// Writes down the extra fields of the line that was read.
    pub(super) fn end_fields(&mut self) -> At {
        if self.fields.is_empty() {
            return NONE;
        }
        let began = self.writer.begin();
        for (name, _) in &self.fields {
            self.writer.element(*name);
        }
        for (_, value) in &self.fields {
            self.writer.element(*value);
        }
        self.fields.clear();
        self.writer.end_fields(began)
    }

    /// A complete line as an event.
    pub(super) fn event(&self, draft: &Draft) -> Option<Event> {
        let arena = self.writer.arena();
        let extra = (draft.extra != NONE).then(|| FieldsRef::new(arena, draft.extra));
        Some(Event {
            index: draft.index,
            time: Nanos(draft.time),
            process: self.processes.all().get(draft.process as usize)?.clone(),
            kind: draft.kind?,
            f: self.functions.all().get(draft.f as usize)?.clone(),
            key: self.keys.all().get(draft.key as usize).cloned(),
            value: ValueRef::new(arena, draft.value).to_json(),
            extra: extra
                .into_iter()
                .flat_map(FieldsRef::iter)
                .map(|(name, value)| (name, value.to_json()))
                .collect(),
        })
    }
}
