//! The bytes of a log segment.
//!
//! A segment opens with a header: magic, version, and the zxid before its first record. A record is length, CRC32C,
//! zxid, the offset up to which the segment was durable when the record was written, and the transaction; little endian.
//! The durable offset tells a torn tail from a broken middle. After a crash, bytes that were never synced
//! may be missing anywhere, also before bytes that did reach the disk; they were acknowledged to nobody and are
//! cut. But if a whole record behind the bad spot says that the spot was durable already, the disk has lost what
//! may have been acknowledged.

use crate::zab::{Entry, Zxid};
use bytes::Bytes;

const MAGIC: &[u8; 8] = b"keellog1";
/// Length of a segment's header, in bytes.
pub(super) const HEADER: u64 = 16;
const RECORD: usize = 24;
/// The longest transaction that a log holds, in bytes: what is longer cannot be read back.
pub const LIMIT: usize = 64 << 20;

pub(super) fn header(after: Zxid) -> Vec<u8> {
    [MAGIC.as_slice(), &after.0.to_le_bytes()].concat()
}

/// The zxid before a segment's first record; `None` if this is no header.
pub(super) fn read_header(bytes: &[u8]) -> Option<Zxid> {
    let after = bytes.strip_prefix(MAGIC)?.first_chunk()?;
    Some(Zxid(u64::from_le_bytes(*after)))
}

/// Adds a record to `out`; `durable`: how many bytes of the segment are known to be on the disk.
pub(super) fn encode(entry: &Entry, durable: u64, out: &mut Vec<u8>) {
    let length = u32::try_from(entry.txn.len()).expect("a transaction is far shorter than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&entry.zxid.0.to_le_bytes());
    out.extend_from_slice(&durable.to_le_bytes());
    out.extend_from_slice(&entry.txn);
    let crc = crc32c::crc32c_append(length, &out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) entry: Entry,
    pub(super) durable: u64,
    /// Its whole length in bytes.
    pub(super) size: usize,
}

/// The record at the start of `bytes`, if it is whole.
pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
    let head = bytes.first_chunk::<RECORD>()?;
    let length = u32::from_le_bytes(*head.first_chunk()?);
    let size = RECORD + length as usize;
    if length as usize > LIMIT || bytes.len() < size {
        return None;
    }
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let crc = u32::from_le_bytes(head[4..8].try_into().expect("four bytes"));
    if crc32c::crc32c_append(length, &bytes[8..size]) != crc {
        return None;
    }
    let entry = Entry {
        zxid: Zxid(word(8)),
        txn: Bytes::copy_from_slice(&bytes[RECORD..size]),
    };
    Some(Record {
        entry,
        durable: word(16),
        size,
    })
}

/// Whether some whole record behind the bad spot at the start of `bytes` (which is at `offset` of the segment) says that
/// the spot was durable.
pub(super) fn was_durable(bytes: &[u8], offset: u64) -> bool {
    (1..bytes.len()).any(|skip| decode(&bytes[skip..]).is_some_and(|r| r.durable > offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::Epoch;

    fn entry(counter: u32) -> Entry {
        Entry {
            zxid: Zxid::new(Epoch(1), counter),
            txn: Bytes::from(vec![counter as u8; counter as usize]),
        }
    }

    #[test]
    fn a_record_comes_back_and_no_damaged_byte_passes() {
        let mut bytes = Vec::new();
        encode(&entry(9), 77, &mut bytes);
        let record = decode(&bytes).expect("whole");
        assert_eq!(
            (record.entry, record.durable, record.size),
            (entry(9), 77, bytes.len())
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(decode(&damaged), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn only_a_later_record_that_knew_the_spot_as_durable_proves_damage() {
        let mut tail = vec![0; 40];
        encode(&entry(3), 16, &mut tail);
        assert!(!was_durable(&tail, 16), "one batch, torn in its middle");
        encode(&entry(4), 120, &mut tail);
        assert!(was_durable(&tail, 16));
    }
}
