//! Where values live that do not fit into a row: texts, lists, maps, wide numbers, extra fields.
//!
//! One run of bytes in words of four. What lies in it refers to other things in it by their distance *back* from itself, so
//! that a whole arena can be put behind another one without looking inside. A text of common length lies there once.
//!
//! A [`Cell`] is a value in a row: eight bytes, a tag and a payload, with absolute places. A *small cell* is the same within a
//! list or a map: four bytes, with distances. So a list of a thousand small integers costs four kilobytes.

use super::value::ValueRef;
use rustc_hash::{FxHashMap, FxHasher};
use serde_json::Value;
use std::hash::Hasher;

/// A place in the arena, in words.
pub(super) type At = u32;

/// Longer texts are seldom repeated, and are not looked for.
const LONGEST_SHARED: usize = 48;

/// Shared texts that are remembered at most.
const MOST_SHARED: usize = 1 << 14;

/// Stands with the length of a list that is a set: a value takes less than 2 GiB, so no list is so long.
pub(super) const SET: u32 = 1 << 31;

/// How far back a small cell reaches, in words.
const REACH: u32 = 1 << 29;

/// What a cell holds, in its three lowest bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// `null`, `false`, `true` as 0, 1, 2.
    Word = 0,
    /// A whole number in the payload.
    Int = 1,
    /// A whole number of 64 bits, in the arena.
    Wide = 2,
    /// A number above 2^63 - 1, in the arena.
    Above = 3,
    /// A floating-point number, in the arena.
    Float = 4,
    /// A text, in the arena: its length in bytes, and they.
    Text = 5,
    /// A list, in the arena: its length, and small cells.
    List = 6,
    /// A map, in the arena: its length, and a small cell each for name and value.
    Map = 7,
}

impl Tag {
    fn of(bits: u64) -> Tag {
        match bits & 7 {
            0 => Tag::Word,
            1 => Tag::Int,
            2 => Tag::Wide,
            3 => Tag::Above,
            4 => Tag::Float,
            5 => Tag::Text,
            6 => Tag::List,
            _ => Tag::Map,
        }
    }
}

/// A value, or where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell(u64);

impl Cell {
    pub(super) const NULL: Cell = Cell(0);

    fn new(tag: Tag, payload: u64) -> Cell {
        Cell(payload << 3 | tag as u64)
    }

    pub(super) fn bool(value: bool) -> Cell {
        Cell::new(Tag::Word, 1 + u64::from(value))
    }

    /// The number, if it fits into 61 bits.
    pub(super) fn int(number: i64) -> Option<Cell> {
        let fits = (number << 3) >> 3 == number;
        fits.then_some(Cell((number as u64) << 3 | Tag::Int as u64))
    }

    pub(super) fn tag(self) -> Tag {
        Tag::of(self.0)
    }

    /// The payload of a word.
    pub(super) fn word(self) -> u64 {
        self.0 >> 3
    }

    /// The payload of a whole number.
    pub(super) fn number(self) -> i64 {
        (self.0 as i64) >> 3
    }

    /// The same, after its arena was put behind so many words.
    pub(super) fn moved(self, by: At) -> Cell {
        match self.tag() {
            Tag::Word | Tag::Int => self,
            _ => Cell(self.0 + (u64::from(by) << 3)),
        }
    }

    /// Where it lies.
    pub(super) fn at(self) -> At {
        (self.0 >> 3) as At
    }
}

/// The bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
}

impl Arena {
    /// Its size in words.
    pub(super) fn words(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Bytes that it takes in memory.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Puts another one behind this one, and says by how many words it moved; `None` if they do not fit together.
    pub(super) fn append(&mut self, other: &Arena) -> Option<At> {
        let by = At::try_from(self.words()).ok()?;
        At::try_from(self.words() + other.words()).ok()?;
        self.bytes.extend_from_slice(&other.bytes);
        Some(by)
    }

    pub(super) fn word(&self, at: At) -> u32 {
        let start = at as usize * 4;
        let word = self.bytes[start..start + 4].first_chunk();
        u32::from_le_bytes(*word.expect("a slice of four bytes holds four"))
    }

    pub(super) fn two_words(&self, at: At) -> u64 {
        u64::from(self.word(at)) | u64::from(self.word(at + 1)) << 32
    }

    /// The bytes of the text that lies there.
    pub(super) fn text_bytes(&self, at: At) -> &[u8] {
        let length = self.word(at) as usize;
        let start = at as usize * 4 + 4;
        &self.bytes[start..start + length]
    }

    /// The text that lies there.
    pub(super) fn text(&self, at: At) -> &str {
        std::str::from_utf8(self.text_bytes(at)).expect("only whole texts are stored")
    }

    /// The small cell that lies there.
    pub(super) fn cell(&self, at: At) -> Cell {
        let small = self.word(at);
        match Tag::of(u64::from(small)) {
            Tag::Word => Cell(u64::from(small)),
            Tag::Int => Cell((i64::from((small as i32) >> 3) << 3) as u64 | Tag::Int as u64),
            tag => Cell::new(tag, u64::from(at - (small >> 3))),
        }
    }

    /// The bytes of that many small cells.
    pub(super) fn cells(&self, at: At, count: u32) -> &[u8] {
        let start = at as usize * 4;
        &self.bytes[start..start + count as usize * 4]
    }

    /// How many fields lie there, and where their names lie as small cells.
    pub(super) fn fields(&self, at: At) -> (u32, At) {
        let shape = at - self.word(at);
        (self.word(shape), shape + 1)
    }

    fn push(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_le_bytes());
    }
}

