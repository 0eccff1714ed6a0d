//! How far another member's clock is from ours: NTP's four stamps, and of the last ones the one with the shortest way.
//!
//! Every beat carries when it was sent, and when the last one of the other direction was sent and received. The offset is known
//! to half the time that the two were under way. Three clocks or more: each member compares its own with the median, and says it of
//! itself. Of two, nobody can tell which is wrong: each names the other.

use super::gate::{Hold, Sign};
use super::observation::{Echo, Wall};
use super::post::Reading;
use crate::zab::Millis;
use std::collections::VecDeque;

/// Samples looked at.
const SAMPLES: usize = 16;

/// A sample older than this says nothing, in milliseconds.
const FRESH_MS: u64 = 5000;

/// Offsets from which it is worth a word, and bad: wall clocks decide about times to live, and about what logs say.
const LIMITS_MS: (f64, f64) = (500.0, 5000.0);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Millis,
    offset_us: i64,
    delay_us: i64,
}

/// Samples of one peer's clock.
#[derive(Debug, Default)]
pub(super) struct Filter(VecDeque<Sample>);

impl Filter {
    /// `echo` is what the peer says of our last beat, `sent` and `received` belong to this one of its.
    pub(super) fn add(&mut self, at: Millis, echo: Echo, sent: Wall, received: Wall) {
        let (out_us, back_us) = (echo.received.0 - echo.sent.0, sent.0 - received.0);
        let delay_us = out_us - back_us;
        // Negative: a clock was set in between.
        if delay_us >= 0 {
            self.0.push_back(Sample {
                at,
                offset_us: (out_us + back_us) / 2,
                delay_us,
            });
        }
        if self.0.len() > SAMPLES {
            self.0.pop_front();
        }
    }

    /// Its clock's distance from ours, and how far that may be wrong, in milliseconds.
    pub(super) fn offset_ms(&self, now: Millis) -> Option<(f64, f64)> {
        let fresh = self
            .0
            .iter()
            .filter(|sample| now.since(sample.at) < FRESH_MS);
        let best = fresh.min_by_key(|sample| sample.delay_us)?;
        Some((
            best.offset_us as f64 / 1000.0,
            best.delay_us as f64 / 2000.0,
        ))
    }
}

/// Judges our own clock, by the others' distances from it. `None` unless there are two others.
pub(super) fn own(others: &[(f64, f64)]) -> Option<Reading> {
    if others.len() < 2 {
        return None;
    }
    let mut clocks: Vec<(f64, f64)> = others.iter().copied().chain([(0.0, 0.0)]).collect();
    clocks.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Of an even number, the one that is nearer to us: nobody is accused by half of the clocks.
    let (low, high) = (clocks[(clocks.len() - 1) / 2], clocks[clocks.len() / 2]);
    let median = if low.0.abs() < high.0.abs() {
        low
    } else {
        high
    };
    Some(reading(-median.0, median.1, others.len()))
}

/// Judges the only other clock.
pub(super) fn other((offset_ms, error_ms): (f64, f64)) -> Reading {
    reading(offset_ms, error_ms, 1)
}

fn reading(offset_ms: f64, error_ms: f64, compared: usize) -> Reading {
    let certain_ms = (offset_ms.abs() - error_ms).max(0.0);
    Reading {
        sign: Sign::of(certain_ms, LIMITS_MS.0, LIMITS_MS.1),
        hold: Hold {
            raise_ms: 500,
            clear_ms: 5000,
        },
        evidence: vec![
            ("offset_ms", offset_ms.abs()),
            ("ahead", f64::from(u8::from(offset_ms > 0.0))),
            ("error_ms", error_ms),
            ("compared_with", compared as f64),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_of_the_shortest_way() {
        let mut filter = Filter::default();
        // The peer's clock is 3 s ahead. Out and back: 2 ms and 4 ms; then 100 ms and 2 ms.
        for (sent, out, back) in [(0, 2000, 4000), (1_000_000, 100_000, 2000)] {
            let arrived = sent + out + 3_000_000;
            let echo = Echo {
                sent: Wall(sent),
                received: Wall(arrived),
            };
            filter.add(
                Millis(1),
                echo,
                Wall(arrived + 500),
                Wall(sent + out + 500 + back),
            );
        }
        assert_eq!(filter.offset_ms(Millis(2)), Some((2999.0, 3.0)));
        assert_eq!(filter.offset_ms(Millis(6000)), None);
    }

    #[test]
    fn a_clock_that_was_set_while_a_beat_was_under_way_gives_no_sample() {
        let mut filter = Filter::default();
        let echo = Echo {
            sent: Wall(5_000_000),
            received: Wall(5_000_100),
        };
        filter.add(Millis(1), echo, Wall(5_000_200), Wall(1_000_000));
        assert_eq!(filter.offset_ms(Millis(2)), None);
    }

    #[test]
    fn of_three_the_one_that_is_alone_accuses_itself() {
        let near = |offset| (offset, 1.0);
        assert_eq!(
            own(&[near(10_000.0), near(10_001.0)]).unwrap().sign,
            Sign::Critical
        );
        assert_eq!(own(&[near(10_000.0), near(1.0)]).unwrap().sign, Sign::Calm);
        assert!(own(&[near(10_000.0)]).is_none());
        // Two against two: nobody knows.
        assert_eq!(
            own(&[near(9000.0), near(9000.0), near(0.0)]).unwrap().sign,
            Sign::Calm
        );
    }

    #[test]
    fn what_could_be_the_ways_delay_is_no_offset() {
        assert_eq!(other((600.0, 550.0)).sign, Sign::Calm);
        assert_eq!(other((600.0, 50.0)).sign, Sign::Warning);
    }
}
