//! A disk that forgets what was not synced.
//!
//! What a crash may do here: unsynced bytes vanish from some point on, or leave a hole of zeros; unsynced names (new,
//! renamed, removed) are kept up to some point of their order. What it never does: lose or change what was synced. A fuse
//! makes the disk die between any two of its writes. Damage, which is a fault of its own, changes a byte of what was synced.

use keelhaul_node::storage::Files;
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Clone)]
enum NameOp {
    Bind(String, u64),
    Unbind(String),
}

impl NameOp {
    fn folder(&self) -> &str {
        let (NameOp::Bind(name, _) | NameOp::Unbind(name)) = self;
        name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameOp::Bind(name, inode) => names.insert(name.clone(), *inode),
            NameOp::Unbind(name) => names.remove(name),
        };
    }
}

#[derive(Debug, Default, Clone)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameOp>,
    next_inode: u64,
    /// Writes that will still succeed; `None`: all will.
    fuse: Option<u32>,
}

/// A handle on one node's disk; what is on it outlives the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a simulation is single-threaded")
    }

    /// Lets so many more writes succeed, and none after them; `None`: all.
    pub(crate) fn set_fuse(&self, writes: Option<u32>) {
        self.state().fuse = writes;
    }

    /// Whether the fuse has burnt down.
    pub(crate) fn burnt(&self) -> bool {
        self.state().fuse == Some(0)
    }

    /// The machine loses its power: what was not synced may be gone. The disk works again afterwards.
    pub(crate) fn crash(&self, rng: &mut ChaCha8Rng) {
        let state = &mut *self.state();
        state.fuse = None;
        let mut kept_all = BTreeMap::new();
        for op in std::mem::take(&mut state.unsynced_names) {
            // Within a folder, names reach the disk in order.
            let keeps = kept_all.entry(op.folder().to_owned()).or_insert(true);
            *keeps = *keeps && rng.random_bool(0.5);
            if *keeps {
                op.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        for inode in state.inodes.values_mut() {
            inode.content = after_crash(inode, rng);
            inode.synced = inode.content.clone();
        }
    }

    /// A byte of a file changes, also if it was synced; which one, unless there is none that may. Not in the newest segment of a log: where nothing
    /// follows that knew the spot as durable, damage cannot be told from what a crash tears.
    pub(crate) fn damage(&self, rng: &mut ChaCha8Rng) -> Option<String> {
        let state = &mut *self.state();
        let logs = state.names.keys().filter(|n| n.contains("/log-"));
        // The last of each folder.
        let newest: BTreeMap<String, String> = logs
            .map(|n| (n.split('/').next().unwrap_or(n).to_owned(), n.clone()))
            .collect();
        let may = |(name, id): &(&String, &u64)| {
            let empty = state.inodes[*id].content.is_empty();
            !name.starts_with("damaged-")
                && !name.ends_with(".tmp")
                && !newest.values().any(|newest| newest == *name)
                && !empty
        };
        let files: Vec<(String, u64)> = state
            .names
            .iter()
            .filter(may)
            .map(|(name, id)| (name.clone(), *id))
            .collect();
        let (name, id) = files.choose(rng)?.clone();
        let inode = state.inodes.get_mut(&id).expect("every name has its inode");
        let at = rng.random_range(0..inode.content.len() as u64) as usize;
        inode.content[at] ^= 1 << rng.random_range(0..8u32);
        inode.synced = inode.content.clone();
        Some(name)
    }

    /// Another disk, with what a crash would leave on this one now.
    pub(crate) fn copy(&self, rng: &mut ChaCha8Rng) -> Disk {
        let copy = Disk::default();
        copy.become_like(self);
        copy.crash(rng);
        copy
    }

    /// What is on another disk is put on this one, instead of all that was there.
    pub(crate) fn become_like(&self, other: &Disk) {
        let state = other.state().clone();
        *self.state() = state;
    }

    /// The disk is replaced by an empty one.
    pub(crate) fn wipe(&self) {
        *self.state() = State::default();
    }
}

fn after_crash(inode: &Inode, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let Inode { content, synced } = inode;
    if content == synced || rng.random_bool(0.4) {
        return synced.clone();
    }
    if !content.starts_with(synced) {
        // It was cut and perhaps written again: either state, never a mixture.
        return if rng.random_bool(0.5) {
            content.clone()
        } else {
            synced.clone()
        };
    }
    let fresh = (content.len() - synced.len()) as u64;
    let kept = synced.len() + rng.random_range(0..=fresh) as usize;
    let mut bytes = content[..kept].to_vec();
    if kept > synced.len() && rng.random_bool(0.3) {
        let at = synced.len() + rng.random_range(0..(kept - synced.len()) as u64) as usize;
        let hole = (at + rng.random_range(1..200u64) as usize).min(kept);
        bytes[at..hole].fill(0);
    }
    bytes
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))
}

impl State {
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => Err(io::Error::other("the machine has crashed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn name(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.unsynced_names.push(op);
    }

    fn inode(&mut self, name: &str) -> io::Result<&mut Inode> {
        let id = *self.names.get(name).ok_or_else(|| missing(name))?;
        Ok(self.inodes.get_mut(&id).expect("every name has its inode"))
    }
}

impl Files for Disk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let state = self.state();
        let rest = state.names.keys().filter_map(|n| n.strip_prefix(&inside));
        let mut names: Vec<String> = rest
            .map(|n| n.split('/').next().unwrap_or(n).to_owned())
            .collect();
        names.dedup();
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        let content = self.state().inode(name)?.content.clone();
        Ok(Box::new(io::Cursor::new(content)))
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let content = &state.inode(name)?.content;
        let from = (offset as usize).min(content.len());
        let to = from.saturating_add(limit).min(content.len());
        Ok(content[from..to].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        if !state.names.contains_key(name) {
            state.next_inode += 1;
            let id = state.next_inode;
            state.inodes.insert(id, Inode::default());
            state.name(NameOp::Bind(name.to_owned(), id));
        }
        state.inode(name)?.content.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        state.inode(name)?.content.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        let inode = state.inode(name)?;
        inode.synced = inode.content.clone();
        Ok(())
    }

    fn sync_dir(&mut self, folder: &str) -> io::Result<()> {
        let state = &mut *self.state();
        state.burn()?;
        let (due, rest) = std::mem::take(&mut state.unsynced_names)
            .into_iter()
            .partition(|op| op.folder() == folder);
        state.unsynced_names = rest;
        let due: Vec<NameOp> = due;
        due.iter().for_each(|op| op.apply(&mut state.durable_names));
        Ok(())
    }

    fn make_dir(&mut self, _folder: &str) -> io::Result<()> {
        self.state().burn()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        let id = *state.names.get(from).ok_or_else(|| missing(from))?;
        state.name(NameOp::Bind(to.to_owned(), id));
        state.name(NameOp::Unbind(from.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        state.names.get(name).ok_or_else(|| missing(name))?;
        state.name(NameOp::Unbind(name.to_owned()));
        Ok(())
    }

    fn remove_dir(&mut self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.burn()?;
        let inside = format!("{folder}/");
        let names: Vec<String> = state
            .names
            .keys()
            .filter(|n| n.starts_with(&inside))
            .cloned()
            .collect();
        names
            .into_iter()
            .for_each(|n| state.name(NameOp::Unbind(n)));
        Ok(())
    }
}
