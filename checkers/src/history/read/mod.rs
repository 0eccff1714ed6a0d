//! Whole histories from a file or a pipe, in any of the forms in which they are recorded.
//!
//! The form is told from the content, never from a name:
//!
//! | form | it begins like |
//! | --- | --- |
//! | JSON lines, our own | `{"index":0,…` |
//! | a list of JSON objects, as elle-cli takes it | `[{"index":0,…` |
//! | Jepsen's `history.edn`: a map a line, or one vector or list | `{:index 0…`, `[{:type :invoke…`, `(#jepsen.history.Op{…`, `; a comment` |
//! | Jepsen's `history.txt`, or lines of its log | `0 :invoke :read nil`, `INFO  jepsen.util - 0 :invoke :write 3` |
//!
//! Each may be compressed with zstd, in one frame or many. What a killed recorder leaves (a last line, form or frame that is
//! cut off) is tolerated and noted; everything else that does not fit is refused with line, column and what was expected.
//! Other tools' histories may have gaps in their indices, and times that run back: both are noted.
//!
//! The text is cut into chunks at the ends of lines or forms (`split`), chunks are read in parallel (`lines`, `scan`, `line`;
//! `forms`, `edn`), and their blocks are joined in the order of the file (`join`). Only a few chunks are in memory at a time.
//!
//! # Independent keys
//!
//! Jepsen's independent workloads write values as `[key value]`. A history of Jepsen's forms is taken for one of these, and
//! its values are split, if no line has a key of its own and every client's operation agrees: each invocation's value is a
//! list of two of which the first is a number, a text or a list; each ok completion's is such a list with the invocation's key; a
//! `cas` has a list of two as its second (`[key [old new]]`); and at least one invocation is `[key nil]`, as only a read of a
//! key is. So is one of transactions, `[key [[:append :x 1] …]]`, where all of them have a key that is no list and behind it a
//! list of micro-operations. So is one whose values are tagged `#jepsen.independent/tuple`. [`ReadOptions::independent`] says it, where that cannot be told.

mod edn;
mod exact;
mod forms;
mod head;
mod independent;
mod join;
mod line;
mod lines;
mod parallel;
mod places;
mod scan;
mod split;
#[cfg(test)]
mod tests;

use super::History;
use super::block::{Draft, Place};
use super::rows::NONE;
use head::{Form, Head};
use join::{Joiner, Parsed, Problem};
use line::Strictness;
use places::Places;
use serde::{Deserialize, Serialize};
use split::{Chunk, End, Forms, Lines};
use std::fmt;
use std::io::{self, Read};

/// Something that a reader of the verdict should know about the file.
///
/// As JSON: `{"note": "cut-line", "line": N}` and so on; its `Display` is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// The last line, or the event that begins on it, is not complete: it was dropped.
    CutLine {
        /// Which line, from 1.
        line: u64,
    },
    /// The list of events is not closed: what came after this line is missing.
    Unclosed {
        /// The last line, from 1.
        line: u64,
    },
    /// The last zstd frame is not complete: what it held after this line is missing.
    CutFrame {
        /// The last complete line, from 1; 0 when there is none.
        line: u64,
    },
    /// Lines have no `time`: only their order counts, and nothing can be said about durations.
    NoTimes,
    /// Times run back: the order of the lines counts, and such a line has the time of the line before.
    TimesBack {
        /// The first line that does, from 1.
        line: u64,
        /// How many do.
        count: u64,
    },
    /// No event names its process: all are taken for one process's.
    NoProcesses,
    /// The indices have gaps, or do not begin with 0: events are counted anew.
    Renumbered {
        /// The line after the first gap, from 1.
        line: u64,
    },
    /// Values were `[key value]`: they are judged key by key.
    Independent {
        /// How many keys there are.
        keys: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::CutLine { line } => write!(
                f,
                "the history ends in the middle of line {line}: that line is left out"
            ),
            Note::Unclosed { line } => write!(
                f,
                "the history's list is not closed: it ends after line {line}"
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
            Note::TimesBack { line, count } => write!(
                f,
                "the history's times run back {count} times, first on line {line}: the order of its lines counts"
            ),
            Note::NoProcesses => f.write_str(
                "the history names no processes: all events are taken for one process's",
            ),
            Note::Renumbered { line } => write!(
                f,
                "the history's indices have gaps, first before line {line}: events are counted anew, from 0"
            ),
            Note::Independent { keys } => write!(
                f,
                "the history's values are [key value] of {keys} independent keys: each is judged by itself"
            ),
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
    #[error(
        "line {line}, column {column}: this is no history: it begins like {looks_like}; {next}"
    )]
    NotHistory {
        /// The line on which something first stands, from 1.
        line: u64,
        /// Its column, from 1.
        column: u64,
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
    /// Something that is not an event.
    #[error("line {line}, column {column}: {problem}; expected {expected}")]
    Malformed {
        /// Which line, from 1.
        line: u64,
        /// Which column, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
        /// What histories of this form look like.
        expected: &'static str,
    },
    /// An event, but not one that may stand here.
    #[error("line {line}, column {column}: {problem}; {expected}")]
    Order {
        /// Which line, from 1.
        line: u64,
        /// Which column, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
        /// What was expected, and what to do.
        expected: &'static str,
    },
}

/// What cannot always be told from the content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether values are `[key value]` of independent keys; `None`: by the rule above.
    pub independent: Option<bool>,
}

