//! Answers reads from the tree.

use super::pipeline::Surroundings;
use crate::jute::ReplyBuffer;
use crate::jute::reply::{put_acl, put_buffer, put_count, put_stat, put_string};
use crate::request::{Acl, ErrorCode, Read};
use crate::tree::View;
use crate::watches::WatchKind;
use bytes::BytesMut;

/// Answers one read, as the tree is now, and sets the watch that comes with it.
pub(super) fn answer(at: &mut Surroundings<'_>, out: &mut ReplyBuffer, xid: i32, read: &Read) {
    let (path, watch) = match read {
        Read::Exists { path, watch } | Read::GetData { path, watch } => {
            (path, watch.then_some(WatchKind::Data))
        }
        Read::GetChildren { path, watch } | Read::GetChildren2 { path, watch } => {
            (path, watch.then_some(WatchKind::Children))
        }
        Read::GetAcl { path } => (path, None),
    };
    let found = at.tree.get(path);
    // Only `exists` can wait for a znode that is not there yet.
    if let Some(kind) = watch.filter(|_| found.is_some() || matches!(read, Read::Exists { .. })) {
        at.watches.add(at.watcher, path, kind);
    }
    let Some(view) = found else {
        return out.error(xid, at.tree.zxid(), ErrorCode::NoNode);
    };
    out.body(xid, at.tree.zxid(), |out| match read {
        Read::Exists { .. } => put_stat(out, &view.stat()),
        Read::GetData { .. } => {
            put_buffer(out, view.data());
            put_stat(out, &view.stat());
        }
        Read::GetAcl { .. } => {
            match view.acl() {
                Some(acl) => put_acl(out, acl),
                None => put_acl(out, &[Acl::open()]),
            }
            put_stat(out, &view.stat());
        }
        Read::GetChildren { .. } => put_children(out, view),
        Read::GetChildren2 { .. } => {
            put_children(out, view);
            put_stat(out, &view.stat());
        }
    });
}

fn put_children(out: &mut BytesMut, view: View<'_>) {
    let children = view.children();
    put_count(out, children.len());
    for name in children {
        put_string(out, name);
    }
}
