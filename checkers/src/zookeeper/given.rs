//! What was there before the history began.
//!
//! The root is always there: nobody makes it and nobody can delete it. Another znode was there for certain if an answer shows it, or
//! something below it, before anything can have made it. Another one may have been
//! there all the same: one that was seen while a create of it was under way, or that only a lost delete names. It was not, for certain, if
//! it was seen not to be there before anything can have taken it away, or with a `czxid` of the history.
//! What is doubtful is presumed not to be there; where the history does not fit so, it is presumed otherwise ([`doubts`]): to have been there,
//! or to have been an ephemeral one of a session that ends. What is never presumed stands in [`super::search`].

use super::call::{Answer, Call, Code, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::decode::{Decoded, number};
use super::tree::Node;
use rustc_hash::FxHashMap;

/// How a znode may have been there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    There,
    /// As an ephemeral one of this session, which ends in the history.
    Of(SessionId),
}

/// How znodes were there of which it is doubtful.
pub(super) type Presumed = Vec<(PathId, Before)>;

/// What answers show of when each znode was there.
struct Shown {
    /// By path: the first line by which it was there.
    by: Vec<u64>,
    /// By path: the first line with which it can have been made.
    made: Vec<u64>,
    /// By path: whether it was there before the history, for certain or as it is presumed.
    given: Vec<bool>,
}

/// Znodes that were there before the history: an answer shows them, or something below them, and nothing can have made them by then.
pub(super) fn given(decoded: &Decoded<'_>) -> Vec<(PathId, Node)> {
    let Shown { made, given, .. } = shown(decoded);
    let mut owners = owners(decoded, &made);
    for (path, before) in &decoded.presumed {
        if let Before::Of(session) = before {
            owners.insert(*path, Some(*session));
        }
    }
    let owner = |path: PathId| match decoded.paths.is_root(path) {
        true => Some(None),
        false => owners.get(&path).copied(),
    };
    let node = |path: PathId| Node {
        owner: owner(path),
        ..Node::GIVEN
    };
    let all = (0..decoded.paths.len() as u32).map(PathId);
    all.filter(|path| given[path.0 as usize])
        .map(|path| (path, node(path)))
        .collect()
}

fn shown(decoded: &Decoded<'_>) -> Shown {
    let count = decoded.paths.len();
    // The first lines by which each was there, and with which it can have been made.
    let (mut shown, mut made) = (vec![u64::MAX; count], vec![u64::MAX; count]);
    for op in &decoded.ops {
        let done = matches!(op.outcome, Outcome::Done(_));
        let ret = op.ret().unwrap_or(u64::MAX);
        let mut show = |path: Option<PathId>| {
            if let Some(path) = path {
                let first = &mut shown[path.0 as usize];
                *first = ret.min(*first);
            }
        };
        if let (Call::Write(write), Outcome::Refused(code, results)) = (&op.call, &op.outcome) {
            let told = shown_by_refusal(write, *code, results.as_deref());
            told.certain.into_iter().for_each(|path| show(Some(path)));
        }
        match &op.call {
            Call::Read { path, .. } => {
                show(Some(*path).filter(|_| done));
                if let Outcome::Done(Answer {
                    children: Some(children),
                    ..
                }) = &op.outcome
                {
                    children.iter().for_each(|child| show(Some(*child)));
                }
            }
            Call::Write(write) => {
                for step in write.steps() {
                    show(step.path().filter(|_| done));
                    if let (
                        Step::Create {
                            path: Some(path), ..
                        },
                        true,
                    ) = (step, op.may_take_effect() || done)
                    {
                        let first = &mut made[path.0 as usize];
                        *first = op.inv().min(*first);
                    }
                }
            }
            Call::Other => {}
        }
    }
    // A parent has a smaller number than its children, and was there when they were; and nothing can have been below a znode that was
    // not there.
    for at in (0..count).rev() {
        if let Some(above) = decoded.paths.parent(PathId(at as u32)) {
            let above = above.0 as usize;
            shown[above] = shown[above].min(shown[at]);
        }
    }
    let presumed = |path: PathId| decoded.presumed.iter().any(|(other, _)| *other == path);
    let is_root = |at: usize| decoded.paths.is_root(PathId(at as u32));
    let mut given: Vec<bool> = (0..count)
        .map(|at| is_root(at) || shown[at] < made[at] || presumed(PathId(at as u32)))
        .collect();
    // What was seen not to be there was made by what nobody knows the name of, or else it fits nowhere.
    let absent = absent(decoded, &Gone::of(decoded), &given);
    for at in 0..count {
        let above = decoded.paths.parent(PathId(at as u32));
        let may_be = !absent[at] && above.is_none_or(|above| given[above.0 as usize]);
        given[at] &= may_be || is_root(at);
    }
    Shown {
        by: shown,
        made,
        given,
    }
}

