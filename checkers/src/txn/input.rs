//! Transactions as columns: what the checkers of this room work on.
//!
//! From a history: operations whose function is `txn` (or that have none; other ones are no transactions, and refused if they have the
//! value of one), with a list of micro-operations `[f, key, value]` as value. Of a
//! transaction that is `ok` the completion's list counts; of an indeterminate one only what it asked to write, since its reads were
//! never told; of a failed one what it would have written, which nobody must see.
//!
//! A version may stand as fourth element of a micro-operation (`["w","x",3,7]`: this made version 7 of x; `["r","x",3,7]`: what was
//! read is version 7), or as `zxid` in the completion of a transaction: then all that it wrote has that version.

use super::graph::{NONE, Span, Txn};
use crate::history::{History, Kind, ListRef, Operation, ValueRef};
use crate::limits::{Limits, Stop};
use crate::verdict::Misfit;
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::borrow::Cow;

/// What a micro-operation may do beside reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `append` to lists; reads tell whole lists.
    Lists,
    /// `w`; reads tell the value.
    Registers,
}

/// What is known of a transaction's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Committed.
    Ok,
    /// Perhaps.
    Info,
    /// Certainly not committed.
    Fail,
}

/// A key, by number.
pub(crate) type Key = u32;

/// An element or value: a small whole number in itself, anything else by number. In the form in which a history's lists have small
/// whole numbers, so that such lists need not be copied.
pub(crate) type Token = u32;

/// The value of a register that nobody wrote.
pub(crate) const NULL: Token = 0;

/// A value that no history has.
pub(crate) const UNWRITTEN: Token = 2;

/// Operations between two looks at the limits.
const STEPS: usize = 1 << 14;

const NUMBER: u32 = 1;
const INTERNED: u32 = 5;

/// What one micro-operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Appended this element, or wrote this value.
    Write(Token),
    /// Read this value of a register.
    Read(Token),
    /// Read a list: [`Txns::list`] has it.
    ReadList(u32),
}

/// A micro-operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Micro {
    pub(crate) txn: Txn,
    pub(crate) key: Key,
    pub(crate) act: Act,
}

/// A list that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct List<'t>(&'t [u8]);

impl<'t> List<'t> {
    pub(crate) fn len(self) -> usize {
        self.0.len() / 4
    }

    pub(crate) fn get(self, place: usize) -> Token {
        let bytes = self.0[4 * place..].first_chunk();
        Token::from_le_bytes(*bytes.expect("an element has four bytes"))
    }

    pub(crate) fn last(self) -> Option<Token> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = Token> + 't {
        (0..self.len()).map(move |place| self.get(place))
    }

    pub(crate) fn is_prefix_of(self, other: List<'_>) -> bool {
        other.0.starts_with(self.0)
    }

    pub(crate) fn first(self, count: usize) -> List<'t> {
        List(&self.0[..4 * count])
    }

    pub(crate) fn behind(self, count: usize) -> List<'t> {
        List(&self.0[4 * count..])
    }
}

/// Why a history cannot be read as transactions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}: {what}", .index + 1)]
pub(crate) struct Malformed {
    index: u64,
    what: String,
}

/// Why transactions were not read to their end.
enum Unread {
    Malformed(Malformed),
    Stopped(Stop),
}

/// The transactions of a history, in the order of their invocations.
pub(crate) struct Txns<'h> {
    pub(crate) shape: Shape,
    /// The history's operations; `operation` says which belong to which transaction.
    operations: Vec<Operation<'h>>,
    operation: Vec<u32>,
    pub(crate) spans: Vec<Span>,
    pub(crate) outcome: Vec<Outcome>,
    pub(crate) process: Vec<u32>,
    starts: Vec<u32>,
    pub(crate) micros: Vec<Micro>,
    lists: Vec<Cow<'h, [u8]>>,
    keys: Vec<ValueRef<'h>>,
    elements: Vec<ValueRef<'h>>,
    /// By micro-operation, where it carries one.
    versions: FxHashMap<u32, i64>,
    /// By transaction, where its completion carries one.
    zxids: FxHashMap<Txn, i64>,
}

