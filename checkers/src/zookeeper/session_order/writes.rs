//! All writes that took effect, in the order of their zxids, over all znodes.

use super::super::call::{Call, DataId, Look, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::super::decode::Decoded;
use super::Breaches;
use super::unanswered::{self, written};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a write made of a znode's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Data(DataId),
    /// It took the znode away.
    Nothing,
}

/// The writes by zxid; operations by their places.
pub(super) struct Writes<'a, 'h> {
    decoded: &'a Decoded<'h>,
    by_zxid: BTreeMap<Zxid, usize>,
    /// By znode: what each write left of it.
    data: FxHashMap<PathId, BTreeMap<Zxid, (usize, Left)>>,
    /// By znode: the writes that made or took away children of it.
    children: FxHashMap<PathId, BTreeMap<Zxid, usize>>,
    /// By znode: the first line with which an unanswered write may have taken it away.
    perhaps_gone: FxHashMap<PathId, u64>,
    /// For each zxid, in order: among the writes up to it, the one that was invoked last.
    latest: Vec<(Zxid, usize)>,
    /// Indeterminate writes that a read showed.
    pub(super) indeterminate: usize,
}

impl<'a, 'h> Writes<'a, 'h> {
    /// Gathers them, and checks their order against real time.
    pub(super) fn collect(decoded: &'a Decoded<'h>, breaches: &mut Breaches<'h>) -> Writes<'a, 'h> {
        let mut by_zxid: BTreeMap<Zxid, usize> = BTreeMap::new();
        for (at, write) in decoded.ops.iter().enumerate() {
            let Some(zxid) = write.zxid.filter(|_| write.took_effect()) else {
                continue;
            };
            if let Some(other) = by_zxid.insert(zxid, at) {
                let text = format!("two writes were acknowledged with one zxid, {zxid:#x}");
                let both = [other, at].map(|at| decoded.ops[at].operation);
                breaches.add("zxid-reused", text, both.to_vec());
            }
        }
        let shown = unanswered::shown(decoded, &by_zxid);
        by_zxid.extend(shown.iter().map(|shown| (shown.zxid, shown.write)));
        let mut writes = Writes {
            decoded,
            by_zxid,
            data: FxHashMap::default(),
            children: FxHashMap::default(),
            perhaps_gone: FxHashMap::default(),
            latest: Vec::new(),
            indeterminate: shown.len(),
        };
        writes.against_real_time(breaches);
        let shown = shown.into_iter().map(|shown| (shown.zxid, shown.paths));
        writes.index_unanswered();
        writes.index(&shown.collect());
        writes
    }

    fn against_real_time(&mut self, breaches: &mut Breaches<'h>) {
        let op = |at: usize| &self.decoded.ops[at];
        for (&zxid, &at) in &self.by_zxid {
            let before = self.latest.last().map(|(_, latest)| *latest);
            if let (Some(latest), Some(ret)) = (before, op(at).ret())
                && ret < op(latest).inv()
            {
                let text = format!(
                    "a write was acknowledged with zxid {zxid:#x} before a write of a smaller zxid was invoked"
                );
                let both = [latest, at].map(|at| op(at).operation);
                breaches.add("zxid-against-real-time", text, both.to_vec());
            }
            let latest = before
                .filter(|latest| op(*latest).inv() > op(at).inv())
                .unwrap_or(at);
            self.latest.push((zxid, latest));
        }
    }

    /// What each write changed; of unanswered ones, what it was seen to have changed is given.
    fn index(&mut self, shown: &FxHashMap<Zxid, Vec<PathId>>) {
        let mut owned: FxHashMap<SessionId, Vec<PathId>> = FxHashMap::default();
        let mut owner: FxHashMap<PathId, SessionId> = FxHashMap::default();
        let all: Vec<(Zxid, usize)> = self.by_zxid.iter().map(|(zxid, at)| (*zxid, *at)).collect();
        for (zxid, at) in all {
            let op = &self.decoded.ops[at];
            let Call::Write(write) = &op.call else {
                continue;
            };
            if !op.took_effect() {
                for path in shown.get(&zxid).into_iter().flatten() {
                    owner.remove(path);
                    if let Some(data) = written(self.decoded, at, *path).next_back() {
                        self.changed(*path, zxid, at, Left::Data(data), false);
                    }
                }
                continue;
            }
            if let Write::Close = write {
                for path in owned.remove(&op.session).unwrap_or_default() {
                    if owner.get(&path) == Some(&op.session) {
                        owner.remove(&path);
                        let is_sure = !self.perhaps_gone.contains_key(&path);
                        self.changed(path, zxid, at, Left::Nothing, is_sure);
                    }
                }
            }
            for step in write.steps() {
                match *step {
                    Step::Create {
                        path: Some(path),
                        data,
                        ephemeral,
                        ..
                    } => {
                        self.changed(path, zxid, at, Left::Data(data), true);
                        owner.remove(&path);
                        if ephemeral {
                            owner.insert(path, op.session);
                            owned.entry(op.session).or_default().push(path);
                        }
                    }
                    Step::Set { path, data, .. } => {
                        self.changed(path, zxid, at, Left::Data(data), false);
                    }
                    Step::Delete { path, .. } => {
                        self.changed(path, zxid, at, Left::Nothing, true);
                        owner.remove(&path);
                    }
                    Step::Create { path: None, .. } | Step::Check { .. } => {}
                }
            }
        }
    }

