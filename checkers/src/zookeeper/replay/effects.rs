//! Which indeterminate writes took effect, and at which zxid, as far as answers show it.

use super::super::call::{Call, DataId, Look, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::super::decode::{Decoded, number};
use super::{Misfit, touched, without_zxid};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// What answers show of a zxid that no answered write has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Claim {
    /// The znode was made there, perhaps with this data.
    Made(PathId, Option<DataId>),
    /// Its data was set there, perhaps to this.
    Set(PathId, Option<DataId>),
    /// A child of it was made or deleted there.
    Child(PathId),
}

/// Indeterminate writes with the zxids that they may have.
pub(in super::super) type Way = Vec<(usize, Zxid)>;

/// The indeterminate writes: those with a zxid, and the pool of the others.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Effects {
    /// Indeterminate writes and the zxids that answers show of them.
    pub(in super::super) placed: Vec<(usize, Zxid)>,
    /// Those that may have had another zxid, or none: several would have fitted.
    uncertain: FxHashSet<usize>,
    /// Zxids that answers show and several writes may have, or one that may have several of them; with those writes.
    doubtful: Vec<(Zxid, Vec<usize>)>,
    /// For each name that several lost creates of sequential znodes may have made: how many of them.
    namesakes: Vec<usize>,
    /// Whether what a lost create of a sequential znode made can have one of several names, beside that.
    remade: bool,
    /// Indeterminate writes that no answer shows, in the order of their invocations.
    pub(super) pool: Vec<usize>,
    taken: FxHashSet<usize>,
    /// Zxids that a write has.
    used: FxHashSet<Zxid>,
    /// By znode: writes of the pool, taken ones, and uncertain ones.
    concerning: FxHashMap<PathId, Vec<usize>>,
    sessions: Sessions,
}

