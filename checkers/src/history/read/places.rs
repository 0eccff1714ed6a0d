//! From an offset in a chunk to a line and a column.

use super::split::Chunk;
use crate::history::block::Place;

/// Counts lines, forwards only.
pub(super) struct Places<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u32,
    /// Bytes before `at` on its line.
    before: u64,
}

impl<'t> Places<'t> {
    pub(super) fn new(chunk: &'t Chunk) -> Places<'t> {
        Places {
            bytes: &chunk.bytes,
            at: 0,
            line: 1,
            before: chunk.column,
        }
    }

    /// The place of an offset that is not before the last one.
    pub(super) fn of(&mut self, offset: usize) -> Place {
        let offset = offset.max(self.at);
        let passed = &self.bytes[self.at..offset];
        self.at = offset;
        match passed.iter().rposition(|byte| *byte == b'\n') {
            None => self.before += passed.len() as u64,
            Some(last) => {
                let lines = passed.iter().filter(|byte| **byte == b'\n').count();
                self.line += lines as u32;
                self.before = (passed.len() - last - 1) as u64;
            }
        }
        Place {
            line: self.line,
            column: u32::try_from(self.before + 1).unwrap_or(u32::MAX),
        }
    }

    /// Line feeds in the whole chunk.
    pub(super) fn lines(mut self) -> u32 {
        self.of(self.bytes.len()).line - 1
    }
}
