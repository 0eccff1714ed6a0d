//! A leader's snapshot while it arrives: a file `arriving-Z` in the data directory, until the history that begins with it is installed.
//!
//! What has come is kept through broken connections, other leaders and crashes. Pieces that are not whole after a crash are cut off.

use super::StorageError;
use super::files::{Files, remove_if_there};
use super::snapshots::{self, Good, Writing};
use crate::zab::{Arrival, Piece, Zxid};

const PREFIX: &str = "arriving-";

/// The snapshot that arrives.
#[derive(Debug)]
pub(super) struct Arriving {
    zxid: Zxid,
    writing: Writing,
}

fn name(zxid: Zxid) -> String {
    format!("{PREFIX}{:016x}", zxid.0)
}

fn all(files: &dyn Files) -> Result<Vec<String>, StorageError> {
    let mut names = StorageError::io("list", files.path(""), files.list(""))?;
    names.retain(|name| name.starts_with(PREFIX));
    Ok(names)
}

/// What has come before this start, if anything has.
pub(super) fn find(files: &mut dyn Files) -> Result<Option<(Arriving, Arrival)>, StorageError> {
    let mut found = None;
    for name in all(files)? {
        let good = snapshots::good_beginning(files, &name)?.ok();
        let good = good.filter(|good| found.is_none() && name == self::name(good.stored.zxid));
        let Some(Good {
            stored,
            pieces,
            end,
            ..
        }) = good
        else {
            remove_if_there(files, "", &name)?;
            continue;
        };
        let path = files.path(&name);
        StorageError::io("cut", path, files.truncate(&name, end))?;
        let arriving = Arriving {
            zxid: stored.zxid,
            writing: Writing::resumed(name, pieces),
        };
        found = Some((arriving, Arrival { stored, pieces }));
    }
    Ok(found)
}

/// Keeps the next piece; the first begins anew.
pub(super) fn keep(
    files: &mut dyn Files,
    arriving: &mut Option<Arriving>,
    piece: &Piece,
) -> Result<(), StorageError> {
    if piece.number == 0 {
        forget(files)?;
        // All pieces but the last are as long as the first.
        let writing = Writing::begin(files, name(piece.zxid), piece.zxid, piece.bytes.len())?;
        StorageError::io("sync", files.path(""), files.sync_dir(""))?;
        let zxid = piece.zxid;
        *arriving = Some(Arriving { zxid, writing });
    }
    let arriving = arriving.as_mut().expect("the first piece comes first");
    let next = (arriving.zxid, arriving.writing.pieces());
    assert_eq!((piece.zxid, piece.number), next, "pieces come in order");
    arriving.writing.push(files, &piece.bytes)
}

/// Removes what has come.
pub(super) fn forget(files: &mut dyn Files) -> Result<(), StorageError> {
    for name in all(files)? {
        remove_if_there(files, "", &name)?;
    }
    Ok(())
}

impl Arriving {
    /// All has come: it moves to where it belongs.
    pub(super) fn finish(
        self,
        files: &mut dyn Files,
        folder: &str,
        zxid: Zxid,
    ) -> Result<(), StorageError> {
        assert_eq!(self.zxid, zxid, "what is installed is what has come");
        self.writing
            .finish(files, folder, &snapshots::name(folder, zxid))?;
        StorageError::io("sync", files.path(""), files.sync_dir(""))
    }
}
