//! A history with keys as one history for each of its objects.
//!
//! A part has the lines of the clients that are about its object, and keeps their numbers: what is said of its lines is true
//! of the whole history.

use super::History;
use super::arena::{Cell, Writer};
use super::event::Process;
use super::rows::{NONE, Row};
use super::value::ValueRef;
use super::view::EventRef;
use std::sync::Arc;

/// One object of a history.
pub(crate) struct Object<'h> {
    history: &'h History,
    /// Its key; none for the lines that have none.
    pub(crate) key: Option<&'h Arc<str>>,
    /// Which lines are about it.
    lines: Vec<u32>,
}

impl Object<'_> {
    /// Its history by itself.
    pub(crate) fn history(&self) -> History {
        let mut part = History::new();
        part.numbers.reserve_exact(self.lines.len());
        for line in &self.lines {
            let event = self.history.event(*line as usize);
            let value = part.writer.copy(event.value());
            let extra = part.copy_extra(event);
            part.push_parts(&super::rows::Parts {
                time: event.time(),
                process: event.process(),
                kind: event.kind(),
                f: event.f(),
                key: event.key(),
                value,
                extra,
            });
            part.numbers.push(*line);
            part.places.extend(event.place());
        }
        part
    }
}

impl History {
    /// The objects that clients' operations are about, in the order in which they come.
    pub(crate) fn objects(&self) -> Vec<Object<'_>> {
        let mut lines: Vec<Vec<u32>> = Vec::new();
        lines.resize_with(self.keys.all().len() + 1, Vec::new);
        for (place, row) in self.rows.iter().enumerate() {
            if matches!(self.processes.get(row.process), Process::Client(_)) {
                lines[self.object_of(row)].push(place as u32);
            }
        }
        let mut objects: Vec<Object<'_>> = lines
            .into_iter()
            .enumerate()
            .filter(|(_, lines)| !lines.is_empty())
            .map(|(number, lines)| Object {
                history: self,
                key: number.checked_sub(1).map(|key| &self.keys.all()[key]),
                lines,
            })
            .collect();
        objects.sort_by_key(|object| object.lines[0]);
        objects
    }

    /// A completion is about what its invocation is about.
    fn object_of(&self, row: &Row) -> usize {
        let partner = row.partner;
        let key = match row.key {
            NONE if partner != NONE => self.rows[partner as usize].key,
            key => key,
        };
        match key {
            NONE => 0,
            key => key as usize + 1,
        }
    }

    fn copy_extra(&mut self, event: EventRef<'_>) -> super::arena::At {
        let mut fields = event.extra().peekable();
        if fields.peek().is_none() {
            return NONE;
        }
        let cells: Vec<(Cell, Cell)> = fields
            .map(|(name, value)| (self.writer.text(name), self.writer.copy(value)))
            .collect();
        let began = self.writer.begin();
        cells
            .iter()
            .for_each(|(name, _)| self.writer.element(*name));
        cells
            .iter()
            .for_each(|(_, value)| self.writer.element(*value));
        self.writer.end_fields(began)
    }
}

impl Writer {
    /// Writes down what lies in another arena. Values are no deeper than readers allow.
    pub(super) fn copy(&mut self, value: ValueRef<'_>) -> Cell {
        if let Some(list) = value.as_list() {
            let began = self.begin();
            for element in list.iter() {
                let cell = self.copy(element);
                self.element(cell);
            }
            return match value.is_set() {
                true => self.end_set(began),
                false => self.end_list(began),
            };
        }
        if let Some(map) = value.as_map() {
            let began = self.begin();
            for (name, value) in map.iter() {
                let (name, value) = (self.text(name), self.copy(value));
                self.element(name);
                self.element(value);
            }
            return self.end_map(began);
        }
        self.json(&value.to_json())
    }
}