impl<'h> Txns<'h> {
    /// Reads the transactions of a history.
    pub(crate) fn read(
        history: &'h History,
        shape: Shape,
        initial: Option<&Value>,
        limits: &Limits,
    ) -> Result<Txns<'h>, Misfit> {
        let operations = history
            .operations()
            .map_err(|error| format!("the history is malformed: {error}"))?;
        let mut reader = Reader::new(shape, operations);
        reader.read(limits).map_err(|unread| match unread {
            Unread::Malformed(malformed) => Misfit::at(malformed.index, malformed.what),
            Unread::Stopped(stop) => Misfit::from(String::from(stop)),
        })?;
        if let (Shape::Lists, Some(initial)) = (shape, initial) {
            reader.txns.begin_with(initial)?;
        }
        Ok(reader.txns)
    }

    /// Takes the initial list off every list that was read. One that does not begin with it shows what nobody wrote.
    fn begin_with(&mut self, initial: &Value) -> Result<(), String> {
        let elements = match initial {
            Value::Null => &[],
            Value::Array(elements) => &elements[..],
            other => return Err(format!("a list begins as a list, not as {other}")),
        };
        let tokens = elements.iter().map(|element| self.token_of(element));
        let first: Vec<u8> = tokens.flat_map(Token::to_le_bytes).collect();
        for list in &mut self.lists {
            *list = match list.strip_prefix(&first[..]) {
                Some(rest) => Cow::Owned(rest.to_vec()),
                None => Cow::Owned([&list[..], &UNWRITTEN.to_le_bytes()].concat()),
            };
        }
        Ok(())
    }

    /// The token of a value from outside; one that nothing has, if it does not occur.
    pub(crate) fn token_of(&self, value: &Value) -> Token {
        let small = value
            .as_i64()
            .filter(|number| (number << 35) >> 35 == *number);
        match (value, small) {
            (Value::Null, _) => NULL,
            (_, Some(number)) => (number as u32) << 3 | NUMBER,
            (other, None) => {
                let known = self.elements.iter().position(|element| *element == *other);
                let number = known.unwrap_or(self.elements.len());
                (number as Token) << 3 | INTERNED
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// About how many bytes its columns hold.
    pub(crate) fn bytes(&self) -> usize {
        let of_txn = size_of::<Span>() + size_of::<Outcome>() + 3 * size_of::<u32>();
        self.operations.len() * size_of::<Operation<'h>>()
            + self.len() * of_txn
            + self.micros.len() * size_of::<Micro>()
            + self.lists.len() * size_of::<Cow<'h, [u8]>>()
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn operation(&self, txn: Txn) -> &Operation<'h> {
        &self.operations[self.operation[txn as usize] as usize]
    }

    /// Whether two transactions are parts of one that was taken apart.
    pub(crate) fn are_one(&self, one: Txn, other: Txn) -> bool {
        self.operation[one as usize] == self.operation[other as usize]
    }

    pub(crate) fn is(&self, txn: Txn, outcome: Outcome) -> bool {
        self.outcome[txn as usize] == outcome
    }

    /// The places of a transaction's micro-operations.
    pub(crate) fn places(&self, txn: Txn) -> std::ops::Range<usize> {
        let txn = txn as usize;
        self.starts[txn] as usize..self.starts[txn + 1] as usize
    }

    pub(crate) fn micros_of(&self, txn: Txn) -> &[Micro] {
        &self.micros[self.places(txn)]
    }

    pub(crate) fn list(&self, list: u32) -> List<'_> {
        List(&self.lists[list as usize])
    }

    /// The version that a micro-operation made or saw, where the history tells it.
    pub(crate) fn version(&self, place: usize) -> Option<i64> {
        if let Some(version) = self.versions.get(&(place as u32)) {
            return Some(*version);
        }
        let micro = self.micros[place];
        match micro.act {
            Act::Write(_) => self.zxids.get(&micro.txn).copied(),
            Act::Read(_) | Act::ReadList(_) => None,
        }
    }

    /// Whether any version is told.
    pub(crate) fn has_versions(&self) -> bool {
        !self.versions.is_empty() || !self.zxids.is_empty()
    }

    /// The same history as if each micro-operation were a transaction, one behind the other in their process, of the transactions
    /// that happened, or failed. Of a register, what is read behind an own write of it is left out: it says nothing of others. A
    /// list that is read behind own appends keeps what others had appended: that came before them.
    pub(crate) fn apart(&self, happened: &[bool]) -> Txns<'h> {
        let count = self.micros.len();
        let mut apart = Txns {
            shape: self.shape,
            operations: self.operations.clone(),
            operation: Vec::with_capacity(count),
            spans: Vec::with_capacity(count),
            outcome: Vec::with_capacity(count),
            process: Vec::with_capacity(count),
            starts: vec![0],
            micros: Vec::with_capacity(count),
            lists: self.lists.clone(),
            keys: self.keys.clone(),
            elements: self.elements.clone(),
            versions: FxHashMap::default(),
            zxids: FxHashMap::default(),
        };
        let mut written: Vec<Key> = Vec::new();
        let counts = |txn: &Txn| happened[*txn as usize] || self.is(*txn, Outcome::Fail);
        for txn in (0..self.len() as Txn).filter(counts) {
            written.clear();
            for micro in self.micros_of(txn) {
                let own = written.iter().filter(|key| **key == micro.key).count();
                let act = match micro.act {
                    Act::Write(_) => {
                        written.push(micro.key);
                        micro.act
                    }
                    Act::Read(_) if own > 0 => continue,
                    Act::ReadList(list) if own > 0 => {
                        let list = &self.lists[list as usize];
                        let others = list.len().saturating_sub(size_of::<Token>() * own);
                        apart.lists.push(Cow::Owned(list[..others].to_vec()));
                        Act::ReadList(apart.lists.len() as u32 - 1)
                    }
                    act => act,
                };
                let (part, whole) = (apart.spans.len() as Txn, txn as usize);
                apart.micros.push(Micro {
                    txn: part,
                    key: micro.key,
                    act,
                });
                apart.operation.push(self.operation[whole]);
                apart.spans.push(self.spans[whole]);
                apart.outcome.push(self.outcome[whole]);
                apart.process.push(self.process[whole]);
                apart.starts.push(apart.micros.len() as u32);
            }
        }
        apart
    }

    /// A key as JSON.
    pub(crate) fn key(&self, key: Key) -> Value {
        self.keys[key as usize].to_json()
    }

    /// A key as it reads in a sentence.
    pub(crate) fn key_text(&self, key: Key) -> String {
        plain(self.keys[key as usize])
    }

    /// An element as JSON.
    pub(crate) fn element(&self, token: Token) -> Value {
        match token & 7 {
            NUMBER => Value::from((token as i32) >> 3),
            INTERNED => self
                .elements
                .get((token >> 3) as usize)
                .map_or(Value::Null, |one| one.to_json()),
            _ => Value::Null,
        }
    }

    /// All micro-operations by key: for each key its places, in the order of the history.
    pub(crate) fn by_key(&self) -> ByKey {
        let mut starts = vec![0_u32; self.keys.len() + 1];
        for micro in &self.micros {
            starts[micro.key as usize + 1] += 1;
        }
        for key in 0..self.keys.len() {
            starts[key + 1] += starts[key];
        }
        let mut next = starts.clone();
        let mut places = vec![0; self.micros.len()];
        for (place, micro) in (0..).zip(&self.micros) {
            let at = &mut next[micro.key as usize];
            places[*at as usize] = place;
            *at += 1;
        }
        ByKey { starts, places }
    }
}

