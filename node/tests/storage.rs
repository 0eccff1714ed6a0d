//! The store on a real directory: what comes back after a restart, after a torn write, after damage.

#![allow(clippy::unwrap_used)] // A test: what fails here fails the test.

use bytes::Bytes;
use keelhaul_node::storage::{StorageError, Store, StoreOptions};
use keelhaul_node::zab::{
    DiskOp, Entry, Epoch, Epochs, Piece, Recovered, Snapshot, Stored, Ticket, Zxid,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn zxid(counter: u32) -> Zxid {
    Zxid::new(Epoch(1), counter)
}

fn entry(counter: u32) -> Entry {
    Entry {
        zxid: zxid(counter),
        txn: Bytes::from(vec![counter as u8; 40]),
    }
}

fn append(counters: impl IntoIterator<Item = u32>) -> Vec<DiskOp> {
    counters
        .into_iter()
        .map(|c| DiskOp::Append(entry(c)))
        .collect()
}

fn small() -> StoreOptions {
    StoreOptions {
        segment_bytes: 300,
        piece_bytes: 4,
        ..StoreOptions::default()
    }
}

fn formatted() -> TempDir {
    let dir = TempDir::new().unwrap();
    Store::format(dir.path()).unwrap();
    dir
}

fn open(dir: &Path) -> (Store, Recovered) {
    Store::open(dir, small()).unwrap()
}

fn recovered(dir: &Path) -> Vec<u32> {
    open(dir)
        .1
        .entries
        .iter()
        .map(|e| e.zxid.counter())
        .collect()
}

/// The newest log segment.
fn newest(dir: &Path) -> PathBuf {
    let logs = |e: fs::DirEntry| {
        e.file_name()
            .to_string_lossy()
            .starts_with("log-")
            .then(|| e.path())
    };
    fs::read_dir(dir.join("history-0"))
        .unwrap()
        .filter_map(|e| logs(e.unwrap()))
        .max()
        .unwrap()
}

#[test]
fn what_was_written_comes_back_over_several_segments() {
    let dir = formatted();
    let epochs = Epochs {
        accepted: Epoch(3),
        current: Epoch(2),
        amnesiac: false,
    };
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=20)).unwrap();
    store
        .perform(vec![DiskOp::SaveEpochs(epochs), DiskOp::Append(entry(21))])
        .unwrap();
    drop(store);
    let (_, found) = open(dir.path());
    assert_eq!(found.epochs, epochs);
    assert_eq!(found.entries, (1..=21).map(entry).collect::<Vec<_>>());
    assert!(
        fs::read_dir(dir.path().join("history-0")).unwrap().count() > 3,
        "several segments"
    );
}

#[test]
fn a_cut_goes_across_segments_and_the_log_goes_on_from_there() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=20)).unwrap();
    store
        .perform(vec![DiskOp::Truncate(zxid(4)), DiskOp::Append(entry(9))])
        .unwrap();
    drop(store);
    assert_eq!(recovered(dir.path()), [1, 2, 3, 4, 9]);
}

#[test]
fn the_log_is_read_from_any_entry_that_it_holds() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store
        .perform(append((1..=20).filter(|c| c % 2 == 0)))
        .unwrap();
    let mut read = |after: Zxid, limit| {
        let operation = DiskOp::ReadLog {
            ticket: Ticket(1),
            after,
            limit,
        };
        let entries = store
            .perform(vec![operation])
            .unwrap()
            .reads
            .remove(0)
            .entries;
        entries.map(|entries| entries.iter().map(|e| e.zxid.counter()).collect::<Vec<_>>())
    };
    assert_eq!(read(Zxid::ZERO, 3), Some(vec![2, 4, 6]));
    assert_eq!(read(zxid(14), 100), Some(vec![16, 18, 20]));
    assert_eq!(read(zxid(20), 100), Some(vec![]));
    assert_eq!(read(zxid(13), 100), None, "not in the log");
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=3)).unwrap();
    drop(store);
    let path = newest(dir.path());
    let whole = fs::read(&path).unwrap();
    for cut in 1..60 {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(recovered(dir.path()), [1, 2], "{cut} bytes cut off");
    }
    let (mut store, _) = open(dir.path());
    store.perform(append([4])).unwrap();
    drop(store);
    assert_eq!(recovered(dir.path()), [1, 2, 4]);
}

