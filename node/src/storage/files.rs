//! The few file operations that the store needs, so that it runs on a real directory and on a simulated disk alike.
//!
//! Names are relative to the data directory. Nothing is durable before `sync` (contents) and `sync_dir` (names).

use super::StorageError;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A directory with files and folders.
pub trait Files: Send + std::fmt::Debug {
    /// Where a name is, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// The names in a folder (`""` is the data directory itself), in order; empty if there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// A file, to be read from its beginning whatever happens to its name meanwhile.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;
    /// The bytes of a file from `offset`, at most `limit`.
    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>>;
    /// Adds bytes at the end of a file, which is made if it is not there.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file to `length` bytes.
    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()>;
    /// Makes a file's contents durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Makes a folder's names durable.
    fn sync_dir(&mut self, folder: &str) -> io::Result<()>;
    /// Makes a folder, if it is not there.
    fn make_dir(&mut self, folder: &str) -> io::Result<()>;
    /// Renames a file, replacing the other.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Removes a folder and all in it; no error if it is not there.
    fn remove_dir(&mut self, folder: &str) -> io::Result<()>;
}

/// How much is read at once of a file that is read from its beginning, in bytes.
const READ_AHEAD: usize = 64 << 10;

/// Writes a small file so that after a crash either all of it or the former one is there.
pub(super) fn replace(
    files: &mut dyn Files,
    folder: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let temporary = format!("{name}.tmp");
    let path = files.path(&temporary);
    remove_if_there(files, folder, &temporary)?;
    StorageError::io("write", path.clone(), files.append(&temporary, bytes))?;
    StorageError::io("sync", path.clone(), files.sync(&temporary))?;
    StorageError::io("rename", path, files.rename(&temporary, name))?;
    StorageError::io("sync", files.path(folder), files.sync_dir(folder))
}

/// What a small text in the data directory says, which was written by [`replace`]; `None` if there is no such file.
pub(super) fn read_text<T>(
    files: &dyn Files,
    name: &str,
    limit: usize,
    decode: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, StorageError> {
    let names = StorageError::io("list", files.path(""), files.list(""))?;
    if !names.iter().any(|there| there == name) {
        return Ok(None);
    }
    let path = files.path(name);
    let bytes = StorageError::io("read", path.clone(), files.read(name, 0, limit))?;
    let said = std::str::from_utf8(&bytes).ok().and_then(decode);
    let problem = "it does not hold what was written to it".to_owned();
    said.map(Some)
        .ok_or_else(|| StorageError::damaged(path, 0, problem))
}

/// Removes what a crash, or an attempt that was given up, has left.
pub(super) fn remove_if_there(
    files: &mut dyn Files,
    folder: &str,
    name: &str,
) -> Result<(), StorageError> {
    let names = StorageError::io("list", files.path(folder), files.list(folder))?;
    let short = name.rsplit('/').next().unwrap_or(name);
    match names.iter().any(|there| there == short) {
        true => StorageError::io("remove", files.path(name), files.remove(name)),
        false => Ok(()),
    }
}

/// Files in a directory of the operating system. Files that are appended to stay open.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    open: BTreeMap<String, File>,
    /// Holds the lock on the directory for as long as this value lives.
    _lock: File,
}

impl Directory {
    /// Takes the directory for this process alone.
    pub(super) fn lock(root: &Path) -> io::Result<Directory> {
        fs::create_dir_all(root)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Directory {
            root: root.to_owned(),
            open: BTreeMap::new(),
            _lock: lock,
        })
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.root.join(name))?;
            self.open.insert(name.to_owned(), file);
        }
        Ok(self.open.get_mut(name).expect("just inserted"))
    }
}

impl Files for Directory {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let name =
            |e: io::Result<fs::DirEntry>| e.map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names = entries.map(name).collect::<io::Result<Vec<String>>>()?;
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(self.root.join(name))?;
        Ok(Box::new(BufReader::with_capacity(READ_AHEAD, file)))
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.root.join(name))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(limit as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all(bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.file(name)?.set_len(length)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn sync_dir(&mut self, folder: &str) -> io::Result<()> {
        File::open(self.root.join(folder))?.sync_all()
    }

    fn make_dir(&mut self, folder: &str) -> io::Result<()> {
        fs::create_dir_all(self.root.join(folder))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open.remove(from);
        self.open.remove(to);
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        fs::remove_file(self.root.join(name))
    }

    fn remove_dir(&mut self, folder: &str) -> io::Result<()> {
        let inside = format!("{folder}/");
        self.open.retain(|name, _| !name.starts_with(&inside));
        match fs::remove_dir_all(self.root.join(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