/// Whether what was asked is a list of micro-operations, as transactions have it.
fn is_transaction(operation: Operation<'_>) -> bool {
    let list = operation.invocation().value().as_list();
    let first = list.and_then(|list| list.get(0)?.as_list());
    first.is_some_and(|micro| {
        let f = micro.get(0).and_then(ValueRef::as_str);
        micro.len() > 1 && f.is_some_and(|f| matches!(f, "append" | "w" | "r"))
    })
}

/// Text without quotes, anything else as JSON.
fn plain(value: ValueRef<'_>) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The places of micro-operations, by key.
pub(crate) struct ByKey {
    starts: Vec<u32>,
    places: Vec<u32>,
}

impl ByKey {
    pub(crate) fn of(&self, key: Key) -> &[u32] {
        let key = key as usize;
        &self.places[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

struct Reader<'h> {
    txns: Txns<'h>,
    key_numbers: FxHashMap<ValueRef<'h>, Key>,
    element_numbers: FxHashMap<ValueRef<'h>, Token>,
}

impl<'h> Reader<'h> {
    fn new(shape: Shape, operations: Vec<Operation<'h>>) -> Reader<'h> {
        let count = operations.len();
        Reader {
            txns: Txns {
                shape,
                operations,
                operation: Vec::with_capacity(count),
                spans: Vec::with_capacity(count),
                outcome: Vec::with_capacity(count),
                process: Vec::with_capacity(count),
                starts: vec![0],
                micros: Vec::with_capacity(3 * count),
                lists: Vec::new(),
                keys: Vec::new(),
                elements: Vec::new(),
                versions: FxHashMap::default(),
                zxids: FxHashMap::default(),
            },
            key_numbers: FxHashMap::default(),
            element_numbers: FxHashMap::default(),
        }
    }

    fn read(&mut self, limits: &Limits) -> Result<(), Unread> {
        let all = self.txns.operations.len();
        for place in 0..all {
            if place.is_multiple_of(STEPS) {
                let during = format!("reading transactions ({place} of {all})");
                let hold = limits.hold(self.txns.bytes(), &during);
                hold.map_err(Unread::Stopped)?;
            }
            let operation = self.txns.operations[place];
            if matches!(operation.f(), "txn" | "") {
                self.operation(place as u32, operation)
                    .map_err(Unread::Malformed)?;
            } else if is_transaction(operation) {
                return Err(Unread::Malformed(Malformed {
                    index: operation.inv(),
                    what: format!(
                        "is `{}` with micro-operations, which would not be judged: transactions are called `txn`",
                        operation.f()
                    ),
                }));
            }
        }
        Ok(())
    }

    fn operation(&mut self, place: u32, operation: Operation<'h>) -> Result<(), Malformed> {
        let txn = self.txns.spans.len() as Txn;
        let (outcome, line) = match (operation.kind(), operation.completion()) {
            (Kind::Ok, Some(completion)) => (Outcome::Ok, completion),
            (Kind::Fail, _) => (Outcome::Fail, operation.invocation()),
            _ => (Outcome::Info, operation.invocation()),
        };
        let fail = |what: String| Malformed {
            index: line.index(),
            what,
        };
        let list = line.value().as_list().ok_or_else(|| {
            fail(format!(
                "has the value {}, where a list of micro-operations is expected, such as [[\"r\",\"x\",null]]",
                line.value()
            ))
        })?;
        crate::repeats::check(&operation).map_err(|misfit| Malformed {
            index: misfit.index.unwrap_or(line.index()),
            what: misfit.text,
        })?;
        for micro in list.iter() {
            self.micro(txn, outcome, micro).map_err(fail)?;
        }
        let txns = &mut self.txns;
        if let (Outcome::Ok, Some(zxid)) = (outcome, line.int("zxid")) {
            txns.zxids.insert(txn, zxid);
        }
        txns.operation.push(place);
        txns.outcome.push(outcome);
        txns.process.push(operation.process_id());
        txns.starts.push(txns.micros.len() as u32);
        txns.spans.push(Span {
            invoked: operation.inv() as u32,
            completed: match outcome {
                Outcome::Ok => line.index() as u32,
                Outcome::Info | Outcome::Fail => NONE,
            },
        });
        Ok(())
    }

    fn micro(&mut self, txn: Txn, outcome: Outcome, micro: ValueRef<'h>) -> Result<(), String> {
        let shape = self.txns.shape;
        let wrong = || {
            let write = match shape {
                Shape::Lists => "[\"append\",\"x\",1]",
                Shape::Registers => "[\"w\",\"x\",1]",
            };
            format!(
                "has {micro}, where a micro-operation is expected, such as {write} or [\"r\",\"x\",null]"
            )
        };
        let parts = micro.as_list().ok_or_else(wrong)?;
        let read = || match shape {
            Shape::Lists => {
                format!(
                    "has {micro}, where a read of list-append has a list or null, such as [\"r\",\"x\",[1,2]]"
                )
            }
            Shape::Registers => wrong(),
        };
        let write = || {
            format!(
                "has {micro}, which writes nothing: a value that is not null is expected behind the key"
            )
        };
        let other = || match (shape, parts.get(0).and_then(ValueRef::as_str)) {
            (Shape::Lists, Some("w")) => {
                format!("has {micro}: list-append knows append and r, and rw-register knows w")
            }
            (Shape::Registers, Some("append")) => {
                format!("has {micro}: rw-register knows w and r, and list-append knows append")
            }
            _ => wrong(),
        };
        let f = parts.get(0).and_then(ValueRef::as_str).ok_or_else(wrong)?;
        let key = parts.get(1).ok_or_else(wrong)?;
        let value = parts.get(2);
        let act = match (f, shape) {
            ("append", Shape::Lists) | ("w", Shape::Registers) => {
                let value = value.filter(|value| !value.is_null()).ok_or_else(write)?;
                Act::Write(self.token(value))
            }
            ("r", _) if outcome != Outcome::Ok => {
                self.key(key);
                return Ok(());
            }
            ("r", Shape::Registers) => Act::Read(value.map_or(NULL, |value| self.token(value))),
            ("r", Shape::Lists) => match value.filter(|value| !value.is_null()) {
                None => Act::ReadList(self.list(Cow::Borrowed(&[]))),
                Some(value) => {
                    let list = value.as_list().ok_or_else(read)?;
                    let list = self.tokens(list);
                    Act::ReadList(self.list(list))
                }
            },
            _ => return Err(other()),
        };
        let version = match parts.get(3) {
            None => None,
            Some(version) => Some(version.as_i64().ok_or_else(|| {
                format!(
                    "has {micro}, whose fourth part is no version: a whole number is expected there"
                )
            })?),
        };
        let key = self.key(key);
        let place = self.txns.micros.len() as u32;
        if let Some(version) = version {
            self.txns.versions.insert(place, version);
        }
        self.txns.micros.push(Micro { txn, key, act });
        Ok(())
    }

    fn key(&mut self, key: ValueRef<'h>) -> Key {
        let keys = &mut self.txns.keys;
        *self.key_numbers.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as Key - 1
        })
    }

    fn token(&mut self, value: ValueRef<'h>) -> Token {
        if value.is_null() {
            return NULL;
        }
        if let Some(number) = value.as_i64()
            && (number << 35) >> 35 == number
        {
            return (number as u32) << 3 | NUMBER;
        }
        let elements = &mut self.txns.elements;
        *self.element_numbers.entry(value).or_insert_with(|| {
            elements.push(value);
            (elements.len() as Token - 1) << 3 | INTERNED
        })
    }

    /// A list of small whole numbers as it lies in the history; any other one with its elements numbered.
    fn tokens(&mut self, list: ListRef<'h>) -> Cow<'h, [u8]> {
        let cells = list.cells();
        if cells
            .chunks_exact(4)
            .all(|cell| cell[0] & 7 == NUMBER as u8)
        {
            return Cow::Borrowed(cells);
        }
        let tokens = list
            .iter()
            .flat_map(|element| self.token(element).to_le_bytes());
        Cow::Owned(tokens.collect())
    }

    fn list(&mut self, list: Cow<'h, [u8]>) -> u32 {
        self.txns.lists.push(list);
        self.txns.lists.len() as u32 - 1
    }
}
