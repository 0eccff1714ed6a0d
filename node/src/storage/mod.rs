//! What a replica keeps on disk: its log, its snapshots, its epochs.
//!
//! ```text
//! lock                  held by the process that uses the directory
//! epochs                promises, and the number N of the history in use
//! lives                 the starts of this server, and what is known of others'
//! history-N/log-Z       log segments, each beginning after zxid Z (hexadecimal)
//! history-N/snapshot-Z  the state at zxid Z: the newest two are kept, and the log from the older one on
//! arriving-Z            what has come of a leader's snapshot, which will begin the next history
//! damaged-N/            what was found damaged, as it was found
//! ```
//!
//! Operations are carried out in order, and are durable when reported done; appends that stand together share one fsync. A snapshot is written piece
//! by piece between other operations.
//! A torn tail of the log is cut with a warning; a broken middle, or whatever else is not as it was written, is set aside (see `aside`).
//! A directory that was never formatted makes an amnesiac replica, as a damaged one does: nobody can tell what it has forgotten. That an old copy was put back
//! is for the others to tell (see [`crate::zab::Lives`]): each time that it is opened, another life is written down. What this cannot tell: a disk
//! that loses the very last synced records and nothing behind them looks like one that never got them.

mod arrivals;
mod aside;
mod files;
mod lives;
mod promises;
mod record;
mod segments;
mod shadow;
mod snapshots;
mod timed;

use crate::zab::{DiskOp, Entry, Epoch, Epochs, Piece, Recovered, Ticket, Zxid};
use arrivals::Arriving;
use promises::Promises;
use segments::Segments;
use shadow::Shadow;
use snapshots::Saving;
use std::path::{Path, PathBuf};

pub use files::Files;
pub use record::LIMIT as LONGEST_TXN;
pub use snapshots::SnapshotReader;
pub use timed::Timing;

/// Why the disk cannot be used. The node stops: it never acknowledges what it could not write.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error(
        "cannot {action} {path}: {source}; the node stops, because it must not acknowledge what it cannot write"
    )]
    Io {
        /// What was tried: "append to", "sync", …
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file does not hold what was written to it.
    #[error(transparent)]
    Damaged(Damage),
    /// The code that works on the disk has a bug; its panic stands in the log.
    #[error("the disk thread panicked; the node stops, because nothing is written any more")]
    Panicked,
    /// Another process uses the directory, or it is not a data directory.
    #[error("{path}: {problem}")]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// Where a file does not hold what was written to it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} is damaged at byte {offset}: {problem}; started again, the node sets its files aside and comes back without memory, \
     and without a vote until a leader has brought it up to date"
)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The first byte that is wrong.
    pub offset: u64,
    /// What is wrong.
    pub problem: String,
}

impl StorageError {
    pub(crate) fn io<T>(
        action: &'static str,
        path: PathBuf,
        result: std::io::Result<T>,
    ) -> Result<T, StorageError> {
        result.map_err(|source| StorageError::Io {
            action,
            path,
            source,
        })
    }
}

/// Sizes of the store's files.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// A log segment is closed when it has reached this many bytes.
    pub segment_bytes: u64,
    /// A snapshot is written, and sent, in pieces of this many bytes.
    pub piece_bytes: usize,
    /// Marks this time that the store is opened: drawn at random, so that no other time has it.
    pub mark: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            segment_bytes: 64 << 20,
            piece_bytes: 256 << 10,
            mark: 0,
        }
    }
}

/// The answer to a [`DiskOp::ReadLog`].
#[derive(Debug)]
pub struct LogRead {
    /// The question's.
    pub ticket: Ticket,
    /// `None` if what follows the given zxid is not in the log on disk.
    pub entries: Option<Vec<Entry>>,
}

/// The answer to a [`DiskOp::ReadPiece`].
#[derive(Debug)]
pub struct PieceRead {
    /// The question's.
    pub ticket: Ticket,
    /// `None` if there is no snapshot.
    pub piece: Option<Piece>,
}

/// What came of some operations beside that they were done.
#[derive(Debug, Default)]
pub struct Performed {
    /// Answers.
    pub reads: Vec<LogRead>,
    /// Answers.
    pub pieces: Vec<PieceRead>,
    /// The snapshot with which the history that was installed begins.
    pub installed: Option<SnapshotReader>,
}

