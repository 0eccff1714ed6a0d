//! Whether this server runs: the gaps between the turns of its loop.
//!
//! A gap beyond the limit is a pause (SIGSTOP, a machine that slept, a snapshot that took long). Many small ones are a server
//! without a processor. What others do in a gap cannot be seen: see [`super::Lookout`] for the time that counts.

use super::gate::{Hold, Sign};
use super::post::Reading;
use super::window::Window;
use crate::zab::Millis;
use std::collections::VecDeque;

/// What is looked at, in milliseconds.
const SPAN_MS: u64 = 10_000;

/// A gap up to this is not worth noting, in milliseconds.
const NOTED_MS: u64 = 30;

/// Whatever the machine: a gap below the first is none, one above the second is one, in milliseconds.
const BOUNDS_MS: (f64, f64) = (500.0, 2000.0);

/// Before so many seconds were seen nobody knows what is usual: a start is not judged by the lower bound.
const KNOWN_AFTER: usize = 10;

/// The parts of the time that may be lost in gaps, in percent.
const STARVED: (f64, f64) = (70.0, 95.0);

#[derive(Debug)]
pub(super) struct Stall {
    usual: Window,
    gaps: VecDeque<(Millis, u64)>,
    lost_ms: u64,
    /// The longest gap of this second, to be learned when it is over.
    second: (u64, u64),
}

impl Default for Stall {
    fn default() -> Stall {
        Stall {
            usual: Window::new(600),
            gaps: VecDeque::new(),
            lost_ms: 0,
            second: (0, 0),
        }
    }
}

impl Stall {
    /// The loop turned again after `gap_ms`.
    pub(super) fn turned(&mut self, now: Millis, gap_ms: u64) {
        if now.0 / 1000 != self.second.0 {
            if (self.second.1 as f64) < BOUNDS_MS.0 {
                self.usual.add(self.second.1 as f64);
            }
            self.second = (now.0 / 1000, 0);
        }
        self.second.1 = self.second.1.max(gap_ms);
        if gap_ms > NOTED_MS {
            self.gaps.push_back((now, gap_ms));
            self.lost_ms += gap_ms;
        }
        while let Some((at, gap)) = self.gaps.front().copied() {
            if now.since(at) < SPAN_MS {
                break;
            }
            self.gaps.pop_front();
            self.lost_ms -= gap;
        }
    }

    pub(super) fn reading(&self, lease_ms: u64) -> Reading {
        let longest = self.gaps.iter().map(|(_, gap)| *gap).max().unwrap_or(0) as f64;
        let limit = match self.usual.len() < KNOWN_AFTER {
            true => BOUNDS_MS.1,
            false => self.usual.limit(4.0, BOUNDS_MS),
        };
        let lost = 100.0 * (self.lost_ms as f64 / SPAN_MS as f64).min(1.0);
        let by_gap = Sign::of(longest, limit, limit.max(lease_ms as f64));
        Reading {
            sign: by_gap.max(Sign::of(lost, STARVED.0, STARVED.1)),
            hold: Hold {
                raise_ms: 0,
                clear_ms: 2000,
            },
            evidence: vec![
                ("gap_ms", longest),
                ("lost_percent", lost),
                ("limit_ms", limit),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_said_and_forgotten_after_a_while_and_a_starved_server_is_seen_without_one() {
        let (mut stall, mut now) = (Stall::default(), 0);
        let mut turn = |stall: &mut Stall, gap: u64| {
            now += gap;
            stall.turned(Millis(now), gap);
            stall.reading(800).sign
        };
        for _ in 0..3000 {
            assert_eq!(turn(&mut stall, 10), Sign::Calm);
        }
        assert_eq!(turn(&mut stall, 600), Sign::Warning);
        for _ in 0..900 {
            assert_eq!(turn(&mut stall, 10), Sign::Warning);
        }
        for _ in 0..200 {
            turn(&mut stall, 10);
        }
        assert_eq!(turn(&mut stall, 10), Sign::Calm);
        assert_eq!(turn(&mut stall, 3000), Sign::Critical);
        let (mut stall, mut now) = (Stall::default(), 0);
        assert_eq!(turn(&mut stall, 900), Sign::Calm, "it starts");
        let mut signs = Vec::new();
        for _ in 0..300 {
            now += 90;
            stall.turned(Millis(now), 90);
            signs.push(stall.reading(800).sign);
        }
        assert_eq!(
            signs.last(),
            Some(&Sign::Critical),
            "it turns every 90 ms, and should every 10"
        );
    }
}
