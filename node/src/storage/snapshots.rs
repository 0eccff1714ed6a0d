//! Snapshots: the delivered state at a zxid, one file each, whole or not there.
//!
//! A file is a header (magic, zxid, size of a piece, CRC32C of these), then pieces of that size (the last one may be shorter), each behind its length and a CRC32C
//! of its number and bytes, then an empty piece, by which one knows that it is whole; little endian. So it is written, read, sent and
//! checked piece by piece, and any piece is found without reading those before it.
//!
//! It is written to a temporary file, synced, renamed, and the folder synced.

use super::files::{Files, remove_if_there};
use super::{Damage, StorageError, aside};
use crate::zab::{Piece, Snapshot, Stored, Zxid};
use bytes::Bytes;
use std::io::{self, Read};
use std::path::PathBuf;

const MAGIC: &[u8; 8] = b"keelsnp2";
/// As the version before this one began.
const FORMER: &[u8] = b"keelsnp1";
const HEADER: usize = 24;
/// Length and CRC of a piece.
const FRAME: usize = 8;

/// The longest piece, in bytes.
const LONGEST: usize = 16 << 20;

/// So many pieces are written at most before they are synced, so that the disk is never busy with them for long.
const UNSYNCED: u32 = 16;

pub(super) fn name(folder: &str, zxid: Zxid) -> String {
    format!("{folder}/snapshot-{:016x}", zxid.0)
}

fn header(zxid: Zxid, size: usize) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&zxid.0.to_le_bytes());
    let size = u32::try_from(size).expect("a piece is short");
    header.extend_from_slice(&size.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// Zxid and size of a piece.
fn read_header(bytes: &[u8]) -> Option<(Zxid, usize)> {
    let bytes = bytes.first_chunk::<HEADER>()?;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let zxid = u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes"));
    let size = word(16) as usize;
    let good = bytes.starts_with(MAGIC)
        && word(20) == crc32c::crc32c(&bytes[..20])
        && (1..=LONGEST).contains(&size);
    good.then_some((Zxid(zxid), size))
}

fn crc(number: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

fn frame(number: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a piece is short");
    let mut frame = Vec::with_capacity(FRAME + bytes.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&crc(number, bytes).to_le_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// Length and CRC of a piece.
fn read_frame(bytes: &[u8]) -> Option<(usize, u32)> {
    let bytes = bytes.first_chunk::<FRAME>()?;
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Some((word(0) as usize, word(4)))
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    name: String,
    number: u32,
    bytes: usize,
}

impl Writing {
    /// Begins a file, which must not be there.
    pub(super) fn begin(
        files: &mut dyn Files,
        name: String,
        zxid: Zxid,
        size: usize,
    ) -> Result<Writing, StorageError> {
        let begun = files.append(&name, &header(zxid, size));
        StorageError::io("write", files.path(&name), begun)?;
        Ok(Writing::resumed(name, 0))
    }

    /// Goes on with a file in which so many pieces are.
    pub(super) fn resumed(name: String, pieces: u32) -> Writing {
        Writing {
            name,
            number: pieces,
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, files: &mut dyn Files, bytes: &[u8]) -> Result<(), StorageError> {
        let frame = frame(self.number, bytes);
        let path = files.path(&self.name);
        StorageError::io("write", path.clone(), files.append(&self.name, &frame))?;
        self.number += 1;
        self.bytes += frame.len();
        if self.number.is_multiple_of(UNSYNCED) {
            StorageError::io("sync", path, files.sync(&self.name))?;
        }
        Ok(())
    }

    /// How many pieces are in it.
    pub(super) fn pieces(&self) -> u32 {
        self.number
    }

    /// How much was written here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it whole and durable, and gives it its name in a folder.
    pub(super) fn finish(
        mut self,
        files: &mut dyn Files,
        folder: &str,
        name: &str,
    ) -> Result<(), StorageError> {
        self.push(files, &[])?;
        let path = files.path(&self.name);
        StorageError::io("sync", path.clone(), files.sync(&self.name))?;
        StorageError::io("rename", path, files.rename(&self.name, name))?;
        StorageError::io("sync", files.path(folder), files.sync_dir(folder))
    }
}

/// A snapshot that is being written while the disk does other things.
pub(super) struct Saving {
    zxid: Zxid,
    writing: Writing,
    pieces: Box<dyn Iterator<Item = Bytes> + Send>,
}

impl std::fmt::Debug for Saving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "snapshot {} {:?}", self.zxid, self.writing)
    }
}

impl Saving {
    pub(super) fn begin(
        files: &mut dyn Files,
        folder: &str,
        snapshot: Snapshot,
        size: usize,
    ) -> Result<Saving, StorageError> {
        let Snapshot { zxid, state } = snapshot;
        let temporary = format!("{}.tmp", name(folder, zxid));
        remove_if_there(files, folder, &temporary)?;
        Ok(Saving {
            zxid,
            writing: Writing::begin(files, temporary, zxid, size)?,
            pieces: state.pieces(size),
        })
    }

    /// Writes a piece; gives itself back if there is more to write.
    pub(super) fn go_on(
        mut self,
        files: &mut dyn Files,
        folder: &str,
    ) -> Result<Option<Saving>, StorageError> {
        if let Some(piece) = self.pieces.next() {
            self.writing.push(files, &piece)?;
            return Ok(Some(self));
        }
        let bytes = self.writing.bytes();
        self.writing
            .finish(files, folder, &name(folder, self.zxid))?;
        tracing::info!(zxid = %self.zxid, bytes, "snapshot written");
        Ok(None)
    }

    /// Gives up.
    pub(super) fn give_up(self, files: &mut dyn Files) -> Result<(), StorageError> {
        let name = self.writing.name;
        StorageError::io("remove", files.path(&name), files.remove(&name))
    }
}

/// Reads a snapshot from its first piece to its last, whatever happens to its name meanwhile.
pub struct SnapshotReader {
    path: PathBuf,
    file: Box<dyn Read + Send>,
    zxid: Zxid,
    size: usize,
    number: u32,
    offset: u64,
    ended: bool,
}

impl std::fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at piece {}", self.path.display(), self.number)
    }
}

