//! Sets of small numbers, a bit each.

/// A set of numbers below a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn empty(bound: usize) -> Bits {
        Bits(vec![0; bound.div_ceil(64)])
    }

    /// Adds a number; whether it was there already.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let word = &mut self.0[number as usize / 64];
        let bit = 1 << (number % 64);
        let was = *word & bit != 0;
        *word |= bit;
        was
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.0[number as usize / 64] & 1 << (number % 64) != 0
    }

    /// Calls with every number that is in one of the two only, and whether it is in the other one.
    pub(super) fn differences(&self, other: &Bits, mut take: impl FnMut(u32, bool)) {
        for (place, (old, new)) in self.0.iter().zip(&other.0).enumerate() {
            let mut left = old ^ new;
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                take(place as u32 * 64 + bit, new >> bit & 1 == 1);
            }
        }
    }
}
