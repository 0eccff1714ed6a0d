//! How long something that was asked has been waiting, and how long it usually takes.
//!
//! Of all that is under way one is timed at a time, so that it costs nothing to ask much.

use super::window::Window;
use crate::zab::Millis;

/// Answers remembered.
const REMEMBERED: usize = 1000;

/// Questions with growing numbers, answered in order.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    usual: Window,
    asked: u64,
    timed: Option<(u64, Millis)>,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending {
            usual: Window::new(REMEMBERED),
            asked: 0,
            timed: None,
        }
    }
}

impl Pending {
    pub(super) fn asked(&mut self, number: u64, now: Millis) {
        self.asked = self.asked.max(number);
        if self.timed.is_none() {
            self.timed = Some((number, now));
        }
    }

    /// Everything up to this number is answered.
    pub(super) fn answered(&mut self, number: u64, now: Millis, most_usual_ms: f64) {
        let Some((_, since)) = self.timed.filter(|(timed, _)| *timed <= number) else {
            return;
        };
        let took = now.since(since) as f64;
        // What took longer was a failure, not how it usually is.
        if took <= most_usual_ms {
            self.usual.add(took);
        }
        self.timed = (self.asked > number).then_some((self.asked, now));
    }

    /// Nothing is under way any more.
    pub(super) fn forget(&mut self) {
        self.timed = None;
    }

    /// How long at least the oldest has been waiting; 0 if none is.
    pub(super) fn age_ms(&self, now: Millis) -> f64 {
        self.timed.map_or(0.0, |(_, since)| now.since(since) as f64)
    }

    pub(super) fn usual(&self) -> &Window {
        &self.usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_what_waits_and_never_more() {
        let mut pending = Pending::default();
        assert_eq!(pending.age_ms(Millis(5)), 0.0);
        pending.asked(1, Millis(10));
        pending.asked(2, Millis(20));
        assert_eq!(pending.age_ms(Millis(50)), 40.0);
        pending.answered(1, Millis(50), 100.0);
        // The second one waits since 20 in truth; since the first was answered at least.
        assert_eq!(pending.age_ms(Millis(60)), 10.0);
        pending.answered(2, Millis(70), 100.0);
        assert_eq!(
            (pending.age_ms(Millis(90)), pending.usual().largest()),
            (0.0, 40.0)
        );
        pending.asked(3, Millis(100));
        pending.answered(3, Millis(900), 100.0);
        assert_eq!(pending.usual().largest(), 40.0, "a failure is not learned");
    }
}
