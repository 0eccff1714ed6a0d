//! Decodes connect requests and requests.

use super::Garbage;
use super::reader::Reader;
use super::reply::ReplyKind;
use crate::ensemble::Wanted;
use crate::request::{Acl, ErrorCode, Read, WatchRequest, WatchesToSet, Write};
use crate::watches::Which;
use bytes::Bytes;

/// ZooKeeper's operation codes.
pub(crate) mod opcode {
    pub(crate) const CREATE: i32 = 1;
    pub(crate) const DELETE: i32 = 2;
    pub(crate) const EXISTS: i32 = 3;
    pub(crate) const GET_DATA: i32 = 4;
    pub(crate) const SET_DATA: i32 = 5;
    pub(crate) const GET_ACL: i32 = 6;
    pub(crate) const SET_ACL: i32 = 7;
    pub(crate) const GET_CHILDREN: i32 = 8;
    pub(crate) const SYNC: i32 = 9;
    pub(crate) const PING: i32 = 11;
    pub(crate) const GET_CHILDREN2: i32 = 12;
    pub(crate) const CHECK: i32 = 13;
    pub(crate) const MULTI: i32 = 14;
    pub(crate) const CREATE2: i32 = 15;
    pub(crate) const RECONFIG: i32 = 16;
    pub(crate) const CHECK_WATCHES: i32 = 17;
    pub(crate) const REMOVE_WATCHES: i32 = 18;
    pub(crate) const CREATE_CONTAINER: i32 = 19;
    pub(crate) const CREATE_TTL: i32 = 21;
    pub(crate) const MULTI_READ: i32 = 22;
    pub(crate) const AUTH: i32 = 100;
    pub(crate) const SET_WATCHES: i32 = 101;
    pub(crate) const SASL: i32 = 102;
    pub(crate) const GET_EPHEMERALS: i32 = 103;
    pub(crate) const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    pub(crate) const SET_WATCHES2: i32 = 105;
    pub(crate) const ADD_WATCH: i32 = 106;
    pub(crate) const WHO_AM_I: i32 = 107;
    pub(crate) const CLOSE_SESSION: i32 = -11;
    pub(crate) const ERROR: i32 = -1;
}

/// The first frame of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The protocol's version; 0.
    pub protocol: i32,
    /// The newest zxid that the client has seen.
    pub last_zxid_seen: i64,
    /// The time-out wished for, in milliseconds.
    pub timeout_ms: i32,
    /// The session to go on with, or 0.
    pub session: i64,
    /// The password of that session.
    pub password: Bytes,
    /// Whether a server that only reads will do; clients before 3.4 leave it out.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Decodes the first frame.
    pub fn decode(frame: Bytes) -> Result<ConnectRequest, Garbage> {
        let mut r = Reader::new(frame);
        Ok(ConnectRequest {
            protocol: r.int("connect.protocolVersion")?,
            last_zxid_seen: r.long("connect.lastZxidSeen")?,
            timeout_ms: r.int("connect.timeOut")?,
            session: r.long("connect.sessionId")?,
            password: r.buffer("connect.passwd")?.unwrap_or_default(),
            read_only: if r.is_empty() {
                None
            } else {
                Some(r.boolean("connect.readOnly")?)
            },
        })
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Answered by the contacted server.
    Read(Read),
    /// Sets, removes or looks for watches on the contacted server.
    Watch(WatchRequest),
    /// Goes through the log; the answer has this form.
    Write(Write, ReplyKind),
    /// Bring the contacted server up to date.
    Sync(String),
    /// A sign of life.
    Ping,
    /// The client shows who it is.
    Auth {
        /// How.
        scheme: String,
        /// What it shows.
        shown: Option<Bytes>,
    },
    /// The client's next token of SASL.
    Sasl(Bytes),
    /// Its parts do not go together.
    Malformed,
    /// Not implemented.
    Unknown(i32),
}

/// A request after the connect request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The client's number for it.
    pub xid: i32,
    /// What it asks for.
    pub operation: Operation,
}

impl Request {
    /// Decodes a frame after the first. What stands behind the request is ignored, as ZooKeeper does.
    pub fn decode(frame: Bytes) -> Result<Request, Garbage> {
        let mut r = Reader::new(frame);
        let xid = r.int("header.xid")?;
        let code = r.int("header.type")?;
        Ok(Request {
            xid,
            operation: operation(code, &mut r)?,
        })
    }
}

