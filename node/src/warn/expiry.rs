//! Sessions that expire in numbers: clients were cut off, not one by one.

use super::gate::{Hold, Sign};
use super::post::Reading;
use super::window::Window;
use crate::zab::Millis;
use std::collections::VecDeque;

/// What is looked at, in milliseconds.
const SPAN_MS: u64 = 10_000;

/// Fewer are no surge, whatever the share.
const FEW: f64 = 10.0;

/// The share of the sessions that has expired, in percent.
const SHARE: (f64, f64) = (10.0, 50.0);

#[derive(Debug)]
pub(super) struct Expiry {
    recent: VecDeque<(Millis, usize)>,
    open: usize,
    /// How many usually expire in the span.
    usual: Window,
    learned: Millis,
}

impl Expiry {
    pub(super) fn new(now: Millis) -> Expiry {
        Expiry {
            recent: VecDeque::new(),
            open: 0,
            usual: Window::new(360),
            learned: now,
        }
    }

    pub(super) fn observe(&mut self, now: Millis, expired: usize, open: usize) {
        self.open = open;
        if expired > 0 {
            self.recent.push_back((now, expired));
        }
    }

    pub(super) fn reading(&mut self, now: Millis) -> Reading {
        while self
            .recent
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= SPAN_MS)
        {
            self.recent.pop_front();
        }
        let expired = self.recent.iter().map(|(_, n)| *n).sum::<usize>();
        let share = 100.0 * expired as f64 / (expired + self.open).max(1) as f64;
        let many = FEW.max(2.0 * self.usual.largest());
        let sign = if (expired as f64) < many {
            Sign::Calm
        } else {
            Sign::of(share, SHARE.0, SHARE.1)
        };
        if now.since(self.learned) >= SPAN_MS {
            self.learned = now;
            if sign == Sign::Calm {
                self.usual.add(expired as f64);
            }
        }
        Reading {
            sign,
            hold: Hold {
                raise_ms: 0,
                clear_ms: 5000,
            },
            evidence: vec![
                ("expired", expired as f64),
                ("within_ms", SPAN_MS as f64),
                ("share_percent", share),
                ("open", self.open as f64),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surge_is_many_at_once_and_more_than_usual() {
        let mut expiry = Expiry::new(Millis(0));
        // Every ten seconds nine of a hundred go: that is how it is here.
        for n in 0..100 {
            expiry.observe(Millis(n * 10_000), 9, 100);
            assert_eq!(expiry.reading(Millis(n * 10_000 + 1)).sign, Sign::Calm);
        }
        expiry.observe(Millis(1_000_000), 15, 85);
        assert_eq!(expiry.reading(Millis(1_000_001)).sign, Sign::Calm);
        expiry.observe(Millis(1_000_100), 15, 70);
        assert_eq!(expiry.reading(Millis(1_000_101)).sign, Sign::Warning);
        expiry.observe(Millis(1_000_200), 60, 10);
        assert_eq!(expiry.reading(Millis(1_000_201)).sign, Sign::Critical);
        assert_eq!(expiry.reading(Millis(1_020_000)).sign, Sign::Calm);
    }

    #[test]
    fn when_all_expire_in_batches_that_is_all_of_them() {
        let mut expiry = Expiry::new(Millis(0));
        expiry.observe(Millis(100), 9, 31);
        expiry.observe(Millis(200), 31, 0);
        let evidence = expiry.reading(Millis(201)).evidence;
        assert_eq!(evidence[0], ("expired", 40.0));
        assert_eq!(evidence[2], ("share_percent", 100.0));
    }
}
