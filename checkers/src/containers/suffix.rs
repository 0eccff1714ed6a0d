//! The least of all numbers that were entered at or after a place: a Fenwick tree, turned around.

/// Minima of suffixes.
#[derive(Debug)]
pub(super) struct SuffixMin {
    least: Vec<u64>,
}

impl SuffixMin {
    /// For places below `size`; nothing is entered.
    pub(super) fn new(size: usize) -> SuffixMin {
        SuffixMin {
            least: vec![u64::MAX; size + 1],
        }
    }

    /// Enters a number at a place.
    pub(super) fn enter(&mut self, place: usize, number: u64) {
        let mut at = self.least.len() - 1 - place;
        while at < self.least.len() {
            self.least[at] = self.least[at].min(number);
            at += at & at.wrapping_neg();
        }
    }

    /// The least number at this place or a later one; `u64::MAX` if there is none.
    pub(super) fn from(&self, place: usize) -> u64 {
        let mut at = (self.least.len() - 1).saturating_sub(place);
        let mut least = u64::MAX;
        while at > 0 {
            least = least.min(self.least[at]);
            at &= at - 1;
        }
        least
    }
}
