//! The order of one register's versions: what is known of it, from where, and whether it has circles.
//!
//! A source is added whole or not at all: if it makes a circle with what is known already, that is an anomaly, and it is left out.

use super::components::{Components, components};
use super::input::Token;
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt;

/// What may tell that one version came before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// The state before everything comes first.
    Initial,
    /// The history tells each version's number.
    Told,
    /// What a transaction reads comes before what it then writes.
    WritesFollowReads,
    /// Each process sees ever newer versions of each key.
    Sequential,
    /// All processes together do, in real time.
    Linearizable,
}

impl Source {
    /// Those that are assumptions, by the names that `assume` takes, with the weakest consistency model that implies each.
    pub(crate) const ASSUMPTIONS: [(&'static str, Source, &'static str); 3] = [
        ("wfr-keys", Source::WritesFollowReads, "cursor-stability"),
        (
            "sequential-keys",
            Source::Sequential,
            "strong-session-serializable",
        ),
        (
            "linearizable-keys",
            Source::Linearizable,
            "strong-serializable",
        ),
    ];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Source::Initial => "the initial state",
            Source::Told => "the versions that the history tells",
            Source::WritesFollowReads => "what transactions read before they wrote",
            Source::Sequential => "the order of each process",
            Source::Linearizable => "real time",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A partial order of values.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    values: Vec<Token>,
    numbers: FxHashMap<Token, u32>,
    /// By number of the earlier value; sorted.
    edges: Vec<(u32, u32, Source)>,
    sources: Vec<Source>,
}

impl Versions {
    fn number(&mut self, value: Token) -> u32 {
        let values = &mut self.values;
        *self.numbers.entry(value).or_insert_with(|| {
            values.push(value);
            values.len() as u32 - 1
        })
    }

    /// Adds what a source tells. Returns the circles that it would make, if any: then it is left out.
    pub(crate) fn add(&mut self, source: Source, pairs: &[(Token, Token)]) -> Vec<Vec<Token>> {
        let before = self.edges.len();
        for (one, other) in pairs {
            if one != other {
                let edge = (self.number(*one), self.number(*other), source);
                self.edges.push(edge);
            }
        }
        self.edges.sort_unstable();
        self.edges.dedup_by_key(|edge| (edge.0, edge.1));
        let circles = self.circles();
        if circles.is_empty() {
            self.sources.push(source);
        } else {
            self.edges.retain(|edge| edge.2 != source);
            debug_assert!(self.edges.len() <= before);
        }
        circles
    }

    /// What the order is made of so far.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Each value with one that comes after it, and who says so.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Token, Token, Source)> {
        let value = |number: u32| self.values[number as usize];
        self.edges
            .iter()
            .map(move |(one, other, source)| (value(*one), value(*other), *source))
    }

    /// Whether two of these values have no order, as far as it is told from one to the next.
    pub(crate) fn leaves_open(&self, values: impl Iterator<Item = Token>) -> bool {
        let numbers: FxHashSet<Option<u32>> = values
            .map(|value| self.numbers.get(&value).copied())
            .collect();
        let found = self.components();
        // Each value is a component: their numbers put them in order, the last first.
        let mut order: Vec<u32> = (0..self.values.len() as u32).collect();
        order.retain(|node| numbers.contains(&Some(*node)));
        order.sort_unstable_by_key(|node| found.of[*node as usize]);
        let told = |pair: &[u32]| {
            let at = self
                .edges
                .binary_search_by_key(&(pair[1], pair[0]), |edge| (edge.0, edge.1));
            at.is_ok()
        };
        numbers.contains(&None) && numbers.len() > 1 || !order.windows(2).all(told)
    }

    fn components(&self) -> Components {
        let nodes = self.values.len();
        let mut starts = vec![0; nodes + 1];
        for edge in &self.edges {
            starts[edge.0 as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        components(nodes, |node, place| {
            let own = &self.edges[starts[node as usize]..starts[node as usize + 1]];
            own.get(place as usize).map(|edge| edge.1)
        })
    }

    fn circles(&self) -> Vec<Vec<Token>> {
        let found = self.components();
        let value = |number: &u32| self.values[*number as usize];
        let circles = found.cyclic(self.values.len() as u32);
        circles
            .iter()
            .map(|circle| circle.iter().map(value).collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_makes_a_circle_is_left_out_whole() {
        let mut versions = Versions::default();
        assert!(
            versions
                .add(Source::Initial, &[(0, 9), (0, 17), (0, 25)])
                .is_empty()
        );
        assert!(
            versions
                .add(Source::WritesFollowReads, &[(9, 17)])
                .is_empty()
        );
        let circles = versions.add(Source::Sequential, &[(17, 25), (25, 9)]);
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].len(), 3);
        assert_eq!(versions.pairs().count(), 4);
        assert_eq!(
            versions.sources(),
            [Source::Initial, Source::WritesFollowReads]
        );
        assert!(versions.leaves_open([0, 9, 17, 25].into_iter()));
        assert!(!versions.leaves_open([0, 9, 17].into_iter()));
        // Anything before the initial state is a circle too.
        assert_eq!(versions.add(Source::Linearizable, &[(17, 0)]).len(), 1);
    }
}
