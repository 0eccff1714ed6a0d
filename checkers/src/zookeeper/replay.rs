//! The witness by zxid: a whole history replayed through the tree, in the order that the zxids tell.
//!
//! Writes happen at their zxids; errors that the tree decided are held against the tree at theirs; each read is placed where its
//! session and its reply's zxid put it, and must show the tree as it was there. What fits is a proof; the first that does not
//! is an exact witness, for ZooKeeper promises that order. One pass, a logarithm for sorting.
//!
//! Indeterminate writes take part where an answer shows their effect: a `czxid`, `mzxid` or `pzxid` that no other write has is
//! the zxid of the one that fits. Others are put in where an answer cannot be explained without them, the oldest first; if
//! that does not explain it, and one of them could have to do with it, nothing is claimed: the replay is *open*.

mod effects;
mod names;
mod placing;

use super::call::{Call, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::decode::Decoded;
use super::given::given;
use super::tree::{self, Nodes, Table};
use crate::contract::ReplyZxid;
use crate::history::Operation;
use crate::reads::ReadMode;
pub(super) use effects::Effects;
pub(super) use names::{Names, Next, Picks};
use placing::{Due, Schedule};
use rustc_hash::FxHashSet;

/// What the replay says.
#[derive(Debug)]
pub(super) enum Replayed<'h> {
    /// Every answer fits: the order is proved.
    Fits(Tally),
    /// This one does not, whatever became of indeterminate writes.
    Misfit(Box<Misfit<'h>>, Tally),
    /// It cannot be told by the zxids: why.
    Open(String, Tally),
}

/// An answer that fits no place, and what shows that.
#[derive(Debug)]
pub(super) struct Misfit<'h> {
    pub(super) kind: &'static str,
    pub(super) text: String,
    /// The last one is the answer that does not fit.
    pub(super) operations: Vec<Operation<'h>>,
    pub(super) zxid: Zxid,
}

/// How many operations took which part.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) writes: usize,
    pub(super) errors: usize,
    pub(super) reads: usize,
    /// Indeterminate writes whose zxid an answer shows.
    pub(super) shown: usize,
    /// Indeterminate writes that were put in to explain an answer.
    pub(super) put_in: usize,
    /// Indeterminate writes that nothing shows.
    pub(super) unseen: usize,
}

/// What a replay must know of the system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) reply_zxid: ReplyZxid,
    pub(super) sync_is_owed: bool,
}

impl Rules {
    /// Whether an operation must see all that was acknowledged before it began.
    pub(super) fn is_linearizable(self, op: &Op<'_>) -> bool {
        match (&op.call, &op.outcome) {
            (Call::Read { mode, .. }, _) => match mode {
                Some(ReadMode::Local) => false,
                Some(ReadMode::Sync) => self.sync_is_owed,
                Some(ReadMode::Fenced) | None => true,
            },
            (Call::Write(_), _) => true,
            (Call::Other, _) => false,
        }
    }
}

/// Finds which indeterminate writes took effect, as far as answers show it, and gives what they made its names; or finds what
/// no order at all can explain: writes with one zxid, zxids against real time, a session that went back.
pub(super) fn prepare<'h>(decoded: &mut Decoded<'h>) -> Result<Effects, Box<Misfit<'h>>> {
    let effects = Effects::find(decoded, None)?;
    match against_real_time(decoded) {
        Some(misfit) => Err(Box::new(misfit)),
        None => Ok(effects),
    }
}

/// The same, with other names for sequential znodes whose creates were lost; none if that cannot be.
pub(super) fn prepare_otherwise(decoded: &mut Decoded<'_>, picks: &Picks) -> Option<Effects> {
    Effects::find(decoded, Some(picks)).ok()
}

/// An answer that no tree gives, whatever happened before it.
pub(super) fn given_by_no_tree<'h>(decoded: &Decoded<'h>) -> Option<Misfit<'h>> {
    decoded.ops.iter().find_map(|op| {
        let code = op.wrong_error()?;
        Some(Misfit {
            kind: "wrong-error",
            text: format!(
                "{} has the error {}, and a read has none but NoNode",
                what(op),
                code.word()
            ),
            operations: vec![op.operation],
            zxid: op.zxid.unwrap_or(0),
        })
    })
}

