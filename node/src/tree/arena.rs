//! The znodes themselves: an arena of pages, in which a znode is found by its parent and its name.
//!
//! Pages are shared with frozen copies of the arena: freezing copies a pointer a page, and a page that is shared is copied when it
//! is changed. So a snapshot is the state of one moment, and costs memory only for what changes while it is written.
//! No rule of ZooKeeper's stands here.

use super::digest::{self, Digest};
use super::index::Index;
use super::znode::Znode;
use std::sync::Arc;

/// Where a znode stands in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// The root is never moved.
pub(super) const ROOT: Slot = Slot(0);

/// No znode stands here.
pub(super) const NOWHERE: Slot = Slot(u32::MAX);

impl Slot {
    pub(super) fn number(self) -> u32 {
        self.0
    }

    fn place(self) -> (usize, usize) {
        (self.0 as usize / PAGE, self.0 as usize % PAGE)
    }
}

/// Znodes of a page.
const PAGE: usize = 64;

/// The znodes by slot, those that are free among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Arc<Vec<Znode>>>,
    /// How many slots there are.
    slots: usize,
}

impl Pages {
    pub(super) fn get(&self, slot: Slot) -> &Znode {
        let (page, at) = slot.place();
        &self.pages[page][at]
    }

    fn get_mut(&mut self, slot: Slot) -> &mut Znode {
        let (page, at) = slot.place();
        &mut Arc::make_mut(&mut self.pages[page])[at]
    }

    fn push(&mut self, znode: Znode) -> Slot {
        let slot = u32::try_from(self.slots).ok().map(Slot);
        let slot = slot.filter(|slot| *slot != NOWHERE);
        let slot = slot.expect("2^32 znodes do not fit into memory");
        if self.slots.is_multiple_of(PAGE) {
            self.pages.push(Arc::new(Vec::with_capacity(PAGE)));
        }
        let last = self.pages.last_mut().expect("just made, or not full");
        let last = Arc::make_mut(last);
        last.reserve_exact(PAGE - last.len());
        last.push(znode);
        self.slots += 1;
        slot
    }

    /// The children of a znode, in no order that means anything.
    pub(super) fn children(&self, slot: Slot) -> impl Iterator<Item = Slot> + use<'_> {
        let mut next = self.get(slot).first_child;
        std::iter::from_fn(move || {
            let child = next;
            (child != NOWHERE).then(|| {
                next = self.get(child).next;
                child
            })
        })
    }

    /// The same, by name.
    pub(super) fn sorted_children(&self, slot: Slot) -> Vec<Slot> {
        let mut children: Vec<Slot> = self.children(slot).collect();
        children.sort_unstable_by_key(|child| self.get(*child).name());
        children
    }
}

/// All znodes.
#[derive(Debug, Clone)]
pub(super) struct Arena {
    pages: Pages,
    index: Index,
    free: Vec<Slot>,
    bytes: usize,
    digest: Digest,
    /// Where name and data are put together.
    scratch: Vec<u8>,
}

impl Arena {
    /// The root alone.
    pub(super) fn new() -> Arena {
        let mut root = Znode::default();
        root.set_text(b"", Some(b""), &mut Vec::new());
        let mut digest = Digest::default();
        digest.add(digest::of_znode(&root));
        let mut pages = Pages::default();
        pages.push(root);
        Arena {
            pages,
            index: Index::default(),
            free: Vec::new(),
            bytes: 0,
            digest,
            scratch: Vec::new(),
        }
    }

    /// The znodes as they are now; they stay so.
    pub(super) fn freeze(&self) -> Pages {
        self.pages.clone()
    }

    /// The digest of all znodes.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// The same, from every znode, to compare with.
    #[cfg(test)]
    pub(super) fn digest_anew(&self) -> Digest {
        let mut digest = Digest::default();
        let mut waiting = vec![(String::new(), ROOT)];
        while let Some((path, slot)) = waiting.pop() {
            let mut znode = self.get(slot).clone();
            znode.path_crc = crc32c::crc32c(path.as_bytes());
            znode.data_crc = crc32c::crc32c(znode.data().unwrap_or_default());
            digest.add(digest::of_znode(&znode));
            let below = |child| (format!("{path}/{}", self.get(child).name()), child);
            waiting.extend(self.pages.children(slot).map(below));
        }
        digest
    }

    pub(super) fn len(&self) -> usize {
        self.pages.slots - self.free.len()
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
        rest.split('/')
            .try_fold(ROOT, |slot, name| self.child(slot, name))
    }

    /// The child of this name.
    pub(super) fn child(&self, parent: Slot, name: &str) -> Option<Slot> {
        self.index.find(&self.pages, parent, name)
    }

    pub(super) fn get(&self, slot: Slot) -> &Znode {
        self.pages.get(slot)
    }