/// The directory was damaged: what it held is in `damaged-0`, and it comes back without memory, but with what it promised.
fn forgets(dir: &Path, accepted: u32) {
    let found = open(dir).1;
    let epochs = Epochs {
        accepted: Epoch(accepted),
        current: Epoch(0),
        amnesiac: true,
    };
    assert_eq!(
        (found.epochs, found.entries, found.snapshot),
        (epochs, vec![], None)
    );
    // It stays one, and can be written to.
    let (mut store, found) = open(dir);
    assert_eq!(found.epochs, epochs);
    store.perform(append(1..=3)).unwrap();
    drop(store);
    assert_eq!(recovered(dir), [1, 2, 3]);
    assert!(!dir.join("damaged-1").exists());
}

fn promise(store: &mut Store, epoch: u32) {
    let epochs = Epochs {
        accepted: Epoch(epoch),
        current: Epoch(epoch),
        amnesiac: false,
    };
    store.perform(vec![DiskOp::SaveEpochs(epochs)]).unwrap();
}

#[test]
fn a_log_with_a_broken_middle_is_set_aside_as_it_is_and_what_was_promised_is_kept() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    promise(&mut store, 7);
    // Each is durable before the next is written.
    (1..=3).for_each(|c| drop(store.perform(append([c])).unwrap()));
    drop(store);
    let path = newest(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[16 + 64 + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    forgets(dir.path(), 7);
    let aside = dir.path().join("damaged-0").join(path.file_name().unwrap());
    assert_eq!(fs::read(aside).unwrap(), bytes, "nothing was changed");
}

#[test]
fn damage_that_is_found_while_the_node_runs_names_file_and_offset() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    (1..=3).for_each(|c| drop(store.perform(append([c])).unwrap()));
    let path = newest(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[16 + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let read = DiskOp::ReadLog {
        ticket: Ticket(1),
        after: Zxid::ZERO,
        limit: 10,
    };
    match store.perform(vec![read]) {
        Err(StorageError::Damaged(damage)) => {
            assert_eq!((damage.path, damage.offset), (path, 16));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_closed_segment_and_a_missing_one_make_an_amnesiac() {
    for cut in [true, false] {
        let dir = formatted();
        let (mut store, _) = open(dir.path());
        store.perform(append(1..=30)).unwrap();
        drop(store);
        let mut logs: Vec<PathBuf> = fs::read_dir(dir.path().join("history-0"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        logs.sort();
        let bytes = fs::read(&logs[1]).unwrap();
        match cut {
            true => fs::write(&logs[1], &bytes[..bytes.len() - 5]).unwrap(),
            false => fs::remove_file(&logs[1]).unwrap(),
        }
        forgets(dir.path(), 0);
        let aside = fs::read_dir(dir.path().join("damaged-0")).unwrap().count();
        assert_eq!(aside, logs.len() - usize::from(!cut));
    }
}

#[test]
fn snapshots_make_old_segments_superfluous_and_a_damaged_one_is_set_aside() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    let stored = |c: u32| Stored {
        zxid: zxid(c),
        beginning: Bytes::from(vec![c as u8; 4]),
    };
    for c in [10, 20, 30] {
        store.perform(append(c - 9..=c)).unwrap();
        store
            .perform(vec![save(zxid(c), vec![c as u8; 10])])
            .unwrap();
        save_all(&mut store);
    }
    store.perform(append([31])).unwrap();
    drop(store);
    let (_, found) = open(dir.path());
    assert_eq!(found.snapshot, Some(stored(30)));
    assert_eq!(found.entries, [entry(31)]);
    assert!(
        found.log_start > Zxid::ZERO && found.log_start <= zxid(20),
        "{:?}",
        found.log_start
    );

    let newest = dir
        .path()
        .join(format!("history-0/snapshot-{:016x}", zxid(30).0));
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    let (_, found) = open(dir.path());
    assert_eq!(found.snapshot, Some(stored(20)));
    assert_eq!(found.entries.len(), 11);
    assert!(!found.epochs.amnesiac, "the log has what it had");
    let aside = dir.path().join("damaged-0");
    assert!(aside.join(newest.file_name().unwrap()).exists());

    // Without the older one, the log does not go back far enough.
    fs::remove_file(newest.with_file_name(format!("snapshot-{:016x}", zxid(20).0))).unwrap();
    let (_, found) = open(dir.path());
    assert!(found.epochs.amnesiac && found.entries.is_empty());
}

#[test]
fn an_installed_snapshot_replaces_the_whole_history() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=5)).unwrap();
    let promised = Epochs {
        accepted: Epoch(4),
        current: Epoch(4),
        amnesiac: false,
    };
    let done = store
        .perform(vec![
            keep(zxid(3), 0, b"stat"),
            keep(zxid(3), 1, b"e"),
            DiskOp::InstallHistory {
                zxid: zxid(3),
                entries: vec![entry(7)],
                epochs: promised,
                keep_former: false,
            },
            DiskOp::Append(entry(8)),
        ])
        .unwrap();
    let installed = done.installed.expect("it was installed");
    assert_eq!(installed.zxid(), zxid(3));
    let state: Vec<Bytes> = installed.map(|piece| piece.unwrap()).collect();
    assert_eq!(state.concat(), b"state");
    drop(store);
    let (_, found) = open(dir.path());
    let stored = found.snapshot.expect("it was installed");
    assert_eq!(
        (stored.zxid, &stored.beginning[..]),
        (zxid(3), &b"stat"[..])
    );
    assert_eq!((found.log_start, found.arrival), (zxid(3), None));
    assert_eq!(found.entries, [entry(7), entry(8)]);
    assert_eq!(found.epochs, promised);
    assert!(!dir.path().join("history-0").exists());
}

/// Begins to write a snapshot.
fn save(zxid: Zxid, state: Vec<u8>) -> DiskOp {
    let state = Arc::new(Bytes::from(state));
    DiskOp::SaveSnapshot(Snapshot { zxid, state })
}

/// Writes it to its end: where the log begins then.
fn save_all(store: &mut Store) -> Zxid {
    loop {
        assert!(store.is_saving());
        if let Some(log_start) = store.save_more().unwrap() {
            return log_start;
        }
    }
}

fn keep(zxid: Zxid, number: u32, bytes: &'static [u8]) -> DiskOp {
    let bytes = Bytes::from_static(bytes);
    DiskOp::KeepPiece(Piece {
        zxid,
        number,
        bytes,
    })
}

fn read_piece(store: &mut Store, zxid: Zxid, number: u32) -> Option<Piece> {
    let operation = DiskOp::ReadPiece {
        ticket: Ticket(1),
        zxid,
        number,
    };
    store
        .perform(vec![operation])
        .unwrap()
        .pieces
        .remove(0)
        .piece
}

#[test]
fn a_snapshot_is_read_piece_by_piece_and_ends_with_an_empty_one() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    assert_eq!(read_piece(&mut store, Zxid::ZERO, 0), None);
    store.perform(append(1..=2)).unwrap();
    for c in [1, 2] {
        let state = format!("state {c}").into_bytes();
        store.perform(vec![save(zxid(c), state)]).unwrap();
        assert!(read_piece(&mut store, zxid(c), 0).is_none_or(|p| p.zxid < zxid(c)));
        save_all(&mut store);
    }
    let mut read = |c, number| {
        let piece = read_piece(&mut store, zxid(c), number).unwrap();
        (piece.zxid.counter(), piece.number, piece.bytes)
    };
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    assert_eq!(read(1, 0), (1, 0, bytes("stat")));
    assert_eq!(read(1, 1), (1, 1, bytes("e 1")));
    assert_eq!(read(1, 2), (1, 2, bytes("")));
    assert_eq!(read(1, 9), (1, 9, bytes("")));
    assert_eq!(
        read(7, 1),
        (2, 0, bytes("stat")),
        "the newest, from its beginning"
    );

    let file = dir
        .path()
        .join(format!("history-0/snapshot-{:016x}", zxid(2).0));
    let mut damaged = fs::read(&file).unwrap();
    damaged[35] ^= 1;
    fs::write(&file, damaged).unwrap();
    assert_eq!(read_piece(&mut store, zxid(2), 0), None);
    assert!(!file.exists() && dir.path().join("damaged-0").exists());
}

#[test]
fn the_log_goes_on_while_a_snapshot_is_written_and_a_crash_leaves_the_one_before_it() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=3)).unwrap();
    store.perform(vec![save(zxid(2), vec![2; 9])]).unwrap();
    save_all(&mut store);
    store.perform(vec![save(zxid(3), vec![3; 9])]).unwrap();
    store.save_more().unwrap();
    store.perform(append(4..=5)).unwrap();
    store.save_more().unwrap();
    drop(store);
    let (mut store, found) = open(dir.path());
    assert_eq!(found.snapshot.unwrap().zxid, zxid(2));
    assert_eq!(found.entries, [entry(3), entry(4), entry(5)]);
    let names = |dir: &Path| fs::read_dir(dir.join("history-0")).unwrap().count();
    assert_eq!(names(dir.path()), 2, "what was half written is gone");
    store.perform(vec![save(zxid(5), vec![5; 9])]).unwrap();
    save_all(&mut store);
}