/// Writes into an arena.
#[derive(Debug, Clone, Default)]
pub(super) struct Writer {
    arena: Arena,
    /// Shared texts and shapes, by their hash.
    shared: FxHashMap<u64, At>,
    /// Elements of the lists that are being written.
    open: Vec<Cell>,
}

impl Writer {
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Puts another arena behind this one.
    pub(super) fn append(&mut self, other: &Arena) -> Option<At> {
        self.arena.append(other)
    }

    /// Gives back what is kept for more.
    pub(super) fn settle(&mut self) {
        self.arena.shrink();
    }

    /// Forgets lists and maps that were begun and not ended.
    pub(super) fn abandon(&mut self) {
        self.open.clear();
    }

    fn here(&self) -> At {
        At::try_from(self.arena.words()).expect("the values of a history take less than 16 GiB")
    }

    pub(super) fn int(&mut self, number: i64) -> Cell {
        Cell::int(number).unwrap_or_else(|| self.wide(Tag::Wide, number as u64))
    }

    pub(super) fn unsigned(&mut self, number: u64) -> Cell {
        match i64::try_from(number) {
            Ok(number) => self.int(number),
            Err(_) => self.wide(Tag::Above, number),
        }
    }

    pub(super) fn float(&mut self, number: f64) -> Cell {
        self.wide(Tag::Float, number.to_bits())
    }

    fn wide(&mut self, tag: Tag, bits: u64) -> Cell {
        let at = self.here();
        self.arena.bytes.extend_from_slice(&bits.to_le_bytes());
        Cell::new(tag, u64::from(at))
    }

    pub(super) fn text(&mut self, text: &str) -> Cell {
        if text.len() > LONGEST_SHARED {
            return self.new_text(text);
        }
        let mut hasher = FxHasher::default();
        hasher.write(text.as_bytes());
        hasher.write_u8(0xff);
        let hash = hasher.finish();
        match self.shared.get(&hash) {
            Some(at) if self.arena.text_bytes(*at) == text.as_bytes() => {
                Cell::new(Tag::Text, u64::from(*at))
            }
            _ => {
                let cell = self.new_text(text);
                self.share(hash, cell.at());
                cell
            }
        }
    }

    fn share(&mut self, hash: u64, at: At) {
        if self.shared.len() >= MOST_SHARED {
            self.shared.clear();
        }
        self.shared.insert(hash, at);
    }

    fn new_text(&mut self, text: &str) -> Cell {
        let at = self.here();
        let length = u32::try_from(text.len()).expect("a text has less than 4 GiB");
        self.arena.push(length);
        self.arena.bytes.extend_from_slice(text.as_bytes());
        let padding = text.len().next_multiple_of(4) - text.len();
        self.arena.bytes.extend_from_slice(&[0; 3][..padding]);
        Cell::new(Tag::Text, u64::from(at))
    }

    /// Begins a list or a map: give its elements (or names and values in turn) to [`Writer::element`], then end it.
    pub(super) fn begin(&self) -> usize {
        self.open.len()
    }

    pub(super) fn element(&mut self, cell: Cell) {
        self.open.push(cell);
    }

    pub(super) fn end_list(&mut self, began: usize) -> Cell {
        let count = self.open.len() - began;
        let at = self.end(began, count);
        Cell::new(Tag::List, u64::from(at))
    }

    /// A set: a list that says so, its elements in one order, whatever the order in which they were given.
    pub(super) fn end_set(&mut self, began: usize) -> Cell {
        self.sort(began);
        let count = self.open.len() - began;
        let at = self.end_with(began, count, SET);
        Cell::new(Tag::List, u64::from(at))
    }

    /// Numbers by their size, then the others by how they are written.
    fn sort(&mut self, began: usize) {
        let number = |cell: &Cell| (cell.tag() == Tag::Int).then(|| cell.number());
        if self.open[began..].iter().all(|cell| number(cell).is_some()) {
            self.open[began..].sort_unstable_by_key(|cell| cell.number());
            return;
        }
        let written = |cell: Cell| ValueRef::new(&self.arena, cell).to_string();
        let mut cells: Vec<(Option<i64>, String, Cell)> = self.open[began..]
            .iter()
            .map(|cell| (number(cell), written(*cell), *cell))
            .collect();
        cells.sort_by(|one, other| {
            let is_other = (one.0.is_none(), one.0).cmp(&(other.0.is_none(), other.0));
            is_other.then_with(|| one.1.cmp(&other.1))
        });
        for (place, (.., cell)) in cells.into_iter().enumerate() {
            self.open[began + place] = cell;
        }
    }

