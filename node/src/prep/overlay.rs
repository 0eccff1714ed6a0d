//! The changes that are proposed and not yet applied, over the tree (ZooKeeper's `outstandingChanges`).

use crate::acl;
use crate::request::{Acl, SessionId};
use crate::tree::{Tree, path};
use crate::zab::Zxid;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What later requests must know about a znode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outlook {
    pub(super) version: i32,
    /// Children ever created.
    pub(super) creates: i32,
    pub(super) children: usize,
    /// See [`crate::request::Lifetime`].
    pub(super) owner: SessionId,
    /// `None`: open to everybody.
    pub(super) acl: Option<Arc<[Acl]>>,
    /// The version of the list.
    pub(super) aversion: i32,
}

/// What one transaction will change: znodes as they will be, `None` where there will be none.
#[derive(Debug, Default)]
pub struct Changes {
    znodes: BTreeMap<String, Option<Outlook>>,
}

/// All that is proposed and not yet applied.
#[derive(Debug, Default)]
pub struct Overlay {
    /// The newest outlook of each znode, and the transaction that it comes from.
    znodes: FxHashMap<String, (Zxid, Option<Outlook>)>,
    /// Which paths each transaction touches, in the order of the transactions.
    touched: VecDeque<(Zxid, Vec<String>)>,
    /// The ephemeral znodes among `znodes`, by their sessions.
    ephemerals: FxHashMap<SessionId, BTreeSet<String>>,
}

impl Overlay {
    /// The transaction with these changes was proposed.
    pub fn proposed(&mut self, zxid: Zxid, changes: Changes) {
        if changes.znodes.is_empty() {
            return;
        }
        let mut paths = Vec::with_capacity(changes.znodes.len());
        for (path, outlook) in changes.znodes {
            if let Some(znode) = outlook.as_ref().filter(|znode| znode.owner.is_session()) {
                let owned = self.ephemerals.entry(znode.owner).or_default();
                owned.insert(path.clone());
            }
            if let Some((_, Some(before))) = self.znodes.insert(path.clone(), (zxid, outlook)) {
                self.disown(&before, &path);
            }
            paths.push(path);
        }
        self.touched.push_back((zxid, paths));
    }

    /// The tree has applied everything up to this transaction.
    pub fn applied(&mut self, zxid: Zxid) {
        while self
            .touched
            .front()
            .is_some_and(|(first, _)| *first <= zxid)
        {
            let (first, paths) = self
                .touched
                .pop_front()
                .expect("there is a front, as the line above found");
            for path in paths {
                if self
                    .znodes
                    .get(&path)
                    .is_some_and(|(from, _)| *from == first)
                    && let Some((_, Some(znode))) = self.znodes.remove(&path)
                {
                    self.disown(&znode, &path);
                }
            }
        }
    }

    /// Whether a change of this znode is proposed and not yet applied.
    pub fn is_pending(&self, path: &str) -> bool {
        self.znodes.contains_key(path)
    }

    /// Whether everything that was proposed has been applied.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }

    /// The ephemeral znodes that the session will have.
    fn ephemerals(&self, tree: &Tree, session: SessionId) -> BTreeSet<String> {
        let mut paths = tree
            .session(session)
            .map(|s| s.ephemerals.clone())
            .unwrap_or_default();
        paths.retain(|path| !self.znodes.contains_key(path));
        paths.extend(self.ephemerals.get(&session).into_iter().flatten().cloned());
        paths
    }

    /// This outlook of the znode is none any more, and no other one has the same owner.
    fn disown(&mut self, znode: &Outlook, path: &str) {
        let still = |(_, now): &(Zxid, Option<Outlook>)| {
            now.as_ref().is_some_and(|now| now.owner == znode.owner)
        };
        if self.znodes.get(path).is_some_and(still) {
            return;
        }
        if let Some(owned) = self.ephemerals.get_mut(&znode.owner) {
            owned.remove(path);
            if owned.is_empty() {
                self.ephemerals.remove(&znode.owner);
            }
        }
    }
}

/// The state that one request sees and changes: its own changes, over those proposed, over the tree.
pub(super) struct Draft<'a> {
    tree: &'a Tree,
    overlay: &'a Overlay,
    changes: Changes,
    /// See [`acl::to_keep`].
    room: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(tree: &'a Tree, overlay: &'a Overlay) -> Draft<'a> {
        Draft {
            tree,
            overlay,
            changes: Changes::default(),
            room: acl::GROWTH,
        }
    }

    /// How much the request may still grow.
    pub(super) fn room(&mut self) -> &mut usize {
        &mut self.room
    }

    pub(super) fn get(&self, path: &str) -> Option<Outlook> {
        if let Some(outlook) = self.changes.znodes.get(path) {
            return outlook.clone();
        }
        if let Some((_, outlook)) = self.overlay.znodes.get(path) {
            return outlook.clone();
        }
        let view = self.tree.get(path)?;
        let stat = view.stat();
        Some(Outlook {
            version: stat.version,
            creates: view.creates(),
            children: view.child_count(),
            owner: view.lifetime().owner(),
            acl: view.shared_acl().cloned(),
            aversion: stat.aversion,
        })
    }

    /// The tree as it is applied.
    pub(super) fn tree(&self) -> &'a Tree {
        self.tree
    }

    pub(super) fn set(&mut self, path: String, outlook: Option<Outlook>) {
        self.changes.znodes.insert(path, outlook);
    }

    /// The znode, which exists and has no children, goes.
    pub(super) fn remove(&mut self, path: String) {
        let (parent_path, _) = path::split(&path).expect("the root is never removed");
        let parent = self
            .get(parent_path)
            .expect("a znode that exists has a parent");
        let children = parent
            .children
            .checked_sub(1)
            .expect("the parent counts this child");
        self.set(parent_path.to_owned(), Some(Outlook { children, ..parent }));
        self.set(path, None);
    }

    pub(super) fn close_session(&mut self, session: SessionId) {
        for path in self.overlay.ephemerals(self.tree, session) {
            self.remove(path);
        }
    }

    pub(super) fn discard(&mut self) {
        self.changes = Changes::default();
    }

    pub(super) fn changes(self) -> Changes {
        self.changes
    }
}
