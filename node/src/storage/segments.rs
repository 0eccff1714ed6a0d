//! The transaction log: segments in one folder, appended to in order, cut at the end, dropped at the front.

use super::files::Files;
use super::record;
use super::{Damage, StorageError};
use crate::zab::{Entry, Zxid};

/// Every so many bytes of a segment, a zxid's place is remembered.
const STRIDE: u64 = 64 << 10;
/// How many bytes are read from a segment at a time.
const READ: usize = 4 << 20;

#[derive(Debug)]
struct Segment {
    name: String,
    /// The zxid before its first record.
    after: Zxid,
    /// The zxid of its last record, or `after`.
    last: Zxid,
    length: u64,
    /// Places of some records, in order: zxid and offset.
    index: Vec<(Zxid, u64)>,
}

impl Segment {
    fn note(&mut self, zxid: Zxid, size: u64) {
        let due = self.index.last().map_or(0, |&(_, at)| at + STRIDE);
        if self.length >= due {
            self.index.push((zxid, self.length));
        }
        self.last = zxid;
        self.length += size;
    }

    fn cut(&mut self, last: Zxid, length: u64) {
        self.last = last;
        self.length = length;
        self.index.retain(|&(_, at)| at < length);
    }
}

#[derive(Debug)]
pub(super) struct Segments {
    folder: String,
    segments: Vec<Segment>,
    /// Records that are not written yet.
    pending: Vec<u8>,
    limit: u64,
}

fn name(folder: &str, after: Zxid) -> String {
    format!("{folder}/log-{:016x}", after.0)
}

impl Segments {
    /// Makes an empty log that begins after `after`.
    pub(super) fn create(
        files: &mut dyn Files,
        folder: &str,
        after: Zxid,
        limit: u64,
    ) -> Result<Segments, StorageError> {
        let mut log = Segments {
            folder: folder.to_owned(),
            segments: Vec::new(),
            pending: Vec::new(),
            limit,
        };
        log.add_segment(files, after)?;
        Ok(log)
    }

    /// Reads a log from disk. What was torn by a crash at its end is cut; anything else that is wrong is refused.
    pub(super) fn open(
        files: &mut dyn Files,
        folder: &str,
        limit: u64,
        mut each: impl FnMut(Entry),
    ) -> Result<Segments, StorageError> {
        let list = StorageError::io("list", files.path(folder), files.list(folder))?;
        let names: Vec<String> = list.into_iter().filter(|n| n.starts_with("log-")).collect();
        let mut log = Segments {
            folder: folder.to_owned(),
            segments: Vec::new(),
            pending: Vec::new(),
            limit,
        };
        for (i, name) in names.iter().enumerate() {
            log.open_segment(
                files,
                format!("{folder}/{name}"),
                i + 1 == names.len(),
                &mut each,
            )?;
        }
        if log.segments.is_empty() {
            let problem = "it has no log segment".to_owned();
            return Err(StorageError::damaged(files.path(folder), 0, problem));
        }
        Ok(log)
    }

