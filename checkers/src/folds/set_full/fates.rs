//! What became of each element: from the reads in the order of their invocations, as runs of presence and absence.
//!
//! Three lines decide an element's fate: when it was *known* (the least completion of its add or of a read with it), and the
//! latest invocations of reads that show it and that miss it, among reads that completed after its add began. Between two
//! consecutive reads only what changed is looked at: a change ends a run, and the ends of an element's last two runs are its
//! latest reads of either kind. Reads that were open when its add began (at most one for each process) are looked at one by one,
//! because of them only those count that show it or miss it after that.

use super::bits::Bits;
use super::elements::{Element, Elements, Lists, Shown};
use crate::history::{Operation, ValueRef};
use crate::limits::{Limits, Stop};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// Reads that become bits at a time: bounds the memory, and gives every core its part.
const AT_ONCE: usize = 32;

/// A read that was answered.
pub(super) struct Read<'h> {
    pub(super) inv: u64,
    pub(super) ret: u64,
    pub(super) operation: Operation<'h>,
    pub(super) shows: Lists<'h>,
    /// Whether it had to show all that was there.
    pub(super) complete: bool,
}

/// What became of an element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate<'h> {
    /// In the last reads; with what made it known and the last read that missed it after that, if one did.
    Stable {
        stale: Option<(Operation<'h>, Operation<'h>)>,
    },
    /// Known, then missed for good.
    Lost {
        known: Operation<'h>,
        shown: Option<Operation<'h>>,
        missed: Operation<'h>,
    },
    /// No read tells.
    NeverRead,
}

/// An element that nobody can have added.
pub(super) struct Unexpected<'h> {
    pub(super) element: ValueRef<'h>,
    pub(super) read: Operation<'h>,
    pub(super) add: Option<Operation<'h>>,
    pub(super) why: &'static str,
}

/// What the reads say.
pub(super) struct Seen<'h> {
    pub(super) elements: Vec<Element<'h>>,
    pub(super) fates: Vec<Fate<'h>>,
    pub(super) unexpected: Vec<Unexpected<'h>>,
    /// Each element that one read shows twice, with the first such read.
    pub(super) twice: Vec<(ValueRef<'h>, Operation<'h>)>,
}

/// What is known of an element so far; reads by their place in the order of invocations.
#[derive(Debug, Clone, Copy, Default)]
struct Track {
    /// The read at which its present run of presence or absence began.
    since: u32,
    /// The line by which a read made it known, and which read.
    known: Option<(u64, u32)>,
    /// The latest reads that show it and that miss it, among those that count.
    shown: Option<u32>,
    missed: Option<u32>,
}

/// Judges all elements of one set.
pub(super) fn judge<'h>(
    elements: Elements<'h>,
    mut reads: Vec<Read<'h>>,
    limits: &Limits,
) -> Result<Seen<'h>, Stop> {
    reads.sort_by_key(|read| read.inv);
    let (complete, plain): (Vec<_>, Vec<_>) = reads.into_iter().partition(|read| read.complete);
    let mut odd = Odd::default();
    let complete = Walk::over(&elements, complete, &mut odd, limits)?;
    Walk::over(&elements, plain, &mut odd, limits)?;
    let fates = (0..elements.all.len())
        .map(|at| complete.fate(at))
        .collect();
    let (unexpected, twice) = odd.sorted(&elements);
    Ok(Seen {
        fates,
        unexpected,
        twice,
        elements: elements.all,
    })
}

/// What no element's fate is about: by element, with the read that ended first.
#[derive(Default)]
struct Odd<'h> {
    strangers: FxHashMap<ValueRef<'h>, Operation<'h>>,
    too_early: FxHashMap<u32, Operation<'h>>,
    twice: FxHashMap<u32, Operation<'h>>,
    strangers_twice: FxHashMap<ValueRef<'h>, Operation<'h>>,
}

fn earliest<'h, K: Hash + Eq>(of: &mut FxHashMap<K, Operation<'h>>, key: K, read: Operation<'h>) {
    let first = of.entry(key).or_insert(read);
    if read.ret() < first.ret() {
        *first = read;
    }
}

