//! Histories into files: JSON lines, and the forms that Jepsen's tools take.
//!
//! - [`Format::JsonLines`]: our own; everything is kept.
//! - [`Format::Json`]: a list of objects, as elle-cli takes it.
//! - [`Format::Edn`]: a map a line, as Jepsen's `history.edn`. Functions, types, names of fields and of processes, errors of
//!   one word and the functions of micro-operations are keywords; all other texts are strings.
//!
//! Jepsen knows no answer that is an error: an `ok` with `error` becomes a `fail` with `error`. A history with keys has its
//! values as `[key value]`, as Jepsen's independent workloads have them, if all of its clients' lines have a key; else the key
//! stays a field. [`Exported`] says what of this was done. All else is kept, and is the same when it is read again.

mod edn;

use super::event::{Kind, Process};
use super::value::ValueRef;
use super::view::EventRef;
use super::{History, rows::NONE};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::io::{self, Write};

/// How to write a history down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// A list of JSON objects, as elle-cli takes it.
    Json,
    /// A map a line, as Jepsen's `history.edn`.
    Edn,
}

/// What is not the same in what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Answers that were errors (`ok` with `error`) and were written as failures.
    pub errors_as_fail: u64,
    /// Whether values were written as `[key value]`.
    pub independent: bool,
}

impl fmt::Display for Exported {
    /// Sentences, one a line; nothing, if all is the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors_as_fail > 0 {
            writeln!(
                f,
                "{} answers that were errors were written as `fail`: what they observed is lost to other tools",
                self.errors_as_fail
            )?;
        }
        if self.independent {
            writeln!(
                f,
                "values were written as [key value], as independent workloads have them; read them with --independent, where the values alone do not tell it"
            )?;
        }
        Ok(())
    }
}

impl History {
    /// Writes the history. Compression is the caller's: wrap `out` in a zstd encoder.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write(&self, format: Format, out: impl Write) -> io::Result<Exported> {
        match format {
            Format::JsonLines => {
                self.write_jsonl(out)?;
                Ok(Exported::default())
            }
            Format::Json => self.write_json(out),
            Format::Edn => self.write_edn(out),
        }
    }

    /// Writes one line of JSON for each event. Compression is the caller's: wrap `out` in a zstd encoder.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub fn write_jsonl(&self, out: impl Write) -> io::Result<()> {
        let mut out = io::BufWriter::new(out);
        for event in self.events() {
            serde_json::to_writer(&mut out, &event)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    fn write_json(&self, out: impl Write) -> io::Result<Exported> {
        let mut out = io::BufWriter::new(out);
        let mut exported = self.exported();
        let mut before = "[";
        for event in self.events() {
            out.write_all(before.as_bytes())?;
            let foreign = Foreign::of(event, &mut exported);
            serde_json::to_writer(&mut out, &foreign)?;
            before = ",\n";
        }
        let end: &[u8] = if self.is_empty() { b"[]\n" } else { b"]\n" };
        out.write_all(end)?;
        out.flush()?;
        Ok(exported)
    }

    fn write_edn(&self, out: impl Write) -> io::Result<Exported> {
        let mut out = io::BufWriter::new(out);
        let mut exported = self.exported();
        let mut line = String::new();
        for event in self.events() {
            line.clear();
            edn::event(&Foreign::of(event, &mut exported), &mut line);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        out.flush()?;
        Ok(exported)
    }

    fn exported(&self) -> Exported {
        let mut clients = self.events().filter(is_client).peekable();
        Exported {
            errors_as_fail: 0,
            independent: clients.peek().is_some() && clients.all(|event| key_of(event).is_some()),
        }
    }
}

fn is_client(event: &EventRef<'_>) -> bool {
    matches!(event.process(), Process::Client(_))
}

/// The key of a line, or of the invocation that it completes.
fn key_of(event: EventRef<'_>) -> Option<&str> {
    let partner = event.row().partner;
    let asked = (partner != NONE).then(|| event.history.event(partner as usize));
    event.key().or_else(|| asked.and_then(EventRef::key))
}

/// An event as other tools know it.
struct Foreign<'h> {
    event: EventRef<'h>,
    kind: Kind,
    /// The key, if it is a field.
    field: Option<&'h str>,
    /// The key, if the value is `[key value]`.
    tuple: Option<&'h str>,
}

impl<'h> Foreign<'h> {
    fn of(event: EventRef<'h>, exported: &mut Exported) -> Foreign<'h> {
        let refused =
            event.kind() == Kind::Ok && event.get("error").is_some_and(|error| !error.is_null());
        exported.errors_as_fail += u64::from(refused);
        let in_tuple = exported.independent && is_client(&event);
        Foreign {
            event,
            kind: if refused { Kind::Fail } else { event.kind() },
            field: event.key().filter(|_| !in_tuple),
            tuple: key_of(event).filter(|_| in_tuple),
        }
    }
}

impl Serialize for Foreign<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &self.event.index())?;
        if !self.event.history.is_timeless {
            map.serialize_entry("time", &self.event.time())?;
        }
        map.serialize_entry("process", self.event.process())?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("f", self.event.f())?;
        if let Some(key) = self.field {
            map.serialize_entry("key", key)?;
        }
        match self.tuple {
            Some(key) => match number(key) {
                Some(key) => map.serialize_entry("value", &(key, self.event.value()))?,
                None => map.serialize_entry("value", &(key, self.event.value()))?,
            },
            None => map.serialize_entry("value", &self.event.value())?,
        }
        for (name, value) in self.event.extra() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

/// A text that is a whole number just as one would be written.
fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Whether a value is a list of micro-operations `[f key value]`: by its words, where the function does not say it.
fn is_transaction(f: &str, value: ValueRef<'_>) -> bool {
    let is_micro = |operation: ValueRef<'_>| {
        let micro = operation
            .as_list()
            .filter(|list| matches!(list.len(), 2 | 3));
        let word = micro.and_then(|list| list.get(0)?.as_str());
        word.is_some_and(|word| f == "txn" || matches!(word, "r" | "w" | "append"))
    };
    value
        .as_list()
        .is_some_and(|list| !list.is_empty() && list.iter().all(is_micro))
}