impl Effects {
    /// Finds them; or two writes with one zxid. Gives sequential znodes whose answer was lost the names that they were seen under:
    /// where several would do for one, the one that `picks` says, or the first.
    pub(super) fn find<'h>(
        decoded: &mut Decoded<'h>,
        picks: &[usize],
    ) -> Result<Effects, Box<Misfit<'h>>> {
        let known = known(decoded)?;
        let mut effects = Effects {
            sessions: Sessions::of(decoded),
            ..Effects::default()
        };
        let open: Vec<usize> = (0..decoded.ops.len())
            .filter(|at| decoded.ops[*at].may_take_effect())
            .collect();
        (effects.uncertain, effects.namesakes) = name_what_was_seen(decoded, &open, picks);
        if open.is_empty() {
            return Ok(effects);
        }
        let mut by_path: FxHashMap<PathId, Vec<usize>> = FxHashMap::default();
        for at in &open {
            for path in reach(decoded, *at) {
                by_path.entry(path).or_default().push(*at);
            }
        }
        let mut used: FxHashSet<usize> = FxHashSet::default();
        // Where an answered write may have any zxid, one that no answer has may be that one's.
        let claims = match without_zxid(decoded) {
            None => claims(decoded, &known),
            Some(_) => BTreeMap::new(),
        };
        let mut shown: Vec<(Zxid, Vec<usize>)> = Vec::new();
        for (zxid, claims) in claims {
            let about = claims.iter().map(|claim| match *claim {
                Claim::Made(path, _) => decoded.paths.parent(path).unwrap_or(path),
                Claim::Set(path, _) | Claim::Child(path) => path,
            });
            let Some(list) = about.min_by_key(|path| by_path.get(path).map_or(0, Vec::len)) else {
                continue;
            };
            let fits = |at: &usize| {
                effects.sessions.may_have(decoded, *at, zxid)
                    && claims.iter().all(|claim| satisfies(decoded, *at, claim))
            };
            let fitting: Vec<usize> = by_path
                .get(&list)
                .into_iter()
                .flatten()
                .copied()
                .filter(fits)
                .collect();
            let Some(at) = fitting.iter().copied().find(|at| !used.contains(at)) else {
                shown.push((zxid, fitting));
                continue;
            };
            // One that was given another zxid may have had this one.
            let several = fitting.len() > 1;
            shown.push((zxid, fitting));
            if several {
                effects.uncertain.insert(at);
            }
            used.insert(at);
            effects.placed.push((at, zxid));
            for claim in &claims {
                if let Claim::Made(path, _) = claim {
                    effects.remade |= several && is_nameless(decoded, at);
                    name(decoded, at, *path);
                }
            }
        }
        effects.doubtful = doubtful(shown);
        effects.used = known;
        effects
            .used
            .extend(effects.placed.iter().map(|(_, zxid)| *zxid));
        effects.pool = open.into_iter().filter(|at| !used.contains(at)).collect();
        let concerning = effects.pool.iter().chain(&effects.uncertain);
        for at in concerning.copied().collect::<Vec<usize>>() {
            for path in reach(decoded, at) {
                effects.concerning.entry(path).or_default().push(at);
            }
        }
        for list in effects.concerning.values_mut() {
            list.sort_unstable();
        }
        Ok(effects)
    }

    /// Whether other lost creates may have made sequential znodes that were seen.
    pub(in super::super) fn names_are_uncertain(&self) -> bool {
        self.remade || !self.namesakes.is_empty()
    }

    /// Whether they may have, in a way that no picks tell.
    pub(in super::super) fn names_are_open(&self) -> bool {
        self.remade
    }

    /// The picks after these, as one counts.
    pub(in super::super) fn next_picks(&self, picks: &[usize]) -> Option<Vec<usize>> {
        let mut next: Vec<usize> = (0..self.namesakes.len())
            .map(|place| picks.get(place).copied().unwrap_or(0))
            .collect();
        while let Some(last) = next.pop() {
            if last + 1 < self.namesakes[next.len()] {
                next.push(last + 1);
                return Some(next);
            }
        }
        None
    }

    /// Every way in which the zxids that answers show can belong to indeterminate writes; none if there are more than so many ways.
    /// Where it is clear whose they are, no way tells of them.
    pub(in super::super) fn ways(&self, most: usize) -> Option<Vec<Way>> {
        let mut ways: Vec<Way> = vec![Vec::new()];
        for (zxid, fitting) in &self.doubtful {
            let mut next = Vec::new();
            for way in ways {
                let taken = |at: &usize| way.iter().any(|(other, _)| other == at);
                let free: Vec<usize> = fitting.iter().copied().filter(|at| !taken(at)).collect();
                let with = |at: usize| way.iter().copied().chain([(at, *zxid)]).collect();
                match free.is_empty() {
                    // Nobody is left who may have it: what shows it fits nowhere.
                    true => next.push(way),
                    false => next.extend(free.into_iter().map(with)),
                }
            }
            if next.len() > most {
                return None;
            }
            ways = next;
        }
        Some(ways)
    }

    /// The zxids that are clear, and these: with nothing uncertain any more.
    pub(in super::super) fn settled(&self, way: &[(usize, Zxid)]) -> Effects {
        let in_doubt = |at: &usize| {
            self.doubtful
                .iter()
                .any(|(_, fitting)| fitting.contains(at))
        };
        let clear = self.placed.iter().filter(|(at, _)| !in_doubt(at));
        let mut settled = Effects {
            placed: clear.chain(way).copied().collect(),
            uncertain: FxHashSet::default(),
            ..self.clone()
        };
        let placed: FxHashSet<usize> = settled.placed.iter().map(|(at, _)| *at).collect();
        // Those that are in doubt are somebody's, too.
        settled
            .used
            .extend(self.doubtful.iter().map(|(zxid, _)| *zxid));
        settled
            .used
            .extend(settled.placed.iter().map(|(_, zxid)| *zxid));
        settled.pool.extend(
            self.placed
                .iter()
                .map(|(at, _)| *at)
                .filter(|at| !placed.contains(at)),
        );
        settled.pool.retain(|at| !placed.contains(at));
        settled.pool.sort_unstable();
        settled
    }

    /// Between which zxids a write may have its own, as far as its session tells: after all that it had seen, before its end.
    pub(in super::super) fn bounds(&self, decoded: &Decoded<'_>, at: usize) -> (Zxid, Zxid) {
        self.sessions.bounds(decoded, at)
    }

    /// Whether answers show of each zxid for certain which indeterminate write has it.
    pub(in super::super) fn is_certain_of_all(&self) -> bool {
        self.uncertain.is_empty()
    }

    /// Whether it is doubtful whether a zxid that answers show is this write's.
    pub(in super::super) fn may_be_seen(&self, at: usize) -> bool {
        let fitting = self.doubtful.iter().map(|(_, fitting)| fitting);
        fitting.flatten().any(|other| *other == at)
    }

    /// Zxids that answers show and of which it is doubtful whose they are, with all whose they may be. Ascending.
    pub(in super::super) fn doubtful(&self) -> &[(Zxid, Vec<usize>)] {
        &self.doubtful
    }

    /// Whether a write that was done is known to have been done there.
    pub(in super::super) fn is_certain(&self, at: usize) -> bool {
        !self.uncertain.contains(&at) && !self.taken.contains(&at)
    }

    /// Takes a write out of the pool: it was put in.
    pub(super) fn take(&mut self, at: usize, zxid: Zxid) {
        self.taken.insert(at);
        self.used.insert(zxid);
    }

    /// Zxids that a write has, ascending.
    pub(in super::super) fn taken_zxids(&self) -> Vec<Zxid> {
        let mut taken: Vec<Zxid> = self.used.iter().copied().collect();
        taken.sort_unstable();
        taken
    }

    /// Whether a write has this zxid.
    pub(in super::super) fn is_used(&self, zxid: Zxid) -> bool {
        self.used.contains(&zxid)
    }

    /// Whether the write may have got this zxid: after all that its session had seen, and before the session's end.
    pub(super) fn may_have(&self, decoded: &Decoded<'_>, at: usize, zxid: Zxid) -> bool {
        self.sessions.may_have(decoded, at, zxid)
    }

    /// The znodes that a write has to do with.
    pub(super) fn reach(&self, decoded: &Decoded<'_>, at: usize) -> Vec<PathId> {
        reach(decoded, at)
    }

    /// Writes of the pool that may have been done by now and concern these znodes, the oldest first.
    pub(super) fn candidates(
        &self,
        decoded: &Decoded<'_>,
        about: &FxHashSet<PathId>,
        op: &Op<'_>,
        zxid: Zxid,
    ) -> Vec<usize> {
        let in_pool = |at: &usize| !self.taken.contains(at) && self.pool.binary_search(at).is_ok();
        let by_now = |at: &usize| {
            op.ret().is_none_or(|ret| decoded.ops[*at].inv() < ret)
                && self.sessions.may_have(decoded, *at, zxid)
        };
        let mut found: Vec<usize> = about
            .iter()
            .flat_map(|path| self.concerning.get(path).into_iter().flatten().copied())
            .filter(|at| in_pool(at) && by_now(at))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether an indeterminate write, wherever it was put, may have to do with an answer about these znodes.
    pub(super) fn may_concern(
        &self,
        decoded: &Decoded<'_>,
        about: &FxHashSet<PathId>,
        op: &Op<'_>,
    ) -> bool {
        let before = |at: &usize| op.ret().is_none_or(|ret| decoded.ops[*at].inv() < ret);
        let lists = about.iter().filter_map(|path| self.concerning.get(path));
        lists.flatten().any(before)
    }
}

