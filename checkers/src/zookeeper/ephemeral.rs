//! Ephemeral znodes: a session's go all at once, with the session, neither too early nor too late.

use super::call::{Call, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::decode::{Decoded, decoded};
use crate::breaches::Breaches;
use crate::contract::{self, ReplyZxid};
use crate::history::{History, Nanos, Operation};
use crate::parameters::Parameters;
use crate::reads::ReadMode;
use crate::timeline::Timeline;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::BTreeMap;

const NAME: &str = "ephemeral";

/// Time beyond its time-out that a session may live: ticks by which servers round up, and an election with its aftermath.
const GRACE: Nanos = Nanos(10_000_000_000);

/// The checker `ephemeral`.
///
/// Ephemeral znodes: a session's go all at once, with the session, neither too early nor too late.
///
/// It proves, in the order of the zxids: all of a session's ephemeral znodes that nobody deleted are gone from one zxid on, that
/// of its closeSession where an answer tells it: no reply of a view from there on shows one, none of a view before misses one, and no
/// write of the session has a later zxid. That holds under every fault. Plain reads of a lagging server may still show them later
/// in real time; they have older views.
///
/// *Not too early*: a session that was heard of less than its time-out ago (`timeout_ms` on any of its lines) and that nobody closed
/// still has its znodes. *Not too late*: they are gone from linearizable reads within time-out, tick and an election (and the last
/// heal) after the `close` of a session that was left to expire. Both are clocks' business: where a fault or a change of roles touched the
/// interval, a breach is reported as outside the contract.
///
/// Anomalies: `ephemeral-survived`, `ephemeral-not-at-once`, `write-after-close`, `ephemeral-too-early`, `ephemeral-too-late`.
///
/// It takes [operations on the tree](super): creates with `ephemeral`, and any reads. Nothing is claimed of a znode that an
/// indeterminate delete may have taken.
///
/// Details: `{"sessions", "ephemerals", "closed", "judged_in_time"}`: sessions with ephemeral znodes, these, sessions whose end has a
/// known zxid, and observations that were held against clocks.
#[derive(Debug, Clone)]
pub struct Ephemeral {
    exact: bool,
}

impl Ephemeral {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> Ephemeral {
        Ephemeral {
            exact: contract::reply_zxid(&parameters.contract) == ReplyZxid::OfTheRead,
        }
    }
}

impl Checker for Ephemeral {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let decoded = match decoded(history, NAME) {
            Ok(decoded) => decoded,
            Err(finding) => return *finding,
        };
        let mut census = Census::of(&decoded);
        census.look(&decoded, self.exact);
        let mut breaches = Breaches::default();
        census.judge_order(&decoded, &mut breaches);
        let mut outside = Breaches::default();
        let clocks = Clocks::of(history, &decoded);
        let judged = census.judge_time(&decoded, &clocks, &mut breaches, &mut outside);
        let nothing = census.znodes.is_empty().then(|| Reason {
            checker: NAME.to_owned(),
            text: "no ephemeral znode was acknowledged: nothing was tested".to_owned(),
        });
        let details = json!({
            "sessions": census.sessions.len(),
            "ephemerals": census.znodes.len(),
            "closed": census.sessions.values().filter(|session| session.closed.is_some()).count(),
            "judged_in_time": judged,
        });
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), nothing.into_iter().collect()),
            outside_contract: outside.into_anomalies(NAME),
            details,
        }
    }
}

/// An ephemeral znode whose creation was acknowledged.
#[derive(Debug)]
struct Znode {
    path: PathId,
    czxid: Zxid,
    owner: SessionId,
    made: usize,
    /// When somebody deleted it; `Some(None)`: an indeterminate delete may have.
    deleted: Option<Option<Zxid>>,
    /// The newest view that shows it, the oldest one from `czxid` on that misses it.
    shown: Option<(Zxid, usize)>,
    missed: Option<(Zxid, usize)>,
    /// The observations in time: misses and (linearizable) sights.
    misses: Vec<usize>,
    sights: Vec<usize>,
}

/// A session with ephemeral znodes.
#[derive(Debug, Default)]
struct Session {
    /// The zxid of its closeSession, and who tells.
    closed: Option<(Zxid, usize)>,
    /// Its closes, answered or not.
    closes: Vec<usize>,
    znodes: Vec<usize>,
}

struct Census {
    znodes: Vec<Znode>,
    sessions: BTreeMap<SessionId, Session>,
    by_path: FxHashMap<PathId, Vec<usize>>,
    /// Paths of ephemeral znodes, by their parents.
    by_parent: FxHashMap<PathId, Vec<PathId>>,
    /// How often each path was, or may have been, created.
    makers: FxHashMap<PathId, usize>,
}