/// An open data directory.
#[derive(Debug)]
pub struct Store {
    files: Box<dyn Files>,
    options: StoreOptions,
    promises: Promises,
    log: Segments,
    /// The snapshot that is being written.
    saving: Option<Saving>,
    /// The snapshot that arrives.
    arriving: Option<Arriving>,
}

/// What was found when a data directory was opened.
struct Found {
    promises: Promises,
    log: Segments,
    arriving: Option<Arriving>,
    recovered: Recovered,
}

fn folder(history: u64) -> String {
    format!("history-{history}")
}

impl Store {
    /// Makes a new, empty data directory: the set-up step that tells a new member from one that lost its disk.
    /// Refuses a directory that holds a history already; not one that a server was started on which had never been formatted,
    /// and has learned nothing since.
    pub fn format(dir: &Path) -> Result<(), StorageError> {
        Store::format_on(&mut *lock(dir)?)
    }

    /// Opens the data directory and reads what is there. A directory that was never formatted makes an amnesiac.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Recovered), StorageError> {
        Store::open_on(lock(dir)?, options)
    }

    /// What a server would begin with on this directory; nothing of it is changed, and what is damaged is an error.
    pub fn look(dir: &Path, options: &StoreOptions) -> Result<Recovered, StorageError> {
        let found = Store::read(&mut Shadow::of(lock(dir)?), options)?;
        Ok(found.recovered)
    }

    /// Whether a directory was formatted, or a server was started on it.
    pub fn is_begun(dir: &Path) -> bool {
        dir.join(promises::NAME).exists()
    }

    /// [`Store::open`], and `hear` is told how long the disk takes.
    pub fn open_timed(
        dir: &Path,
        options: StoreOptions,
        hear: impl Fn(Timing) + Send + 'static,
    ) -> Result<(Store, Recovered), StorageError> {
        Store::open_on(Box::new(timed::Timed::new(lock(dir)?, hear)), options)
    }

    /// [`Store::format`] on given files.
    pub fn format_on(files: &mut dyn Files) -> Result<(), StorageError> {
        let known = promises::read(files)?;
        if known.is_some_and(|known| known.epochs != UNFORMATTED) {
            let problem = "it holds a history already, and formatting would forget it; choose another directory";
            return Err(StorageError::Refused {
                path: files.path(""),
                problem: problem.to_owned(),
            });
        }
        if let Some(folder) = orphan(files)? {
            let problem = "it holds a history, but no file `epochs` that says what was promised; choose another directory, or start \
                           the server to set it aside";
            return Err(StorageError::Refused {
                path: files.path(&folder),
                problem: problem.to_owned(),
            });
        }
        if aside::is_there(files)? {
            let problem = "what its server remembered was damaged and is set aside in it; move it away, and keep it";
            return Err(StorageError::Refused {
                path: files.path(""),
                problem: problem.to_owned(),
            });
        }
        // What is new has not lived before, whatever a directory that was emptied by hand still says.
        lives::forget(files)?;
        begin(files, Epochs::default())
    }

    /// [`Store::open`] on given files.
    pub fn open_on(
        mut files: Box<dyn Files>,
        options: StoreOptions,
    ) -> Result<(Store, Recovered), StorageError> {
        let f = &mut *files;
        let found = match Store::read(f, &options) {
            Err(StorageError::Damaged(damage)) => {
                aside::set_aside(f, &damage)?;
                Store::read(f, &options)
            }
            found => found,
        };
        let found = found?;
        let store = Store {
            files,
            options,
            promises: found.promises,
            log: found.log,
            saving: None,
            arriving: found.arriving,
        };
        Ok((store, found.recovered))
    }

    fn read(f: &mut dyn Files, options: &StoreOptions) -> Result<Found, StorageError> {
        if promises::read(f)?.is_none() {
            if let Some(history) = orphan(f)? {
                return Err(StorageError::Damaged(aside::orphan(f, &history)));
            }
            begin(f, UNFORMATTED)?;
        }
        let promises = promises::read(f)?.expect("written if it was not there");
        if promises.epochs.amnesiac {
            tracing::warn!(
                directory = %f.path("").display(),
                "without memory: no vote and no acknowledgement until a leader has brought this member up to date. \
                 If it was a member before, and a majority of the voters \
                 remembers, there is nothing to do; if it is a new one that was never formatted, stop it, and run \
                 `keelhaul-node format FILE` once"
            );
        }
        remove_leftovers(f, promises.history)?;
        let folder = folder(promises.history);
        let snapshot = snapshots::newest(f, &folder)?;
        let from = snapshot.as_ref().map_or(Zxid::ZERO, |s| s.zxid);
        let mut entries = Vec::new();
        let keep = |entry: Entry| {
            if entry.zxid > from {
                entries.push(entry);
            }
        };
        let log = Segments::open(f, &folder, options.segment_bytes, keep)?;
        check_reach(f, &folder, &log, from)?;
        let (arriving, arrival) = arrivals::find(f)?.unzip();
        let lives = lives::begin(f, options.mark, promises.epochs.accepted)?;
        let recovered = Recovered {
            epochs: promises.epochs,
            lives,
            snapshot,
            arrival,
            log_start: log.start(),
            entries,
        };
        Ok(Found {
            promises,
            log,
            arriving,
            recovered,
        })
    }

    /// The snapshot at this zxid, to be read while the store goes on.
    pub fn snapshot(&self, zxid: Zxid) -> Result<SnapshotReader, StorageError> {
        let name = snapshots::name(&folder(self.promises.history), zxid);
        SnapshotReader::open(&*self.files, &name)
    }

    /// Carries out the operations in order, with one fsync for all appends that stand together; when it returns, all
    /// are durable.
    pub fn perform(&mut self, operations: Vec<DiskOp>) -> Result<Performed, StorageError> {
        let mut performed = Performed::default();
        for operation in operations {
            self.perform_one(operation, &mut performed)?;
        }
        self.log.flush(&mut *self.files)?;
        Ok(performed)
    }

    fn perform_one(
        &mut self,
        operation: DiskOp,
        performed: &mut Performed,
    ) -> Result<(), StorageError> {
        let (files, folder) = (&mut *self.files, folder(self.promises.history));
        match operation {
            DiskOp::Append(entry) => self.log.append(files, &entry),
            DiskOp::Truncate(zxid) => self.log.truncate(files, zxid),
            DiskOp::SaveEpochs(epochs) => {
                // What is promised includes the history before it.
                self.log.flush(files)?;
                self.promises.epochs = epochs;
                promises::write(files, &self.promises)
            }
            DiskOp::SaveSnapshot(snapshot) => {
                self.give_up_saving()?;
                // What is in it must be in the log, too, when the disk is read again.
                self.log.flush(&mut *self.files)?;
                let size = self.options.piece_bytes;
                let saving = Saving::begin(&mut *self.files, &folder, snapshot, size)?;
                self.saving = Some(saving);
                Ok(())
            }
            DiskOp::KeepPiece(piece) => arrivals::keep(files, &mut self.arriving, &piece),
            DiskOp::ForgetPieces => {
                self.arriving = None;
                arrivals::forget(files)
            }
            DiskOp::SaveLives(lives) => lives::write(files, &lives),
            DiskOp::InstallHistory {
                zxid,
                entries,
                epochs,
                keep_former,
            } => {
                let reader = self.install_history(zxid, &entries, epochs, keep_former)?;
                performed.installed = Some(reader);
                Ok(())
            }
            DiskOp::ReadLog {
                ticket,
                after,
                limit,
            } => {
                let entries = self.log.read(files, after, limit)?;
                performed.reads.push(LogRead { ticket, entries });
                Ok(())
            }
            DiskOp::ReadPiece {
                ticket,
                zxid,
                number,
            } => {
                let piece = snapshots::piece(files, &folder, zxid, number)?;
                performed.pieces.push(PieceRead { ticket, piece });
                Ok(())
            }
        }
    }

    /// Whether a snapshot is being written.
    pub fn is_saving(&self) -> bool {
        self.saving.is_some()
    }

    /// Writes a piece more of the snapshot. When it is whole, and what it makes superfluous is gone: the zxid after which the log is
    /// whole now.
    pub fn save_more(&mut self) -> Result<Option<Zxid>, StorageError> {
        let (files, folder) = (&mut *self.files, folder(self.promises.history));
        let Some(saving) = self.saving.take() else {
            return Ok(None);
        };
        self.saving = saving.go_on(files, &folder)?;
        if self.saving.is_some() {
            return Ok(None);
        }
        if let Some(older) = snapshots::purge(files, &folder)? {
            self.log.purge(files, older)?;
        }
        Ok(Some(self.log.start()))
    }

    fn give_up_saving(&mut self) -> Result<(), StorageError> {
        match self.saving.take() {
            Some(saving) => saving.give_up(&mut *self.files),
            None => Ok(()),
        }
    }

    /// Makes the new history beside the old one; the file `epochs` then makes the switch, and the new promises with it.
    fn install_history(
        &mut self,
        zxid: Zxid,
        entries: &[Entry],
        epochs: Epochs,
        keep_former: bool,
    ) -> Result<SnapshotReader, StorageError> {
        self.give_up_saving()?;
        let files = &mut *self.files;
        let old = self.promises.history;
        let new = folder(old + 1);
        self.log.flush(files)?;
        StorageError::io("make", files.path(&new), files.make_dir(&new))?;
        let arriving = self.arriving.take().expect("it has arrived");
        arriving.finish(files, &new, zxid)?;
        let mut log = Segments::create(files, &new, zxid, self.options.segment_bytes)?;
        for entry in entries {
            log.append(files, entry)?;
        }
        log.flush(files)?;
        StorageError::io("sync", files.path(""), files.sync_dir(""))?;
        self.promises = Promises {
            epochs,
            history: old + 1,
        };
        promises::write(files, &self.promises)?;
        self.log = log;
        let gone = folder(old);
        if keep_former {
            aside::keep_history(files, &gone)?;
        }
        StorageError::io("remove", files.path(&gone), files.remove_dir(&gone))?;
        self.snapshot(zxid)
    }
}

