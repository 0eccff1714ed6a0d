//! A stream of bytes into chunks that can be read by themselves: whole lines, or whole forms.
//!
//! A form is what stands between two brackets on the top level, or in the one list that holds all of them. Finding their ends
//! takes a look at each byte, for brackets, texts, comments and characters; nothing is read twice.

use std::io::{self, Read};

/// The size of a chunk, if no line is longer.
const CHUNK: usize = 1 << 20;

/// The longest line or form that is read, in bytes: a set's final read of 2,000 elements takes about 30 kB.
pub(super) const LONGEST: usize = 64 << 20;

/// Whole lines or forms.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// How many bytes of its first line came before it.
    pub(super) column: u64,
    /// Whether anything was before it.
    pub(super) first: bool,
    /// Whether the end of the file cut it off: its last line has no end, or its last form.
    pub(super) last: bool,
    /// Whether a form in it is not closed.
    pub(super) open: bool,
    /// Whether the list that holds the forms was closed by then.
    pub(super) closed: bool,
}

/// How a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// As it should, or in the middle of its last chunk.
    Complete,
    /// The list that holds all forms was not closed.
    Unclosed,
    /// Something stands after the list that holds all forms; here is the first of it.
    After(Chunk),
    /// A line or form is too long.
    TooLong,
    /// It could not be read to its end.
    Failed(io::Error),
}

/// Cuts a stream.
pub(super) trait Split {
    /// The next chunk, or how it ended.
    fn next(&mut self) -> Result<Chunk, End>;
}

/// Bytes that were read, and not given away.
struct Buffer<R> {
    input: R,
    bytes: Vec<u8>,
    ended: bool,
}

impl<R: Read> Buffer<R> {
    /// Reads so much more, or up to the end.
    fn more(&mut self) -> Result<(), End> {
        let begin = self.bytes.len();
        let mut chunk = self.input.by_ref().take(CHUNK as u64);
        // What came before an error stays in the buffer.
        chunk.read_to_end(&mut self.bytes).map_err(End::Failed)?;
        self.ended = self.bytes.len() < begin + CHUNK;
        Ok(())
    }

    /// The bytes up to there; the rest stays.
    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(end);
        std::mem::replace(&mut self.bytes, rest)
    }
}

/// Cuts at the ends of lines.
pub(super) struct Lines<R> {
    buffer: Buffer<R>,
    first: bool,
    /// What to say after the last whole line.
    failed: Option<End>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Lines<R> {
        Lines {
            buffer: Buffer {
                input,
                bytes: Vec::new(),
                ended: false,
            },
            first: true,
            failed: None,
        }
    }

    fn chunk(&mut self, end: usize, last: bool) -> Chunk {
        Chunk {
            bytes: self.buffer.take(end),
            column: 0,
            first: std::mem::replace(&mut self.first, false),
            last,
            open: false,
            closed: false,
        }
    }
}

impl<R: Read> Split for Lines<R> {
    fn next(&mut self) -> Result<Chunk, End> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut searched = 0;
        loop {
            if !self.buffer.ended {
                let read = self.buffer.more();
                self.failed = read.err();
            }
            let bytes = &self.buffer.bytes;
            let end = bytes[searched..].iter().rposition(|byte| *byte == b'\n');
            if let Some(end) = end {
                return Ok(self.chunk(searched + end + 1, false));
            }
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            if bytes.len() > LONGEST {
                return Err(End::TooLong);
            }
            if self.buffer.ended {
                if bytes.is_empty() {
                    return Err(End::Complete);
                }
                let end = bytes.len();
                return Ok(self.chunk(end, true));
            }
            searched = bytes.len();
        }
    }
}

/// What a byte is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    Text,
    Escape,
    Comment,
    Character,
}

/// Cuts at the ends of forms.
pub(super) struct Forms<R> {
    buffer: Buffer<R>,
    first: bool,
    failed: Option<End>,
    edn: bool,
    within: Within,
    before: u8,
    depth: u32,
    /// The depth at which the events are: 1 in a list.
    top: u32,
    /// Forms on the top level that are no events by themselves: metadata, and what is discarded.
    pending: u32,
    /// How far the buffer was looked at.
    looked: usize,
    /// The last end of a form in the buffer, and the column behind it.
    cut: Option<(usize, u64)>,
    /// The column at `looked`, and at the buffer's begin.
    column: u64,
    begins: u64,
    /// Whether the list that holds all forms was closed.
    closed: bool,
}

