//! How long clients wait: the age of the oldest request without an answer.

use super::gate::{Hold, Sign};
use super::post::Reading;
use super::window::Peaks;

/// Whatever the machine, a wait below the first is none, and one above the second is one, in milliseconds.
const BOUNDS_MS: (f64, f64) = (2000.0, 8000.0);

#[derive(Debug)]
pub(super) struct Requests {
    usual: Peaks,
    outstanding: usize,
    oldest_ms: u64,
}

impl Default for Requests {
    fn default() -> Requests {
        Requests {
            usual: Peaks::new(100),
            outstanding: 0,
            oldest_ms: 0,
        }
    }
}

impl Requests {
    pub(super) fn observe(&mut self, outstanding: usize, oldest_ms: u64) {
        (self.outstanding, self.oldest_ms) = (outstanding, oldest_ms);
        self.usual.add(oldest_ms as f64, BOUNDS_MS.0);
    }

    pub(super) fn reading(&self) -> Reading {
        let (wait_ms, limit) = (self.oldest_ms as f64, self.usual.limit(4.0, BOUNDS_MS));
        Reading {
            sign: Sign::of(wait_ms, limit, 4.0 * limit),
            hold: Hold {
                raise_ms: 0,
                clear_ms: 5000,
            },
            evidence: vec![
                ("oldest_ms", wait_ms),
                ("outstanding", self.outstanding as f64),
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
        let mut requests = Requests::default();
        for n in 0..100 {
            requests.observe(9000, 10 + n % 3 * 100);
            assert_eq!(requests.reading().sign, Sign::Calm);
        }
        requests.observe(1, 2500);
        assert_eq!(requests.reading().sign, Sign::Warning);
        // Where a wait of a second is usual, two are none.
        for n in 0..10 {
            requests.observe(1, n % 2 * 1000);
        }
        requests.observe(1, 2500);
        assert_eq!(requests.reading().sign, Sign::Calm);
    }
}
