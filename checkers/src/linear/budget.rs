//! What a search may still spend, asked inside its innermost loop.

use crate::verdict::Budget;
use std::fmt;
use std::time::Instant;

/// How many configurations pass between two looks at the clock.
const CLOCK_EVERY: u64 = 256;

/// Why a search stopped without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exhausted {
    /// It visited this many configurations.
    States(u64),
    /// Its tables were about to hold more than this many bytes.
    Bytes(u64),
    /// The deadline passed.
    Deadline,
    /// More operations in flight at once than it has slots for.
    InFlight(usize),
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exhausted::States(limit) => write!(f, "its limit of {limit} configurations is used up"),
            Exhausted::Bytes(limit) => write!(
                f,
                "its tables would outgrow the limit of {} MiB",
                limit >> 20
            ),
            Exhausted::Deadline => f.write_str("its deadline passed"),
            Exhausted::InFlight(limit) => write!(
                f,
                "more than {limit} operations of one key are in flight at once"
            ),
        }
    }
}

/// Counts a search's work against limits.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    /// Configurations visited.
    pub(super) visited: u64,
    /// Most bytes that were ever held.
    pub(super) held: u64,
    states: u64,
    bytes: u64,
    deadline: Option<Instant>,
}

impl Meter {
    /// A meter that allows this many configurations, and the rest of the budget.
    pub(super) fn new(states: u64, budget: &Budget) -> Meter {
        Meter {
            visited: 0,
            held: 0,
            states,
            bytes: budget.bytes,
            deadline: budget.deadline,
        }
    }

    /// One more configuration.
    pub(super) fn visit(&mut self) -> Result<(), Exhausted> {
        if self.visited >= self.states {
            return Err(Exhausted::States(self.states));
        }
        self.visited += 1;
        if self.visited.is_multiple_of(CLOCK_EVERY) {
            self.look_at_clock()?;
        }
        Ok(())
    }

    /// So many bytes are about to be held in all.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Exhausted> {
        if bytes > self.bytes {
            return Err(Exhausted::Bytes(self.bytes));
        }
        self.held = self.held.max(bytes);
        Ok(())
    }

    /// Whether the deadline passed.
    pub(super) fn look_at_clock(&self) -> Result<(), Exhausted> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Exhausted::Deadline),
            _ => Ok(()),
        }
    }
}