/// A reply to a write that has another zxid than the write.
pub(super) fn wrong_reply<'h>(decoded: &Decoded<'h>, rules: Rules) -> Option<Misfit<'h>> {
    decoded.ops.iter().find_map(|op| {
        let (reply, own) = Decoded::wrong_reply(op, rules.reply_zxid)?;
        Some(Misfit {
            kind: "wrong-reply-zxid",
            text: format!(
                "{} was done at zxid {own:#x} by its Stat, and its reply has zxid {reply:#x}",
                what(op)
            ),
            operations: vec![op.operation],
            zxid: own,
        })
    })
}

/// An operation that was answered without a zxid, if there is one: then the zxids do not tell the order of all.
pub(super) fn without_zxid<'a, 'h>(decoded: &'a Decoded<'h>) -> Option<&'a Op<'h>> {
    let answered = |op: &&Op<'_>| {
        matches!(op.outcome, Outcome::Done(_) | Outcome::Refused(..))
            && !matches!(op.call, Call::Other)
    };
    let mut answered = decoded.ops.iter().filter(answered);
    answered.find(|op| op.zxid.is_none())
}

/// A session's reply that is older than one before it, wherever both have a zxid.
pub(super) fn session_went_back<'h>(decoded: &Decoded<'h>) -> Option<Misfit<'h>> {
    let (at, before) = placing::went_back(decoded)?;
    Some(went_back(&decoded.ops[at], &decoded.ops[before]))
}

fn went_back<'h>(op: &Op<'h>, seen: &Op<'h>) -> Misfit<'h> {
    let zxid = op.zxid.unwrap_or(0);
    Misfit {
        kind: "session-went-back",
        text: format!(
            "a session's reply has zxid {zxid:#x} after it had seen {:#x}",
            seen.zxid.unwrap_or(0)
        ),
        operations: vec![seen.operation, op.operation],
        zxid,
    }
}

/// Replays a history in which every answer has a zxid.
pub(super) fn replay<'h>(decoded: &Decoded<'h>, rules: Rules, effects: Effects) -> Replayed<'h> {
    let mut replay = Replay::new(decoded, rules, effects);
    match replay.run() {
        Ok(()) => Replayed::Fits(replay.tally),
        Err(Stop::Misfit(misfit)) => Replayed::Misfit(misfit, replay.tally),
        Err(Stop::Open(text)) => Replayed::Open(text, replay.tally),
    }
}

/// What is wrong whatever became of indeterminate writes: a session that went back, an answer that comes before a write that was
/// invoked after it returned, or that does not see what had been acknowledged.
pub(super) fn against_what_is_certain<'h>(
    decoded: &Decoded<'h>,
    rules: Rules,
    effects: &Effects,
) -> Option<Misfit<'h>> {
    if let Some(misfit) = session_went_back(decoded) {
        return Some(misfit);
    }
    let mut replay = Replay::new(decoded, rules, effects.clone());
    let answered = decoded.ops.iter().enumerate().filter(|(_, op)| {
        op.ret().is_some() && op.operation.is_ok() && !matches!(op.call, Call::Other)
    });
    let mut places: Vec<(Zxid, bool, usize)> = answered
        .filter_map(|(at, op)| Some((op.zxid?, !op.took_effect(), at)))
        .collect();
    places.sort_unstable();
    for (zxid, looks, at) in places {
        let op = replay.op(at);
        let held = match looks {
            true => replay
                .in_time(at, zxid, "future-read")
                .and_then(|()| replay.fresh(at, zxid)),
            false => replay.in_time(at, zxid, "zxid-against-real-time"),
        };
        if let Err(Stop::Misfit(misfit)) = held {
            return Some(*misfit);
        }
        let later = |latest: usize| replay.op(latest).inv() < op.inv();
        if !looks && replay.latest.is_none_or(later) {
            replay.latest = Some(at);
        }
    }
    None
}

