//! What was there before the history began.

use super::call::{Answer, Call, Code, Outcome, PathId, SessionId, Step, Write};
use super::decode::Decoded;
use super::tree::Node;
use rustc_hash::FxHashMap;

/// Znodes that were there before the history: an answer shows them, or something below them, and nothing can have made them by then.
pub(super) fn given(decoded: &Decoded<'_>) -> Vec<(PathId, Node)> {
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
            shown_by_refusal(write, *code, results.as_deref(), &mut show);
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
    let mut given = vec![false; count];
    for at in 0..count {
        let above = decoded.paths.parent(PathId(at as u32));
        given[at] = shown[at] < made[at] && above.is_none_or(|above| given[above.0 as usize]);
    }
    let given: Vec<PathId> = (0..count)
        .filter(|at| given[*at])
        .map(|at| PathId(at as u32))
        .collect();
    let owners = owners(decoded);
    let node = |path: &PathId| Node {
        owner: owners.get(path).copied(),
        ..Node::GIVEN
    };
    given.iter().map(|path| (*path, node(path))).collect()
}

/// The owners that answers show. A znode that was there before has one all its life, and nothing makes it again.
fn owners(decoded: &Decoded<'_>) -> FxHashMap<PathId, Option<SessionId>> {
    let mut owners = FxHashMap::default();
    for op in &decoded.ops {
        let path = match &op.call {
            Call::Read { path, .. } => Some(*path),
            Call::Write(Write::One(step)) => step.path(),
            _ => None,
        };
        if let (Some(path), Outcome::Done(answer)) = (path, &op.outcome)
            && let Some(owner) = answer.stat.owner
        {
            owners.entry(path).or_insert(owner);
        }
    }
    owners
}

/// What a refusal shows to be there: what the parts before the one that failed need, and what that one met.
fn shown_by_refusal(
    write: &Write<'_>,
    code: Code,
    results: Option<&[Option<Code>]>,
    show: &mut impl FnMut(Option<PathId>),
) {
    let steps = write.steps();
    let failed = match results {
        Some(results) => results.iter().position(Option::is_some).unwrap_or(0),
        None if steps.len() == 1 => 0,
        None => return,
    };
    let makes = |step: &Step<'_>, path: PathId| matches!(step, Step::Create { path: Some(made), .. } if *made == path);
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
        show(met);
        show(above);
    }
}
