//! The order that versions tell, completed by what nobody saw, and tried.
//!
//! Versions fix the order of everything that names one: each write, then what read it. A version that nobody acknowledged was
//! made by an indeterminate write: of the value that was read there, or, if none was, by any that had begun in time. What
//! names no version (`NodeExists`, `BadVersion`) finds a version that real time allows it. The order that comes out is
//! replayed before it counts as a proof; and what refutes is told with its operations.

use super::{Call, State, VersionedRegister};
use crate::linear::{Contradiction, Entry, Model, NEVER, Quick, Values};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const CHOICE: &str = "several indeterminate writes may have made one version";
const BEYOND: &str = "an answer needs an indeterminate write that no read saw";

/// A version; the state before the create counts as version -1.
type Version = i64;

/// Judges entries that no pair of operations refutes.
pub(super) fn judge(model: &VersionedRegister, entries: &[Entry<Call>], values: &Values) -> Quick {
    let mut versions = match Versions::of(entries, values) {
        Ok(versions) => versions,
        Err(quick) => return quick,
    };
    let steps = [
        Versions::fill_seen,
        Versions::fill_unseen,
        Versions::in_time,
        Versions::place_looks,
    ];
    for step in steps {
        if let Err(quick) = step(&mut versions) {
            return quick;
        }
    }
    if versions.is_legal(model) {
        Quick::Legal
    } else {
        debug_assert!(false, "the order was legal step by step: {entries:?}");
        Quick::Open("the order of versions could not be replayed")
    }
}

struct Versions<'a> {
    entries: &'a [Entry<Call>],
    values: &'a Values,
    /// By version from 0: the entry that made it.
    writer: Vec<Option<u32>>,
    /// What names a version and makes none: (version, place).
    reads: Vec<(Version, u32)>,
    /// What names none: placed at a version in the end.
    looks: Vec<u32>,
    /// Indeterminate writes that made no version, by invocation.
    spare: Vec<u32>,
    /// Whether any of them was put somewhere where another might have been.
    chosen: bool,
    placed: Vec<(Version, u32)>,
}

/// The version that an answered entry names; that it makes.
fn named(call: &Call) -> Option<(Version, bool)> {
    match *call {
        Call::Create { .. } => Some((0, true)),
        Call::Set { made, .. } => made.map(|made| (i64::from(made), true)),
        Call::Saw { version, .. } => Some((i64::from(version), false)),
        Call::SawAbsent => Some((-1, false)),
        Call::SawPresent | Call::SawOther { .. } => None,
    }
}

/// Whether an indeterminate write can have made this version.
fn can_make(call: &Call, version: Version) -> bool {
    match *call {
        Call::Create { .. } => version == 0,
        Call::Set { expected, .. } => {
            version > 0 && expected.is_none_or(|expected| i64::from(expected) + 1 == version)
        }
        _ => false,
    }
}