#[test]
fn what_has_come_of_a_leaders_snapshot_is_kept_and_what_is_torn_is_cut_off() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store
        .perform(vec![
            keep(zxid(8), 0, b"from another time"),
            keep(zxid(9), 0, b"stat"),
            keep(zxid(9), 1, b"e of"),
            keep(zxid(9), 2, b" thi"),
        ])
        .unwrap();
    drop(store);
    let file = dir.path().join(format!("arriving-{:016x}", zxid(9).0));
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let (mut store, found) = open(dir.path());
    let arrival = found.arrival.expect("two pieces are whole");
    assert_eq!((arrival.stored.zxid, arrival.pieces), (zxid(9), 2));
    assert_eq!(arrival.stored.beginning, "stat");
    let install = DiskOp::InstallHistory {
        zxid: zxid(9),
        entries: Vec::new(),
        epochs: Epochs::default(),
        keep_former: false,
    };
    let done = store
        .perform(vec![keep(zxid(9), 2, b" it"), install])
        .unwrap();
    let state: Vec<Bytes> = done.installed.unwrap().map(|p| p.unwrap()).collect();
    assert_eq!(state.concat(), b"state of it");
    assert!(!file.exists());
}

#[test]
fn a_directory_that_was_never_formatted_makes_an_amnesiac() {
    let dir = TempDir::new().unwrap();
    let (_, found) = open(dir.path());
    assert!(found.epochs.amnesiac);
    let formatted = formatted();
    assert!(!open(formatted.path()).1.epochs.amnesiac);
}

