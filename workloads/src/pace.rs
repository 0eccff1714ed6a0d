//! When a worker's next operation is due.

use std::time::Duration;
use tokio::time::Instant;

/// Evenly spaced turns; workers are spread over the period, so that they do not all come at once.
#[derive(Debug)]
pub(crate) struct Pace {
    period: Option<Duration>,
    offset: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// `rate` operations a second of this worker; 0 (or what is no positive number): as fast as answers come.
    pub(crate) fn new(rate: f64, worker: u64, workers: u64) -> Pace {
        let period = (rate > 0.0)
            .then(|| Duration::try_from_secs_f64(1.0 / rate).ok())
            .flatten();
        let share = worker as f64 / workers.max(1) as f64;
        let offset = period.map_or(Duration::ZERO, |period| period.mul_f64(share.min(1.0)));
        Pace {
            period,
            offset,
            next: None,
        }
    }

    /// When the next operation is due; `None`: at once. Turns that were missed are not made up for.
    pub(crate) fn next_turn(&mut self, now: Instant) -> Option<Instant> {
        let period = self.period?;
        let due = match self.next {
            None => now + self.offset,
            Some(next) => next.max(now),
        };
        self.next = Some(due + period);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_evenly_spaced_and_missed_ones_are_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, 1, 2);
        let ms = Duration::from_millis;
        assert_eq!(pace.next_turn(start), Some(start + ms(50)));
        assert_eq!(pace.next_turn(start + ms(60)), Some(start + ms(150)));
        assert_eq!(pace.next_turn(start + ms(900)), Some(start + ms(900)));
        assert_eq!(pace.next_turn(start + ms(901)), Some(start + ms(1000)));
    }

    #[test]
    fn no_rate_means_at_once() {
        for rate in [0.0, -1.0, f64::NAN] {
            assert_eq!(Pace::new(rate, 0, 1).next_turn(Instant::now()), None);
        }
    }
}