    /// The names of a znode's children, sorted.
    pub(super) fn names(&self, slot: Slot) -> Vec<&str> {
        let name = |child| self.get(child).name();
        let mut names: Vec<&str> = self.pages.children(slot).map(name).collect();
        names.sort_unstable();
        names
    }

    /// Every znode of a subtree, its root among them, in no order that means anything.
    pub(super) fn subtree(&self, slot: Slot) -> impl Iterator<Item = &Znode> {
        let mut waiting = vec![slot];
        std::iter::from_fn(move || {
            let slot = waiting.pop()?;
            waiting.extend(self.pages.children(slot));
            Some(self.get(slot))
        })
    }

    /// Changes fields of a znode, and keeps the books.
    pub(super) fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Znode) -> T) -> T {
        let znode = self.pages.get_mut(slot);
        self.digest.remove(digest::of_znode(znode));
        let result = change(znode);
        self.digest.add(digest::of_znode(znode));
        result
    }

    /// Changes a znode's data, and what goes with that.
    pub(super) fn set_data(
        &mut self,
        slot: Slot,
        data: Option<&[u8]>,
        change: impl FnOnce(&mut Znode),
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.bytes -= self.get(slot).data_len();
        self.bytes += data.map_or(0, <[u8]>::len);
        self.change(slot, |znode| {
            znode.set_data(data, &mut scratch);
            change(znode);
        });
        self.scratch = scratch;
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH);
    }

    /// Replaces all of the root but its children.
    pub(super) fn set_root(&mut self, data: Option<&[u8]>, znode: Znode) {
        self.set_data(ROOT, data, |root| root.take_fields(znode));
    }

    /// Puts a znode below `parent`, where no child has this name.
    pub(super) fn insert(
        &mut self,
        parent: Slot,
        name: &str,
        data: Option<&[u8]>,
        znode: Znode,
    ) -> Slot {
        assert!(self.child(parent, name).is_none(), "{name} exists already");
        let slot = self.place(parent, name, data, znode);
        self.index.insert(&self.pages, parent, name, slot);
        slot
    }

    /// The same, but it is found only after [`Arena::index_all`].
    pub(super) fn place(
        &mut self,
        parent: Slot,
        name: &str,
        data: Option<&[u8]>,
        mut znode: Znode,
    ) -> Slot {
        let above = self.get(parent);
        let (next, path_crc) = (above.first_child, above.path_crc);
        znode.path_crc = crc32c::crc32c_append(path_crc, b"/");
        znode.path_crc = crc32c::crc32c_append(znode.path_crc, name.as_bytes());
        znode.set_text(name.as_bytes(), data, &mut self.scratch);
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH);
        (znode.parent, znode.next) = (parent, next);
        self.digest.add(digest::of_znode(&znode));
        self.bytes += name.len() + znode.data_len();
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.pages.get_mut(slot) = znode;
                slot
            }
            None => self.pages.push(znode),
        };
        if next != NOWHERE {
            self.pages.get_mut(next).previous = slot;
        }
        let above = self.pages.get_mut(parent);
        above.first_child = slot;
        above.children += 1;
        slot
    }

    /// Makes the index anew. None of the slots is free.
    pub(super) fn index_all(&mut self) {
        assert!(self.free.is_empty(), "what is free has no name");
        let mut index = Index::with_room_for(self.pages.slots);
        let slots = (0..self.pages.slots as u32).map(Slot);
        for slot in slots.filter(|slot| *slot != ROOT) {
            let znode = self.pages.get(slot);
            index.insert(&self.pages, znode.parent, znode.name(), slot);
        }
        self.index = index;
    }

    /// Takes a znode that has no children out.
    pub(super) fn remove(&mut self, slot: Slot) -> Znode {
        let znode = self.pages.get(slot);
        assert!(znode.children == 0, "{} has children", znode.name());
        self.index.remove(&self.pages, slot);
        let znode = std::mem::take(self.pages.get_mut(slot));
        match znode.previous {
            NOWHERE => self.pages.get_mut(znode.parent).first_child = znode.next,
            previous => self.pages.get_mut(previous).next = znode.next,
        }
        if znode.next != NOWHERE {
            self.pages.get_mut(znode.next).previous = znode.previous;
        }
        self.pages.get_mut(znode.parent).children -= 1;
        self.digest.remove(digest::of_znode(&znode));
        self.bytes -= znode.name().len() + znode.data_len();
        self.free.push(slot);
        znode
    }

    /// How many znodes are below this one, at any depth.
    pub(super) fn count_below(&self, slot: Slot) -> usize {
        match slot {
            ROOT => self.len() - 1,
            slot => self.subtree(slot).count() - 1,
        }
    }
}

/// Of the place where name and data are put together, so much is kept.
const SCRATCH: usize = 64 << 10;
