//! What clients can ask for, and the error codes that they can get.
//!
//! The words that the wire codec, the leader's preparation and the tree have in common. Nothing here does anything.

use crate::ensemble::Wanted;
use crate::watches::Which;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

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

/// Whose life a znode's is bound to. On the wire and on disk it is the znode's `ephemeralOwner`, as ZooKeeper encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Nobody's: it stays until it is deleted.
    Persistent,
    /// A session's.
    Session(SessionId),
    /// Its children's: it goes some time after the last of them.
    Container,
    /// Its own: it goes when it has had no children and was not set for so many milliseconds.
    Ttl(i64),
}

impl Lifetime {
    const CONTAINER: i64 = i64::MIN;
    const TTL: i64 = 0xff << 56;
    /// The longest time to live, in milliseconds.
    pub const MAX_TTL_MS: i64 = (1 << 40) - 1;

    /// As a znode's owner.
    pub fn owner(self) -> SessionId {
        match self {
            Lifetime::Persistent => SessionId::NONE,
            Lifetime::Session(session) => session,
            Lifetime::Container => SessionId(Lifetime::CONTAINER),
            Lifetime::Ttl(ms) => SessionId(Lifetime::TTL | ms),
        }
    }
}

impl SessionId {
    /// What a znode's owner says about its life.
    pub fn lifetime(self) -> Lifetime {
        match self.0 {
            0 => Lifetime::Persistent,
            Lifetime::CONTAINER => Lifetime::Container,
            // Ids of servers are at most 254, so that no session's id begins like this.
            owner if owner & Lifetime::TTL == Lifetime::TTL => {
                Lifetime::Ttl(owner & Lifetime::MAX_TTL_MS)
            }
            _ => Lifetime::Session(self),
        }
    }

    /// Whether, as a znode's owner, it is a session: the znode is ephemeral.
    pub fn is_session(self) -> bool {
        matches!(self.lifetime(), Lifetime::Session(_))
    }
}

/// Somebody, within a scheme of authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Id {
    /// The scheme, such as `digest`.
    pub scheme: String,
    /// Who, within the scheme.
    pub id: String,
}

impl Id {
    /// Its size, in bytes.
    pub fn size(&self) -> usize {
        self.scheme.len() + self.id.len()
    }
}

/// Who a client is: where it connects from, and what it has shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its address.
    pub address: IpAddr,
    /// What it has shown, in that order, nothing twice.
    pub ids: Vec<Id>,
}

impl Identity {
    /// A client that has shown nothing yet.
    pub fn at(address: IpAddr) -> Identity {
        Identity {
            address,
            ids: Vec::new(),
        }
    }

    /// How much it has shown, in bytes.
    pub fn size(&self) -> usize {
        self.ids.iter().map(Id::size).sum()
    }

    /// It has shown this.
    pub fn add(&mut self, id: Id) {
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    /// Whether it may do everything.
    pub fn is_super(&self) -> bool {
        self.ids.iter().any(|id| id.scheme == "super")
    }
}

/// What a client must show to take its session to another connection.
pub type Password = [u8; 16];

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

/// How a znode is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateMode {
    /// How long it lives.
    pub lifetime: Lifetime,
    /// The parent's counter is appended to its name.
    pub sequential: bool,
}

