//! Files that say how long the disk took: whoever opened them hears of each sync of the log and of each snapshot.

use super::files::Files;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// A sync of a log segment's contents.
    LogSynced(Duration),
    /// A snapshot, from the first byte until it has its name.
    SnapshotWritten(Duration),
}

/// Given files, timed.
pub(super) struct Timed<F> {
    files: Box<dyn Files>,
    hear: F,
    snapshot_since: Option<Instant>,
}

impl<F> std::fmt::Debug for Timed<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(f)
    }
}

impl<F: Fn(Timing) + Send> Timed<F> {
    pub(super) fn new(files: Box<dyn Files>, hear: F) -> Timed<F> {
        Timed {
            files,
            hear,
            snapshot_since: None,
        }
    }
}

fn file(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

impl<F: Fn(Timing) + Send> Files for Timed<F> {
    fn path(&self, name: &str) -> PathBuf {
        self.files.path(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.files.list(folder)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        self.files.open(name)
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        self.files.read(name, offset, limit)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if file(name).starts_with("snapshot-") && self.snapshot_since.is_none() {
            self.snapshot_since = Some(Instant::now());
        }
        self.files.append(name, bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.files.truncate(name, length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let start = Instant::now();
        let result = self.files.sync(name);
        if file(name).starts_with("log-") {
            (self.hear)(Timing::LogSynced(start.elapsed()));
        }
        result
    }

    fn sync_dir(&mut self, folder: &str) -> io::Result<()> {
        self.files.sync_dir(folder)
    }

    fn make_dir(&mut self, folder: &str) -> io::Result<()> {
        self.files.make_dir(folder)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let result = self.files.rename(from, to);
        if file(to).starts_with("snapshot-")
            && let Some(since) = self.snapshot_since.take()
        {
            (self.hear)(Timing::SnapshotWritten(since.elapsed()));
        }
        result
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn remove_dir(&mut self, folder: &str) -> io::Result<()> {
        self.files.remove_dir(folder)
    }
}
