//! Whether the disk answers: a canary, and the age of the oldest operation of the log.
//!
//! The canary is a small file in the data directory that is written and synced about twice a second, by a thread of its own, so that a
//! stalled disk is seen even when nothing is written. The log's own operations may be long (a snapshot of a gigabyte): while
//! the canary comes back, they get five times the time.

use super::gate::{Hold, Sign};
use super::pending::Pending;
use super::post::Reading;
use crate::zab::Millis;

/// Whatever the machine: a sync within the first is never worth a word, one beyond the second always is, in milliseconds.
const BOUNDS_MS: (f64, f64) = (1000.0, 4000.0);

/// How many times longer than the longest of late is too long.
const TIMES: f64 = 4.0;

/// As long as nobody was there to measure it, a log operation has this many times the canary's limit.
const PATIENCE: f64 = 5.0;

#[derive(Debug, Default)]
pub(super) struct Disk {
    canary: Pending,
    log: Pending,
}

impl Disk {
    pub(super) fn canary_sent(&mut self, number: u64, now: Millis) {
        self.canary.asked(number, now);
    }

    pub(super) fn canary_back(&mut self, number: u64, now: Millis) {
        self.canary.answered(number, now, BOUNDS_MS.0);
    }

    pub(super) fn asked(&mut self, number: u64, now: Millis) {
        self.log.asked(number, now);
    }

    pub(super) fn done(&mut self, number: u64, now: Millis) {
        self.log.answered(number, now, BOUNDS_MS.0);
    }

    fn limit(&self) -> f64 {
        self.canary.usual().limit(TIMES, BOUNDS_MS)
    }

    /// Whether the disk does not answer now: the canary is not back, and long overdue.
    pub(super) fn is_stuck(&self, now: Millis) -> bool {
        self.canary.age_ms(now) >= self.limit()
    }

    pub(super) fn reading(&self, now: Millis) -> Reading {
        let (canary_ms, log_ms, limit) =
            (self.canary.age_ms(now), self.log.age_ms(now), self.limit());
        let worst = canary_ms.max(log_ms / PATIENCE);
        Reading {
            sign: Sign::of(worst, limit, 3.0 * limit),
            hold: Hold {
                raise_ms: 0,
                clear_ms: 5000,
            },
            evidence: vec![
                ("waiting_ms", canary_ms.max(log_ms)),
                ("canary_ms", canary_ms),
                ("log_ms", log_ms),
                ("limit_ms", limit),
                ("usual_mean_ms", self.canary.usual().mean()),
                ("usual_largest_ms", self.canary.usual().largest()),
            ],
        }
    }
}
