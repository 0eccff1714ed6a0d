//! Whole histories from a file or a pipe: lines of JSON, plain or in zstd frames.
//!
//! Which of the two it is, is told from the first bytes. What a killed controller leaves (a last line or a last frame that
//! is cut off) is tolerated and noted; everything else that does not fit is refused with its line and what was expected.

use super::History;
use super::event::Nanos;
use super::line::Line;
use super::pair::PairError;
use super::view::EventRef;
use super::words::Words;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is read, in bytes: a set's final read of 2,000 elements takes about 30 kB.
const LONGEST_LINE: usize = 64 << 20;

/// Read-ahead, in bytes.
const BUFFER: usize = 1 << 16;

/// Something that a reader of the verdict should know about the file.
///
/// As JSON: `{"note": "cut-line", "line": N}`, `{"note": "cut-frame", "line": N}` or `{"note": "no-times"}`; its `Display` is
/// a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// The last line is not complete: it was dropped.
    CutLine {
        /// Which line, from 1.
        line: u64,
    },
    /// The last zstd frame is not complete: what it held after this line is missing.
    CutFrame {
        /// The last complete line, from 1; 0 when there is none.
        line: u64,
    },
    /// Lines have no `time`: only their order counts, and nothing can be said about durations.
    NoTimes,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::CutLine { line } => write!(
                f,
                "the history ends in the middle of line {line}: that line is left out"
            ),
            Note::CutFrame { line } => {
                write!(
                    f,
                    "the history's last zstd frame is cut off: what came after line {line} is missing"
                )
            }
            Note::NoTimes => {
                f.write_str("the history has no times: only the order of its lines counts")
            }
        }
    }
}

/// Why a history was refused.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file or pipe could not be read.
    #[error("reading the history failed after line {line}: {source}")]
    Io {
        /// The last line read, from 1.
        line: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not a history in a form that is read here.
    #[error("this is no history of JSON lines: it begins like {looks_like}; {next}")]
    NotHistory {
        /// What it seems to be.
        looks_like: &'static str,
        /// What to do.
        next: &'static str,
    },
    /// A damaged zstd frame in the middle.
    #[error(
        "the zstd data after line {line} is damaged ({source}); a cut-off end would be tolerated, damage is not: \
         restore the file from its store, or judge the lines before it by themselves"
    )]
    Damaged {
        /// The last complete line before the damage, from 1.
        line: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A line that is not an event.
    #[error(
        "line {line}, column {column}: {problem}; expected one event a line, as an object with process, type, f and value"
    )]
    Malformed {
        /// Which line, from 1.
        line: u64,
        /// Which column, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// A line that is an event, but not one that may stand here.
    #[error("line {line}, column 1: {problem}; {expected}")]
    Order {
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
        /// What was expected, and what to do.
        expected: &'static str,
    },
}

impl History {
    /// Reads a whole history and proves its shape: indices without gaps, time never back, every completion with its
    /// invocation, one open invocation for each process at most.
    pub fn read(mut input: impl Read) -> Result<(History, Vec<Note>), HistoryError> {
        let failed = |source| HistoryError::Io { line: 0, source };
        let mut head = Vec::with_capacity(4);
        input
            .by_ref()
            .take(4)
            .read_to_end(&mut head)
            .map_err(failed)?;
        let form = Form::of(&head)?;
        let mut input = BufReader::with_capacity(BUFFER, head.as_slice().chain(input));
        let mut reader = Reader::default();
        match form {
            Form::Plain => reader.lines(&mut input, false)?,
            Form::Zstd => {
                let frames = zstd::stream::read::Decoder::with_buffer(input).map_err(failed)?;
                reader.lines(&mut BufReader::with_capacity(BUFFER, frames), true)?;
            }
        }
        Ok((reader.history, reader.notes))
    }
}

enum Form {
    Plain,
    Zstd,
}

