//! Chunks of Jepsen's own files: maps of EDN, and lines of `history.txt`.

use super::edn::{self, Fault, Reader};
use super::join::{Parsed, Problem};
use super::places::Places;
use super::split::Chunk;
use crate::history::arena::Cell;
use crate::history::block::{Block, Draft, Place};
use crate::history::rows::NONE;
use crate::history::value::ValueRef;

const START: Place = Place { line: 1, column: 1 };

/// Reads a chunk of maps.
pub(super) fn maps(chunk: &Chunk) -> Parsed {
    let mut parsed = Parsed::default();
    let mut places = Places::new(chunk);
    let (text, broken) = super::text(&chunk.bytes);
    let mut reader = Reader::new(text, 0);
    loop {
        let begin = reader.at;
        match reader.event(&mut parsed.block, Draft::at(START)) {
            Ok(None) => break,
            Ok(Some(found)) => {
                let mut draft = found.draft;
                draft.begins = places.of(found.begins);
                draft.value_at = match found.value {
                    Some(value) => places.of(value),
                    None => draft.begins,
                };
                if let Err(text) = complete(&mut draft, &mut parsed.block) {
                    let at = draft.begins;
                    parsed.problem = Some(Problem { at, text });
                    break;
                }
                parsed.block.drafts.push(draft);
                parsed.block.is_tagged |= reader.is_tuple;
            }
            Err(fault) if chunk.last && !chunk.closed && (chunk.open || fault.at_end) => {
                let rest = text[begin..].trim_ascii_start();
                let begins = places.of(text.len() - rest.len());
                super::cut(&mut parsed, rest, ":type", begins);
                break;
            }
            Err(fault) => {
                parsed.problem = Some(problem(fault, &mut places));
                break;
            }
        }
    }
    parsed.lines = places.lines();
    super::broken(&mut parsed, chunk, broken);
    parsed
}

fn problem(fault: Fault, places: &mut Places<'_>) -> Problem {
    Problem {
        at: places.of(fault.at),
        text: fault.text,
    }
}

/// Fills in what examples of transactions leave out, or says what is missing.
pub(super) fn complete(draft: &mut Draft, block: &mut Block) -> Result<(), String> {
    if draft.kind.is_none() {
        return Err("the event has no type".to_owned());
    }
    if draft.f == NONE {
        let value = ValueRef::new(block.writer.arena(), draft.value);
        if !is_transaction(value) && !is_keyed_transaction(value) {
            return Err("the event has no function f".to_owned());
        }
        draft.f = block.functions.text("txn");
    }
    Ok(())
}

/// Whether a value is a list of micro-operations `[f key value]`.
pub(super) fn is_transaction(value: ValueRef<'_>) -> bool {
    let is_micro = |operation: ValueRef<'_>| {
        operation.as_list().is_some_and(|operation| {
            matches!(operation.len(), 2 | 3)
                && operation.get(0).is_some_and(|f| f.as_str().is_some())
        })
    };
    value
        .as_list()
        .is_some_and(|list| !list.is_empty() && list.iter().all(is_micro))
}

/// Whether a value is `[key [micro-operations]]`: a transaction behind a key.
fn is_keyed_transaction(value: ValueRef<'_>) -> bool {
    let pair = value.as_list().filter(|pair| pair.len() == 2);
    pair.and_then(|pair| pair.get(0).zip(pair.get(1)))
        .is_some_and(|(key, value)| {
            let is_key = key.as_str().is_some() || key.as_i64().is_some();
            is_key && is_transaction(value)
        })
}

/// Reads a chunk of lines `process type f value [error]`, each maybe after what a logger put before it.
pub(super) fn lines(chunk: &Chunk) -> Parsed {
    let mut parsed = Parsed::default();
    let (text, broken) = super::text(&chunk.bytes);
    for line in text.split_inclusive('\n') {
        let begins = Place {
            line: parsed.lines + 1,
            column: 1,
        };
        if !line.ends_with('\n') {
            // Nobody can tell whether its value goes on.
            parsed.cut = (!line.trim_ascii().is_empty()).then_some(begins);
            break;
        }
        parsed.lines += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match log_line(line.trim_ascii_end(), &mut parsed.block, begins) {
            Ok(draft) => parsed.block.drafts.push(draft),
            Err(fault) => {
                let at = Place {
                    line: begins.line,
                    column: fault.at as u32 + 1,
                };
                let text = fault.text;
                parsed.problem = Some(Problem { at, text });
                break;
            }
        }
    }
    super::broken(&mut parsed, chunk, broken);
    parsed
}

fn log_line(line: &str, block: &mut Block, begins: Place) -> Result<Draft, Fault> {
    block.begin();
    let wrong = |at: usize, text: &str| Fault {
        at,
        text: text.to_owned(),
        at_end: false,
    };
    let Some((process, kind, rest)) = process_and_type(line) else {
        return Err(wrong(
            0,
            "expected a process and a type (:invoke, :ok, :fail or :info)",
        ));
    };
    let mut draft = Draft::at(begins);
    let mut reader = Reader::new(line, process);
    draft.process = reader
        .process(block)?
        .ok_or_else(|| wrong(process, "expected a process"))?;
    draft.kind = edn::kind(kind);
    let mut reader = Reader::new(line, rest);
    spaces(&mut reader);
    let f = reader.word("a function, as a keyword")?;
    draft.f = f.map_or(draft.f, |f| block.functions.text(&f));
    spaces(&mut reader);
    draft.value_at.column = reader.at as u32 + 1;
    let is_client = line.as_bytes()[process].is_ascii_digit();
    let value = reader.at;
    draft.value = match reader.form(&mut block.writer, 0) {
        Ok(value) => value,
        Err(fault) if is_client => {
            return Err(wrong(fault.at, &fault.text));
        }
        // A nemesis may say anything; some of it cannot be read back.
        Err(_) => {
            reader.at = line.len();
            block.writer.abandon();
            block.writer.text(&line[value..])
        }
    };
    let error = reader.rest().trim_ascii();
    if !error.is_empty() {
        let name = block.writer.text("error");
        let error = error_of(error, block);
        block.field(name, error);
    }
    draft.extra = block.end_fields();
    complete(&mut draft, block).map_err(|text| wrong(process, &text))?;
    Ok(draft)
}

/// The error as the form that it is, or else as it is written.
fn error_of(text: &str, block: &mut Block) -> Cell {
    let mut reader = Reader::new(text, 0);
    let form = reader.form(&mut block.writer, 0);
    match form {
        Ok(form) if reader.rest().trim_ascii().is_empty() => form,
        _ => {
            block.writer.abandon();
            block.writer.text(text)
        }
    }
}

/// Where the process begins, the type, and where the rest begins.
pub(super) fn process_and_type(line: &str) -> Option<(usize, &str, usize)> {
    let mut before = None;
    let mut at = 0;
    for token in line.split_ascii_whitespace() {
        let begin = at + line[at..].find(token)?;
        at = begin + token.len();
        let kind = token
            .strip_prefix(':')
            .filter(|kind| edn::kind(kind).is_some());
        if let (Some(kind), Some(process)) = (kind, before) {
            return Some((process, kind, at));
        }
        before = Some(begin);
    }
    None
}

fn spaces(reader: &mut Reader<'_>) {
    reader.at += reader.rest().len() - reader.rest().trim_ascii_start().len();
}