/// An answer that does not fit at its zxid, whatever became of indeterminate writes: with the last writes before it of its znodes, and the
/// indeterminate ones.
pub(super) fn fits_nowhere<'h>(
    decoded: &Decoded<'h>,
    effects: &Effects,
    at: usize,
    why: &str,
) -> Misfit<'h> {
    let op = &decoded.ops[at];
    let zxid = op.zxid.unwrap_or(0);
    let about = touched(decoded, op);
    let mut shown: Vec<usize> = Vec::new();
    for path in &about {
        let ephemeral = |step: &Step<'_>| step.is_ephemeral() && step.path() == Some(*path);
        let owners: FxHashSet<SessionId> = decoded
            .ops
            .iter()
            .filter(|other| matches!(&other.call, Call::Write(write) if write.steps().iter().any(ephemeral)))
            .map(|other| other.session)
            .collect();
        let changed = |other: &Op<'_>| {
            let ends =
                matches!(other.call, Call::Write(Write::Close)) && owners.contains(&other.session);
            other.took_effect()
                && other.zxid <= op.zxid
                && (ends || touched(decoded, other).contains(path))
        };
        let before = (0..decoded.ops.len()).filter(|other| changed(&decoded.ops[*other]));
        shown.extend(
            before
                .filter(|other| *other != at)
                .max_by_key(|other| decoded.ops[*other].zxid),
        );
    }
    let about: FxHashSet<PathId> = about.into_iter().collect();
    shown.extend(effects.candidates(decoded, &about, op, zxid));
    shown.sort_unstable();
    shown.dedup();
    Misfit {
        kind: match op.took_effect() {
            true => "write-does-not-fit",
            false => "answer-does-not-fit",
        },
        text: format!(
            "{} of zxid {zxid:#x} does not fit there, whatever became of indeterminate writes: {why}",
            what(op)
        ),
        operations: shown
            .into_iter()
            .chain([at])
            .map(|at| decoded.ops[at].operation)
            .collect(),
        zxid,
    }
}

enum Stop<'h> {
    Misfit(Box<Misfit<'h>>),
    Open(String),
}

/// Tries of indeterminate writes for one answer, at most.
const TRIES: usize = 256;
/// Indeterminate writes that are put in for one answer, at most.
const DEPTH: usize = 4;

/// The zxid of what was put in: no answer shows it, or it would have been placed there.
pub(super) const UNSEEN: Zxid = -1;

struct Replay<'a, 'h> {
    decoded: &'a Decoded<'h>,
    rules: Rules,
    effects: Effects,
    table: Table,
    tally: Tally,
    /// The write among those done that was invoked last.
    latest: Option<usize>,
    /// Whether that is known for certain to have been done by now.
    latest_is_certain: bool,
    /// What had been acknowledged by each line: (line, zxid so far, by whom).
    floors: Vec<(u64, Zxid, usize)>,
    /// The write that changed each znode last.
    last_change: Vec<Option<usize>>,
    /// For each line at which anything was answered, the newest zxid that had been seen by then.
    answered: Vec<(u64, Zxid)>,
    /// The last zxid at which each znode was changed or looked at: what is put in before that would have been seen.
    last_touch: Vec<Zxid>,
}

impl<'a, 'h> Replay<'a, 'h> {
    fn new(decoded: &'a Decoded<'h>, rules: Rules, effects: Effects) -> Replay<'a, 'h> {
        let table = Table::new(&decoded.paths, &given(decoded));
        let tally = Tally {
            shown: effects.placed.len(),
            unseen: effects.pool.len(),
            ..Tally::default()
        };
        Replay {
            decoded,
            rules,
            effects,
            table,
            tally,
            latest: None,
            latest_is_certain: true,
            floors: floors(decoded, rules),
            answered: answered(decoded, rules),
            last_change: vec![None; decoded.paths.len()],
            last_touch: vec![Zxid::MIN; decoded.paths.len()],
        }
    }

    fn op(&self, at: usize) -> &'a Op<'h> {
        &self.decoded.ops[at]
    }

