//! What changed znodes, or may have: by znode, in the order of all writes.

use super::Change;
use crate::zookeeper::call::{Call, Op, PathId, SessionId, Step, Write, Zxid};
use crate::zookeeper::decode::Decoded;
use rustc_hash::{FxHashMap, FxHashSet};

/// Something that changed a znode, or may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) change: Change,
    /// Its place in the order of writes; none if nobody knows, or whether it was at all.
    pub(super) zxid: Option<Zxid>,
    /// Whether it took place for certain.
    pub(super) sure: bool,
    /// Its zxid is newer than this: what was acknowledged before it was asked for.
    pub(super) after: Zxid,
    pub(super) op: usize,
}

/// The newest zxid that was acknowledged by which line.
struct Acknowledged(Vec<(u64, Zxid)>);

impl Acknowledged {
    fn of(decoded: &Decoded<'_>) -> Acknowledged {
        let done = decoded.ops.iter().filter(|op| op.took_effect());
        let mut lines: Vec<(u64, Zxid)> =
            done.filter_map(|op| Some((op.ret()?, op.zxid?))).collect();
        lines.sort_unstable();
        let mut newest = 0;
        for (_, zxid) in &mut lines {
            newest = newest.max(*zxid);
            *zxid = newest;
        }
        Acknowledged(lines)
    }

    fn before(&self, line: u64) -> Zxid {
        let before = self.0.partition_point(|(ret, _)| *ret < line);
        before.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// A cause by znode, and its place among the znode's.
pub(super) type Place = (PathId, usize);

/// All changes of a history.
#[derive(Debug, Default)]
pub(super) struct Causes<'h> {
    /// By znode; those without a zxid first, then in the order of their zxids.
    by_path: FxHashMap<PathId, Vec<Cause>>,
    /// The zxids of all acknowledged writes, ascending.
    owned: Vec<Zxid>,
    /// Indeterminate sequential creates: of their names only the beginning is known.
    nameless: Vec<(usize, &'h str)>,
}

impl<'h> Causes<'h> {
    pub(super) fn of(decoded: &Decoded<'h>) -> Causes<'h> {
        let mut causes = Causes::default();
        for (at, op) in decoded.ops.iter().enumerate() {
            if let Call::Write(write) = &op.call {
                causes.take_write(decoded, at, op, write);
            }
        }
        causes.take_ends(decoded);
        causes.owned.sort_unstable();
        causes.owned.dedup();
        let acknowledged = Acknowledged::of(decoded);
        for of_path in causes.by_path.values_mut() {
            for cause in &mut *of_path {
                cause.after = acknowledged.before(decoded.ops[cause.op].inv());
            }
            of_path.sort_by_key(|cause| (cause.zxid, cause.op));
        }
        causes
    }

    /// Those of one znode.
    pub(super) fn at(&self, path: PathId) -> &[Cause] {
        self.by_path.get(&path).map_or(&[], Vec::as_slice)
    }

    /// Whether an indeterminate write can have had this zxid: no acknowledged one has it.
    pub(super) fn is_free(&self, zxid: Zxid) -> bool {
        self.owned.binary_search(&zxid).is_err()
    }

    /// Whether there is such a zxid after `oldest`, up to `newest`.
    pub(super) fn has_room(&self, oldest: Zxid, newest: Zxid) -> bool {
        let until = |zxid| self.owned.partition_point(|owned| *owned <= zxid) as i64;
        newest > oldest && newest.saturating_sub(oldest) > until(newest) - until(oldest)
    }

    /// Whether a sequential create whose name nobody knows may have made this znode.
    pub(super) fn may_be_nameless(&self, name: &str, begun: impl Fn(usize) -> bool) -> bool {
        let fits = |(op, asked): &(usize, &str)| begun(*op) && name.starts_with(asked);
        self.nameless.iter().any(fits)
    }

    /// For each of these znodes what recursive watches of it are told for certain, in the order of all writes.
    pub(super) fn below(
        &self,
        decoded: &Decoded<'h>,
        bases: &FxHashSet<PathId>,
    ) -> FxHashMap<PathId, Vec<Place>> {
        let mut below: FxHashMap<PathId, Vec<Place>> = FxHashMap::default();
        for (path, causes) in &self.by_path {
            let mut above = Some(*path);
            while let Some(base) = above {
                if bases.contains(&base) {
                    let told = |at: &usize| causes[*at].sure && causes[*at].zxid.is_some();
                    let places = (0..causes.len()).filter(told).map(|at| (*path, at));
                    let own = |(_, at): &Place| causes[*at].change != Change::Children;
                    below.entry(base).or_default().extend(places.filter(own));
                }
                above = decoded.paths.parent(base);
            }
        }
        for places in below.values_mut() {
            places.sort_by_key(|(path, at)| {
                let cause = &self.at(*path)[*at];
                (cause.zxid, cause.op, *path, *at)
            });
        }
        below
    }

    fn take_write(&mut self, decoded: &Decoded<'h>, at: usize, op: &Op<'h>, write: &Write<'h>) {
        let sure = op.took_effect();
        if !sure && !op.may_take_effect() {
            return;
        }
        if sure {
            self.owned.extend(op.zxid);
        }
        for step in write.steps() {
            let (change, parent) = match step {
                Step::Create {
                    asked,
                    path,
                    parent,
                    ..
                } => {
                    if path.is_none() {
                        self.nameless.push((at, asked));
                    }
                    (Change::Created, *parent)
                }
                Step::Delete { path, .. } => (Change::Deleted, decoded.paths.parent(*path)),
                Step::Set { .. } => (Change::Data, None),
                Step::Check { .. } => continue,
            };
            let zxid = op.zxid.filter(|_| sure);
            self.add(step.path(), change, zxid, sure, at);
            self.add(parent, Change::Children, zxid, sure, at);
        }
    }

    fn add(
        &mut self,
        path: Option<PathId>,
        change: Change,
        zxid: Option<Zxid>,
        sure: bool,
        op: usize,
    ) {
        if let Some(path) = path {
            self.by_path.entry(path).or_default().push(Cause {
                change,
                zxid,
                sure,
                after: 0,
                op,
            });
        }
    }

    /// The end of a session takes its ephemeral znodes; for certain those that nobody can have deleted before.
    fn take_ends(&mut self, decoded: &Decoded<'h>) {
        let mut closes: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
        for (at, op) in decoded.ops.iter().enumerate() {
            let close = matches!(op.call, Call::Write(Write::Close));
            if close && (op.took_effect() || op.may_take_effect()) {
                closes.entry(op.session).or_default().push(at);
            }
        }
        for made in &decoded.ops {
            let (Call::Write(write), Some(ends)) = (&made.call, closes.get(&made.session)) else {
                continue;
            };
            for step in write.steps() {
                let Step::Create {
                    path: Some(path),
                    ephemeral: true,
                    ..
                } = step
                else {
                    continue;
                };
                let deleted = |cause: &Cause| cause.change == Change::Deleted;
                let deleted = self.at(*path).iter().any(deleted);
                for end in ends {
                    let close = &decoded.ops[*end];
                    let zxid = close.zxid.filter(|_| close.took_effect());
                    let sure = made.took_effect() && zxid.is_some() && !deleted;
                    self.add(Some(*path), Change::Deleted, zxid, sure, *end);
                    let parent = decoded.paths.parent(*path);
                    self.add(parent, Change::Children, zxid, sure, *end);
                }
            }
        }
    }
}