/// The owners that answers show before anything can have made the znode again: it has one all its life.
fn owners(decoded: &Decoded<'_>, made: &[u64]) -> FxHashMap<PathId, Option<SessionId>> {
    let mut owners = FxHashMap::default();
    for op in &decoded.ops {
        let path = match &op.call {
            Call::Read { path, .. } => Some(*path),
            Call::Write(Write::One(step)) => step.path(),
            _ => None,
        };
        if let (Some(path), Outcome::Done(answer)) = (path, &op.outcome)
            && let Some(owner) = answer.stat.owner
            && op.ret().is_some_and(|ret| ret < made[path.0 as usize])
        {
            owners.entry(path).or_insert(owner);
        }
    }
    owners
}

/// What a refusal tells of the znodes that were there.
#[derive(Default)]
struct Told {
    /// They were there, whichever part failed.
    certain: Vec<PathId>,
    /// They were there if one part failed, and need not have been if another one did.
    perhaps: Vec<PathId>,
}

/// What a refusal shows to be there. Where nobody says which part of a multi failed, it is one of those that can fail so: what each of
/// these would show was there for certain, and what only some would show may have been.
fn shown_by_refusal(write: &Write<'_>, code: Code, results: Option<&[Option<Code>]>) -> Told {
    let steps = write.steps();
    let may_fail: Vec<usize> = match results {
        Some(results) => vec![results.iter().position(Option::is_some).unwrap_or(0)],
        None if steps.len() == 1 => vec![0],
        None => (0..steps.len())
            .filter(|part| steps[*part].may_be_refused(code))
            .collect(),
    };
    let mut ways = may_fail
        .into_iter()
        .map(|failed| shown_if_failed(steps, code, failed));
    let Some(mut certain) = ways.next() else {
        return Told::default();
    };
    let mut perhaps = Vec::new();
    for way in ways {
        let (both, one): (Vec<_>, Vec<_>) =
            certain.into_iter().partition(|path| way.contains(path));
        perhaps.extend(one);
        perhaps.extend(way.into_iter().filter(|path| !both.contains(path)));
        certain = both;
    }
    Told { certain, perhaps }
}

