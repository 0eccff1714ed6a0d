//! The levels by their definition: every subset of the indeterminate transactions, every order of commits.
//!
//! Written without a look at the checker: visibility is a full relation, and nothing is left out because it follows.

use crate::common::{PLENTY, says_nothing_was_tested, validity};
use crate::small::{Micro, Small, random};
use keelhaul_checkers::{Kind, Parameters, by_name};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    ReadCommitted,
    ReadAtomic,
    Causal,
}

/// A read of what another transaction wrote.
pub(crate) struct External {
    pub(crate) reader: usize,
    /// Its place among the reader's micro-operations.
    at: usize,
    pub(crate) key: usize,
    /// None: the initial state.
    pub(crate) writer: Option<usize>,
    /// Of a list: all of it but the reader's own elements.
    saw: Vec<i64>,
}

/// Who wrote this value of the key: transaction, and whether it is its last write there.
fn writer_of(small: &Small, key: usize, value: i64) -> Option<(usize, bool)> {
    small.txns.iter().enumerate().find_map(|(number, txn)| {
        let writes: Vec<i64> = txn
            .micros
            .iter()
            .filter_map(|micro| match micro {
                Micro::Write { key: other, value } if *other == key => Some(*value),
                _ => None,
            })
            .collect();
        let found = writes.contains(&value);
        found.then(|| (number, writes.last() == Some(&value)))
    })
}

/// The external reads; none if a read is wrong by itself.
pub(crate) fn externals(small: &Small) -> Option<Vec<External>> {
    let mut externals = Vec::new();
    for (reader, txn) in small.txns.iter().enumerate() {
        if txn.kind != Kind::Ok {
            continue;
        }
        for (at, micro) in txn.micros.iter().enumerate() {
            let Micro::Read { key, saw } = micro else {
                continue;
            };
            let own: Vec<i64> = txn.micros[..at]
                .iter()
                .filter_map(|micro| match micro {
                    Micro::Write { key: other, value } if other == key => Some(*value),
                    _ => None,
                })
                .collect();
            let mut saw = saw.clone();
            if small.lists {
                if !saw.ends_with(&own) {
                    return None;
                }
                saw.truncate(saw.len() - own.len());
            } else if let Some(last) = own.last() {
                if saw != [*last] {
                    return None;
                }
                continue;
            }
            for value in &saw {
                let (writer, _) = writer_of(small, *key, *value)?;
                if writer == reader || small.txns[writer].kind == Kind::Fail {
                    return None;
                }
            }
            let writer = match saw.last() {
                None => None,
                Some(value) => match writer_of(small, *key, *value)? {
                    (writer, true) => Some(writer),
                    (_, false) => return None,
                },
            };
            externals.push(External {
                reader,
                at,
                key: *key,
                writer,
                saw,
            });
        }
    }
    Some(externals)
}

pub(crate) fn holds(small: &Small, level: Level) -> bool {
    let Some(externals) = externals(small) else {
        return false;
    };
    happenings(small)
        .iter()
        .any(|happened| holds_with(small, level, &externals, happened))
}

/// Every choice of which transactions happened.
pub(crate) fn happenings(small: &Small) -> Vec<Vec<bool>> {
    let kinds = small.txns.iter().map(|txn| txn.kind);
    kinds.fold(vec![Vec::new()], |choices, kind| {
        let outcomes: &[bool] = match kind {
            Kind::Ok => &[true],
            Kind::Info => &[false, true],
            _ => &[false],
        };
        let extended = choices.iter().flat_map(|choice: &Vec<bool>| {
            outcomes
                .iter()
                .map(|outcome| [&choice[..], &[*outcome]].concat())
        });
        extended.collect()
    })
}

impl External {
    /// Everybody whose writes it shows.
    pub(crate) fn writers<'s>(&'s self, small: &'s Small) -> impl Iterator<Item = usize> + 's {
        let writer = |value: &i64| writer_of(small, self.key, *value).map(|(writer, _)| writer);
        self.saw.iter().filter_map(writer)
    }
}