impl SnapshotReader {
    pub(super) fn open(files: &dyn Files, name: &str) -> Result<SnapshotReader, StorageError> {
        let path = files.path(name);
        let mut file = StorageError::io("read", path.clone(), files.open(name))?;
        let mut bytes = [0; HEADER];
        let header = match file.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            read => {
                StorageError::io("read", path.clone(), read)?;
                read_header(&bytes)
            }
        };
        let Some((zxid, size)) = header else {
            if bytes.starts_with(FORMER) {
                let problem = "an earlier version of this program wrote it: start that version, or give this server a data directory of its own";
                return Err(StorageError::Refused {
                    path,
                    problem: problem.to_owned(),
                });
            }
            let problem = "it does not begin with a snapshot's header".to_owned();
            return Err(StorageError::damaged(path, 0, problem));
        };
        Ok(SnapshotReader {
            path,
            file,
            zxid,
            size,
            number: 0,
            offset: HEADER as u64,
            ended: false,
        })
    }

    /// The zxid of the snapshot.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    fn damaged(&self, problem: &str) -> StorageError {
        StorageError::damaged(self.path.clone(), self.offset, problem.to_owned())
    }

    /// The next piece; `None` behind the last. An error too where the file is cut off.
    fn read(&mut self) -> Result<Option<Bytes>, StorageError> {
        let broken = "the snapshot is cut off";
        let mut head = [0; FRAME];
        self.fill(&mut head, broken)?;
        let (length, sum) = read_frame(&head).expect("it has the length of a frame");
        if length > self.size {
            return Err(self.damaged("a piece is too long"));
        }
        // What the file claims to hold need not be there.
        let (mut bytes, rest) = (Vec::new(), (&mut self.file).take(length as u64));
        StorageError::io("read", self.path.clone(), { rest }.read_to_end(&mut bytes))?;
        if bytes.len() < length {
            return Err(self.damaged(broken));
        }
        if crc(self.number, &bytes) != sum {
            return Err(self.damaged("a piece is not as it was written"));
        }
        self.number += 1;
        self.offset += (FRAME + length) as u64;
        if length > 0 {
            return Ok(Some(bytes.into()));
        }
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(None),
            Ok(_) => Err(self.damaged("it goes on behind its end")),
            Err(source) => StorageError::io("read", self.path.clone(), Err(source)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8], problem: &str) -> Result<(), StorageError> {
        match self.file.read_exact(bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(problem))
            }
            read => StorageError::io("read", self.path.clone(), read),
        }
    }
}

