//! Which indeterminate calls took effect in the orders that were found, and when: where somebody asks for it.

use super::Search;
use super::frontier::NONE;
use crate::linear::model::Model;

/// Of a class, or of an entry that can take effect until its line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Used {
    Class(u32),
    Entry(u32),
}

/// An indeterminate call took effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    /// The use before it in the same order.
    before: u32,
    what: Used,
    /// The line before which it had to.
    line: u32,
}

impl<M: Model> Search<'_, M> {
    /// Writes down which indeterminate calls are used, and when: for [`Search::used`].
    pub(in crate::linear) fn tracing(mut self) -> Self {
        self.trail = Some(Vec::new());
        self
    }

    /// After a legal end, in one of the legal orders: which indeterminate entries took effect, in that order, and before which
    /// lines. Of equal ones those that were invoked first.
    pub(in crate::linear) fn used(&self) -> Vec<(usize, u32)> {
        let uses = self.trail.as_deref().unwrap_or_default();
        let mut at = self
            .frontier
            .alive()
            .next()
            .map_or(NONE, |config| config.trail);
        let mut found = Vec::new();
        while at != NONE {
            let used = uses[at as usize];
            found.push((used.what, used.line));
            at = used.before;
        }
        found.reverse();
        let mut members: Vec<std::vec::IntoIter<usize>> = Vec::new();
        if !found.is_empty() {
            let mut by_class = vec![Vec::new(); self.classes.len()];
            for (place, entry) in self.entries.iter().enumerate() {
                if entry.is_endless() {
                    by_class[self.call_of[place] as usize].push(place);
                }
            }
            members = by_class.into_iter().map(Vec::into_iter).collect();
        }
        let member = |(used, line)| {
            let entry = match used {
                Used::Class(class) => members[class as usize].next()?,
                Used::Entry(entry) => entry as usize,
            };
            Some((entry, line))
        };
        found.into_iter().filter_map(member).collect()
    }

    /// The trail of a configuration after one more use.
    pub(super) fn traced(&mut self, before: u32, what: Used) -> u32 {
        let line = self.now;
        let Some(uses) = &mut self.trail else {
            return NONE;
        };
        uses.push(Use { before, what, line });
        uses.len() as u32 - 1
    }
}
