//! How far a member is behind this server, which leads: in transactions, and in time.
//!
//! The time is that since this server applied the first transaction that the member has not applied.

use super::gate::{Hold, Sign};
use super::post::Reading;
use super::window::Peaks;
use crate::zab::{Millis, Zxid};
use std::collections::VecDeque;

/// How often the leader's own progress is noted, in milliseconds.
const STEP_MS: u64 = 100;

/// How many notes are kept: a minute.
const NOTES: usize = 600;

/// Whatever the machine: who is less behind is not late, who is more behind is, in milliseconds.
const BOUNDS_MS: (f64, f64) = (2000.0, 4000.0);

/// The leader's progress: what it had applied, and when.
#[derive(Debug, Default)]
pub(super) struct Progress(VecDeque<(Millis, Zxid)>);

impl Progress {
    pub(super) fn note(&mut self, now: Millis, delivered: Zxid) {
        if self
            .0
            .back()
            .is_some_and(|(at, last)| *last >= delivered || now.since(*at) < STEP_MS)
        {
            return;
        }
        if self.0.len() == NOTES {
            self.0.pop_front();
        }
        self.0.push_back((now, delivered));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How long ago this server had applied something beyond `zxid`, in milliseconds, at most as far as it remembers.
    pub(super) fn behind_ms(&self, now: Millis, zxid: Zxid) -> f64 {
        let first = self.0.partition_point(|(_, noted)| *noted <= zxid);
        self.0
            .get(first)
            .map_or(0.0, |(at, _)| now.since(*at) as f64)
    }
}

/// Judges a member that has applied everything up to `theirs`.
pub(super) fn reading(
    progress: &Progress,
    usual: &mut Peaks,
    now: Millis,
    ours: Zxid,
    theirs: Zxid,
) -> Reading {
    let behind_ms = progress.behind_ms(now, theirs);
    let limit = usual.limit(2.0, BOUNDS_MS);
    usual.add(behind_ms, BOUNDS_MS.0);
    let transactions = if ours.epoch() == theirs.epoch() {
        ours.counter().saturating_sub(theirs.counter())
    } else {
        // At least what this epoch has brought.
        ours.counter()
    };
    Reading {
        sign: Sign::of(behind_ms, limit, 5.0 * limit),
        hold: Hold {
            raise_ms: 500,
            clear_ms: 5000,
        },
        evidence: vec![
            ("behind_ms", behind_ms),
            ("behind_transactions", f64::from(transactions)),
            ("limit_ms", limit),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::Epoch;

    #[test]
    fn time_counts_from_the_first_transaction_that_is_missing() {
        let zxid = |n| Zxid::new(Epoch(1), n);
        let mut progress = Progress::default();
        for n in 1..=50 {
            progress.note(Millis(u64::from(n) * 100), zxid(n));
        }
        assert_eq!(progress.behind_ms(Millis(6000), zxid(50)), 0.0);
        assert_eq!(progress.behind_ms(Millis(6000), zxid(49)), 1000.0);
        assert_eq!(progress.behind_ms(Millis(6000), zxid(19)), 4000.0);
        let read = reading(
            &progress,
            &mut Peaks::new(10),
            Millis(6000),
            zxid(50),
            zxid(19),
        );
        assert_eq!((read.sign, read.evidence[1].1), (Sign::Warning, 31.0));
        // Nothing new for an hour: who has it all is not behind.
        let read = reading(
            &progress,
            &mut Peaks::new(10),
            Millis(3_600_000),
            zxid(50),
            zxid(50),
        );
        assert_eq!(read.sign, Sign::Calm);
    }
}
