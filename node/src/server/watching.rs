//! Answers requests about watches, and tells watchers what has changed.
//!
//! An event goes into its client's buffer while the transaction is being applied, before anything that is answered from the
//! tree after it: the client hears of a change before it can see it. What it misses while it is not connected is told when
//! it sets its watches again, as far as one event for each can tell it.

use super::event::ConnectionId;
use super::pipeline::{Clients, Surroundings};
use crate::acl::{self, Permission};
use crate::jute::ReplyBuffer;
use crate::request::{Acl, ErrorCode, WatchRequest, WatchesToSet};
use crate::tree::{Change, path};
use crate::watches::{EventKind, WatchKind, Watcher};
use bytes::BufMut;

/// Answers one request about watches.
pub(super) fn answer(
    at: &mut Surroundings<'_>,
    out: &mut ReplyBuffer,
    xid: i32,
    request: &WatchRequest,
) {
    let zxid = at.tree.zxid();
    let found = match request {
        WatchRequest::Set(wanted) => {
            set(at, out, wanted);
            true
        }
        WatchRequest::Add { path, recursive } => {
            let kind = if *recursive {
                WatchKind::Recursive
            } else {
                WatchKind::Persistent
            };
            at.watches.add(at.watcher, path, kind);
            // An error code, which is always that for success.
            return out.body(xid, zxid, |out| out.put_i32(0));
        }
        WatchRequest::Remove { path, which } => at.watches.remove(at.watcher, path, *which),
        // ZooKeeper looks for a parent, and stumbles.
        WatchRequest::Check { path, .. } if !path.is_empty() && !path.contains('/') => {
            return out.error(xid, zxid, ErrorCode::Marshalling);
        }
        WatchRequest::Check { path, which } => at.watches.contains(at.watcher, path, *which),
    };
    if found {
        out.empty(xid, zxid);
    } else {
        out.error(xid, zxid, ErrorCode::NoWatcher);
    }
}

/// Tells what has changed since the client looked, and sets a watch for what has not.
fn set(at: &mut Surroundings<'_>, out: &mut ReplyBuffer, wanted: &WatchesToSet) {
    let newer = |zxid: crate::zab::Zxid| zxid.0 as i64 > wanted.seen;
    for path in &wanted.data {
        match at.tree.get(path) {
            None => out.event(EventKind::Deleted, path),
            Some(view) if newer(view.stat().mzxid) => out.event(EventKind::DataChanged, path),
            Some(_) => at.watches.add(at.watcher, path, WatchKind::Data),
        }
    }
    for path in &wanted.exists {
        match at.tree.get(path) {
            Some(_) => out.event(EventKind::Created, path),
            None => at.watches.add(at.watcher, path, WatchKind::Data),
        }
    }
    for path in &wanted.children {
        match at.tree.get(path) {
            None => out.event(EventKind::Deleted, path),
            Some(view) if newer(view.stat().pzxid) => out.event(EventKind::ChildrenChanged, path),
            Some(_) => at.watches.add(at.watcher, path, WatchKind::Children),
        }
    }
    for path in &wanted.persistent {
        at.watches.add(at.watcher, path, WatchKind::Persistent);
    }
    for path in &wanted.recursive {
        at.watches.add(at.watcher, path, WatchKind::Recursive);
    }
}

impl Clients {
    /// A znode has changed: those who watch it are told.
    pub(super) fn changed(&mut self, change: Change<'_>) {
        if self.watches.is_empty() {
            return;
        }
        let told = self.watches.fire(change.path, change.kind);
        self.tell(&told, change.kind, change.path, change.acl);
        if matches!(change.kind, EventKind::Created | EventKind::Deleted)
            && let Some((parent, _)) = path::split(change.path)
        {
            let told = self.watches.fire(parent, EventKind::ChildrenChanged);
            self.tell(&told, EventKind::ChildrenChanged, parent, change.parent_acl);
        }
    }

    /// Who may not read the znode is not told that it exists.
    fn tell(&mut self, told: &[Watcher], kind: EventKind, path: &str, list: Option<&[Acl]>) {
        if told.is_empty() {
            return;
        }
        let metrics = self.metrics.clone();
        match kind {
            EventKind::Created => &metrics.node_created_watch_count,
            EventKind::Deleted => &metrics.node_deleted_watch_count,
            EventKind::DataChanged => &metrics.node_changed_watch_count,
            EventKind::ChildrenChanged => &metrics.node_children_watch_count,
        }
        .add(told.len() as u64);
        for watcher in told {
            let id = ConnectionId(watcher.0);
            if let Some(client) = self.get(id)
                && acl::check(list, Permission::READ, &client.identity).is_ok()
            {
                let before = client.replies().len();
                client.replies().event(kind, path);
                client.traffic.sent += 1;
                let bytes = client.replies().len() - before;
                metrics.watch_bytes.add(bytes as u64);
                metrics.packets_sent.inc();
                self.touch(id);
            }
        }
    }
}
