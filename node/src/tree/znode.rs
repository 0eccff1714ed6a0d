//! One znode, as small as may be: there are millions of them.

use super::arena::{NOWHERE, Slot};
use super::stat::Stat;
use crate::request::{Acl, SessionId};
use crate::zab::Zxid;
use std::sync::Arc;
use triomphe::ThinArc;

/// What few znodes have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Special {
    acl: Option<Arc<[Acl]>>,
    owner: SessionId,
    aversion: i32,
}

/// Set in `name_length` where there is data, be it empty: Java's null is something else.
const HAS_DATA: u32 = 1 << 31;

/// One znode.
#[derive(Debug, Clone)]
pub(super) struct Znode {
    /// The name, then the data; the methods below keep it, and its length.
    pub(super) text: Option<ThinArc<(), u8>>,
    pub(super) special: Option<Arc<Special>>,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// Children ever created: the source of sequence numbers.
    pub(super) creates: i32,
    pub(super) name_length: u32,
    /// CRC32Cs of path (the root's is empty) and data, for the digest; the arena keeps them.
    pub(super) path_crc: u32,
    pub(super) data_crc: u32,
    /// How many children it has.
    pub(super) children: u32,
    /// Where it hangs in the tree; the arena keeps it.
    pub(super) parent: Slot,
    pub(super) first_child: Slot,
    pub(super) next: Slot,
    pub(super) previous: Slot,
}

impl Default for Znode {
    fn default() -> Znode {
        Znode {
            text: None,
            special: None,
            czxid: Zxid::ZERO,
            mzxid: Zxid::ZERO,
            pzxid: Zxid::ZERO,
            ctime: 0,
            mtime: 0,
            version: 0,
            creates: 0,
            name_length: 0,
            path_crc: 0,
            data_crc: 0,
            children: 0,
            parent: NOWHERE,
            first_child: NOWHERE,
            next: NOWHERE,
            previous: NOWHERE,
        }
    }
}

impl Znode {
    /// With this list, owner and version of the list.
    pub(super) fn with(self, acl: Option<Arc<[Acl]>>, owner: SessionId, aversion: i32) -> Znode {
        let special = Special {
            acl,
            owner,
            aversion,
        };
        Znode {
            special: (special != Special::default()).then(|| Arc::new(special)),
            ..self
        }
    }

    fn text(&self) -> &[u8] {
        self.text.as_ref().map_or(&[], |text| &text.slice)
    }

    fn split(&self) -> (&[u8], &[u8]) {
        self.text()
            .split_at((self.name_length & !HAS_DATA) as usize)
    }

    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(self.split().0).expect("it was made of a string")
    }

    /// `None` is Java's null.
    pub(super) fn data(&self) -> Option<&[u8]> {
        (self.name_length & HAS_DATA != 0).then(|| self.split().1)
    }

    pub(super) fn data_len(&self) -> usize {
        self.split().1.len()
    }

    /// Gives it name and data; `scratch` is used on the way.
    pub(super) fn set_text(&mut self, name: &[u8], data: Option<&[u8]>, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(name);
        self.put_data(data, scratch);
    }

    /// Gives it other data; `scratch` is used on the way.
    pub(super) fn set_data(&mut self, data: Option<&[u8]>, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(self.split().0);
        self.put_data(data, scratch);
    }

    fn put_data(&mut self, data: Option<&[u8]>, scratch: &mut Vec<u8>) {
        let name = u32::try_from(scratch.len()).expect("a frame is far shorter than 2 GiB");
        assert!(name < HAS_DATA, "a frame is far shorter than 2 GiB");
        scratch.extend_from_slice(data.unwrap_or_default());
        self.name_length = name | if data.is_some() { HAS_DATA } else { 0 };
        self.data_crc = crc32c::crc32c(data.unwrap_or_default());
        let text = || ThinArc::from_header_and_slice((), scratch);
        self.text = (!scratch.is_empty()).then(text);
    }

    /// `None`: open to everybody, as nearly every znode is.
    pub(super) fn acl(&self) -> Option<&Arc<[Acl]>> {
        self.special.as_ref()?.acl.as_ref()
    }

    pub(super) fn owner(&self) -> SessionId {
        let special = self.special.as_ref();
        special.map_or(SessionId::NONE, |special| special.owner)
    }

    /// How often its list was set.
    pub(super) fn aversion(&self) -> i32 {
        self.special.as_ref().map_or(0, |special| special.aversion)
    }

    pub(super) fn set_acl(&mut self, acl: Option<Arc<[Acl]>>, aversion: i32) {
        let owner = self.owner();
        *self = std::mem::take(self).with(acl, owner, aversion);
    }

    /// Takes another's fields, but for its name, data, and place in the tree.
    pub(super) fn take_fields(&mut self, other: Znode) {
        let own = std::mem::take(self);
        *self = Znode {
            text: own.text,
            name_length: own.name_length,
            path_crc: own.path_crc,
            data_crc: own.data_crc,
            children: own.children,
            parent: own.parent,
            first_child: own.first_child,
            next: own.next,
            previous: own.previous,
            ..other
        };
    }

    pub(super) fn stat(&self) -> Stat {
        let children = self.children as i32;
        let owner = self.owner();
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Every child that was created and is not there any more was deleted: creates + deletes.
            cversion: self.creates.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion(),
            // Containers and times to live are not shown, as in ZooKeeper.
            ephemeral_owner: if owner.is_session() {
                owner
            } else {
                SessionId::NONE
            },
            data_length: self.data_len() as i32,
            num_children: children,
            pzxid: self.pzxid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million of them is what the README states a figure for.
    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Znode>(), 96);
    }

    #[test]
    fn no_data_differs_from_empty_data() {
        let mut znode = Znode::default();
        for data in [None, Some(&b""[..]), Some(b"data")] {
            znode.set_text("ä".as_bytes(), data, &mut Vec::new());
            assert_eq!((znode.name(), znode.data()), ("ä", data));
        }
        znode.set_data(None, &mut Vec::new());
        assert_eq!((znode.name(), znode.data()), ("ä", None));
    }
}
