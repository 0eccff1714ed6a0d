//! One parent: what became of each of its elements.

use super::{Case, order};
use crate::history::{Kind, ListRef, Operation};
use crate::linear::{ValueId, Values};
use crate::models::{Added, added};
use rustc_hash::{FxHashMap, FxHashSet};

/// A parent's adds and reads.
#[derive(Debug, Default)]
pub(super) struct Parent {
    /// In the order in which they were first tried.
    pub(super) elements: Vec<Element>,
    places: FxHashMap<ValueId, usize>,
    pub(super) reads: Vec<Read>,
    /// Two creates of one element were acknowledged: the element, and both operations. Only where each can have been only once.
    created_twice: Vec<(ValueId, usize, usize)>,
}

/// An element that somebody tried to add, or a read showed.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) id: ValueId,
    /// The attempt that made it, or may have.
    pub(super) made: Option<Made>,
    /// `NodeExists` answers: it was there at some point of each.
    pub(super) exists: Vec<Span>,
    /// Operations that were certain to be without effect.
    failed: Option<usize>,
}

/// An attempt that was not refused; or all of them, of which one made it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// The first invocation.
    pub(super) inv: u64,
    /// The first acknowledgement; `None` while it is indeterminate.
    pub(super) ret: Option<u64>,
    /// The operation that was invoked first.
    pub(super) operation: usize,
    /// The one that was acknowledged first; until one is, the same.
    pub(super) acknowledged: usize,
}

impl Made {
    /// Of several attempts any may have made it, between the first invocation and the first acknowledgement.
    fn or(self, other: Made) -> Made {
        let (first, second) = match self.inv <= other.inv {
            true => (self, other),
            false => (other, self),
        };
        let acknowledged = [first, second]
            .into_iter()
            .filter_map(|made| Some((made.ret?, made.acknowledged)))
            .min();
        Made {
            inv: first.inv,
            ret: acknowledged.map(|(ret, _)| ret),
            operation: first.operation,
            acknowledged: acknowledged.map_or(first.operation, |(_, by)| by),
        }
    }
}

/// When an answered operation was in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) inv: u64,
    pub(super) ret: u64,
    pub(super) operation: usize,
}

/// A read that was answered.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) span: Span,
    pub(super) linearizable: bool,
    /// Places of the elements, ascending, each once.
    pub(super) shows: Vec<usize>,
    twice: Vec<ValueId>,
}

impl Parent {
    /// Takes an add.
    pub(super) fn add(
        &mut self,
        place: usize,
        operation: &Operation<'_>,
        once: bool,
        values: &mut Values,
    ) -> Result<(), String> {
        let id = values.id(operation.argument());
        let at = self.place(id);
        let element = &mut self.elements[at];
        let (inv, ret) = (operation.inv(), operation.ret());
        if operation.kind() == Kind::Fail {
            element.failed = Some(place);
            return Ok(());
        }
        let model = if once { "set-once" } else { "set" };
        match added(operation, model)? {
            // That the parent is not there yet, or not any more, is no sight of the element.
            Added::Nowhere => element.failed = Some(place),
            Added::Already => {
                element.exists.push(Span {
                    inv,
                    ret: ret.expect("an ok operation returned"),
                    operation: place,
                });
            }
            Added::New => {
                let made = Made {
                    inv,
                    ret,
                    operation: place,
                    acknowledged: place,
                };
                match element.made {
                    Some(known) if !once => element.made = Some(known.or(made)),
                    Some(known) if known.ret.is_some() && ret.is_some() => {
                        self.created_twice.push((id, known.operation, place));
                    }
                    // Of an answered and an indeterminate attempt the answered one made it; of two indeterminate ones the
                    // earlier allows more.
                    Some(known) if known.ret.is_some() || ret.is_none() => {}
                    _ => element.made = Some(made),
                }
            }
        }
        Ok(())
    }