/// What is there if this part failed: what the parts before it need, and what it met.
fn shown_if_failed(steps: &[Step<'_>], code: Code, failed: usize) -> Vec<PathId> {
    let makes = |step: &Step<'_>, path: PathId| matches!(step, Step::Create { path: Some(made), .. } if *made == path);
    let mut shown = Vec::new();
    for (part, step) in steps.iter().enumerate().take(failed + 1) {
        let met = match (part == failed, code) {
            (false, _) | (true, Code::BadVersion | Code::NotEmpty | Code::NodeExists) => {
                step.path()
            }
            (true, _) => None,
        };
        let above = match step {
            Step::Create { parent, .. } if part < failed || code != Code::NoNode => *parent,
            _ => None,
        };
        // What an earlier part of the same multi makes need not have been there before.
        let met = met.filter(|path| !steps[..part].iter().any(|earlier| makes(earlier, *path)));
        let met = met.filter(|path| part == failed || !makes(step, *path));
        let above = above.filter(|path| !steps[..part].iter().any(|earlier| makes(earlier, *path)));
        shown.extend(met.into_iter().chain(above));
    }
    shown
}

/// Znodes of which it is doubtful whether, or how, they were there before; each with every other way in which it may have been there.
pub(super) fn doubts(decoded: &Decoded<'_>) -> Vec<(PathId, Vec<Before>)> {
    let Shown { by, made, given } = shown(decoded);
    let owners = owners(decoded, &made);
    let gone = Gone::of(decoded);
    let by_no_end = Gone {
        by_close: Removed::NEVER,
        ..gone.clone()
    };
    let asked = asked(decoded, &by);
    let absent_for = |gone: &Gone| {
        let mut absent = absent(decoded, gone, &asked);
        made_at_first(decoded, gone, &mut absent);
        absent
    };
    let (absent, never_own) = (absent_for(&by_no_end), absent_for(&gone));
    let answered = answered(decoded);
    let vanished = vanished(decoded, &by_no_end, &by);
    let again = made_again_by_number(decoded, &gone);
    let of_sessions = of_sessions(decoded);
    let parents = parents(decoded, &made, &given);
    let mut may_be_there = vec![false; by.len()];
    let mut doubts = Vec::new();
    for at in 0..by.len() {
        let path = PathId(at as u32);
        let above = decoded.paths.parent(path);
        let below_something = above.is_none_or(|above| may_be_there[above.0 as usize]);
        may_be_there[at] = below_something && (given[at] || (asked[at] && !absent[at]));
        let mut ways = Vec::new();
        if may_be_there[at] && (!given[at] || again[at]) {
            ways.push(Before::There);
        }
        let may_be_own = match given[at] {
            true => !owners.contains_key(&path),
            // It was seen before any create of it was answered, and was gone without a delete.
            false => by[at] < answered[at] && vanished[at] && !never_own[at],
        };
        if may_be_own && below_something && !parents[at] && above.is_some() {
            ways.extend_from_slice(&of_sessions);
        }
        if !ways.is_empty() {
            doubts.push((path, ways));
        }
    }
    doubts
}

/// One way for each session that may end in the history.
fn of_sessions(decoded: &Decoded<'_>) -> Vec<Before> {
    let mut enders: Vec<SessionId> = (decoded.ops.iter())
        .filter(|op| op.took_effect() || op.may_take_effect())
        .filter(|op| matches!(op.call, Call::Write(Write::Close)))
        .map(|op| op.session)
        .collect();
    enders.sort_unstable();
    enders.dedup();
    enders.into_iter().map(Before::Of).collect()
}

/// By path: whether a read shows that it is not there any more, and no delete can have taken it away.
fn vanished(decoded: &Decoded<'_>, gone: &Gone, by: &[u64]) -> Vec<bool> {
    let mut vanished = vec![false; by.len()];
    for op in &decoded.ops {
        if let (Call::Read { path, .. }, Outcome::Refused(Code::NoNode, _)) =
            (&op.call, &op.outcome)
        {
            let later = op.ret().is_some_and(|ret| ret > by[path.0 as usize]);
            vanished[path.0 as usize] |= later && !gone.may_precede(*path, op);
        }
    }
    vanished
}

/// By path: the first line with which a create of it was answered.
fn answered(decoded: &Decoded<'_>) -> Vec<u64> {
    let mut answered = vec![u64::MAX; decoded.paths.len()];
    for op in decoded.ops.iter().filter(|op| op.took_effect()) {
        let (Call::Write(write), Some(ret)) = (&op.call, op.ret()) else {
            continue;
        };
        for step in write.steps() {
            if let Step::Create {
                path: Some(path), ..
            } = step
            {
                let first = &mut answered[path.0 as usize];
                *first = ret.min(*first);
            }
        }
    }
    answered
}

/// By path: whether a lost create of a sequential znode may have made it after it and its parent were deleted.
fn made_again_by_number(decoded: &Decoded<'_>, gone: &Gone) -> Vec<bool> {
    let mut again = vec![false; decoded.paths.len()];
    let may_go = |path: PathId| gone.by_path[path.0 as usize] != Removed::NEVER;
    let paths = (0..again.len() as u32).map(PathId);
    let children: Vec<(PathId, PathId)> = paths
        .filter_map(|path| Some((path, decoded.paths.parent(path)?)))
        .filter(|(path, above)| may_go(*path) && may_go(*above))
        .collect();
    if children.is_empty() {
        return again;
    }
    for op in decoded.ops.iter().filter(|op| op.may_take_effect()) {
        let Call::Write(write) = &op.call else {
            continue;
        };
        for step in write.steps() {
            if let Step::Create {
                asked,
                path: None,
                parent,
                ..
            } = step
            {
                let of_it = |(path, above): &&(PathId, PathId)| {
                    Some(*above) == *parent && number(asked, decoded.paths.name(*path)).is_some()
                };
                let made = children.iter().filter(of_it);
                made.for_each(|(path, _)| again[path.0 as usize] = true);
            }
        }
    }
    again
}

/// By path: whether the history fits otherwise if it was there: it is shown, or it may be what a multi met, or a lost write that can be
/// seen elsewhere needs it.
fn asked(decoded: &Decoded<'_>, by: &[u64]) -> Vec<bool> {
    let mut asked: Vec<bool> = by.iter().map(|by| *by < u64::MAX).collect();
    for op in &decoded.ops {
        if let (Call::Write(write), Outcome::Refused(code, results)) = (&op.call, &op.outcome) {
            for path in shown_by_refusal(write, *code, results.as_deref()).perhaps {
                // With a znode all that is above it is there.
                let up = |path: &PathId| decoded.paths.parent(*path);
                let line = std::iter::successors(Some(path), up);
                line.for_each(|path| asked[path.0 as usize] = true);
            }
        }
    }
    for op in decoded.ops.iter().filter(|op| op.may_take_effect()) {
        let Call::Write(write) = &op.call else {
            continue;
        };
        let steps = write.steps();
        for step in steps {
            let needed = match step {
                Step::Create { parent, .. } => *parent,
                step => step.path(),
            };
            let is_seen = steps.len() > 1 || matches!(step, Step::Delete { .. });
            needed
                .iter()
                .filter(|_| is_seen)
                .for_each(|path| asked[path.0 as usize] = true);
        }
    }
    asked
}

/// By path: whether it had a child before anything can have made it again, so that it was no ephemeral one.
fn parents(decoded: &Decoded<'_>, made: &[u64], given: &[bool]) -> Vec<bool> {
    let mut parents = vec![false; made.len()];
    for (child, _) in given.iter().enumerate().filter(|(_, given)| **given) {
        if let Some(above) = decoded.paths.parent(PathId(child as u32)) {
            parents[above.0 as usize] = true;
        }
    }
    for op in decoded.ops.iter().filter(|op| op.took_effect()) {
        let (Call::Write(write), Some(ret)) = (&op.call, op.ret()) else {
            continue;
        };
        for step in write.steps() {
            if let Step::Create {
                parent: Some(above),
                ..
            } = step
                && ret < made[above.0 as usize]
            {
                parents[above.0 as usize] = true;
            }
        }
    }
    parents
}

/// When something can first have been taken away: the first line with which that can have been, and the least zxid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Removed {
    inv: u64,
    zxid: Zxid,
}

