//! What the search must know of each operation, found in one pass before it begins.

use super::super::call::{Call, Op, Outcome, SessionId, Step, Write, Zxid};
use super::super::decode::Decoded;
use super::super::replay::{Effects, Rules, UNSEEN, answered, without_zxid};
use super::parts::Part;
use rustc_hash::{FxHashMap, FxHashSet};

/// An operation as the search sees it. Equal ones can stand for each other.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// One of the operations that are like this.
    pub(super) op: usize,
    pub(super) kind: Kind,
    /// A write's zxid, or a reply's.
    pub(super) zxid: Option<Zxid>,
    /// What Stats show of a write's zxid, as far as it is known.
    pub(super) shown: Option<Zxid>,
    /// A zxid that had been seen before it was invoked.
    pub(super) floor: Zxid,
    /// The session, if plain reads are made in it; and whether one comes next.
    pub(super) reader: Option<(usize, bool)>,
    /// The session, if several of its operations were in flight at once; and how many were answered before this.
    pub(super) turn: Option<(usize, u32)>,
    /// The session, if it ends while some of its operations are indeterminate, and this is the end or one of these.
    pub(super) ends: Option<u32>,
    /// A write that may have one of several zxids, or none that answers show: it has one of them; and the zxid, which others may have:
    /// one of them has it.
    pub(super) spends: [Option<u32>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changed the tree, or may have.
    Write,
    /// The tree stood in its way.
    Refused,
    /// A read that owes linearizability.
    Read,
    /// A plain one.
    Local,
}

/// All operations of a history, and what can be said of them together.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) facts: Vec<Fact>,
    /// By operation: its place among the facts; none if it says nothing.
    pub(super) of: Vec<Option<u32>>,
    /// Writes that may have a zxid that answers show, with that; beside what they are if they have none of these. With their place
    /// among the facts.
    pub(super) claims: Vec<(usize, u32)>,
    /// Sessions with plain reads: whether they begin with one.
    pub(super) readers: Vec<bool>,
    /// Sessions with several operations in flight at once.
    pub(super) takers: usize,
    /// Whether any zxid is known, and what it leaves room for counts.
    pub(super) stamped: bool,
    /// The line by which an indeterminate operation's session had ended.
    pub(super) ended: FxHashMap<usize, u64>,
}

fn is_answered(op: &Op<'_>) -> bool {
    matches!(op.outcome, Outcome::Done(_) | Outcome::Refused(..)) && !matches!(op.call, Call::Other)
}

/// By what the operations are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By the lines on which they begin and end.
    Lines,
    /// By the zxids that all answers have, exactly: each is at its own, and a plain read is no different from any other.
    Zxids,
    /// The same, but nobody asks which zxids indeterminate writes can have: there may be no room for them.
    Roomless,
}

impl Calls {
    /// Of all operations, or of a part of them.
    pub(super) fn of(
        decoded: &Decoded<'_>,
        rules: Rules,
        effects: &Effects,
        order: Order,
        part: Option<&Part>,
    ) -> Calls {
        let placed: FxHashMap<usize, Zxid> = effects.placed.iter().copied().collect();
        let told = without_zxid(decoded).is_none();
        let mut calls = Calls {
            stamped: order != Order::Roomless && decoded.ops.iter().any(|op| op.zxid.is_some()),
            ..Calls::default()
        };
        let floors = answered(decoded, rules);
        let chains = match order {
            Order::Lines => Chains::of(decoded, rules, &mut calls),
            Order::Zxids | Order::Roomless => Chains::of_ends(decoded, &mut calls),
        };
        let mut numbers: FxHashMap<String, u32> = FxHashMap::default();
        for (at, op) in decoded.ops.iter().enumerate() {
            let is_there = part.is_none_or(|part| part.operations.binary_search(&at).is_ok());
            let Some(kind) = kind(op, rules).filter(|_| is_there) else {
                calls.of.push(None);
                continue;
            };
            let mut fact = Fact {
                op: at,
                kind: match (kind, order) {
                    (Kind::Local, Order::Zxids | Order::Roomless) => Kind::Read,
                    (kind, _) => kind,
                },
                zxid: op.zxid,
                shown: op.zxid,
                floor: 0,
                reader: chains.readers.get(&at).copied(),
                turn: chains.turns.get(&at).copied(),
                ends: chains.ends.get(&at).copied(),
                spends: [None; 2],
            };
            if op.may_take_effect() {
                // One that several would fit may have any.
                fact.zxid = placed.get(&at).copied().filter(|_| effects.is_certain(at));
                // A zxid that answers show belongs to the write that it was given to; no answer shows that of any other.
                // Without room, those that may be seen have claims of their own.
                let nobody_saw = told && (order == Order::Roomless || effects.is_certain_of_all());
                if order == Order::Roomless && effects.may_be_seen(at) {
                    fact.spends[0] = Some(at as u32);
                }
                fact.shown = fact.zxid.or(nobody_saw.then_some(UNSEEN));
                let before = floors.partition_point(|(line, _)| *line < op.inv());
                fact.floor = floors[..before].last().map_or(0, |(_, zxid)| *zxid);
            }
            let next = calls.facts.len() as u32;
            let number = *numbers.entry(like(op, &fact)).or_insert(next);
            if number == next {
                calls.facts.push(fact);
            }
            calls.of.push(Some(number));
        }
        if order == Order::Roomless {
            calls.find_claims(effects);
        }
        calls
    }

