//! A value of a history, where it lies: a view that costs nothing to copy.

use super::arena::{Arena, At, Cell, SET, Tag};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A value: `null`, a truth value, a number, a text, a list or a map, as JSON has them.
///
/// Two are equal, and hash alike, if they say the same, wherever they lie: also in different histories. As in JSON, `1` and
/// `1.0` are not the same; the order of a map's fields does not matter.
#[derive(Clone, Copy)]
pub struct ValueRef<'h> {
    arena: &'h Arena,
    cell: Cell,
}

impl<'h> ValueRef<'h> {
    pub(super) fn new(arena: &'h Arena, cell: Cell) -> ValueRef<'h> {
        ValueRef { arena, cell }
    }

    fn small(arena: &'h Arena, at: At) -> ValueRef<'h> {
        ValueRef {
            arena,
            cell: arena.cell(at),
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.cell == Cell::NULL
    }

    /// The whole number, if it is one that fits.
    pub fn as_i64(self) -> Option<i64> {
        match self.cell.tag() {
            Tag::Int => Some(self.cell.number()),
            Tag::Wide => Some(self.bits() as i64),
            _ => None,
        }
    }

    /// The whole number from 0, if it is one.
    pub fn as_u64(self) -> Option<u64> {
        match self.cell.tag() {
            Tag::Above => Some(self.bits()),
            _ => self.as_i64().and_then(|number| u64::try_from(number).ok()),
        }
    }

    /// The number, if it is one: whole ones too, as near as can be.
    pub fn as_f64(self) -> Option<f64> {
        match self.cell.tag() {
            Tag::Float => Some(f64::from_bits(self.bits())),
            Tag::Above => Some(self.bits() as f64),
            _ => self.as_i64().map(|number| number as f64),
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match (self.cell.tag(), self.cell.word()) {
            (Tag::Word, 1) => Some(false),
            (Tag::Word, 2) => Some(true),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(self) -> Option<&'h str> {
        (self.cell.tag() == Tag::Text).then(|| self.arena.text(self.cell.at()))
    }

    /// The list, if it is one.
    pub fn as_list(self) -> Option<ListRef<'h>> {
        (self.cell.tag() == Tag::List).then(|| ListRef {
            arena: self.arena,
            first: self.cell.at() + 1,
            length: self.arena.word(self.cell.at()) & !SET,
        })
    }

    /// Whether it is a set, as EDN has them: a list of its elements in one order, and equal to sets only. JSON has none, and
    /// writes it as a list.
    pub fn is_set(self) -> bool {
        self.cell.tag() == Tag::List && self.arena.word(self.cell.at()) & SET != 0
    }

    /// The map, if it is one.
    pub fn as_map(self) -> Option<MapRef<'h>> {
        (self.cell.tag() == Tag::Map).then(|| MapRef {
            arena: self.arena,
            first: self.cell.at() + 1,
            length: self.arena.word(self.cell.at()),
        })
    }

    /// The same as JSON of its own.
    pub fn to_json(self) -> Value {
        match self.cell.tag() {
            Tag::Word => self.as_bool().map_or(Value::Null, Value::Bool),
            Tag::Int | Tag::Wide => Value::from(self.as_i64()),
            Tag::Above => Value::from(self.bits()),
            Tag::Float => Value::from(self.as_f64()),
            Tag::Text => Value::from(self.as_str()),
            Tag::List => {
                let list = self.as_list().into_iter().flat_map(ListRef::iter);
                Value::Array(list.map(ValueRef::to_json).collect())
            }
            Tag::Map => {
                let fields = self.as_map().into_iter().flat_map(MapRef::iter);
                let fields = fields.map(|(name, value)| (name.to_owned(), value.to_json()));
                Value::Object(fields.collect::<Map<String, Value>>())
            }
        }
    }

    fn bits(self) -> u64 {
        self.arena.two_words(self.cell.at())
    }

    fn text_bytes(self) -> &'h [u8] {
        self.arena.text_bytes(self.cell.at())
    }
}

/// A list of a history.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ListRef<'h> {
    arena: &'h Arena,
    first: At,
    length: u32,
}

impl<'h> ListRef<'h> {
    /// How many elements it has.
    pub fn len(self) -> usize {
        self.length as usize
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The cells of its elements, four bytes each. A small whole number says the same wherever it lies; anything else is told by
    /// its distance.
    pub(crate) fn cells(self) -> &'h [u8] {
        self.arena.cells(self.first, self.length)
    }

