//! The newest segment of a store's log, as the store reads it when it is opened.
#![no_main]

use keelhaul_node::storage::{Store, StoreOptions};
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};

/// The first file below a directory whose name begins like a segment's.
fn segment(dir: &Path) -> Option<PathBuf> {
    for entry in std::fs::read_dir(dir).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        if path.is_dir() {
            if let Some(found) = segment(&path) {
                return Some(found);
            }
        } else if name.starts_with("log-") {
            return Some(path);
        }
    }
    None
}

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a directory for the store");
    Store::format(dir.path()).expect("a new store");
    let options = || StoreOptions {
        segment_bytes: 1 << 20,
        ..StoreOptions::default()
    };
    drop(Store::open(dir.path(), options()).expect("a store that was just made"));
    let path = segment(dir.path()).expect("a store has a log");
    std::fs::write(path, bytes).expect("the segment is replaced");
    drop(Store::open(dir.path(), options()));
});
