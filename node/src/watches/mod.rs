//! Who waits for which change: the watches of one server's clients.
//!
//! Pure, and local to the server: a watch is neither replicated nor on disk; a client that reconnects sets its watches
//! again and names the zxid that it has seen. Which events a change makes, and which watch they consume, is
//! ZooKeeper's `WatchManager` with the kinds of watch apart from each other, as since 3.9 (in 3.8 a watch of another
//! kind on the same path takes the place of the first).
//!
//! - One-shot: on data (also of a znode that is not there yet), or on children; gone with its first event.
//! - Persistent: every event of the path, data and children.
//! - Persistent recursive: data events of the path and of everything below it; no event about children, because
//!   each child's own creation and end is told.
//!
//! One change tells a watcher of one path once, however many watches of his it meets. What this cannot do: remember
//! what a watcher has missed. Memory: a path's text once, then 16 bytes for each of its watchers, and 16 for the way
//! back.

#[cfg(test)]
mod tests;
mod watchers;

use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use watchers::Watchers;

/// Who watches: a connection, for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watcher(pub u64);

/// What happened to a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// It came into being.
    Created,
    /// It went.
    Deleted,
    /// Its data was replaced.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
}

impl EventKind {
    /// ZooKeeper's number for it.
    pub fn code(self) -> i32 {
        match self {
            EventKind::Created => 1,
            EventKind::Deleted => 2,
            EventKind::DataChanged => 3,
            EventKind::ChildrenChanged => 4,
        }
    }
}

/// What is watched, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchKind {
    /// Once, its data and its existence.
    Data,
    /// Once, its children and its end.
    Children,
    /// Until it is removed, all of these.
    Persistent,
    /// Until it is removed, data and existence of the znode and of all below it.
    Recursive,
}

/// Which watches are meant when some are removed or looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those for events about children.
    Children,
    /// Those for events about data.
    Data,
    /// All.
    Any,
}

impl Which {
    /// ZooKeeper's number for it.
    pub fn from_code(code: i32) -> Option<Which> {
        match code {
            1 => Some(Which::Children),
            2 => Some(Which::Data),
            3 => Some(Which::Any),
            _ => None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Which::Children => bits::CHILDREN,
            Which::Data => bits::DATA,
            Which::Any => bits::CHILDREN | bits::DATA,
        }
    }
}

/// A watcher's watches on one path, in one byte. A watch for both kinds of event has a bit for each, so that either
/// half can be removed.
mod bits {
    pub(super) const DATA_ONCE: u8 = 1;
    pub(super) const DATA_PERSISTENT: u8 = 2;
    pub(super) const DATA_RECURSIVE: u8 = 4;
    pub(super) const CHILDREN_ONCE: u8 = 8;
    pub(super) const CHILDREN_PERSISTENT: u8 = 16;
    pub(super) const CHILDREN_RECURSIVE: u8 = 32;
    pub(super) const DATA: u8 = DATA_ONCE | DATA_PERSISTENT | DATA_RECURSIVE;
    pub(super) const CHILDREN: u8 = CHILDREN_ONCE | CHILDREN_PERSISTENT | CHILDREN_RECURSIVE;
    pub(super) const RECURSIVE: u8 = DATA_RECURSIVE | CHILDREN_RECURSIVE;
}

/// All watches of a server.
#[derive(Debug, Default)]
pub struct Watches {
    paths: FxHashMap<Arc<str>, Watchers>,
    by_watcher: FxHashMap<Watcher, FxHashSet<Arc<str>>>,
    /// Pairs of watcher and path with a recursive watch: while there are none, nobody looks at a path's ancestors.
    recursive: usize,
}

impl Watches {
    /// From now on `watcher` watches `path`. A second watch of the same kind changes nothing.
    pub fn add(&mut self, watcher: Watcher, path: &str, kind: WatchKind) {
        let new = match kind {
            WatchKind::Data => bits::DATA_ONCE,
            WatchKind::Children => bits::CHILDREN_ONCE,
            WatchKind::Persistent => bits::DATA_PERSISTENT | bits::CHILDREN_PERSISTENT,
            WatchKind::Recursive => bits::DATA_RECURSIVE | bits::CHILDREN_RECURSIVE,
        };
        if let Some(watchers) = self.paths.get_mut(path) {
            let before = watchers.get(watcher);
            watchers.set(watcher, before | new);
            self.recursive +=
                usize::from(before & bits::RECURSIVE == 0 && new & bits::RECURSIVE != 0);
            if before != 0 {
                return;
            }
        } else {
            self.recursive += usize::from(new & bits::RECURSIVE != 0);
            self.paths.insert(path.into(), Watchers::one(watcher, new));
        }
        let (path, _) = self
            .paths
            .get_key_value(path)
            .expect("it was there or was put there above");
        self.by_watcher
            .entry(watcher)
            .or_default()
            .insert(path.clone());
    }

    /// Removes the watcher's watches on a path; false if there are none.
    pub fn remove(&mut self, watcher: Watcher, path: &str, which: Which) -> bool {
        let before = self.bits(watcher, path);
        let removed = before & which.bits();
        if removed != 0 {
            self.set(watcher, path, before & !removed);
        }
        removed != 0
    }

    /// Whether the watcher has such a watch on the path.
    pub fn contains(&self, watcher: Watcher, path: &str, which: Which) -> bool {
        self.bits(watcher, path) & which.bits() != 0
    }