/// Of the zxids that answers show, those about which it is not clear whose they are.
fn doubtful(shown: Vec<(Zxid, Vec<usize>)>) -> Vec<(Zxid, Vec<usize>)> {
    let mut times: FxHashMap<usize, usize> = FxHashMap::default();
    for at in shown.iter().flat_map(|(_, fitting)| fitting) {
        *times.entry(*at).or_default() += 1;
    }
    let clear = |fitting: &[usize]| matches!(fitting, [only] if times[only] == 1);
    shown
        .into_iter()
        .filter(|(_, fitting)| !fitting.is_empty() && !clear(fitting))
        .collect()
}

fn is_nameless(decoded: &Decoded<'_>, at: usize) -> bool {
    let unnamed = |step: &Step<'_>| matches!(step, Step::Create { path: None, .. });
    matches!(&decoded.ops[at].call, Call::Write(write) if write.steps().iter().any(unnamed))
}

/// Zxids of answered writes. A multi is one write; two writes with one zxid are none.
fn known<'h>(decoded: &Decoded<'h>) -> Result<FxHashSet<Zxid>, Box<Misfit<'h>>> {
    let mut by_zxid: FxHashMap<Zxid, usize> = FxHashMap::default();
    let mut twice: Option<(Zxid, usize, usize)> = None;
    for (at, op) in decoded
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| op.took_effect())
    {
        let Some(zxid) = op.zxid else { continue };
        if let Some(before) = by_zxid.insert(zxid, at)
            && twice.is_none_or(|(other, ..)| zxid < other)
        {
            twice = Some((zxid, before, at));
        }
    }
    match twice {
        None => Ok(by_zxid.into_keys().collect()),
        Some((zxid, one, other)) => Err(Box::new(Misfit {
            kind: "zxid-reused",
            text: format!("two writes were acknowledged with one zxid, {zxid:#x}"),
            operations: vec![decoded.ops[one].operation, decoded.ops[other].operation],
            zxid,
        })),
    }
}

