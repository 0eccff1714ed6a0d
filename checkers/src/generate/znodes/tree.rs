//! The tree of znodes, in the order of all writes.

use crate::generate::line::Text;
use std::collections::{BTreeMap, BTreeSet};

/// A znode's path: `/k3`, or one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    pub(super) key: u32,
    pub(super) below: Option<Below>,
}

/// A name below a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Below {
    /// `c1`.
    Named(u32),
    /// `n-0000000007`.
    Numbered(u32),
}

impl Path {
    pub(super) fn key(key: u32) -> Path {
        Path { key, below: None }
    }

    pub(super) fn named(key: u32, name: u32) -> Path {
        Path {
            key,
            below: Some(Below::Named(name)),
        }
    }

    pub(super) fn numbered(key: u32, number: u32) -> Path {
        Path {
            key,
            below: Some(Below::Numbered(number)),
        }
    }

    pub(super) fn parent(self) -> Option<Path> {
        self.below.map(|_| Path::key(self.key))
    }

    /// The whole path; of a sequential znode that is asked for, without its number.
    pub(super) fn write(self, asked: bool, text: &mut Text) {
        text.raw("/k").count(self.key.into());
        if self.below.is_some() {
            text.raw("/");
            self.write_name(asked, text);
        }
    }

    pub(super) fn write_name(self, asked: bool, text: &mut Text) {
        match self.below {
            None => {}
            Some(Below::Named(name)) => {
                text.raw("c").count(name.into());
            }
            Some(Below::Numbered(_)) if asked => {
                text.raw("n-");
            }
            Some(Below::Numbered(number)) => {
                text.raw("n-").raw(&format!("{number:010}"));
            }
        }
    }
}

/// What a znode holds, and its Stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) data: i64,
    pub(super) version: i64,
    pub(super) cversion: i64,
    pub(super) children: i64,
    /// The number of the next sequential child.
    pub(super) next: u32,
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) owner: Option<u64>,
}

/// A part of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Of a sequential znode the number is found when it is made.
    Create {
        path: Path,
        data: i64,
        ephemeral: bool,
    },
    Set {
        path: Path,
        data: i64,
        expected: Option<i64>,
    },
    Delete {
        path: Path,
        expected: Option<i64>,
    },
    Check {
        path: Path,
        expected: Option<i64>,
    },
}

impl Part {
    pub(super) fn path(&self) -> Path {
        match self {
            Part::Create { path, .. }
            | Part::Set { path, .. }
            | Part::Delete { path, .. }
            | Part::Check { path, .. } => *path,
        }
    }

    pub(super) fn is_sequential(&self) -> bool {
        matches!(self, Part::Create { path, .. } if matches!(path.below, Some(Below::Numbered(_))))
    }
}

/// What a part did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Znode(Path),
    Version(i64),
    Nothing,
}

/// What watchers are told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Created,
    Data,
    Deleted,
    Children,
}

impl News {
    pub(super) fn word(self) -> &'static str {
        match self {
            News::Created => "NodeCreated",
            News::Data => "NodeDataChanged",
            News::Deleted => "NodeDeleted",
            News::Children => "NodeChildrenChanged",
        }
    }
}

/// A write as servers apply it: what it leaves behind, whatever was there.
#[derive(Debug, Clone, Default)]
pub(super) struct Txn {
    pub(super) zxid: i64,
    pub(super) changes: Vec<(Path, Option<Node>)>,
    pub(super) news: Vec<(Path, News)>,
}

/// All znodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Path, Node>,
    owned: BTreeMap<u64, BTreeSet<Path>>,
}

/// Why the tree refuses a part, in the protocol's word.
pub(super) type Code = &'static str;

impl Tree {
    pub(super) fn get(&self, path: Path) -> Option<&Node> {
        self.nodes.get(&path)
    }

    pub(super) fn children(&self, key: u32) -> impl Iterator<Item = Path> {
        let below = self
            .nodes
            .range(Path::key(key)..)
            .skip_while(move |(path, _)| **path == Path::key(key));
        below
            .map(|(path, _)| *path)
            .take_while(move |path| path.key == key)
    }

    pub(super) fn apply(&mut self, txn: &Txn) {
        for (path, node) in &txn.changes {
            self.put(*path, *node);
        }
    }

    fn put(&mut self, path: Path, node: Option<Node>) {
        let before = match node {
            Some(node) => self.nodes.insert(path, node),
            None => self.nodes.remove(&path),
        };
        let owners = (
            before.and_then(|node| node.owner),
            node.and_then(|node| node.owner),
        );
        if let (Some(owner), true) = (owners.0, owners.0 != owners.1)
            && let Some(owned) = self.owned.get_mut(&owner)
        {
            owned.remove(&path);
            if owned.is_empty() {
                self.owned.remove(&owner);
            }
        }
        if let Some(owner) = owners.1 {
            self.owned.entry(owner).or_default().insert(path);
        }
    }