    fn run(&mut self) -> Result<(), Stop<'h>> {
        let mut schedule = Schedule::new(self.decoded, self.rules, &self.effects);
        while let Some((zxid, due)) = schedule.next() {
            match due {
                Due::Write(at) => {
                    self.write(at, zxid)?;
                    self.touch(at, zxid);
                    schedule.done(at, zxid);
                }
                Due::Look(at) => match self.look(at, zxid, schedule.is_last_chance(at, zxid))? {
                    true => {
                        self.touch(at, zxid);
                        schedule.done(at, zxid);
                    }
                    false => schedule.wait(at),
                },
                Due::Back(at, before) => {
                    let misfit = went_back(self.op(at), self.op(before));
                    return Err(Stop::Misfit(Box::new(misfit)));
                }
            }
        }
        Ok(())
    }

    fn touch(&mut self, at: usize, zxid: Zxid) {
        for path in touched(self.decoded, self.op(at)) {
            self.last_touch[path.0 as usize] = zxid;
        }
    }

    /// Does a write at its zxid.
    fn write(&mut self, at: usize, zxid: Zxid) -> Result<(), Stop<'h>> {
        let op = self.op(at);
        let certain = op.took_effect();
        let ends = match op.call {
            Call::Write(Write::Close) => self.table.ephemerals(op.session),
            _ => Vec::new(),
        };
        self.tally.writes += 1;
        self.in_time(at, zxid, "zxid-against-real-time")?;
        if let Err(why) = self.attempt(at, Some(zxid)) {
            if !certain {
                let text = format!(
                    "an indeterminate write that seems to be zxid {zxid:#x} does not fit there: {why}"
                );
                return Err(Stop::Open(text));
            }
            self.explain(at, zxid, why, "write-does-not-fit", |replay| {
                replay.attempt(at, Some(zxid))
            })?;
        }
        self.done(at);
        for path in ends {
            self.last_change[path.0 as usize] = Some(at);
        }
        Ok(())
    }

    fn done(&mut self, at: usize) {
        self.table.keep();
        let op = self.op(at);
        for path in touched(self.decoded, op) {
            self.last_change[path.0 as usize] = Some(at);
        }
        if self
            .latest
            .is_none_or(|latest| self.op(latest).inv() < op.inv())
        {
            self.latest = Some(at);
            self.latest_is_certain = op.took_effect() || self.effects.is_certain(at);
        }
    }

    /// Does it if it fits, else leaves the tree as it was.
    fn attempt(&mut self, at: usize, zxid: Option<Zxid>) -> Result<(), String> {
        let mark = self.table.mark();
        let (paths, op) = (&self.decoded.paths, self.op(at));
        let result = tree::perform(&mut self.table, paths, op, zxid);
        if result.is_err() {
            self.table.undo(mark);
        }
        result
    }

    /// Holds an answer against the tree as it is; whether it fits. If it does not, and this is its last chance, says so.
    fn look(&mut self, at: usize, zxid: Zxid, last: bool) -> Result<bool, Stop<'h>> {
        if let Err(why) = self.shows(at) {
            if !last {
                return Ok(false);
            }
            self.explain(at, zxid, why, "answer-does-not-fit", |replay| {
                replay.shows(at)
            })?;
        }
        let op = self.op(at);
        match op.call {
            Call::Read { .. } => self.tally.reads += 1,
            _ => self.tally.errors += 1,
        }
        self.in_time(at, zxid, "future-read")?;
        self.fresh(at, zxid)?;
        if let (Call::Read { path, look, .. }, Outcome::Done(answer)) = (&op.call, &op.outcome) {
            tree::learn(&mut self.table, *path, *look, answer);
            self.table.keep();
        }
        Ok(true)
    }

    /// Whether the tree gives this answer.
    fn shows(&mut self, at: usize) -> Result<(), String> {
        let op = self.op(at);
        let paths = &self.decoded.paths;
        match (&op.call, &op.outcome) {
            (Call::Read { path, look, .. }, Outcome::Done(answer)) => {
                tree::fits(&self.table, paths, *path, *look, answer)
            }
            (Call::Read { path, .. }, Outcome::Refused(..)) => match self.table.get(*path) {
                Some(_) => Err(format!("there is {}", paths.name(*path))),
                None => Ok(()),
            },
            (Call::Write(_), Outcome::Refused(code, results)) => {
                let mark = self.table.mark();
                let result = tree::refuses(&mut self.table, paths, op, *code, results.as_deref());
                self.table.undo(mark);
                result
            }
            _ => Ok(()),
        }
    }

    /// Nothing that is done by now may have been invoked after this returned.
    fn in_time(&self, at: usize, zxid: Zxid, kind: &'static str) -> Result<(), Stop<'h>> {
        let op = self.op(at);
        let (Some(latest), Some(ret)) = (self.latest, op.ret()) else {
            return Ok(());
        };
        let later = self.op(latest);
        if later.inv() <= ret {
            return Ok(());
        }
        if !self.latest_is_certain {
            return Err(Stop::Open(format!(
                "the indeterminate write at index {} was invoked after what zxid {zxid:#x} answers",
                later.inv()
            )));
        }
        let text = format!(
            "{} of zxid {zxid:#x} had returned before a write that comes before it was even invoked",
            what(op)
        );
        Err(misfit(
            kind,
            text,
            vec![later.operation, op.operation],
            zxid,
        ))
    }

    /// What owes it sees everything that was acknowledged before it began.
    fn fresh(&self, at: usize, zxid: Zxid) -> Result<(), Stop<'h>> {
        let op = self.op(at);
        // A reply may be stamped later than the read: its own zxid is the newest that it may have seen.
        let view = op.zxid.unwrap_or(zxid).max(zxid);
        if !self.rules.is_linearizable(op) {
            return Ok(());
        }
        let before = self.floors.partition_point(|(line, ..)| *line < op.inv());
        let Some((_, floor, by)) = self.floors[..before].last().copied() else {
            return Ok(());
        };
        if floor <= view {
            return Ok(());
        }
        let text = format!(
            "{} shows zxid {view:#x}, and {floor:#x} had been acknowledged before it began",
            what(op)
        );
        Err(misfit(
            "stale-answer",
            text,
            vec![self.op(by).operation, op.operation],
            view,
        ))
    }

    /// An answer does not fit: puts in indeterminate writes that explain it, or says that none can, or that it cannot be told.
    fn explain(
        &mut self,
        at: usize,
        zxid: Zxid,
        why: String,
        kind: &'static str,
        mut fits: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), Stop<'h>> {
        let op = self.op(at);
        let about: FxHashSet<PathId> = touched(self.decoded, op).into_iter().collect();
        let mut candidates = self.effects.candidates(self.decoded, &about, op, zxid);
        candidates.truncate(DEPTH * 4);
        let mut tries = TRIES;
        let mut chosen = Vec::new();
        // A look at a zxid may see what was done at it; a write has its zxid for itself.
        let limit = zxid - Zxid::from(op.took_effect() || op.may_take_effect());
        if self.search(&candidates, &mut chosen, &mut tries, limit, &mut fits) {
            let zxids = self.free_zxids(&chosen, limit).unwrap_or_default();
            for (put_in, zxid) in chosen.iter().zip(zxids) {
                self.effects.take(*put_in, zxid);
                self.touch(*put_in, zxid);
                self.tally.put_in += 1;
                self.tally.unseen -= 1;
                self.done(*put_in);
            }
            return self.in_time(at, zxid, kind);
        }
        self.table.undo(0);
        let text = format!("{} of zxid {zxid:#x} does not fit there: {why}", what(op));
        if self.effects.may_concern(self.decoded, &about, op) {
            return Err(Stop::Open(format!(
                "{text}; indeterminate writes may have to do with it"
            )));
        }
        let changes = about
            .iter()
            .filter_map(|path| self.last_change[path.0 as usize]);
        let mut changes: Vec<usize> = changes.collect();
        changes.sort_unstable();
        changes.dedup();
        let operations = changes
            .into_iter()
            .chain([at])
            .map(|at| self.op(at).operation);
        Err(misfit(kind, text, operations.collect(), zxid))
    }

    /// Zxids that no write has, one for each of these in this order, the last one up to the limit; each after all that its
    /// session and its znodes have seen.
    fn free_zxids(&self, chosen: &[usize], limit: Zxid) -> Option<Vec<Zxid>> {
        let mut zxids = Vec::with_capacity(chosen.len());
        let mut next = limit;
        for at in chosen.iter().rev() {
            let seen = |path: &PathId| self.last_touch[path.0 as usize];
            let paths = self.effects.reach(self.decoded, *at);
            let after = paths.iter().map(seen).max().unwrap_or(Zxid::MIN);
            let before = self
                .answered
                .partition_point(|(ret, _)| *ret < self.op(*at).inv());
            let answered = self.answered[..before].last().map_or(0, |(_, zxid)| *zxid);
            let after = after.max(answered).max(0);
            while next > after && self.effects.is_used(next) {
                next -= 1;
            }
            if next <= after || !self.effects.may_have(self.decoded, *at, next) {
                return None;
            }
            zxids.push(next);
            next -= 1;
        }
        zxids.reverse();
        Some(zxids)
    }

    /// Depth first: which of the candidates, in which order, make it fit.
    fn search(
        &mut self,
        candidates: &[usize],
        chosen: &mut Vec<usize>,
        tries: &mut usize,
        limit: Zxid,
        fits: &mut impl FnMut(&mut Self) -> Result<(), String>,
    ) -> bool {
        if chosen.len() == DEPTH {
            return false;
        }
        for candidate in candidates {
            if *tries == 0 {
                return false;
            }
            *tries -= 1;
            if chosen.contains(candidate) {
                continue;
            }
            let mark = self.table.mark();
            if self.attempt(*candidate, Some(UNSEEN)).is_err() {
                continue;
            }
            chosen.push(*candidate);
            let fits_now = fits(self).is_ok() && self.free_zxids(chosen, limit).is_some();
            if fits_now || self.search(candidates, chosen, tries, limit, fits) {
                return true;
            }
            chosen.pop();
            self.table.undo(mark);
        }
        false
    }
}

