//! All writes that took effect, in the order of their zxids, over all keys.

use super::{Breaches, zxid};
use crate::history::{Kind, Operation, ValueRef};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A transaction's number: the order of all writes.
pub(super) type Zxid = i64;

type Key<'h> = Option<&'h str>;

/// The writes by zxid.
pub(super) struct Writes<'h> {
    by_zxid: BTreeMap<Zxid, Operation<'h>>,
    by_key: BTreeMap<Key<'h>, BTreeMap<Zxid, Operation<'h>>>,
    /// For each zxid, in order: among the writes up to it, the one that was invoked last.
    latest: Vec<(Zxid, Operation<'h>)>,
    /// Indeterminate writes that a read showed.
    pub(super) indeterminate: usize,
}

impl<'h> Writes<'h> {
    /// Gathers them, and checks their order against real time.
    pub(super) fn collect(operations: &[Operation<'h>], breaches: &mut Breaches<'h>) -> Writes<'h> {
        let mut by_zxid: BTreeMap<Zxid, Operation<'h>> = BTreeMap::new();
        for write in operations.iter().filter(|operation| took_effect(operation)) {
            let Some(zxid) = zxid(write) else { continue };
            if let Some(other) = by_zxid.insert(zxid, *write) {
                let text = format!("two writes were acknowledged with one zxid, {zxid:#x}");
                breaches.add("zxid-reused", text, vec![other, *write]);
            }
        }
        let indeterminate = seen_indeterminate(operations, &by_zxid);
        let count = indeterminate.len();
        by_zxid.extend(indeterminate);
        let mut writes = Writes {
            by_zxid,
            by_key: BTreeMap::new(),
            latest: Vec::new(),
            indeterminate: count,
        };
        writes.index(breaches);
        writes
    }

    fn index(&mut self, breaches: &mut Breaches<'h>) {
        for (&zxid, &write) in &self.by_zxid {
            self.by_key
                .entry(write.key())
                .or_default()
                .insert(zxid, write);
            let before = self.latest.last().map(|(_, latest)| *latest);
            if let (Some(latest), Some(ret)) = (before, write.ret())
                && ret < latest.inv()
            {
                let text = format!(
                    "a write was acknowledged with zxid {zxid:#x} before a write of a smaller zxid was invoked"
                );
                breaches.add("zxid-against-real-time", text, vec![latest, write]);
            }
            let latest = before
                .filter(|latest| latest.inv() > write.inv())
                .unwrap_or(write);
            self.latest.push((zxid, latest));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_zxid.len()
    }

    /// The zxid of the write that a read shows, 0 for no znode; `None` if no such write took effect.
    pub(super) fn shown_by(&self, read: &Operation<'h>) -> Option<Zxid> {
        if read.error().is_some() {
            return Some(0);
        }
        let shown = mzxid(read)?;
        let write = self.by_key.get(&read.key())?.get(&shown)?;
        (Some(written(write)) == read.result()).then_some(shown)
    }

    /// The next write of a key after a zxid.
    pub(super) fn next_of_key(&self, key: Key<'h>, after: Zxid) -> Option<(Zxid, Operation<'h>)> {
        let writes = self.by_key.get(&key)?;
        writes
            .range(after + 1..)
            .next()
            .map(|(zxid, write)| (*zxid, *write))
    }

    /// A write up to this zxid that was invoked after this line, if there is one.
    pub(super) fn invoked_after(&self, zxid: Zxid, line: u64) -> Option<Operation<'h>> {
        let upto = self.latest.partition_point(|(other, _)| *other <= zxid);
        let (_, latest) = self.latest[..upto].last()?;
        (latest.inv() > line).then_some(*latest)
    }
}

/// Whether it is a write that certainly took effect.
fn took_effect(operation: &Operation<'_>) -> bool {
    operation.is_ok() && operation.f() != "read" && operation.error().is_none()
}

/// The value that a write writes: the second one of a compare-and-set.
fn written<'h>(write: &Operation<'h>) -> ValueRef<'h> {
    let argument = write.argument();
    let pair = argument.as_list().filter(|pair| pair.len() == 2);
    match pair.and_then(|pair| pair.get(1)) {
        Some(new) if write.f() == "cas" => new,
        _ => argument,
    }
}

/// The zxid of the last write to the znode that a read shows.
fn mzxid(read: &Operation<'_>) -> Option<Zxid> {
    read.answer().and_then(|answer| answer.int("mzxid"))
}

/// Indeterminate writes whose value a read shows at a zxid that no other write has. A write takes effect once: the first zxid
/// at which it is shown is its own.
fn seen_indeterminate<'h>(
    operations: &[Operation<'h>],
    known: &BTreeMap<Zxid, Operation<'h>>,
) -> BTreeMap<Zxid, Operation<'h>> {
    let mut open: FxHashMap<(Key<'h>, ValueRef<'h>), Operation<'h>> = FxHashMap::default();
    for operation in operations
        .iter()
        .filter(|operation| operation.kind() == Kind::Info && operation.f() != "read")
    {
        open.entry((operation.key(), written(operation)))
            .or_insert(*operation);
    }
    let mut seen = BTreeMap::new();
    for read in operations
        .iter()
        .filter(|operation| operation.is_ok() && operation.f() == "read")
    {
        let (Some(zxid), Some(value)) = (mzxid(read), read.result()) else {
            continue;
        };
        if known.contains_key(&zxid) || seen.contains_key(&zxid) {
            continue;
        }
        if let Some(write) = open.remove(&(read.key(), value)) {
            seen.insert(zxid, write);
        }
    }
    seen
}