    /// Does all parts or none; says what each did, or which one is refused and how.
    pub(super) fn write(
        &mut self,
        parts: &[Part],
        session: u64,
        zxid: i64,
    ) -> Result<(Vec<Made>, Txn), (usize, Code)> {
        let mut txn = Txn {
            zxid,
            ..Txn::default()
        };
        let mut undo = Vec::new();
        let mut made = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            match self.part(part, session, &mut txn, &mut undo) {
                Ok(done) => made.push(done),
                Err(code) => {
                    for (path, node) in undo.into_iter().rev() {
                        self.put(path, node);
                    }
                    return Err((at, code));
                }
            }
        }
        Ok((made, txn))
    }

    /// The end of a session takes its ephemeral znodes.
    pub(super) fn close(&mut self, session: u64, zxid: i64) -> Txn {
        let mut txn = Txn {
            zxid,
            ..Txn::default()
        };
        let owned = self.owned.get(&session).cloned().unwrap_or_default();
        for path in owned {
            self.remove(path, &mut txn, &mut Vec::new());
        }
        txn
    }

    fn change(
        &mut self,
        path: Path,
        node: Option<Node>,
        txn: &mut Txn,
        undo: &mut Vec<(Path, Option<Node>)>,
    ) {
        undo.push((path, self.nodes.get(&path).copied()));
        self.put(path, node);
        txn.changes.push((path, node));
    }

    fn part(
        &mut self,
        part: &Part,
        session: u64,
        txn: &mut Txn,
        undo: &mut Vec<(Path, Option<Node>)>,
    ) -> Result<Made, Code> {
        match *part {
            Part::Create {
                path,
                data,
                ephemeral,
            } => {
                let path = self.create(path, data, ephemeral.then_some(session), txn, undo)?;
                Ok(Made::Znode(path))
            }
            Part::Set {
                path,
                data,
                expected,
            } => {
                let node = self.at_version(path, expected)?;
                let version = node.version + 1;
                let node = Node {
                    data,
                    version,
                    mzxid: txn.zxid,
                    ..node
                };
                self.change(path, Some(node), txn, undo);
                txn.news.push((path, News::Data));
                Ok(Made::Version(version))
            }
            Part::Delete { path, expected } => {
                if self.at_version(path, expected)?.children > 0 {
                    return Err("NotEmpty");
                }
                self.remove(path, txn, undo);
                Ok(Made::Nothing)
            }
            Part::Check { path, expected } => {
                self.at_version(path, expected).map(|_| Made::Nothing)
            }
        }
    }

    fn at_version(&self, path: Path, expected: Option<i64>) -> Result<Node, Code> {
        let node = *self.nodes.get(&path).ok_or("NoNode")?;
        match expected {
            Some(expected) if expected != node.version => Err("BadVersion"),
            _ => Ok(node),
        }
    }

    fn create(
        &mut self,
        asked: Path,
        data: i64,
        owner: Option<u64>,
        txn: &mut Txn,
        undo: &mut Vec<(Path, Option<Node>)>,
    ) -> Result<Path, Code> {
        let above = match asked.parent() {
            Some(parent) => Some((parent, *self.nodes.get(&parent).ok_or("NoNode")?)),
            None => None,
        };
        let path = match (asked.below, above) {
            (Some(Below::Numbered(_)), Some((_, above))) => Path::numbered(asked.key, above.next),
            _ => asked,
        };
        if self.nodes.contains_key(&path) {
            return Err("NodeExists");
        }
        if above.is_some_and(|(_, above)| above.owner.is_some()) {
            return Err("NoChildrenForEphemerals");
        }
        let zxid = txn.zxid;
        let node = Node {
            data,
            version: 0,
            cversion: 0,
            children: 0,
            next: 0,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            owner,
        };
        self.change(path, Some(node), txn, undo);
        txn.news.push((path, News::Created));
        if let Some((parent, above)) = above {
            let above = Node {
                cversion: above.cversion + 1,
                children: above.children + 1,
                next: above.next + 1,
                pzxid: zxid,
                ..above
            };
            self.change(parent, Some(above), txn, undo);
            txn.news.push((parent, News::Children));
        }
        Ok(path)
    }

    fn remove(&mut self, path: Path, txn: &mut Txn, undo: &mut Vec<(Path, Option<Node>)>) {
        self.change(path, None, txn, undo);
        txn.news.push((path, News::Deleted));
        let Some(parent) = path.parent() else { return };
        if let Some(above) = self.nodes.get(&parent).copied() {
            let above = Node {
                cversion: above.cversion + 1,
                children: above.children - 1,
                pzxid: txn.zxid,
                ..above
            };
            self.change(parent, Some(above), txn, undo);
            txn.news.push((parent, News::Children));
        }
    }
}
