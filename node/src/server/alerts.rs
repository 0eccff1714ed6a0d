//! The alerts of all members as znodes, kept by the leader: one for each kind, member and speaker, its data the alert as JSON.
//!
//! What stands in the tree is compared with what is known, so that a new leader goes on where the last one stopped. A cleared alert stays for a
//! minute, with the time at which it was cleared. The numbers of one that stands are written again ever more seldom.

use super::engine::Engine;
use crate::tree::path;
use crate::warn::Alert;
use crate::zab::Millis;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Between two comparisons, in milliseconds.
const COMPARE_MS: u64 = 500;

/// How many znodes there may be.
const MOST: usize = 256;

/// How many are changed at a time.
const AT_A_TIME: usize = 8;

/// A new leader has heard from everybody after this, in milliseconds; before, it takes nothing away.
const HEARD_ALL_MS: u64 = 10_000;

impl Engine {
    /// Brings the znodes nearer to what is known.
    pub(super) fn keep_alerts(&mut self) {
        let Some(leader) = &mut self.leader else {
            return;
        };
        if !self.config.warn.znodes || self.now < leader.next_comparison {
            return;
        }
        leader.next_comparison = Millis(self.now.0 + COMPARE_MS);
        let heard_all = self.now.since(leader.since) >= HEARD_ALL_MS;
        let wanted = wanted(self.lookout.alerts());
        if !wanted.is_empty() && self.tree.get(path::ALERTS).is_none() {
            return self.write_own(path::ALERTS, Some(Bytes::new()));
        }
        let mut left = AT_A_TIME;
        for (path, alert) in &wanted {
            if left > 0 && !self.is_written(path, alert) {
                left -= 1;
                self.write_own(path, Some(alert.json().to_string().into()));
            }
        }
        if !heard_all {
            return;
        }
        let gone: Vec<String> = self
            .written()
            .filter(|path| !wanted.contains_key(path))
            .take(left)
            .collect();
        for path in gone {
            self.write_own(&path, None);
        }
    }

    fn written(&self) -> impl Iterator<Item = String> {
        let view = self.tree.get(path::ALERTS);
        let names = view.into_iter().flat_map(|view| view.children());
        names.map(|name| format!("{}/{name}", path::ALERTS))
    }

    /// Whether the znode tells the alert as it is, but for numbers that may wait.
    fn is_written(&self, path: &str, alert: &Alert) -> bool {
        let data = self.tree.get(path).and_then(|view| view.data());
        let json = data.and_then(|data| serde_json::from_slice::<serde_json::Value>(data).ok());
        let Some(json) = json else {
            return false;
        };
        let (updated_ms, now) = (json["updated_ms"].as_i64().unwrap_or(0), alert.json());
        let same = ["raised_ms", "severity", "cleared_ms"]
            .iter()
            .all(|key| json[*key] == now[*key]);
        // Twice as old as when it was written last: an alert that stands for a day is written some fifteen times.
        let young_ms = 2 * (updated_ms - alert.raised_ms) + 10_000;
        same && (alert.cleared_ms.is_some() || alert.updated_ms - alert.raised_ms < young_ms)
    }
}

/// What should stand: of a subject what stands, or was cleared last.
fn wanted(alerts: Vec<Alert>) -> BTreeMap<String, Alert> {
    let mut wanted: BTreeMap<String, Alert> = BTreeMap::new();
    for alert in alerts {
        let path = format!("{}/{}", path::ALERTS, alert.subject);
        let later = |before: &Alert| {
            let rank = |alert: &Alert| (alert.cleared_ms.is_none(), alert.raised_ms);
            rank(&alert) > rank(before)
        };
        if wanted.get(&path).map_or(wanted.len() < MOST, later) {
            wanted.insert(path, alert);
        }
    }
    wanted
}
