//! The elements of a set by number, so that a read becomes a set of bits.

use super::bits::Bits;
use crate::history::{Kind, ListRef, Operation, ValueRef};
use crate::models::{Added, added};
use rustc_hash::{FxHashMap, FxHashSet};

/// A list of elements, or nothing.
pub(super) type Lists<'h> = Option<ListRef<'h>>;

/// A table of whole numbers may have this many places for each element, before hashing is the better way.
const PLACES_FOR_ONE: u64 = 8;

/// Marks a place without element.
const NONE: u32 = u32::MAX;

/// An element that somebody tried to add, or may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'h> {
    pub(super) value: ValueRef<'h>,
    /// The line at which the first try began.
    pub(super) inv: u64,
    /// The add that was acknowledged first.
    pub(super) added: Option<Operation<'h>>,
    pub(super) acknowledged: bool,
    pub(super) attempt: Operation<'h>,
}

/// All elements that somebody tried to add, in the order of the first tries; and adds that certainly failed.
pub(super) struct Elements<'h> {
    pub(super) all: Vec<Element<'h>>,
    pub(super) failed: FxHashMap<ValueRef<'h>, Operation<'h>>,
    numbers: Numbers<'h>,
}

/// From an element to its number.
struct Numbers<'h> {
    /// Whole numbers from `base` on.
    table: Vec<u32>,
    base: i64,
    others: FxHashMap<ValueRef<'h>, u32>,
}

impl<'h> Numbers<'h> {
    fn of(elements: &[Element<'h>]) -> Numbers<'h> {
        let whole = || elements.iter().filter_map(|element| element.value.as_i64());
        let (base, top) = (whole().min().unwrap_or(0), whole().max().unwrap_or(0));
        let places = top.abs_diff(base).saturating_add(1);
        let dense = places <= 64 + elements.len() as u64 * PLACES_FOR_ONE;
        let mut numbers = Numbers {
            table: vec![NONE; if dense { places as usize } else { 0 }],
            base,
            others: FxHashMap::default(),
        };
        for (number, element) in elements.iter().enumerate() {
            let number = number as u32;
            match element.value.as_i64().filter(|_| dense) {
                Some(whole) => numbers.table[whole.abs_diff(base) as usize] = number,
                None => {
                    numbers.others.insert(element.value, number);
                }
            }
        }
        numbers
    }

    fn get(&self, value: ValueRef<'h>) -> Option<u32> {
        if let Some(whole) = value.as_i64()
            && !self.table.is_empty()
        {
            let place = usize::try_from(whole.checked_sub(self.base)?).ok()?;
            return self
                .table
                .get(place)
                .copied()
                .filter(|number| *number != NONE);
        }
        self.others.get(&value).copied()
    }
}

/// A read as bits, and what does not fit into them.
pub(super) struct Shown<'h> {
    pub(super) bits: Bits,
    pub(super) twice: Vec<u32>,
    /// Elements that nobody tried to add, each once; and those of them that it shows twice.
    pub(super) strangers: Vec<ValueRef<'h>>,
    pub(super) strangers_twice: Vec<ValueRef<'h>>,
}

impl<'h> Elements<'h> {
    pub(super) fn gather(adds: &[Operation<'h>]) -> Elements<'h> {
        let mut places: FxHashMap<ValueRef<'h>, usize> = FxHashMap::default();
        let mut all: Vec<Element<'h>> = Vec::new();
        let mut failed = FxHashMap::default();
        for add in adds {
            let value = add.argument();
            // An element that is there already is no news: an answer like NodeExists counts as a read of it would.
            let answered =
                add.is_ok() && matches!(added(add, "set-full"), Ok(Added::New | Added::Already));
            if add.kind() == Kind::Fail || (add.is_ok() && !answered) {
                failed.entry(value).or_insert(*add);
                continue;
            }
            let place = *places.entry(value).or_insert(all.len());
            if place == all.len() {
                all.push(Element {
                    value,
                    inv: add.inv(),
                    added: None,
                    acknowledged: false,
                    attempt: *add,
                });
            }
            let element = &mut all[place];
            if answered && element.added.is_none_or(|before| before.ret() > add.ret()) {
                element.added = Some(*add);
                element.acknowledged = true;
            }
        }
        let numbers = Numbers::of(&all);
        Elements {
            all,
            failed,
            numbers,
        }
    }

    pub(super) fn shown(&self, list: Lists<'h>) -> Shown<'h> {
        let mut shown = Shown {
            bits: Bits::empty(self.all.len()),
            twice: Vec::new(),
            strangers: Vec::new(),
            strangers_twice: Vec::new(),
        };
        let mut met: FxHashSet<ValueRef<'h>> = FxHashSet::default();
        for value in list.into_iter().flat_map(ListRef::iter) {
            match self.numbers.get(value) {
                Some(number) => {
                    if shown.bits.insert(number) {
                        shown.twice.push(number);
                    }
                }
                None if met.insert(value) => shown.strangers.push(value),
                None => shown.strangers_twice.push(value),
            }
        }
        shown
    }
}
