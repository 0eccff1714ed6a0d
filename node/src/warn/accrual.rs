//! The φ-accrual failure detector (Hayashibara, Défago, Yared, Katayama: "The φ accrual failure detector", SRDS 2004).
//!
//! φ(t) = -log10 of the chance that something that has not come for t still comes later, if it is as regular as it was:
//! φ = 8 is wrong once in 10^8 times, under a normal distribution of the gaps in a window. Gaps on a real machine are not
//! normal: they have a tail, of scheduling, of a busy disk. So the expected gap is taken to be as long as the longest one of the
//! window (between bounds), and the deviation never smaller than a floor.

use super::window::Window;
use crate::zab::Millis;
use std::f64::consts::{LN_10, TAU};

/// Gaps remembered: some minutes of heartbeats.
const REMEMBERED: usize = 2000;

/// The regularity of something that should come again and again.
#[derive(Debug, Clone)]
pub(super) struct Accrual {
    gaps: Window,
    last: Millis,
    mean: f64,
    deviation: f64,
    expected_ms: f64,
}

impl Accrual {
    /// It should come every `expected_ms`, and is taken to have come just now.
    pub(super) fn new(now: Millis, expected_ms: u64) -> Accrual {
        let expected_ms = expected_ms as f64;
        Accrual {
            gaps: Window::new(REMEMBERED),
            last: now,
            mean: expected_ms,
            deviation: 0.0,
            expected_ms,
        }
    }

    /// It came, from one that says that it did not run for so long.
    pub(super) fn arrived(&mut self, now: Millis, paused_ms: u64) {
        let gap = now.since(self.last) as f64;
        self.last = now;
        // What is longer, or comes from a pause, was a failure, not how it usually is.
        if gap <= 10.0 * self.expected_ms && paused_ms as f64 <= 3.0 * self.expected_ms {
            self.gaps.add(gap);
            (self.mean, self.deviation) = (self.gaps.mean(), self.gaps.deviation());
        }
    }

    /// It begins anew: what was before says nothing about the time since.
    pub(super) fn restart(&mut self, now: Millis) {
        self.last = now;
    }

    /// How long it has not come.
    pub(super) fn silence_ms(&self, now: Millis) -> u64 {
        now.since(self.last)
    }

    /// How surprising that is.
    pub(super) fn phi(&self, now: Millis) -> f64 {
        let pause = (self.gaps.largest() - self.mean)
            .clamp(2.0 * self.expected_ms, 10.0 * self.expected_ms);
        let deviation = self.deviation.max(self.expected_ms / 4.0);
        phi((self.silence_ms(now) as f64 - self.mean - pause) / deviation)
    }
}

/// -log10 of the upper tail of the standard normal distribution at `y`.
fn phi(y: f64) -> f64 {
    let density = |y: f64| (-y * y / 2.0).exp() / TAU.sqrt();
    if y < 2.0 {
        // Q(y) = 1/2 - density * (y + y^3/3 + y^5/15 + ...); it converges fast for small |y|.
        let y = y.max(-6.0);
        let (mut term, mut sum) = (y, y);
        for n in 1..60 {
            term *= y * y / f64::from(2 * n + 1);
            sum += term;
        }
        return -(0.5 - density(y) * sum).log10();
    }
    // Q(y) = density / (y + 1/(y + 2/(y + 3/(y + ...)))); its logarithm, so that nothing becomes 0.
    let fraction = (1..60).rev().fold(y, |below, n| y + f64::from(n) / below);
    (y * y / 2.0) / LN_10 + (fraction * TAU.sqrt()).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_is_the_tail_of_the_normal_distribution() {
        // Q from tables (Abramowitz and Stegun, 26.2; Q(5), Q(10) and Q(20) from 26.2.12).
        let table = [
            (-1.0, 0.841_344_746),
            (0.0, 0.5),
            (1.0, 0.158_655_254),
            (1.999_999, 0.022_750_186),
            (2.0, 0.022_750_132),
            (3.0, 0.001_349_898),
            (5.0, 2.866_515_7e-7),
            (10.0, 7.619_853e-24),
            (20.0, 2.753_624e-89),
        ];
        for (y, q) in table {
            let (found, wanted) = (phi(y), -f64::log10(q));
            assert!(
                (found - wanted).abs() < 1e-5 * wanted.max(0.1),
                "{y}: {found}, and not {wanted}"
            );
        }
        assert!(phi(-50.0) < 1e-6);
        assert!(phi(60.0).is_finite() && phi(60.0) > phi(59.0));
    }

    fn beating(gaps: impl Iterator<Item = u64>) -> (Accrual, Millis) {
        let (mut now, mut accrual) = (Millis(0), Accrual::new(Millis(0), 100));
        for gap in gaps {
            now.0 += gap;
            accrual.arrived(now, if gap == 570 { 550 } else { 10 });
        }
        (accrual, now)
    }

    fn suspected_after(accrual: &Accrual, last: Millis) -> u64 {
        (0..)
            .find(|t| accrual.phi(Millis(last.0 + t)) >= 8.0)
            .unwrap()
    }

    #[test]
    fn the_more_regular_it_was_the_sooner_it_is_missed() {
        let (regular, last) = beating((0..500).map(|_| 100));
        let (ragged, ragged_last) = beating((0..500).map(|n| if n % 50 == 0 { 450 } else { 100 }));
        let (soon, later) = (
            suspected_after(&regular, last),
            suspected_after(&ragged, ragged_last),
        );
        assert!((350..500).contains(&soon), "{soon}");
        assert!((600..1000).contains(&later), "{later}");
    }

    #[test]
    fn a_failure_is_not_learned_and_what_was_usual_long_ago_is_forgotten() {
        let (accrual, last) = beating((0..500).map(|n| if n == 400 { 30_000 } else { 100 }));
        assert!(suspected_after(&accrual, last) < 500);
        let (accrual, last) = beating((0..50).map(|n| if n % 9 == 0 { 570 } else { 100 }));
        assert!(
            suspected_after(&accrual, last) < 500,
            "it was stopped again and again"
        );
        let (accrual, last) = beating((0..3000).map(|n| if n == 400 { 900 } else { 100 }));
        assert!(suspected_after(&accrual, last) < 500);
    }
}