    /// Each write that may have a zxid that answers show, with that.
    fn find_claims(&mut self, effects: &Effects) {
        for (place, doubt) in effects.doubtful().iter().enumerate() {
            let zxid = &doubt.zxid;
            for at in &doubt.fitting {
                let Some(fact) = self.of[*at].map(|fact| self.facts[fact as usize].clone()) else {
                    continue;
                };
                // A clear one has its own; and a zxid that had been seen before is nobody's any more.
                if fact.zxid.is_some() || fact.floor >= *zxid {
                    continue;
                }
                self.claims.push((*at, self.facts.len() as u32));
                self.facts.push(Fact {
                    zxid: Some(*zxid),
                    shown: Some(*zxid),
                    spends: [Some(*at as u32), Some(u32::MAX - place as u32)],
                    ..fact
                });
            }
        }
    }
}

fn kind(op: &Op<'_>, rules: Rules) -> Option<Kind> {
    match (&op.call, &op.outcome) {
        (Call::Write(_), Outcome::Done(_) | Outcome::Unknown) => Some(Kind::Write),
        (Call::Write(_), Outcome::Refused(..)) => Some(Kind::Refused),
        (Call::Read { .. }, Outcome::Done(_) | Outcome::Refused(..)) => {
            Some(match rules.is_linearizable(op) {
                true => Kind::Read,
                false => Kind::Local,
            })
        }
        _ => None,
    }
}

/// What tells an operation from others: its session counts only where it matters to the tree or to what follows.
fn like(op: &Op<'_>, fact: &Fact) -> String {
    let session = match &op.call {
        Call::Write(Write::Close) => Some(op.session),
        Call::Write(write) => write
            .steps()
            .iter()
            .any(Step::is_ephemeral)
            .then_some(op.session),
        _ => None,
    };
    let Fact {
        op: _,
        kind,
        zxid,
        shown,
        floor,
        reader,
        turn,
        ends,
        spends,
    } = fact;
    format!(
        "{session:?} {kind:?} {zxid:?} {shown:?} {floor} {reader:?} {turn:?} {ends:?} {spends:?} {:?} {:?}",
        op.call, op.outcome
    )
}

/// What sessions add to single operations.
#[derive(Default)]
struct Chains {
    readers: FxHashMap<usize, (usize, bool)>,
    turns: FxHashMap<usize, (usize, u32)>,
    ends: FxHashMap<usize, u32>,
}

impl Chains {
    fn of(decoded: &Decoded<'_>, rules: Rules, calls: &mut Calls) -> Chains {
        let mut by_session: Vec<Vec<usize>> = vec![Vec::new(); decoded.sessions.len()];
        for (at, op) in decoded.ops.iter().enumerate() {
            if is_answered(op) {
                by_session[op.session.0 as usize].push(at);
            }
        }
        let mut chains = Chains::default();
        let is_local = |at: usize| kind(&decoded.ops[at], rules) == Some(Kind::Local);
        for chain in &mut by_session {
            chain.sort_by_key(|at| decoded.ops[*at].ret());
            if chain.iter().any(|at| is_local(*at)) {
                let session = calls.readers.len();
                calls.readers.push(is_local(chain[0]));
                for (place, at) in chain.iter().enumerate() {
                    let next = chain.get(place + 1).is_some_and(|next| is_local(*next));
                    chains.readers.insert(*at, (session, next));
                }
            }
            let overlaps =
                |pair: &[usize]| Some(decoded.ops[pair[1]].inv()) < decoded.ops[pair[0]].ret();
            if chain.windows(2).any(overlaps) {
                for (place, at) in chain.iter().enumerate() {
                    chains.turns.insert(*at, (calls.takers, place as u32));
                }
                calls.takers += 1;
            }
        }
        chains.find_ends(decoded, calls);
        chains
    }

    fn of_ends(decoded: &Decoded<'_>, calls: &mut Calls) -> Chains {
        let mut chains = Chains::default();
        chains.find_ends(decoded, calls);
        chains
    }

    /// Sessions that ended for certain, and their operations that may not have taken effect before.
    fn find_ends(&mut self, decoded: &Decoded<'_>, calls: &mut Calls) {
        let open: FxHashSet<SessionId> = decoded
            .ops
            .iter()
            .filter(|op| op.may_take_effect())
            .map(|op| op.session)
            .collect();
        let is_end =
            |op: &&Op<'_>| matches!(op.call, Call::Write(Write::Close)) && op.took_effect();
        let ended: FxHashMap<SessionId, u64> = decoded
            .ops
            .iter()
            .filter(|op| is_end(op) && open.contains(&op.session))
            .filter_map(|op| Some((op.session, op.ret()?)))
            .collect();
        for (at, op) in decoded.ops.iter().enumerate() {
            let Some(line) = ended.get(&op.session) else {
                continue;
            };
            if op.may_take_effect() {
                self.ends.insert(at, op.session.0);
                calls.ended.insert(at, *line);
            } else if is_end(&op) {
                self.ends.insert(at, op.session.0);
            }
        }
    }
}
