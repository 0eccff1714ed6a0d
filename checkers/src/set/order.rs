//! Whether one order of adds and linearizable reads explains all that was read.
//!
//! Reads of a set that only grows form a chain. That fixes the order in layers: the elements of the smallest read, the reads
//! that show just these, what the next larger read shows beside them, those reads, …, and at last the adds that no read shows.
//! The order agrees with real time if no operation returned before one of an earlier layer was invoked.

use super::Case;
use super::elements::{Element, Parent, Read, Span};
use serde_json::Value;

/// What stands in the way of any order, if something does.
pub(super) fn find(parent: &Parent) -> Option<Case> {
    let mut reads: Vec<&Read> = parent
        .reads
        .iter()
        .filter(|read| read.linearizable)
        .collect();
    reads.sort_by_key(|read| (read.shows.len(), read.span.inv));
    if let Some(pair) = reads
        .windows(2)
        .find(|pair| !is_subset(&pair[0].shows, &pair[1].shows))
    {
        let text = "of two reads neither holds all of the other's elements".to_owned();
        let operations = vec![pair[0].span.operation, pair[1].span.operation];
        return Some(Case {
            kind: "unordered",
            element: Value::Null,
            text,
            operations,
        });
    }
    let mut walk = Walk {
        parent,
        placed: vec![false; parent.elements.len()],
        latest: None,
    };
    for layer in reads.chunk_by(|one, other| one.shows.len() == other.shows.len()) {
        if let Some(case) = walk.adds(&layer[0].shows).or_else(|| walk.reads(layer)) {
            return Some(case);
        }
    }
    // What no read shows came last, if it came at all.
    let rest: Vec<usize> = (0..parent.elements.len())
        .filter(|at| {
            let Element { made, exists, .. } = &parent.elements[*at];
            !walk.placed[*at] && (!exists.is_empty() || made.is_some_and(|made| made.ret.is_some()))
        })
        .collect();
    walk.adds(&rest)
}

/// Both ascending.
fn is_subset(small: &[usize], large: &[usize]) -> bool {
    let mut large = large.iter();
    small.iter().all(|at| large.any(|other| other == at))
}

struct Walk<'a> {
    parent: &'a Parent,
    placed: Vec<bool>,
    /// The operation that was invoked last among all of the layers so far.
    latest: Option<(u64, usize)>,
}

impl Walk<'_> {
    /// Places the adds of these elements that are not placed yet.
    fn adds(&mut self, elements: &[usize]) -> Option<Case> {
        let before = self.latest;
        for at in elements {
            if std::mem::replace(&mut self.placed[*at], true) {
                continue;
            }
            let element = &self.parent.elements[*at];
            let made = element.made?;
            if let (Some(ret), Some((latest, by))) = (made.ret, before)
                && ret < latest
            {
                return Some(against_time(by, made.acknowledged));
            }
            // Whoever met the element there came after its add, and after all earlier layers.
            for Span { ret, operation, .. } in &element.exists {
                let floor = before.into_iter().chain([(made.inv, made.operation)]).max();
                if let Some((_, by)) = floor.filter(|(inv, _)| ret < inv) {
                    return Some(against_time(by, *operation));
                }
            }
            self.latest = self.latest.max(Some((made.inv, made.operation)));
        }
        None
    }

    /// A read before an earlier layer has shown what was added later, or what a later read misses: both were looked for before, so
    /// this finds nothing more. It stands here so that the layers are a proof by themselves.
    fn reads(&mut self, layer: &[&Read]) -> Option<Case> {
        let before = self.latest;
        for read in layer {
            if let Some((_, by)) = before.filter(|(latest, _)| read.span.ret < *latest) {
                return Some(against_time(by, read.span.operation));
            }
            self.latest = self.latest.max(Some((read.span.inv, read.span.operation)));
        }
        None
    }
}

fn against_time(first: usize, second: usize) -> Case {
    let text = "what was read puts one operation before another that had returned before it began"
        .to_owned();
    Case {
        kind: "unordered",
        element: Value::Null,
        text,
        operations: vec![second, first],
    }
}
