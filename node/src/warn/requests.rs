//! How long clients wait: what waits, by the rate at which it is answered (Little's law), or the time in which nothing was answered.

use super::gate::{Hold, Sign};
use super::post::Reading;
use super::window::Peaks;
use crate::zab::Millis;

/// Whatever the machine, a wait below the first is none, and one above the second is one, in milliseconds.
const BOUNDS_MS: (f64, f64) = (2000.0, 10_000.0);

#[derive(Debug)]
pub(super) struct Requests {
    usual: Peaks,
    answered: u64,
    at: Millis,
    /// Answers a millisecond, smoothed.
    rate: f64,
    outstanding: usize,
    /// Since when something waits and nothing is answered.
    stuck_since: Option<Millis>,
}

impl Requests {
    pub(super) fn new(now: Millis) -> Requests {
        Requests {
            usual: Peaks::new(100),
            answered: 0,
            at: now,
            rate: 0.0,
            outstanding: 0,
            stuck_since: None,
        }
    }

    pub(super) fn observe(&mut self, now: Millis, outstanding: usize, answered: u64) {
        let passed = now.since(self.at);
        if passed == 0 {
            return;
        }
        // The counter may have been set back.
        let new = answered.checked_sub(self.answered).unwrap_or(answered);
        self.rate += 0.3 * (new as f64 / passed as f64 - self.rate);
        self.stuck_since = match self.stuck_since {
            _ if new > 0 || outstanding == 0 => None,
            since => since.or(Some(self.at)),
        };
        (self.at, self.answered, self.outstanding) = (now, answered, outstanding);
    }

    pub(super) fn reading(&mut self, now: Millis) -> Reading {
        let stuck_ms = self.stuck_since.map_or(0, |since| now.since(since)) as f64;
        let queue_ms = if self.stuck_since.is_none() && self.rate > 0.0 {
            self.outstanding as f64 / self.rate
        } else {
            0.0
        };
        let wait_ms = queue_ms.max(stuck_ms);
        let limit = self.usual.limit(4.0, BOUNDS_MS);
        self.usual.add(wait_ms, BOUNDS_MS.0);
        Reading {
            sign: Sign::of(wait_ms, limit, 5.0 * limit),
            hold: Hold {
                raise_ms: 1000,
                clear_ms: 5000,
            },
            evidence: vec![
                ("wait_ms", wait_ms),
                ("outstanding", self.outstanding as f64),
                ("answered_per_s", self.rate * 1000.0),
                ("limit_ms", limit),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_queue_that_moves_is_no_wait_and_a_shallow_one_that_does_not_is() {
        let mut requests = Requests::new(Millis(0));
        for n in 1..=60 {
            requests.observe(Millis(n * 500), 900, n * 5000);
            assert_eq!(requests.reading(Millis(n * 500)).sign, Sign::Calm, "at {n}");
        }
        requests.observe(Millis(30_500), 1, 300_000);
        for n in 62..=70 {
            requests.observe(Millis(n * 500), 1, 300_000);
        }
        assert_eq!(requests.reading(Millis(35_000)).sign, Sign::Warning);
        requests.observe(Millis(35_500), 1, 300_001);
        assert_eq!(requests.reading(Millis(35_500)).evidence[0].1 as u64, {
            let rate = requests.rate;
            (1.0 / rate) as u64
        });
    }

    #[test]
    fn nobody_waits_where_nobody_asks() {
        let mut requests = Requests::new(Millis(0));
        for n in 1..1000 {
            requests.observe(Millis(n * 500), 0, 7);
            assert_eq!(requests.reading(Millis(n * 500)).sign, Sign::Calm);
        }
    }
}
