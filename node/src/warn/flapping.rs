//! A leader that changes again and again.

use super::gate::{Hold, Sign};
use super::post::Reading;
use crate::zab::{Epoch, Millis, NodeId};
use std::collections::VecDeque;

/// What is looked at, in milliseconds.
const SPAN_MS: u64 = 300_000;

/// Changes within that.
const MANY: (f64, f64) = (4.0, 8.0);

#[derive(Debug, Default)]
pub(super) struct Flapping {
    last: Option<(NodeId, Epoch)>,
    changes: VecDeque<Millis>,
}

impl Flapping {
    /// This server serves under this leader.
    pub(super) fn led_by(&mut self, now: Millis, leader: NodeId, epoch: Epoch) {
        let changed = self
            .last
            .replace((leader, epoch))
            .is_some_and(|last| last != (leader, epoch));
        if changed {
            self.changes.push_back(now);
        }
    }

    pub(super) fn reading(&mut self, now: Millis) -> Reading {
        while self
            .changes
            .front()
            .is_some_and(|at| now.since(*at) >= SPAN_MS)
        {
            self.changes.pop_front();
        }
        let changes = self.changes.len() as f64;
        Reading {
            sign: Sign::of(changes, MANY.0, MANY.1),
            hold: Hold {
                raise_ms: 0,
                clear_ms: 5000,
            },
            evidence: vec![("changes", changes), ("within_ms", SPAN_MS as f64)],
        }
    }
}