#[test]
fn a_server_that_was_started_before_its_directory_was_formatted_can_be_formatted_then() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    Store::format(dir.path()).unwrap();
    assert!(!open(dir.path()).1.epochs.amnesiac);
    // One that has promised something since is nobody new.
    let dir = TempDir::new().unwrap();
    let (mut store, _) = open(dir.path());
    let promised = Epochs {
        accepted: Epoch(1),
        amnesiac: true,
        ..Epochs::default()
    };
    store.perform(vec![DiskOp::SaveEpochs(promised)]).unwrap();
    drop(store);
    let refused = Store::format(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("holds a history already"), "{refused}");
}

#[test]
fn what_is_set_aside_is_not_formatted_away() {
    let dir = formatted();
    fs::write(dir.path().join("epochs"), "nonsense").unwrap();
    drop(open(dir.path()));
    assert!(dir.path().join("damaged-0").is_dir());
    let refused = Store::format(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("set aside"), "{refused}");
}

#[test]
fn formatting_refuses_to_forget_and_one_process_holds_the_directory() {
    let dir = formatted();
    let refused = Store::format(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("holds a history already"), "{refused}");
    let held = open(dir.path());
    let refused = Store::open(dir.path(), small()).unwrap_err().to_string();
    assert!(refused.contains("another process"), "{refused}");
    drop(held);
}

