//! All writes that took effect, in the order of their zxids, over all znodes.

use super::super::call::{Call, DataId, Look, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::super::decode::{Decoded, number};
use super::Breaches;
use super::unanswered::{self, Shown, Sight, left};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a write made of a znode's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Not known if nobody knows which write it was, and nobody read the data.
    Data(Option<DataId>),
    /// It took the znode away.
    Nothing,
}

/// Lines from which on sessions may have ended, by session.
#[derive(Default)]
struct Ends {
    by_session: FxHashMap<SessionId, u64>,
    first: Option<u64>,
}

impl Ends {
    /// Those of the closes that are asked for.
    fn of(decoded: &Decoded<'_>, counts: impl Fn(&Op<'_>) -> bool) -> Ends {
        let mut ends = Ends::default();
        for op in decoded.ops.iter().filter(|op| counts(op)) {
            if let Call::Write(Write::Close) = op.call {
                let line = ends.by_session.entry(op.session).or_insert(u64::MAX);
                *line = op.inv().min(*line);
                ends.first = Some(ends.first.unwrap_or(u64::MAX).min(op.inv()));
            }
        }
        ends
    }

    fn of_session(&self, session: SessionId) -> Option<u64> {
        self.by_session.get(&session).copied()
    }

    /// Where the session that an operation without an answer ran in may have ended.
    fn of_lost(&self, op: &Op<'_>) -> Option<u64> {
        match names_session(op) {
            true => self.of_session(op.session),
            false => self.first,
        }
    }
}

/// Whether an operation's own lines say which session it ran in; else it is only likely to be its process's last one.
fn names_session(op: &Op<'_>) -> bool {
    let (asked, told) = (op.operation.invocation(), op.operation.completion());
    asked.text("session").is_some() || told.is_some_and(|told| told.text("session").is_some())
}

/// Who owns a znode that an unanswered write was seen to have changed.
enum Owner {
    /// Whoever owned it before: no znode was made.
    Before,
    Session(SessionId),
    /// Nobody: it is not ephemeral.
    Nobody,
    Unknown,
}

