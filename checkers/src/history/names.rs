//! Each name of a history once in memory, with a small number: keys, functions and processes repeat on every line.

use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Names in the order in which they were first seen: their numbers are dense.
#[derive(Debug, Clone)]
pub(super) struct Names<N> {
    ids: FxHashMap<N, u32>,
    names: Vec<N>,
}

impl<N> Default for Names<N> {
    fn default() -> Names<N> {
        Names {
            ids: FxHashMap::default(),
            names: Vec::new(),
        }
    }
}

impl<N: Hash + Eq + Clone> Names<N> {
    /// The number of a name; `make` gives it, if it is new.
    pub(super) fn id<Q>(&mut self, name: &Q, make: impl FnOnce() -> N) -> u32
    where
        N: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // One below the last number, which stands for none.
        let id = self.names.len() as u32;
        assert!(id < u32::MAX, "a history has fewer than 2^32 - 1 names");
        let name = make();
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    pub(super) fn get(&self, id: u32) -> &N {
        &self.names[id as usize]
    }

    pub(super) fn all(&self) -> &[N] {
        &self.names
    }
}

impl Names<Arc<str>> {
    /// The number of a text.
    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.id(text, || text.into())
    }
}
