//! Reads that answered `null` and say nothing: how Knossos's models take them.
//!
//! In Knossos a read of `nil` fits every state, because a recorder writes `nil` where it did not learn the value.

use crate::history::History;
use crate::verdict::{Budget, Checker, Finding};

/// Judges a history as if its reads of `null` had not been answered.
pub(crate) struct Unread(pub(crate) Box<dyn Checker>);

impl Checker for Unread {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.0.check(&history.without_null_reads(), budget)
    }
}
