//! The layer above a replica: it counts transactions, and knows changes of the ensemble from the others.

use bytes::Bytes;
use keelhaul_node::storage::SnapshotReader;
use keelhaul_node::zab::{Change, Members, Reading, Snapshot, View, Zxid};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The first byte of a transaction.
const ORDINARY: u8 = 0;
const JOIN: u8 = 1;
const ACTIVATE: u8 = 2;

/// How the core finds changes in these transactions and states.
pub(crate) const READING: Reading = Reading {
    change,
    view,
    activation: || Bytes::from_static(&[ACTIVATE]),
};

pub(crate) fn change(txn: &Bytes) -> Option<Change> {
    match *txn.first()? {
        JOIN => {
            let (from, to) = postcard::from_bytes(&txn[1..]).expect("written by join()");
            Some(Change::Join { from, to })
        }
        ACTIVATE => Some(Change::Activate),
        _ => None,
    }
}

/// Whether and how the ensemble has changed comes first in a state, which comes in pieces.
fn view(beginning: &Bytes) -> Option<View> {
    let (view, _) = postcard::take_from_bytes(beginning).expect("written by snapshot()");
    view
}

/// An ordinary transaction, unlike every other one.
pub(crate) fn ordinary(number: u64, size: usize) -> Bytes {
    let mut txn = vec![ORDINARY];
    txn.extend(number.to_le_bytes());
    txn.resize(size.max(9), 7);
    txn.into()
}

pub(crate) fn join(from: &Members, to: &Members) -> Bytes {
    let txn = postcard::to_extend(&(from, to), vec![JOIN]);
    txn.expect("a Vec grows").into()
}

/// The digest of a state after one transaction more.
pub(crate) fn fold(digest: u64, zxid: Zxid, txn: &Bytes) -> u64 {
    txn.iter()
        .fold(digest ^ zxid.0, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
        .rotate_left(29)
}

/// So many digests are kept beside.
const BALLAST: usize = 200;

/// How many transactions were applied, the last one's zxid, a digest of them all, and who belongs to the ensemble once that has changed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct App {
    view: Option<View>,
    pub(crate) count: u64,
    pub(crate) zxid: Zxid,
    pub(crate) digest: u64,
    /// Makes states long enough for several pieces.
    ballast: Vec<u64>,
}

impl App {
    pub(crate) fn apply(&mut self, zxid: Zxid, txn: &Bytes) {
        self.count += 1;
        self.zxid = zxid;
        self.digest = fold(self.digest, zxid, txn);
        self.ballast.push(self.digest);
        self.ballast
            .drain(..self.ballast.len().saturating_sub(BALLAST));
        if let Some(change) = change(txn) {
            let view = self.view.take().unwrap_or_default();
            self.view = Some(view.after(zxid, change));
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = postcard::to_extend(self, Vec::new()).expect("a Vec grows");
        Snapshot {
            zxid: self.zxid,
            state: Arc::new(Bytes::from(state)),
        }
    }

    pub(crate) fn read(snapshot: SnapshotReader) -> App {
        let pieces: Vec<Bytes> = snapshot
            .map(|piece| piece.expect("it was whole a moment ago"))
            .collect();
        postcard::from_bytes(&pieces.concat()).expect("written by snapshot()")
    }
}
