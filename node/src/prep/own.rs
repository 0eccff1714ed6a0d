//! Preparation of what the service itself writes: its alerts, and whose seats are lent.

use super::Prepared;
use super::overlay::{Draft, Outlook, Overlay};
use crate::request::{Acl, SessionId};
use crate::tree::{Tree, path};
use crate::txn::Body;
use bytes::Bytes;

/// Prepares that a znode of which [`path::is_own`] is true, or [`path::CONFIG`], has this data, or is gone. `None` if that is so, or if a change of it is on
/// its way.
pub fn own(tree: &Tree, overlay: &Overlay, path: &str, data: Option<Bytes>) -> Option<Prepared> {
    assert!(
        path::is_own(path) || path == path::CONFIG,
        "{path} is a client's"
    );
    let mut draft = Draft::new(tree, overlay);
    if overlay.is_pending(path) {
        return None;
    }
    let body = match (draft.get(path), data) {
        (None, None) => return None,
        (None, data) => create(&mut draft, path, data)?,
        (Some(znode), None) if znode.children == 0 => {
            draft.remove(path.to_owned());
            Body::Delete {
                path: path.to_owned(),
            }
        }
        (Some(_), None) => return None,
        (Some(znode), data) => {
            let same = tree
                .get(path)
                .is_some_and(|view| view.data() == data.as_deref());
            if same {
                return None;
            }
            let version = znode.version.wrapping_add(1);
            draft.set(path.to_owned(), Some(Outlook { version, ..znode }));
            Body::SetData {
                path: path.to_owned(),
                data,
                version,
            }
        }
    };
    Some(Prepared {
        body,
        changes: draft.changes(),
    })
}

fn create(draft: &mut Draft<'_>, path: &str, data: Option<Bytes>) -> Option<Body> {
    let (parent_path, _) = path::split(path)?;
    let parent = draft.get(parent_path)?;
    let (creates, acl) = (parent.creates.wrapping_add(1), vec![Acl::read_only()]);
    let children = parent.children + 1;
    draft.set(
        parent_path.to_owned(),
        Some(Outlook {
            creates,
            children,
            ..parent
        }),
    );
    let znode = Outlook {
        acl: Some(acl.clone().into()),
        ..Outlook::default()
    };
    draft.set(path.to_owned(), Some(znode));
    Some(Body::Create {
        path: path.to_owned(),
        data,
        acl,
        owner: SessionId::NONE,
        parent_creates: creates,
    })
}
