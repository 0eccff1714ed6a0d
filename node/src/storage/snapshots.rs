//! Snapshots: the delivered state at a zxid, one file each, whole or not there.
//!
//! Written to a temporary file, synced, renamed, and the folder synced.

use super::files::Files;
use super::{StorageError, aside};
use crate::zab::{Snapshot, Zxid};
use bytes::Bytes;

const MAGIC: &[u8; 8] = b"keelsnp1";
const HEADER: usize = 28;

fn name(folder: &str, zxid: Zxid) -> String {
    format!("{folder}/snapshot-{:016x}", zxid.0)
}

/// Writes a file so that after a crash either all of it or the former one is there.
pub(super) fn replace(
    files: &mut dyn Files,
    folder: &str,
    name: &str,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let temporary = format!("{name}.tmp");
    let path = files.path(&temporary);
    let names = StorageError::io("list", files.path(folder), files.list(folder))?;
    if names
        .iter()
        .any(|n| temporary.rsplit('/').next() == Some(n))
    {
        // Left by a crash.
        StorageError::io("remove", path.clone(), files.remove(&temporary))?;
    }
    StorageError::io("write", path.clone(), files.append(&temporary, bytes))?;
    StorageError::io("sync", path.clone(), files.sync(&temporary))?;
    StorageError::io("rename", path, files.rename(&temporary, name))?;
    StorageError::io("sync", files.path(folder), files.sync_dir(folder))
}

pub(super) fn write(
    files: &mut dyn Files,
    folder: &str,
    snapshot: &Snapshot,
) -> Result<(), StorageError> {
    let mut bytes = Vec::with_capacity(HEADER + snapshot.state.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&snapshot.zxid.0.to_le_bytes());
    bytes.extend_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&snapshot.state).to_le_bytes());
    bytes.extend_from_slice(&snapshot.state);
    replace(files, folder, &name(folder, snapshot.zxid), &bytes)
}

fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let head = bytes.strip_prefix(MAGIC)?.first_chunk::<20>()?;
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    let crc = u32::from_le_bytes(head[16..].try_into().expect("four bytes"));
    let state = &bytes[HEADER..];
    let whole = state.len() as u64 == word(8) && crc32c::crc32c(state) == crc;
    whole.then(|| Snapshot {
        zxid: Zxid(word(0)),
        state: Bytes::copy_from_slice(state),
    })
}

/// The zxids of the snapshots in a folder, in order.
pub(super) fn list(files: &dyn Files, folder: &str) -> Result<Vec<Zxid>, StorageError> {
    let names = StorageError::io("list", files.path(folder), files.list(folder))?;
    let zxid = |n: &String| {
        u64::from_str_radix(n.strip_prefix("snapshot-")?, 16)
            .ok()
            .map(Zxid)
    };
    Ok(names.iter().filter_map(zxid).collect())
}

/// The newest whole snapshot. A damaged one is set aside: the log reaches back to the one before it, or to the beginning; if it does not,
/// whoever looks for what is missing will say so.
pub(super) fn newest(
    files: &mut dyn Files,
    folder: &str,
) -> Result<Option<Snapshot>, StorageError> {
    for zxid in list(files, folder)?.into_iter().rev() {
        let name = name(folder, zxid);
        let path = files.path(&name);
        let bytes = StorageError::io("read", path.clone(), files.read(&name, 0, usize::MAX))?;
        if let Some(snapshot) = decode(&bytes).filter(|snapshot| snapshot.zxid == zxid) {
            return Ok(Some(snapshot));
        }
        tracing::error!(file = %path.display(), "damaged snapshot set aside; the log goes back to the one before it");
        let short = name.rsplit('/').next().unwrap_or(&name).to_owned();
        aside::set_one_aside(files, folder, &short)?;
    }
    Ok(None)
}

/// Drops all but the newest two; returns the zxid of the older one of these, if there are two.
pub(super) fn purge(files: &mut dyn Files, folder: &str) -> Result<Option<Zxid>, StorageError> {
    let zxids = list(files, folder)?;
    let Some(kept) = zxids.len().checked_sub(2) else {
        return Ok(None);
    };
    for &zxid in &zxids[..kept] {
        let name = name(folder, zxid);
        StorageError::io("remove", files.path(&name), files.remove(&name))?;
    }
    Ok(Some(zxids[kept]))
}
