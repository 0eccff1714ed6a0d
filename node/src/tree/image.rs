//! The tree as bytes: snapshots.
//!
//! Deterministic: equal trees have equal bytes. Parents stand before their children, so that a tree is restored in one
//! pass.

use super::arena::{Arena, ROOT, Znode};
use super::lists::Lists;
use super::{Digest, Ensemble, Session, Tree, path};
use crate::request::{Acl, Lifetime, SessionId};
use crate::zab::{View, Zxid};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the image's layout, its first byte.
const FORMAT: u8 = 3;

/// An image that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Another version wrote it.
    #[error(
        "the snapshot has format {0}, and this node reads format {FORMAT}: use the version that wrote it"
    )]
    Format(u8),
    /// The bytes make no sense.
    #[error("the snapshot cannot be decoded ({0})")]
    Garbage(#[from] postcard::Error),
    /// It is cut off, or continues where it should end, or a znode has no parent, or the like.
    #[error("the snapshot is inconsistent: {0}")]
    Inconsistent(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Header {
    zxid: Zxid,
    /// Whoever reads it must come to the same.
    digest: Digest,
    ensemble: Option<Ensemble>,
    sessions: u64,
    znodes: u64,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    path: Cow<'a, str>,
    data: Option<Bytes>,
    acl: Option<Cow<'a, [Acl]>>,
    czxid: Zxid,
    mzxid: Zxid,
    pzxid: Zxid,
    ctime: i64,
    mtime: i64,
    version: i32,
    creates: i32,
    aversion: i32,
    owner: SessionId,
}

impl<'a> Record<'a> {
    fn of(path: String, znode: &'a Znode) -> Record<'a> {
        Record {
            path: Cow::Owned(path),
            data: znode.data.clone(),
            acl: znode.acl.as_deref().map(Cow::Borrowed),
            czxid: znode.czxid,
            mzxid: znode.mzxid,
            pzxid: znode.pzxid,
            ctime: znode.ctime,
            mtime: znode.mtime,
            version: znode.version,
            creates: znode.creates,
            aversion: znode.aversion,
            owner: znode.owner,
        }
    }

    fn into_znode(self, lists: &mut Lists) -> Znode {
        Znode {
            data: self.data,
            acl: self.acl.and_then(|acl| lists.keep(acl.into_owned())),
            czxid: self.czxid,
            mzxid: self.mzxid,
            pzxid: self.pzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            creates: self.creates,
            aversion: self.aversion,
            owner: self.owner,
            ..Znode::default()
        }
    }
}

fn put<T: Serialize>(out: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, out).expect("a Vec grows, and every field has an encoding")
}

/// Who belongs to the ensemble by an image, if it says so; the znodes are not looked at.
pub fn view_in(image: &Bytes) -> Option<View> {
    let rest = image.strip_prefix(&[FORMAT])?;
    let (header, _): (Header, _) = postcard::take_from_bytes(rest).ok()?;
    Some(header.ensemble?.view)
}

impl Tree {
    /// The whole state, as bytes.
    pub fn image(&self) -> Bytes {
        let header = Header {
            zxid: self.zxid,
            digest: self.digest(),
            ensemble: self.ensemble.clone(),
            sessions: self.sessions.len() as u64,
            znodes: self.znodes.len() as u64,
        };
        let mut out = Vec::with_capacity(64 + self.znodes.bytes() + 64 * self.znodes.len());
        out.push(FORMAT);
        out = put(out, &header);
        for session in &self.sessions {
            out = put(out, &session);
        }
        for (path, znode) in self.znodes.walk() {
            out = put(out, &Record::of(path, znode));
        }
        out.into()
    }

    /// The state in an image.
    pub fn restore(image: &[u8]) -> Result<Tree, ImageError> {
        let (format, rest) = image
            .split_first()
            .ok_or(ImageError::Inconsistent("it is empty"))?;
        if *format != FORMAT {
            return Err(ImageError::Format(*format));
        }
        let (header, mut rest): (Header, _) = postcard::take_from_bytes(rest)?;
        let mut tree = Tree {
            zxid: header.zxid,
            znodes: Arena::new(),
            sessions: BTreeMap::new(),
            sessions_digest: Digest::default(),
            lists: Lists::default(),
            ephemerals: 0,
            perishable: BTreeSet::new(),
            quotas: BTreeSet::new(),
            ensemble: header.ensemble,
        };
        for _ in 0..header.sessions {
            let ((id, session), after): ((SessionId, Session), _) =
                postcard::take_from_bytes(rest)?;
            tree.add_session(id, session);
            rest = after;
        }
        for _ in 0..header.znodes {
            let (record, after) = postcard::take_from_bytes(rest)?;
            tree.place(record)?;
            rest = after;
        }
        if !rest.is_empty() {
            return Err(ImageError::Inconsistent("it goes on behind its end"));
        }
        if tree.digest() != header.digest {
            return Err(ImageError::Inconsistent(
                "its digest is not that of the state from which it was made",
            ));
        }
        Ok(tree)
    }

    fn place(&mut self, mut record: Record<'_>) -> Result<(), ImageError> {
        let path = std::mem::take(&mut record.path).into_owned();
        let Some((parent, name)) = path::split(&path) else {
            if path != "/" {
                return Err(ImageError::Inconsistent("a path is not legal"));
            }
            let mut znode = record.into_znode(&mut self.lists);
            let data = znode.data.take();
            self.znodes.set_data(ROOT, data, |root| {
                *root = Znode {
                    data: root.data.take(),
                    children: std::mem::take(&mut root.children),
                    path_crc: root.path_crc,
                    data_crc: root.data_crc,
                    ..znode
                };
            });
            return Ok(());
        };
        let parent = self
            .znodes
            .find(parent)
            .ok_or(ImageError::Inconsistent("a znode has no parent"))?;
        if self.znodes.get(parent).children.contains_key(name) {
            return Err(ImageError::Inconsistent("a znode stands in it twice"));
        }
        let znode = record.into_znode(&mut self.lists);
        let owner = znode.owner;
        self.znodes.insert(parent, name, znode);
        self.quota_found(&path);
        match owner.lifetime() {
            Lifetime::Persistent => return Ok(()),
            Lifetime::Container | Lifetime::Ttl(_) => {
                self.perishable.insert(path);
                return Ok(());
            }
            Lifetime::Session(_) => {}
        }
        let session = self.sessions.get_mut(&owner);
        let session = session.ok_or(ImageError::Inconsistent(
            "an ephemeral znode has no session",
        ))?;
        session.ephemerals.insert(path);
        self.ephemerals += 1;
        Ok(())
    }
}
