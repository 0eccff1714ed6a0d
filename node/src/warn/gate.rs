//! From a measure that shakes to an alert that does not.
//!
//! An alert is raised when the measure has been beyond its limit for a while, and cleared when it has been clearly below for a
//! while: in between, what was said last stands. Each time that an alert is raised again soon after it was cleared, it stands twice
//! as long, so that a measure that swings around its limits makes fewer and fewer changes.

use super::alert::Severity;
use crate::zab::Millis;

/// What a measure says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// All is well.
    Calm,
    /// Neither: what was said last stands.
    Between,
    /// Beyond the first limit.
    Warning,
    /// Beyond the second.
    Critical,
}

impl Sign {
    /// By two limits; calm is what is below seven tenths of the first one.
    pub(super) fn of(value: f64, warning: f64, critical: f64) -> Sign {
        match value {
            v if v >= critical => Sign::Critical,
            v if v >= warning => Sign::Warning,
            v if v >= 0.7 * warning => Sign::Between,
            _ => Sign::Calm,
        }
    }

    fn severity(self) -> Option<Severity> {
        match self {
            Sign::Critical => Some(Severity::Critical),
            Sign::Warning => Some(Severity::Warning),
            Sign::Between | Sign::Calm => None,
        }
    }
}

/// How long a sign must last before it is believed, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) raise_ms: u64,
    pub(super) clear_ms: u64,
}

/// An alert raised within this after it was cleared is the same trouble again, in milliseconds.
const AGAIN_MS: u64 = 600_000;

/// It stands at most so many times as long, as a power of 2.
const LONGEST: u32 = 5;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Stay,
    Raise(Severity),
    Turn(Severity),
    Clear,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Quiet {
        bad_since: Option<Millis>,
    },
    Raised {
        severity: Severity,
        calm_since: Option<Millis>,
        better_since: Option<Millis>,
    },
}

#[derive(Debug)]
pub(super) struct Gate {
    state: State,
    cleared: Option<Millis>,
    again: u32,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            state: State::Quiet { bad_since: None },
            cleared: None,
            again: 0,
        }
    }
}

impl Gate {
    /// Nobody asks any more.
    pub(super) fn reset(&mut self, now: Millis) {
        if matches!(self.state, State::Raised { .. }) {
            self.cleared = Some(now);
        }
        self.state = State::Quiet { bad_since: None };
    }

    pub(super) fn judge(&mut self, now: Millis, sign: Sign, hold: Hold) -> Step {
        match &mut self.state {
            State::Quiet { bad_since } => {
                let Some(severity) = sign.severity() else {
                    *bad_since = None;
                    return Step::Stay;
                };
                if now.since(*bad_since.get_or_insert(now)) < hold.raise_ms {
                    return Step::Stay;
                }
                let soon = self
                    .cleared
                    .is_some_and(|cleared| now.since(cleared) < AGAIN_MS);
                self.again = if soon {
                    (self.again + 1).min(LONGEST)
                } else {
                    0
                };
                self.state = State::Raised {
                    severity,
                    calm_since: None,
                    better_since: None,
                };
                Step::Raise(severity)
            }
            State::Raised {
                severity,
                calm_since,
                better_since,
            } => {
                let clear_ms = hold.clear_ms << self.again;
                if sign == Sign::Critical && *severity == Severity::Warning {
                    (*severity, *calm_since, *better_since) = (Severity::Critical, None, None);
                    return Step::Turn(Severity::Critical);
                }
                if sign == Sign::Calm {
                    if now.since(*calm_since.get_or_insert(now)) >= clear_ms {
                        self.state = State::Quiet { bad_since: None };
                        self.cleared = Some(now);
                        return Step::Clear;
                    }
                } else {
                    *calm_since = None;
                }
                if sign == Sign::Critical {
                    *better_since = None;
                } else if *severity == Severity::Critical
                    && sign == Sign::Warning
                    && now.since(*better_since.get_or_insert(now)) >= clear_ms
                {
                    (*severity, *better_since) = (Severity::Warning, None);
                    return Step::Turn(Severity::Warning);
                }
                Step::Stay
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const HOLD: Hold = Hold {
        raise_ms: 200,
        clear_ms: 3000,
    };

    fn steps(signs: impl Iterator<Item = (u64, Sign)>) -> Vec<(u64, Step)> {
        let mut gate = Gate::default();
        let judged = signs.map(|(t, sign)| (t, gate.judge(Millis(t), sign, HOLD)));
        judged.filter(|(_, step)| *step != Step::Stay).collect()
    }

    #[test]
    fn a_sign_counts_when_it_lasts() {
        use Severity::*;
        use Sign::{Between as B, Calm as C, Critical as K, Warning as W};
        let signs = [
            (0, W),
            (100, B),
            (200, W),
            (300, W),
            (400, W),
            (500, K),
            (600, B),
            (700, C),
            (3600, C),
            (3700, C),
        ];
        assert_eq!(
            steps(signs.into_iter()),
            [
                (400, Step::Raise(Warning)),
                (500, Step::Turn(Critical)),
                (3700, Step::Clear)
            ]
        );
    }

    /// Random walks over an hour around both limits, of every step size: the number of changes is bounded by the doubling.
    #[test]
    fn noise_around_the_limits_makes_few_changes() {
        let mut most = 0;
        for seed in 0..400 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let noise: f64 = random.random_range(0.05..0.9);
            let slow = random.random_range(1..200);
            let mut value = 1.0;
            let signs = (0..3_600_000u64).step_by(100).map(|t| {
                if t / 100 % slow == 0 {
                    value = random.random_range(1.0 - noise..1.0 + noise);
                }
                (t, Sign::of(value, 1.0, 1.5))
            });
            let changes = steps(signs);
            let raised = changes
                .iter()
                .filter(|(_, step)| matches!(step, Step::Raise(_)))
                .count();
            let cleared = changes
                .iter()
                .filter(|(_, step)| *step == Step::Clear)
                .count();
            assert!(
                raised - cleared <= 1,
                "seed {seed}: raised and cleared take turns"
            );
            // Doubled five times, it stands 96 s at least: 3600 / 96 = 37, and those of the first minutes.
            assert!(raised <= 45, "seed {seed}: raised {raised} times");
            most = most.max(raised);
        }
        assert!(
            most >= 5,
            "no walk crossed the limits often enough to prove anything: {most}"
        );
    }

    #[test]
    fn a_bad_sign_from_before_nobody_asked_does_not_count() {
        let mut gate = Gate::default();
        assert_eq!(gate.judge(Millis(0), Sign::Warning, HOLD), Step::Stay);
        gate.reset(Millis(100));
        assert_eq!(gate.judge(Millis(5000), Sign::Warning, HOLD), Step::Stay);
        assert_eq!(
            gate.judge(Millis(5200), Sign::Warning, HOLD),
            Step::Raise(Severity::Warning)
        );
    }

    #[test]
    fn after_ten_quiet_minutes_all_is_forgiven() {
        let signs = [
            (0, Sign::Warning),
            (200, Sign::Warning),
            (300, Sign::Calm),
            (3300, Sign::Calm),
        ];
        let later = signs.map(|(t, sign)| (t + 700_000, sign));
        let changes = steps(signs.into_iter().chain(later));
        assert_eq!(changes.len(), 4);
        assert_eq!(
            changes[3],
            (703_300, Step::Clear),
            "as soon as the first time"
        );
    }
}