impl Census {
    fn of(decoded: &Decoded<'_>) -> Census {
        let mut census = Census {
            znodes: Vec::new(),
            sessions: BTreeMap::new(),
            by_path: FxHashMap::default(),
            by_parent: FxHashMap::default(),
            makers: FxHashMap::default(),
        };
        for (at, op) in decoded.ops.iter().enumerate() {
            let (Call::Write(write), true, Some(zxid)) = (&op.call, op.took_effect(), op.zxid)
            else {
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
                let place = census.znodes.len();
                census.by_path.entry(*path).or_default().push(place);
                census
                    .sessions
                    .entry(op.session)
                    .or_default()
                    .znodes
                    .push(place);
                census.znodes.push(Znode {
                    path: *path,
                    czxid: zxid,
                    owner: op.session,
                    made: at,
                    deleted: None,
                    shown: None,
                    missed: None,
                    misses: Vec::new(),
                    sights: Vec::new(),
                });
            }
        }
        for places in census.by_path.values_mut() {
            places.sort_by_key(|place| census.znodes[*place].czxid);
        }
        for path in census.by_path.keys() {
            if let Some(parent) = decoded.paths.parent(*path) {
                census.by_parent.entry(parent).or_default().push(*path);
            }
        }
        for (at, op) in decoded.ops.iter().enumerate() {
            census.take_write(at, op);
        }
        census
    }

    fn take_write(&mut self, at: usize, op: &Op<'_>) {
        let Call::Write(write) = &op.call else { return };
        if matches!(write, Write::Close) {
            if let Some(session) = self.sessions.get_mut(&op.session) {
                session.closes.push(at);
                if let (true, Some(zxid)) = (op.took_effect(), op.zxid) {
                    session.closed = Some((zxid, at));
                }
            }
            return;
        }
        for step in write.steps() {
            if let (
                Step::Create {
                    path: Some(path), ..
                },
                true,
            ) = (step, op.took_effect() || op.may_take_effect())
            {
                *self.makers.entry(*path).or_default() += 1;
            }
        }
        for step in write.steps() {
            let Step::Delete { path, .. } = step else {
                continue;
            };
            if op.may_take_effect() {
                // Whichever of the path's znodes it may have taken.
                for place in self.by_path.get(path).into_iter().flatten() {
                    self.znodes[*place].deleted.get_or_insert(None);
                }
            } else if let (true, Some(zxid)) = (op.took_effect(), op.zxid)
                && let Some(place) = self.at(*path, zxid)
            {
                self.znodes[place].deleted.get_or_insert(Some(zxid));
            }
        }
    }

    /// The last ephemeral znode of a path that was made up to a zxid.
    fn at(&self, path: PathId, zxid: Zxid) -> Option<usize> {
        let places = self.by_path.get(&path)?;
        let upto = places.partition_point(|place| self.znodes[*place].czxid <= zxid);
        places[..upto].last().copied()
    }

    /// Takes in every read: what it shows and what it misses.
    fn look(&mut self, decoded: &Decoded<'_>, exact: bool) {
        for (at, op) in decoded.ops.iter().enumerate() {
            let (Call::Read { path, .. }, Some(reply)) = (&op.call, op.zxid) else {
                continue;
            };
            match &op.outcome {
                Outcome::Done(answer) => {
                    // The view is at least as new as what it shows, and at most the reply's zxid.
                    let view = if exact { reply } else { answer.stat.newest() };
                    if let Some(place) = self.at(*path, view)
                        && answer.stat.czxid == Some(self.znodes[place].czxid)
                    {
                        self.see(place, view, at, decoded);
                    }
                    if let (Some(children), true) = (&answer.children, exact) {
                        let below: Vec<usize> = self.of_parent(*path, view);
                        for place in below {
                            match children.binary_search(&self.znodes[place].path) {
                                // A name alone does not tell whose znode it is.
                                Ok(_) if self.makers.get(&self.znodes[place].path) == Some(&1) => {
                                    self.see(place, view, at, decoded);
                                }
                                Ok(_) => {}
                                Err(_) => self.miss(place, view, at),
                            }
                        }
                    }
                }
                // Stamped later, a reply does not tell how old a view misses the znode.
                Outcome::Refused(..) if exact => {
                    if let Some(place) = self.at(*path, reply) {
                        self.miss(place, reply, at);
                    }
                }
                _ => {}
            }
        }
    }

