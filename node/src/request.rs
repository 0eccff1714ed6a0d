//! What clients can ask for, and the error codes that they can get.
//!
//! The words that the wire codec, the leader's preparation and the tree have in common. Nothing here does anything.

use crate::watches::Which;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A session's id; 0 is no session.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: the owner of a znode that is not ephemeral.
    pub const NONE: SessionId = SessionId(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// What a client must show to take its session to another connection.
pub type Password = [u8; 16];

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The permissions, as ZooKeeper's bits.
    pub permissions: i32,
    /// The scheme, such as `world`.
    pub scheme: String,
    /// Who, within the scheme.
    pub id: String,
}

impl Acl {
    /// All permission bits.
    pub const ALL: i32 = 31;

    /// Everybody may do everything.
    pub fn open() -> Acl {
        Acl {
            permissions: Acl::ALL,
            scheme: "world".into(),
            id: "anyone".into(),
        }
    }

    /// Everybody may read.
    pub fn read_only() -> Acl {
        Acl {
            permissions: 1,
            scheme: "world".into(),
            id: "anyone".into(),
        }
    }

    /// Whether this entry alone lets everybody do everything.
    pub fn is_open(&self) -> bool {
        self.permissions == Acl::ALL && self.scheme == "world" && self.id == "anyone"
    }
}

/// The kinds of znode that can be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateMode {
    /// It goes with its session.
    pub ephemeral: bool,
    /// The parent's counter is appended to its name.
    pub sequential: bool,
}

impl CreateMode {
    /// ZooKeeper's flags: 0 persistent, 1 ephemeral, 2 and 3 the same with a sequence number. Containers and TTL
    /// znodes (4 to 6) are not implemented.
    pub fn from_flags(flags: i32) -> Result<CreateMode, ErrorCode> {
        match flags {
            0..=3 => Ok(CreateMode {
                ephemeral: flags & 1 != 0,
                sequential: flags & 2 != 0,
            }),
            4..=6 => Err(ErrorCode::Unimplemented),
            _ => Err(ErrorCode::BadArguments),
        }
    }
}

/// A request that the contacted server answers from its own tree. With `watch`, the client wants to hear once of the
/// next change of what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The Stat, if the znode exists; a watch is set even if it does not.
    Exists {
        /// Which.
        path: String,
        /// Tell of its next change.
        watch: bool,
    },
    /// Data and Stat.
    GetData {
        /// Of which.
        path: String,
        /// Tell of its next change.
        watch: bool,
    },
    /// Access control list and Stat.
    GetAcl {
        /// Of which.
        path: String,
    },
    /// Names of the children.
    GetChildren {
        /// Of which.
        path: String,
        /// Tell of their next change.
        watch: bool,
    },
    /// Names of the children, and Stat.
    GetChildren2 {
        /// Of which.
        path: String,
        /// Tell of their next change.
        watch: bool,
    },
}

/// A request about the client's watches, which live on the contacted server alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchRequest {
    /// After reconnecting: sets the watches again, and tells at once what has changed since `seen`.
    Set(Box<WatchesToSet>),
    /// Sets a watch that stays.
    Add {
        /// Where.
        path: String,
        /// With all that is below it.
        recursive: bool,
    },
    /// Removes watches.
    Remove {
        /// Where.
        path: String,
        /// Which.
        which: Which,
    },
    /// Are there such watches?
    Check {
        /// Where.
        path: String,
        /// Which.
        which: Which,
    },
}

/// The watches that a client had on another connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchesToSet {
    /// The newest zxid that the client has seen.
    pub seen: i64,
    /// On data, of znodes that existed.
    pub data: Vec<String>,
    /// On existence, of znodes that did not.
    pub exists: Vec<String>,
    /// On children.
    pub children: Vec<String>,
    /// Those that stay.
    pub persistent: Vec<String>,
    /// Those that stay, with all that is below.
    pub recursive: Vec<String>,
}

