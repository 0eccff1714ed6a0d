//! What a replica keeps on disk: its log, its snapshots, its epochs.

use crate::zab::{DiskOp, Entry, Recovered, Ticket};
use std::path::{Path, PathBuf};

/// Why the disk cannot be used. The node stops: it never acknowledges what it could not write.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("{action} {path}: {source}; the node stops, because it must not acknowledge what it cannot write")]
    Io {
        /// What was tried: "append to", "sync", …
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file does not hold what was written to it.
    #[error("{path} is damaged at byte {offset}: {problem}; the node does not start on a history with a hole")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first byte that is wrong.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// Another process uses the directory, or it is not a data directory.
    #[error("{path}: {problem}")]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// Sizes of the store's files.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// A log segment is closed when it has reached this many bytes.
    pub segment_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { segment_bytes: 64 << 20 }
    }
}

/// The answer to a [`DiskOp::ReadLog`].
#[derive(Debug)]
pub struct LogRead {
    /// The question's.
    pub ticket: Ticket,
    /// `None` if the log does not reach back so far.
    pub entries: Option<Vec<Entry>>,
}

/// An open data directory.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Makes a new, empty data directory: the set-up step that tells a new member from one that lost its disk.
    /// Refuses a directory that holds a history already.
    pub fn format(_dir: &Path) -> Result<(), StorageError> {
        Ok(())
    }

    /// Opens the data directory and reads what is there. A directory that was never formatted makes an amnesiac.
    pub fn open(_dir: &Path, _options: StoreOptions) -> Result<(Store, Recovered), StorageError> {
        Ok((Store {}, Recovered::default()))
    }

    /// Carries out the operations in order, with one fsync for all appends that stand together; when it returns, all
    /// are durable.
    pub fn perform(&mut self, _operations: Vec<DiskOp>) -> Result<Vec<LogRead>, StorageError> {
        Ok(Vec::new())
    }
}