/// What the answers say of zxids that no answered write has, by zxid.
fn claims(decoded: &Decoded<'_>, known: &FxHashSet<Zxid>) -> BTreeMap<Zxid, Vec<Claim>> {
    let mut claims: BTreeMap<Zxid, Vec<Claim>> = BTreeMap::new();
    let mut add = |zxid: Option<Zxid>, claim: Claim| {
        let Some(zxid) = zxid.filter(|zxid| !known.contains(zxid)) else {
            return;
        };
        let list = claims.entry(zxid).or_default();
        if !list.contains(&claim) {
            list.push(claim);
        }
    };
    for op in &decoded.ops {
        let Outcome::Done(answer) = &op.outcome else {
            continue;
        };
        let (path, data) = match &op.call {
            Call::Read { path, look, .. } => (*path, answer.data.filter(|_| *look == Look::Get)),
            Call::Write(Write::One(step)) => match step.path() {
                Some(path) => (path, None),
                None => continue,
            },
            _ => continue,
        };
        let stat = &answer.stat;
        let untouched = stat.mzxid == stat.czxid;
        add(stat.czxid, Claim::Made(path, data.filter(|_| untouched)));
        if !untouched {
            add(stat.mzxid, Claim::Set(path, data));
        }
        if stat.pzxid != stat.czxid {
            add(stat.pzxid, Claim::Child(path));
        }
    }
    claims
}

fn satisfies(decoded: &Decoded<'_>, at: usize, claim: &Claim) -> bool {
    let Call::Write(write) = &decoded.ops[at].call else {
        return false;
    };
    if let (Write::Close, Claim::Child(_)) = (write, claim) {
        return true; // it reaches this znode, or it would not have been asked
    }
    let is = |wanted: &Option<DataId>, data: &DataId| wanted.is_none_or(|wanted| wanted == *data);
    write.steps().iter().any(|step| match (claim, step) {
        (
            Claim::Made(path, wanted),
            Step::Create {
                path: made, data, ..
            },
        ) => {
            let named = made.map_or_else(|| may_be(decoded, step, *path), |made| made == *path);
            // With a part that sets it, a multi leaves other data.
            named && (is(wanted, data) || write.steps().len() > 1)
        }
        (
            Claim::Set(path, wanted),
            Step::Set {
                path: set, data, ..
            },
        ) => set == path && (is(wanted, data) || write.steps().len() > 1),
        (Claim::Child(parent), Step::Create { parent: above, .. }) => *above == Some(*parent),
        (Claim::Child(parent), Step::Delete { path, .. }) => {
            decoded.paths.parent(*path) == Some(*parent)
        }
        _ => false,
    })
}

/// Whether this may be what a sequential create made.
fn may_be(decoded: &Decoded<'_>, step: &Step<'_>, path: PathId) -> bool {
    match step {
        Step::Create {
            asked,
            sequential: true,
            ..
        } => number(asked, decoded.paths.name(path)).is_some(),
        _ => false,
    }
}

/// Gives sequential znodes whose answers were lost the names under which something was seen that nothing else can have made;
/// returns those for which several names would do, or several of which would do for one name; and how many would, for each such
/// name.
fn name_what_was_seen(
    decoded: &mut Decoded<'_>,
    open: &[usize],
    picks: &[usize],
) -> (FxHashSet<usize>, Vec<usize>) {
    let mut namesakes = Vec::new();
    let mut uncertain = FxHashSet::default();
    let unnamed = |step: &Step<'_>| matches!(step, Step::Create { path: None, .. });
    let mut nameless: Vec<usize> = open
        .iter()
        .copied()
        .filter(|at| matches!(&decoded.ops[*at].call, Call::Write(write) if write.steps().iter().any(unnamed)))
        .collect();
    if nameless.is_empty() {
        return (uncertain, namesakes);
    }
    let mut left = vec![false; decoded.paths.len()];
    for op in &decoded.ops {
        if let (Call::Read { path, .. }, Outcome::Done(answer)) = (&op.call, &op.outcome) {
            let children = answer.children.iter().flatten();
            children
                .chain([path])
                .for_each(|path| left[path.0 as usize] = true);
        }
        // What was changed was there, too.
        if let (Call::Write(write), Outcome::Done(_)) = (&op.call, &op.outcome) {
            let there = write.steps().iter().filter_map(Step::path);
            there.for_each(|path| left[path.0 as usize] = true);
        }
    }
    for op in &decoded.ops {
        if let Call::Write(write) = &op.call {
            let made = write
                .steps()
                .iter()
                .filter(|step| matches!(step, Step::Create { .. }));
            made.filter_map(Step::path)
                .for_each(|path| left[path.0 as usize] = false);
        }
    }
    for path in (0..left.len())
        .filter(|path| left[*path])
        .map(|path| PathId(path as u32))
    {
        let may = |at: &usize| match &decoded.ops[*at].call {
            Call::Write(write) => write
                .steps()
                .iter()
                .any(|step| unnamed(step) && may_be(decoded, step, path)),
            _ => false,
        };
        let fitting: Vec<usize> = nameless.iter().copied().filter(may).collect();
        if fitting.is_empty() {
            continue;
        }
        let mut pick = 0;
        if fitting.len() > 1 {
            pick = picks.get(namesakes.len()).copied().unwrap_or(0);
            namesakes.push(fitting.len());
            uncertain.extend(&fitting);
        }
        let at = &fitting[pick.min(fitting.len() - 1)];
        name(decoded, *at, path);
        let more = matches!(&decoded.ops[*at].call, Call::Write(write) if write.steps().iter().any(unnamed));
        nameless.retain(|other| more || other != at);
    }
    (uncertain, namesakes)
}

