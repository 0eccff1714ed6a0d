//! The watchers of one path, each with a byte that says what he watches there.
//!
//! Few are a sorted vector, many a tree: a hundred thousand can come and go in any order.

use super::Watcher;
use std::collections::BTreeMap;

/// Beyond so many a tree is used.
const FEW: usize = 128;

#[derive(Debug)]
pub(super) enum Watchers {
    Few(Vec<(Watcher, u8)>),
    Many(BTreeMap<Watcher, u8>),
}

impl Watchers {
    pub(super) fn one(watcher: Watcher, bits: u8) -> Watchers {
        // Most paths have one watcher: no room for more until they come.
        Watchers::Few(vec![(watcher, bits)])
    }

    /// 0 if there is none.
    pub(super) fn get(&self, watcher: Watcher) -> u8 {
        match self {
            Watchers::Few(few) => find(few, watcher).map_or(0, |at| few[at].1),
            Watchers::Many(many) => many.get(&watcher).copied().unwrap_or(0),
        }
    }

    /// 0 takes him out.
    pub(super) fn set(&mut self, watcher: Watcher, bits: u8) {
        match self {
            Watchers::Few(few) => match (find(few, watcher), bits) {
                (Ok(at), 0) => drop(few.remove(at)),
                (Ok(at), bits) => few[at].1 = bits,
                (Err(_), 0) => {}
                (Err(at), bits) if few.len() < FEW => few.insert(at, (watcher, bits)),
                (Err(_), bits) => {
                    let mut many: BTreeMap<_, _> = few.drain(..).collect();
                    many.insert(watcher, bits);
                    *self = Watchers::Many(many);
                }
            },
            Watchers::Many(many) if bits == 0 => drop(many.remove(&watcher)),
            Watchers::Many(many) => drop(many.insert(watcher, bits)),
        }
    }

    /// Keeps those for whom `keep` says so; it may change their bits.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Watcher, &mut u8) -> bool) {
        match self {
            Watchers::Few(few) => few.retain_mut(|(watcher, bits)| keep(*watcher, bits)),
            Watchers::Many(many) => many.retain(|watcher, bits| keep(*watcher, bits)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Watchers::Few(few) => few.is_empty(),
            Watchers::Many(many) => many.is_empty(),
        }
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Watcher, u8)> {
        let (few, many) = match self {
            Watchers::Few(few) => (few.as_slice(), None),
            Watchers::Many(many) => (&[][..], Some(many)),
        };
        let many = many
            .into_iter()
            .flatten()
            .map(|(watcher, bits)| (*watcher, *bits));
        few.iter().copied().chain(many)
    }
}

fn find(few: &[(Watcher, u8)], watcher: Watcher) -> Result<usize, usize> {
    few.binary_search_by_key(&watcher, |(w, _)| *w)
}