    /// The element at this place.
    pub fn get(self, place: usize) -> Option<ValueRef<'h>> {
        (place < self.len()).then(|| ValueRef::small(self.arena, self.first + place as At))
    }

    /// All elements.
    pub fn iter(self) -> impl ExactSizeIterator<Item = ValueRef<'h>> + DoubleEndedIterator {
        (0..self.length as usize)
            .map(move |place| ValueRef::small(self.arena, self.first + place as At))
    }
}

/// A map of a history, from texts to values.
#[derive(Clone, Copy)]
pub struct MapRef<'h> {
    arena: &'h Arena,
    first: At,
    length: u32,
}

impl<'h> MapRef<'h> {
    /// How many fields it has.
    pub fn len(self) -> usize {
        self.length as usize
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The value of a field.
    pub fn get(self, name: &str) -> Option<ValueRef<'h>> {
        self.cells()
            .find(|(known, _)| known.text_bytes() == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// All fields, as they were written down.
    pub fn iter(self) -> impl Iterator<Item = (&'h str, ValueRef<'h>)> {
        self.cells()
            .map(|(name, value)| (name.as_str().unwrap_or_default(), value))
    }

    fn cells(self) -> impl Iterator<Item = (ValueRef<'h>, ValueRef<'h>)> {
        (0..self.length).map(move |place| {
            let at = self.first + 2 * place;
            (
                ValueRef::small(self.arena, at),
                ValueRef::small(self.arena, at + 1),
            )
        })
    }
}

/// The fields of a line beyond the common ones.
#[derive(Clone, Copy)]
pub(super) struct FieldsRef<'h> {
    arena: &'h Arena,
    names: At,
    first: At,
    length: u32,
}

impl<'h> FieldsRef<'h> {
    pub(super) fn new(arena: &'h Arena, at: At) -> FieldsRef<'h> {
        let (length, names) = arena.fields(at);
        FieldsRef {
            arena,
            names,
            first: at + 1,
            length,
        }
    }

    pub(super) fn get(self, name: &str) -> Option<ValueRef<'h>> {
        (0..self.length)
            .find(|place| {
                let known = ValueRef::small(self.arena, self.names + place);
                known.text_bytes() == name.as_bytes()
            })
            .map(|place| ValueRef::small(self.arena, self.first + place))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = (&'h str, ValueRef<'h>)> {
        (0..self.length).map(move |place| {
            let name = ValueRef::small(self.arena, self.names + place);
            let value = ValueRef::small(self.arena, self.first + place);
            (name.as_str().unwrap_or_default(), value)
        })
    }
}

impl PartialEq for Arena {
    /// Whether it is the same one: what is in two arenas is compared value by value.
    fn eq(&self, other: &Arena) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Arena {}

impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &ValueRef<'_>) -> bool {
        let tag = self.cell.tag();
        if let (Some(one), Some(another)) = (self.as_i64(), other.as_i64()) {
            return one == another;
        }
        if tag != other.cell.tag() {
            return false;
        }
        match tag {
            Tag::Word => self.cell == other.cell,
            Tag::Int | Tag::Wide => false,
            Tag::Above => self.bits() == other.bits(),
            Tag::Float => self.as_f64() == other.as_f64(),
            Tag::Text => self.text_bytes() == other.text_bytes(),
            Tag::List => {
                let lists = self.as_list().zip(other.as_list());
                lists.is_some_and(|(one, another)| {
                    self.is_set() == other.is_set()
                        && one.len() == another.len()
                        && one.iter().eq(another.iter())
                })
            }
            Tag::Map => {
                let maps = self.as_map().zip(other.as_map());
                maps.is_some_and(|(one, another)| {
                    one.len() == another.len()
                        && one
                            .iter()
                            .all(|(name, value)| another.get(name) == Some(value))
                })
            }
        }
    }
}

impl Eq for ValueRef<'_> {}

impl Hash for ValueRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(number) = self.as_i64() {
            state.write_u8(Tag::Int as u8);
            return state.write_i64(number);
        }
        state.write_u8(self.cell.tag() as u8);
        match self.cell.tag() {
            Tag::Word => state.write_u64(self.cell.word()),
            Tag::Int | Tag::Wide | Tag::Above => state.write_u64(self.bits()),
            // 0.0 and -0.0 are equal.
            Tag::Float => state.write_u64((f64::from_bits(self.bits()) + 0.0).to_bits()),
            Tag::Text => self.text_bytes().hash(state),
            Tag::List => {
                let list = self.as_list().into_iter().flat_map(ListRef::iter);
                list.for_each(|element| element.hash(state));
                state.write_u8(0xff);
            }
            Tag::Map => {
                // Their order does not matter: the names alone tell enough maps apart.
                let fields = self.as_map().into_iter().flat_map(MapRef::iter);
                let sum = fields.fold(0_u64, |sum, (name, _)| {
                    let mut hasher = rustc_hash::FxHasher::default();
                    name.hash(&mut hasher);
                    sum.wrapping_add(hasher.finish())
                });
                state.write_u64(sum);
            }
        }
    }
}