impl Iterator for SnapshotReader {
    type Item = Result<Bytes, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let piece = self.read().transpose();
        self.ended = !matches!(piece, Some(Ok(_)));
        piece
    }
}

/// What is good of a file that begins as a snapshot does.
pub(super) struct Good {
    pub(super) stored: Stored,
    /// How many pieces.
    pub(super) pieces: u32,
    /// Where they end.
    pub(super) end: u64,
    /// Why it does not go on; `None` if nothing is missing, and nothing stands behind.
    pub(super) damage: Option<Damage>,
}

/// Reads a file as far as it is good; the damage if not even its first piece is.
pub(super) fn good_beginning(
    files: &dyn Files,
    name: &str,
) -> Result<Result<Good, Damage>, StorageError> {
    let mut reader = match SnapshotReader::open(files, name) {
        Err(StorageError::Damaged(damage)) => return Ok(Err(damage)),
        reader => reader?,
    };
    let (mut beginning, mut pieces, mut end) = (None, 0, reader.offset);
    let damage = loop {
        match reader.next() {
            Some(Ok(bytes)) => {
                beginning.get_or_insert(bytes);
                (pieces, end) = (reader.number, reader.offset);
            }
            None => break None,
            Some(Err(StorageError::Damaged(damage))) => break Some(damage),
            Some(Err(error)) => return Err(error),
        }
    };
    let zxid = reader.zxid;
    Ok(match (beginning, damage) {
        (Some(beginning), damage) => Ok(Good {
            stored: Stored { zxid, beginning },
            pieces,
            end,
            damage,
        }),
        (None, Some(damage)) => Err(damage),
        (None, None) => Err(Damage {
            path: reader.path,
            offset: HEADER as u64,
            problem: "it holds nothing".to_owned(),
        }),
    })
}

/// A piece of the snapshot at this zxid, or the first of the newest if that is not there; `None` if there is none that is good.
pub(super) fn piece(
    files: &mut dyn Files,
    folder: &str,
    zxid: Zxid,
    number: u32,
) -> Result<Option<Piece>, StorageError> {
    let zxids = list(files, folder)?;
    let (zxid, number) = match zxids.contains(&zxid) {
        true => (zxid, number),
        false => match zxids.last() {
            Some(newest) => (*newest, 0),
            None => return Ok(None),
        },
    };
    let name = name(folder, zxid);
    let file = Pieces::open(files, &name, zxid)?;
    let found = match &file {
        Some(file) => file.piece(files, number)?,
        None => None,
    };
    match found {
        Some(bytes) => Ok(Some(Piece {
            zxid,
            number,
            bytes,
        })),
        None => {
            let damage = Damage {
                path: files.path(&name),
                offset: file.map_or(0, |file| file.offset(number)),
                problem: "a piece is not as it was written".to_owned(),
            };
            refuse(files, folder, &name, &damage).map(|()| None)
        }
    }
}

/// A file whose pieces are read in any order.
struct Pieces<'a> {
    name: &'a str,
    size: usize,
}

