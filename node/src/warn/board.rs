//! Alerts beside those that stand here: our own that were cleared of late, and what the peers tell.

use super::alert::Alert;
use crate::zab::{Millis, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// How long a cleared alert is kept, in milliseconds.
pub(super) const KEPT_MS: u64 = 60_000;

/// How many cleared alerts are kept.
const KEPT: usize = 32;

/// The most alerts that are taken from one peer.
const FROM_ONE: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Board {
    cleared: VecDeque<(Millis, Alert)>,
    /// By peer: what it said last, and when.
    told: BTreeMap<NodeId, (Millis, Vec<Alert>)>,
}

impl Board {
    /// One of our own was cleared.
    pub(super) fn cleared(&mut self, now: Millis, alert: Alert) {
        if self.cleared.len() == KEPT {
            self.cleared.pop_front();
        }
        self.cleared.push_back((now, alert));
    }

    /// A peer has told all its alerts.
    pub(super) fn told(&mut self, now: Millis, by: NodeId, mut alerts: Vec<Alert>) {
        // Nobody speaks for another.
        alerts.retain(|alert| alert.subject.by == by);
        alerts.truncate(FROM_ONE);
        self.told.insert(by, (now, alerts));
    }

    /// Forgets what is old; true if something went.
    pub(super) fn forget(&mut self, now: Millis) -> bool {
        let before = (self.cleared.len(), self.told.len());
        while self
            .cleared
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= KEPT_MS)
        {
            self.cleared.pop_front();
        }
        self.told.retain(|_, (at, _)| now.since(*at) < KEPT_MS);
        before != (self.cleared.len(), self.told.len())
    }

    /// Our own that were cleared of late.
    pub(super) fn own(&self) -> impl Iterator<Item = &Alert> {
        self.cleared.iter().map(|(_, alert)| alert)
    }

    /// What the peers tell.
    pub(super) fn others(&self) -> impl Iterator<Item = &Alert> {
        self.told.values().flat_map(|(_, alerts)| alerts)
    }
}