fn holds_with(small: &Small, level: Level, externals: &[External], happened: &[bool]) -> bool {
    let count = small.txns.len();
    let mut before = vec![vec![false; count]; count];
    let mut leads = vec![vec![false; count]; count];
    for one in 0..count {
        for other in one + 1..count {
            let session = small.in_session(one, other);
            if session && happened[one] && happened[other] {
                before[one][other] = true;
                leads[one][other] = true;
            }
        }
    }
    for read in externals {
        if let Some(writer) = read.writer {
            if !happened[writer] {
                return false;
            }
            before[writer][read.reader] = true;
            leads[writer][read.reader] = true;
        }
        for value in &read.saw {
            let (writer, _) = writer_of(small, read.key, *value).unwrap();
            if !happened[writer] {
                return false;
            }
            leads[writer][read.reader] = true;
        }
    }
    for middle in 0..count {
        for one in 0..count {
            for other in 0..count {
                leads[one][other] |= leads[one][middle] && leads[middle][other];
            }
        }
    }
    for read in externals {
        for visible in (0..count).filter(|txn| happened[*txn] && *txn != read.reader) {
            let writes = small.txns[visible]
                .micros
                .iter()
                .any(|micro| matches!(micro, Micro::Write { key, .. } if *key == read.key));
            if !writes || read.writer == Some(visible) {
                continue;
            }
            let reads_from = |most: usize| {
                externals.iter().any(|other| {
                    other.reader == read.reader && other.at < most && other.writer == Some(visible)
                })
            };
            let same = small.in_session(visible, read.reader);
            let is_visible = match level {
                Level::ReadCommitted => reads_from(read.at),
                Level::ReadAtomic => reads_from(usize::MAX) || same,
                Level::Causal => leads[visible][read.reader],
            };
            if is_visible {
                match read.writer {
                    None => return false,
                    Some(writer) => before[visible][writer] = true,
                }
            }
        }
    }
    let left: Vec<usize> = (0..count).filter(|txn| happened[*txn]).collect();
    some_order(small, externals, &before, left, &mut Vec::new())
}

/// Whether what is left can be put behind `order` so that all that must be before is, and lists show the order.
fn some_order(
    small: &Small,
    externals: &[External],
    before: &[Vec<bool>],
    left: Vec<usize>,
    order: &mut Vec<usize>,
) -> bool {
    if left.is_empty() {
        return !small.lists || externals.iter().all(|read| shows_order(small, read, order));
    }
    left.iter().any(|next| {
        if left.iter().any(|other| before[*other][*next]) {
            return false;
        }
        let rest = left.iter().copied().filter(|other| other != next).collect();
        order.push(*next);
        let found = some_order(small, externals, before, rest, order);
        order.pop();
        found
    })
}

pub(crate) fn shows_order(small: &Small, read: &External, order: &[usize]) -> bool {
    let until = match read.writer {
        None => 0,
        Some(writer) => order.iter().position(|txn| *txn == writer).unwrap() + 1,
    };
    let others: Vec<usize> = order[..until].to_vec();
    small.state(&others, read.key) == read.saw
}

fn compare(lists: bool, level: Level, name: &str, histories: u64) {
    let checker = by_name(name, &Parameters::default()).unwrap();
    let wild = match level {
        Level::ReadCommitted => [0.1, 0.4, 0.8],
        Level::ReadAtomic | Level::Causal => [0.0, 0.1, 0.3],
    };
    let (mut invalid, mut with_info, mut untested) = (0, 0, 0);
    for seed in 0..histories {
        let small = random(&mut ChaCha8Rng::seed_from_u64(seed), lists, wild);
        let expected = holds(&small, level);
        let finding = checker.check(&small.history(), &PLENTY);
        // What tested nothing is not called valid, and no definition calls it invalid.
        let nothing = says_nothing_was_tested(&finding);
        untested += u64::from(nothing);
        let found = validity(&finding).or(nothing.then_some(true));
        let verdict = &finding.verdict;
        assert_eq!(found, Some(expected), "seed {seed}, {small:?}: {verdict:?}");
        invalid += u64::from(!expected);
        with_info += u64::from(small.txns.iter().any(|txn| txn.kind == Kind::Info));
    }
    println!(
        "{name}, lists: {lists}: {histories} histories, {invalid} invalid, {with_info} with indeterminate transactions, {untested} that tested nothing"
    );
    assert!(
        invalid * 10 >= histories * 3 && invalid * 10 <= histories * 8,
        "{invalid} invalid"
    );
    assert!(with_info * 10 >= histories * 3);
}

#[test]
fn read_committed_of_registers() {
    compare(false, Level::ReadCommitted, "read-committed", 60_000);
}

#[test]
fn read_committed_of_lists() {
    compare(true, Level::ReadCommitted, "read-committed", 60_000);
}

#[test]
fn read_atomic_of_registers() {
    compare(false, Level::ReadAtomic, "read-atomic", 60_000);
}

#[test]
fn read_atomic_of_lists() {
    compare(true, Level::ReadAtomic, "read-atomic", 60_000);
}

#[test]
fn causal_of_registers() {
    compare(false, Level::Causal, "causal", 60_000);
}

#[test]
fn causal_of_lists() {
    compare(true, Level::Causal, "causal", 60_000);
}
