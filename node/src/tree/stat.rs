//! What clients see of a znode beside its data.

use crate::request::SessionId;
use crate::zab::Zxid;

/// ZooKeeper's Stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The last transaction that set its data, or created it.
    pub mzxid: Zxid,
    /// The leader's wall clock when it was created, in milliseconds since 1970.
    pub ctime: i64,
    /// The leader's wall clock when its data was set last, in milliseconds since 1970.
    pub mtime: i64,
    /// How often its data was set.
    pub version: i32,
    /// How often children were created or deleted.
    pub cversion: i32,
    /// How often its access control list was set.
    pub aversion: i32,
    /// The session that it goes with, or none.
    pub ephemeral_owner: SessionId,
    /// The length of its data, in bytes.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The last transaction that created or deleted a child, or created it.
    pub pzxid: Zxid,
}