impl<R: Read> Forms<R> {
    /// Forms of EDN or of JSON; `in_list` if the first bracket opens the list that holds them.
    pub(super) fn new(input: R, edn: bool, in_list: bool) -> Forms<R> {
        Forms {
            buffer: Buffer {
                input,
                bytes: Vec::new(),
                ended: false,
            },
            first: true,
            failed: None,
            edn,
            within: Within::Code,
            before: b' ',
            depth: 0,
            top: u32::from(in_list),
            pending: 0,
            looked: 0,
            cut: None,
            column: 0,
            begins: 0,
            closed: false,
        }
    }

    /// Looks at the bytes that were read since, up to the end of the list.
    fn look(&mut self) {
        while self.looked < self.buffer.bytes.len() && !self.closed {
            let byte = self.buffer.bytes[self.looked];
            self.looked += 1;
            self.column = if byte == b'\n' { 0 } else { self.column + 1 };
            match self.within {
                Within::Code => self.code(byte),
                Within::Text => match byte {
                    b'"' => self.within = Within::Code,
                    b'\\' => self.within = Within::Escape,
                    _ => {}
                },
                Within::Escape => self.within = Within::Text,
                Within::Comment if byte == b'\n' => self.within = Within::Code,
                Within::Comment => {}
                Within::Character => self.within = Within::Code,
            }
            self.before = byte;
        }
    }

    fn code(&mut self, byte: u8) {
        match byte {
            b'"' => self.within = Within::Text,
            b';' if self.edn => self.within = Within::Comment,
            b'\\' if self.edn => self.within = Within::Character,
            b'^' if self.edn && self.depth == self.top => self.pending += 1,
            b'_' if self.edn && self.depth == self.top && self.before == b'#' => self.pending += 1,
            b'{' | b'[' | b'(' => {
                self.depth += 1;
                if self.depth == self.top {
                    // The list's own bracket belongs to no chunk.
                    self.buffer.bytes[self.looked - 1] = b' ';
                }
            }
            b'}' | b']' | b')' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth < self.top {
                    self.buffer.bytes[self.looked - 1] = b' ';
                    self.closed = true;
                    self.cut = Some((self.looked, self.column));
                } else if self.depth == self.top && self.pending > 0 {
                    self.pending -= 1;
                } else if self.depth == self.top {
                    self.cut = Some((self.looked, self.column));
                }
            }
            _ => {}
        }
    }

    fn chunk(&mut self, (end, column): (usize, u64), last: bool) -> Chunk {
        let chunk = Chunk {
            bytes: self.buffer.take(end),
            column: std::mem::replace(&mut self.begins, column),
            first: std::mem::replace(&mut self.first, false),
            last,
            open: last && (self.depth > self.top || self.within == Within::Text),
            closed: self.closed,
        };
        self.looked = self.looked.saturating_sub(end);
        self.cut = None;
        chunk
    }

    /// After the list: whether anything but space and comments stands there.
    fn after(&mut self) -> Result<Chunk, End> {
        loop {
            while self.looked < self.buffer.bytes.len() {
                let byte = self.buffer.bytes[self.looked];
                let comment = self.within == Within::Comment;
                match byte {
                    b'\n' => self.within = Within::Code,
                    _ if comment || byte.is_ascii_whitespace() || byte == b',' => {}
                    b';' if self.edn => self.within = Within::Comment,
                    _ => {
                        let end = self.buffer.bytes.len();
                        return Err(End::After(self.chunk((end, 0), true)));
                    }
                }
                self.looked += 1;
            }
            if self.buffer.ended {
                return Err(End::Complete);
            }
            // Spaces may go on for ever: they are not kept, but their lines count.
            let lines = self.buffer.bytes.iter().filter(|byte| **byte == b'\n');
            let lines = lines.count();
            self.buffer.bytes.clear();
            self.buffer.bytes.resize(lines, b'\n');
            self.looked = lines;
            if lines > LONGEST {
                return Err(End::TooLong);
            }
            self.buffer.more()?;
        }
    }
}

impl<R: Read> Split for Forms<R> {
    fn next(&mut self) -> Result<Chunk, End> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if self.closed {
            return self.after();
        }
        loop {
            if !self.buffer.ended {
                let read = self.buffer.more();
                self.failed = read.err();
            }
            self.look();
            if let Some(cut) = self.cut {
                return Ok(self.chunk(cut, false));
            }
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            if self.buffer.bytes.len() > LONGEST {
                return Err(End::TooLong);
            }
            if self.buffer.ended {
                let rest = self.buffer.bytes.len();
                return match rest {
                    0 if self.depth < self.top || self.top == 0 => Err(End::Complete),
                    0 => Err(End::Unclosed),
                    _ => Ok(self.chunk((rest, 0), true)),
                };
            }
        }
    }
}
