//! Preparation: on the leader, turns a request into a transaction that says what happens.
//!
//! Versions, sequence numbers and errors are decided against the tree *as it will be* once everything that is proposed
//! is applied: [`Overlay`] holds those changes over the tree. A request that fails becomes a transaction too, so that
//! its answer has its place in the order. Pure: no clock (time is given), no socket; it never changes the tree.
//!
//! [`Sessions`] is the leader's own knowledge about sessions: who serves them, and when they expire.

mod overlay;
mod sessions;
#[cfg(test)]
mod tests;

pub use overlay::{Changes, Overlay};
pub use sessions::Sessions;

use crate::request::{Acl, CreateMode, ErrorCode, SessionId, Write};
use crate::tree::{Tree, path};
use crate::txn::Body;
use overlay::{Draft, Outlook};

/// A transaction's body, and what it will change.
#[derive(Debug)]
pub struct Prepared {
    /// What happens.
    pub body: Body,
    /// For [`Overlay::proposed`], once the transaction is proposed.
    pub changes: Changes,
}

impl Prepared {
    /// The request fails.
    pub fn error(code: ErrorCode) -> Prepared {
        Prepared {
            body: Body::Error(code),
            changes: Changes::default(),
        }
    }
}

/// Prepares a request of `session`, which is alive (see [`Sessions::check`]).
pub fn prepare(tree: &Tree, overlay: &Overlay, session: SessionId, write: Write) -> Prepared {
    let mut draft = Draft::new(tree, overlay);
    let body = match write {
        Write::Multi(writes) => multi(&mut draft, session, writes),
        Write::OpenSession {
            timeout_ms,
            password,
        } => Body::OpenSession {
            timeout_ms,
            password,
        },
        Write::CloseSession => {
            draft.close_session(session);
            Body::CloseSession
        }
        single => match one(&mut draft, session, single) {
            Ok(body) => body,
            Err(code) => return Prepared::error(code),
        },
    };
    Prepared {
        body,
        changes: draft.changes(),
    }
}

fn multi(draft: &mut Draft<'_>, session: SessionId, writes: Vec<Write>) -> Body {
    let operations = writes.len() as u32;
    let mut bodies = Vec::with_capacity(writes.len());
    for (n, write) in writes.into_iter().enumerate() {
        match one(draft, session, write) {
            Ok(body) => bodies.push(body),
            Err(code) => {
                draft.discard();
                return Body::FailedMulti {
                    operations,
                    failed: n as u32,
                    code,
                };
            }
        }
    }
    Body::Multi(bodies)
}

fn one(draft: &mut Draft<'_>, session: SessionId, write: Write) -> Result<Body, ErrorCode> {
    match write {
        Write::Create {
            path,
            data,
            acl,
            flags,
        } => {
            let mode = CreateMode::from_flags(flags)?;
            let (path, parent_creates) = create(draft, session, path, &acl, mode)?;
            let owner = if mode.ephemeral {
                session
            } else {
                SessionId::NONE
            };
            Ok(Body::Create {
                path,
                data,
                acl,
                owner,
                parent_creates,
            })
        }
        Write::Delete { path, version } => delete(draft, path, version),
        Write::SetData {
            path,
            data,
            version,
        } => {
            let version = set_data(draft, &path, version)?;
            Ok(Body::SetData {
                path,
                data,
                version,
            })
        }
        Write::Check { path, version } => {
            legal(&path)?;
            let znode = draft.get(&path).ok_or(ErrorCode::NoNode)?;
            next_version(znode.version, version)?;
            Ok(Body::Check)
        }
        Write::Multi(_) | Write::OpenSession { .. } | Write::CloseSession => {
            Err(ErrorCode::Unimplemented)
        }
    }
}

/// Returns the whole path and the parent's counter.
fn create(
    draft: &mut Draft<'_>,
    session: SessionId,
    path: String,
    acl: &[Acl],
    mode: CreateMode,
) -> Result<(String, i32), ErrorCode> {
    // Lists are kept and returned, not enforced: one that does not open the znode to all would be a false promise.
    if !acl.iter().any(Acl::is_open) {
        return Err(ErrorCode::InvalidAcl);
    }
    let parent_path = match path.rfind('/') {
        Some(0) => "/".to_owned(),
        Some(at) => path[..at].to_owned(),
        None => return Err(ErrorCode::BadArguments),
    };
    let parent = draft.get(&parent_path).ok_or(ErrorCode::NoNode)?;
    let path = if mode.sequential {
        format!("{path}{:010}", parent.creates)
    } else {
        path
    };
    legal(&path)?;
    if draft.get(&path).is_some() {
        return Err(ErrorCode::NodeExists);
    }
    if parent.owner != SessionId::NONE {
        return Err(ErrorCode::NoChildrenForEphemerals);
    }
    let creates = parent.creates.wrapping_add(1);
    draft.set(
        parent_path,
        Some(Outlook {
            creates,
            children: parent.children + 1,
            ..parent
        }),
    );
    let owner = if mode.ephemeral {
        session
    } else {
        SessionId::NONE
    };
    draft.set(
        path.clone(),
        Some(Outlook {
            owner,
            ..Outlook::default()
        }),
    );
    Ok((path, creates))
}

fn delete(draft: &mut Draft<'_>, path: String, version: i32) -> Result<Body, ErrorCode> {
    legal(&path)?;
    if path::SPECIAL.contains(&path.as_str()) {
        return Err(ErrorCode::BadArguments);
    }
    let znode = draft.get(&path).ok_or(ErrorCode::NoNode)?;
    next_version(znode.version, version)?;
    if znode.children > 0 {
        return Err(ErrorCode::NotEmpty);
    }
    draft.remove(path.clone());
    Ok(Body::Delete { path })
}

/// Returns the version afterwards.
fn set_data(draft: &mut Draft<'_>, path: &str, expected: i32) -> Result<i32, ErrorCode> {
    legal(path)?;
    let znode = draft.get(path).ok_or(ErrorCode::NoNode)?;
    if path == path::CONFIG {
        return Err(ErrorCode::NoAuth);
    }
    let version = next_version(znode.version, expected)?;
    draft.set(path.to_owned(), Some(Outlook { version, ..znode }));
    Ok(version)
}

fn legal(path: &str) -> Result<(), ErrorCode> {
    if path::is_legal(path) {
        Ok(())
    } else {
        Err(ErrorCode::BadArguments)
    }
}

fn next_version(version: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == version {
        Ok(version.wrapping_add(1))
    } else {
        Err(ErrorCode::BadVersion)
    }
}