    fn of_parent(&self, parent: PathId, view: Zxid) -> Vec<usize> {
        let paths = self.by_parent.get(&parent).into_iter().flatten();
        let mut places: Vec<usize> = paths.filter_map(|path| self.at(*path, view)).collect();
        places.sort_unstable();
        places
    }

    fn see(&mut self, place: usize, view: Zxid, at: usize, decoded: &Decoded<'_>) {
        let znode = &mut self.znodes[place];
        if znode.shown.is_none_or(|(newest, _)| newest < view) {
            znode.shown = Some((view, at));
        }
        if let Call::Read { mode, .. } = decoded.ops[at].call
            && !matches!(mode, Some(ReadMode::Local))
        {
            znode.sights.push(at);
        }
    }

    fn miss(&mut self, place: usize, view: Zxid, at: usize) {
        let znode = &mut self.znodes[place];
        // Only what its own session's end took is missed; what was deleted before that view is not.
        let deleted = znode
            .deleted
            .is_some_and(|deleted| deleted.is_none_or(|zxid| zxid <= view));
        if deleted {
            return;
        }
        if znode.missed.is_none_or(|(oldest, _)| oldest > view) {
            znode.missed = Some((view, at));
        }
        znode.misses.push(at);
    }

    /// Everything that the order of zxids tells.
    fn judge_order<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) {
        let op = |at: usize| decoded.ops[at].operation;
        for (id, session) in &self.sessions {
            let name = &decoded.sessions[id.0 as usize];
            let znode = |place: &usize| &self.znodes[*place];
            let kept = |znode: &&Znode| znode.deleted.is_none();
            let missed = session
                .znodes
                .iter()
                .map(znode)
                .filter_map(|znode| Some((znode.missed?, znode)));
            let gone = missed.min_by_key(|((view, at), _)| (*view, *at));
            // From this zxid on the session has ended, and who says so.
            let ended = match (session.closed, gone) {
                (Some((zxid, at)), _) => Some((zxid, at)),
                (None, Some(((view, at), _))) => Some((view, at)),
                (None, None) => None,
            };
            let Some((end, by)) = ended else { continue };
            for znode in session.znodes.iter().map(znode).filter(kept) {
                let path = decoded.paths.name(znode.path);
                if let Some((view, at)) = znode.shown.filter(|(view, _)| *view >= end) {
                    let kind = if session.closed.is_some() {
                        "ephemeral-survived"
                    } else {
                        "ephemeral-not-at-once"
                    };
                    let text = format!(
                        "{path} is there at zxid {view:#x}, and session {name} had ended by {end:#x}"
                    );
                    breaches.add(kind, text, vec![op(znode.made), op(by), op(at)]);
                }
            }
            if let (Some((close, by)), Some(((view, at), znode))) = (session.closed, gone)
                && view < close
            {
                let path = decoded.paths.name(znode.path);
                let text = format!(
                    "{path} is missing at zxid {view:#x}, and session {name} ended at {close:#x}"
                );
                breaches.add(
                    "ephemeral-not-at-once",
                    text,
                    vec![op(znode.made), op(at), op(by)],
                );
            }
        }
        self.judge_writes(decoded, breaches);
    }

    /// No write of a session has a zxid after its end.
    fn judge_writes<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) {
        for op in &decoded.ops {
            let Some(session) = self.sessions.get(&op.session) else {
                continue;
            };
            let Some(zxid) = op.zxid.filter(|_| op.took_effect()) else {
                continue;
            };
            let missed = session
                .znodes
                .iter()
                .filter_map(|place| self.znodes[*place].missed)
                .min();
            let end = session.closed.or(missed);
            if let Some((end, by)) = end.filter(|(end, _)| zxid > *end) {
                let name = &decoded.sessions[op.session.0 as usize];
                let text =
                    format!("session {name} wrote at zxid {zxid:#x}, and had ended by {end:#x}");
                breaches.add(
                    "write-after-close",
                    text,
                    vec![decoded.ops[by].operation, op.operation],
                );
            }
        }
    }

    /// What clocks tell; returns how many observations were held against them.
    fn judge_time<'h>(
        &self,
        decoded: &Decoded<'h>,
        clocks: &Clocks<'h>,
        breaches: &mut Breaches<'h>,
        outside: &mut Breaches<'h>,
    ) -> usize {
        let mut judged = 0;
        for znode in &self.znodes {
            let Some(timeout) = clocks.timeouts.get(&znode.owner) else {
                continue;
            };
            let Some(session) = self.sessions.get(&znode.owner) else {
                continue;
            };
            let closed_by = |at: Nanos| {
                let mut closes = session
                    .closes
                    .iter()
                    .map(|close| decoded.ops[*close].operation);
                closes.any(|close| close.start() <= at)
            };
            for at in &znode.misses {
                let miss = decoded.ops[*at].operation;
                let (Some(seen), false) = (miss.end(), miss.end().is_some_and(closed_by)) else {
                    continue;
                };
                let Some(heard) = clocks.heard(znode.owner, seen) else {
                    continue;
                };
                judged += 1;
                if seen.0.saturating_sub(heard.start().0) < timeout.0 {
                    let path = decoded.paths.name(znode.path);
                    let text = format!(
                        "{path} is gone {} ms after its session was heard of, and the time-out is {} ms",
                        seen.0.saturating_sub(heard.start().0) / 1_000_000,
                        timeout.0 / 1_000_000
                    );
                    let into = if clocks.touched(heard.start(), seen) {
                        &mut *outside
                    } else {
                        &mut *breaches
                    };
                    into.add(
                        "ephemeral-too-early",
                        text,
                        vec![decoded.ops[znode.made].operation, heard, miss],
                    );
                }
            }
            let left = session
                .closes
                .iter()
                .filter_map(|close| decoded.ops[*close].operation.end())
                .min();
            let Some(left) = left.filter(|_| znode.deleted.is_none()) else {
                continue;
            };
            let due = Nanos(left.max(clocks.last_heal).0 + timeout.0 + GRACE.0);
            for at in &znode.sights {
                let sight = decoded.ops[*at].operation;
                judged += 1;
                if sight.start() > due {
                    let path = decoded.paths.name(znode.path);
                    let text = format!(
                        "{path} is still there {} ms after its session was left, and the time-out is {} ms",
                        sight.start().0.saturating_sub(left.0) / 1_000_000,
                        timeout.0 / 1_000_000
                    );
                    let into = if clocks.touched(due, sight.start()) {
                        &mut *outside
                    } else {
                        &mut *breaches
                    };
                    into.add(
                        "ephemeral-too-late",
                        text,
                        vec![decoded.ops[znode.made].operation, sight],
                    );
                }
            }
        }
        judged
    }
}

