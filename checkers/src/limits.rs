//! Limits on time and memory, looked at inside the loops of checkers that need no search.
//!
//! What a limit stops is unknown, with how far it came; what was proven by then stays proven. Memory is what the checker's own
//! tables hold, by their sizes; the history itself does not count.

use crate::verdict::Budget;
use std::fmt;
use std::time::Instant;

/// Steps between two looks at the clock.
const STEPS: u32 = 1 << 14;

/// Which limit was reached, and at what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The deadline passed during this.
    Late(String),
    /// This needed so many bytes, of so many.
    Full(String, u64, u64),
    /// This takes too many steps, for this reason.
    Long(String, String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Late(during) => {
                write!(f, "the deadline passed during {during}: allow more time")
            }
            Stop::Full(during, held, limit) => write!(
                f,
                "{during} needs {}, and the limit is {}: allow more memory",
                size(*held),
                size(*limit)
            ),
            Stop::Long(during, why) => write!(f, "{during} takes too many steps: {why}"),
        }
    }
}

impl From<Stop> for String {
    fn from(stop: Stop) -> String {
        stop.to_string()
    }
}

/// Bytes in a unit that shows them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The limits of one check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    deadline: Option<Instant>,
    bytes: u64,
}

impl Limits {
    pub(crate) fn of(budget: &Budget) -> Limits {
        Limits {
            deadline: budget.deadline,
            bytes: budget.bytes,
        }
    }

    /// Whether the deadline passed.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Stops if the deadline passed.
    pub(crate) fn time(&self, during: &str) -> Result<(), Stop> {
        match self.is_late() {
            true => Err(Stop::Late(during.to_owned())),
            false => Ok(()),
        }
    }

    /// Stops if this many bytes are too many.
    pub(crate) fn room(&self, bytes: usize, during: &str) -> Result<(), Stop> {
        let bytes = bytes as u64;
        match bytes > self.bytes {
            true => Err(Stop::Full(during.to_owned(), bytes, self.bytes)),
            false => Ok(()),
        }
    }

    /// Stops if this many bytes are too many, or the deadline passed.
    pub(crate) fn hold(&self, bytes: usize, during: &str) -> Result<(), Stop> {
        self.room(bytes, during).and_then(|()| self.time(during))
    }

    /// For a loop of many short steps: whether the deadline passed, looked at now and then.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            deadline: self.deadline,
            steps: 0,
        }
    }
}

/// Looks at the time now and then.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    deadline: Option<Instant>,
    steps: u32,
}

impl Clock {
    /// Counts a step; whether the deadline was seen to have passed.
    pub(crate) fn is_late(&mut self) -> bool {
        self.steps = self.steps.wrapping_add(1);
        self.steps.is_multiple_of(STEPS)
            && self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_what_it_stopped() {
        let now = Limits {
            deadline: Some(Instant::now()),
            bytes: 100,
        };
        let text = |stop: Result<(), Stop>| stop.expect_err("it is reached").to_string();
        assert!(text(now.time("inference")).contains("during inference"));
        assert!(
            text(now.hold(2_048, "inference")).contains("needs 2 KiB, and the limit is 100 bytes")
        );
        let mut clock = now.clock();
        assert!((0..=STEPS).any(|_| clock.is_late()));
        let never = Limits {
            deadline: None,
            ..now
        };
        assert_eq!(never.hold(100, "inference"), Ok(()));
    }
}
