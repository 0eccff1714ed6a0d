//! When a roaming worker moves on, and where to.

use crate::stream::stream;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;
use tokio::time::Instant;

/// The moves of one worker, drawn from a stream of their own.
#[derive(Debug)]
pub(crate) struct Roam {
    rng: ChaCha8Rng,
    interval: Duration,
    next: Instant,
}

impl Roam {
    /// Moves about once in an interval, by the stream `roam-<worker>`.
    pub(crate) fn new(seed: u64, worker: u64, interval: Duration) -> Roam {
        let rng = stream(seed, &format!("roam-{worker}"));
        let mut roam = Roam {
            rng,
            interval,
            next: Instant::now(),
        };
        roam.draw_next();
        roam
    }

    /// Whether it is time to move on; if so, the next time is drawn.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.draw_next();
        }
        due
    }

    /// Another server than `at` of `count`, if there is one.
    pub(crate) fn next_server(&mut self, at: usize, count: usize) -> usize {
        if count < 2 {
            return at;
        }
        (at + self.rng.random_range(1..count)) % count
    }

    /// From half an interval to one and a half.
    fn draw_next(&mut self) {
        let share = self.rng.random_range(50..=150);
        self.next = Instant::now() + self.interval * share / 100;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_always_leads_to_another_server() {
        let mut roam = Roam::new(3, 8, Duration::from_millis(400));
        for at in (0..5).cycle().take(200) {
            assert_ne!(roam.next_server(at, 5), at);
        }
        assert_eq!(roam.next_server(0, 1), 0);
    }
}
