//! How one transaction precedes another.

use std::fmt;
use std::ops::BitOr;

/// A set of relations, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Relations(u8);

impl Relations {
    pub(crate) const NONE: Relations = Relations(0);
    /// Installed the version before.
    pub(crate) const WW: Relations = Relations(1);
    /// Installed the version that the other one read.
    pub(crate) const WR: Relations = Relations(2);
    /// Read the version before the one that the other installed.
    pub(crate) const RW: Relations = Relations(4);
    /// Completed before the same process went on.
    pub(crate) const PROCESS: Relations = Relations(8);
    /// Completed before the other one was invoked.
    pub(crate) const REALTIME: Relations = Relations(16);
    /// What the data say.
    pub(crate) const DATA: Relations = Relations(1 | 2 | 4);

    /// All of them, strongest claim first: of several relations between two transactions the first one is told.
    pub(crate) const EACH: [Relations; 5] = [
        Relations::WW,
        Relations::WR,
        Relations::RW,
        Relations::PROCESS,
        Relations::REALTIME,
    ];

    pub(crate) const fn and(self, other: Relations) -> Relations {
        Relations(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Relations) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn only(self, other: Relations) -> Relations {
        Relations(self.0 & other.0)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The strongest claim among them.
    pub(crate) fn first(self) -> Relations {
        let mut each = Relations::EACH.into_iter();
        each.find(|one| self.has(*one)).unwrap_or(Relations::NONE)
    }

    /// The name of one relation, as witnesses have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Relations::WW => "ww",
            Relations::WR => "wr",
            Relations::RW => "rw",
            Relations::PROCESS => "process",
            Relations::REALTIME => "realtime",
            _ => "several",
        }
    }
}

impl BitOr for Relations {
    type Output = Relations;
    fn bitor(self, other: Relations) -> Relations {
        self.and(other)
    }
}

impl fmt::Debug for Relations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Relations::EACH.iter().filter(|one| self.has(**one));
        f.debug_set().entries(names.map(|one| one.name())).finish()
    }
}