impl<'a> Versions<'a> {
    fn of(entries: &'a [Entry<Call>], values: &'a Values) -> Result<Versions<'a>, Quick> {
        let mut all = Versions {
            entries,
            values,
            writer: Vec::new(),
            reads: Vec::new(),
            looks: Vec::new(),
            spare: Vec::new(),
            chosen: false,
            placed: Vec::new(),
        };
        let newest = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.certain);
        let newest = newest
            .filter_map(|(place, entry)| Some((named(&entry.call)?.0, Reverse(place))))
            .max();
        if let Some((version, Reverse(place))) =
            newest.filter(|(version, _)| *version >= entries.len() as i64)
        {
            let text =
                format!("version {version} was there, and there were fewer writes than that");
            return Err(all.refuted(text, &[place as u32]));
        }
        all.writer = vec![None; newest.map_or(0, |(version, _)| version + 1) as usize];
        for (place, entry) in entries.iter().enumerate() {
            all.sort_in(place as u32, entry)?;
        }
        all.spare
            .sort_unstable_by_key(|place| entries[*place as usize].inv);
        Ok(all)
    }

    fn sort_in(&mut self, place: u32, entry: &Entry<Call>) -> Result<(), Quick> {
        if !entry.certain {
            self.spare.push(place);
            return Ok(());
        }
        if let Call::Set {
            expected: Some(expected),
            made: Some(made),
            ..
        } = entry.call
            && i64::from(expected) + 1 != i64::from(made)
        {
            let text = format!("a set that demanded version {expected} made version {made}");
            return Err(self.refuted(text, &[place]));
        }
        match named(&entry.call) {
            Some((version, true)) if version < 1 && !matches!(entry.call, Call::Create { .. }) => {
                return Err(self.refuted(format!("a set made version {version}"), &[place]));
            }
            Some((version, true)) => self.writer[version as usize] = Some(place),
            Some((version, false)) => self.reads.push((version, place)),
            None => self.looks.push(place),
        }
        Ok(())
    }

    fn refuted(&self, text: String, places: &[u32]) -> Quick {
        let entries = places.iter().map(|place| &self.entries[*place as usize]);
        let at = entries
            .clone()
            .map(|entry| if entry.certain { entry.ret } else { entry.inv })
            .max();
        let operations = entries.map(|entry| entry.operation).collect();
        Quick::Illegal(Contradiction::zones(text, operations, at.unwrap_or(0)).with_the_rest())
    }

    /// Versions that were read, and that nobody acknowledged: the write of the value that was read there.
    fn fill_seen(&mut self) -> Result<(), Quick> {
        let mut writes: FxHashMap<_, Vec<u32>> = FxHashMap::default();
        for place in &self.spare {
            if let Call::Create { value } | Call::Set { value, .. } =
                self.entries[*place as usize].call
            {
                writes.entry(value).or_default().push(*place);
            }
        }
        self.reads.sort_unstable();
        let mut used = FxHashSet::default();
        for (version, read) in &self.reads {
            let Call::Saw { value, .. } = self.entries[*read as usize].call else {
                continue;
            };
            if *version < 0 {
                return Err(self.refuted(format!("version {version} was read"), &[*read]));
            }
            if self.writer[*version as usize].is_some() {
                continue;
            }
            let fits = writes.get(&value).into_iter().flatten().copied();
            let fits: Vec<u32> = fits
                .filter(|place| can_make(&self.entries[*place as usize].call, *version))
                .collect();
            match fits[..] {
                [] => {
                    let text = format!(
                        "{} was read at version {version}, and no write can have made that",
                        self.values.show(value)
                    );
                    return Err(self.refuted(text, &[*read]));
                }
                [only] => {
                    if !used.insert(only) {
                        return Err(Quick::Open(CHOICE));
                    }
                    self.writer[*version as usize] = Some(only);
                }
                _ => return Err(Quick::Open(CHOICE)),
            }
        }
        self.spare.retain(|place| !used.contains(place));
        Ok(())
    }

    /// By version from 0, and one more: the first return of anything at that version or a later one.
    fn first_returns(&self) -> Vec<u32> {
        let mut first = vec![NEVER; self.writer.len() + 1];
        for (version, writer) in self.writer.iter().enumerate() {
            if let Some(writer) = writer {
                first[version] = self.ret(*writer);
            }
        }
        for (version, read) in &self.reads {
            if let Ok(version) = usize::try_from(*version) {
                first[version] = first[version].min(self.ret(*read));
            }
        }
        for version in (0..self.writer.len()).rev() {
            first[version] = first[version].min(first[version + 1]);
        }
        first
    }

    fn ret(&self, place: u32) -> u32 {
        let entry = &self.entries[place as usize];
        if entry.certain { entry.ret } else { NEVER }
    }

    fn inv(&self, place: u32) -> u32 {
        self.entries[place as usize].inv
    }

    /// Versions that nobody saw being made: by any indeterminate write that had begun in time.
    fn fill_unseen(&mut self) -> Result<(), Quick> {
        let before = self.first_returns();
        let mut demanding: FxHashMap<Version, Vec<u32>> = FxHashMap::default();
        let mut plain = Vec::new();
        for place in self.spare.iter().rev() {
            match self.entries[*place as usize].call {
                Call::Set { expected: None, .. } => plain.push(*place),
                Call::Set {
                    expected: Some(expected),
                    ..
                } => demanding
                    .entry(i64::from(expected) + 1)
                    .or_default()
                    .push(*place),
                _ => demanding.entry(0).or_default().push(*place),
            }
        }
        // Both lists end with what began first.
        for (version, before) in before.iter().copied().enumerate().take(self.writer.len()) {
            if self.writer[version].is_some() {
                continue;
            }
            let in_time = |list: &&mut Vec<u32>| {
                list.last()
                    .is_some_and(|place| self.entries[*place as usize].inv < before)
            };
            let own = demanding.get_mut(&(version as i64)).filter(in_time);
            let list = own.or_else(|| Some(&mut plain).filter(|list| version > 0 && in_time(list)));
            let Some(writer) = list.and_then(Vec::pop) else {
                return Err(self.nobody_made(version as i64, before));
            };
            self.writer[version] = Some(writer);
            self.chosen = true;
        }
        let made: Vec<u32> = self.writer.iter().flatten().copied().collect();
        let mut is_made = vec![false; self.entries.len()];
        made.iter()
            .for_each(|place| is_made[*place as usize] = true);
        self.spare.retain(|place| !is_made[*place as usize]);
        Ok(())
    }

    #[cold]
    fn nobody_made(&self, version: Version, before: u32) -> Quick {
        let text = format!(
            "version {version} or a later one was there, and no write is left that can have made version {version} by then"
        );
        let certain =
            |place: &usize| self.entries[*place].certain && self.entries[*place].ret == before;
        let shows: Vec<u32> = (0..self.entries.len())
            .filter(certain)
            .map(|place| place as u32)
            .collect();
        self.refuted(text, &shows)
    }

    /// The order of the versions agrees with real time.
    fn in_time(&mut self) -> Result<(), Quick> {
        let mut latest: Option<u32> = None;
        let mut reads = self.reads.iter().peekable();
        for version in -1..self.writer.len() as Version {
            let writer = usize::try_from(version)
                .ok()
                .and_then(|version| self.writer[version]);
            let mut last_read = latest;
            if let Some(place) = writer {
                latest = Some(self.after(latest, place)?);
                last_read = latest;
            }
            while let Some((_, read)) = reads.next_if(|(at, _)| *at == version) {
                let newest = self.after(latest, *read)?;
                if last_read.is_none_or(|last| self.inv(last) < self.inv(newest)) {
                    last_read = Some(newest);
                }
            }
            latest = last_read;
        }
        Ok(())
    }

    /// The later one of two that follow each other in the order of versions.
    fn after(&self, latest: Option<u32>, place: u32) -> Result<u32, Quick> {
        let Some(latest) = latest else {
            return Ok(place);
        };
        if self.ret(place) < self.inv(latest) {
            let text = "the versions contradict real time: what has the older version began after the newer one had returned".to_owned();
            return Err(self.refuted(text, &[latest, place]));
        }
        Ok(if self.inv(latest) < self.inv(place) {
            place
        } else {
            latest
        })
    }

    /// Every answer that names no version finds one that real time allows.
    fn place_looks(&mut self) -> Result<(), Quick> {
        if self.looks.is_empty() {
            return Ok(());
        }
        let after = self.first_returns();
        // What is placed at version v (from -1, so at v + 1 in this list) returns after the last of these was invoked.
        let count = self.writer.len() + 1;
        let mut before = vec![0; count];
        for (version, writer) in self.writer.iter().enumerate() {
            if let Some(writer) = writer {
                before[version + 1] = self.inv(*writer);
            }
        }
        for (version, read) in &self.reads {
            let next = (version + 2) as usize;
            if next < count {
                before[next] = before[next].max(self.inv(*read));
            }
        }
        // The writer of a version counts for that version, its reads for the next.
        for at in 1..count {
            before[at] = before[at].max(before[at - 1]);
        }
        let mut looks = std::mem::take(&mut self.looks);
        looks.sort_unstable_by_key(|place| self.inv(*place));
        let mut in_flight: BinaryHeap<Reverse<(u32, usize)>> = BinaryHeap::new();
        let mut floor = 0;
        for place in looks {
            let (inv, ret) = (self.inv(place), self.ret(place));
            while let Some(Reverse((_, at))) = in_flight
                .peek()
                .copied()
                .filter(|Reverse((ret, _))| *ret < inv)
            {
                floor = floor.max(at);
                in_flight.pop();
            }
            // At version v something may stand that was invoked before anything newer returned: after[v + 1], from version 0.
            let mut at = after
                .partition_point(|first| *first < inv)
                .max(floor)
                .max(1);
            if let Call::SawOther { version } = self.entries[place as usize].call
                && at as i64 == i64::from(version) + 1
            {
                at += 1;
            }
            if at >= count || before[at] > ret {
                return Err(self.no_version_for(place));
            }
            in_flight.push(Reverse((ret, at)));
            self.placed.push((at as i64 - 1, place));
        }
        Ok(())
    }

    #[cold]
    fn no_version_for(&self, place: u32) -> Quick {
        if self.chosen || !self.spare.is_empty() {
            return Quick::Open(BEYOND);
        }
        let text = match self.entries[place as usize].call {
            Call::SawOther { version } => format!(
                "BadVersion was answered to a set that demanded version {version}, which it was all the while"
            ),
            _ => "NodeExists was answered where there was no znode".to_owned(),
        };
        self.refuted(text, &[place])
    }

    /// Replays the whole order.
    fn is_legal(&self, model: &VersionedRegister) -> bool {
        let mut order: Vec<(Version, bool, u32, u32)> = Vec::with_capacity(self.entries.len());
        let looks = self.reads.iter().chain(&self.placed);
        order.extend(looks.map(|(version, place)| (*version, true, self.inv(*place), *place)));
        for (version, writer) in self.writer.iter().enumerate() {
            order.extend(writer.map(|place| (version as i64, false, self.inv(place), place)));
        }
        order.sort_unstable();
        let (mut state, mut newest_inv) = (State::Absent, 0);
        order.iter().all(|(_, _, inv, place)| {
            let in_time = self.ret(*place) >= newest_inv;
            newest_inv = newest_inv.max(*inv);
            let next = model.step(&state, &self.entries[*place as usize].call);
            in_time
                && next.is_some_and(|next| {
                    state = next;
                    true
                })
        })
    }
}
