//! Frames: a 32-bit length, then that many bytes. With limits both ways.

use bytes::{Buf, BytesMut};

/// Limits on frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Longest frame that is accepted: bytes, without the length.
    pub incoming: usize,
    /// Longest frame that is sent: bytes, without the length.
    pub outgoing: usize,
}

impl Default for FrameLimits {
    /// 4 MiB in; out what ZooKeeper's servers accept by default (`jute.maxbuffer`).
    fn default() -> FrameLimits {
        FrameLimits {
            incoming: 4 << 20,
            outgoing: 0xf_ffff,
        }
    }
}

/// A frame's length that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes was announced, from 0 to {limit} are accepted")]
pub struct FrameLengthError {
    /// The length as announced.
    pub length: i32,
    /// The limit.
    pub limit: usize,
}

/// Puts frames together from whatever pieces the socket gives.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BytesMut,
    limit: usize,
}

impl FrameBuffer {
    /// An empty buffer that accepts frames up to `limit` bytes.
    pub fn new(limit: usize) -> FrameBuffer {
        FrameBuffer {
            bytes: BytesMut::with_capacity(4096),
            limit,
        }
    }

    /// Where the socket's bytes go.
    pub fn space(&mut self) -> &mut BytesMut {
        self.bytes.reserve(1024);
        &mut self.bytes
    }

    /// The next whole frame without its length, if it has arrived.
    ///
    /// # Errors
    /// If the announced length is negative or over the limit.
    pub fn next_frame(&mut self) -> Result<Option<BytesMut>, FrameLengthError> {
        let Some(prefix) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*prefix);
        let count = usize::try_from(length)
            .ok()
            .filter(|count| *count <= self.limit)
            .ok_or(FrameLengthError {
                length,
                limit: self.limit,
            })?;
        if self.bytes.len() < 4 + count {
            self.bytes.reserve(4 + count - self.bytes.len());
            return Ok(None);
        }
        self.bytes.advance(4);
        Ok(Some(self.bytes.split_to(count)))
    }
}

/// A frame around a record; `None` if the record is over the limit.
pub fn framed(record: &[u8], limit: usize) -> Option<Vec<u8>> {
    let length = i32::try_from(record.len())
        .ok()
        .filter(|_| record.len() <= limit)?;
    let mut frame = Vec::with_capacity(4 + record.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(record);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn announced(length: i32, limit: usize) -> Result<Option<BytesMut>, FrameLengthError> {
        let mut buffer = FrameBuffer::new(limit);
        buffer.space().extend_from_slice(&length.to_be_bytes());
        buffer.next_frame()
    }

    #[test]
    fn negative_and_endless_frames_are_refused_by_their_length_alone() {
        assert_eq!(
            announced(-1, 10),
            Err(FrameLengthError {
                length: -1,
                limit: 10
            })
        );
        assert_eq!(
            announced(11, 10),
            Err(FrameLengthError {
                length: 11,
                limit: 10
            })
        );
        assert_eq!(announced(10, 10), Ok(None));
    }

    #[test]
    fn a_record_over_the_limit_is_not_framed() {
        assert_eq!(framed(&[0; 11], 10), None);
        assert_eq!(framed(&[7], 10), Some(vec![0, 0, 0, 1, 7]));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10), piece in 1_usize..20) {
            let stream: Vec<u8> = records.iter().flat_map(|record| framed(record, 100).unwrap()).collect();
            let mut buffer = FrameBuffer::new(100);
            let mut seen = Vec::new();
            for bytes in stream.chunks(piece) {
                buffer.space().extend_from_slice(bytes);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, records);
        }
    }
}