/// Time-outs, signs of life, and what touched the clocks.
struct Clocks<'h> {
    timeouts: FxHashMap<SessionId, Nanos>,
    /// Of each session the requests that were answered, by when they were sent.
    heard: FxHashMap<SessionId, Vec<Operation<'h>>>,
    /// Intervals that no claim about clocks may touch.
    faults: Vec<(Nanos, Nanos)>,
    last_heal: Nanos,
}

impl<'h> Clocks<'h> {
    fn of(history: &History, decoded: &Decoded<'h>) -> Clocks<'h> {
        let mut clocks = Clocks {
            timeouts: FxHashMap::default(),
            heard: FxHashMap::default(),
            faults: Vec::new(),
            last_heal: Nanos(0),
        };
        for op in &decoded.ops {
            let lines = [Some(op.operation.invocation()), op.operation.completion()];
            let timeout = lines
                .into_iter()
                .flatten()
                .find_map(|line| line.int("timeout_ms"));
            if let Some(millis) = timeout.and_then(|millis| u64::try_from(millis).ok()) {
                clocks
                    .timeouts
                    .insert(op.session, Nanos(millis.saturating_mul(1_000_000)));
            }
            if op.operation.is_ok() {
                clocks
                    .heard
                    .entry(op.session)
                    .or_default()
                    .push(op.operation);
            }
        }
        let timeline = Timeline::of(history);
        for episode in timeline.episodes.values() {
            if let Some((from, to)) = episode.interval(timeline.end) {
                clocks.faults.push((from, to));
                clocks.last_heal = clocks.last_heal.max(to);
            }
        }
        clocks
            .faults
            .extend(timeline.stalls.iter().map(|stall| (stall.from, stall.to)));
        clocks
            .faults
            .extend(timeline.roles.iter().map(|role| (role.at, role.at)));
        clocks
    }

    fn touched(&self, from: Nanos, to: Nanos) -> bool {
        self.faults
            .iter()
            .any(|(begins, ends)| *begins <= to && from <= *ends)
    }

    /// The last request of the session that was sent, and answered, by this time.
    fn heard(&self, session: SessionId, by: Nanos) -> Option<Operation<'h>> {
        let heard = self.heard.get(&session)?;
        let in_time = |operation: &&Operation<'h>| operation.end().is_some_and(|end| end <= by);
        heard.iter().rev().find(in_time).copied()
    }
}