    /// The watcher is gone, and all its watches.
    pub fn forget(&mut self, watcher: Watcher) {
        for path in self.by_watcher.remove(&watcher).unwrap_or_default() {
            let Some(watchers) = self.paths.get_mut(&path) else {
                continue;
            };
            let before = watchers.get(watcher);
            watchers.set(watcher, 0);
            self.recursive -= usize::from(before & bits::RECURSIVE != 0);
            if watchers.is_empty() {
                self.paths.remove(&path);
            }
        }
    }

    /// Who is to be told that the znode at `path` was created, was deleted or has other data; in order, each once.
    pub fn fire(&mut self, path: &str, kind: EventKind) -> Vec<Watcher> {
        let (here, above) = match kind {
            EventKind::Created | EventKind::DataChanged => (bits::DATA, bits::DATA_RECURSIVE),
            EventKind::Deleted => (bits::DATA | bits::CHILDREN, bits::RECURSIVE),
            EventKind::ChildrenChanged => (bits::CHILDREN_ONCE | bits::CHILDREN_PERSISTENT, 0),
        };
        let mut told = Vec::new();
        if self.paths.is_empty() {
            return told;
        }
        let mut consumed = Vec::new();
        if let Some(watchers) = self.paths.get(path) {
            for (watcher, bits) in watchers.iter().filter(|(_, bits)| bits & here != 0) {
                told.push(watcher);
                if bits & here & (bits::DATA_ONCE | bits::CHILDREN_ONCE) != 0 {
                    consumed.push(watcher);
                }
            }
        }
        self.consume(
            path,
            here & (bits::DATA_ONCE | bits::CHILDREN_ONCE),
            &consumed,
        );
        if self.recursive > 0 && above != 0 {
            for ancestor in ancestors(path) {
                let watchers = self
                    .paths
                    .get(ancestor)
                    .into_iter()
                    .flat_map(Watchers::iter);
                told.extend(
                    watchers
                        .filter(|(_, bits)| bits & above != 0)
                        .map(|(watcher, _)| watcher),
                );
            }
            told.sort_unstable();
            told.dedup();
        }
        told
    }

    /// Takes these bits from some watchers of one path.
    fn consume(&mut self, path: &str, bits: u8, from: &[Watcher]) {
        if from.is_empty() {
            return;
        }
        let Some(watchers) = self.paths.get_mut(path) else {
            return;
        };
        watchers.retain(|_, had| {
            *had &= !bits;
            *had != 0
        });
        for &watcher in from {
            if watchers.get(watcher) == 0 {
                forget_path(&mut self.by_watcher, watcher, path);
            }
        }
        if watchers.is_empty() {
            self.paths.remove(path);
        }
    }

    fn bits(&self, watcher: Watcher, path: &str) -> u8 {
        self.paths
            .get(path)
            .map_or(0, |watchers| watchers.get(watcher))
    }

    /// Replaces the bits of a pair that is there.
    fn set(&mut self, watcher: Watcher, path: &str, bits: u8) {
        let Some(watchers) = self.paths.get_mut(path) else {
            return;
        };
        let before = watchers.get(watcher);
        watchers.set(watcher, bits);
        self.recursive -= usize::from(before & bits::RECURSIVE != 0 && bits & bits::RECURSIVE == 0);
        if watchers.is_empty() {
            self.paths.remove(path);
        }
        if bits == 0 {
            forget_path(&mut self.by_watcher, watcher, path);
        }
    }

    /// How many pairs of watcher and path there are.
    pub fn len(&self) -> usize {
        self.by_watcher.values().map(FxHashSet::len).sum()
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// How many watchers there are.
    pub fn watcher_count(&self) -> usize {
        self.by_watcher.len()
    }

    /// How many paths are watched.
    pub fn path_count(&self) -> usize {
        self.paths.len()
    }

    /// The watched paths with their watchers, both in order.
    pub fn by_path(&self) -> Vec<(&str, Vec<Watcher>)> {
        let mut paths: Vec<_> = self
            .paths
            .iter()
            .map(|(path, watchers)| {
                (
                    &**path,
                    watchers.iter().map(|(watcher, _)| watcher).collect(),
                )
            })
            .collect();
        paths.sort_unstable();
        paths
    }

    /// The watchers with their paths, both in order.
    pub fn by_watcher(&self) -> Vec<(Watcher, Vec<&str>)> {
        let mut watchers: Vec<(Watcher, Vec<&str>)> = self
            .by_watcher
            .iter()
            .map(|(watcher, paths)| (*watcher, paths.iter().map(|path| &**path).collect()))
            .collect();
        watchers.sort_unstable();
        for (_, paths) in &mut watchers {
            paths.sort_unstable();
        }
        watchers
    }
}

fn forget_path(
    by_watcher: &mut FxHashMap<Watcher, FxHashSet<Arc<str>>>,
    watcher: Watcher,
    path: &str,
) {
    if let Some(paths) = by_watcher.get_mut(&watcher) {
        paths.remove(path);
        if paths.is_empty() {
            by_watcher.remove(&watcher);
        }
    }
}

/// The paths above this one, the nearest first, the root last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = if path == "/" { None } else { Some(path) };
    std::iter::from_fn(move || {
        let (parent, _) = rest?.rsplit_once('/')?;
        rest = (!parent.is_empty()).then_some(parent);
        Some(if parent.is_empty() { "/" } else { parent })
    })
}
