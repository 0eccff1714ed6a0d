//! The room on the disk: what is left, and when it will be used up, by a straight line through the last minutes.
//!
//! A trend is believed five times as far ahead as it was watched, and only if the line fits.

use super::gate::{Hold, Sign};
use super::post::Reading;
use crate::zab::Millis;
use std::collections::VecDeque;

/// Samples kept.
const SAMPLES: usize = 120;

/// Between two samples, in milliseconds: ten minutes are kept.
const STEP_MS: u64 = 5000;

/// How many times as far as it was watched a trend is believed.
const AHEAD: f64 = 5.0;

/// How much of the variance the line must explain.
const FIT: f64 = 0.8;

/// Minutes until it is full.
const SOON_MINUTES: (f64, f64) = (30.0, 5.0);

/// What is left: both the part and the bytes must be small; or the bytes tiny.
const LITTLE: ((f64, u64), (f64, u64)) = ((0.10, 5 << 30), (0.02, 1 << 30));

/// A log segment, more or less: with less than this, writes fail soon.
const TINY: u64 = 128 << 20;

#[derive(Debug, Default)]
pub(super) struct Space {
    samples: VecDeque<(Millis, u64)>,
    free: u64,
    total: u64,
}

impl Space {
    pub(super) fn observe(&mut self, now: Millis, free: u64, total: u64) {
        (self.free, self.total) = (free, total);
        if self
            .samples
            .back()
            .is_some_and(|(at, _)| now.since(*at) < STEP_MS)
        {
            return;
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, free));
    }

    /// Minutes until it is full, if it fills steadily and that can be told.
    fn minutes_left(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let watched = minutes(last.0.since(first.0));
        let count = self.samples.len() as f64;
        if watched < 0.5 || self.samples.len() < 6 {
            return None;
        }
        let x = |at: Millis| minutes(at.since(first.0));
        let mean_x = self.samples.iter().map(|(at, _)| x(*at)).sum::<f64>() / count;
        let mean_y = self
            .samples
            .iter()
            .map(|(_, free)| *free as f64)
            .sum::<f64>()
            / count;
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (at, free) in &self.samples {
            let (dx, dy) = (x(*at) - mean_x, *free as f64 - mean_y);
            (xx, xy, yy) = (xx + dx * dx, xy + dx * dy, yy + dy * dy);
        }
        let slope = xy / xx;
        if slope >= 0.0 || xy * xy < FIT * xx * yy {
            return None;
        }
        let left = self.free as f64 / -slope;
        (left <= AHEAD * watched).then_some(left)
    }

    pub(super) fn reading(&self) -> Option<Reading> {
        if self.total == 0 {
            return None;
        }
        let part = self.free as f64 / self.total as f64;
        let little = |(least, bytes): (f64, u64)| part < least && self.free < bytes;
        let left = self.minutes_left();
        let within = |limit: f64| left.is_some_and(|left| left < limit);
        let sign = if self.free < TINY || little(LITTLE.1) || within(SOON_MINUTES.1) {
            Sign::Critical
        } else if little(LITTLE.0) || within(SOON_MINUTES.0) {
            Sign::Warning
        } else {
            Sign::Calm
        };
        let mut evidence = vec![
            ("used_percent", 100.0 * (1.0 - part)),
            ("free_mib", (self.free >> 20) as f64),
        ];
        evidence.extend(left.map(|left| ("full_in_minutes", left)));
        Some(Reading {
            sign,
            hold: Hold {
                raise_ms: 0,
                clear_ms: 30_000,
            },
            evidence,
        })
    }
}

fn minutes(ms: u64) -> f64 {
    ms as f64 / 60_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn watched(free: impl Fn(u64) -> u64, seconds: u64) -> Reading {
        let mut space = Space::default();
        for s in (0..=seconds).step_by(5) {
            space.observe(Millis(s * 1000), free(s), 100 * GIB);
        }
        space.reading().unwrap()
    }

    #[test]
    fn what_is_left_and_when_it_is_full() {
        assert_eq!(watched(|_| 50 * GIB, 600).sign, Sign::Calm);
        assert_eq!(watched(|_| 4 * GIB, 0).sign, Sign::Warning);
        assert_eq!(watched(|_| GIB / 2, 0).sign, Sign::Critical);
        let filling = watched(|s| 40 * GIB - s * (GIB / 50), 600);
        assert_eq!(filling.sign, Sign::Warning);
        assert!((filling.evidence[2].1 - 23.3).abs() < 0.5, "{filling:?}");
        assert_eq!(
            watched(|s| 20 * GIB - s * (GIB / 15), 240).sign,
            Sign::Critical
        );
    }

    #[test]
    fn a_burst_is_no_trend() {
        // 10 GiB in half a minute, and then nothing.
        assert_eq!(
            watched(|s| 40 * GIB - s.min(30) * (GIB / 3), 600).sign,
            Sign::Calm
        );
        // Steady, but watched for too short a time to say anything about the hour to come.
        assert_eq!(watched(|s| 40 * GIB - s * (GIB / 30), 60).sign, Sign::Calm);
        // Up and down.
        assert_eq!(
            watched(|s| 40 * GIB - (s / 5 % 2) * 10 * GIB, 600).sign,
            Sign::Calm
        );
    }
}