fn lock(dir: &Path) -> Result<Box<dyn Files>, StorageError> {
    match files::Directory::lock(dir) {
        Ok(directory) => Ok(Box::new(directory)),
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            let problem = "another process uses this data directory; stop it first".to_owned();
            Err(StorageError::Refused {
                path: dir.to_owned(),
                problem,
            })
        }
        Err(source) => Err(StorageError::Io {
            action: "open",
            path: dir.to_owned(),
            source,
        }),
    }
}

/// A history whose promises are gone, if there is one: it is evidence, and must not be overwritten. (An empty one was left by a crash
/// while it was made.)
fn orphan(files: &dyn Files) -> Result<Option<String>, StorageError> {
    for folder in StorageError::io("list", files.path(""), files.list(""))? {
        if !aside::is_history(&folder) {
            continue;
        }
        for name in StorageError::io("list", files.path(&folder), files.list(&folder))? {
            let name = format!("{folder}/{name}");
            let more = files.read(&name, record::HEADER, 1);
            if !StorageError::io("read", files.path(&name), more)?.is_empty() {
                return Ok(Some(folder));
            }
        }
    }
    Ok(None)
}

/// What a server writes that starts on a directory which was never formatted.
const UNFORMATTED: Epochs = Epochs {
    accepted: Epoch(0),
    current: Epoch(0),
    amnesiac: true,
};

