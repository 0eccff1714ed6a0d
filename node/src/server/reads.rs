//! Answers reads from the tree.

use super::pipeline::Surroundings;
use crate::acl::{self, Permission};
use crate::jute::ReplyBuffer;
use crate::jute::reply::{
    put_acl, put_buffer, put_count, put_end, put_failed_part, put_part, put_stat, put_string,
};
use crate::jute::request::opcode;
use crate::request::{Acl, ErrorCode, Read};
use crate::tree::View;
use crate::watches::WatchKind;
use bytes::BytesMut;

/// Answers one read, as the tree is now, and sets the watch that comes with it.
pub(super) fn answer(at: &mut Surroundings<'_>, out: &mut ReplyBuffer, xid: i32, read: &Read) {
    let zxid = at.tree.zxid();
    if let Read::Multi(reads) = read {
        return out.body(xid, zxid, |out| put_multi(at, out, reads));
    }
    match find(at, read) {
        Err(code) => out.error(xid, zxid, code),
        Ok(view) => out.body(xid, zxid, |out| put_found(at, out, read, view)),
    }
}

/// The znode that is read, if there is one and the client may read it; sets the watch.
fn find<'t>(at: &mut Surroundings<'t>, read: &Read) -> Result<Option<View<'t>>, ErrorCode> {
    let (path, permission, watch) = match read {
        Read::Exists { path, watch } => {
            // The only path that ZooKeeper refuses in a read.
            if path.contains('\0') {
                return Err(ErrorCode::BadArguments);
            }
            // Only this can wait for a znode that is not there yet, and it needs no permission.
            if *watch {
                at.watches.add(at.watcher, path, WatchKind::Data);
            }
            return at.tree.get(path).map(Some).ok_or(ErrorCode::NoNode);
        }
        Read::GetData { path, watch } => (path, Permission::READ, watch.then_some(WatchKind::Data)),
        Read::GetChildren { path, watch } | Read::GetChildren2 { path, watch } => {
            (path, Permission::READ, watch.then_some(WatchKind::Children))
        }
        Read::GetAcl { path } => (path, Permission::READ.or(Permission::ADMIN), None),
        Read::GetAllChildrenNumber { path } => (path, Permission::READ, None),
        Read::GetEphemerals { .. } | Read::WhoAmI | Read::Multi(_) => return Ok(None),
    };
    let view = at.tree.get(path).ok_or(ErrorCode::NoNode)?;
    acl::check(view.acl(), permission, at.identity)?;
    if let Some(kind) = watch {
        at.watches.add(at.watcher, path, kind);
    }
    Ok(Some(view))
}

fn put_found(at: &Surroundings<'_>, out: &mut BytesMut, read: &Read, view: Option<View<'_>>) {
    let view = || view.expect("it was found, or there was an error");
    match read {
        Read::Exists { .. } => put_stat(out, &view().stat()),
        Read::GetData { .. } => {
            put_buffer(out, view().data());
            put_stat(out, &view().stat());
        }
        Read::GetAcl { .. } => {
            put_list(at, out, view());
            put_stat(out, &view().stat());
        }
        Read::GetChildren { .. } => put_children(out, view()),
        Read::GetChildren2 { .. } => {
            put_children(out, view());
            put_stat(out, &view().stat());
        }
        Read::GetAllChildrenNumber { path } => {
            put_count(out, at.tree.count_below(path).unwrap_or_default());
        }
        Read::GetEphemerals { prefix } => put_ephemerals(at, out, prefix),
        Read::WhoAmI => put_identity(at, out),
        Read::Multi(_) => {}
    }
}

/// Who may not change the list does not see the digests in it.
fn put_list(at: &Surroundings<'_>, out: &mut BytesMut, view: View<'_>) {
    match view.acl() {
        None => put_acl(out, &[Acl::open()]),
        Some(list) if acl::check(Some(list), Permission::ADMIN, at.identity).is_ok() => {
            put_acl(out, list)
        }
        Some(list) => put_acl(out, &acl::masked(list)),
    }
}

fn put_ephemerals(at: &Surroundings<'_>, out: &mut BytesMut, prefix: &str) {
    let all = matches!(prefix.trim(), "" | "/");
    let session = at.tree.session(at.session);
    let paths: Vec<&String> = session
        .into_iter()
        .flat_map(|session| &session.ephemerals)
        .filter(|path| all || path.starts_with(prefix))
        .collect();
    put_count(out, paths.len());
    for path in paths {
        put_string(out, path);
    }
}

/// Scheme and user of all that the client has shown, its address first.
fn put_identity(at: &Surroundings<'_>, out: &mut BytesMut) {
    put_count(out, 1 + at.identity.ids.len());
    put_string(out, "ip");
    put_string(out, &at.identity.address.to_canonical().to_string());
    for id in &at.identity.ids {
        put_string(out, &id.scheme);
        let user = match id.scheme.as_str() {
            "digest" => id.id.split(':').next().unwrap_or_default(),
            _ => &id.id,
        };
        put_string(out, user);
    }
}

/// The parts of an answer that begin beyond this, in bytes, are refused: a short request must not make the server hold gigabytes.
const LONGEST: usize = 64 << 20;

fn put_multi(at: &mut Surroundings<'_>, out: &mut BytesMut, reads: &[Read]) {
    let begin = out.len();
    for read in reads {
        let found = match out.len() - begin < LONGEST {
            true => find(at, read),
            false => Err(ErrorCode::Marshalling),
        };
        match found {
            Err(code) => put_failed_part(out, code),
            Ok(view) => {
                let code = match read {
                    Read::GetData { .. } => opcode::GET_DATA,
                    _ => opcode::GET_CHILDREN,
                };
                put_part(out, code);
                put_found(at, out, read, view);
            }
        }
    }
    put_end(out);
}

fn put_children(out: &mut BytesMut, view: View<'_>) {
    let children = view.children();
    put_count(out, children.len());
    for name in children {
        put_string(out, name);
    }
}
