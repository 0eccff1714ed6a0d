//! Preparation: on the leader, turns a request into a transaction that says what happens.
//!
//! Versions, sequence numbers and errors are decided against the tree *as it will be* once everything that is proposed
//! is applied: [`Overlay`] holds those changes over the tree. A request that fails becomes a transaction too, so that
//! its answer has its place in the order. Pure: no clock (time is given), no socket; it never changes the tree.
//!
//! [`Sessions`] is the leader's own knowledge about sessions: who serves them, and when they expire.

mod overlay;
mod own;
mod sessions;
#[cfg(test)]
mod tests;

pub use overlay::{Changes, Overlay};
pub use own::own;
pub use sessions::Sessions;

use crate::acl::{self, Permission};
use crate::request::{Acl, CreateMode, ErrorCode, Identity, Lifetime, SessionId, Write};
use crate::tree::{Tree, path};
use crate::txn::Body;
use bytes::Bytes;
use overlay::{Draft, Outlook};
use std::sync::Arc;

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

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The session, which is alive (see [`Sessions::check`]).
    pub session: SessionId,
    /// Who its client is.
    pub identity: &'a Identity,
    /// Whether the hard limits of quotas hold.
    pub quotas: bool,
    /// The schemes that there are.
    pub schemes: acl::Schemes,
}

/// Prepares a request.
pub fn prepare(tree: &Tree, overlay: &Overlay, asker: Asker<'_>, write: Write) -> Prepared {
    let mut draft = Draft::new(tree, overlay);
    let body = match write {
        Write::Multi(writes) => multi(&mut draft, asker, writes),
        Write::OpenSession {
            timeout_ms,
            password,
        } => Body::OpenSession {
            timeout_ms,
            password,
        },
        Write::CloseSession => return close_session(tree, overlay, asker.session),
        single => match one(&mut draft, asker, single) {
            Ok(body) => body,
            Err(code) => return Prepared::error(code),
        },
    };
    Prepared {
        body,
        changes: draft.changes(),
    }
}

/// Prepares a session's end, whoever wants it.
pub fn close_session(tree: &Tree, overlay: &Overlay, session: SessionId) -> Prepared {
    let mut draft = Draft::new(tree, overlay);
    draft.close_session(session);
    Prepared {
        body: Body::CloseSession,
        changes: draft.changes(),
    }
}

/// Prepares the end of a container or of a znode with a time to live, if its time has come: the leader asks for each
/// [`Tree::perishable`] every now and then. A container goes when its last child has gone; one that never had a child after
/// `never_used_ms`, unless that is 0. What is about to change is left for the next time.
pub fn perish(
    tree: &Tree,
    overlay: &Overlay,
    path: &str,
    now_ms: i64,
    never_used_ms: i64,
) -> Option<Prepared> {
    let mut draft = Draft::new(tree, overlay);
    let (view, znode) = (tree.get(path)?, draft.get(path)?);
    if znode.children > 0 || overlay.is_pending(path) {
        return None;
    }
    let age_ms = now_ms.saturating_sub(view.stat().mtime);
    let due = match znode.owner.lifetime() {
        Lifetime::Container if znode.creates > 0 => true,
        Lifetime::Container => never_used_ms > 0 && age_ms > never_used_ms,
        Lifetime::Ttl(ttl_ms) => age_ms > ttl_ms,
        Lifetime::Persistent | Lifetime::Session(_) => false,
    };
    if !due {
        return None;
    }
    draft.remove(path.to_owned());
    Some(Prepared {
        body: Body::Delete {
            path: path.to_owned(),
        },
        changes: draft.changes(),
    })
}

