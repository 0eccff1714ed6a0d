//! The replicated state: znodes and sessions, and what each transaction makes of them.
//!
//! Pure: the same transactions make the same tree, bit by bit, on every replica. The tree decides nothing (that is
//! [`crate::prep`]'s part, on the leader): a transaction that does not fit is a sign that replicas have diverged, and
//! is an error.
//!
//! - [`path`]: legal paths. `stat`: what clients see of a znode.
//! - `arena`: the znodes, in pages. `index`: where they stand. `znode`: one of them. `lists`: their access control lists.
//! - `quota`: what subtrees hold and may hold.
//! - `image`: the tree as bytes, for snapshots. `restore`: a tree of such bytes. `digest`: a number by which replicas are compared.

mod arena;
mod digest;
mod image;
mod index;
mod lists;
pub mod path;
mod quota;
mod restore;
mod stat;
#[cfg(test)]
mod tests;
mod znode;

pub use digest::{Checkpoint, Digest, Digests, Mismatch};
pub use image::Frozen;
pub use restore::{ImageError, Restorer, view_in};
pub use stat::Stat;

use crate::ensemble;
use crate::request::{Acl, ErrorCode, Lifetime, Password, SessionId};
use crate::txn::{Body, Origin, Txn};
use crate::watches::EventKind;
use crate::zab::{self, NodeId, Zxid};
use arena::{Arena, ROOT, Slot};
use bytes::Bytes;
use lists::Lists;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use znode::Znode;

/// A session, as every replica knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// How long it lives without a sign of life, in milliseconds.
    pub timeout_ms: i32,
    /// What its client must show to take it to another connection.
    pub password: Password,
    /// The paths of its ephemeral znodes.
    #[serde(skip)]
    pub ephemerals: BTreeSet<String>,
}

/// What a transaction did, for the answer to the client that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A znode was created.
    Created {
        /// Its path.
        path: String,
        /// Its Stat.
        stat: Stat,
    },
    /// A znode was deleted.
    Deleted,
    /// A znode's data was replaced; its Stat now.
    Set(Stat),
    /// A version was checked.
    Checked,
    /// Each operation's outcome.
    Multi(Vec<Outcome>),
    /// Nothing was done.
    Failed(ErrorCode),
    /// A session was opened.
    SessionOpened(SessionId),
    /// A session was closed.
    SessionClosed(SessionId),
    /// The ensemble begins to change: who asked for it is answered when it has.
    Joining,
    /// The ensemble has changed.
    Reconfigured {
        /// Who asked for it.
        asker: Origin,
        /// The configuration, as its znode holds it.
        data: Bytes,
        /// The znode's Stat.
        stat: Stat,
    },
}

/// Who belongs to the ensemble, once that has changed for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ensemble {
    view: zab::View,
    /// While a change is under way: who asked for it, and the leader's wall clock then.
    asker: Option<(Origin, i64)>,
}

/// A change of one znode, as those who watch it see it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Which znode.
    pub path: &'a str,
    /// What happened to it: it was created or deleted, or its data was replaced.
    pub kind: EventKind,
    /// Its access control list; `None` is the open one.
    pub acl: Option<&'a [Acl]>,
    /// Its parent's, where the parent's children have changed.
    pub parent_acl: Option<&'a [Acl]>,
}

/// A committed transaction that does not fit this tree.
#[derive(Debug, thiserror::Error)]
#[error("transaction {zxid} does not fit the tree ({problem} {path})")]
pub struct Diverged {
    /// The transaction.
    pub zxid: Zxid,
    /// What does not fit.
    pub problem: &'static str,
    /// Where.
    pub path: String,
}

/// A znode's data, list or children, as a read finds it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    znodes: &'a Arena,
    slot: Slot,
}

impl<'a> View<'a> {
    fn znode(&self) -> &'a Znode {
        self.znodes.get(self.slot)
    }

    /// Its Stat.
    pub fn stat(&self) -> Stat {
        self.znode().stat()
    }

    /// Its data; `None` is Java's null.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.znode().data()
    }

    /// The names of its children, sorted.
    pub fn children(&self) -> Vec<&'a str> {
        self.znodes.names(self.slot)
    }

    /// How many children it has.
    pub fn child_count(&self) -> usize {
        self.znode().children as usize
    }

    /// Its access control list; `None` if it is the open one.
    pub fn acl(&self) -> Option<&'a [Acl]> {
        self.znode().acl().map(|list| &**list)
    }

    /// The same, to be shared.
    pub fn shared_acl(&self) -> Option<&'a Arc<[Acl]>> {
        self.znode().acl()
    }

    /// What its life is bound to.
    pub fn lifetime(&self) -> Lifetime {
        self.znode().owner().lifetime()
    }

    /// How many children were ever created: the next sequence number.
    pub fn creates(&self) -> i32 {
        self.znode().creates
    }
}

