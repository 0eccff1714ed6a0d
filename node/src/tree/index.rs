//! Which child of a znode has a name: one table for the whole tree, instead of a map in each znode.
//!
//! The table is cut into shards, so that none of them takes long when it grows. Its order never leaves it. Names are chosen by clients, and
//! so the hash is one that cannot be foreseen.

use super::arena::{Pages, Slot};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// How many tables there are.
const SHARDS: usize = 256;

/// Slots by parent and name.
#[derive(Debug, Clone)]
pub(super) struct Index {
    hasher: RandomState,
    shards: Vec<HashTable<Slot>>,
}

impl Default for Index {
    fn default() -> Index {
        Index::with_room_for(0)
    }
}

fn hash(hasher: &RandomState, parent: Slot, name: &str) -> u64 {
    hasher.hash_one((parent.number(), name))
}

/// The table itself uses the highest bits and the lowest ones.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl Index {
    /// Empty; so many znodes make few of its tables grow.
    pub(super) fn with_room_for(znodes: usize) -> Index {
        Index {
            hasher: RandomState::new(),
            shards: vec![HashTable::with_capacity(znodes / SHARDS); SHARDS],
        }
    }

    pub(super) fn find(&self, pages: &Pages, parent: Slot, name: &str) -> Option<Slot> {
        let hash = hash(&self.hasher, parent, name);
        let is_it = |slot: &Slot| {
            let znode = pages.get(*slot);
            znode.parent == parent && znode.name() == name
        };
        self.shards[shard(hash)].find(hash, is_it).copied()
    }

    /// Adds a znode that is not there yet.
    pub(super) fn insert(&mut self, pages: &Pages, parent: Slot, name: &str, slot: Slot) {
        let hasher = &self.hasher;
        let again = |slot: &Slot| {
            let znode = pages.get(*slot);
            hash(hasher, znode.parent, znode.name())
        };
        let hash = hash(hasher, parent, name);
        self.shards[shard(hash)].insert_unique(hash, slot, again);
    }

    /// Takes out a znode that is there.
    pub(super) fn remove(&mut self, pages: &Pages, slot: Slot) {
        let znode = pages.get(slot);
        let hash = hash(&self.hasher, znode.parent, znode.name());
        let entry = self.shards[shard(hash)].find_entry(hash, |other| *other == slot);
        entry.expect("every znode but the root is in it").remove();
    }
}
