//! Jute: big-endian integers, length-prefixed buffers, strings and vectors.
//!
//! Decoding trusts nothing: every length is checked against what is left before it is used, so that a hostile frame
//! costs no more memory than its own size.

/// Why bytes are not the record that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("{needed} more bytes were needed for {what}, {left} were left")]
    Truncated {
        /// The value that was being read.
        what: &'static str,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A length that cannot be.
    #[error("{what} has the impossible length {length}")]
    Length {
        /// The value that was being read.
        what: &'static str,
        /// Its length as given.
        length: i32,
    },
    /// A string that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUtf8(&'static str),
    /// The record was complete and bytes were left over.
    #[error("{0} bytes were left over after the record")]
    LeftOver(usize),
    /// A part of a multi's answer of a type that was not asked for.
    #[error("a multi's answer has a part of type {0}, which was not asked for")]
    UnexpectedPart(i32),
}

/// Writes jute values, one after the other.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty record.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// A 32-bit integer.
    pub fn int(&mut self, value: i32) -> &mut Encoder {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A 64-bit integer.
    pub fn long(&mut self, value: i64) -> &mut Encoder {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A boolean: one byte.
    pub fn boolean(&mut self, value: bool) -> &mut Encoder {
        self.bytes.push(u8::from(value));
        self
    }

    /// A buffer: its length, then its bytes.
    pub fn buffer(&mut self, value: &[u8]) -> &mut Encoder {
        let length = i32::try_from(value.len())
            .expect("every value comes from this crate and is far below 2 GiB");
        self.int(length);
        self.bytes.extend_from_slice(value);
        self
    }

    /// A string: a buffer of UTF-8.
    pub fn string(&mut self, value: &str) -> &mut Encoder {
        self.buffer(value.as_bytes())
    }

    /// The record.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads jute values, one after the other.
#[derive(Debug)]
pub struct Decoder<'a> {
    left: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A reader at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { left: bytes }
    }

    fn take(&mut self, what: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.left.split_at_checked(count) else {
            return Err(DecodeError::Truncated {
                what,
                needed: count,
                left: self.left.len(),
            });
        };
        self.left = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let taken = self.take(what, N)?;
        Ok(taken.try_into().expect("take returns exactly N bytes"))
    }

    /// A 32-bit integer.
    ///
    /// # Errors
    /// Truncated.
    pub fn int(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    /// A 64-bit integer.
    ///
    /// # Errors
    /// Truncated.
    pub fn long(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(what)?))
    }

    /// A boolean: any byte but 0 is true.
    ///
    /// # Errors
    /// Truncated.
    pub fn boolean(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        Ok(self.array::<1>(what)?[0] != 0)
    }

    /// A buffer; the length -1, which stands for none, reads as empty.
    ///
    /// # Errors
    /// Truncated, or of a length below -1.
    pub fn buffer(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.int(what)? {
            -1 => Ok(&[]),
            length => {
                let count =
                    usize::try_from(length).map_err(|_| DecodeError::Length { what, length })?;
                self.take(what, count)
            }
        }
    }

    /// A string.
    ///
    /// # Errors
    /// As [`Decoder::buffer`], or not UTF-8.
    pub fn string(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.buffer(what)?).map_err(|_| DecodeError::NotUtf8(what))
    }

    /// A vector of strings; the length -1, which stands for none, reads as empty.
    ///
    /// # Errors
    /// As [`Decoder::string`], or of a length that what is left cannot hold.
    pub fn strings(&mut self, what: &'static str) -> Result<Vec<String>, DecodeError> {
        let length = self.int(what)?;
        if length == -1 {
            return Ok(Vec::new());
        }
        // Each string takes at least the four bytes of its length.
        let count = usize::try_from(length)
            .ok()
            .filter(|count| *count <= self.left.len() / 4)
            .ok_or(DecodeError::Length { what, length })?;
        let mut strings = Vec::with_capacity(count);
        for _ in 0..count {
            strings.push(self.string(what)?.to_owned());
        }
        Ok(strings)
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// Asserts that nothing is left.
    ///
    /// # Errors
    /// Left over.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.left.len() {
            0 => Ok(()),
            count => Err(DecodeError::LeftOver(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_vector_that_claims_more_than_the_frame_holds_is_refused_before_memory_is_taken() {
        let mut encoder = Encoder::new();
        encoder.int(i32::MAX);
        let bytes = encoder.finish();
        let error = Decoder::new(&bytes).strings("children");
        assert_eq!(
            error,
            Err(DecodeError::Length {
                what: "children",
                length: i32::MAX
            })
        );
    }

    #[test]
    fn a_negative_length_other_than_none_is_refused() {
        let bytes = (-2_i32).to_be_bytes();
        assert_eq!(
            Decoder::new(&bytes).buffer("data"),
            Err(DecodeError::Length {
                what: "data",
                length: -2
            })
        );
        assert_eq!(
            Decoder::new(&(-1_i32).to_be_bytes()).buffer("data"),
            Ok(&[][..])
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(int: i32, long: i64, flag: bool, data: Vec<u8>, text: String) {
            let mut encoder = Encoder::new();
            encoder.int(int).long(long).boolean(flag).buffer(&data).string(&text);
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(decoder.int("int"), Ok(int));
            prop_assert_eq!(decoder.long("long"), Ok(long));
            prop_assert_eq!(decoder.boolean("flag"), Ok(flag));
            prop_assert_eq!(decoder.buffer("data"), Ok(&data[..]));
            prop_assert_eq!(decoder.string("text"), Ok(&text[..]));
            prop_assert_eq!(decoder.end(), Ok(()));
        }

        #[test]
        fn a_record_cut_anywhere_is_truncated(data: Vec<u8>, cut: prop::sample::Index) {
            let mut encoder = Encoder::new();
            encoder.buffer(&data);
            let bytes = encoder.finish();
            let cut = &bytes[..cut.index(bytes.len())];
            let truncated = matches!(Decoder::new(cut).buffer("data"), Err(DecodeError::Truncated { .. }));
            prop_assert!(truncated);
        }
    }
}
