//! In which order operations are held against the tree: writes at their zxids, each look after the write that it may show.
//!
//! Where a reply's zxid is that of the read exactly, the read stands there. Where it may be stamped later, the read is tried
//! from the oldest place that its session and its own Stat leave to it, again after each change of its znode, and for the
//! last time at the reply's zxid. The oldest place that fits leaves the most to what the session sees after it.

use super::super::call::{Call, Op, Outcome, PathId, SessionId, Write, Zxid};
use super::super::decode::Decoded;
use super::Rules;
use super::effects::Effects;
use crate::contract::ReplyZxid;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A write takes effect.
    Write(usize),
    /// A session's reply is older than one before it.
    Back(usize, usize),
    /// An answer is held against the tree.
    Look(usize),
}

/// What is left to do, by zxid.
pub(super) struct Schedule<'a, 'h> {
    decoded: &'a Decoded<'h>,
    exact: bool,
    heap: BinaryHeap<Reverse<(Zxid, Due)>>,
    /// Of each session the answered operations, in the order of the replies, and which of them is next.
    chains: FxHashMap<SessionId, (Vec<usize>, usize)>,
    /// Reads that wait for a change of their znode.
    waiting: BTreeMap<PathId, Vec<usize>>,
    /// Where the session of a read had come to when it was tried first.
    placed: Vec<bool>,
}

impl<'a, 'h> Schedule<'a, 'h> {
    pub(super) fn new(
        decoded: &'a Decoded<'h>,
        rules: Rules,
        effects: &Effects,
    ) -> Schedule<'a, 'h> {
        let mut schedule = Schedule {
            decoded,
            exact: rules.reply_zxid == ReplyZxid::OfTheRead,
            heap: BinaryHeap::new(),
            chains: FxHashMap::default(),
            waiting: BTreeMap::new(),
            placed: vec![false; decoded.ops.len()],
        };
        for (at, zxid) in &effects.placed {
            schedule.push(*zxid, Due::Write(*at));
        }
        for (at, op) in decoded.ops.iter().enumerate() {
            let (Some(zxid), Some(_)) = (op.zxid, op.ret()) else {
                continue;
            };
            if op.took_effect() {
                schedule.push(zxid, Due::Write(at));
            } else if is_look(op) && (schedule.exact || matches!(op.call, Call::Write(_))) {
                schedule.push(zxid, Due::Look(at));
            }
            schedule.chains.entry(op.session).or_default().0.push(at);
        }
        schedule.sort_chains();
        schedule
    }

    /// Puts the sessions' operations into the order of their replies; finds those that went back.
    fn sort_chains(&mut self) {
        let mut sessions: Vec<SessionId> = self.chains.keys().copied().collect();
        sessions.sort_unstable();
        for session in sessions {
            let decoded = self.decoded;
            let (mut chain, _) = self.chains.remove(&session).unwrap_or_default();
            chain.sort_by_key(|at| decoded.ops[*at].ret());
            for (zxid, due) in backs(decoded, &chain) {
                self.push(zxid, due);
            }
            self.chains.insert(session, (chain, 0));
            if !self.exact {
                self.start_next(session, 0);
            }
        }
    }

    fn push(&mut self, zxid: Zxid, due: Due) {
        self.heap.push(Reverse((zxid, due)));
    }

    pub(super) fn next(&mut self) -> Option<(Zxid, Due)> {
        loop {
            let Reverse((zxid, due)) = self.heap.pop()?;
            match due {
                Due::Look(at) if self.placed[at] => {}
                due => return Some((zxid, due)),
            }
        }
    }

    pub(super) fn is_last_chance(&self, at: usize, zxid: Zxid) -> bool {
        self.exact || self.decoded.ops[at].zxid.is_none_or(|last| last <= zxid)
    }

    /// A write took effect, or an answer was found to fit here.
    pub(super) fn done(&mut self, at: usize, zxid: Zxid) {
        self.placed[at] = true;
        if self.exact {
            return;
        }
        let op = &self.decoded.ops[at];
        if let Call::Write(write) = &op.call
            && !matches!(op.outcome, Outcome::Refused(..))
        {
            let changed: Vec<PathId> = match write {
                Write::Close => self.waiting.keys().copied().collect(),
                steps => {
                    let named = steps.steps().iter().filter_map(|step| step.path());
                    named
                        .flat_map(|path| [Some(path), self.decoded.paths.parent(path)])
                        .flatten()
                        .collect()
                }
            };
            for path in changed {
                for waiting in self.waiting.remove(&path).unwrap_or_default() {
                    self.push(zxid, Due::Look(waiting));
                }
            }
        }
        if op.ret().is_some() {
            self.start_next(op.session, zxid);
        }
    }

    /// The answer does not fit here; it may fit later.
    pub(super) fn wait(&mut self, at: usize) {
        if let Call::Read { path, .. } = self.decoded.ops[at].call {
            self.waiting.entry(path).or_default().push(at);
        }
    }

    /// What a session did next is tried from here on. Only reads wait for that: all else has its zxid.
    fn start_next(&mut self, session: SessionId, from: Zxid) {
        let Some((chain, next)) = self.chains.get_mut(&session) else {
            return;
        };
        let mut start = None;
        while let Some(at) = chain.get(*next).copied() {
            let op = &self.decoded.ops[at];
            let waits = matches!(op.call, Call::Read { .. }) && is_look(op);
            if waits && !self.placed[at] {
                start = Some(at);
                break;
            }
            if !self.placed[at]
                && !matches!(op.call, Call::Other)
                && op.zxid.is_some_and(|zxid| zxid > from)
            {
                break;
            }
            *next += 1;
        }
        let Some(at) = start else { return };
        let op = &self.decoded.ops[at];
        let shown = match &op.outcome {
            Outcome::Done(answer) => answer.stat.newest(),
            _ => 0,
        };
        let last = op.zxid.unwrap_or(0);
        self.push(from.max(shown).min(last), Due::Look(at));
        self.push(last, Due::Look(at));
    }
}

fn is_look(op: &Op<'_>) -> bool {
    match op.call {
        Call::Read { .. } => matches!(op.outcome, Outcome::Done(_) | Outcome::Refused(..)),
        Call::Write(_) => matches!(op.outcome, Outcome::Refused(..)),
        Call::Other => false,
    }
}

/// What went back in a session, whose operations stand in the order of their replies.
fn backs(decoded: &Decoded<'_>, chain: &[usize]) -> Vec<(Zxid, Due)> {
    let mut backs = Vec::new();
    let mut newest: Option<(Zxid, usize)> = None;
    for at in chain {
        let op = &decoded.ops[*at];
        let zxid = op.zxid.unwrap_or(0);
        // A write has a zxid of its own; any other reply may repeat the last one.
        if let Some((seen, before)) = newest
            && (zxid < seen || (zxid == seen && op.took_effect()))
        {
            backs.push((zxid, Due::Back(*at, before)));
        }
        newest = newest.max(Some((zxid, *at)));
    }
    backs
}

/// The reply with the least zxid that is older than one before it in its session, and that one.
pub(super) fn went_back(decoded: &Decoded<'_>) -> Option<(usize, usize)> {
    let mut chains: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
    for (at, op) in decoded.ops.iter().enumerate() {
        if op.zxid.is_some() && op.ret().is_some() {
            chains.entry(op.session).or_default().push(at);
        }
    }
    let backs = chains.into_values().flat_map(|mut chain| {
        chain.sort_by_key(|at| decoded.ops[*at].ret());
        backs(decoded, &chain)
    });
    match backs.min() {
        Some((_, Due::Back(at, before))) => Some((at, before)),
        _ => None,
    }
}
