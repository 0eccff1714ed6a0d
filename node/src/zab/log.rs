//! The log as memory holds it: everything that is not yet delivered, and a window of what is.

use super::types::{Entry, Zxid};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Log {
    /// The zxid just before the first entry held here: part of the history, but not of `entries`.
    base: Zxid,
    /// Everything after `base`, in order.
    entries: VecDeque<Entry>,
    /// The log on disk is whole after this.
    pub(super) disk_start: Zxid,
}

impl Log {
    pub(super) fn new(base: Zxid, disk_start: Zxid, entries: Vec<Entry>) -> Log {
        Log {
            base,
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
        self.entries.truncate(self.count_to(zxid));
    }

    /// Forgets everything: the history is now a snapshot.
    pub(super) fn reset(&mut self, zxid: Zxid) {
        self.entries.clear();
        self.base = zxid;
        self.disk_start = zxid;
    }

    /// Drops delivered entries that exceed the window.
    pub(super) fn trim(&mut self, delivered: Zxid, window: usize) {
        while self.entries.len() > window && self.entries[0].zxid <= delivered {
            let entry = self.entries.pop_front().expect("longer than the window");
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
        log.trim(z(1, 1), 0);
        assert_eq!(log.base, z(1, 1));
        assert_eq!(log.floor(Zxid::ZERO), None);
        assert_eq!(log.range(z(1, 1), z(1, 2)).count(), 1);
    }
}