    /// Takes a read.
    pub(super) fn read(
        &mut self,
        place: usize,
        operation: &Operation<'_>,
        linearizable: bool,
        values: &mut Values,
    ) -> Result<(), String> {
        let (Some(answer), Some(ret)) = (operation.answer(), operation.ret()) else {
            return Ok(());
        };
        let shown = match (answer.value().as_list(), operation.error()) {
            // There is no parent, hence no element.
            (_, Some("NoNode")) => None,
            (_, Some(error)) => {
                return Err(format!(
                    "is an ok read with the error {error}; sets know NoNode"
                ));
            }
            (Some(elements), None) => Some(elements),
            (None, None) => {
                return Err(format!(
                    "is an ok read of {}; expected a list of elements",
                    answer.value()
                ));
            }
        };
        let shown = shown.into_iter().flat_map(ListRef::iter);
        let ids: Vec<ValueId> = shown.map(|element| values.id(element)).collect();
        let mut shows: Vec<usize> = ids.iter().map(|id| self.place(*id)).collect();
        shows.sort_unstable();
        let twice = shows
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| self.elements[pair[0]].id)
            .collect();
        shows.dedup();
        let span = Span {
            inv: operation.inv(),
            ret,
            operation: place,
        };
        self.reads.push(Read {
            span,
            linearizable,
            shows,
            twice,
        });
        Ok(())
    }

    fn place(&mut self, id: ValueId) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.elements.push(Element {
                id,
                made: None,
                exists: Vec::new(),
                failed: None,
            });
            self.elements.len() - 1
        })
    }

    /// Every way in which this parent is not a set that grows.
    pub(super) fn judge(&self, values: &Values) -> Vec<Case> {
        let mut cases = self.duplicated(values);
        cases.extend(self.unexpected(values));
        cases.extend(self.missing(values));
        if cases.is_empty()
            && let Some(unordered) = order::find(self)
        {
            cases.push(unordered);
        }
        cases
    }

    fn duplicated(&self, values: &Values) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut known: FxHashSet<ValueId> = FxHashSet::default();
        for (id, first, second) in &self.created_twice {
            let element = values.get(*id).clone();
            let text = format!("{element} was acknowledged as created twice");
            known.insert(*id);
            cases.push(Case {
                kind: "duplicated",
                element,
                text,
                operations: vec![*first, *second],
            });
        }
        for read in &self.reads {
            for id in read.twice.iter().filter(|id| known.insert(**id)) {
                let element = values.get(*id).clone();
                let text = format!("{element} is twice in one read");
                cases.push(Case {
                    kind: "duplicated",
                    element,
                    text,
                    operations: vec![read.span.operation],
                });
            }
        }
        cases
    }

    /// Elements that were shown and that nobody had tried to add by then: each once, by the read that ended first.
    fn unexpected(&self, values: &Values) -> Vec<Case> {
        let mut first: FxHashMap<usize, Span> = FxHashMap::default();
        for read in &self.reads {
            for at in &read.shows {
                let span = first.entry(*at).or_insert(read.span);
                if read.span.ret < span.ret {
                    *span = read.span;
                }
            }
        }
        let mut cases = Vec::new();
        for (at, element) in self.elements.iter().enumerate() {
            let exists = element.exists.iter().min_by_key(|span| span.ret).copied();
            let seen = [first.get(&at).copied(), exists]
                .into_iter()
                .flatten()
                .min_by_key(|span| span.ret);
            let Some(seen) = seen else { continue };
            let why = match (element.made, element.failed) {
                (Some(made), _) if made.inv < seen.ret => continue,
                (Some(_), _) => "was there before anybody tried to add it",
                (None, Some(_)) => "was there although its add had failed for certain",
                (None, None) => "was there, and nobody ever tried to add it",
            };
            let mut operations = vec![seen.operation];
            operations.extend(element.made.map(|made| made.operation).or(element.failed));
            let element = values.get(element.id).clone();
            let text = format!("{element} {why}");
            cases.push(Case {
                kind: "unexpected",
                element,
                text,
                operations,
            });
        }
        cases
    }

    /// Elements that a linearizable read should have shown and did not: lost, or stale.
    fn missing(&self, values: &Values) -> Vec<Case> {
        let known = self.known();
        let mut order: Vec<usize> = (0..self.elements.len())
            .filter(|at| known[*at].is_some())
            .collect();
        let since = |at: usize| known[at].map_or(u64::MAX, |(since, _)| since);
        order.sort_unstable_by_key(|at| since(*at));
        let reads = || self.reads.iter().filter(|read| read.linearizable);
        // For each element: the last invocation of a read that showed it, and the first and last reads that missed it.
        let mut shown_last = vec![0; self.elements.len()];
        let mut missed: FxHashMap<usize, (Span, Span)> = FxHashMap::default();
        for read in reads() {
            for at in &read.shows {
                shown_last[*at] = shown_last[*at].max(read.span.inv);
            }
            let due = order.partition_point(|at| since(*at) < read.span.inv);
            let shows_due = read
                .shows
                .iter()
                .filter(|at| since(**at) < read.span.inv)
                .count();
            if shows_due == due {
                continue;
            }
            for at in order[..due]
                .iter()
                .filter(|at| read.shows.binary_search(at).is_err())
            {
                let (first, last) = missed.entry(*at).or_insert((read.span, read.span));
                if read.span.ret < first.ret {
                    *first = read.span;
                }
                if read.span.inv > last.inv {
                    *last = read.span;
                }
            }
        }
        let mut missed: Vec<(usize, (Span, Span))> = missed.into_iter().collect();
        missed.sort_unstable_by_key(|(_, (first, _))| (first.ret, first.operation));
        missed
            .into_iter()
            .map(|(at, (first, last))| {
                let element = values.get(self.elements[at].id).clone();
                let lost = shown_last[at] < last.inv;
                let (_, by) = known[at].expect("only known elements can be missed");
                let text = match lost {
                    true => format!("{element} was acknowledged or read, and is gone"),
                    false => {
                        format!("{element} was acknowledged or read, and a later read missed it")
                    }
                };
                let kind = if lost { "lost" } else { "stale" };
                Case {
                    kind,
                    element,
                    text,
                    operations: vec![by, first.operation],
                }
            })
            .collect()
    }

    /// For each element: since which line it must be in every linearizable read, and which operation says so.
    fn known(&self) -> Vec<Option<(u64, usize)>> {
        let mut known: Vec<Option<(u64, usize)>> = self
            .elements
            .iter()
            .map(|element| {
                let made = element
                    .made
                    .and_then(|made| Some((made.ret?, made.acknowledged)));
                let exists = element.exists.iter().map(|span| (span.ret, span.operation));
                made.into_iter().chain(exists).min()
            })
            .collect();
        for read in self.reads.iter().filter(|read| read.linearizable) {
            // An element that nobody can have added is unexpected, and cannot be lost.
            for at in read
                .shows
                .iter()
                .filter(|at| self.elements[**at].made.is_some())
            {
                let by_this = (read.span.ret, read.span.operation);
                known[*at] = Some(known[*at].map_or(by_this, |before| before.min(by_this)));
            }
        }
        known
    }

    /// Acknowledged elements that no linearizable read asked for after their acknowledgement.
    pub(super) fn acknowledged_and_unread(&self) -> usize {
        let last = self
            .reads
            .iter()
            .filter(|read| read.linearizable)
            .map(|read| read.span.inv)
            .max()
            .unwrap_or(0);
        self.elements
            .iter()
            .filter(|element| {
                element
                    .made
                    .and_then(|made| made.ret)
                    .is_some_and(|ret| ret > last)
            })
            .count()
    }

    pub(super) fn elements(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.elements
            .iter()
            .filter(|element| element.made.is_some_and(|made| made.ret.is_some()))
            .count()
    }

    /// Whether an answer showed any element.
    pub(super) fn any_seen(&self) -> bool {
        let exists = self
            .elements
            .iter()
            .any(|element| !element.exists.is_empty());
        exists || self.reads.iter().any(|read| !read.shows.is_empty())
    }

    /// Elements of indeterminate adds that were seen.
    pub(super) fn indeterminate_seen(&self) -> usize {
        let seen: FxHashSet<usize> = self
            .reads
            .iter()
            .flat_map(|read| read.shows.iter().copied())
            .collect();
        let open = |at: &usize| {
            self.elements[*at]
                .made
                .is_some_and(|made| made.ret.is_none())
        };
        seen.iter().filter(|at| open(at)).count()
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }

    pub(super) fn linearizable_reads(&self) -> usize {
        self.reads.iter().filter(|read| read.linearizable).count()
    }
}
