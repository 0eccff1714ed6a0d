//! The history in memory: a row of fixed size for each line, and what rows refer to.

use super::arena::{Arena, At, Cell, Writer};
use super::block::Place;
use super::event::{Event, Kind, Nanos, Process};
use super::names::Names;
use super::pair::{PairError, Pairing};
use super::value::{FieldsRef, ValueRef};
use super::view::EventRef;
use std::fmt;
use std::sync::Arc;

/// No key, no partner, no extra fields.
pub(super) const NONE: u32 = u32::MAX;

/// A line. Packed, because a history has tens of millions of them.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
pub(super) struct Row {
    pub(super) time: u64,
    pub(super) value: Cell,
    pub(super) process: u32,
    pub(super) key: u32,
    /// The line that completes this invocation, or that this completes.
    pub(super) partner: u32,
    pub(super) extra: At,
    pub(super) f: u16,
    pub(super) kind: Kind,
}

/// A whole history: events in the one global order in which the controller recorded them.
///
/// A line costs 36 bytes (44 if it was read from a file, for its place there), and what its value and its extra fields take beside that: nothing for a number or a truth value, a
/// text once however often it occurs (if it is short), four bytes for each small number of a list.
///
/// Times never run backwards, and every line's index is its place; [`History::read`] refuses a file that breaks this.
#[derive(Clone, Default)]
pub struct History {
    pub(super) rows: Vec<Row>,
    pub(super) writer: Writer,
    pub(super) processes: Names<Process>,
    pub(super) keys: Names<Arc<str>>,
    pub(super) functions: Names<Arc<str>>,
    /// Where each line's value was in the file; empty for a history that was not read from one.
    pub(super) places: Vec<Place>,
    /// Which lines of the whole history these are; empty for a whole one.
    pub(super) numbers: Vec<u32>,
    /// Whether it was read from a form of Jepsen's own.
    pub(super) is_jepsens: bool,
    /// Whether no line that was read has a time.
    pub(super) is_timeless: bool,
    pub(super) pairing: Pairing,
    /// The first line that does not pair.
    pub(super) unpaired: Option<PairError>,
}

/// A line whose words are still words.
pub(super) struct Parts<'a> {
    pub(super) time: Nanos,
    pub(super) process: &'a Process,
    pub(super) kind: Kind,
    pub(super) f: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) value: Cell,
    pub(super) extra: At,
}

impl History {
    /// A history without events.
    pub fn new() -> History {
        History::default()
    }

    /// The history of these events, in this order.
    pub fn from_events<'e>(events: impl IntoIterator<Item = &'e Event>) -> History {
        let mut history = History::new();
        for event in events {
            history.push(event);
        }
        history
    }

    /// Appends an event. Its place is its index, whatever it says itself.
    ///
    /// # Panics
    /// From 2^32 - 1 events, from 65,536 different functions, or if values take more than 16 GiB.
    pub fn push(&mut self, event: &Event) {
        let value = self.writer.json(&event.value);
        let extra = self.write_extra(&event.extra);
        self.push_parts(&Parts {
            time: event.time,
            process: &event.process,
            kind: event.kind,
            f: &event.f,
            key: event.key.as_deref(),
            value,
            extra,
        });
    }

    fn write_extra(&mut self, extra: &super::Extra) -> At {
        if extra.is_empty() {
            return NONE;
        }
        let began = self.writer.begin();
        for (name, _) in extra.iter() {
            let name = self.writer.text(name);
            self.writer.element(name);
        }
        for (_, value) in extra.iter() {
            let value = self.writer.json(&value);
            self.writer.element(value);
        }
        self.writer.end_fields(began)
    }

    pub(super) fn push_parts(&mut self, parts: &Parts<'_>) {
        let row = self.row(parts);
        let problem = self.pair_and_push(row).err();
        if self.unpaired.is_none() {
            self.unpaired = problem;
        }
    }

    fn row(&mut self, parts: &Parts<'_>) -> Row {
        let f = self.functions.text(parts.f);
        Row {
            time: parts.time.0,
            value: parts.value,
            process: self.processes.id(parts.process, || parts.process.clone()),
            key: parts.key.map_or(NONE, |key| self.keys.text(key)),
            partner: NONE,
            extra: parts.extra,
            f: u16::try_from(f).expect("a history has at most 65,536 functions"),
            kind: parts.kind,
        }
    }

    /// The index of the line at this place.
    pub(super) fn number(&self, place: u32) -> u64 {
        u64::from(*self.numbers.get(place as usize).unwrap_or(&place))
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The event at this place.
    ///
    /// # Panics
    /// If there is none.
    pub fn event(&self, place: usize) -> EventRef<'_> {
        assert!(place < self.len(), "no event {place} in {}", self.len());
        EventRef {
            history: self,
            place: place as u32,
        }
    }

    /// The event at this place, if there is one.
    pub fn get(&self, place: usize) -> Option<EventRef<'_>> {
        (place < self.len()).then(|| self.event(place))
    }

    /// The last event, if there is one.
    pub fn last(&self) -> Option<EventRef<'_>> {
        self.get(self.len().checked_sub(1)?)
    }

    /// All events.
    pub fn events(&self) -> impl ExactSizeIterator<Item = EventRef<'_>> + DoubleEndedIterator {
        (0..self.len()).map(|place| self.event(place))
    }

    /// All events as owned ones: to change some, and to make another history of them.
    pub fn to_events(&self) -> Vec<Event> {
        self.events().map(EventRef::to_event).collect()
    }

    /// Where the value of the event at this place was in the file that it was read from, for messages about it.
    pub fn place(&self, place: usize) -> Option<Place> {
        self.places.get(place).copied()
    }

    /// Whether it was read from EDN or from a `history.txt`, Jepsen's own forms.
    pub fn is_jepsens(&self) -> bool {
        self.is_jepsens
    }

    /// Puts the values of a block behind those that there are.
    pub(super) fn append(&mut self, arena: &Arena) -> Option<At> {
        self.writer.append(arena)
    }

    /// Gives back what is kept for more.
    pub(super) fn settle(&mut self) {
        self.rows.shrink_to_fit();
        self.places.shrink_to_fit();
        self.writer.settle();
    }

    /// Every process, by its number.
    pub fn processes(&self) -> &[Process] {
        self.processes.all()
    }

    /// Every key, by its number.
    pub fn keys(&self) -> &[Arc<str>] {
        self.keys.all()
    }

    /// Every function, by its number.
    pub fn functions(&self) -> &[Arc<str>] {
        self.functions.all()
    }

    /// Bytes that it takes in memory, but for its names.
    pub fn held(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.places.capacity() * size_of::<Place>()
            + self.writer.arena().held()
    }

    pub(super) fn value(&self, cell: Cell) -> ValueRef<'_> {
        ValueRef::new(self.writer.arena(), cell)
    }

    pub(super) fn fields(&self, at: At) -> Option<FieldsRef<'_>> {
        (at != NONE).then(|| FieldsRef::new(self.writer.arena(), at))
    }
}

impl PartialEq for History {
    /// Whether they say the same, line by line.
    fn eq(&self, other: &History) -> bool {
        self.len() == other.len() && self.events().eq(other.events())
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.events()).finish()
    }
}

impl<'e> FromIterator<&'e Event> for History {
    fn from_iter<I: IntoIterator<Item = &'e Event>>(events: I) -> History {
        History::from_events(events)
    }
}
