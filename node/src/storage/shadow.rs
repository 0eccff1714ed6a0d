//! Files of which every change stays in memory: for who only looks at a data directory. Nothing reaches the disk.

use super::files::Files;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

/// What stands under a name.
#[derive(Debug, Clone)]
enum Content {
    /// The file of this name on the disk, up to some length.
    Disk {
        name: String,
        length: u64,
    },
    Memory(Vec<u8>),
}

/// The files below, and what was changed of them.
#[derive(Debug)]
pub(super) struct Shadow {
    below: Box<dyn Files>,
    /// By name, what stands there instead; nothing if it was removed.
    changed: BTreeMap<String, Option<Content>>,
    /// Folders that were removed: what they hold on the disk is not seen.
    removed: BTreeSet<String>,
}

impl Shadow {
    pub(super) fn of(below: Box<dyn Files>) -> Shadow {
        Shadow {
            below,
            changed: BTreeMap::new(),
            removed: BTreeSet::new(),
        }
    }

    fn is_hidden(&self, name: &str) -> bool {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.removed.contains(folder)
    }

    fn content(&self, name: &str) -> io::Result<Content> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        match self.changed.get(name) {
            Some(changed) => changed.clone().ok_or_else(missing),
            None if self.is_hidden(name) => Err(missing()),
            None => {
                self.below.open(name)?;
                Ok(Content::Disk {
                    name: name.to_owned(),
                    length: u64::MAX,
                })
            }
        }
    }

    fn bytes(&self, content: &Content) -> io::Result<Vec<u8>> {
        match content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::Disk { name, length } => {
                let mut bytes = Vec::new();
                self.below
                    .open(name)?
                    .take(*length)
                    .read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

impl Files for Shadow {
    fn path(&self, name: &str) -> PathBuf {
        self.below.path(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names: BTreeSet<String> = match self.removed.contains(folder) {
            true => BTreeSet::new(),
            false => self.below.list(folder)?.into_iter().collect(),
        };
        names.retain(|name| !self.removed.contains(name) || !folder.is_empty());
        for (name, content) in &self.changed {
            let (within, short) = name.rsplit_once('/').unwrap_or(("", name));
            match content {
                _ if within != folder => {}
                Some(_) => drop(names.insert(short.to_owned())),
                None => drop(names.remove(short)),
            }
        }
        Ok(names.into_iter().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        match self.content(name)? {
            Content::Memory(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Content::Disk { name, length } => Ok(Box::new(self.below.open(&name)?.take(length))),
        }
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        match self.content(name)? {
            Content::Memory(bytes) => {
                let from = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let to = from.saturating_add(limit).min(bytes.len());
                Ok(bytes[from..to].to_vec())
            }
            Content::Disk { name, length } => {
                let left = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
                self.below.read(&name, offset, limit.min(left))
            }
        }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut all = match self.content(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            content => self.bytes(&content?)?,
        };
        all.extend_from_slice(bytes);
        self.changed
            .insert(name.to_owned(), Some(Content::Memory(all)));
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut content = self.content(name)?;
        match &mut content {
            Content::Memory(bytes) => {
                bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0)
            }
            Content::Disk { length: up_to, .. } => *up_to = length.min(*up_to),
        }
        self.changed.insert(name.to_owned(), Some(content));
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn make_dir(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let content = self.content(from)?;
        self.changed.insert(from.to_owned(), None);
        self.changed.insert(to.to_owned(), Some(content));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.content(name)?;
        self.changed.insert(name.to_owned(), None);
        Ok(())
    }

    fn remove_dir(&mut self, folder: &str) -> io::Result<()> {
        let inside = format!("{folder}/");
        self.changed.retain(|name, _| !name.starts_with(&inside));
        self.removed.insert(folder.to_owned());
        Ok(())
    }
}