fn operation(code: i32, r: &mut Reader) -> Result<Operation, Garbage> {
    let operation = match code {
        opcode::EXISTS => {
            let (path, watch) = watched(r)?;
            Operation::Read(Read::Exists { path, watch })
        }
        opcode::GET_DATA => {
            let (path, watch) = watched(r)?;
            Operation::Read(Read::GetData { path, watch })
        }
        opcode::GET_CHILDREN => {
            let (path, watch) = watched(r)?;
            Operation::Read(Read::GetChildren { path, watch })
        }
        opcode::GET_CHILDREN2 => {
            let (path, watch) = watched(r)?;
            Operation::Read(Read::GetChildren2 { path, watch })
        }
        opcode::GET_ACL => Operation::Read(Read::GetAcl {
            path: r.string("path")?,
        }),
        opcode::SET_WATCHES => Operation::Watch(WatchRequest::Set(Box::new(watches_to_set(r)?))),
        opcode::SET_WATCHES2 => {
            let one_shot = watches_to_set(r)?;
            Operation::Watch(WatchRequest::Set(Box::new(WatchesToSet {
                persistent: strings(r, "persistentWatches")?,
                recursive: strings(r, "persistentRecursiveWatches")?,
                ..one_shot
            })))
        }
        opcode::ADD_WATCH => Operation::Watch(add_watch(r)?),
        opcode::REMOVE_WATCHES => {
            let (path, which) = which_watches(r)?;
            Operation::Watch(WatchRequest::Remove { path, which })
        }
        opcode::CHECK_WATCHES => {
            let (path, which) = which_watches(r)?;
            Operation::Watch(WatchRequest::Check { path, which })
        }
        opcode::SYNC => Operation::Sync(r.string("path")?),
        opcode::GET_ALL_CHILDREN_NUMBER => Operation::Read(Read::GetAllChildrenNumber {
            path: r.string("path")?,
        }),
        opcode::GET_EPHEMERALS => Operation::Read(Read::GetEphemerals {
            prefix: r.string("prefixPath")?,
        }),
        opcode::WHO_AM_I => Operation::Read(Read::WhoAmI),
        opcode::MULTI_READ => multi_read(r)?,
        opcode::PING => Operation::Ping,
        opcode::AUTH => {
            r.int("auth.type")?;
            Operation::Auth {
                scheme: r.string("auth.scheme")?,
                shown: r.buffer("auth.auth")?,
            }
        }
        opcode::SASL => Operation::Sasl(r.buffer("sasl.token")?.unwrap_or_default()),
        opcode::RECONFIG => {
            let wanted = Wanted {
                joining: optional_string(r, "joiningServers")?,
                leaving: optional_string(r, "leavingServers")?,
                members: optional_string(r, "newMembers")?,
                from: r.long("curConfigId")?,
            };
            Operation::Write(Write::Reconfig(wanted), ReplyKind::Config)
        }
        opcode::SET_ACL => {
            let (path, acl) = (r.string("path")?, acl(r)?);
            let version = r.int("version")?;
            Operation::Write(Write::SetAcl { path, acl, version }, ReplyKind::Stat)
        }
        opcode::CLOSE_SESSION => Operation::Write(Write::CloseSession, ReplyKind::Empty),
        opcode::MULTI => multi(r)?,
        _ => match write(code, r)? {
            Some((write, kind)) => Operation::Write(write, kind),
            None => Operation::Unknown(code),
        },
    };
    Ok(operation)
}