impl Form {
    fn of(head: &[u8]) -> Result<Form, HistoryError> {
        let refuse = |looks_like, next| Err(HistoryError::NotHistory { looks_like, next });
        match *head {
            // A zstd frame, or a skippable one.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Ok(Form::Zstd),
            [0x1f, 0x8b, ..] => refuse("gzip", "unpack it with gunzip first"),
            [b'[', ..] => refuse(
                "a JSON array or an EDN vector",
                "write one JSON object a line",
            ),
            [b':' | b'(' | b';', ..] => refuse("EDN", "convert it to JSON lines first"),
            _ => Ok(Form::Plain),
        }
    }
}

#[derive(Default)]
struct Reader {
    history: History,
    notes: Vec<Note>,
    words: Words,
    line: u64,
    text: Vec<u8>,
}

impl Reader {
    fn lines(&mut self, input: &mut impl BufRead, compressed: bool) -> Result<(), HistoryError> {
        loop {
            self.text.clear();
            // One byte more than may be, so that a line of exactly the limit is told from a longer one.
            let read = input
                .by_ref()
                .take(LONGEST_LINE as u64 + 1)
                .read_until(b'\n', &mut self.text);
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return self.broken(error, compressed),
            }
            self.line += 1;
            if self.text.len() > LONGEST_LINE {
                return Err(self.malformed(
                    LONGEST_LINE as u64,
                    format!("the line is longer than {LONGEST_LINE} bytes"),
                ));
            }
            let complete = self.text.ends_with(b"\n");
            if self.text.trim_ascii().is_empty() {
                continue;
            }
            match Line::parse(&self.text, &mut self.words) {
                Ok(line) => self.take(line)?,
                Err(error) if !complete && error.is_eof() => {
                    self.notes.push(Note::CutLine { line: self.line });
                    return Ok(());
                }
                Err(error) => {
                    let column = error.column().max(1) as u64;
                    return Err(self.malformed(column, said(&error)));
                }
            }
        }
    }

    fn broken(&mut self, source: io::Error, compressed: bool) -> Result<(), HistoryError> {
        let line = self.line;
        match source.kind() {
            io::ErrorKind::UnexpectedEof if compressed => {
                self.notes.push(Note::CutFrame { line });
                Ok(())
            }
            // The decoder reports its own failures as `Other`; the file's have kinds of their own.
            io::ErrorKind::Other if compressed => Err(HistoryError::Damaged { line, source }),
            _ => Err(HistoryError::Io { line, source }),
        }
    }

    fn take(&mut self, line: Line) -> Result<(), HistoryError> {
        let place = self.history.len();
        let index = line.index.unwrap_or(place as u64);
        if index != place as u64 {
            return Err(self.order(
                format!("index {index}, where {place} comes next"),
                "indices count the lines from 0 without gaps: lines are missing or out of order",
            ));
        }
        let before = self.history.last().map_or(Nanos(0), EventRef::time);
        if line.time.is_none() && !self.notes.contains(&Note::NoTimes) {
            self.notes.push(Note::NoTimes);
        }
        let time = line.time.unwrap_or(before);
        if time < before {
            return Err(self.order(
                format!("time {} ns, after {} ns on the line before", time.0, before.0),
                "one clock stamps all lines, and it never runs back: put the lines in the order of their recording",
            ));
        }
        self.history.push(&line.into_event(index, time));
        match self.history.unpaired.take() {
            None => Ok(()),
            Some(problem) => {
                let expected = match problem {
                    PairError::NoInvocation { .. } => {
                        "a completion follows its process's invocation: a line is missing"
                    }
                    PairError::TwoOpen { .. } => {
                        "a process waits for its completion before it invokes again: \
                         after an indeterminate operation go on under a new process number, with an `info` line"
                    }
                    PairError::Mismatch { .. } => "a completion repeats its invocation's f and key",
                };
                Err(self.order(problem.to_string(), expected))
            }
        }
    }

    fn malformed(&self, column: u64, problem: String) -> HistoryError {
        HistoryError::Malformed {
            line: self.line,
            column,
            problem,
        }
    }

    fn order(&self, problem: String, expected: &'static str) -> HistoryError {
        HistoryError::Order {
            line: self.line,
            problem,
            expected,
        }
    }
}

/// What the JSON parser said, without its own "at line 1 column 7": the line that it counts is not the file's.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