    fn open_segment(
        &mut self,
        files: &mut dyn Files,
        name: String,
        newest: bool,
        each: &mut impl FnMut(Entry),
    ) -> Result<(), StorageError> {
        let bytes = StorageError::io("read", files.path(&name), files.read(&name, 0, usize::MAX))?;
        let damaged = |offset: u64, problem: String| {
            StorageError::damaged(files.path(&name), offset, problem)
        };
        // A header that does not say what the file's name says was torn by a crash.
        let Some(after) =
            record::read_header(&bytes).filter(|&after| name == self::name(&self.folder, after))
        else {
            if newest && !self.segments.is_empty() && (bytes.len() as u64) <= record::HEADER {
                // A crash came between making the segment and writing its header: nothing was in it.
                tracing::warn!(file = %files.path(&name).display(), "log segment without a header removed");
                StorageError::io("remove", files.path(&name), files.remove(&name))?;
                return StorageError::io(
                    "sync",
                    files.path(&self.folder),
                    files.sync_dir(&self.folder),
                );
            }
            return Err(damaged(
                0,
                "it does not begin with a log segment's header".to_owned(),
            ));
        };
        if let Some(before) = self
            .segments
            .last()
            .map(|s| s.last)
            .filter(|&last| last != after)
        {
            let problem =
                format!("it continues after {after}, but the segment before it ends at {before}");
            return Err(damaged(8, problem));
        }
        let mut segment = Segment {
            name: name.clone(),
            after,
            last: after,
            length: record::HEADER,
            index: Vec::new(),
        };
        while let Some(record) = record::decode(&bytes[segment.length as usize..]) {
            if record.entry.zxid <= segment.last {
                let problem = format!("zxid {} follows {}", record.entry.zxid, segment.last);
                return Err(damaged(segment.length, problem));
            }
            segment.note(record.entry.zxid, record.size as u64);
            each(record.entry);
        }
        let (good, rest) = (segment.length, &bytes[segment.length as usize..]);
        if !rest.is_empty() {
            if !newest || record::was_durable(rest, good) {
                return Err(damaged(
                    good,
                    "a record is broken, and what follows shows that it was whole".to_owned(),
                ));
            }
            let path = files.path(&name);
            tracing::warn!(file = %path.display(), offset = good, bytes = rest.len(), "torn tail of the log cut: never acknowledged, unless the disk lost what it had synced");
            StorageError::io("cut", path.clone(), files.truncate(&name, good))?;
            StorageError::io("sync", path, files.sync(&name))?;
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The zxid before the first record.
    pub(super) fn start(&self) -> Zxid {
        self.segments[0].after
    }

    /// The zxid of the last record, written or not.
    pub(super) fn last(&self) -> Zxid {
        self.newest().last
    }

    fn newest(&self) -> &Segment {
        self.segments
            .last()
            .expect("a log has at least one segment")
    }

    /// Adds a record; it is on the disk after the next [`Segments::flush`].
    pub(super) fn append(
        &mut self,
        files: &mut dyn Files,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        if self.newest().length >= self.limit {
            self.flush(files)?;
            self.add_segment(files, self.last())?;
        }
        let before = self.pending.len();
        let durable = self.newest().length - before as u64;
        record::encode(entry, durable, &mut self.pending);
        let size = (self.pending.len() - before) as u64;
        self.segments
            .last_mut()
            .expect("at least one")
            .note(entry.zxid, size);
        Ok(())
    }

    /// Writes what was appended, and waits until it is durable.
    pub(super) fn flush(&mut self, files: &mut dyn Files) -> Result<(), StorageError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let name = &self.newest().name;
        let path = files.path(name);
        StorageError::io("append to", path.clone(), files.append(name, &self.pending))?;
        StorageError::io("sync", path, files.sync(name))?;
        self.pending.clear();
        Ok(())
    }

    fn add_segment(&mut self, files: &mut dyn Files, after: Zxid) -> Result<(), StorageError> {
        let name = name(&self.folder, after);
        let path = files.path(&name);
        StorageError::io(
            "write",
            path.clone(),
            files.append(&name, &record::header(after)),
        )?;
        StorageError::io("sync", path, files.sync(&name))?;
        StorageError::io(
            "sync",
            files.path(&self.folder),
            files.sync_dir(&self.folder),
        )?;
        let length = record::HEADER;
        self.segments.push(Segment {
            name,
            after,
            last: after,
            length,
            index: Vec::new(),
        });
        Ok(())
    }

    /// Cuts everything after `zxid`, which must be in the log.
    pub(super) fn truncate(
        &mut self,
        files: &mut dyn Files,
        zxid: Zxid,
    ) -> Result<(), StorageError> {
        self.flush(files)?;
        // The newest goes first: a crash on the way leaves a shorter log, never one with a hole.
        while self.segments.len() > 1 && self.newest().after >= zxid {
            let gone = self.segments.pop().expect("more than one");
            StorageError::io("remove", files.path(&gone.name), files.remove(&gone.name))?;
            StorageError::io(
                "sync",
                files.path(&self.folder),
                files.sync_dir(&self.folder),
            )?;
        }
        let length = match self.offset_after(files, zxid)? {
            Some((_, length)) => length,
            None => {
                let problem = format!("it has no record {zxid} to cut after");
                return Err(StorageError::damaged(
                    files.path(&self.newest().name),
                    0,
                    problem,
                ));
            }
        };
        let segment = self
            .segments
            .last_mut()
            .expect("a log has at least one segment");
        segment.cut(zxid, length);
        let path = files.path(&segment.name);
        StorageError::io("cut", path.clone(), files.truncate(&segment.name, length))?;
        StorageError::io("sync", path, files.sync(&segment.name))
    }

    /// The segment in which the record after `zxid` stands or would stand, and its offset there; `None` if `zxid` is not
    /// in the log.
    fn offset_after(
        &self,
        files: &dyn Files,
        zxid: Zxid,
    ) -> Result<Option<(usize, u64)>, StorageError> {
        let Some(at) = self
            .segments
            .partition_point(|s| s.after <= zxid)
            .checked_sub(1)
        else {
            return Ok(None);
        };
        let segment = &self.segments[at];
        if zxid == segment.after {
            return Ok(Some((at, record::HEADER)));
        }
        let near = segment.index.partition_point(|&(z, _)| z <= zxid);
        let mut offset = near
            .checked_sub(1)
            .map_or(record::HEADER, |i| segment.index[i].1);
        while offset < segment.length {
            for record in self.read_some(files, at, offset)? {
                offset += record.size as u64;
                if record.entry.zxid >= zxid {
                    return Ok((record.entry.zxid == zxid).then_some((at, offset)));
                }
            }
        }
        Ok(None)
    }

    /// The records of a segment from an offset, as many as one read brings.
    fn read_some(
        &self,
        files: &dyn Files,
        at: usize,
        offset: u64,
    ) -> Result<Vec<record::Record>, StorageError> {
        let segment = &self.segments[at];
        let (path, mut size) = (files.path(&segment.name), READ);
        loop {
            let bytes = StorageError::io(
                "read",
                path.clone(),
                files.read(&segment.name, offset, size),
            )?;
            let mut records = Vec::new();
            let mut good = 0;
            while let Some(record) = record::decode(&bytes[good..]) {
                good += record.size;
                records.push(record);
            }
            if !records.is_empty() {
                return Ok(records);
            }
            if bytes.len() < size {
                return Err(StorageError::damaged(
                    path,
                    offset,
                    "a record is broken".to_owned(),
                ));
            }
            size *= 2;
        }
    }

    /// At most `limit` records after `zxid`, fewer if they are long; `None` if `zxid` is not in the log.
    pub(super) fn read(
        &mut self,
        files: &mut dyn Files,
        zxid: Zxid,
        limit: usize,
    ) -> Result<Option<Vec<Entry>>, StorageError> {
        self.flush(files)?;
        let Some((mut at, mut offset)) = self.offset_after(files, zxid)? else {
            return Ok(None);
        };
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < limit && bytes < READ && at < self.segments.len() {
            if offset >= self.segments[at].length {
                (at, offset) = (at + 1, record::HEADER);
                continue;
            }
            for record in self.read_some(files, at, offset)? {
                offset += record.size as u64;
                bytes += record.size;
                entries.push(record.entry);
            }
        }
        entries.truncate(limit);
        Ok(Some(entries))
    }

    /// Drops segments all of whose records are at or before `zxid`.
    pub(super) fn purge(&mut self, files: &mut dyn Files, zxid: Zxid) -> Result<(), StorageError> {
        while self.segments.len() > 1 && self.segments[0].last <= zxid {
            // The oldest goes first: a crash on the way leaves no hole.
            let gone = self.segments.remove(0);
            StorageError::io("remove", files.path(&gone.name), files.remove(&gone.name))?;
            StorageError::io(
                "sync",
                files.path(&self.folder),
                files.sync_dir(&self.folder),
            )?;
        }
        Ok(())
    }
}

impl StorageError {
    pub(super) fn damaged(path: std::path::PathBuf, offset: u64, problem: String) -> StorageError {
        StorageError::Damaged(Damage {
            path,
            offset,
            problem,
        })
    }
}
