//! The order that zones find, and whether failed compare-and-sets fit into it.
//!
//! A compare-and-set that was answered with a mismatch is a look at the register: its value was another one. It can stand at
//! any place between operations that real time allows, so long as the value there is another one. Each takes the first such
//! place that it can. If all find one, that is an order; if not, another order may still have room for it.

use super::super::cas_register::Call;
use super::clusters::{FOREVER, INITIAL, Moment, NONE};
use super::{Block, Zones};
use crate::linear::{Entry, ValueId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An order of all that took effect; failed compare-and-sets are not in it.
struct Order {
    /// Entries, or `INITIAL`.
    places: Vec<u32>,
    /// The value after each of them.
    values: Vec<ValueId>,
}

impl Zones<'_> {
    /// Blocks by where their zones begin; each block from its writer on.
    fn order(&self) -> Order {
        let mut reads = self.reads_by_value();
        let mut order = Order {
            places: Vec::with_capacity(self.entries.len() + 1),
            values: Vec::with_capacity(self.entries.len() + 1),
        };
        for block in &self.blocks {
            self.lay_out(block, &mut reads, &mut order);
        }
        order
    }

    /// All reads, by value and then by invocation.
    fn reads_by_value(&self) -> Vec<(ValueId, u32)> {
        let mut reads: Vec<(ValueId, u32)> = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if let Call::Saw(value) = entry.call {
                reads.push((value, place as u32));
            }
        }
        reads.sort_unstable_by_key(|(value, place)| (*value, self.inv(*place)));
        reads
    }

    fn lay_out(&self, block: &Block, reads: &mut [(ValueId, u32)], order: &mut Order) {
        let (mut writer, mut value) = (block.root, block.value);
        loop {
            order.push(writer, value);
            let cluster = self.clusters.get(value);
            if !cluster.observed {
                return;
            }
            let from = reads.partition_point(|(other, _)| *other < value);
            for (_, read) in reads[from..]
                .iter()
                .take_while(|(other, _)| *other == value)
            {
                order.push(*read, value);
            }
            if cluster.next == NONE {
                return;
            }
            writer = cluster.next;
            let Call::Cas { new, .. } = self.entries[writer as usize].call else {
                return;
            };
            value = new;
        }
    }
}

impl Order {
    fn push(&mut self, place: u32, value: ValueId) {
        self.places.push(place);
        self.values.push(value);
    }
}

/// The places at which something can be put in: gap `p` is after `p` entries.
struct Gaps {
    /// Before gap p: the last invocation. Whatever returned before it cannot stand there.
    newest_inv: Vec<Moment>,
    /// After gap p: the first return. Whatever was invoked after it cannot stand there.
    oldest_ret: Vec<Moment>,
    /// The value at gap p, and the next gap at which it is another one.
    values: Vec<ValueId>,
    changes: Vec<u32>,
}

impl Gaps {
    fn of(zones: &Zones<'_>, order: &Order) -> Gaps {
        let count = order.places.len();
        let mut newest_inv = Vec::with_capacity(count + 1);
        newest_inv.push(0);
        for place in &order.places {
            let before = *newest_inv.last().expect("it begins with one");
            newest_inv.push(before.max(zones.inv(*place)));
        }
        let mut oldest_ret = vec![FOREVER; count + 1];
        for (at, place) in order.places.iter().enumerate().rev() {
            oldest_ret[at] = oldest_ret[at + 1].min(zones.ret(*place));
        }
        // Before everything there is the initial value, which the first block holds; where that block comes first, the gap
        // before it is none.
        let mut values = vec![zones.initial];
        values.extend(&order.values);
        let mut changes = vec![u32::MAX; count + 1];
        for at in (0..count).rev() {
            changes[at] = if values[at] == values[at + 1] {
                changes[at + 1]
            } else {
                at as u32 + 1
            };
        }
        Gaps {
            newest_inv,
            oldest_ret,
            values,
            changes,
        }
    }