/// The whole replicated state, as it is after the transaction [`Tree::zxid`].
#[derive(Debug, Clone)]
pub struct Tree {
    zxid: Zxid,
    znodes: Arena,
    sessions: BTreeMap<SessionId, Session>,
    /// Of the sessions.
    sessions_digest: Digest,
    lists: Lists,
    ephemerals: usize,
    /// The paths of containers and of znodes with a time to live.
    perishable: BTreeSet<String>,
    /// The paths that have limits.
    quotas: BTreeSet<String>,
    ensemble: Option<Ensemble>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// A tree before every transaction: the root, and ZooKeeper's own znodes.
    pub fn new() -> Tree {
        let mut znodes = Arena::new();
        // As in ZooKeeper these do not count as creates, so that the visible cversion of / starts at -1.
        let zookeeper = znodes.insert(ROOT, "zookeeper", Some(b""), Znode::default());
        znodes.insert(zookeeper, "quota", Some(b""), Znode::default());
        let mut lists = Lists::default();
        let read_only = lists.keep(vec![Acl::read_only()]);
        // Its list's version is as ZooKeeper makes it.
        let config = Znode::default().with(read_only, SessionId::NONE, -1);
        znodes.insert(zookeeper, "config", Some(b""), config);
        Tree {
            zxid: Zxid::ZERO,
            znodes,
            sessions: BTreeMap::new(),
            sessions_digest: Digest::default(),
            lists,
            ephemerals: 0,
            perishable: BTreeSet::new(),
            quotas: BTreeSet::new(),
            ensemble: None,
        }
    }

    /// The last transaction that was applied.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The digest of all znodes and sessions.
    pub fn digest(&self) -> Digest {
        self.znodes.digest().with(self.sessions_digest)
    }

