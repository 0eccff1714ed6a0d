//! Each word of a history once in memory: keys, functions, servers and sessions repeat on every line.

use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Longer texts are seldom repeated, and are not remembered.
const LONGEST: usize = 48;

/// The words seen so far.
#[derive(Debug, Default)]
pub(super) struct Words(FxHashSet<Arc<str>>);

impl Words {
    /// The shared form of a word.
    pub(super) fn intern(&mut self, word: &str) -> Arc<str> {
        if word.len() > LONGEST {
            return word.into();
        }
        if let Some(known) = self.0.get(word) {
            return known.clone();
        }
        let shared: Arc<str> = word.into();
        self.0.insert(shared.clone());
        shared
    }
}
