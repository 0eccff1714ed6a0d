//! A witness: the order that the system itself told, tried as the linearization.
//!
//! The system need not be trusted. Its order is replayed through the model and compared with real time: if both agree, that
//! is a proof. If not, nothing is proved, and the search goes on.

use super::model::{Entry, Model};

/// Indeterminate calls that are tried, at most, where the told order alone cannot go on.
const TRIED: usize = 64;

/// An operation's place in the told order: a number, and within one number what changed something before what only looked.
pub(super) type Place = i64;

/// Whether the entries, in the order of their places, are legal from this state and agree with real time. Indeterminate
/// entries have no place: one is put in where the order cannot go on without it.
pub(super) fn verifies<M: Model>(
    model: &M,
    initial: &M::State,
    entries: &[Entry<M::Call>],
    places: &[Option<Place>],
) -> bool {
    let Some(order) = told(model, entries, places) else {
        return false;
    };
    let mut replay = Replay {
        model,
        state: initial.clone(),
        newest_inv: 0,
        spare: entries.iter().filter(|entry| !entry.certain).collect(),
    };
    order
        .into_iter()
        .all(|at| replay.take(&entries[at as usize]))
}

/// The certain entries in the told order, if all of them have a place.
fn told<M: Model>(
    model: &M,
    entries: &[Entry<M::Call>],
    places: &[Option<Place>],
) -> Option<Vec<u32>> {
    let mut order = Vec::with_capacity(entries.len());
    for (at, (entry, place)) in entries.iter().zip(places).enumerate() {
        if entry.certain {
            let looks = model.is_pure(&entry.call);
            order.push((((*place)?, looks, entry.inv), at as u32));
        }
    }
    order.sort_unstable();
    Some(order.into_iter().map(|(_, at)| at).collect())
}

struct Replay<'a, M: Model> {
    model: &'a M,
    state: M::State,
    /// The latest invocation among what was replayed: nothing that returned before it may follow.
    newest_inv: u32,
    /// Indeterminate entries that were not put in, in the order of their invocations.
    spare: Vec<&'a Entry<M::Call>>,
}

impl<M: Model> Replay<'_, M> {
    fn take(&mut self, entry: &Entry<M::Call>) -> bool {
        if entry.ret < self.newest_inv {
            return false;
        }
        if let Some(next) = self.model.step(&self.state, &entry.call) {
            self.state = next;
            self.newest_inv = self.newest_inv.max(entry.inv);
            return true;
        }
        self.put_in_one_for(entry)
    }

    /// Puts in the indeterminate entry after which this one fits.
    fn put_in_one_for(&mut self, entry: &Entry<M::Call>) -> bool {
        let in_time =
            |spare: &&Entry<M::Call>| spare.inv < entry.ret && spare.ret > self.newest_inv;
        for at in 0..self.spare.len().min(TRIED) {
            let spare = self.spare[at];
            if !in_time(&spare) {
                continue;
            }
            let between = self.model.step(&self.state, &spare.call);
            let Some(next) = between.and_then(|state| self.model.step(&state, &entry.call)) else {
                continue;
            };
            self.spare.remove(at);
            self.state = next;
            self.newest_inv = self.newest_inv.max(spare.inv).max(entry.inv);
            return true;
        }
        false
    }
}
