//! The fields of a line beyond the common ones: small, because a run has half a million lines of them.
//!
//! A JSON map of five fields costs about a kilobyte in memory; this costs about two hundred bytes. It keeps the order of
//! the line and every field, known or not.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Named fields in the order of the line: `server`, `session`, `zxid`, `version`, `mzxid`, `error`, `mode`, ….
#[derive(Clone, Default, PartialEq)]
pub struct Extra(Vec<(Arc<str>, Field)>);

/// A value, by how often its shape occurs: numbers and words take no allocation of their own.
#[derive(Clone, PartialEq)]
enum Field {
    Int(i64),
    Text(Arc<str>),
    Json(Box<Value>),
}

impl Extra {
    /// No fields.
    pub fn new() -> Extra {
        Extra::default()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The field as a whole number, if it is there and is one.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.field(name) {
            Some(Field::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The field as text, if it is there and is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name) {
            Some(Field::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the field is there and is `true`.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.field(name), Some(Field::Json(value)) if **value == Value::Bool(true))
    }

    /// The field as JSON, if it is there.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.field(name).map(Field::to_json)
    }

    /// Sets a field; a field that is there already keeps its place.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: impl Into<Value>) {
        let name = name.into();
        let field = Field::from(value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = field,
            None => self.0.push((name, field)),
        }
    }

    /// All fields in the order of the line.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0
            .iter()
            .map(|(name, field)| (&**name, field.to_json()))
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.0
            .iter()
            .find(|(known, _)| **known == *name)
            .map(|(_, field)| field)
    }

    /// Writes the fields into a JSON map that is being written.
    pub(super) fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, field) in &self.0 {
            match field {
                Field::Int(number) => map.serialize_entry(&**name, number)?,
                Field::Text(text) => map.serialize_entry(&**name, &**text)?,
                Field::Json(value) => map.serialize_entry(&**name, value)?,
            }
        }
        Ok(())
    }
}

impl From<Value> for Field {
    fn from(value: Value) -> Field {
        match value {
            Value::Number(ref number) if number.is_i64() => {
                Field::Int(number.as_i64().expect("is_i64 was asked just now"))
            }
            Value::String(text) => Field::Text(text.into()),
            other => Field::Json(Box::new(other)),
        }
    }
}

impl Field {
    fn to_json(&self) -> Value {
        match self {
            Field::Int(number) => Value::from(*number),
            Field::Text(text) => Value::from(&**text),
            Field::Json(value) => (**value).clone(),
        }
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(map: Map<String, Value>) -> Extra {
        map.into_iter().collect()
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, Value)> for Extra {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(fields: I) -> Extra {
        Extra(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Extra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.serialize_into(&mut map)?;
        map.end()
    }
}