/// A sequential znode was seen under this name.
fn name(decoded: &mut Decoded<'_>, at: usize, path: PathId) {
    let fits: Vec<bool> = match &decoded.ops[at].call {
        Call::Write(write) => write
            .steps()
            .iter()
            .map(|step| may_be(decoded, step, path))
            .collect(),
        _ => return,
    };
    let Call::Write(write) = &mut decoded.ops[at].call else {
        return;
    };
    let steps = match write {
        Write::One(step) => std::slice::from_mut(step),
        Write::Multi(steps) => steps.as_mut_slice(),
        Write::Close => return,
    };
    for (step, _) in steps.iter_mut().zip(fits).filter(|(_, fits)| *fits) {
        if let Step::Create {
            path: made @ None, ..
        } = step
        {
            *made = Some(path);
            return;
        }
    }
}

/// The znodes that a write names, and their parents; for the end of a session, those of all its ephemeral znodes.
fn reach(decoded: &Decoded<'_>, at: usize) -> Vec<PathId> {
    let op = &decoded.ops[at];
    if !matches!(op.call, Call::Write(Write::Close)) {
        return touched(decoded, op);
    }
    let ephemeral = |step: &Step<'_>| {
        matches!(
            step,
            Step::Create {
                ephemeral: true,
                ..
            }
        )
    };
    let owns = |other: &&Op<'_>| {
        let steps = match &other.call {
            Call::Write(write) => write.steps(),
            _ => &[],
        };
        other.session == op.session && steps.iter().any(ephemeral)
    };
    let mut paths: Vec<PathId> = decoded
        .ops
        .iter()
        .filter(owns)
        .flat_map(|other| touched(decoded, other))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// What each session had seen by each line, and when it ended.
#[derive(Debug, Clone, Default)]
struct Sessions {
    seen: FxHashMap<SessionId, Vec<(u64, Zxid)>>,
    closed: FxHashMap<SessionId, Zxid>,
}

impl Sessions {
    fn of(decoded: &Decoded<'_>) -> Sessions {
        let mut sessions = Sessions::default();
        for op in &decoded.ops {
            let (Some(ret), Some(zxid)) = (op.ret(), op.zxid) else {
                continue;
            };
            sessions
                .seen
                .entry(op.session)
                .or_default()
                .push((ret, zxid));
            if matches!(op.call, Call::Write(Write::Close)) && op.took_effect() {
                sessions.closed.insert(op.session, zxid);
            }
        }
        for seen in sessions.seen.values_mut() {
            seen.sort_unstable();
            for at in 1..seen.len() {
                seen[at].1 = seen[at].1.max(seen[at - 1].1);
            }
        }
        sessions
    }

    /// Whether the write may have got this zxid: after all that its session had seen, and before the session's end.
    fn may_have(&self, decoded: &Decoded<'_>, at: usize, zxid: Zxid) -> bool {
        let (seen, end) = self.bounds(decoded, at);
        seen < zxid && zxid < end
    }

    /// What the session of the write had seen before, and its end.
    fn bounds(&self, decoded: &Decoded<'_>, at: usize) -> (Zxid, Zxid) {
        let op = &decoded.ops[at];
        let seen = self.seen.get(&op.session).map_or(&[][..], Vec::as_slice);
        let before = seen.partition_point(|(line, _)| *line < op.inv());
        let seen = seen[..before].last().map_or(Zxid::MIN, |(_, seen)| *seen);
        let end = self.closed.get(&op.session).copied();
        (seen, end.unwrap_or(Zxid::MAX))
    }
}
