//! A tree of the bytes of an image, which come in pieces.

use super::arena::{Arena, NOWHERE, ROOT, Slot};
use super::image::{FORMAT, Header, Raw, Record};
use super::lists::Lists;
use super::znode::Znode;
use super::{Session, Tree};
use crate::request::{Lifetime, SessionId};
use crate::zab::View;
use bytes::Bytes;
use serde::Deserialize;
use std::borrow::Cow;

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
    /// It is cut off, or continues where it should end, or its znodes are not in order, or the like.
    #[error("the snapshot is inconsistent: {0}")]
    Inconsistent(&'static str),
}

/// Who belongs to the ensemble by an image, if it says so; only its beginning is looked at.
pub fn view_in(beginning: &Bytes) -> Option<View> {
    let rest = beginning.strip_prefix(&[FORMAT])?;
    let (header, _): (Header, _) = postcard::take_from_bytes(rest).ok()?;
    Some(header.ensemble?.view)
}

/// A znode whose children are not all there yet.
#[derive(Debug)]
struct Open {
    slot: Slot,
    /// So many children are still to come.
    missing: u32,
    /// How long the path is without this znode.
    path: usize,
}

/// Restores a tree.
#[derive(Debug)]
pub struct Restorer {
    tree: Tree,
    header: Option<Header>,
    sessions: u64,
    znodes: u64,
    /// From the root down to the znode that gets children.
    open: Vec<Open>,
    /// Its path, without the slash that a child's begins with.
    path: String,
    /// What has come and is not a whole item yet.
    rest: Vec<u8>,
}

impl Default for Restorer {
    fn default() -> Restorer {
        let tree = Tree {
            znodes: Arena::new(),
            lists: Lists::default(),
            ..Tree::new()
        };
        Restorer {
            tree,
            header: None,
            sessions: 0,
            znodes: 0,
            open: Vec::new(),
            path: String::new(),
            rest: Vec::new(),
        }
    }
}

/// The item at the start of the bytes, and how long it is; `None` if there is more to come.
fn item<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<Option<(T, usize)>, ImageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((item, after)) => Ok(Some((item, bytes.len() - after.len()))),
        Err(postcard::Error::DeserializeUnexpectedEnd) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Restorer {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), ImageError> {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(piece);
        let mut at = 0;
        while let Some(length) = self.take(&bytes[at..])? {
            at += length;
        }
        bytes.drain(..at);
        self.rest = bytes;
        Ok(())
    }

    /// Takes the item at the start of the bytes; its length, or `None` if it is not whole.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<usize>, ImageError> {
        let Some(header) = &self.header else {
            let Some((format, rest)) = bytes.split_first() else {
                return Ok(None);
            };
            if *format != FORMAT {
                return Err(ImageError::Format(*format));
            }
            let header = item(rest)?;
            return Ok(header.map(|(header, length)| {
                self.header = Some(header);
                length + 1
            }));
        };
        if self.sessions < header.sessions {
            let session = item::<(SessionId, Session)>(bytes)?;
            return Ok(session.map(|((id, session), length)| {
                self.sessions += 1;
                self.tree.add_session(id, session);
                length
            }));
        }
        if self.znodes == header.znodes {
            return match bytes {
                [] => Ok(None),
                _ => Err(ImageError::Inconsistent("it goes on behind its end")),
            };
        }
        let Some((record, length)) = item(bytes)? else {
            return Ok(None);
        };
        self.place(record)?;
        self.znodes += 1;
        Ok(Some(length))
    }

    fn place(&mut self, record: Record<'_>) -> Result<(), ImageError> {
        let acl = record.acl.map(Cow::into_owned);
        let acl = acl.and_then(|acl| self.tree.lists.keep(acl));
        let znode = Znode {
            czxid: record.czxid,
            mzxid: record.mzxid,
            pzxid: record.pzxid,
            ctime: record.ctime,
            mtime: record.mtime,
            version: record.version,
            creates: record.creates,
            ..Znode::default()
        };
        let znode = znode.with(acl, record.owner, record.aversion);
        let data = record.data.map(|Raw(data)| data);
        let before = self.path.len();
        let slot = match self.open.last_mut() {
            None if self.znodes > 0 => {
                return Err(ImageError::Inconsistent("a znode has no parent"));
            }
            None => {
                self.tree.znodes.set_root(data, znode);
                ROOT
            }
            Some(above) => {
                if record.name.is_empty() || record.name.contains('/') {
                    return Err(ImageError::Inconsistent("a name is not legal"));
                }
                // The newest child is the first in the list.
                let before = self.tree.znodes.get(above.slot).first_child;
                if before != NOWHERE && self.tree.znodes.get(before).name() >= record.name {
                    let problem = "the children of a znode are not in order";
                    return Err(ImageError::Inconsistent(problem));
                }
                above.missing -= 1;
                self.path.push('/');
                self.path.push_str(record.name);
                let parent = above.slot;
                self.tree.znodes.place(parent, record.name, data, znode)
            }
        };
        self.found(record.owner)?;
        self.open.push(Open {
            slot,
            missing: record.children,
            path: before,
        });
        while let Some(whole) = self.open.pop_if(|open| open.missing == 0) {
            self.path.truncate(whole.path);
        }
        Ok(())
    }

    /// Notes what else the tree knows of the znode that was placed.
    fn found(&mut self, owner: SessionId) -> Result<(), ImageError> {
        let (tree, path) = (&mut self.tree, &self.path);
        tree.quota_found(path);
        match owner.lifetime() {
            Lifetime::Persistent => {}
            Lifetime::Container | Lifetime::Ttl(_) => {
                tree.perishable.insert(path.clone());
            }
            Lifetime::Session(_) => {
                let session = tree.sessions.get_mut(&owner);
                let session = session.ok_or(ImageError::Inconsistent(
                    "an ephemeral znode has no session",
                ))?;
                session.ephemerals.insert(path.clone());
                tree.ephemerals += 1;
            }
        }
        Ok(())
    }

    /// The tree, now that all pieces have come.
    pub fn finish(mut self) -> Result<Tree, ImageError> {
        let cut = ImageError::Inconsistent("it is cut off");
        let Some(header) = self.header else {
            return Err(cut);
        };
        let whole = self.sessions == header.sessions && self.znodes == header.znodes;
        if !whole || !self.open.is_empty() || !self.rest.is_empty() {
            return Err(cut);
        }
        self.tree.znodes.index_all();
        let tree = Tree {
            zxid: header.zxid,
            ensemble: header.ensemble,
            ..self.tree
        };
        if tree.digest() != header.digest {
            return Err(ImageError::Inconsistent(
                "its digest is not that of the state from which it was made",
            ));
        }
        Ok(tree)
    }
}

impl Tree {
    /// The state in an image that is there in one piece.
    pub fn restore(image: &[u8]) -> Result<Tree, ImageError> {
        let mut restorer = Restorer::default();
        restorer.push(image)?;
        restorer.finish()
    }
}
