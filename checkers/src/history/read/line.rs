//! One event of JSON into a [`Draft`], whatever it looks like: exact, and with the parser's own words for what is wrong.

use crate::history::arena::{Cell, Writer};
use crate::history::block::{ABSENT, Block, Draft, Place};
use crate::history::event::{Event, Kind, Process};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a line may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Our own lines: process, type and f are there.
    Own,
    /// Those of other tools: only type must be there.
    Foreign,
}

/// Reads one event; the error carries the place.
pub(super) fn parse(
    text: &[u8],
    block: &mut Block,
    strictness: Strictness,
    begins: Place,
) -> Result<Draft, serde_json::Error> {
    let draft = parse_text(text, block, strictness, begins)?;
    // What the parser rounds is read once more, as text.
    let exact = super::exact::rewritten(text);
    let exact = exact.and_then(|text| parse_text(&text, block, strictness, begins).ok());
    Ok(exact.unwrap_or(draft))
}

fn parse_text(
    text: &[u8],
    block: &mut Block,
    strictness: Strictness,
    begins: Place,
) -> Result<Draft, serde_json::Error> {
    block.begin();
    let mut json = serde_json::Deserializer::from_slice(text);
    let draft = DraftSeed {
        block,
        strictness,
        begins,
    }
    .deserialize(&mut json)?;
    json.end()?;
    Ok(draft)
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        let mut block = Block::default();
        let draft = DraftSeed {
            block: &mut block,
            strictness: Strictness::Own,
            begins: Place { line: 1, column: 1 },
        }
        .deserialize(deserializer)?;
        for (number, name) in [(draft.index, "index"), (draft.time, "time")] {
            if number == ABSENT {
                return Err(de::Error::missing_field(name));
            }
        }
        block
            .event(&draft)
            .ok_or_else(|| de::Error::missing_field("process"))
    }
}

struct DraftSeed<'b> {
    block: &'b mut Block,
    strictness: Strictness,
    begins: Place,
}

impl<'de> DeserializeSeed<'de> for DraftSeed<'_> {
    type Value = Draft;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DraftSeed<'_> {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"one event as an object: {"index":0,"time":0,"process":3,"type":"invoke","f":"read","value":null}"#)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Draft, M::Error> {
        let block = self.block;
        let mut draft = Draft::at(self.begins);
        while let Some(field) = map.next_key_seed(Word)? {
            if !block.is_new(&field) {
                let text = format!("the field `{field}` stands here twice");
                return Err(de::Error::custom(text));
            }
            match &*field {
                "index" => draft.index = counted(&mut map, self.strictness)?,
                "time" => draft.time = counted(&mut map, self.strictness)?,
                "process" => {
                    draft.process = match map.next_value::<Process>()? {
                        Process::Client(process) => block.client(process),
                        Process::Named(name) => block.named(&name),
                    };
                }
                "type" => draft.kind = Some(map.next_value::<Kind>()?),
                "f" => {
                    let f = map.next_value::<Option<std::borrow::Cow<'de, str>>>()?;
                    draft.f = f.map_or(draft.f, |f| block.functions.text(&f));
                }
                "key" => {
                    if let Some((key, is_number)) = map.next_value_seed(KeyWord)? {
                        draft.key = block.keys.text(&key);
                        draft.key_is_number = is_number;
                    }
                }
                "value" => {
                    draft.value = map.next_value_seed(ValueSeed {
                        writer: &mut block.writer,
                    })?;
                }
                _ => {
                    let name = block.writer.text(&field);
                    let value = map.next_value_seed(ValueSeed {
                        writer: &mut block.writer,
                    })?;
                    block.field(name, value);
                }
            }
        }
        draft.extra = block.end_fields();
        let missing = super::missing(&draft, self.strictness);
        missing.map_or(Ok(draft), |field| Err(de::Error::missing_field(field)))
    }
}

/// An index or a time; other tools say -1 where there is none.
fn counted<'de, M: MapAccess<'de>>(map: &mut M, strictness: Strictness) -> Result<u64, M::Error> {
    let number = match strictness {
        Strictness::Own => map.next_value()?,
        Strictness::Foreign => {
            let number: Option<i128> = map.next_value()?;
            number.and_then(|number| u64::try_from(number).ok())
        }
    };
    Ok(number.unwrap_or(ABSENT))
}

/// A name of a field, or a function.
struct Word;

impl<'de> DeserializeSeed<'de> for Word {
    type Value = std::borrow::Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Word {
    type Value = std::borrow::Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_borrowed_str<E: de::Error>(self, word: &'de str) -> Result<Self::Value, E> {
        Ok(word.into())
    }
    fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
        Ok(word.to_owned().into())
    }
}

/// A key, and whether it is a number, as other tools write it; `null` for none.
struct KeyWord;

impl<'de> DeserializeSeed<'de> for KeyWord {
    type Value = Option<(String, bool)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyWord {
    type Value = Option<(String, bool)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: a text or a whole number")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Some((key.to_owned(), false)))
    }
    fn visit_u64<E: de::Error>(self, key: u64) -> Result<Self::Value, E> {
        Ok(Some((key.to_string(), true)))
    }
    fn visit_i64<E: de::Error>(self, key: i64) -> Result<Self::Value, E> {
        Ok(Some((key.to_string(), true)))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Any value, straight into the arena.
struct ValueSeed<'w> {
    writer: &'w mut Writer,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Cell;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Cell, E> {
        Ok(self.writer.int(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Cell, E> {
        Ok(self.writer.unsigned(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Cell, E> {
        Ok(self.writer.float(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Cell, E> {
        Ok(self.writer.text(value))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
        Ok(Cell::NULL)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        let writer = self.writer;
        let began = writer.begin();
        while let Some(element) = seq.next_element_seed(ValueSeed { writer })? {
            writer.element(element);
        }
        Ok(writer.end_list(began))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let writer = self.writer;
        let began = writer.begin();
        while let Some(name) = map.next_key_seed(Word)? {
            let name = writer.text(&name);
            let value = map.next_value_seed(ValueSeed { writer })?;
            writer.element(name);
            writer.element(value);
        }
        Ok(writer.end_map(began))
    }
}

/// Where the value of an object begins that was read without complaint.
pub(super) fn value_at(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let begin = at + 1;
                at = begin;
                while *text.get(at)? != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 1 && &text[begin..at] == b"value" {
                    let space = |byte: &u8| !byte.is_ascii_whitespace();
                    let colon = at + 1 + text[at + 1..].iter().position(space)?;
                    if text[colon] == b':' {
                        return Some(colon + 1 + text[colon + 1..].iter().position(space)?);
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The JSON parser's words for its own types, and what a person calls them.
const PLAIN: [(&str, &str); 6] = [
    ("expected u64", "expected a whole number from 0"),
    ("expected i128", "expected a whole number"),
    ("expected value", "this is no JSON value"),
    ("expected ident", "this is no JSON value"),
    (
        "key must be a string",
        "the name of a field is a text in quotes",
    ),
    ("expected a borrowed string", "expected a text"),
];

/// What the JSON parser said, without its own "at line 1 column 7": the line that it counts is not the file's.
pub(super) fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let mut text = match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    };
    for (its, ours) in PLAIN {
        if let Some(begin) = text.strip_suffix(its) {
            text = format!("{begin}{ours}");
        }
    }
    text
}