impl Removed {
    const NEVER: Removed = Removed {
        inv: u64::MAX,
        zxid: Zxid::MAX,
    };

    fn also_by(&mut self, op: &Op<'_>) {
        let zxid = op.zxid.filter(|_| op.took_effect());
        self.inv = self.inv.min(op.inv());
        self.zxid = self.zxid.min(zxid.unwrap_or(Zxid::MIN));
    }

    /// Whether it may have been before an answer.
    fn may_precede(self, op: &Op<'_>) -> bool {
        op.ret().is_none_or(|ret| self.inv < ret) && op.zxid.is_none_or(|zxid| self.zxid <= zxid)
    }
}

/// What can have taken znodes away.
#[derive(Debug, Clone)]
struct Gone {
    by_path: Vec<Removed>,
    /// The end of any session.
    by_close: Removed,
}

impl Gone {
    fn of(decoded: &Decoded<'_>) -> Gone {
        let mut gone = Gone {
            by_path: vec![Removed::NEVER; decoded.paths.len()],
            by_close: Removed::NEVER,
        };
        let ops = decoded.ops.iter();
        for op in ops.filter(|op| op.took_effect() || op.may_take_effect()) {
            let Call::Write(write) = &op.call else {
                continue;
            };
            if let Write::Close = write {
                gone.by_close.also_by(op);
            }
            for step in write.steps() {
                if let Step::Delete { path, .. } = step {
                    gone.by_path[path.0 as usize].also_by(op);
                }
            }
        }
        gone
    }