impl<'h> Odd<'h> {
    fn sorted(
        self,
        elements: &Elements<'h>,
    ) -> (Vec<Unexpected<'h>>, Vec<(ValueRef<'h>, Operation<'h>)>) {
        let strangers = self.strangers.into_iter().map(|(element, read)| {
            let add = elements.failed.get(&element).copied();
            let why = match add {
                Some(_) => "was there although its add had failed for certain",
                None => "was there, and nobody ever tried to add it",
            };
            Unexpected {
                element,
                read,
                add,
                why,
            }
        });
        let early = self.too_early.into_iter().map(|(number, read)| {
            let element = &elements.all[number as usize];
            Unexpected {
                element: element.value,
                read,
                add: Some(element.attempt),
                why: "was there before anybody tried to add it",
            }
        });
        let mut unexpected: Vec<Unexpected<'h>> = strangers.chain(early).collect();
        // Several elements may be odd in one read: their texts decide, so that the order is always the same.
        unexpected.sort_by_cached_key(|case| (case.read.ret(), case.element.to_string()));
        let named =
            |(number, read): (u32, Operation<'h>)| (elements.all[number as usize].value, read);
        let twice = self.twice.into_iter().map(named);
        let mut twice: Vec<_> = twice.chain(self.strangers_twice).collect();
        twice.sort_by_cached_key(|(element, read)| (read.ret(), element.to_string()));
        (unexpected, twice)
    }
}

/// The walk over reads in the order of their invocations.
struct Walk<'a, 'h> {
    elements: &'a Elements<'h>,
    reads: Vec<Read<'h>>,
    tracks: Vec<Track>,
}

impl<'a, 'h> Walk<'a, 'h> {
    fn over(
        elements: &'a Elements<'h>,
        reads: Vec<Read<'h>>,
        odd: &mut Odd<'h>,
        limits: &Limits,
    ) -> Result<Walk<'a, 'h>, Stop> {
        let mut walk = Walk {
            elements,
            reads,
            tracks: vec![Track::default(); elements.all.len()],
        };
        let mut before = Bits::empty(elements.all.len());
        for from in (0..walk.reads.len()).step_by(AT_ONCE) {
            let to = walk.reads.len().min(from + AT_ONCE);
            let during = format!("the comparison of reads ({from} of {})", walk.reads.len());
            let row = elements.all.len().div_ceil(8);
            limits.hold((to - from) * row + size_of_val(&walk.tracks[..]), &during)?;
            let chunk: Vec<Shown<'h>> = walk.reads[from..to]
                .par_iter()
                .map(|read| elements.shown(read.shows))
                .collect();
            for (at, shown) in (from..).zip(chunk) {
                walk.notice(at, &shown, odd);
                before.differences(&shown.bits, |element, now| {
                    walk.end_run(element, !now, at, odd)
                });
                walk.open_at_add(at, &shown.bits);
                before = shown.bits;
            }
        }
        for element in 0..elements.all.len() as u32 {
            walk.end_run(element, before.contains(element), walk.reads.len(), odd);
        }
        Ok(walk)
    }

    fn notice(&self, at: usize, shown: &Shown<'h>, odd: &mut Odd<'h>) {
        let read = self.reads[at].operation;
        for stranger in &shown.strangers {
            earliest(&mut odd.strangers, *stranger, read);
        }
        for number in &shown.twice {
            earliest(&mut odd.twice, *number, read);
        }
        for stranger in &shown.strangers_twice {
            earliest(&mut odd.strangers_twice, *stranger, read);
        }
    }

    /// The element's run of presence or absence ended before the read at this place.
    fn end_run(&mut self, number: u32, present: bool, end: usize, odd: &mut Odd<'h>) {
        let added = self.elements.all[number as usize].inv;
        let since = std::mem::replace(&mut self.tracks[number as usize].since, end as u32) as usize;
        let Some(last) = end.checked_sub(1).filter(|last| *last >= since) else {
            return;
        };
        if present && self.reads[since].inv < added {
            // At most as many of these as there are processes were still open when the add began.
            let early = self.reads[since..end]
                .iter()
                .take_while(|read| read.inv < added)
                .find(|read| read.ret < added);
            if let Some(early) = early {
                earliest(&mut odd.too_early, number, early.operation);
            }
        }
        if self.reads[last].inv < added {
            return;
        }
        let track = &mut self.tracks[number as usize];
        if !present {
            track.missed = track.missed.max(Some(last as u32));
            return;
        }
        track.shown = track.shown.max(Some(last as u32));
        let from = since + self.reads[since..end].partition_point(|read| read.inv < added);
        for (at, read) in (from..end).zip(&self.reads[from..end]) {
            if track.known.is_some_and(|(known, _)| known < read.inv) {
                break;
            }
            track.learn(read.ret, at);
        }
    }

    /// Elements whose add began while this read was open.
    fn open_at_add(&mut self, at: usize, shown: &Bits) {
        let Read { inv, ret, .. } = self.reads[at];
        let all = &self.elements.all;
        let from = all.partition_point(|element| element.inv < inv);
        let to = all.partition_point(|element| element.inv < ret);
        for number in from..to {
            let track = &mut self.tracks[number];
            if shown.contains(number as u32) {
                track.shown = track.shown.max(Some(at as u32));
                track.learn(ret, at);
            } else {
                track.missed = track.missed.max(Some(at as u32));
            }
        }
    }

    fn fate(&self, number: usize) -> Fate<'h> {
        let track = &self.tracks[number];
        let read = |at: u32| &self.reads[at as usize];
        let acknowledged = self.elements.all[number].added;
        let by_add = acknowledged.map(|add| (add.ret().unwrap_or(u64::MAX), add));
        let by_read = track.known.map(|(line, at)| (line, read(at).operation));
        let known = by_add
            .into_iter()
            .chain(by_read)
            .min_by_key(|(line, _)| *line);
        match (known, track.missed) {
            (None, _) => Fate::NeverRead,
            (Some(_), None) if track.shown.is_none() => Fate::NeverRead,
            (Some(_), None) => Fate::Stable { stale: None },
            (Some((line, known)), Some(missed)) => {
                let (after, missed) = (line < read(missed).inv, (missed, read(missed).operation));
                match (track.shown > Some(missed.0), after) {
                    (true, true) => Fate::Stable {
                        stale: Some((known, missed.1)),
                    },
                    (true, false) => Fate::Stable { stale: None },
                    (false, true) => Fate::Lost {
                        known,
                        shown: track.shown.map(|at| read(at).operation),
                        missed: missed.1,
                    },
                    (false, false) => Fate::NeverRead,
                }
            }
        }
    }
}

impl Track {
    fn learn(&mut self, line: u64, read: usize) {
        if self.known.is_none_or(|(known, _)| line < known) {
            self.known = Some((line, read as u32));
        }
    }
}