impl History {
    /// Reads a whole history and proves its shape: indices in order, time never back, every completion with its invocation,
    /// one open invocation for each process at most.
    ///
    /// # Errors
    /// If it cannot be read, or is no history; with line, column and what was expected.
    pub fn read(input: impl Read) -> Result<(History, Vec<Note>), HistoryError> {
        History::read_with(input, &ReadOptions::default())
    }

    /// The same, told what cannot be told from the content.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn read_with(
        input: impl Read,
        options: &ReadOptions,
    ) -> Result<(History, Vec<Note>), HistoryError> {
        let failed = |source| HistoryError::Io { line: 0, source };
        let head = Head::new(input, 4);
        let compressed = head::is_zstd(head.begin())?;
        if !compressed {
            return read_text(head, false, options);
        }
        let frames = zstd::stream::read::Decoder::new(head).map_err(failed)?;
        read_text(frames, true, options)
    }
}

fn read_text(
    input: impl Read,
    compressed: bool,
    options: &ReadOptions,
) -> Result<(History, Vec<Note>), HistoryError> {
    let mut input = Head::new(input, head::LONGEST);
    let form = Form::of(input.begin())?;
    input.drop_mark();
    let mut joiner = Joiner::new(form.is_foreign(), form.expected());
    let end = match form {
        Form::JsonLines => parallel::run(&mut Lines::new(input), lines::lines, &mut joiner)?,
        Form::JsonList => {
            let mut chunks = Forms::new(input, false, true);
            parallel::run(&mut chunks, lines::elements, &mut joiner)?
        }
        Form::Edn { in_list } => {
            let mut chunks = Forms::new(input, true, in_list);
            parallel::run(&mut chunks, forms::maps, &mut joiner)?
        }
        Form::Log => parallel::run(&mut Lines::new(input), forms::lines, &mut joiner)?,
    };
    ended(end, compressed, &mut joiner)?;
    let tagged = joiner.is_tagged;
    let (mut history, mut notes) = joiner.finish();
    history.is_jepsens = matches!(form, Form::Edn { .. } | Form::Log);
    independent::split(&mut history, &mut notes, form.is_foreign(), tagged, options)?;
    history.settle();
    Ok((history, notes))
}

/// What the end of the stream says of the whole.
fn ended(end: End, compressed: bool, joiner: &mut Joiner) -> Result<(), HistoryError> {
    let line = joiner.lines;
    match end {
        End::Complete => {}
        End::Unclosed => {
            let cut = |note: &Note| matches!(note, Note::CutLine { .. });
            if !joiner.notes.iter().any(cut) {
                joiner.notes.push(Note::Unclosed { line: line + 1 });
            }
        }
        End::After(chunk) => {
            let space = |byte: &u8| !byte.is_ascii_whitespace();
            let offset = chunk.bytes.iter().position(space).unwrap_or_default();
            let at = Places::new(&chunk).of(offset);
            return Err(
                joiner.malformed(at, "something stands after the end of the list".to_owned())
            );
        }
        End::TooLong => {
            let at = Place { line: 1, column: 1 };
            let text = format!(
                "the line or form that begins here is longer than {} bytes",
                split::LONGEST
            );
            return Err(joiner.malformed(at, text));
        }
        End::Failed(source) => match source.kind() {
            io::ErrorKind::UnexpectedEof if compressed => {
                joiner.notes.push(Note::CutFrame { line })
            }
            // The decoder reports its own failures as `Other`; the file's have kinds of their own.
            io::ErrorKind::Other if compressed => {
                return Err(HistoryError::Damaged { line, source });
            }
            _ => return Err(HistoryError::Io { line, source }),
        },
    }
    Ok(())
}

/// The text up to the first byte that is not UTF-8, and whether that is more than a cut-off end.
fn text(bytes: &[u8]) -> (&str, Option<usize>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let (good, _) = bytes.split_at(error.valid_up_to());
            let text = std::str::from_utf8(good).expect("it was found to be valid up to there");
            let cut = error.error_len().is_none();
            (text, (!cut).then_some(good.len()))
        }
    }
}

/// Leaves out an event that the end of the file cut off: if it is one. If more events follow, then it lacks its end, and they
/// must not be lost with it. A line that has its end was written whole, if an event is a line.
fn cut(parsed: &mut Parsed, rest: &str, kind: &str, begins: Place) {
    let line = rest.trim_end_matches([' ', '\t', '\r', '\n']);
    let is_line = !line.is_empty() && !line.contains('\n');
    parsed.cut_line_has_end = is_line && rest[line.len()..].contains('\n');
    if rest.matches(kind).nth(1).is_some() {
        let text = "the event that begins here has no end, and others follow".to_owned();
        parsed.problem = Some(Problem { at: begins, text });
    } else {
        parsed.cut = Some(begins);
    }
}

/// Turns what was made of a text that ended at a broken byte into what it is.
fn broken(parsed: &mut Parsed, chunk: &Chunk, broken: Option<usize>) {
    let Some(offset) = broken else { return };
    let at = Places::new(chunk).of(offset);
    let earlier = |problem: &Problem| problem.at.line < at.line;
    if !parsed.problem.as_ref().is_some_and(earlier) {
        let text = "here is a byte that is not UTF-8".to_owned();
        parsed.problem = Some(Problem { at, text });
    }
    parsed.cut = None;
}

/// The field that a line lacks, if it lacks one that it must have.
fn missing(draft: &Draft, strictness: Strictness) -> Option<&'static str> {
    let own = strictness == Strictness::Own;
    if own && draft.process == NONE {
        Some("process")
    } else if draft.kind.is_none() {
        Some("type")
    } else if own && draft.f == NONE {
        Some("f")
    } else {
        None
    }
}
