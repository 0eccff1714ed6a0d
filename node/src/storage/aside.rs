//! Damaged files are evidence: they are set aside, never deleted, and the replica goes on as one that forgot. So is a history that led to a
//! wrong state, when it is replaced by a leader's: a few are kept, unless the machine dies just then.
//!
//! What was acknowledged may be in the part that is lost, so the replica is amnesiac: it neither votes nor acknowledges until a
//! leader whose quorum has no amnesiac member has brought it up to date (see [`crate::zab`]). That it is one is written down first of all. A crash
//! on the way then leaves an amnesiac with some of its history, which may hold anything; the other way round it could leave a history that is
//! shorter than what was acknowledged, whole in itself, and taken for the truth. The epoch that it promised is kept where it
//! can be read: a promise binds also one that forgot what it was for.

use super::files::Files;
use super::promises::{self, Promises};
use super::{Damage, StorageError, begin_history, folder, lives};
use crate::zab::{Epoch, Epochs};

/// The folders for what is damaged, with a number.
const PREFIX: &str = "damaged-";

/// The folders for histories that are whole, and led to a state which was not the others'.
const DIVERGED: &str = "diverged-";

/// How many of those are kept: what goes wrong again and again must not fill the disk.
const MOST_DIVERGED: usize = 3;

/// Whether something was set aside.
pub(super) fn is_there(files: &dyn Files) -> Result<bool, StorageError> {
    Ok(list(files, "")?.iter().any(|name| name.starts_with(PREFIX)))
}

/// Sets aside everything that a damaged directory holds, and begins an empty history without memory.
pub(super) fn set_aside(files: &mut dyn Files, damage: &Damage) -> Result<(), StorageError> {
    let known = match promises::read(files) {
        Err(StorageError::Damaged(_)) => None,
        known => known?,
    };
    let names = list(files, "")?;
    let aside = next(&names, PREFIX);
    tracing::error!(
        file = %damage.path.display(), offset = damage.offset, problem = damage.problem, aside = %files.path(&aside).display(),
        "damaged: all files are set aside; no vote and no acknowledgement until a leader has brought this member up to date"
    );
    let epochs = Epochs {
        accepted: known.map_or(Epoch(0), |known| known.epochs.accepted),
        current: Epoch(0),
        amnesiac: true,
    };
    StorageError::io("make", files.path(&aside), files.make_dir(&aside))?;
    match known {
        Some(known) => promises::write(files, &Promises { epochs, ..known })?,
        None if names.iter().any(|name| name == promises::NAME) => {
            move_to(files, promises::NAME, &aside, promises::NAME)?;
            sync(files, &aside)?;
            sync(files, "")?;
        }
        None => {}
    }
    if let Err(StorageError::Damaged(_)) = lives::read(files) {
        move_to(files, lives::NAME, &aside, lives::NAME)?;
        sync(files, &aside)?;
        sync(files, "")?;
    }
    let old = names.iter().filter(|name| name.starts_with("history-"));
    let mut next_history = 0;
    for history in old {
        for name in list(files, history)? {
            move_to(files, &format!("{history}/{name}"), &aside, &name)?;
        }
        sync(files, &aside)?;
        sync(files, history)?;
        let number = history.strip_prefix("history-").map(str::parse);
        next_history = next_history.max(number.map_or(0, |n| n.map_or(0, |n: u64| n + 1)));
    }
    sync(files, "")?;
    begin_history(files, epochs, next_history)
}

/// Keeps the files of a history that is not in use any more, because its state was not what it should have been.
pub(super) fn keep_history(files: &mut dyn Files, history: &str) -> Result<(), StorageError> {
    let names = list(files, "")?;
    let kept = names.iter().filter(|name| name.starts_with(DIVERGED));
    if kept.count() >= MOST_DIVERGED {
        tracing::warn!(
            "as many histories that led to a wrong state are kept as may be: this one is not"
        );
        return Ok(());
    }
    let aside = next(&names, DIVERGED);
    StorageError::io("make", files.path(&aside), files.make_dir(&aside))?;
    for name in list(files, history)? {
        move_to(files, &format!("{history}/{name}"), &aside, &name)?;
    }
    sync(files, &aside)?;
    sync(files, history)?;
    sync(files, "")?;
    tracing::warn!(aside = %files.path(&aside).display(), "the log and the snapshots of the state that was wrong are kept");
    Ok(())
}

/// Sets one file aside, without which the others are whole; returns the folder where it is.
pub(super) fn set_one_aside(
    files: &mut dyn Files,
    in_folder: &str,
    name: &str,
) -> Result<String, StorageError> {
    let aside = next(&list(files, "")?, PREFIX);
    StorageError::io("make", files.path(&aside), files.make_dir(&aside))?;
    move_to(files, &format!("{in_folder}/{name}"), &aside, name)?;
    sync(files, &aside)?;
    sync(files, in_folder)?;
    sync(files, "")?;
    Ok(aside)
}

fn next(names: &[String], prefix: &str) -> String {
    let numbers = names.iter().filter_map(|name| name.strip_prefix(prefix));
    let last = numbers
        .filter_map(|number| number.parse::<u64>().ok())
        .max();
    format!("{prefix}{}", last.map_or(0, |last| last + 1))
}

fn list(files: &dyn Files, folder: &str) -> Result<Vec<String>, StorageError> {
    StorageError::io("list", files.path(folder), files.list(folder))
}

fn sync(files: &mut dyn Files, folder: &str) -> Result<(), StorageError> {
    StorageError::io("sync", files.path(folder), files.sync_dir(folder))
}

fn move_to(files: &mut dyn Files, from: &str, aside: &str, name: &str) -> Result<(), StorageError> {
    let to = format!("{aside}/{name}");
    StorageError::io("set aside", files.path(from), files.rename(from, &to))
}

/// The directory of a history that has promises which cannot be read, or none.
pub(super) fn orphan(files: &dyn Files, history: &str) -> Damage {
    Damage {
        path: files.path(history),
        offset: 0,
        problem: "there is no file `epochs` that says what was promised with it".to_owned(),
    }
}

/// Whether the directory is that of a history.
pub(super) fn is_history(name: &str) -> bool {
    name.starts_with(folder(0).trim_end_matches('0'))
}
