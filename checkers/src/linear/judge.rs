//! Every key through the layers, cheapest first, until one is refuted.
//!
//! The outcome does not depend on scheduling. All keys pass the model's own algorithm; if that refutes any, the key whose
//! contradiction is complete first is the one reported. What it leaves open is searched, each key with its own share of the
//! budget; a search that has come past the line at which another key was refuted gives up, for it could find nothing earlier.

use super::budget::{Exhausted, Meter};
use super::cases::{Case, places};
use super::model::{Contradiction, Entry, Layer, Model, NEVER, Quick};
use super::order::verifies;
use super::search::{Outcome, Search, Start, Stuck};
use super::values::Values;
use crate::history::Operation;
use crate::limits::Limits;
use crate::verdict::Budget;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Fewer entries than this are not worth a second thread.
const PARALLEL: usize = 20_000;

/// The budget's bytes are shared by so many searches at a time, however many threads there are.
const SEARCHES: usize = 4;

/// What the search needs of a case.
pub(super) struct Task<'a, 'h, M: Model> {
    pub(super) model: &'a M,
    pub(super) initial: &'a M::State,
    pub(super) values: &'a Values,
    pub(super) operations: &'a [Operation<'h>],
    pub(super) budget: &'a Budget,
}

/// What is known of one key.
pub(super) enum Judged<M: Model> {
    Legal(Layer),
    Contradicted(Contradiction),
    /// No order exists, as the search found.
    Stuck(Stuck<M>),
    Undecided {
        why: Exhausted,
        at: u32,
    },
    /// Another key was refuted before.
    Superseded,
}

/// All keys, and what it cost.
pub(super) struct Judgement<M: Model> {
    pub(super) judged: Vec<Judged<M>>,
    /// The key that is reported, among those that were refuted.
    pub(super) first: Option<usize>,
    pub(super) fell_through: BTreeMap<&'static str, usize>,
    pub(super) visited: u64,
    pub(super) held: u64,
}

/// A search's result and what it cost.
struct Searched<M: Model> {
    judged: Judged<M>,
    visited: u64,
    held: u64,
}

/// Maps in parallel where that is worth it; the results are in order.
fn map<T: Sync, R: Send>(items: &[T], work: usize, f: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    if items.len() < 2 || work < PARALLEL {
        items.iter().map(f).collect()
    } else {
        items.par_iter().map(f).collect()
    }
}

