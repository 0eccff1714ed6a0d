//! The replay's tree: a table by path, children and ephemeral znodes by owner beside it, and a journal to go back.

use super::super::call::{PathId, SessionId};
use super::super::decode::Paths;
use super::{Node, Nodes};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// A tree that can go back to where it was.
#[derive(Debug)]
pub(in super::super) struct Table {
    nodes: Vec<Option<Node>>,
    parents: Vec<Option<PathId>>,
    children: FxHashMap<PathId, BTreeSet<PathId>>,
    ephemerals: FxHashMap<SessionId, BTreeSet<PathId>>,
    /// What was there before each change since the last [`Table::keep`].
    journal: Vec<(PathId, Option<Node>)>,
}

impl Table {
    /// The tree in which only these znodes are.
    pub(in super::super) fn new(paths: &Paths<'_>, given: &[(PathId, Node)]) -> Table {
        let all = (0..paths.len() as u32).map(PathId);
        let mut table = Table {
            nodes: vec![None; paths.len()],
            parents: all.map(|path| paths.parent(path)).collect(),
            children: FxHashMap::default(),
            ephemerals: FxHashMap::default(),
            journal: Vec::new(),
        };
        for (path, node) in given {
            table.put(*path, Some(*node));
        }
        table.keep();
        table
    }

    /// Forgets how to go back.
    pub(in super::super) fn keep(&mut self) {
        self.journal.clear();
    }

    /// Where the tree is now, to go back to.
    pub(in super::super) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Goes back to a mark, or to the last [`Table::keep`] with 0.
    pub(in super::super) fn undo(&mut self, mark: usize) {
        while self.journal.len() > mark {
            let Some((path, node)) = self.journal.pop() else {
                return;
            };
            self.replace(path, node);
        }
    }

    fn replace(&mut self, path: PathId, node: Option<Node>) -> Option<Node> {
        let before = std::mem::replace(&mut self.nodes[path.0 as usize], node);
        if before.is_some() != node.is_some()
            && let Some(parent) = self.parents[path.0 as usize]
        {
            let children = self.children.entry(parent).or_default();
            match node {
                Some(_) => children.insert(path),
                None => children.remove(&path),
            };
        }
        let (old, new) = (
            before.and_then(|node| node.owner).flatten(),
            node.and_then(|node| node.owner).flatten(),
        );
        if old != new {
            if let Some(old) = old {
                self.ephemerals.entry(old).or_default().remove(&path);
            }
            if let Some(new) = new {
                self.ephemerals.entry(new).or_default().insert(path);
            }
        }
        before
    }
}

impl Nodes for Table {
    fn get(&self, path: PathId) -> Option<Node> {
        self.nodes[path.0 as usize]
    }

    fn put(&mut self, path: PathId, node: Option<Node>) {
        let before = self.replace(path, node);
        self.journal.push((path, before));
    }

    fn has_children(&self, path: PathId) -> bool {
        self.children
            .get(&path)
            .is_some_and(|children| !children.is_empty())
    }

    fn children(&self, path: PathId) -> Vec<PathId> {
        let children = self.children.get(&path).into_iter().flatten();
        children.copied().collect()
    }

    fn ephemerals(&self, session: SessionId) -> Vec<PathId> {
        let owned = self.ephemerals.get(&session).into_iter().flatten();
        owned.copied().collect()
    }
}
