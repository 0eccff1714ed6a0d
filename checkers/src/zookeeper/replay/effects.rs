//! Which indeterminate writes took effect, and at which zxid, as far as answers show it.

use super::super::call::{Call, DataId, Look, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::super::decode::Decoded;
use super::super::given::given;
use super::names::{Names, Picks};
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

impl Claim {
    /// The znode whose Stat shows it.
    fn about(&self) -> PathId {
        match self {
            Claim::Made(path, _) | Claim::Set(path, _) | Claim::Child(path) => *path,
        }
    }
}

/// Indeterminate writes with the zxids that they may have.
pub(in super::super) type Way = Vec<(usize, Zxid)>;

/// A zxid that answers show, and of which it is not clear whose it is.
#[derive(Debug, Clone)]
pub(in super::super) struct Doubt {
    pub(in super::super) zxid: Zxid,
    /// Indeterminate writes that may have it.
    pub(in super::super) fitting: Vec<usize>,
    /// Or else it is older than the history, or of one that has another name.
    is_open: bool,
}

/// The indeterminate writes: those with a zxid, and the pool of the others.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Effects {
    /// Indeterminate writes and the zxids that answers show of them.
    pub(in super::super) placed: Vec<(usize, Zxid)>,
    /// Those that may have had another zxid, or none: several would have fitted.
    uncertain: FxHashSet<usize>,
    doubtful: Vec<Doubt>,
    /// Names that lost creates of sequential znodes may have made.
    names: Names,
    picks: Picks,
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
    /// Finds them; or two writes with one zxid. Gives lost creates of sequential znodes the names that are picked, or that are likely.
    pub(super) fn find<'h>(
        decoded: &mut Decoded<'h>,
        picks: Option<&Picks>,
    ) -> Result<Effects, Box<Misfit<'h>>> {
        let known = known(decoded)?;
        let sessions = Sessions::of(decoded);
        let names = Names::of(decoded, |at, zxid| sessions.may_have(decoded, at, zxid));
        let picks = picks.cloned().unwrap_or_else(|| names.first());
        names.give(decoded, &picks);
        let mut effects = Effects {
            sessions,
            uncertain: names.uncertain().map(|(at, _)| at).collect(),
            names,
            picks,
            ..Effects::default()
        };
        let open: Vec<usize> = (0..decoded.ops.len())
            .filter(|at| decoded.ops[*at].may_take_effect())
            .collect();
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
        let mut shown: Vec<Doubt> = Vec::new();
        let oldest = known.iter().min().copied().unwrap_or(Zxid::MAX);
        let there = are_given(decoded);
        let named: FxHashSet<PathId> = (effects.names.uncertain().map(|(_, path)| path)).collect();
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
            let is_older =
                zxid < oldest && claims.iter().all(|claim| there[claim.about().0 as usize]);
            let first = fitting.iter().copied().find(|at| !used.contains(at));
            let made_by_name = claims.iter().any(|claim| match claim {
                Claim::Made(path, _) => named.contains(path),
                _ => false,
            });
            let is_open = is_older || made_by_name;
            // One that was given another zxid may have had this one.
            let in_doubt = is_open || fitting.len() > 1;
            shown.push(Doubt {
                zxid,
                fitting,
                is_open,
            });
            let Some(at) = first else {
                continue;
            };
            if in_doubt {
                effects.uncertain.insert(at);
            }
            used.insert(at);
            effects.placed.push((at, zxid));
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
        for (at, path) in effects.names.uncertain() {
            effects.concerning.entry(path).or_default().push(at);
        }
        for list in effects.concerning.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        Ok(effects)
    }

    /// Names that lost creates of sequential znodes may have made, and those that they have here.
    pub(in super::super) fn names(&self) -> (&Names, &Picks) {
        (&self.names, &self.picks)
    }

    /// Every way in which the zxids that answers show can belong to indeterminate writes; none if there are more than so many ways.
    /// Where it is clear whose they are, no way tells of them.
    pub(in super::super) fn ways(&self, most: usize) -> Option<Vec<Way>> {
        let mut ways: Vec<Way> = vec![Vec::new()];
        for doubt in &self.doubtful {
            let (zxid, fitting) = (&doubt.zxid, &doubt.fitting);
            let mut next = Vec::new();
            for way in ways {
                let taken = |at: &usize| way.iter().any(|(other, _)| other == at);
                let free: Vec<usize> = fitting.iter().copied().filter(|at| !taken(at)).collect();
                let with = |at: usize| way.iter().copied().chain([(at, *zxid)]).collect();
                next.extend(free.iter().copied().map(with));
                // If nobody is left who may have it, what shows it fits nowhere.
                if free.is_empty() || doubt.is_open {
                    next.push(way);
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
        let in_doubt = |at: &usize| self.doubtful.iter().any(|doubt| doubt.fitting.contains(at));
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
            .extend(self.doubtful.iter().map(|doubt| doubt.zxid));
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
        let fitting = self.doubtful.iter().map(|doubt| &doubt.fitting);
        fitting.flatten().any(|other| *other == at)
    }

    /// Zxids that answers show and of which it is doubtful whose they are. Ascending.
    pub(in super::super) fn doubtful(&self) -> &[Doubt] {
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

/// Of the zxids that answers show, those about which it is not clear whose they are: several writes may have them, or one that may have
/// several of them, or they may be of none.
fn doubtful(shown: Vec<Doubt>) -> Vec<Doubt> {
    let mut times: FxHashMap<usize, usize> = FxHashMap::default();
    for at in shown.iter().flat_map(|doubt| &doubt.fitting) {
        *times.entry(*at).or_default() += 1;
    }
    let clear = |doubt: &Doubt| match &doubt.fitting[..] {
        [only] => times[only] == 1 && !doubt.is_open,
        fitting => fitting.is_empty(),
    };
    let mut doubtful = shown;
    doubtful.retain(|doubt| !clear(doubt));
    doubtful
}

/// By path: whether it was there before the history.
fn are_given(decoded: &Decoded<'_>) -> Vec<bool> {
    let mut there = vec![false; decoded.paths.len()];
    for (path, _) in given(decoded) {
        there[path.0 as usize] = true;
    }
    there
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
            // With a part that sets it, a multi leaves other data.
            *made == Some(*path) && (is(wanted, data) || write.steps().len() > 1)
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