#[test]
fn a_history_without_its_promises_is_set_aside_and_not_formatted_over() {
    let dir = formatted();
    let (mut store, _) = open(dir.path());
    store.perform(append(1..=5)).unwrap();
    drop(store);
    fs::remove_file(dir.path().join("epochs")).unwrap();
    let path = newest(dir.path());
    let log = fs::read(&path).unwrap();
    let refused = Store::format(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("no file `epochs`"), "{refused}");
    forgets(dir.path(), 0);
    let aside = dir.path().join("damaged-0").join(path.file_name().unwrap());
    assert_eq!(fs::read(aside).unwrap(), log);
}

#[test]
fn promises_that_are_damaged_are_set_aside_with_their_history() {
    let dir = formatted();
    let path = dir.path().join("epochs");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("accepted 0", "accepted 9");
    fs::write(&path, &text).unwrap();
    forgets(dir.path(), 0);
    let aside = dir.path().join("damaged-0/epochs");
    assert_eq!(fs::read_to_string(aside).unwrap(), text);
}

/// Opens it with this mark; returns the lives that it remembers.
fn lives(dir: &Path, mark: u64) -> Vec<u64> {
    let options = StoreOptions { mark, ..small() };
    let (_, found) = Store::open(dir, options).unwrap();
    found.lives.own.lives.iter().map(|life| life.mark).collect()
}

#[test]
fn every_start_is_another_life_and_formatting_begins_anew() {
    let dir = formatted();
    assert_eq!(lives(dir.path(), 5), [5]);
    assert_eq!(lives(dir.path(), 6), [5, 6]);
    assert_eq!(lives(dir.path(), 7), [5, 6, 7]);
    // Whoever empties a directory by hand may overlook something.
    fs::remove_file(dir.path().join("epochs")).unwrap();
    fs::remove_dir_all(dir.path().join("history-0")).unwrap();
    Store::format(dir.path()).unwrap();
    assert_eq!(lives(dir.path(), 8), [8]);
}

#[test]
fn lives_that_are_damaged_are_set_aside_and_their_server_has_forgotten() {
    let dir = formatted();
    lives(dir.path(), 5);
    let path = dir.path().join("lives");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("own 1", "own 2")).unwrap();
    let (_, found) = open(dir.path());
    assert!(found.epochs.amnesiac);
    assert_eq!(found.lives.own.lives.len(), 1);
    assert!(dir.path().join("damaged-0/lives").exists());
}

#[test]
fn a_history_that_is_evidence_is_set_aside_and_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    Store::format(dir.path()).unwrap();
    let (mut store, _) = open(dir.path());
    store.perform(vec![DiskOp::Append(entry(1))]).unwrap();
    let only_file = |folder: &str| {
        let mut files = fs::read_dir(dir.path().join(folder)).unwrap();
        fs::read(files.next().unwrap().unwrap().path()).unwrap()
    };
    let written = only_file("history-0");
    for (last, keep_former) in [(3, true), (5, false), (7, true)] {
        let install = DiskOp::InstallHistory {
            zxid: zxid(last),
            entries: vec![entry(last + 1)],
            epochs: Epochs::default(),
            keep_former,
        };
        store
            .perform(vec![keep(zxid(last), 0, b"s"), install])
            .unwrap();
    }
    drop(store);
    let names = |folder: &str| {
        let names = fs::read_dir(dir.path().join(folder)).unwrap();
        let mut names: Vec<String> = names
            .map(|name| name.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let histories = |names: Vec<String>| {
        let is = |name: &String| name.starts_with("history-") || name.starts_with("diverged-");
        names.into_iter().filter(is).collect::<Vec<_>>()
    };
    assert_eq!(
        histories(names("")),
        ["diverged-0", "diverged-1", "history-3"]
    );
    assert_eq!(only_file("diverged-0"), written);
    assert_eq!(names("diverged-1").len(), 2, "its log and its snapshot");
    // It counts for nothing.
    let (_, found) = open(dir.path());
    assert!(!found.epochs.amnesiac);
    assert_eq!(found.entries, [entry(8)]);
}
