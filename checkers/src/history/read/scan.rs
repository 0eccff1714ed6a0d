//! One event of JSON into a [`Draft`], if it looks as usual: several times quicker than `line`, and never of another opinion.
//!
//! Whatever is unusual (an escape in a text, a field of another type than expected, anything wrong) is left to `line`. A test
//! reads random lines by both.

use super::line::Strictness;
use crate::history::arena::Cell;
use crate::history::block::{Block, Draft, Place};
use crate::history::event::Kind;

/// How deep values may be nested here; `line` allows as much.
const DEEPEST: u32 = 100;

/// Reads the event that begins the text, and says how long it was; `None` leaves it to `line`. The place is that of the
/// text's first byte.
pub(super) fn event(
    text: &str,
    block: &mut Block,
    strictness: Strictness,
    begins: Place,
) -> Option<(Draft, usize)> {
    block.begin();
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut draft = Draft::at(begins);
    scan.expect(b'{')?;
    if !scan.ends(b'}') {
        loop {
            scan.field(block, &mut draft)?;
            scan.space();
            match scan.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
    }
    draft.extra = block.end_fields();
    match super::missing(&draft, strictness) {
        None => Some((draft, scan.at)),
        Some(_) => None,
    }
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Scan<'t> {
    fn field(&mut self, block: &mut Block, draft: &mut Draft) -> Option<()> {
        self.space();
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        if !block.is_new(name) {
            return None;
        }
        match name {
            "index" => draft.index = self.unsigned()?,
            "time" => draft.time = self.unsigned()?,
            "process" => {
                draft.process = match self.peek()? {
                    b'"' => block.named(self.string()?),
                    _ => block.client(self.unsigned()?),
                }
            }
            "type" => {
                draft.kind = Some(match self.string()? {
                    "invoke" => Kind::Invoke,
                    "ok" => Kind::Ok,
                    "fail" => Kind::Fail,
                    "info" => Kind::Info,
                    _ => return None,
                })
            }
            "f" => draft.f = block.functions.text(self.string()?),
            "key" => draft.key = block.keys.text(self.string()?),
            "value" => {
                draft.value_at.column += self.at as u32;
                draft.value = self.value(block, 0)?;
            }
            _ => {
                let name = block.writer.text(name);
                let value = self.value(block, 0)?;
                block.field(name, value);
            }
        }
        Some(())
    }

    fn value(&mut self, block: &mut Block, depth: u32) -> Option<Cell> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => self.number(block),
            b'"' => Some(block.writer.text(self.string()?)),
            b'n' => self.word("null", Cell::NULL),
            b't' => self.word("true", Cell::bool(true)),
            b'f' => self.word("false", Cell::bool(false)),
            b'[' if depth < DEEPEST => self.list(block, depth),
            b'{' if depth < DEEPEST => self.map(block, depth),
            _ => None,
        }
    }

    fn list(&mut self, block: &mut Block, depth: u32) -> Option<Cell> {
        self.at += 1;
        let began = block.writer.begin();
        if self.ends(b']') {
            return Some(block.writer.end_list(began));
        }
        loop {
            self.space();
            let element = self.value(block, depth + 1)?;
            block.writer.element(element);
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(block.writer.end_list(began)),
                _ => return None,
            }
        }
    }

    fn map(&mut self, block: &mut Block, depth: u32) -> Option<Cell> {
        self.at += 1;
        let began = block.writer.begin();
        if self.ends(b'}') {
            return Some(block.writer.end_map(began));
        }
        loop {
            self.space();
            let name = block.writer.text(self.string()?);
            self.space();
            self.expect(b':')?;
            self.space();
            let value = self.value(block, depth + 1)?;
            block.writer.element(name);
            block.writer.element(value);
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(block.writer.end_map(began)),
                _ => return None,
            }
        }
    }

    fn number(&mut self, block: &mut Block) -> Option<Cell> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let number = self.unsigned()?;
        match negative {
            false => Some(block.writer.unsigned(number)),
            // What the parser makes of -0 is seen to there.
            true if number == 0 => None,
            true => Some(block.writer.int(0_i64.checked_sub_unsigned(number)?)),
        }
    }

    /// A whole number that ends like one.
    fn unsigned(&mut self) -> Option<u64> {
        let began = self.at;
        let mut number = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let leading_zero = self.bytes.get(began) == Some(&b'0') && self.at > began + 1;
        let goes_on = matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        // The largest number stands for none.
        let fits = self.at > began && !leading_zero && !goes_on && number < u64::MAX;
        fits.then_some(number)
    }

    /// A text without escapes.
    fn string(&mut self) -> Option<&'t str> {
        self.expect(b'"')?;
        let began = self.at;
        loop {
            match self.next()? {
                b'"' => return self.text.get(began..self.at - 1),
                b'\\' | 0..=0x1f => return None,
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str, cell: Cell) -> Option<Cell> {
        let is_it = self.bytes[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is_it.then_some(cell)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether this ends here; if so, it is taken.
    fn ends(&mut self, by: u8) -> bool {
        self.space();
        let ends = self.peek() == Some(by);
        self.at += usize::from(ends);
        ends
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}
