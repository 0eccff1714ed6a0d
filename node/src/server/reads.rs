//! Answers reads from the tree.

use crate::jute::ReplyBuffer;
use crate::jute::reply::{put_acl, put_buffer, put_count, put_stat, put_string};
use crate::request::{Acl, ErrorCode, Read};
use crate::tree::{Tree, View};
use bytes::BytesMut;

/// Answers one read, as the tree is now.
pub(super) fn answer(tree: &Tree, out: &mut ReplyBuffer, xid: i32, read: &Read) {
    let (Read::Exists(path)
    | Read::GetData(path)
    | Read::GetAcl(path)
    | Read::GetChildren(path)
    | Read::GetChildren2(path)) = read;
    let Some(view) = tree.get(path) else {
        return out.error(xid, tree.zxid(), ErrorCode::NoNode);
    };
    out.body(xid, tree.zxid(), |out| match read {
        Read::Exists(_) => put_stat(out, &view.stat()),
        Read::GetData(_) => {
            put_buffer(out, view.data());
            put_stat(out, &view.stat());
        }
        Read::GetAcl(_) => {
            match view.acl() {
                Some(acl) => put_acl(out, acl),
                None => put_acl(out, &[Acl::open()]),
            }
            put_stat(out, &view.stat());
        }
        Read::GetChildren(_) => put_children(out, view),
        Read::GetChildren2(_) => {
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
