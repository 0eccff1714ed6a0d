//! Reads jute's primitive types out of one frame.

use super::Garbage;
use bytes::{Buf, Bytes};

/// A frame, and how far it has been read. Buffers that are read out of it share its memory.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    /// Reads this frame from its start.
    pub fn new(frame: Bytes) -> Reader {
        Reader { rest: frame }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A signed 32-bit integer.
    pub fn int(&mut self, what: &'static str) -> Result<i32, Garbage> {
        self.rest
            .try_get_i32()
            .map_err(|_| Garbage::Truncated { what })
    }

    /// A signed 64-bit integer.
    pub fn long(&mut self, what: &'static str) -> Result<i64, Garbage> {
        self.rest
            .try_get_i64()
            .map_err(|_| Garbage::Truncated { what })
    }

    /// A truth value: one byte, 0 or 1.
    pub fn boolean(&mut self, what: &'static str) -> Result<bool, Garbage> {
        match self.rest.try_get_u8() {
            Ok(0) => Ok(false),
            Ok(1) => Ok(true),
            Ok(other) => Err(Garbage::Field {
                what,
                found: format!("{other} instead of 0 or 1"),
            }),
            Err(_) => Err(Garbage::Truncated { what }),
        }
    }

    /// A length and as many bytes; -1 is Java's null.
    pub fn buffer(&mut self, what: &'static str) -> Result<Option<Bytes>, Garbage> {
        let length = self.int(what)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Garbage::Field {
            what,
            found: format!("a length of {length} bytes"),
        })?;
        if length > self.rest.len() {
            return Err(Garbage::Truncated { what });
        }
        Ok(Some(self.rest.split_to(length)))
    }

    /// A string; Java's null is read as the empty one, which is no legal path.
    pub fn string(&mut self, what: &'static str) -> Result<String, Garbage> {
        let bytes = self.buffer(what)?.unwrap_or_default();
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Garbage::Field {
                what,
                found: "bytes that are not UTF-8".into(),
            }),
        }
    }

    /// The length of a vector whose elements take at least `least` bytes each; -1 is read as 0.
    pub fn count(&mut self, what: &'static str, least: usize) -> Result<usize, Garbage> {
        let count = self.int(what)?;
        if count == -1 {
            return Ok(0);
        }
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / least => Ok(count),
            _ => Err(Garbage::Field {
                what,
                found: format!("a count of {count} elements"),
            }),
        }
    }
}
