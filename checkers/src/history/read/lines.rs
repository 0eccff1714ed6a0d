//! Chunks of JSON: one object a line, or the elements of one list.

use super::forms::complete;
use super::join::{Parsed, Problem};
use super::line::{self, Strictness};
use super::places::Places;
use super::scan;
use super::split::Chunk;
use crate::history::block::{Block, Draft, Place};

/// Reads a chunk of lines.
pub(super) fn lines(chunk: &Chunk) -> Parsed {
    let mut parsed = Parsed::default();
    let (text, broken) = super::text(&chunk.bytes);
    let mut at = 0;
    while at < text.len() {
        let begins = Place {
            line: parsed.lines + 1,
            column: 1,
        };
        at = match quick(&text[at..], &mut parsed.block, begins) {
            Some(length) => at + length,
            None => {
                let end = text[at..].find('\n').map(|end| at + end);
                let line = &text[at..end.unwrap_or(text.len())];
                if !slow(line, begins, end.is_none(), &mut parsed) {
                    break;
                }
                end.map_or(text.len(), |end| end + 1)
            }
        };
        parsed.lines += 1;
    }
    super::broken(&mut parsed, chunk, broken);
    parsed
}

/// Reads a line if it looks as usual, and says how long it was.
fn quick(text: &str, block: &mut Block, begins: Place) -> Option<usize> {
    let (draft, length) = scan::event(text, block, Strictness::Own, begins)?;
    let length = match &text.as_bytes()[length..] {
        [] => length,
        [b'\n', ..] => length + 1,
        [b'\r', b'\n', ..] => length + 2,
        _ => return None,
    };
    block.drafts.push(draft);
    Some(length)
}

/// Reads any line; whether to go on after it.
fn slow(line: &str, begins: Place, cut: bool, parsed: &mut Parsed) -> bool {
    if line.trim_ascii().is_empty() {
        return true;
    }
    match line::parse(line.as_bytes(), &mut parsed.block, Strictness::Own, begins) {
        Ok(mut draft) => {
            if let Some(value) = line::value_at(line.as_bytes()) {
                draft.value_at.column += value as u32;
            }
            parsed.block.drafts.push(draft);
            return true;
        }
        Err(error) if cut && error.is_eof() => parsed.cut = Some(begins),
        Err(error) => {
            let at = Place {
                line: begins.line,
                column: error.column().max(1) as u32,
            };
            let text = line::said(&error);
            parsed.problem = Some(Problem { at, text });
        }
    }
    false
}

/// Reads a chunk of a list's elements.
pub(super) fn elements(chunk: &Chunk) -> Parsed {
    let mut elements = Elements {
        places: Places::new(chunk),
        parsed: Parsed::default(),
        may_follow: chunk.first,
        comma: None,
        chunk,
    };
    let (text, broken) = super::text(&chunk.bytes);
    let mut at = 0;
    while let Some(next) = elements.element(text, at) {
        at = next;
    }
    elements.parsed.lines = elements.places.lines();
    super::broken(&mut elements.parsed, chunk, broken);
    elements.parsed
}

struct Elements<'t> {
    places: Places<'t>,
    parsed: Parsed,
    /// Whether an element may stand here: at the beginning, and after a comma.
    may_follow: bool,
    /// Where the comma is that no event follows, so far.
    comma: Option<usize>,
    chunk: &'t Chunk,
}

impl Elements<'_> {
    /// Reads one element, and says where it ended.
    fn element(&mut self, text: &str, mut at: usize) -> Option<usize> {
        loop {
            let Some(byte) = text.as_bytes().get(at) else {
                return self.end();
            };
            match byte {
                b',' if !self.may_follow => {
                    self.may_follow = true;
                    self.comma = Some(at);
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => break,
            }
            at += 1;
        }
        let begins = self.places.of(at);
        self.comma = None;
        if !std::mem::replace(&mut self.may_follow, false) {
            return self.refuse(begins, "expected `,` or `]` after an event".to_owned());
        }
        let block = &mut self.parsed.block;
        if let Some((draft, length)) = scan::event(&text[at..], block, Strictness::Foreign, begins)
        {
            return self.take(draft, at + length);
        }
        let end = form_end(&text.as_bytes()[at..]);
        let element = &text.as_bytes()[at..at + end.unwrap_or(text.len() - at)];
        match line::parse(element, block, Strictness::Foreign, begins) {
            Ok(mut draft) => {
                if let Some(value) = line::value_at(element) {
                    draft.value_at = self.places.of(at + value);
                }
                self.take(draft, at + element.len())
            }
            Err(error) if self.chunk.last && (self.chunk.open || error.is_eof()) => {
                super::cut(&mut self.parsed, &text[at..], "\"type\"", begins);
                None
            }
            Err(error) => {
                let on_first_line = error.line() <= 1;
                let place = Place {
                    line: begins.line + error.line().max(1) as u32 - 1,
                    column: match on_first_line {
                        true => begins.column + error.column().max(1) as u32 - 1,
                        false => error.column().max(1) as u32,
                    },
                };
                self.refuse(place, line::said(&error))
            }
        }
    }

    /// Refuses a comma in front of the list's end.
    fn end(&mut self) -> Option<usize> {
        if let Some(comma) = self.comma.filter(|_| self.chunk.closed) {
            let at = self.places.of(comma);
            return self.refuse(at, "expected an event after `,`".to_owned());
        }
        None
    }

    fn take(&mut self, mut draft: Draft, end: usize) -> Option<usize> {
        if let Err(text) = complete(&mut draft, &mut self.parsed.block) {
            return self.refuse(draft.begins, text);
        }
        self.parsed.block.drafts.push(draft);
        Some(end)
    }

    fn refuse(&mut self, at: Place, text: String) -> Option<usize> {
        self.parsed.problem = Some(Problem { at, text });
        None
    }
}

/// Where the object or the word ends that begins here, if it does.
fn form_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            b'"' => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}