/// The writes that can also stand in a multi; `None` if the code is none of them.
fn write(code: i32, r: &mut Reader) -> Result<Option<(Write, ReplyKind)>, Garbage> {
    let found = match code {
        opcode::CREATE => (create(code, r)?, ReplyKind::Path),
        opcode::CREATE2 | opcode::CREATE_CONTAINER | opcode::CREATE_TTL => {
            (create(code, r)?, ReplyKind::PathAndStat)
        }
        opcode::DELETE => (
            Write::Delete {
                path: r.string("path")?,
                version: r.int("version")?,
            },
            ReplyKind::Empty,
        ),
        opcode::SET_DATA => {
            let (path, data) = (r.string("path")?, r.buffer("data")?);
            (
                Write::SetData {
                    path,
                    data,
                    version: r.int("version")?,
                },
                ReplyKind::Stat,
            )
        }
        opcode::CHECK => (
            Write::Check {
                path: r.string("path")?,
                version: r.int("version")?,
            },
            ReplyKind::Empty,
        ),
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn create(code: i32, r: &mut Reader) -> Result<Write, Garbage> {
    let (path, data) = (r.string("path")?, r.buffer("data")?);
    let acl = acl(r)?;
    let flags = r.int("flags")?;
    let ttl_ms = if code == opcode::CREATE_TTL {
        r.long("ttl")?
    } else {
        -1
    };
    Ok(Write::Create {
        path,
        data,
        acl,
        // The request for a container says so itself.
        flags: if code == opcode::CREATE_CONTAINER {
            4
        } else {
            flags
        },
        ttl_ms,
    })
}

/// A create within a multi. As in ZooKeeper 3.8 only its flags tell what is created, and only containers and znodes with
/// a time to live are answered with a Stat.
fn create_part(code: i32, r: &mut Reader) -> Result<(Write, (i32, ReplyKind)), Garbage> {
    let (path, data) = (r.string("path")?, r.buffer("data")?);
    let (acl, flags) = (acl(r)?, r.int("flags")?);
    let ttl_ms = match code {
        opcode::CREATE_TTL => r.long("ttl")?,
        _ => -1,
    };
    let (ttl_ms, kind) = match flags {
        4 => (-1, (opcode::CREATE2, ReplyKind::PathAndStat)),
        5 | 6 => (ttl_ms, (opcode::CREATE2, ReplyKind::PathAndStat)),
        _ => (-1, (opcode::CREATE, ReplyKind::Path)),
    };
    let write = Write::Create {
        path,
        data,
        acl,
        flags,
        ttl_ms,
    };
    Ok((write, kind))
}

fn acl(r: &mut Reader) -> Result<Vec<Acl>, Garbage> {
    // An entry takes at least its permissions and two lengths.
    let count = r.count("acl", 12)?;
    let mut acl = Vec::with_capacity(count);
    for _ in 0..count {
        let permissions = r.int("acl.perms")?;
        acl.push(Acl {
            permissions,
            scheme: r.string("acl.scheme")?,
            id: r.string("acl.id")?,
        });
    }
    Ok(acl)
}

/// The code of the next part of a multi; `None` at its end.
fn part(r: &mut Reader) -> Result<Option<i32>, Garbage> {
    let code = r.int("multi.type")?;
    let done = r.boolean("multi.done")?;
    r.int("multi.err")?;
    Ok((!done).then_some(code))
}

fn multi(r: &mut Reader) -> Result<Operation, Garbage> {
    let (mut writes, mut kinds) = (Vec::new(), Vec::new());
    while let Some(code) = part(r)? {
        let (write, kind) = match code {
            opcode::CREATE | opcode::CREATE2 | opcode::CREATE_CONTAINER | opcode::CREATE_TTL => {
                create_part(code, r)?
            }
            _ => match write(code, r)? {
                Some((write, kind)) => (write, (code, kind)),
                // Where an unknown part ends is not known, so nothing after it can be read.
                None => {
                    let refused = Write::Refused(ErrorCode::Marshalling);
                    return Ok(Operation::Write(refused, ReplyKind::Empty));
                }
            },
        };
        writes.push(write);
        kinds.push(kind);
    }
    Ok(Operation::Write(
        Write::Multi(writes),
        ReplyKind::Multi(kinds),
    ))
}

fn multi_read(r: &mut Reader) -> Result<Operation, Garbage> {
    let mut reads = Vec::new();
    while let Some(code) = part(r)? {
        if !matches!(code, opcode::GET_DATA | opcode::GET_CHILDREN) {
            return Ok(Operation::Malformed);
        }
        // Reads of a multi set no watches, whatever the flag says.
        let ((path, _), watch) = (watched(r)?, false);
        reads.push(match code {
            opcode::GET_DATA => Read::GetData { path, watch },
            _ => Read::GetChildren { path, watch },
        });
    }
    Ok(Operation::Read(Read::Multi(reads)))
}

fn watched(r: &mut Reader) -> Result<(String, bool), Garbage> {
    Ok((r.string("path")?, r.boolean("watch")?))
}

fn strings(r: &mut Reader, what: &'static str) -> Result<Vec<String>, Garbage> {
    let count = r.count(what, 4)?;
    (0..count).map(|_| r.string(what)).collect()
}

/// A string, or Java's null.
fn optional_string(r: &mut Reader, what: &'static str) -> Result<Option<String>, Garbage> {
    match r.buffer(what)? {
        None => Ok(None),
        Some(bytes) => match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Garbage::Field {
                what,
                found: "bytes that are no UTF-8".to_owned(),
            }),
        },
    }
}

fn watches_to_set(r: &mut Reader) -> Result<WatchesToSet, Garbage> {
    Ok(WatchesToSet {
        seen: r.long("relativeZxid")?,
        data: strings(r, "dataWatches")?,
        exists: strings(r, "existWatches")?,
        children: strings(r, "childWatches")?,
        ..WatchesToSet::default()
    })
}

fn add_watch(r: &mut Reader) -> Result<WatchRequest, Garbage> {
    let path = r.string("path")?;
    let recursive = match r.int("mode")? {
        0 => false,
        1 => true,
        other => return Err(unknown("mode", other)),
    };
    Ok(WatchRequest::Add { path, recursive })
}

fn which_watches(r: &mut Reader) -> Result<(String, Which), Garbage> {
    let path = r.string("path")?;
    let code = r.int("type")?;
    let which = Which::from_code(code).ok_or_else(|| unknown("type", code))?;
    Ok((path, which))
}

fn unknown(what: &'static str, found: i32) -> Garbage {
    Garbage::Field {
        what,
        found: format!("{found}, which has no meaning"),
    }
}
