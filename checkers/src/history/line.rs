//! One line of JSON into an [`Event`], with its words interned.

use super::event::{Event, Kind, Nanos, Process};
use super::extra::Extra;
use super::words::Words;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// A line as it stood: `index` and `time` may be missing in histories of other tools.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) index: Option<u64>,
    pub(super) time: Option<Nanos>,
    pub(super) process: Process,
    pub(super) kind: Kind,
    pub(super) f: Arc<str>,
    pub(super) key: Option<Arc<str>>,
    pub(super) value: Value,
    pub(super) extra: Extra,
}

impl Line {
    /// Parses one line; the error carries the column.
    pub(super) fn parse(text: &[u8], words: &mut Words) -> Result<Line, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let line = LineSeed { words }.deserialize(&mut json)?;
        json.end()?;
        Ok(line)
    }

    /// The event, with what was missing filled in.
    pub(super) fn into_event(self, index: u64, time: Nanos) -> Event {
        Event {
            index,
            time,
            process: self.process,
            kind: self.kind,
            f: self.f,
            key: self.key,
            value: self.value,
            extra: self.extra,
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        let line = LineSeed {
            words: &mut Words::default(),
        }
        .deserialize(deserializer)?;
        let index = line
            .index
            .ok_or_else(|| de::Error::missing_field("index"))?;
        let time = line.time.ok_or_else(|| de::Error::missing_field("time"))?;
        Ok(line.into_event(index, time))
    }
}

struct LineSeed<'n> {
    words: &'n mut Words,
}

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = Line;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"one event as an object: {"index":0,"time":0,"process":3,"type":"invoke","f":"read","value":null}"#)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Line, M::Error> {
        let words = self.words;
        let (mut index, mut time, mut process, mut kind) = (None, None, None, None);
        let (mut f, mut key, mut value, mut extra) = (None, None, Value::Null, Extra::new());
        while let Some(field) = map.next_key_seed(Word { words })? {
            match &*field {
                "index" => index = map.next_value()?,
                "time" => time = map.next_value()?,
                "process" => process = Some(map.next_value()?),
                "type" => kind = Some(map.next_value()?),
                "f" => f = Some(map.next_value_seed(Word { words })?),
                "key" => key = map.next_value_seed(KeyWord { words })?,
                "value" => value = map.next_value()?,
                _ => extra.read_field(field, &mut map, words)?,
            }
        }
        Ok(Line {
            index,
            time,
            process: process.ok_or_else(|| de::Error::missing_field("process"))?,
            kind: kind.ok_or_else(|| de::Error::missing_field("type"))?,
            f: f.ok_or_else(|| de::Error::missing_field("f"))?,
            key,
            value,
            extra,
        })
    }
}

/// A word that repeats.
struct Word<'n> {
    words: &'n mut Words,
}

impl<'de> DeserializeSeed<'de> for Word<'_> {
    type Value = Arc<str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Word<'_> {
    type Value = Arc<str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_str<E: de::Error>(self, word: &str) -> Result<Arc<str>, E> {
        Ok(self.words.intern(word))
    }
}

/// A key: a text, or a number as other tools write it, or `null` for none.
struct KeyWord<'n> {
    words: &'n mut Words,
}

impl<'de> DeserializeSeed<'de> for KeyWord<'_> {
    type Value = Option<Arc<str>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyWord<'_> {
    type Value = Option<Arc<str>>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: a text or a whole number")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Some(self.words.intern(key)))
    }
    fn visit_u64<E: de::Error>(self, key: u64) -> Result<Self::Value, E> {
        Ok(Some(self.words.intern(&key.to_string())))
    }
    fn visit_i64<E: de::Error>(self, key: i64) -> Result<Self::Value, E> {
        Ok(Some(self.words.intern(&key.to_string())))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