/// Writes an empty history and the first epochs.
fn begin(files: &mut dyn Files, epochs: Epochs) -> Result<(), StorageError> {
    begin_history(files, epochs, 0)
}

fn begin_history(files: &mut dyn Files, epochs: Epochs, history: u64) -> Result<(), StorageError> {
    let first = folder(history);
    StorageError::io("clear", files.path(&first), files.remove_dir(&first))?;
    StorageError::io("make", files.path(&first), files.make_dir(&first))?;
    Segments::create(files, &first, Zxid::ZERO, u64::MAX)?;
    StorageError::io("sync", files.path(""), files.sync_dir(""))?;
    promises::write(files, &Promises { epochs, history })
}

/// Removes what a crash left: a history that was not yet in use, or no longer; a snapshot that was being written.
fn remove_leftovers(files: &mut dyn Files, in_use: u64) -> Result<(), StorageError> {
    for name in StorageError::io("list", files.path(""), files.list(""))? {
        if aside::is_history(&name) && name != folder(in_use) {
            StorageError::io("remove", files.path(&name), files.remove_dir(&name))?;
        }
    }
    snapshots::remove_unfinished(files, &folder(in_use))
}

/// The log must reach back to the snapshot, or to the beginning, and not end before it.
fn check_reach(
    files: &dyn Files,
    folder: &str,
    log: &Segments,
    snapshot: Zxid,
) -> Result<(), StorageError> {
    if log.start() <= snapshot && log.last() >= snapshot {
        return Ok(());
    }
    let problem = format!(
        "the log holds {} to {}, but the state is that of {snapshot}",
        log.start(),
        log.last()
    );
    Err(StorageError::damaged(files.path(folder), 0, problem))
}
