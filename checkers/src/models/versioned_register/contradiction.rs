//! Two operations on one znode that contradict each other, found in one pass.
//!
//! Versions only grow, and each is made once: no search is needed to see that two writes made the same version, that a
//! read's value is not what was written at its version, or that an operation saw an older version than one that had been
//! answered before it began. Sound whatever the rest of the history did; what passes here still has to be searched.

use super::Call;
use crate::linear::{Contradiction, Entry, ValueId, Values};
use rustc_hash::FxHashMap;

/// What an operation that was answered shows of the znode.
#[derive(Clone, Copy)]
struct Sight {
    /// The version at some point while it was in flight, at the latest: what it made, or what it saw.
    version: i32,
    /// The value at that version.
    value: ValueId,
    made_it: bool,
    inv: u32,
    ret: u32,
    operation: u32,
}

/// The contradiction whose last line comes first, if there is one.
pub(super) fn find(entries: &[Entry<Call>], values: &Values) -> Option<Contradiction> {
    let mut sights: Vec<Sight> = entries.iter().filter_map(sight).collect();
    sights.sort_unstable_by_key(|sight| sight.ret);
    let clash = clash(&sights, values);
    let backwards = backwards(&sights, values);
    let nowhere = nowhere(entries, &sights, values);
    [clash, backwards, nowhere]
        .into_iter()
        .flatten()
        .min_by_key(|found| found.at)
}

fn sight(entry: &Entry<Call>) -> Option<Sight> {
    if !entry.certain {
        return None;
    }
    let (version, value, made_it) = match entry.call {
        Call::Create { value } => (0, value, true),
        Call::Set {
            value,
            made: Some(version),
            ..
        } => (version, value, true),
        Call::Saw { value, version } => (version, value, false),
        _ => return None,
    };
    Some(Sight {
        version,
        value,
        made_it,
        inv: entry.inv,
        ret: entry.ret,
        operation: entry.operation,
    })
}

/// Two operations that disagree on what one version is.
fn clash(sights: &[Sight], values: &Values) -> Option<Contradiction> {
    // For each version: what first showed it, and what made it.
    let mut known: FxHashMap<i32, (Sight, Option<Sight>)> = FxHashMap::default();
    for sight in sights {
        let Some((first, maker)) = known.get_mut(&sight.version) else {
            known.insert(sight.version, (*sight, sight.made_it.then_some(*sight)));
            continue;
        };
        let text = match maker {
            Some(other) if sight.made_it => Some((
                *other,
                format!(
                    "version {} was acknowledged to two writes, of {} and of {}: one of them is lost",
                    sight.version,
                    values.show(other.value),
                    values.show(sight.value)
                ),
            )),
            _ if first.value != sight.value => Some((
                *first,
                format!(
                    "version {} was {} for one operation and {} for another",
                    sight.version,
                    values.show(first.value),
                    values.show(sight.value)
                ),
            )),
            _ => None,
        };
        if let Some((other, text)) = text {
            let operations = vec![other.operation, sight.operation];
            return Some(Contradiction::refutation(text, operations, sight.ret).with_the_rest());
        }
        if sight.made_it {
            *maker = Some(*sight);
        }
    }
    None
}

/// An operation that shows an older version than one that had been answered before it was invoked.
fn backwards(sights: &[Sight], values: &Values) -> Option<Contradiction> {
    let mut newest: Vec<Sight> = Vec::with_capacity(sights.len());
    for sight in sights {
        let top = newest.last().filter(|top| top.version >= sight.version);
        newest.push(*top.unwrap_or(sight));
    }
    sights.iter().find_map(|sight| {
        // What was answered before this one was invoked.
        let before = sights.partition_point(|other| other.ret < sight.inv);
        let other = newest[..before].last()?;
        let older = if sight.made_it { sight.version <= other.version } else { sight.version < other.version };
        older.then(|| {
            let what = if sight.made_it { "made" } else { "saw" };
            let told = if other.made_it { "acknowledged" } else { "read" };
            let text = format!(
                "an operation {what} version {} ({}) although version {} ({}) had been {told} before it began",
                sight.version,
                values.show(sight.value),
                other.version,
                values.show(other.value)
            );
            let operations = vec![other.operation, sight.operation];
            Contradiction::refutation(text, operations, sight.ret).with_the_rest()
        })
    })
}

/// A read of a value that no operation can have written.
fn nowhere(entries: &[Entry<Call>], sights: &[Sight], values: &Values) -> Option<Contradiction> {
    // The first invocation of a write of each value.
    let mut written: FxHashMap<ValueId, u32> = FxHashMap::default();
    for entry in entries {
        if let Call::Create { value } | Call::Set { value, .. } = entry.call {
            let first = written.entry(value).or_insert(entry.inv);
            *first = (*first).min(entry.inv);
        }
    }
    let lost = sights.iter().find(|sight| {
        !sight.made_it
            && written
                .get(&sight.value)
                .is_none_or(|first| *first > sight.ret)
    })?;
    let text = format!(
        "{} was read at version {}, and nobody had written it",
        values.show(lost.value),
        lost.version
    );
    Some(Contradiction::refutation(text, vec![lost.operation], lost.ret).with_the_rest())
}