impl PartialEq<Value> for ValueRef<'_> {
    fn eq(&self, other: &Value) -> bool {
        match other {
            Value::Null => self.is_null(),
            Value::Bool(value) => self.as_bool() == Some(*value),
            Value::Number(number) => match self.cell.tag() {
                Tag::Int | Tag::Wide => number.as_i64() == self.as_i64(),
                Tag::Above => number.as_u64() == Some(self.bits()),
                Tag::Float => {
                    Number::from_f64(f64::from_bits(self.bits())).as_ref() == Some(number)
                }
                _ => false,
            },
            Value::String(text) => self.as_str() == Some(text),
            Value::Array(list) => self.as_list().is_some_and(|mine| {
                mine.len() == list.len() && mine.iter().zip(list).all(|(one, other)| one == *other)
            }),
            Value::Object(map) => self.as_map().is_some_and(|mine| {
                mine.len() == map.len()
                    && mine
                        .iter()
                        .all(|(name, value)| map.get(name).is_some_and(|other| value == *other))
            }),
        }
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.cell.tag() {
            Tag::Word => match self.as_bool() {
                Some(value) => serializer.serialize_bool(value),
                None => serializer.serialize_unit(),
            },
            Tag::Int => serializer.serialize_i64(self.cell.number()),
            Tag::Wide => serializer.serialize_i64(self.bits() as i64),
            Tag::Above => serializer.serialize_u64(self.bits()),
            Tag::Float => serializer.serialize_f64(f64::from_bits(self.bits())),
            Tag::Text => serializer.serialize_str(self.arena.text(self.cell.at())),
            Tag::List => {
                let list = self.as_list();
                let mut seq = serializer.serialize_seq(list.map(ListRef::len))?;
                for element in list.into_iter().flat_map(ListRef::iter) {
                    seq.serialize_element(&element)?;
                }
                seq.end()
            }
            Tag::Map => {
                let fields = self.as_map();
                let mut map = serializer.serialize_map(fields.map(MapRef::len))?;
                for (name, value) in fields.into_iter().flat_map(MapRef::iter) {
                    map.serialize_entry(name, &value)?;
                }
                map.end()
            }
        }
    }
}

impl fmt::Display for ValueRef<'_> {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_i64() {
            Some(number) => write!(f, "{number}"),
            None => f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ListRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for MapRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
