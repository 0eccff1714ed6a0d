//! Quotas: znodes under `/zookeeper/quota` that say how much a subtree may hold, and count what it holds.
//!
//! The quota of `/a/b` is `/zookeeper/quota/a/b`, with a child for the limits, which clients write, and one for the counts,
//! which every replica keeps as it applies transactions: without a version, a zxid or an event, as ZooKeeper does. Only
//! the quota nearest above a znode counts it. Limits are enforced by the leader, see [`crate::prep`].

use super::Tree;
use super::path;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const COUNTS: &str = "zookeeper_stats";

/// What a limits' or counts' znode says; -1 where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    /// Pairs such as `count=5,bytes=-1=;byteHardLimit=10`: the odd `=` is ZooKeeper's, for clients older than 3.7.
    fn parse(data: Option<&[u8]>) -> Track {
        let mut track = Track {
            count: -1,
            bytes: -1,
            count_hard: -1,
            bytes_hard: -1,
        };
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            let value = value.parse().unwrap_or(-1);
            match key {
                "count" => track.count = value,
                "bytes" => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        track
    }
}

/// The path that a znode is the limits of.
fn limited(path: &str) -> Option<&str> {
    let (quota, name) = path.rsplit_once('/')?;
    let path = quota.strip_prefix(ROOT)?;
    (name == LIMITS && path.starts_with('/')).then_some(path)
}

/// The path that a znode is the counts of.
fn counted(path: &str) -> Option<&str> {
    let (quota, name) = path.rsplit_once('/')?;
    let path = quota.strip_prefix(ROOT)?;
    (name == COUNTS && path.starts_with('/')).then_some(path)
}

impl Tree {
    /// Whether so many more znodes and bytes at `path` are within the hard limits above it. What is proposed and not yet
    /// applied is not counted.
    pub fn is_within_quota(&self, path: &str, znodes: i64, bytes: i64) -> bool {
        let Some(quota) = self.quota_above(path) else {
            return true;
        };
        let track = |name| {
            let znode = self.get(&format!("{ROOT}{quota}/{name}"));
            znode.map(|znode| Track::parse(znode.data()))
        };
        let (Some(limits), Some(counts)) = (track(LIMITS), track(COUNTS)) else {
            return true;
        };
        let fits = |more: i64, count: i64, limit: i64| {
            more == 0 || limit <= -1 || count.saturating_add(more) <= limit
        };
        fits(znodes, counts.count, limits.count_hard)
            && fits(bytes, counts.bytes, limits.bytes_hard)
    }

    fn quota_above<'p>(&self, path: &'p str) -> Option<&'p str> {
        if self.quotas.is_empty() {
            return None;
        }
        let mut above = path;
        while above.len() > 1 {
            if self.quotas.contains(above) {
                return Some(above);
            }
            above = path::split(above)?.0;
        }
        None
    }

    /// A znode was created with so many bytes.
    pub(super) fn quota_created(&mut self, path: &str, bytes: usize) {
        if let Some(path) = limited(path) {
            self.quotas.insert(path.to_owned());
        } else if let Some(path) = counted(path) {
            let (count, bytes) = self.count(path);
            self.set_counts(path, count, bytes);
        }
        self.quota_changed(path, 1, bytes as i64);
    }

    /// A znode with so many bytes was deleted.
    pub(super) fn quota_deleted(&mut self, path: &str, bytes: usize) {
        if let Some(path) = limited(path) {
            self.quotas.remove(path);
        }
        self.quota_changed(path, -1, -(bytes as i64));
    }

    /// There are so many znodes and bytes more.
    pub(super) fn quota_changed(&mut self, path: &str, znodes: i64, bytes: i64) {
        let Some(quota) = self.quota_above(path) else {
            return;
        };
        let Some(counts) = self.get(&format!("{ROOT}{quota}/{COUNTS}")) else {
            return;
        };
        let track = Track::parse(counts.data());
        let (count, bytes) = (
            track.count.wrapping_add(znodes),
            track.bytes.wrapping_add(bytes),
        );
        self.set_counts(quota, count, bytes);
    }

    fn set_counts(&mut self, quota: &str, count: i64, bytes: i64) {
        if let Some(slot) = self.znodes.find(&format!("{ROOT}{quota}/{COUNTS}")) {
            let data = format!("count={count},bytes={bytes}");
            self.znodes.set_data(slot, Some(data.as_bytes()), |_| {});
        }
    }

    /// The znodes of a subtree, its root among them, and their bytes.
    fn count(&self, path: &str) -> (i64, i64) {
        let (mut count, mut bytes) = (0, 0);
        let root = self.znodes.find(path).into_iter();
        for znode in root.flat_map(|root| self.znodes.subtree(root)) {
            count += 1;
            bytes += znode.data_len() as i64;
        }
        (count, bytes)
    }

    /// After a restore: a znode of this path is there.
    pub(super) fn quota_found(&mut self, path: &str) {
        if let Some(path) = limited(path) {
            self.quotas.insert(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_of_all_versions_are_read() {
        let read = |text: &str| Track::parse(Some(text.as_bytes()));
        let track = |count, bytes, count_hard, bytes_hard| Track {
            count,
            bytes,
            count_hard,
            bytes_hard,
        };
        assert_eq!(read("count=5,bytes=7"), track(5, 7, -1, -1));
        assert_eq!(
            read("count=5,bytes=-1=;byteHardLimit=10;countHardLimit=9"),
            track(5, -1, 9, 10)
        );
        assert_eq!(read(""), track(-1, -1, -1, -1));
        assert_eq!(read("count=x,=,bytes"), track(-1, -1, -1, -1));
        assert_eq!(Track::parse(None), track(-1, -1, -1, -1));
    }

    #[test]
    fn quotas_are_known_by_their_paths() {
        assert_eq!(
            limited("/zookeeper/quota/a/b/zookeeper_limits"),
            Some("/a/b")
        );
        assert_eq!(counted("/zookeeper/quota/a/zookeeper_stats"), Some("/a"));
        for path in [
            "/zookeeper/quota/zookeeper_limits",
            "/a/zookeeper_limits",
            "/zookeeper/quota/a",
        ] {
            assert_eq!(limited(path), None);
        }
    }
}
