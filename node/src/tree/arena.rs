//! The znodes themselves: an arena, in which each znode knows its children by name.
//!
//! A name is stored once, in its parent's map; a path is walked name by name. No rule of ZooKeeper's stands here.

use super::digest::{self, Digest};
use super::stat::Stat;
use crate::request::{Acl, SessionId};
use crate::zab::Zxid;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a znode stands in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// The root is never moved.
pub(super) const ROOT: Slot = Slot(0);

/// One znode.
#[derive(Debug, Clone, Default)]
pub(super) struct Znode {
    pub(super) data: Option<Bytes>,
    /// `None`: open to everybody, as nearly every znode is.
    pub(super) acl: Option<Arc<[Acl]>>,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// Children ever created: the source of sequence numbers.
    pub(super) creates: i32,
    pub(super) aversion: i32,
    pub(super) owner: SessionId,
    pub(super) children: BTreeMap<Box<str>, Slot>,
    /// CRC32Cs of path (the root's is empty) and data, for the digest; the arena keeps them.
    pub(super) path_crc: u32,
    pub(super) data_crc: u32,
}

impl Znode {
    pub(super) fn stat(&self) -> Stat {
        let children = self.children.len() as i32;
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Every child that was created and is not there any more was deleted: creates + deletes.
            cversion: self.creates.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            // Containers and times to live are not shown, as in ZooKeeper.
            ephemeral_owner: if self.owner.is_session() {
                self.owner
            } else {
                SessionId::NONE
            },
            data_length: self.data.as_ref().map_or(0, |d| d.len() as i32),
            num_children: children,
            pzxid: self.pzxid,
        }
    }

    fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }
}

/// All znodes.
#[derive(Debug, Clone)]
pub(super) struct Arena {
    znodes: Vec<Znode>,
    free: Vec<Slot>,
    bytes: usize,
    digest: Digest,
}

impl Arena {
    /// The root alone.
    pub(super) fn new() -> Arena {
        let root = Znode {
            data: Some(Bytes::new()),
            ..Znode::default()
        };
        let mut digest = Digest::default();
        digest.add(digest::of_znode(&root));
        Arena {
            znodes: vec![root],
            free: Vec::new(),
            bytes: 0,
            digest,
        }
    }

    /// The digest of all znodes.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The same, from every znode, to compare with.
    #[cfg(test)]
    pub(super) fn digest_anew(&self) -> Digest {
        let mut digest = Digest::default();
        for (path, znode) in self.walk() {
            let path = path.trim_end_matches('/').as_bytes();
            let znode = Znode {
                path_crc: crc32c::crc32c(path),
                data_crc: crc32c::crc32c(znode.data.as_deref().unwrap_or_default()),
                ..znode.clone()
            };
            digest.add(digest::of_znode(&znode));
        }
        digest
    }

    pub(super) fn len(&self) -> usize {
        self.znodes.len() - self.free.len()
    }

    /// Names and data, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn find(&self, path: &str) -> Option<Slot> {
        let rest = path.strip_prefix('/')?;
        if rest.is_empty() {
            return Some(ROOT);
        }
        rest.split('/').try_fold(ROOT, |slot, name| {
            self.get(slot).children.get(name).copied()
        })
    }

    pub(super) fn get(&self, slot: Slot) -> &Znode {
        &self.znodes[slot.0 as usize]
    }

    /// Changes anything of a znode but its children, and keeps the books.
    pub(super) fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Znode) -> T) -> T {
        let znode = &mut self.znodes[slot.0 as usize];
        self.digest.remove(digest::of_znode(znode));
        let result = change(znode);
        self.digest.add(digest::of_znode(znode));
        result
    }

    /// Changes a znode's data, and what goes with that.
    pub(super) fn set_data(
        &mut self,
        slot: Slot,
        data: Option<Bytes>,
        change: impl FnOnce(&mut Znode),
    ) {
        self.bytes -= self.get(slot).data_len();
        self.bytes += data.as_ref().map_or(0, Bytes::len);
        self.change(slot, |znode| {
            znode.data_crc = crc32c::crc32c(data.as_deref().unwrap_or_default());
            znode.data = data;
            change(znode);
        });
    }

    /// Puts a znode below `parent`, where no child has this name.
    pub(super) fn insert(&mut self, parent: Slot, name: &str, mut znode: Znode) -> Slot {
        let above = crc32c::crc32c_append(self.get(parent).path_crc, b"/");
        znode.path_crc = crc32c::crc32c_append(above, name.as_bytes());
        znode.data_crc = crc32c::crc32c(znode.data.as_deref().unwrap_or_default());
        self.digest.add(digest::of_znode(&znode));
        self.bytes += name.len() + znode.data_len();
        let slot = match self.free.pop() {
            Some(slot) => {
                self.znodes[slot.0 as usize] = znode;
                slot
            }
            None => {
                let slot = Slot(
                    u32::try_from(self.znodes.len()).expect("2^32 znodes do not fit into memory"),
                );
                self.znodes.push(znode);
                slot
            }
        };
        let children = &mut self.znodes[parent.0 as usize].children;
        let before = children.insert(name.into(), slot);
        assert!(before.is_none(), "{name} exists already");
        slot
    }

    /// Takes the child `name` of `parent`, which has no children, out; `None` if there is none.
    pub(super) fn remove(&mut self, parent: Slot, name: &str) -> Option<Znode> {
        let slot = self.znodes[parent.0 as usize].children.remove(name)?;
        let znode = std::mem::take(&mut self.znodes[slot.0 as usize]);
        assert!(znode.children.is_empty(), "{name} has children");
        self.digest.remove(digest::of_znode(&znode));
        self.bytes -= name.len() + znode.data_len();
        self.free.push(slot);
        Some(znode)
    }

    /// How many znodes are below this one, at any depth.
    pub(super) fn count_below(&self, slot: Slot) -> usize {
        let (mut count, mut waiting) = (0, vec![slot]);
        while let Some(slot) = waiting.pop() {
            let children = &self.get(slot).children;
            count += children.len();
            waiting.extend(children.values());
        }
        count
    }

    /// Every znode with its path, parents first, siblings by name.
    pub(super) fn walk(&self) -> impl Iterator<Item = (String, &Znode)> {
        let mut waiting = vec![(String::from("/"), ROOT)];
        std::iter::from_fn(move || {
            let (path, slot) = waiting.pop()?;
            let znode = self.get(slot);
            let prefix = if slot == ROOT { "" } else { path.as_str() };
            for (name, child) in znode.children.iter().rev() {
                waiting.push((format!("{prefix}/{name}"), *child));
            }
            Some((path, znode))
        })
    }
}