impl<M: Model> Task<'_, '_, M> {
    /// Judges every key.
    pub(super) fn judge(&self, cases: &[Case<'_, M>]) -> Judgement<M> {
        let work: usize = cases.iter().map(|case| case.entries.len()).sum();
        let limits = Limits::of(self.budget);
        let quick = map(cases, work, |case| match limits.is_late() {
            true => None,
            false => Some(self.quick(case)),
        });
        let mut all = Judgement {
            judged: Vec::with_capacity(cases.len()),
            first: None,
            fell_through: BTreeMap::new(),
            visited: 0,
            held: 0,
        };
        let mut open = Vec::new();
        for (at, quick) in quick.into_iter().enumerate() {
            all.judged.push(match quick {
                None => Judged::Undecided {
                    why: Exhausted::Deadline,
                    at: 0,
                },
                Some(Quick::Legal) => Judged::Legal(Layer::Zones),
                Some(Quick::Illegal(found)) => Judged::Contradicted(found),
                Some(Quick::Open(why)) => {
                    *all.fell_through.entry(why).or_default() += 1;
                    open.push(at);
                    Judged::Superseded
                }
            });
        }
        all.first = earliest(cases, &all.judged);
        if all.first.is_none() && !open.is_empty() {
            self.search_all(cases, &open, &mut all);
        }
        all
    }

    /// The model's own algorithm, told of no ends that it does not know.
    fn quick(&self, case: &Case<'_, M>) -> Quick {
        let quick =
            |entries: &[Entry<M::Call>]| self.model.quick(self.initial, entries, self.values);
        if !case.has_ends || self.model.knows_ends() {
            return quick(&case.entries);
        }
        let endless: Vec<Entry<M::Call>> = case
            .entries
            .iter()
            .map(|entry| Entry {
                ret: if entry.certain { entry.ret } else { NEVER },
                ..entry.clone()
            })
            .collect();
        match quick(&endless) {
            Quick::Legal => Quick::Open("indeterminate operations end with their session"),
            other => other,
        }
    }

    /// Searches these keys, each with an equal share of the budget; then, with what is left, those that needed more.
    fn search_all(&self, cases: &[Case<'_, M>], open: &[usize], all: &mut Judgement<M>) {
        let work = open.iter().map(|at| cases[*at].entries.len()).sum();
        let share = Budget {
            states: self.budget.states / open.len() as u64,
            bytes: self.budget.bytes / open.len().min(SEARCHES) as u64,
            deadline: self.budget.deadline,
        };
        let end = AtomicU32::new(u32::MAX);
        let searched = map(open, work, |at| self.search(&cases[*at], &share, &end));
        let mut left = self.budget.states;
        for (at, searched) in open.iter().zip(searched) {
            left -= searched.visited.min(left);
            all.take(*at, searched);
        }
        all.first = earliest(cases, &all.judged);
        if all.first.is_some() || open.len() < 2 {
            return;
        }
        for at in open {
            let short = matches!(
                all.judged[*at],
                Judged::Undecided {
                    why: Exhausted::States(_) | Exhausted::Bytes(_),
                    ..
                }
            );
            if short && left > share.states {
                let rest = Budget {
                    states: left,
                    ..*self.budget
                };
                let searched = self.search(&cases[*at], &rest, &end);
                left -= searched.visited.min(left);
                all.take(*at, searched);
            }
        }
        all.first = earliest(cases, &all.judged);
    }

    fn search(&self, case: &Case<'_, M>, budget: &Budget, end: &AtomicU32) -> Searched<M> {
        let narrowed = self.narrowed(case);
        let told = places(self.operations, &narrowed);
        if told.is_some_and(|places| verifies(self.model, self.initial, &narrowed, &places)) {
            return Searched {
                judged: Judged::Legal(Layer::Witness),
                visited: 0,
                held: 0,
            };
        }
        let mut meter = Meter::new(budget.states, budget);
        let outcome = match meter.look_at_clock() {
            Ok(()) => {
                let start = [Start::new(self.initial.clone())];
                Search::new(self.model, &narrowed).run(&start, &mut meter, end)
            }
            Err(why) => Outcome::Exhausted(why, 0),
        };
        let judged = match outcome {
            Outcome::Legal => Judged::Legal(Layer::Search),
            Outcome::Illegal(stuck) => {
                end.fetch_min(narrowed[stuck.entry].ret, Ordering::Relaxed);
                // Told by its operation's place in the case, not in what was narrowed.
                let operation = narrowed[stuck.entry].operation;
                let entry = case
                    .entries
                    .partition_point(|entry| entry.operation < operation);
                Judged::Stuck(Stuck { entry, ..stuck })
            }
            Outcome::Exhausted(why, at) => Judged::Undecided { why, at },
            Outcome::Late => Judged::Superseded,
        };
        Searched {
            judged,
            visited: meter.visited,
            held: meter.held,
        }
    }

    /// With what later operations show of indeterminate ones, and with more of them equal: quicker to search.
    pub(super) fn narrowed(&self, case: &Case<'_, M>) -> Vec<Entry<M::Call>> {
        let mut entries = case.entries.clone();
        self.model.narrow(&mut entries);
        self.model.blur(&mut entries);
        entries
    }
}

impl<M: Model> Judgement<M> {
    fn take(&mut self, at: usize, searched: Searched<M>) {
        self.judged[at] = searched.judged;
        self.visited += searched.visited;
        self.held = self.held.max(searched.held);
        if let Judged::Stuck(_) = self.judged[at] {
            // What other searches cost until they gave up depends on scheduling.
            self.visited = searched.visited;
        }
    }

    /// How many keys each layer decided. Once one key is refuted by searching, the others' searches do not count.
    pub(super) fn decided_by(&self) -> BTreeMap<Layer, usize> {
        let mut counts: BTreeMap<Layer, usize> = Layer::ALL.map(|layer| (layer, 0)).into();
        let stopped = matches!(
            self.first.map(|at| &self.judged[at]),
            Some(Judged::Stuck(_))
        );
        for judged in &self.judged {
            let layer = match judged {
                Judged::Legal(layer) => *layer,
                Judged::Contradicted(found) => found.layer,
                Judged::Stuck(_) => Layer::Search,
                Judged::Undecided { .. } | Judged::Superseded => continue,
            };
            *counts.entry(layer).or_default() += 1;
        }
        if stopped {
            counts.insert(Layer::Search, 1);
        }
        counts
    }
}

/// The refuted key whose illegality is complete first.
fn earliest<M: Model>(cases: &[Case<'_, M>], judged: &[Judged<M>]) -> Option<usize> {
    let lines = judged
        .iter()
        .enumerate()
        .filter_map(|(at, judged)| match judged {
            Judged::Contradicted(found) => Some((found.at, at)),
            Judged::Stuck(stuck) => Some((cases[at].entries[stuck.entry].ret, at)),
            _ => None,
        });
    lines.min().map(|(_, at)| at)
}
