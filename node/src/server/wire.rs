//! Frames between members: length, CRC32C, sequence number, body.
//!
//! ```text
//! length of the body: u32   CRC32C of sequence number and body: u32   sequence number: u64   body     (little endian)
//! ```
//!
//! The sequence number counts the frames of one direction of one connection from 0, so that a byte stream that was cut
//! and joined, or doubled, by something in between is noticed. An empty body is a sign of life.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;

/// The longest body, in bytes: far more than any message needs, so that nonsense is noticed before it is allocated.
pub(super) const LIMIT: usize = 64 << 20;

const HEADER: usize = 16;

/// Bytes that are no frames of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a frame of {0} bytes is announced, and at most {LIMIT} are legal")]
    Length(usize),
    #[error("frame {0} is damaged: its checksum does not fit")]
    Checksum(u64),
    #[error(
        "frame {found} came where frame {expected} should: something between the members lost or doubled bytes"
    )]
    Sequence { expected: u64, found: u64 },
}

/// Frames that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    bytes: Vec<u8>,
    sequence: u64,
}

impl FrameWriter {
    /// Adds a frame with this body.
    pub(super) fn push<T: Serialize>(&mut self, body: &T) {
        self.frame(|bytes| {
            postcard::to_extend(body, bytes).expect("a Vec grows, and every field has an encoding")
        });
    }

    /// Adds a sign of life.
    pub(super) fn push_empty(&mut self) {
        self.frame(|bytes| bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into()
    }

    fn frame(&mut self, body: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let start = self.bytes.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes = body(bytes);
        let length = bytes.len() - start - HEADER;
        assert!(
            length <= LIMIT,
            "a message of {length} bytes is longer than a frame may be"
        );
        let checksum = crc32c::crc32c(&bytes[start + 8..]);
        bytes[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
        bytes[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
        self.bytes = bytes;
        self.sequence += 1;
    }
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    sequence: u64,
}

impl FrameReader {
    /// Takes the next frame's body out of `buffer`, if it is whole.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, WireError> {
        let Some(header) = buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let (mut header, expected) = (&header[..], self.sequence);
        let length = header.get_u32_le() as usize;
        if length > LIMIT {
            return Err(WireError::Length(length));
        }
        if buffer.len() < HEADER + length {
            // What is announced is allocated as it comes, never at once: no more than has come already.
            let missing = HEADER + length - buffer.len();
            buffer.reserve(missing.min(buffer.len()));
            return Ok(None);
        }
        let checksum = header_u32(&buffer[4..8]);
        if crc32c::crc32c(&buffer[8..HEADER + length]) != checksum {
            return Err(WireError::Checksum(expected));
        }
        buffer.advance(8);
        let found = buffer.get_u64_le();
        if found != expected {
            return Err(WireError::Sequence { expected, found });
        }
        self.sequence += 1;
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

fn header_u32(mut bytes: &[u8]) -> u32 {
    bytes.get_u32_le()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> BytesMut {
        let mut writer = FrameWriter::default();
        writer.push(&"first");
        writer.push_empty();
        writer.push(&7u64);
        BytesMut::from(&writer.take()[..])
    }

    #[test]
    fn frames_come_back_in_order_however_the_bytes_arrive() {
        let (all, mut buffer, mut reader) = (written(), BytesMut::new(), FrameReader::default());
        let mut bodies = Vec::new();
        for byte in all {
            buffer.extend_from_slice(&[byte]);
            bodies.extend(reader.next(&mut buffer).unwrap());
        }
        assert_eq!(bodies, [&b"\x05first"[..], b"", b"\x07"]);
    }

    #[test]
    fn a_changed_byte_a_lost_frame_and_a_doubled_one_are_noticed() {
        let all = written();
        for at in 0..all.len() {
            let (mut changed, mut reader) = (all.clone(), FrameReader::default());
            changed[at] ^= 0x10;
            let mut whole = 0;
            while let Ok(Some(_)) = reader.next(&mut changed) {
                whole += 1;
            }
            assert!(whole < 3, "byte {at}");
        }
        let mut lost = BytesMut::from(&all[22..]);
        assert_eq!(
            FrameReader::default().next(&mut lost),
            Err(WireError::Sequence {
                expected: 0,
                found: 1
            })
        );
        let mut doubled = BytesMut::from(&[&all[..22], &all[..22]].concat()[..]);
        let mut reader = FrameReader::default();
        assert!(reader.next(&mut doubled).unwrap().is_some());
        assert_eq!(
            reader.next(&mut doubled),
            Err(WireError::Sequence {
                expected: 1,
                found: 0
            })
        );
    }

    #[test]
    fn an_illegal_length_is_refused_before_anything_is_allocated() {
        let mut buffer = BytesMut::from(&[0xff; 16][..]);
        assert_eq!(
            FrameReader::default().next(&mut buffer),
            Err(WireError::Length(0xffff_ffff))
        );
        assert!(buffer.capacity() < 1024);
    }
}