    /// The state as it is now, in two numbers.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            zxid: self.zxid,
            digest: self.digest(),
        }
    }

    /// How many znodes there are.
    pub fn znode_count(&self) -> usize {
        self.znodes.len()
    }

    /// How many ephemeral znodes there are.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals
    }

    /// Names and data of all znodes, in bytes.
    pub fn data_bytes(&self) -> usize {
        self.znodes.bytes()
    }

    /// The znode at `path`, if there is one.
    pub fn get(&self, path: &str) -> Option<View<'_>> {
        self.znodes.find(path).map(|slot| View {
            znodes: &self.znodes,
            slot,
        })
    }

    /// How many znodes are below the one at `path`, if there is one.
    pub fn count_below(&self, path: &str) -> Option<usize> {
        let slot = self.znodes.find(path)?;
        Some(self.znodes.count_below(slot))
    }

    /// Containers and znodes with a time to live: their paths, in order.
    pub fn perishable(&self) -> impl Iterator<Item = &str> {
        self.perishable.iter().map(String::as_str)
    }

    /// The session, if it is open.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// All open sessions, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// Applies a committed transaction, the next one in order.
    ///
    /// A new session's id is made of the origin's id (the highest byte, as in ZooKeeper) and the zxid (24 bits of the
    /// epoch, 32 bits of the counter): unique without a clock.
    pub fn apply(&mut self, zxid: Zxid, txn: Txn) -> Result<Outcome, Diverged> {
        self.apply_observed(zxid, txn, &mut |_| {})
    }

    /// [`Tree::apply`], telling of each change as it is made.
    pub fn apply_observed(
        &mut self,
        zxid: Zxid,
        txn: Txn,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<Outcome, Diverged> {
        assert!(zxid > self.zxid, "{zxid} was delivered after {}", self.zxid);
        self.zxid = zxid;
        match txn.body {
            Body::OpenSession {
                timeout_ms,
                password,
            } => {
                let id = session_id(txn.origin.node, zxid);
                let session = Session {
                    timeout_ms,
                    password,
                    ephemerals: BTreeSet::new(),
                };
                self.add_session(id, session);
                Ok(Outcome::SessionOpened(id))
            }
            Body::CloseSession => {
                self.close_session(txn.session, observer)?;
                Ok(Outcome::SessionClosed(txn.session))
            }
            Body::Join { from, to } => self.join(txn.origin, txn.time_ms, &from, &to),
            Body::Activate => self.activate(observer),
            Body::Found { members, mark } => {
                let members = self.members(&members)?;
                let change = zab::Change::Found { members, mark };
                let (view, asked) = (self.view(), (txn.origin, txn.time_ms));
                self.change_members(&view, change, asked, observer)
            }
            body => self.apply_body(txn.time_ms, body, observer),
        }
    }

    fn apply_body(
        &mut self,
        time_ms: i64,
        body: Body,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<Outcome, Diverged> {
        match body {
            Body::Create {
                path,
                data,
                acl,
                owner,
                parent_creates,
            } => {
                let acl = self.lists.keep(acl);
                let (zxid, time) = (self.zxid, time_ms);
                let znode = Znode {
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                    ctime: time,
                    mtime: time,
                    ..Znode::default()
                };
                let znode = znode.with(acl, owner, 0);
                let stat = self.create(&path, data.as_deref(), znode, parent_creates, observer)?;
                Ok(Outcome::Created { path, stat })
            }
            Body::Delete { path } => {
                let owner = self.delete(&path, observer)?;
                if let Some(session) = self.sessions.get_mut(&owner) {
                    session.ephemerals.remove(&path);
                }
                Ok(Outcome::Deleted)
            }
            Body::SetAcl { path, acl, version } => {
                let acl = self.lists.keep(acl);
                let slot = self.find(&path)?;
                self.znodes
                    .change(slot, |znode| znode.set_acl(acl, version));
                Ok(Outcome::Set(self.znodes.get(slot).stat()))
            }
            Body::SetData {
                path,
                data,
                version,
            } => {
                let stat = self.set_data(&path, data.as_deref(), version, time_ms, observer)?;
                Ok(Outcome::Set(stat))
            }
            Body::Check => Ok(Outcome::Checked),
            Body::Multi(bodies) => {
                let outcomes: Result<_, _> = bodies
                    .into_iter()
                    .map(|body| self.apply_body(time_ms, body, observer))
                    .collect();
                Ok(Outcome::Multi(outcomes?))
            }
            Body::Error(code) => Ok(Outcome::Failed(code)),
            Body::FailedMulti {
                operations,
                failed,
                code,
            } => Ok(failed_multi(operations, failed, code)),
            Body::OpenSession { .. } | Body::CloseSession => {
                Err(self.diverged("a session's change within", "a multi"))
            }
            Body::Join { .. } | Body::Activate | Body::Found { .. } => {
                Err(self.diverged("a change of the ensemble within", "a multi"))
            }
        }
    }

    /// The ensemble begins to change. Nobody sees it before it has.
    fn join(
        &mut self,
        asker: Origin,
        time_ms: i64,
        from: &str,
        to: &str,
    ) -> Result<Outcome, Diverged> {
        let (from, to) = (self.members(from)?, self.members(to)?);
        let view = self.view();
        self.ensemble = Some(Ensemble {
            view: view.after(self.zxid, zab::Change::Join { from, to }),
            asker: Some((asker, time_ms)),
        });
        Ok(Outcome::Joining)
    }

    /// The members of a configuration in the log.
    fn members(&self, text: &str) -> Result<zab::Members, Diverged> {
        let servers = ensemble::parse(text);
        let illegal = || self.diverged("a configuration is not legal in", path::CONFIG);
        servers.map_or_else(|| Err(illegal()), |servers| Ok(ensemble::members(&servers)))
    }

    fn view(&self) -> zab::View {
        let known = self.ensemble.as_ref();
        known.map_or_else(zab::View::default, |known| known.view.clone())
    }

    /// The ensemble has changed.
    fn activate(&mut self, observer: &mut dyn FnMut(Change<'_>)) -> Result<Outcome, Diverged> {
        let Some(Ensemble {
            view,
            asker: Some((asker, time_ms)),
        }) = self.ensemble.take()
        else {
            return Err(self.diverged("no change is under way in", path::CONFIG));
        };
        self.change_members(&view, zab::Change::Activate, (asker, time_ms), observer)
    }

    /// Another configuration is in force, and the znode says so.
    fn change_members(
        &mut self,
        before: &zab::View,
        change: zab::Change,
        (asker, time_ms): (Origin, i64),
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<Outcome, Diverged> {
        let zxid = self.zxid;
        let view = before.after(zxid, change);
        let data = ensemble::znode(&view.members, zxid);
        self.ensemble = Some(Ensemble { view, asker: None });
        // As in ZooKeeper, its version is -1 from then on: the zxid is what tells.
        let stat = self.set_data(path::CONFIG, Some(&data), -1, time_ms, observer)?;
        Ok(Outcome::Reconfigured { asker, data, stat })
    }

    fn create(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        znode: Znode,
        parent_creates: i32,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<Stat, Diverged> {
        let (parent, name) = self.parent(path)?;
        if self.znodes.child(parent, name).is_some() {
            return Err(self.diverged("there is already", path));
        }
        match znode.owner().lifetime() {
            Lifetime::Persistent => {}
            Lifetime::Container | Lifetime::Ttl(_) => {
                self.perishable.insert(path.to_owned());
            }
            Lifetime::Session(owner) => {
                let Some(session) = self.sessions.get_mut(&owner) else {
                    return Err(self.diverged("there is no session for", path));
                };
                session.ephemerals.insert(path.to_owned());
                self.ephemerals += 1;
            }
        }
        let slot = self.znodes.insert(parent, name, data, znode);
        let zxid = self.zxid;
        self.znodes.change(parent, |above| {
            above.creates = parent_creates;
            above.pzxid = zxid;
        });
        let (znode, above) = (self.znodes.get(slot), self.znodes.get(parent));
        observer(Change {
            path,
            kind: EventKind::Created,
            acl: znode.acl().map(|list| &**list),
            parent_acl: above.acl().map(|list| &**list),
        });
        let (stat, bytes) = (znode.stat(), znode.data_len());
        self.quota_created(path, bytes);
        Ok(stat)
    }

    /// Deletes a znode and returns its owner.
    fn delete(
        &mut self,
        path: &str,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<SessionId, Diverged> {
        let (parent, name) = self.parent(path)?;
        let slot = match self.znodes.child(parent, name) {
            None => return Err(self.diverged("there is no", path)),
            Some(slot) if self.znodes.get(slot).children > 0 => {
                return Err(self.diverged("there are children of", path));
            }
            Some(slot) => slot,
        };
        let znode = self.znodes.remove(slot);
        match znode.owner().lifetime() {
            Lifetime::Persistent => {}
            Lifetime::Container | Lifetime::Ttl(_) => {
                self.perishable.remove(path);
            }
            Lifetime::Session(_) => self.ephemerals -= 1,
        }
        let zxid = self.zxid;
        self.znodes.change(parent, |above| above.pzxid = zxid);
        let above = self.znodes.get(parent);
        observer(Change {
            path,
            kind: EventKind::Deleted,
            acl: znode.acl().map(|list| &**list),
            parent_acl: above.acl().map(|list| &**list),
        });
        self.quota_deleted(path, znode.data_len());
        Ok(znode.owner())
    }

    fn set_data(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        time: i64,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<Stat, Diverged> {
        let slot = self.find(path)?;
        let zxid = self.zxid;
        let before = self.znodes.get(slot).data_len() as i64;
        let more = data.map_or(0, |data| data.len() as i64) - before;
        self.znodes.set_data(slot, data, |znode| {
            znode.version = version;
            znode.mzxid = zxid;
            znode.mtime = time;
        });
        let znode = self.znodes.get(slot);
        observer(Change {
            path,
            kind: EventKind::DataChanged,
            acl: znode.acl().map(|list| &**list),
            parent_acl: None,
        });
        let stat = znode.stat();
        self.quota_changed(path, 0, more);
        Ok(stat)
    }

    fn add_session(&mut self, id: SessionId, session: Session) {
        self.sessions_digest.add(digest::of_session(id, &session));
        self.sessions.insert(id, session);
    }

    fn close_session(
        &mut self,
        id: SessionId,
        observer: &mut dyn FnMut(Change<'_>),
    ) -> Result<(), Diverged> {
        let session = self
            .sessions
            .remove(&id)
            .ok_or_else(|| self.diverged("there is no session", &id.to_string()))?;
        self.sessions_digest
            .remove(digest::of_session(id, &session));
        for path in &session.ephemerals {
            self.delete(path, observer)?;
        }
        Ok(())
    }

    fn find(&self, path: &str) -> Result<Slot, Diverged> {
        self.znodes
            .find(path)
            .ok_or_else(|| self.diverged("there is no", path))
    }

    fn parent<'p>(&self, path: &'p str) -> Result<(Slot, &'p str), Diverged> {
        let (parent, name) =
            path::split(path).ok_or_else(|| self.diverged("there is no parent of", path))?;
        let slot = self
            .znodes
            .find(parent)
            .ok_or_else(|| self.diverged("there is no parent of", path))?;
        Ok((slot, name))
    }

    fn diverged(&self, problem: &'static str, path: &str) -> Diverged {
        Diverged {
            zxid: self.zxid,
            problem,
            path: path.to_owned(),
        }
    }
}

fn session_id(origin: NodeId, zxid: Zxid) -> SessionId {
    let epoch = i64::from(zxid.epoch().0 & 0xff_ffff);
    SessionId((origin.0 as i64) << 56 | epoch << 32 | i64::from(zxid.counter()))
}

/// The operations before the one that failed report 0, it reports its code, and the rest were not tried.
fn failed_multi(operations: u32, failed: u32, code: ErrorCode) -> Outcome {
    let outcomes = (0..operations).map(|n| match n.cmp(&failed) {
        std::cmp::Ordering::Less => Outcome::Failed(ErrorCode::Ok),
        std::cmp::Ordering::Equal => Outcome::Failed(code),
        std::cmp::Ordering::Greater => Outcome::Failed(ErrorCode::RuntimeInconsistency),
    });
    Outcome::Multi(outcomes.collect())
}
