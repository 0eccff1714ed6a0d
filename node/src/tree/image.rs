//! The tree as bytes: snapshots.
//!
//! Deterministic: equal trees have equal bytes, on every server. A header, the sessions by id, then the znodes: each before its
//! children, and these by name, so that a tree is restored in one pass (see `restore`). What is written is a frozen tree: the tree itself goes on
//! meanwhile.

use super::arena::{Pages, ROOT, Slot};
use super::znode::Znode;
use super::{Digest, Ensemble, Session, Tree};
use crate::request::{Acl, Password, SessionId};
use crate::zab::{self, Zxid};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The version of the image's layout, its first byte.
pub(super) const FORMAT: u8 = 5;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) zxid: Zxid,
    /// Whoever reads it must come to the same.
    pub(super) digest: Digest,
    pub(super) ensemble: Option<Ensemble>,
    pub(super) sessions: u64,
    pub(super) znodes: u64,
}

/// A znode. How many children it has tells where it ends.
#[derive(Serialize, Deserialize)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) name: &'a str,
    pub(super) children: u32,
    pub(super) data: Option<Raw<'a>>,
    pub(super) acl: Option<Cow<'a, [Acl]>>,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    pub(super) creates: i32,
    pub(super) aversion: i32,
    pub(super) owner: SessionId,
}

/// Bytes that are written and read as they stand, not one by one.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw<'a>, D::Error> {
        struct Borrowed;
        impl<'de> de::Visitor<'de> for Borrowed {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Raw<'de>, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

impl<'a> Record<'a> {
    fn of(znode: &'a Znode) -> Record<'a> {
        Record {
            name: znode.name(),
            children: znode.children,
            data: znode.data().map(Raw),
            acl: znode.acl().map(|list| Cow::Borrowed(&**list)),
            czxid: znode.czxid,
            mzxid: znode.mzxid,
            pzxid: znode.pzxid,
            ctime: znode.ctime,
            mtime: znode.mtime,
            version: znode.version,
            creates: znode.creates,
            aversion: znode.aversion(),
            owner: znode.owner(),
        }
    }
}

/// A tree as it was at one moment.
pub struct Frozen {
    header: Header,
    sessions: Vec<(SessionId, i32, Password)>,
    pages: Pages,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header.fmt(f)
    }
}

impl Tree {
    /// The tree as it is now; it costs a pointer for each 64 znodes, a few words for each session, and later a copy of what changes.
    pub fn freeze(&self) -> Frozen {
        let header = Header {
            zxid: self.zxid,
            digest: self.digest(),
            ensemble: self.ensemble.clone(),
            sessions: self.sessions.len() as u64,
            znodes: self.znodes.len() as u64,
        };
        let sessions = self.sessions.iter();
        Frozen {
            header,
            sessions: sessions
                .map(|(id, session)| (*id, session.timeout_ms, session.password))
                .collect(),
            pages: self.znodes.freeze(),
        }
    }

    /// The whole image in one piece; for trees that are known to be small.
    pub fn image(&self) -> Bytes {
        let mut out = BytesMut::new();
        let pieces = Writer::new(Arc::new(self.freeze()), 1 << 20);
        pieces.for_each(|piece| out.extend_from_slice(&piece));
        out.freeze()
    }
}

impl zab::Frozen for Frozen {
    fn pieces(self: Arc<Self>, size: usize) -> Box<dyn Iterator<Item = Bytes> + Send> {
        Box::new(Writer::new(self, size))
    }
}

/// Writes the image of a frozen tree, piece by piece.
struct Writer {
    frozen: Arc<Frozen>,
    /// How long each piece is, but for the last.
    size: usize,
    /// What is written and not yet given out.
    out: BytesMut,
    next_session: usize,
    /// Znodes that are to be written, the next one last.
    waiting: Vec<Slot>,
}

fn put<T: Serialize>(out: &mut BytesMut, value: &T) {
    postcard::to_extend(value, Extend(out)).expect("it grows, and every field has an encoding");
}

/// Bytes at the end of a buffer.
struct Extend<'a>(&'a mut BytesMut);

impl std::iter::Extend<u8> for Extend<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}

impl Writer {
    fn new(frozen: Arc<Frozen>, size: usize) -> Writer {
        let mut out = BytesMut::with_capacity(size);
        out.extend_from_slice(&[FORMAT]);
        put(&mut out, &frozen.header);
        Writer {
            frozen,
            size,
            out,
            next_session: 0,
            waiting: vec![ROOT],
        }
    }

    /// Writes a session or a znode; false if all are written.
    fn write_one(&mut self) -> bool {
        if let Some((id, timeout_ms, password)) = self.frozen.sessions.get(self.next_session) {
            let session = Session {
                timeout_ms: *timeout_ms,
                password: *password,
                ephemerals: BTreeSet::new(),
            };
            put(&mut self.out, &(*id, session));
            self.next_session += 1;
            return true;
        }
        let Some(slot) = self.waiting.pop() else {
            return false;
        };
        put(&mut self.out, &Record::of(self.frozen.pages.get(slot)));
        let children = self.frozen.pages.sorted_children(slot);
        self.waiting.extend(children.into_iter().rev());
        true
    }
}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.out.len() < self.size && self.write_one() {}
        let length = self.size.min(self.out.len());
        (length > 0).then(|| self.out.split_to(length).freeze())
    }
}