fn multi(draft: &mut Draft<'_>, asker: Asker<'_>, writes: Vec<Write>) -> Body {
    let operations = writes.len() as u32;
    let mut bodies = Vec::with_capacity(writes.len());
    for (n, write) in writes.into_iter().enumerate() {
        match one(draft, asker, write) {
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

fn one(draft: &mut Draft<'_>, asker: Asker<'_>, write: Write) -> Result<Body, ErrorCode> {
    match write {
        Write::Create {
            path,
            data,
            acl,
            flags,
            ttl_ms,
        } => {
            let mode = CreateMode::from_flags(flags, ttl_ms, asker.session)?;
            let (path, acl, parent_creates) = create(draft, asker, path, acl, mode)?;
            within_quota(draft, asker, &path, 1, bytes_of(data.as_ref()))?;
            Ok(Body::Create {
                path,
                data,
                acl,
                owner: mode.lifetime.owner(),
                parent_creates,
            })
        }
        Write::Delete { path, version } => delete(draft, asker, path, version),
        Write::SetData {
            path,
            data,
            version,
        } => {
            let version = set_data(draft, asker, &path, data.as_ref(), version)?;
            Ok(Body::SetData {
                path,
                data,
                version,
            })
        }
        Write::SetAcl { path, acl, version } => set_acl(draft, asker, path, acl, version),
        Write::Check { path, version } => {
            legal(&path)?;
            let znode = draft.get(&path).ok_or(ErrorCode::NoNode)?;
            allowed(&znode, Permission::READ, asker)?;
            next_version(znode.version, version)?;
            Ok(Body::Check)
        }
        Write::Refused(code) => Err(code),
        // Only the leader's protocol core knows whether the ensemble may change, see `Engine::reconfigure`.
        Write::Reconfig(_) | Write::Multi(_) | Write::OpenSession { .. } | Write::CloseSession => {
            Err(ErrorCode::Unimplemented)
        }
    }
}

/// Returns the whole path, the list to keep and the parent's counter.
fn create(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    path: String,
    acl: Vec<Acl>,
    mode: CreateMode,
) -> Result<(String, Vec<Acl>, i32), ErrorCode> {
    let parent_path = parent_of(&path)?.to_owned();
    not_own(&path)?;
    let acl = acl::to_keep(acl, asker.identity, asker.schemes, draft.room())?;
    let parent = draft.get(&parent_path).ok_or(ErrorCode::NoNode)?;
    allowed(&parent, Permission::CREATE, asker)?;
    let path = if mode.sequential {
        format!("{path}{:010}", parent.creates)
    } else {
        path
    };
    legal(&path)?;
    if draft.get(&path).is_some() {
        return Err(ErrorCode::NodeExists);
    }
    if parent.owner.is_session() {
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
    draft.set(
        path.clone(),
        Some(Outlook {
            owner: mode.lifetime.owner(),
            acl: shared(&acl),
            ..Outlook::default()
        }),
    );
    Ok((path, acl, creates))
}

/// The path of the parent, which need not be legal, as ZooKeeper takes it.
fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match path.rfind('/') {
        _ if path.contains('\0') => Err(ErrorCode::BadArguments),
        Some(0) => Ok("/"),
        Some(at) => Ok(&path[..at]),
        None => Err(ErrorCode::BadArguments),
    }
}

fn shared(acl: &[Acl]) -> Option<Arc<[Acl]>> {
    (acl != [Acl::open()]).then(|| acl.into())
}

fn delete(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    path: String,
    version: i32,
) -> Result<Body, ErrorCode> {
    let parent = parent_of(&path)?;
    if path::SPECIAL.contains(&path.as_str()) {
        return Err(ErrorCode::BadArguments);
    }
    not_own(&path)?;
    let parent = draft.get(parent).ok_or(ErrorCode::NoNode)?;
    allowed(&parent, Permission::DELETE, asker)?;
    let znode = draft.get(&path).ok_or(ErrorCode::NoNode)?;
    next_version(znode.version, version)?;
    if znode.children > 0 {
        return Err(ErrorCode::NotEmpty);
    }
    draft.remove(path.clone());
    Ok(Body::Delete { path })
}

/// Returns the version afterwards.
fn set_data(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    path: &str,
    data: Option<&Bytes>,
    expected: i32,
) -> Result<i32, ErrorCode> {
    legal(path)?;
    let znode = draft.get(path).ok_or(ErrorCode::NoNode)?;
    not_own(path)?;
    if path == path::CONFIG {
        return Err(ErrorCode::NoAuth);
    }
    allowed(&znode, Permission::WRITE, asker)?;
    let before = draft
        .tree()
        .get(path)
        .map_or(0, |znode| znode.stat().data_length);
    within_quota(draft, asker, path, 0, bytes_of(data) - i64::from(before))?;
    let version = next_version(znode.version, expected)?;
    draft.set(path.to_owned(), Some(Outlook { version, ..znode }));
    Ok(version)
}

fn set_acl(
    draft: &mut Draft<'_>,
    asker: Asker<'_>,
    path: String,
    acl: Vec<Acl>,
    expected: i32,
) -> Result<Body, ErrorCode> {
    legal(&path)?;
    not_own(&path)?;
    let acl = acl::to_keep(acl, asker.identity, asker.schemes, draft.room())?;
    let znode = draft.get(&path).ok_or(ErrorCode::NoNode)?;
    allowed(&znode, Permission::ADMIN, asker)?;
    let version = next_version(znode.aversion, expected)?;
    draft.set(
        path.clone(),
        Some(Outlook {
            acl: shared(&acl),
            aversion: version,
            ..znode
        }),
    );
    Ok(Body::SetAcl { path, acl, version })
}

fn allowed(znode: &Outlook, permission: Permission, asker: Asker<'_>) -> Result<(), ErrorCode> {
    acl::check(znode.acl.as_deref(), permission, asker.identity)
}

fn bytes_of(data: Option<&Bytes>) -> i64 {
    data.map_or(0, |data| data.len() as i64)
}

fn within_quota(
    draft: &Draft<'_>,
    asker: Asker<'_>,
    path: &str,
    znodes: i64,
    bytes: i64,
) -> Result<(), ErrorCode> {
    if asker.quotas && !draft.tree().is_within_quota(path, znodes, bytes) {
        return Err(ErrorCode::QuotaExceeded);
    }
    Ok(())
}

/// Some znodes only the service writes, whoever asks: see [`own()`].
fn not_own(path: &str) -> Result<(), ErrorCode> {
    if path::is_own(path) {
        Err(ErrorCode::NoAuth)
    } else {
        Ok(())
    }
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
