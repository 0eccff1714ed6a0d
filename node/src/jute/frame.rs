//! Frames: a length of four bytes, big endian, then as many bytes.
//!
//! The four-letter words stand where a length is expected: read as one, each is far beyond every legal length.

use super::Garbage;
use bytes::{Buf, Bytes, BytesMut};

/// A four-letter word: one of ZooKeeper's, or `warn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word([u8; 4]);

impl Word {
    /// All words of ZooKeeper 3.8, and `warn`.
    pub const ALL: [&str; 19] = [
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
        "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs", "warn",
    ];

    /// The word in a connection's first four bytes, if it is one.
    pub fn parse(first: [u8; 4]) -> Option<Word> {
        let known = Word::ALL.iter().any(|word| word.as_bytes() == first);
        known.then_some(Word(first))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("all words are ASCII")
    }
}

/// What stands at the front of a connection's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing whole yet.
    Incomplete,
    /// A whole frame, taken out of the buffer.
    Whole(Bytes),
}

/// Takes the next frame out of `buffer`, if it is there. `limit` is the longest legal frame in bytes.
pub fn next_frame(buffer: &mut BytesMut, limit: usize) -> Result<Frame, Garbage> {
    let Some(first) = buffer.first_chunk::<4>() else {
        return Ok(Frame::Incomplete);
    };
    let length = i32::from_be_bytes(*first);
    let whole = match usize::try_from(length) {
        Ok(whole) if whole <= limit => whole,
        _ => return Err(Garbage::Length { length, limit }),
    };
    if buffer.len() < 4 + whole {
        // The rest is announced and legal, but it is allocated as it comes: no more than has come already.
        buffer.reserve((4 + whole - buffer.len()).min(buffer.len()));
        return Ok(Frame::Incomplete);
    }
    buffer.advance(4);
    Ok(Frame::Whole(buffer.split_to(whole).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut buffer = BytesMut::from(&b"\0\0\0\x02ab\0\0\0\0\0\0"[..]);
        assert_eq!(
            next_frame(&mut buffer, 10),
            Ok(Frame::Whole(Bytes::from_static(b"ab")))
        );
        assert_eq!(next_frame(&mut buffer, 10), Ok(Frame::Whole(Bytes::new())));
        assert_eq!(next_frame(&mut buffer, 10), Ok(Frame::Incomplete));
        assert_eq!(buffer.len(), 2);
    }

    #[test]
    fn an_illegal_length_is_refused_before_anything_is_allocated() {
        for length in [-1, i32::MIN, i32::MAX, 11] {
            let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
            let before = buffer.capacity();
            assert_eq!(
                next_frame(&mut buffer, 10),
                Err(Garbage::Length { length, limit: 10 })
            );
            assert_eq!(buffer.capacity(), before);
        }
    }

    #[test]
    fn no_word_can_be_taken_for_a_length() {
        for word in Word::ALL {
            let bytes: [u8; 4] = word.as_bytes().try_into().unwrap();
            assert_eq!(Word::parse(bytes).unwrap().as_str(), word);
            assert!(u32::from_be_bytes(bytes) > 1 << 30);
        }
    }
}