/// A request that goes to the leader and through the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// Create a znode.
    Create {
        /// Where; a sequential znode's number is appended.
        path: String,
        /// Its data; `None` is Java's null.
        data: Option<Bytes>,
        /// Its access control list.
        acl: Vec<Acl>,
        /// ZooKeeper's flags, see [`CreateMode::from_flags`].
        flags: i32,
    },
    /// Delete a znode.
    Delete {
        /// Which.
        path: String,
        /// The version that it must have, or -1.
        version: i32,
    },
    /// Replace a znode's data.
    SetData {
        /// Which.
        path: String,
        /// The new data.
        data: Option<Bytes>,
        /// The version that it must have, or -1.
        version: i32,
    },
    /// Fail unless the znode has this version.
    Check {
        /// Which.
        path: String,
        /// The version that it must have, or -1.
        version: i32,
    },
    /// All or nothing.
    Multi(Vec<Write>),
    /// Open a session; comes from the contacted server, not from a client's request.
    OpenSession {
        /// How long it lives without a sign of life, in milliseconds.
        timeout_ms: i32,
        /// What its client must show to take it elsewhere.
        password: Password,
    },
    /// Close the session of the request.
    CloseSession,
}

impl Write {
    /// Its size, in bytes, roughly.
    pub fn size(&self) -> usize {
        match self {
            Write::Create { path, data, .. } | Write::SetData { path, data, .. } => {
                path.len() + data.as_ref().map_or(0, Bytes::len)
            }
            Write::Delete { path, .. } | Write::Check { path, .. } => path.len(),
            Write::Multi(writes) => writes.iter().map(|write| 16 + write.size()).sum(),
            Write::OpenSession { .. } | Write::CloseSession => 16,
        }
    }
}

/// ZooKeeper's error codes, as far as they are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ErrorCode {
    /// No error: operations of a failed multi that stand before the one that failed.
    #[error("ok")]
    Ok,
    /// Operations of a failed multi that stand after the one that failed.
    #[error("not tried, because an operation before it failed")]
    RuntimeInconsistency,
    /// The operation is not implemented.
    #[error("unimplemented")]
    Unimplemented,
    /// A path or an argument is not legal.
    #[error("bad arguments")]
    BadArguments,
    /// There is no such znode, or its parent does not exist.
    #[error("no node")]
    NoNode,
    /// Not allowed.
    #[error("not authorised")]
    NoAuth,
    /// The znode has another version.
    #[error("bad version")]
    BadVersion,
    /// An ephemeral znode cannot have children.
    #[error("ephemeral znodes have no children")]
    NoChildrenForEphemerals,
    /// The znode exists already.
    #[error("node exists")]
    NodeExists,
    /// The znode has children.
    #[error("not empty")]
    NotEmpty,
    /// The session is closed, or being closed.
    #[error("session expired")]
    SessionExpired,
    /// The access control list is empty, or cannot be honoured.
    #[error("invalid ACL")]
    InvalidAcl,
    /// The session has moved to another server.
    #[error("session moved")]
    SessionMoved,
    /// The client has no such watch.
    #[error("no such watch")]
    NoWatcher,
}

impl ErrorCode {
    /// The code on the wire.
    pub fn code(self) -> i32 {
        match self {
            ErrorCode::Ok => 0,
            ErrorCode::RuntimeInconsistency => -2,
            ErrorCode::Unimplemented => -6,
            ErrorCode::BadArguments => -8,
            ErrorCode::NoNode => -101,
            ErrorCode::NoAuth => -102,
            ErrorCode::BadVersion => -103,
            ErrorCode::NoChildrenForEphemerals => -108,
            ErrorCode::NodeExists => -110,
            ErrorCode::NotEmpty => -111,
            ErrorCode::SessionExpired => -112,
            ErrorCode::InvalidAcl => -114,
            ErrorCode::SessionMoved => -118,
            ErrorCode::NoWatcher => -121,
        }
    }
}