fn misfit<'h>(
    kind: &'static str,
    text: String,
    operations: Vec<Operation<'h>>,
    zxid: Zxid,
) -> Stop<'h> {
    Stop::Misfit(Box::new(Misfit {
        kind,
        text,
        operations,
        zxid,
    }))
}

/// The operation in words.
pub(super) fn what(op: &Op<'_>) -> String {
    match op.operation.key() {
        Some(key) => format!("`{}` of {key}", op.operation.f()),
        None => format!("`{}`", op.operation.f()),
    }
}

/// The znodes that an operation's outcome depends on or changes: those it names, and their parents.
pub(super) fn touched(decoded: &Decoded<'_>, op: &Op<'_>) -> Vec<PathId> {
    let mut paths: Vec<PathId> = match &op.call {
        Call::Read { path, .. } => vec![*path],
        Call::Write(write) => write
            .steps()
            .iter()
            .flat_map(|step| {
                let above = match step {
                    Step::Create { parent, .. } => *parent,
                    Step::Delete { path, .. } => decoded.paths.parent(*path),
                    _ => None,
                };
                step.path().into_iter().chain(above)
            })
            .collect(),
        Call::Other => Vec::new(),
    };
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// For each line at which something linearizable was answered, the newest zxid that had been answered by then.
fn floors(decoded: &Decoded<'_>, rules: Rules) -> Vec<(u64, Zxid, usize)> {
    let mut floors: Vec<(u64, Zxid, usize)> = Vec::new();
    for (at, op) in decoded.ops.iter().enumerate() {
        let exact = match (&op.call, &op.outcome) {
            (Call::Read { .. }, Outcome::Done(_) | Outcome::Refused(..)) => {
                rules.is_linearizable(op) && rules.reply_zxid == ReplyZxid::OfTheRead
            }
            (Call::Write(_), Outcome::Done(_) | Outcome::Refused(..)) => true,
            _ => false,
        };
        if let (true, Some(ret), Some(zxid)) = (exact, op.ret(), op.zxid) {
            floors.push((ret, zxid, at));
        }
    }
    floors.sort_unstable();
    for at in 1..floors.len() {
        if floors[at].1 < floors[at - 1].1 {
            let (line, ..) = floors[at];
            floors[at] = (line, floors[at - 1].1, floors[at - 1].2);
        }
    }
    floors
}

/// The newest zxid that had been seen by each line. Where a read's reply may be stamped later, it does not tell.
pub(super) fn answered(decoded: &Decoded<'_>, rules: Rules) -> Vec<(u64, Zxid)> {
    let exact = rules.reply_zxid == ReplyZxid::OfTheRead;
    let tells = |op: &&Op<'_>| exact || matches!(op.call, Call::Write(_));
    let told = decoded
        .ops
        .iter()
        .filter(tells)
        .filter_map(|op| Some((op.ret()?, op.zxid?)));
    let mut answered: Vec<(u64, Zxid)> = told.collect();
    answered.sort_unstable();
    for at in 1..answered.len() {
        answered[at].1 = answered[at].1.max(answered[at - 1].1);
    }
    answered
}

/// Two acknowledged writes whose zxids contradict real time: those with the least zxid.
fn against_real_time<'h>(decoded: &Decoded<'h>) -> Option<Misfit<'h>> {
    let sure = decoded.ops.iter().filter(|op| op.took_effect());
    let mut writes: Vec<(Zxid, &Op<'h>)> = sure.filter_map(|op| Some((op.zxid?, op))).collect();
    writes.sort_unstable_by_key(|(zxid, op)| (*zxid, op.inv()));
    let mut latest: Option<&Op<'h>> = None;
    for (zxid, op) in writes {
        if let (Some(before), Some(ret)) = (latest, op.ret())
            && ret < before.inv()
        {
            let text = format!(
                "{} of zxid {zxid:#x} had returned before a write that comes before it was even invoked",
                what(op)
            );
            return Some(Misfit {
                kind: "zxid-against-real-time",
                text,
                operations: vec![before.operation, op.operation],
                zxid,
            });
        }
        latest = latest.filter(|latest| latest.inv() > op.inv()).or(Some(op));
    }
    None
}
