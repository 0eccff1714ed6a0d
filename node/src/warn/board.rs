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
    /// What peers said and did not take back, and is over.
    ended: VecDeque<(Millis, Alert)>,
}

/// What a peer said stands, and how long ago it said so.
pub(super) struct Instance<'a> {
    pub(super) alert: &'a Alert,
    pub(super) age_ms: u64,
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
        self.ended.retain(|(_, alert)| alert.subject.by != by);
    }

    /// Takes back for the peers what stands by their word and is over. It is kept as long as what was cleared here.
    pub(super) fn end(
        &mut self,
        now: Millis,
        cleared_ms: i64,
        is_over: impl Fn(Instance<'_>) -> bool,
    ) -> Vec<Alert> {
        let mut ended = Vec::new();
        for (at, alerts) in self.told.values_mut() {
            let age_ms = now.since(*at);
            alerts.retain(|alert| {
                let stands = alert.cleared_ms.is_none();
                let over = stands && is_over(Instance { alert, age_ms });
                if over {
                    ended.push(Alert {
                        cleared_ms: Some(cleared_ms),
                        ..alert.clone()
                    });
                }
                !over
            });
        }
        for alert in &ended {
            if self.ended.len() == FROM_ONE {
                self.ended.pop_front();
            }
            self.ended.push_back((now, alert.clone()));
        }
        ended
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
        while self
            .ended
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= KEPT_MS)
        {
            self.ended.pop_front();
        }
        // What still stands by the word of one that is silent is taken back before it is forgotten.
        self.told.retain(|_, (at, alerts)| {
            now.since(*at) < KEPT_MS || alerts.iter().any(|alert| alert.cleared_ms.is_none())
        });
        before != (self.cleared.len(), self.told.len())
    }

    /// Our own that were cleared of late.
    pub(super) fn own(&self) -> impl Iterator<Item = &Alert> {
        self.cleared.iter().map(|(_, alert)| alert)
    }

    /// What the peers tell.
    pub(super) fn others(&self) -> impl Iterator<Item = &Alert> {
        let told = self.told.values().flat_map(|(_, alerts)| alerts);
        told.chain(self.ended.iter().map(|(_, alert)| alert))
    }
}