    /// A name that comes twice has its last value, at the place of its first.
    pub(super) fn end_map(&mut self, began: usize) -> Cell {
        let mut end = began;
        for at in (began..self.open.len()).step_by(2) {
            let (name, value) = (self.open[at], self.open[at + 1]);
            let same = |other: &usize| {
                let other = self.open[*other].at();
                self.arena.text_bytes(other) == self.arena.text_bytes(name.at())
            };
            match (began..end).step_by(2).find(same) {
                Some(first) => self.open[first + 1] = value,
                None => {
                    self.open[end] = name;
                    self.open[end + 1] = value;
                    end += 2;
                }
            }
        }
        self.open.truncate(end);
        let at = self.end(began, (end - began) / 2);
        Cell::new(Tag::Map, u64::from(at))
    }

    /// Writes a count and what was given since.
    fn end(&mut self, began: usize, count: usize) -> At {
        self.end_with(began, count, 0)
    }

    fn end_with(&mut self, began: usize, count: usize, mark: u32) -> At {
        let cells = self.open.len() - began;
        self.make_small(began, cells + 1);
        let at = self.here();
        self.arena
            .push(u32::try_from(count).expect("a list has fewer than 2^31 elements") | mark);
        self.small_cells(began);
        at
    }

    /// Takes care that each of the open cells can be written as a small one within the next words.
    fn make_small(&mut self, began: usize, words: usize) {
        for place in began..self.open.len() {
            let cell = self.open[place];
            match cell.tag() {
                Tag::Int => {
                    let number = cell.number();
                    if (number << 35) >> 35 != number {
                        self.open[place] = self.wide(Tag::Wide, number as u64);
                    }
                }
                // Only what is shared can lie so far back; a little more than needed is kept free.
                Tag::Text if !self.reaches(cell.at(), words + 32 * self.open.len()) => {
                    let text = self.arena.text(cell.at()).to_owned();
                    self.open[place] = self.new_text(&text);
                }
                _ => {}
            }
        }
    }

    fn reaches(&self, at: At, words: usize) -> bool {
        self.arena.words() + words - (at as usize) < REACH as usize
    }

    fn small_cells(&mut self, began: usize) {
        for place in began..self.open.len() {
            let cell = self.open[place];
            let small = match cell.tag() {
                Tag::Word | Tag::Int => cell.0 as u32,
                tag => {
                    let back = self.here() - cell.at();
                    assert!(back < REACH, "a value takes less than 2 GiB");
                    back << 3 | tag as u32
                }
            };
            self.arena.push(small);
        }
        self.open.truncate(began);
    }

    /// Writes extra fields: begun as a list was, with all names first and then all values. Fields of one shape share their
    /// names.
    pub(super) fn end_fields(&mut self, began: usize) -> At {
        let count = (self.open.len() - began) / 2;
        let shape = self.shape(began, count);
        self.open.drain(began..began + count);
        self.make_small(began, count + 1);
        let at = self.here();
        self.arena.push(at - shape);
        self.small_cells(began);
        at
    }

    /// The names among the open cells, as they lie somewhere already, or else newly written.
    fn shape(&mut self, began: usize, count: usize) -> At {
        let mut hasher = FxHasher::default();
        for name in &self.open[began..began + count] {
            hasher.write_u32(name.at());
        }
        let hash = hasher.finish();
        if let Some(known) = self.shared.get(&hash).copied()
            && self.is_shape(known, &self.open[began..began + count])
        {
            return known;
        }
        let names = self.open.len();
        self.open.extend_from_within(began..began + count);
        let at = self.end(names, count);
        self.share(hash, at);
        at
    }

    fn is_shape(&self, at: At, names: &[Cell]) -> bool {
        self.arena.word(at) as usize == names.len()
            && at as usize + names.len() < self.arena.words()
            && (at + 1..).zip(names).all(|(at, name)| {
                let small = self.arena.word(at);
                Tag::of(u64::from(small)) == Tag::Text && at.wrapping_sub(small >> 3) == name.at()
            })
    }

    /// Writes a JSON value.
    pub(super) fn json(&mut self, value: &Value) -> Cell {
        match value {
            Value::Null => Cell::NULL,
            Value::Bool(value) => Cell::bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => self.int(number),
                (_, Some(number), _) => self.unsigned(number),
                (_, _, number) => self.float(number.expect("a number is one of the three")),
            },
            Value::String(text) => self.text(text),
            Value::Array(list) => {
                let began = self.begin();
                for element in list {
                    let cell = self.json(element);
                    self.element(cell);
                }
                self.end_list(began)
            }
            Value::Object(map) => {
                let began = self.begin();
                for (name, value) in map {
                    let name = self.text(name);
                    let value = self.json(value);
                    self.element(name);
                    self.element(value);
                }
                self.end_map(began)
            }
        }
    }
}
