//! What a level says of the order of commits: edges that every such order must have.
//!
//! All levels (Biswas & Enea, OOPSLA 2019) ask for one total order of the transactions that has the session order and
//! whoever wrote before whoever read, so that, if T3 reads x from T1, every *visible* other writer T2 of x is before T1.
//! They differ in what is visible to a read of T3:
//!
//! - read committed: what T3 has read from before;
//! - read atomic: what T3 reads from anywhere, and what its session did before;
//! - causal: all that leads to T3 by session order and reads.
//!
//! A session goes on behind what it has completed. An indeterminate transaction is behind that, too, but nothing is behind it.
//!
//! Of a list, the first two take T3 to have read from the last element's writer alone, causal from every element's.
//!
//! The edges T2 → T1 need not all be listed; the ones that follow from others are left out, as in AWDIT (Møldrup &
//! Pavlogiannis, PLDI 2025): O(n^{3/2}) for the first two. The level holds exactly if all edges together have no cycle.

use super::cycles::Arrow;
use super::reads::{Facts, INITIAL, Read, Txn};
use crate::txn::input::Key;
use rustc_hash::FxHashMap;

/// Why one transaction's commit is before another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Its session did it before.
    Session,
    /// The other one read what it wrote.
    Read(Key),
    /// A list shows its element first.
    Version(Key),
    /// It is visible to `reader`, which reads the key from the other one.
    Visible { how: Visible, key: Key, reader: Txn },
}

/// How a writer is visible to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Visible {
    /// Its reader had read from it before.
    ReadBefore,
    /// Its reader reads from it.
    ReadToo,
    /// Its reader's session did it before.
    OfSession,
    /// It leads to the reader by sessions and reads.
    Causal,
}

/// One commit before another. `to` may be [`INITIAL`], before which nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: Txn,
    pub(super) to: Txn,
    pub(super) why: Why,
}

/// Which of a transaction's reads are its first ones from their writer; the initial state does not count.
#[derive(Default)]
struct Firsts {
    by_writer: Vec<(Txn, u32)>,
    is_first: Vec<bool>,
}

impl Firsts {
    fn of(&mut self, reads: &[Read]) {
        self.is_first.clear();
        self.is_first.resize(reads.len(), false);
        self.by_writer.clear();
        let all = (0..).zip(reads).map(|(at, read)| (read.writer, at));
        self.by_writer
            .extend(all.filter(|(writer, _)| *writer != INITIAL));
        self.by_writer.sort_unstable();
        self.by_writer.dedup_by_key(|(writer, _)| *writer);
        for (_, at) in &self.by_writer {
            self.is_first[*at as usize] = true;
        }
    }

    fn has(&self, at: usize) -> bool {
        self.is_first[at]
    }

    fn among<'r>(&'r self, reads: &'r [Read]) -> impl Iterator<Item = &'r Read> {
        let all = reads.iter().zip(&self.is_first);
        all.filter(|(_, is_first)| **is_first).map(|(read, _)| read)
    }
}

impl Arrow for Edge {
    fn ends(&self) -> (u32, u32) {
        (self.from, self.to)
    }
}

/// What every level asks for: sessions, reads, and the order that lists show.
pub(super) fn base(facts: &Facts<'_, '_>) -> Vec<Edge> {
    let mut edges = Vec::new();
    let mut firsts = Firsts::default();
    for txn in 0..facts.len() as Txn {
        if !facts.happened[txn as usize] {
            continue;
        }
        let before = facts.before[txn as usize];
        if before != INITIAL {
            edges.push(Edge {
                from: before,
                to: txn,
                why: Why::Session,
            });
        }
        firsts.of(facts.reads(txn));
        for read in firsts.among(facts.reads(txn)) {
            edges.push(Edge {
                from: read.writer,
                to: txn,
                why: Why::Read(read.key),
            });
        }
    }
    for (key, order) in (0..).zip(&facts.orders) {
        let writer = |place: u32| facts.txns.micros[place as usize].txn;
        // Unseen appends follow the last seen one, in no order among themselves.
        let seen =
            order.partition_point(|place| facts.rank[*place as usize] != super::reads::UNSEEN);
        for at in 1..order.len() {
            let before = match at < seen {
                true => at - 1,
                false => match seen.checked_sub(1) {
                    Some(last) => last,
                    None => break,
                },
            };
            let (from, to) = (writer(order[before]), writer(order[at]));
            if from != to {
                let why = Why::Version(key);
                edges.push(Edge { from, to, why });
            }
        }
    }
    edges
}

