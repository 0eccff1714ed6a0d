//! The first bytes, and what they say of the rest.

use super::HistoryError;
use super::forms::process_and_type;
use std::io::{self, Read};

/// How far is looked for the first event behind comments.
pub(super) const LONGEST: usize = 1 << 16;

/// A stream whose first bytes were looked at already.
pub(super) struct Head<R> {
    bytes: Vec<u8>,
    given: usize,
    failed: Option<io::Error>,
    rest: R,
}

impl<R: Read> Head<R> {
    pub(super) fn new(mut input: R, length: usize) -> Head<R> {
        let mut bytes = Vec::with_capacity(length);
        let read = input.by_ref().take(length as u64).read_to_end(&mut bytes);
        Head {
            bytes,
            given: 0,
            failed: read.err(),
            rest: input,
        }
    }

    pub(super) fn begin(&self) -> &[u8] {
        &self.bytes
    }

    /// Leaves out a byte order mark.
    pub(super) fn drop_mark(&mut self) {
        if self.bytes.starts_with(MARK) {
            self.given = MARK.len();
        }
    }
}

impl<R: Read> Read for Head<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given < self.bytes.len() {
            let read = (&self.bytes[self.given..]).read(into)?;
            self.given += read;
            return Ok(read);
        }
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.rest.read(into),
        }
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether the bytes are those of a zstd frame.
pub(super) fn is_zstd(head: &[u8]) -> Result<bool, HistoryError> {
    match *head {
        // A frame, or a skippable one.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Ok(true),
        [0x1f, 0x8b, ..] => Err(HistoryError::NotHistory {
            line: 1,
            column: 1,
            looks_like: "gzip",
            next: "unpack it with gunzip first",
        }),
        _ => Ok(false),
    }
}

/// Line and column, from 1, of what stands first.
fn first_place(head: &[u8]) -> (u64, u64) {
    let head = head.strip_prefix(MARK).unwrap_or(head);
    let space = &head[..head.len() - after_space(head).len()];
    let lines = space.split(|byte| *byte == b'\n');
    let column = lines.clone().next_back().map_or(0, <[u8]>::len);
    (lines.count() as u64, column as u64 + 1)
}

/// How a history is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    JsonLines,
    JsonList,
    Edn { in_list: bool },
    Log,
}

impl Form {
    pub(super) fn of(head: &[u8]) -> Result<Form, HistoryError> {
        let form = Form::begun(head);
        let first = after_space(head.strip_prefix(MARK).unwrap_or(head)).first();
        match (form, first) {
            (Form::JsonLines, Some(first)) if *first != b'{' => {
                let (line, column) = first_place(head);
                Err(HistoryError::NotHistory {
                    line,
                    column,
                    looks_like: match first {
                        b' '..=b'~' => "plain text",
                        _ => "binary data",
                    },
                    next: "a history is one JSON object a line, a JSON list of them, or Jepsen's history.edn or history.txt",
                })
            }
            _ => Ok(form),
        }
    }

    fn begun(head: &[u8]) -> Form {
        let head = after_space(head.strip_prefix(MARK).unwrap_or(head));
        let second = || after_space(&head[1..]).first().copied();
        match head.first() {
            Some(b'(') => Form::Edn { in_list: true },
            Some(b'[') => match second() {
                Some(b'{') => {
                    let third = after_space(&after_space(&head[1..])[1..]);
                    match third.first() {
                        Some(b'"' | b'}') | None => Form::JsonList,
                        Some(_) => Form::Edn { in_list: true },
                    }
                }
                Some(b'#' | b'^' | b':') => Form::Edn { in_list: true },
                _ => Form::JsonList,
            },
            Some(b'{') => match second() {
                Some(b':' | b'#' | b'^') => Form::Edn { in_list: false },
                _ => Form::JsonLines,
            },
            Some(b'#' | b'^') => Form::Edn {
                in_list: in_list(head),
            },
            Some(_) if is_log(head) => Form::Log,
            _ => Form::JsonLines,
        }
    }

    /// Whether it is another tool's.
    pub(super) fn is_foreign(self) -> bool {
        self != Form::JsonLines
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Form::JsonLines => "one event a line, as an object with process, type, f and value",
            Form::JsonList => "a list of events, each an object with process, type, f and value",
            Form::Edn { .. } => {
                "events as maps, as in {:process 0, :type :invoke, :f :read, :value nil}"
            }
            Form::Log => "one event a line, as in `0 :invoke :read nil`",
        }
    }
}

/// Whether the list that holds all events is behind a tag or metadata.
fn in_list(head: &[u8]) -> bool {
    let bracket = head.iter().find(|byte| matches!(byte, b'[' | b'(' | b'{'));
    matches!(bracket, Some(b'[' | b'('))
}

/// Whether the first line says who does what.
fn is_log(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| process_and_type(line).is_some())
}

/// What is behind space, commas and comments.
fn after_space(mut bytes: &[u8]) -> &[u8] {
    loop {
        match bytes.first() {
            Some(byte) if byte.is_ascii_whitespace() || *byte == b',' => bytes = &bytes[1..],
            Some(b';') => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                bytes = end.map_or(&[][..], |end| &bytes[end..]);
            }
            _ => return bytes,
        }
    }
}
