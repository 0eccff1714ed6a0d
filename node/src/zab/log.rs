//! The log as memory holds it: everything that is not yet delivered, and a window of what is.

use super::types::{Entry, Zxid};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Log {
    /// The zxid just before the first entry held here: part of the history, but not of `entries`.
    base: Zxid,
    /// Everything after `base`, in order.
    entries: VecDeque<Entry>,
    /// What the transactions in `entries` hold, in bytes.
    bytes: usize,
    /// The log on disk is whole after this.
    pub(super) disk_start: Zxid,
}

impl Log {
    pub(super) fn new(base: Zxid, disk_start: Zxid, entries: Vec<Entry>) -> Log {
        Log {
            base,
            bytes: entries.iter().map(|e| e.txn.len()).sum(),
            entries: entries.into(),
            disk_start,
        }
    }

    /// The last zxid of the history.
    pub(super) fn last(&self) -> Zxid {
        self.entries.back().map_or(self.base, |e| e.zxid)
    }

    pub(super) fn append(&mut self, entry: Entry) {
        assert!(
            entry.zxid > self.last(),
            "{:?} does not come after {:?}",
            entry.zxid,
            self.last()
        );
        self.bytes += entry.txn.len();
        self.entries.push_back(entry);
    }

    /// How many of the held entries are at or before `zxid`.
    fn count_to(&self, zxid: Zxid) -> usize {
        self.entries.partition_point(|e| e.zxid <= zxid)
    }

    /// The last zxid of the history at or before `zxid`, as far as memory can tell.
    pub(super) fn floor(&self, zxid: Zxid) -> Option<Zxid> {
        match self.count_to(zxid) {
            0 => (self.base <= zxid).then_some(self.base),
            n => Some(self.entries[n - 1].zxid),
        }
    }

    /// Whether memory knows that this zxid is part of the history.
    pub(super) fn contains(&self, zxid: Zxid) -> bool {
        self.floor(zxid) == Some(zxid)
    }

    /// The held entries after `zxid` and up to `to`.
    pub(super) fn range(&self, zxid: Zxid, to: Zxid) -> impl Iterator<Item = &Entry> {
        let (from, until) = (self.count_to(zxid), self.count_to(to));
        self.entries.range(from..until.max(from))
    }

    /// Cuts everything after `zxid`, which must be part of the history.
    pub(super) fn truncate(&mut self, zxid: Zxid) {
        assert!(
            self.contains(zxid),
            "cut after {zxid:?}, which is not in the log"
        );
        let cut = self.entries.drain(self.count_to(zxid)..);
        self.bytes -= cut.map(|e| e.txn.len()).sum::<usize>();
    }

    /// Forgets everything: the history is now a snapshot.
    pub(super) fn reset(&mut self, zxid: Zxid) {
        (self.entries, self.bytes) = (VecDeque::new(), 0);
        self.base = zxid;
        self.disk_start = zxid;
    }

    /// Drops delivered entries that exceed the window, which is so many entries and so many bytes.
    pub(super) fn trim(&mut self, delivered: Zxid, window: usize, bytes: usize) {
        while let Some(first) = self.entries.front() {
            let fits = self.entries.len() <= window && self.bytes <= bytes;
            if fits || first.zxid > delivered {
                return;
            }
            let entry = self.entries.pop_front().expect("it was just seen");
            self.bytes -= entry.txn.len();
            self.base = entry.zxid;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::Epoch;
    use bytes::Bytes;

    fn z(epoch: u32, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    fn log(zxids: &[Zxid]) -> Log {
        let entries = zxids
            .iter()
            .map(|&zxid| Entry {
                zxid,
                txn: Bytes::new(),
            })
            .collect();
        Log::new(Zxid::ZERO, Zxid::ZERO, entries)
    }

    #[test]
    fn floor_finds_the_last_common_point() {
        let log = log(&[z(1, 1), z(1, 2), z(3, 1)]);
        assert_eq!(log.floor(z(1, 2)), Some(z(1, 2)));
        assert_eq!(log.floor(z(2, 7)), Some(z(1, 2)));
        assert_eq!(log.floor(z(9, 9)), Some(z(3, 1)));
        assert_eq!(log.floor(Zxid::ZERO), Some(Zxid::ZERO));
    }

    #[test]
    fn trim_never_drops_what_is_undelivered() {
        let mut log = log(&[z(1, 1), z(1, 2), z(1, 3)]);
        log.trim(z(1, 1), 0, usize::MAX);
        assert_eq!(log.base, z(1, 1));
        assert_eq!(log.floor(Zxid::ZERO), None);
        assert_eq!(log.range(z(1, 1), z(1, 2)).count(), 1);
    }

    #[test]
    fn a_window_is_so_many_bytes_at_most() {
        let mut log = Log::new(Zxid::ZERO, Zxid::ZERO, Vec::new());
        for counter in 1..=5 {
            log.append(Entry {
                zxid: z(1, counter),
                txn: Bytes::from(vec![0; 10]),
            });
        }
        log.truncate(z(1, 4));
        log.trim(z(1, 4), 100, 20);
        assert_eq!((log.base, log.last(), log.bytes), (z(1, 2), z(1, 4), 20));
        log.trim(z(1, 3), 100, 0);
        assert_eq!((log.base, log.bytes), (z(1, 3), 10));
    }
}