/// Adds that `from`, which is visible to `reader`, is before the one that `read` reads from; unless that is known anyway.
pub(super) fn add(
    facts: &Facts<'_, '_>,
    edges: &mut Vec<Edge>,
    from: Txn,
    read: &Read,
    reader: Txn,
    how: Visible,
) {
    if from == read.writer {
        return;
    }
    if read.writer != INITIAL {
        let write = facts.write_of(from, read.key);
        if write.is_some_and(|write| facts.is_before(write, read.source)) {
            return;
        }
    }
    edges.push(Edge {
        from,
        to: read.writer,
        why: Why::Visible {
            how,
            key: read.key,
            reader,
        },
    });
}

/// The two next readings of a key, from different writers, behind the current place.
#[derive(Clone, Copy)]
struct Next {
    first: Read,
    second: Option<Read>,
}

/// Read committed: what a transaction reads later is not older than what it has read before.
pub(super) fn read_committed(facts: &Facts<'_, '_>, edges: &mut Vec<Edge>) {
    let mut next: FxHashMap<Key, Next> = FxHashMap::default();
    let mut firsts = Firsts::default();
    for txn in 0..facts.len() as Txn {
        let reads = facts.reads(txn);
        if reads.len() < 2 {
            continue;
        }
        next.clear();
        firsts.of(reads);
        for (at, read) in reads.iter().enumerate().rev() {
            if firsts.has(at) {
                later(facts, edges, read.writer, txn, &next);
            }
            next.entry(read.key)
                .and_modify(|next| {
                    if next.first.writer != read.writer {
                        *next = Next {
                            first: *read,
                            second: Some(next.first),
                        };
                    }
                })
                .or_insert(Next {
                    first: *read,
                    second: None,
                });
        }
    }
}

/// What `reader` reads after it has read from `from`, of the keys that `from` wrote.
fn later(
    facts: &Facts<'_, '_>,
    edges: &mut Vec<Edge>,
    from: Txn,
    reader: Txn,
    next: &FxHashMap<Key, Next>,
) {
    let mut each = |next: &Next| {
        let read = match next.first.writer == from {
            false => Some(next.first),
            true => next.second,
        };
        if let Some(read) = read {
            add(facts, edges, from, &read, reader, Visible::ReadBefore);
        }
    };
    let writes = facts.writes(from);
    if writes.len() <= next.len() {
        writes
            .iter()
            .filter_map(|write| next.get(&write.key))
            .for_each(&mut each);
        return;
    }
    // In the order of the keys, not of the table.
    let mut keys: Vec<Key> = next.keys().copied().collect();
    keys.sort_unstable();
    for key in keys {
        if facts.write_of(from, key).is_some() {
            each(&next[&key]);
        }
    }
}

/// Read atomic: of a transaction that is read from, and of the session's past, all writes are visible.
pub(super) fn read_atomic(facts: &Facts<'_, '_>, edges: &mut Vec<Edge>) {
    let mut reads: Vec<Read> = Vec::new();
    let mut firsts = Firsts::default();
    let mut last_write: FxHashMap<Key, Txn> = FxHashMap::default();
    for session in facts.sessions() {
        last_write.clear();
        for txn in session {
            for read in facts.reads(txn) {
                if let Some(from) = last_write.get(&read.key) {
                    add(facts, edges, *from, read, txn, Visible::OfSession);
                }
            }
            reads.clear();
            reads.extend_from_slice(facts.reads(txn));
            reads.sort_by_key(|read| read.key);
            firsts.of(facts.reads(txn));
            for read in firsts.among(facts.reads(txn)) {
                both(facts, edges, read.writer, txn, &reads);
            }
            for write in facts.writes(txn).iter().filter(|_| facts.is_complete(txn)) {
                last_write.insert(write.key, txn);
            }
        }
    }
}

/// What `reader` reads of the keys that `from` wrote; `reads` by key.
fn both(facts: &Facts<'_, '_>, edges: &mut Vec<Edge>, from: Txn, reader: Txn, reads: &[Read]) {
    let writes = facts.writes(from);
    if writes.len() < reads.len() {
        for write in writes {
            let first = reads.partition_point(|read| read.key < write.key);
            for read in reads[first..]
                .iter()
                .take_while(|read| read.key == write.key)
            {
                add(facts, edges, from, read, reader, Visible::ReadToo);
            }
        }
        return;
    }
    for read in reads {
        if facts.write_of(from, read.key).is_some() {
            add(facts, edges, from, read, reader, Visible::ReadToo);
        }
    }
}