/// The writes by zxid; operations by their places.
pub(super) struct Writes<'a, 'h> {
    decoded: &'a Decoded<'h>,
    by_zxid: BTreeMap<Zxid, usize>,
    /// By znode: what each write left of it.
    data: FxHashMap<PathId, BTreeMap<Zxid, (usize, Left)>>,
    /// By znode: the writes that made or took away children of it.
    children: FxHashMap<PathId, BTreeMap<Zxid, usize>>,
    /// By znode: the first line with which a write may have taken it away of which that is not certain.
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
        let closes = Ends::of(decoded, |op| op.took_effect() || op.may_take_effect());
        writes.index_unanswered(&shown, &closes);
        let shown = shown.into_iter().map(|shown| (shown.zxid, shown));
        writes.index(&shown.collect(), &closes);
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
    fn index(&mut self, shown: &FxHashMap<Zxid, Shown>, closes: &Ends) {
        let mut owned: FxHashMap<SessionId, Vec<PathId>> = FxHashMap::default();
        let mut owner: FxHashMap<PathId, SessionId> = FxHashMap::default();
        let all: Vec<(Zxid, usize)> = self.by_zxid.iter().map(|(zxid, at)| (*zxid, *at)).collect();
        for (zxid, at) in all {
            let op = &self.decoded.ops[at];
            let Call::Write(write) = &op.call else {
                continue;
            };
            if !op.took_effect() {
                let Some(shown) = shown.get(&zxid) else {
                    continue;
                };
                for sight in &shown.sights {
                    let (path, data) = sight;
                    let made_by = self.owner_after(shown, sight);
                    let before = match made_by {
                        Owner::Before => None,
                        _ => owner.remove(path),
                    };
                    match made_by {
                        Owner::Session(session) => {
                            owner.insert(*path, session);
                            owned.entry(session).or_default().push(*path);
                        }
                        // It may still be the znode that was there before.
                        Owner::Unknown => {
                            if let Some(end) = before.and_then(|before| closes.of_session(before)) {
                                self.perhaps_gone_by(*path, end);
                            }
                        }
                        Owner::Before | Owner::Nobody => {}
                    }
                    self.changed(*path, zxid, at, Left::Data(*data), false);
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
                        self.changed(path, zxid, at, Left::Data(Some(data)), true);
                        owner.remove(&path);
                        if ephemeral {
                            owner.insert(path, op.session);
                            owned.entry(op.session).or_default().push(path);
                        }
                    }
                    Step::Set { path, data, .. } => {
                        self.changed(path, zxid, at, Left::Data(Some(data)), false);
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

    /// Only a write that makes a znode gives it another owner.
    fn owner_after(&self, shown: &Shown, sight: &Sight) -> Owner {
        let choices = shown.choices.iter();
        let ways: Vec<Option<bool>> = choices
            .flat_map(|at| left(self.decoded, *at, sight))
            .collect();
        let all = |made: Option<bool>| ways.iter().all(|way| *way == made);
        match &shown.choices[..] {
            _ if all(None) => Owner::Before,
            _ if all(Some(false)) => Owner::Nobody,
            [at] if all(Some(true)) && names_session(&self.decoded.ops[*at]) => {
                Owner::Session(self.decoded.ops[*at].session)
            }
            _ => Owner::Unknown,
        }
    }

    /// `is_child`: whether it was made or taken away for certain.
    fn changed(&mut self, path: PathId, zxid: Zxid, at: usize, left: Left, is_child: bool) {
        self.data.entry(path).or_default().insert(zxid, (at, left));
        if let Some(above) = self.decoded.paths.parent(path).filter(|_| is_child) {
            self.children.entry(above).or_default().insert(zxid, at);
        }
    }

    /// What may have been taken away by writes that nobody knows of: by deletes and ends of sessions without an answer; and what
    /// creates without an answer may have made of sessions that ended.
    fn index_unanswered(&mut self, shown: &[Shown], closes: &Ends) {
        let decoded = self.decoded;
        let unanswered = Ends::of(decoded, |op| op.may_take_effect());
        // By parent and by the name that was asked for: sequential znodes that nobody was told the name of.
        let mut nameless: FxHashMap<Option<PathId>, FxHashMap<&str, u64>> = FxHashMap::default();
        for op in &decoded.ops {
            let Call::Write(write) = &op.call else {
                continue;
            };
            let end = match op.may_take_effect() {
                true => closes.of_lost(op),
                false => unanswered.of_session(op.session),
            };
            for step in write.steps() {
                match (step, end) {
                    (Step::Delete { path, .. }, _) if op.may_take_effect() => {
                        self.perhaps_gone_by(*path, op.inv());
                    }
                    (
                        Step::Create {
                            asked,
                            path,
                            parent,
                            ephemeral: true,
                            ..
                        },
                        Some(end),
                    ) => match path {
                        Some(path) => self.perhaps_gone_by(*path, end),
                        None => {
                            let all = nameless.entry(*parent).or_default();
                            let line = all.entry(asked).or_insert(end);
                            *line = end.min(*line);
                        }
                    },
                    _ => {}
                }
            }
        }
        if nameless.is_empty() {
            return;
        }
        // Others show their names, by reading or writing them.
        let of_writes = decoded.ops.iter().filter_map(|op| match &op.call {
            Call::Write(write) => Some(write.steps()),
            _ => None,
        });
        let set = of_writes.flatten().filter_map(|step| match step {
            Step::Set { path, .. } => Some(*path),
            _ => None,
        });
        let shown = shown
            .iter()
            .flat_map(|shown| shown.sights.iter().map(|(path, _)| *path));
        for path in set.chain(shown) {
            let Some(all) = nameless.get(&decoded.paths.parent(path)) else {
                continue;
            };
            for (asked, end) in all {
                if number(asked, decoded.paths.name(path)).is_some() {
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
                let read = answer.data.filter(|_| *look == Look::Get);
                read.zip(*made).is_none_or(|(read, made)| read == made)
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
