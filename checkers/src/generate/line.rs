//! Lines of a history, written straight into a buffer: a million operations a second leave no time for a tree of values.

use std::io::{self, Write};

/// How much is gathered before it is handed on, in bytes.
const BUFFER: usize = 1 << 16;

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Phase::Invoke => "invoke",
            Phase::Ok => "ok",
            Phase::Fail => "fail",
            Phase::Info => "info",
        }
    }
}

/// The text of one line, while it is made.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    pub(super) fn raw(&mut self, text: &str) -> &mut Text {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn int(&mut self, number: i64) -> &mut Text {
        if number < 0 {
            self.0.push(b'-');
        }
        self.count(number.unsigned_abs())
    }

    pub(super) fn count(&mut self, mut number: u64) -> &mut Text {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[at..]);
        self
    }

    /// `null` for none.
    pub(super) fn maybe(&mut self, number: Option<i64>) -> &mut Text {
        match number {
            Some(number) => self.int(number),
            None => self.raw("null"),
        }
    }

    /// `[1,2,3]`.
    pub(super) fn list(&mut self, numbers: impl IntoIterator<Item = i64>) -> &mut Text {
        self.raw("[");
        for (at, number) in numbers.into_iter().enumerate() {
            if at > 0 {
                self.raw(",");
            }
            self.int(number);
        }
        self.raw("]")
    }

    /// `"f":"write"`, and the key, if the history has more than one object.
    pub(super) fn call(&mut self, f: &str, key: Option<u32>) -> &mut Text {
        self.raw("\"f\":\"").raw(f).raw("\"");
        if let Some(key) = key {
            self.raw(",\"key\":\"k").count(key.into()).raw("\"");
        }
        self
    }

    /// `,"value":`, before the value.
    pub(super) fn value(&mut self) -> &mut Text {
        self.raw(",\"value\":")
    }

    /// `,"name":7`.
    pub(super) fn field(&mut self, name: &str, number: i64) -> &mut Text {
        self.raw(",\"").raw(name).raw("\":").int(number)
    }

    /// `,"name":"word"`; the word needs no escapes.
    pub(super) fn word(&mut self, name: &str, word: &str) -> &mut Text {
        self.raw(",\"").raw(name).raw("\":\"").raw(word).raw("\"")
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only text was written to it")
    }
}

/// Writes lines, counts them, and keeps the clock.
pub(super) struct Lines<W> {
    out: W,
    text: Text,
    index: u64,
    time: u64,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> Lines<W> {
        Lines {
            out,
            text: Text::default(),
            index: 0,
            time: 0,
        }
    }

    /// How many lines were written: the next line's index.
    pub(super) fn count(&self) -> u64 {
        self.index
    }

    /// Lets time pass, in nanoseconds.
    pub(super) fn pass(&mut self, nanos: u64) {
        self.time += nanos;
    }

    /// Writes one line; `body` is what begins with `"f":`.
    pub(super) fn line(
        &mut self,
        process: u64,
        phase: Phase,
        body: impl FnOnce(&mut Text),
    ) -> io::Result<()> {
        self.begin();
        self.text.count(process);
        self.text.word("type", phase.word()).raw(",");
        body(&mut self.text);
        self.end_line()
    }

    /// Writes a line of the named process `watcher`, which nobody asked for.
    pub(super) fn told(&mut self, body: &str) -> io::Result<()> {
        self.begin();
        self.text.raw("\"watcher\"");
        self.text
            .word("type", Phase::Info.word())
            .raw(",")
            .raw(body);
        self.end_line()
    }

    fn begin(&mut self) {
        self.text.raw("{\"index\":").count(self.index);
        self.text.raw(",\"time\":").count(self.time);
        self.text.raw(",\"process\":");
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.text.raw("}\n");
        self.index += 1;
        if self.text.0.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.text.0)?;
        self.text.0.clear();
        Ok(())
    }

    /// Hands on what is left.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.flush()
    }
}
