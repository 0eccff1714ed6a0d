//! Each value with all that was done with it.

use super::super::cas_register::Call;
use crate::linear::{Entry, NEVER, ValueId};
use rustc_hash::FxHashMap;

/// A line of the history; the initial value was written before the first.
pub(super) type Moment = u32;

/// When the initial value was written: invoked and answered.
pub(super) const INITIAL_INV: Moment = 0;
pub(super) const INITIAL_RET: Moment = 1;
/// What never ends.
pub(super) const FOREVER: Moment = u32::MAX;

/// The moment of a line of the history.
pub(super) fn moment(line: u32) -> Moment {
    if line == NEVER {
        FOREVER
    } else {
        line.saturating_add(2)
    }
}

/// No entry.
pub(super) const NONE: u32 = u32::MAX;
/// Instead of an entry: the value was there from the beginning.
pub(super) const INITIAL: u32 = u32::MAX - 1;

/// A value: who may have written it, and who saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster {
    pub(super) value: ValueId,
    /// The last entry that may have written it, or [`INITIAL`].
    pub(super) writer: u32,
    /// How many may have written it; the initial value counts.
    pub(super) writers: u32,
    /// The first invocation of a possible writer.
    pub(super) first_inv: Moment,
    /// Whether it was there for certain: read, or demanded by a compare-and-set that took effect.
    pub(super) observed: bool,
    /// The read that returned first, and the one that was invoked last.
    pub(super) first_read: u32,
    pub(super) last_read: u32,
    /// The compare-and-set that took effect on it.
    pub(super) next: u32,
}

/// The clusters of a history, by value.
pub(super) struct Clusters {
    pub(super) all: Vec<Cluster>,
    places: Places,
}

/// Where each value's cluster is. Values that are small whole numbers need no hashing.
enum Places {
    Dense(Vec<u32>),
    Sparse(FxHashMap<ValueId, u32>),
}

/// A table may be this many times as long as the entries.
const DENSE: usize = 8;

fn values(call: &Call) -> (ValueId, Option<ValueId>) {
    match *call {
        Call::Write(value) | Call::Saw(value) | Call::SawOther(value) => (value, None),
        Call::Cas { old, new } => (old, Some(new)),
    }
}

impl Clusters {
    /// The clusters of these entries.
    pub(super) fn of(initial: ValueId, entries: &[Entry<Call>]) -> Clusters {
        let largest = entries.iter().fold(initial, |largest, entry| {
            let (one, other) = values(&entry.call);
            largest.max(one).max(other.unwrap_or(one))
        });
        let length = largest.number() as usize + 1;
        let places = if length <= DENSE * (entries.len() + 64) {
            Places::Dense(vec![NONE; length])
        } else {
            Places::Sparse(FxHashMap::default())
        };
        let mut clusters = Clusters {
            all: Vec::with_capacity(entries.len() / 2 + 1),
            places,
        };
        let first = clusters.at(initial);
        first.writer = INITIAL;
        first.writers = 1;
        first.first_inv = INITIAL_INV;
        for (place, entry) in entries.iter().enumerate() {
            clusters.take(place as u32, entry, entries);
        }
        clusters
    }

    fn take(&mut self, place: u32, entry: &Entry<Call>, entries: &[Entry<Call>]) {
        match entry.call {
            Call::Write(value) => self.wrote(value, place, entry),
            Call::Cas { old, new } => {
                self.wrote(new, place, entry);
                self.at(old).observed |= entry.certain;
            }
            Call::Saw(value) => {
                let cluster = self.at(value);
                cluster.observed = true;
                if cluster.first_read == NONE
                    || entry.ret < entries[cluster.first_read as usize].ret
                {
                    cluster.first_read = place;
                }
                // Entries come in the order of their invocations, but nothing here needs to rely on it.
                if cluster.last_read == NONE || entry.inv > entries[cluster.last_read as usize].inv
                {
                    cluster.last_read = place;
                }
            }
            Call::SawOther(_) => {}
        }
    }

    fn wrote(&mut self, value: ValueId, place: u32, entry: &Entry<Call>) {
        let cluster = self.at(value);
        cluster.writer = place;
        cluster.writers += 1;
        cluster.first_inv = cluster.first_inv.min(moment(entry.inv));
    }

    /// The cluster of a value, which may be a new one.
    pub(super) fn at(&mut self, value: ValueId) -> &mut Cluster {
        let next = self.all.len() as u32;
        let place = match &mut self.places {
            Places::Dense(places) => &mut places[value.number() as usize],
            Places::Sparse(places) => places.entry(value).or_insert(NONE),
        };
        if *place == NONE {
            *place = next;
            self.all.push(Cluster {
                value,
                writer: NONE,
                writers: 0,
                first_inv: FOREVER,
                observed: false,
                first_read: NONE,
                last_read: NONE,
                next: NONE,
            });
        }
        &mut self.all[*place as usize]
    }

    /// The cluster of a value that some entry names.
    pub(super) fn get(&self, value: ValueId) -> &Cluster {
        let place = match &self.places {
            Places::Dense(places) => places[value.number() as usize],
            Places::Sparse(places) => places[&value],
        };
        &self.all[place as usize]
    }

    /// What an indeterminate compare-and-set wrote was seen: then it took effect, and found what it demanded.
    pub(super) fn close(&mut self, entries: &[Entry<Call>]) {
        let mut by_target: FxHashMap<ValueId, Vec<ValueId>> = FxHashMap::default();
        for entry in entries.iter().filter(|entry| !entry.certain) {
            if let Call::Cas { old, new } = entry.call {
                by_target.entry(new).or_default().push(old);
            }
        }
        if by_target.is_empty() {
            return;
        }
        let mut seen: Vec<ValueId> = self
            .all
            .iter()
            .filter(|cluster| cluster.observed)
            .map(|cluster| cluster.value)
            .collect();
        while let Some(value) = seen.pop() {
            for old in by_target.remove(&value).unwrap_or_default() {
                let cluster = self.at(old);
                if !cluster.observed {
                    cluster.observed = true;
                    seen.push(old);
                }
            }
        }
    }
}