    fn may_precede(&self, path: PathId, op: &Op<'_>) -> bool {
        self.by_path[path.0 as usize].may_precede(op) || self.by_close.may_precede(op)
    }
}

/// What was made before anything can have taken it away was not there before, or else the create fits nowhere.
fn made_at_first(decoded: &Decoded<'_>, gone: &Gone, absent: &mut [bool]) {
    for op in decoded.ops.iter().filter(|op| op.took_effect()) {
        let Call::Write(write) = &op.call else {
            continue;
        };
        for step in write.steps() {
            if let Step::Create {
                path: Some(path), ..
            } = step
                && !gone.may_precede(*path, op)
            {
                absent[path.0 as usize] = true;
            }
        }
    }
}

/// By path, of some: whether it was seen not to be there before the history.
fn absent(decoded: &Decoded<'_>, gone: &Gone, among: &[bool]) -> Vec<bool> {
    let mut absent = vec![false; decoded.paths.len()];
    let writes = decoded.ops.iter().filter(|op| op.took_effect());
    let oldest = writes.filter_map(|op| op.zxid).min().unwrap_or(Zxid::MAX);
    let mut below: FxHashMap<PathId, Vec<PathId>> = FxHashMap::default();
    for path in (0..decoded.paths.len() as u32).map(PathId) {
        if !among[path.0 as usize] {
            continue;
        }
        if let Some(above) = decoded.paths.parent(path) {
            below.entry(above).or_default().push(path);
        }
    }
    for op in &decoded.ops {
        let mut was_not = |path: PathId| {
            let absent = &mut absent[path.0 as usize];
            *absent = *absent || !gone.may_precede(path, op);
        };
        match (&op.call, &op.outcome) {
            (Call::Read { path, .. }, Outcome::Refused(Code::NoNode, _)) => was_not(*path),
            (Call::Read { path, .. }, Outcome::Done(answer)) => {
                let made = answer.stat.czxid;
                if made.is_some_and(|made| made >= oldest) {
                    was_not(*path);
                }
                if let Some(children) = &answer.children {
                    let others = below.get(path).into_iter().flatten();
                    others
                        .filter(|child| children.binary_search(child).is_err())
                        .for_each(|child| was_not(*child));
                }
            }
            (Call::Write(Write::One(step)), Outcome::Refused(Code::NoNode, _)) => match step {
                Step::Create { parent, .. } => parent.iter().for_each(|above| was_not(*above)),
                step => step.path().iter().for_each(|path| was_not(*path)),
            },
            _ => {}
        }
    }
    absent
}