    /// The first gap from `floor` on at which this fits, and another value than its own is there.
    fn find(&self, inv: Moment, ret: Moment, value: ValueId, floor: usize) -> Option<usize> {
        let first = self
            .oldest_ret
            .partition_point(|oldest| *oldest < inv)
            .max(floor);
        let gap = match self.values.get(first)? {
            there if *there != value => first,
            _ => *self.changes.get(first)? as usize,
        };
        let fits = self.newest_inv.get(gap).is_some_and(|newest| *newest < ret);
        fits.then_some(gap)
    }
}

/// Whether every failed compare-and-set finds a place.
pub(super) fn fit(zones: &Zones<'_>) -> bool {
    place_all(zones, &zones.order()).is_some()
}

/// A gap for each failed compare-and-set, in the order of their invocations.
fn place_all(zones: &Zones<'_>, order: &Order) -> Option<Vec<(u32, usize)>> {
    let gaps = Gaps::of(zones, order);
    let mut looks: Vec<u32> = Vec::new();
    for (place, entry) in zones.entries.iter().enumerate() {
        if matches!(entry.call, Call::SawOther(_)) && entry.certain {
            looks.push(place as u32);
        }
    }
    looks.sort_unstable_by_key(|place| zones.inv(*place));
    let mut placed = Vec::with_capacity(looks.len());
    // What returned before this one was invoked stands no later.
    let mut in_flight: BinaryHeap<Reverse<(Moment, usize)>> = BinaryHeap::new();
    let mut floor = 0;
    for place in looks {
        let Entry {
            call: Call::SawOther(value),
            ..
        } = zones.entries[place as usize]
        else {
            continue;
        };
        let (inv, ret) = (zones.inv(place), zones.ret(place));
        while let Some(Reverse((_, gap))) = in_flight
            .peek()
            .copied()
            .filter(|Reverse((ret, _))| *ret < inv)
        {
            floor = floor.max(gap);
            in_flight.pop();
        }
        let gap = gaps.find(inv, ret, value, floor)?;
        in_flight.push(Reverse((ret, gap)));
        placed.push((place, gap));
    }
    Some(placed)
}

/// Replays the order: a check of the whole algorithm, for tests.
pub(super) fn order_is_legal(zones: &Zones<'_>) -> bool {
    let order = zones.order();
    let Some(looks) = place_all(zones, &order) else {
        return false;
    };
    let mut all: Vec<(usize, u8, u32)> = looks
        .into_iter()
        .map(|(place, gap)| (gap, 0, place))
        .collect();
    all.extend(
        order
            .places
            .iter()
            .enumerate()
            .map(|(at, place)| (at, 1, *place)),
    );
    all.sort_by_key(|(gap, kind, place)| (*gap, *kind, zones.inv(*place)));
    let (mut newest_inv, mut state) = (0, None);
    for (_, _, place) in all {
        if zones.ret(place) < newest_inv {
            return false;
        }
        newest_inv = newest_inv.max(zones.inv(place));
        state = match (place, state) {
            (INITIAL, _) => Some(zones.initial),
            (_, state) => {
                let held = state.unwrap_or(zones.initial);
                match zones.entries[place as usize].call {
                    Call::Write(value) => Some(value),
                    Call::Saw(value) if value == held => Some(held),
                    Call::SawOther(value) if value != held => Some(held),
                    Call::Cas { old, new } if old == held => Some(new),
                    _ => return false,
                }
            }
        };
    }
    let kept = zones
        .entries
        .iter()
        .filter(|entry| zones.happened(entry))
        .count();
    let looks = zones
        .entries
        .iter()
        .filter(|entry| matches!(entry.call, Call::SawOther(_)))
        .count();
    let initial = usize::from(order.places.contains(&INITIAL));
    order.places.len() - initial == kept - looks
}