    /// `is_child`: whether it was made or taken away for certain.
    fn changed(&mut self, path: PathId, zxid: Zxid, at: usize, left: Left, is_child: bool) {
        self.data.entry(path).or_default().insert(zxid, (at, left));
        if let Some(above) = self.decoded.paths.parent(path).filter(|_| is_child) {
            self.children.entry(above).or_default().insert(zxid, at);
        }
    }

    /// What may have been taken away by writes that nobody knows of.
    fn index_unanswered(&mut self) {
        let mut ended: FxHashMap<SessionId, u64> = FxHashMap::default();
        for op in self.decoded.ops.iter().filter(|op| op.may_take_effect()) {
            let Call::Write(write) = &op.call else {
                continue;
            };
            if let Write::Close = write {
                let first = ended.entry(op.session).or_insert(u64::MAX);
                *first = op.inv().min(*first);
            }
            for step in write.steps() {
                if let Step::Delete { path, .. } = step {
                    self.perhaps_gone_by(*path, op.inv());
                }
            }
        }
        for op in &self.decoded.ops {
            let (Call::Write(write), Some(end)) = (&op.call, ended.get(&op.session)) else {
                continue;
            };
            for step in write.steps().iter().filter(|step| step.is_ephemeral()) {
                if let Some(path) = step.path() {
                    self.perhaps_gone_by(path, *end);
                }
            }
        }
    }

    fn perhaps_gone_by(&mut self, path: PathId, line: u64) {
        let first = self.perhaps_gone.entry(path).or_insert(u64::MAX);
        *first = line.min(*first);
    }

    pub(super) fn len(&self) -> usize {
        self.by_zxid.len()
    }

    /// Whether a read shows what a write made of the znode at the zxid that its `mzxid` tells. Only a znode that was there before
    /// the history shows what no write of it made; and a key that is no path was not there before.
    pub(super) fn are_shown_by(&self, read: &Op<'h>, path: PathId, mzxid: Zxid) -> bool {
        let write = self.data.get(&path).and_then(|writes| writes.get(&mzxid));
        match (write, &read.call, &read.outcome) {
            (Some((_, Left::Data(made))), Call::Read { look, .. }, Outcome::Done(answer)) => {
                *look != Look::Get || answer.data.is_none_or(|data| data == *made)
            }
            (Some(_), ..) => false,
            (None, ..) => {
                let oldest = self.by_zxid.keys().next();
                let is_path = self.decoded.paths.name(path).starts_with('/');
                is_path && oldest.is_none_or(|oldest| mzxid < *oldest)
            }
        }
    }

    /// The next change of a znode's data after a zxid, its end included.
    pub(super) fn next_of_data(&self, path: PathId, after: Zxid) -> Option<(Zxid, usize)> {
        let writes = self.data.get(&path)?;
        let (zxid, (at, _)) = writes.range(after + 1..).next()?;
        Some((*zxid, *at))
    }

    /// The next change of a znode's children after a zxid.
    pub(super) fn next_of_children(&self, path: PathId, after: Zxid) -> Option<(Zxid, usize)> {
        let writes = self.children.get(&path)?;
        let (zxid, at) = writes.range(after + 1..).next()?;
        Some((*zxid, *at))
    }

    /// If there was a znode all the time between two zxids, the write that had made it what it was, with its zxid.
    pub(super) fn there_between(
        &self,
        path: PathId,
        (from, to): (Zxid, Zxid),
        line: u64,
    ) -> Option<(Zxid, usize)> {
        let writes = self.data.get(&path)?;
        let (zxid, (at, left)) = writes.range(..=from).next_back()?;
        let is_gone = |left: &Left| *left == Left::Nothing;
        let goes = from < to
            && writes
                .range(from + 1..=to)
                .any(|(_, (_, left))| is_gone(left));
        let perhaps = self.perhaps_gone.get(&path).is_some_and(|by| *by < line);
        (!is_gone(left) && !goes && !perhaps).then_some((*zxid, *at))
    }

    /// A write up to this zxid that was invoked after this line, if there is one.
    pub(super) fn invoked_after(&self, zxid: Zxid, line: u64) -> Option<usize> {
        let upto = self.latest.partition_point(|(other, _)| *other <= zxid);
        let (_, latest) = self.latest[..upto].last()?;
        (self.decoded.ops[*latest].inv() > line).then_some(*latest)
    }
}