impl Pieces<'_> {
    fn open<'a>(
        files: &dyn Files,
        name: &'a str,
        zxid: Zxid,
    ) -> Result<Option<Pieces<'a>>, StorageError> {
        let bytes = StorageError::io("read", files.path(name), files.read(name, 0, HEADER))?;
        let header = read_header(&bytes).filter(|(own, _)| *own == zxid);
        Ok(header.map(|(_, size)| Pieces { name, size }))
    }

    /// Where a piece begins, if those before it are as long as they may be.
    fn offset(&self, number: u32) -> u64 {
        HEADER as u64 + u64::from(number) * (FRAME + self.size) as u64
    }

    /// The piece of this number in the frame at this offset, if there is a good one.
    fn at(
        &self,
        files: &dyn Files,
        offset: u64,
        number: u32,
    ) -> Result<Option<Bytes>, StorageError> {
        let read = files.read(self.name, offset, FRAME + self.size);
        let bytes = StorageError::io("read", files.path(self.name), read)?;
        Ok(read_frame(&bytes).and_then(|(length, sum)| {
            let bytes = bytes.get(FRAME..FRAME.checked_add(length)?)?;
            (crc(number, bytes) == sum).then(|| Bytes::copy_from_slice(bytes))
        }))
    }

    /// A piece, empty behind the last; `None` if the file does not hold what was written to it.
    fn piece(&self, files: &dyn Files, number: u32) -> Result<Option<Bytes>, StorageError> {
        let offset = |number| self.offset(number);
        if let Some(bytes) = self.at(files, offset(number), number)? {
            return Ok(Some(bytes));
        }
        let Some(before) = number.checked_sub(1) else {
            return Ok(None);
        };
        let frame = StorageError::io(
            "read",
            files.path(self.name),
            files.read(self.name, offset(number), FRAME),
        )?;
        if frame.len() == FRAME {
            return Ok(None);
        }
        match self.at(files, offset(before), before)? {
            // Behind a piece that is shorter than the others stands the end.
            Some(last) if last.len() < self.size => {
                let end = offset(before) + (FRAME + last.len()) as u64;
                let end = self.at(files, end, number)?;
                Ok(end
                    .filter(Bytes::is_empty)
                    .or_else(|| last.is_empty().then(Bytes::new)))
            }
            Some(_) => Ok(None),
            // Far behind the end: whoever asks has been told of the end, or that it is missing.
            None => Ok(Some(Bytes::new())),
        }
    }
}

/// Removes what was being written when the server ended.
pub(super) fn remove_unfinished(files: &mut dyn Files, folder: &str) -> Result<(), StorageError> {
    for name in StorageError::io("list", files.path(folder), files.list(folder))? {
        if name.starts_with("snapshot-") && name.ends_with(".tmp") {
            let name = format!("{folder}/{name}");
            StorageError::io("remove", files.path(&name), files.remove(&name))?;
        }
    }
    Ok(())
}

/// The zxids of the snapshots in a folder, in order.
pub(super) fn list(files: &dyn Files, folder: &str) -> Result<Vec<Zxid>, StorageError> {
    let names = StorageError::io("list", files.path(folder), files.list(folder))?;
    let zxid = |n: &String| {
        u64::from_str_radix(n.strip_prefix("snapshot-")?, 16)
            .ok()
            .map(Zxid)
    };
    Ok(names.iter().filter_map(zxid).collect())
}

/// The newest whole snapshot. A damaged one is set aside: the log reaches back to the one before it, or to the beginning; if it does not,
/// whoever looks for what is missing will say so.
pub(super) fn newest(files: &mut dyn Files, folder: &str) -> Result<Option<Stored>, StorageError> {
    for zxid in list(files, folder)?.into_iter().rev() {
        let name = name(folder, zxid);
        let damage = match good_beginning(files, &name)? {
            Ok(good) if good.damage.is_none() && good.stored.zxid == zxid => {
                return Ok(Some(good.stored));
            }
            Ok(Good {
                damage: Some(damage),
                ..
            })
            | Err(damage) => damage,
            Ok(good) => Damage {
                path: files.path(&name),
                offset: 0,
                problem: format!("it says that it is the state at {}", good.stored.zxid),
            },
        };
        refuse(files, folder, &name, &damage)?;
    }
    Ok(None)
}

fn refuse(
    files: &mut dyn Files,
    folder: &str,
    name: &str,
    damage: &Damage,
) -> Result<(), StorageError> {
    let short = name.rsplit('/').next().unwrap_or(name);
    let aside = aside::set_one_aside(files, folder, short)?;
    tracing::error!(
        file = %damage.path.display(), offset = damage.offset, problem = damage.problem, aside = %files.path(&aside).display(),
        "damaged snapshot set aside; the log goes back to the one before it"
    );
    Ok(())
}

/// Drops all but the newest two; returns the zxid of the older one of these, if there are two.
pub(super) fn purge(files: &mut dyn Files, folder: &str) -> Result<Option<Zxid>, StorageError> {
    let zxids = list(files, folder)?;
    let Some(kept) = zxids.len().checked_sub(2) else {
        return Ok(None);
    };
    for &zxid in &zxids[..kept] {
        let name = name(folder, zxid);
        StorageError::io("remove", files.path(&name), files.remove(&name))?;
    }
    Ok(Some(zxids[kept]))
}
