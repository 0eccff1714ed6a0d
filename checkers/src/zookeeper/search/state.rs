//! A state of the search: the tree after some writes, and what sessions can still see of the trees before it.

use super::super::call::{PathId, Zxid};
use super::super::tree::Node;
use super::trie::{Held, Trie};
use std::sync::Arc;

/// The tree now, and what restricts what can follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct State {
    pub(super) tree: Trie,
    pub(super) place: Place,
    pub(super) past: Arc<Past>,
    /// Of sessions with several operations in flight at once: how many of them were answered so far.
    pub(super) turns: Arc<[u32]>,
    /// Sessions that ended, if they have operations that may still take effect. Ascending.
    pub(super) closed: Arc<[u32]>,
    /// Writes that took effect and could have done so in several ways, and what of those ways can be only one's. Ascending.
    pub(super) spent: Arc<[u32]>,
}

/// The older prefixes that a plain read may still show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Past {
    /// From the oldest that any session may look at; the tree now comes after them.
    pub(super) older: Vec<Prefix>,
    /// By session: the oldest of these that it may look at next; none if it does not make a plain read next.
    pub(super) views: Vec<Option<u32>>,
}

/// The tree as it was, from one write to the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Prefix {
    pub(super) tree: Trie,
    pub(super) place: Place,
}

/// Where a prefix stands among the zxids, as far as the history tells any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The least and the greatest zxid that its last write can have.
    least: Zxid,
    most: Zxid,
    /// What the zxid of the next write is greater than.
    floor: Zxid,
}

impl Place {
    pub(super) const FIRST: Place = Place {
        least: 0,
        most: Zxid::MAX,
        floor: 0,
    };

    /// That of the next prefix: after a write with this zxid, or, if nobody knows it, with one greater than what was seen before.
    pub(super) fn next(self, zxid: Option<Zxid>, seen: Zxid) -> Result<Place, String> {
        let least = self.floor.max(seen) + 1;
        match zxid {
            Some(zxid) if zxid <= self.floor => Err(format!(
                "its zxid is {zxid:#x}, and {:#x} came before",
                self.floor
            )),
            Some(zxid) => Ok(Place {
                least: zxid,
                most: zxid,
                floor: zxid,
            }),
            None => Ok(Place {
                least,
                most: Zxid::MAX,
                floor: least,
            }),
        }
    }

    /// An operation that has its place in the order was answered here with this zxid; and, if that is its own place, nothing
    /// that follows has it.
    pub(super) fn answered(&mut self, zxid: Option<Zxid>, own: bool) -> Result<(), String> {
        let Some(zxid) = zxid else { return Ok(()) };
        if zxid < self.floor {
            return Err(format!(
                "its zxid is {zxid:#x}, and {:#x} came before",
                self.floor
            ));
        }
        if own {
            self.most = self.most.min(zxid);
            self.floor = zxid;
        }
        Ok(())
    }

    /// Whether a plain read with this zxid may show this prefix. It does not restrict what follows: it may have shown the next
    /// prefix as well, if nobody knows which zxid that has.
    pub(super) fn may_be_seen(&self, zxid: Zxid) -> Result<(), String> {
        match zxid < self.least {
            true => Err(format!(
                "its zxid is {zxid:#x}, and {:#x} came before",
                self.least
            )),
            false => Ok(()),
        }
    }

    /// Whether a reply with this zxid comes from a server that has this prefix, for certain.
    pub(super) fn is_known_at(&self, zxid: Zxid) -> bool {
        self.most <= zxid
    }
}

impl State {
    /// Keeps the tree as it is now for those who may look at it later: a write is about to change it.
    pub(super) fn keep(&mut self) {
        if self.past.views.iter().all(Option::is_none) {
            return;
        }
        let prefix = Prefix {
            tree: self.tree.clone(),
            place: self.place,
        };
        Arc::make_mut(&mut self.past).older.push(prefix);
    }

    /// A session has seen this prefix (the tree now, if it comes after all older ones); forgets what nobody can look at any more.
    pub(super) fn seen(&mut self, session: usize, view: Option<u32>) {
        let past = Arc::make_mut(&mut self.past);
        past.views[session] = view;
        let newest = past.older.len() as u32;
        let oldest = past.views.iter().flatten().min().copied();
        let gone = oldest.unwrap_or(newest);
        past.older.drain(..gone as usize);
        for view in past.views.iter_mut().flatten() {
            *view -= gone;
        }
    }

    /// The place of the tree now among the prefixes.
    pub(super) fn now(&self) -> u32 {
        self.past.older.len() as u32
    }

    /// Something was learned of a znode: in every prefix in which it is the same.
    pub(super) fn learned(&mut self, path: PathId, before: &Arc<Held>, node: Node) {
        if before.node == node {
            return;
        }
        let held = Held::new(node);
        let same = |tree: &Trie| tree.get(path).is_some_and(|has| Arc::ptr_eq(has, before));
        if same(&self.tree) {
            self.tree.put(path, Some(held.clone()));
        }
        if !self.past.older.iter().any(|prefix| same(&prefix.tree)) {
            return;
        }
        for prefix in &mut Arc::make_mut(&mut self.past).older {
            if same(&prefix.tree) {
                prefix.tree.put(path, Some(held.clone()));
            }
        }
    }

    /// Bytes that it takes beside what it shares, about.
    pub(super) fn bytes(&self) -> usize {
        let past = self.past.older.len() * size_of::<Prefix>() + self.past.views.len() * 8;
        size_of::<State>() + self.tree.bytes_of_a_change() + past + 4 * self.turns.len()
    }
}