impl CreateMode {
    /// ZooKeeper's flags: 0 persistent, 1 ephemeral, 2 and 3 the same with a sequence number, 4 container, 5 with a time
    /// to live, 6 the same with a sequence number. `ttl_ms` is negative where there is none.
    pub fn from_flags(
        flags: i32,
        ttl_ms: i64,
        session: SessionId,
    ) -> Result<CreateMode, ErrorCode> {
        let lifetime = match flags {
            0 | 2 => Lifetime::Persistent,
            1 | 3 => Lifetime::Session(session),
            4 => Lifetime::Container,
            5 | 6 if (1..=Lifetime::MAX_TTL_MS).contains(&ttl_ms) => Lifetime::Ttl(ttl_ms),
            _ => return Err(ErrorCode::BadArguments),
        };
        if ttl_ms >= 0 && !matches!(lifetime, Lifetime::Ttl(_)) {
            return Err(ErrorCode::BadArguments);
        }
        Ok(CreateMode {
            lifetime,
            sequential: matches!(flags, 2 | 3 | 6),
        })
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
    /// The number of znodes below one, at any depth.
    GetAllChildrenNumber {
        /// Below which.
        path: String,
    },
    /// The paths of the session's ephemeral znodes that begin with this.
    GetEphemerals {
        /// The beginning.
        prefix: String,
    },
    /// Who the server takes the client for.
    WhoAmI,
    /// Several reads at one point of the order, each with its own result.
    Multi(Vec<Read>),
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
        /// Its time to live, in milliseconds; negative if it has none.
        ttl_ms: i64,
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
    #[serde(deserialize_with = "crate::flat::parts")]
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
    /// Replace a znode's access control list.
    SetAcl {
        /// Whose.
        path: String,
        /// The new list.
        acl: Vec<Acl>,
        /// The version of the list that it must have, or -1.
        version: i32,
    },
    /// Change the ensemble.
    Reconfig(Wanted),
    /// What cannot be done, and whose error has a place in the order nevertheless.
    Refused(ErrorCode),
}

impl Write {
    /// Its size, in bytes, roughly.
    pub fn size(&self) -> usize {
        match self {
            Write::Create { path, data, .. } | Write::SetData { path, data, .. } => {
                path.len() + data.as_ref().map_or(0, Bytes::len)
            }
            Write::Delete { path, .. } | Write::Check { path, .. } => path.len(),
            Write::SetAcl { path, acl, .. } => path.len() + 64 * acl.len(),
            Write::Multi(writes) => writes.iter().map(|write| 16 + write.size()).sum(),
            Write::Reconfig(wanted) => wanted.size(),
            Write::OpenSession { .. } | Write::CloseSession | Write::Refused(_) => 16,
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
    /// The request cannot be decoded, or its parts do not go together.
    #[error("the request makes no sense")]
    Marshalling,
    /// What was shown does not prove anything.
    #[error("authentication failed")]
    AuthFailed,
    /// Too few of the voters that are to be are connected and up to date.
    #[error("no quorum of the new configuration is connected and up to date")]
    NewConfigNoQuorum,
    /// Another change of the ensemble is under way.
    #[error("a reconfiguration is in progress")]
    ReconfigInProgress,
    /// Reconfiguration is not enabled.
    #[error("reconfiguration is disabled")]
    ReconfigDisabled,
    /// The subtree holds as much as its quota allows.
    #[error("quota exceeded")]
    QuotaExceeded,
    /// The server has no leader, and serves for reading alone.
    #[error("not read-only")]
    NotReadOnly,
    /// The client has no such watch.
    #[error("no such watch")]
    NoWatcher,
    /// The client has not shown who it is, and must.
    #[error("the server wants to know who asks")]
    AuthRequired,
}

impl ErrorCode {
    /// The code on the wire.
    pub fn code(self) -> i32 {
        match self {
            ErrorCode::Ok => 0,
            ErrorCode::RuntimeInconsistency => -2,
            ErrorCode::Marshalling => -5,
            ErrorCode::Unimplemented => -6,
            ErrorCode::BadArguments => -8,
            ErrorCode::NewConfigNoQuorum => -13,
            ErrorCode::ReconfigInProgress => -14,
            ErrorCode::NoNode => -101,
            ErrorCode::NoAuth => -102,
            ErrorCode::BadVersion => -103,
            ErrorCode::NoChildrenForEphemerals => -108,
            ErrorCode::NodeExists => -110,
            ErrorCode::NotEmpty => -111,
            ErrorCode::SessionExpired => -112,
            ErrorCode::InvalidAcl => -114,
            ErrorCode::AuthFailed => -115,
            ErrorCode::SessionMoved => -118,
            ErrorCode::NotReadOnly => -119,
            ErrorCode::NoWatcher => -121,
            ErrorCode::ReconfigDisabled => -123,
            ErrorCode::AuthRequired => -124,
            ErrorCode::QuotaExceeded => -125,
        }
    }
}
