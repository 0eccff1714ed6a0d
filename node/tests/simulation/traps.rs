//! A trap of ZooKeeper's history that is one of the disk alone.
//!
//! An epoch that is on the disk before the history that it stands for makes a server that crashed between the two a candidate that
//! claims more than it has.

use crate::disk::Disk;
use bytes::Bytes;
use keelhaul_node::storage::{Store, StoreOptions};
use keelhaul_node::zab::{DiskOp, Entry, Epoch, Epochs, Zxid};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const EPOCHS: Epochs = Epochs {
    accepted: Epoch(2),
    current: Epoch(2),
    amnesiac: false,
};

fn entry(counter: u32) -> Entry {
    Entry {
        zxid: Zxid::new(Epoch(1), counter),
        txn: Bytes::from_static(b"what was missing"),
    }
}

#[test]
fn an_epoch_is_not_on_disk_before_its_history() {
    let missing = (2..=4).map(|counter| DiskOp::Append(entry(counter)));
    let operations: Vec<DiskOp> = missing.chain([DiskOp::SaveEpochs(EPOCHS)]).collect();
    // It dies at every point of the way, in several ways each.
    let (mut there, mut not) = (0, 0);
    for writes in 0..20 {
        for seed in 0..30 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut disk = Disk::default();
            Store::format_on(&mut disk).unwrap();
            let open = || Store::open_on(Box::new(disk.clone()), StoreOptions::default()).unwrap();
            let (mut store, _) = open();
            store.perform(vec![DiskOp::Append(entry(1))]).unwrap();
            disk.set_fuse(Some(writes));
            let whole = store.perform(operations.clone()).is_ok();
            disk.crash(&mut rng);
            let (_, found) = open();
            if found.epochs.current == EPOCHS.current {
                there += 1;
                let last = found.entries.last().map(|entry| entry.zxid);
                assert_eq!(last, Some(entry(4).zxid), "{writes} writes, seed {seed}");
            } else {
                not += 1;
                assert!(!whole);
            }
        }
    }
    assert!(there > 0 && not > 0, "{there} and {not}");
}
