//! What writes change, and which answers tell whether they had happened before.

use super::call::{Call, Op, Outcome, PathId, Step, Write};
use super::decode::Decoded;
use super::given::given;
use super::replay::touched;
use super::tree::Node;

/// The paths of a history, and what there is to know of them to tell which operations matter to each other.
#[derive(Debug)]
pub(super) struct Reach {
    /// By path: whether it was there before the history, so that what it was is not known.
    given: Vec<bool>,
    /// By path: whether anything tells more of it than that it is there.
    telling: Vec<bool>,
    /// By session: all that it ever owns, ascending.
    owned: Vec<Vec<PathId>>,
}

/// The znodes that an operation has to do with, ascending each.
#[derive(Debug, Clone, Default)]
pub(super) struct Effect {
    /// All of them: those that it names, and the parents that it counts for; of the end of a session those that it may take.
    pub(super) touches: Vec<PathId>,
    /// Those whose Stat it changes, for certain.
    pub(super) changes: Vec<PathId>,
    /// Those that are there before it or after it, and not both, for certain.
    pub(super) makes: Vec<PathId>,
    /// Those that it changes or takes away if a znode is still there: of the end of a session, whose znodes others may have deleted.
    perhaps: Vec<PathId>,
}

/// What an operation tells of the writes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is a write: what matters to these znodes stands before it or after it.
    Write(Vec<PathId>),
    /// It shows by which zxids this znode was changed last: what changes it comes before it or after it.
    Shown(PathId),
    /// It shows that there is no such znode.
    Absent(PathId),
    /// It may be right before a write and after it.
    Nothing,
}

impl Reach {
    pub(super) fn of(decoded: &Decoded<'_>) -> Reach {
        let there = given(decoded);
        let mut is_given = vec![false; decoded.paths.len()];
        for (path, _) in &there {
            is_given[path.0 as usize] = true;
        }
        Reach {
            given: is_given,
            telling: telling(decoded),
            owned: owned(decoded, &there),
        }
    }

    /// What an operation has to do with.
    pub(super) fn effect(&self, decoded: &Decoded<'_>, op: &Op<'_>) -> Effect {
        let mut effect = Effect {
            touches: touched(decoded, op),
            ..Effect::default()
        };
        let with_parent = |path: &PathId| [Some(*path), decoded.paths.parent(*path)];
        match &op.call {
            Call::Write(Write::Close) => {
                let owned = &self.owned[op.session.0 as usize];
                effect.perhaps = owned.iter().flat_map(with_parent).flatten().collect();
                effect.touches.clone_from(&effect.perhaps);
            }
            Call::Write(write) => {
                for step in write.steps() {
                    match step {
                        Step::Create { path, parent, .. } => {
                            effect.makes.extend(path);
                            effect.changes.extend(path.iter().chain(parent));
                        }
                        Step::Delete { path, .. } => {
                            effect.makes.push(*path);
                            effect
                                .changes
                                .extend(with_parent(path).into_iter().flatten());
                        }
                        Step::Set { path, .. } => effect.changes.push(*path),
                        Step::Check { .. } => {}
                    }
                }
                // What a multi both makes and deletes may be there before and after, or neither.
                let all = effect.makes.clone();
                let times = |path: &PathId| all.iter().filter(|other| *other == path).count();
                effect.makes.retain(|path| times(path) == 1);
            }
            _ => {}
        }
        let Effect {
            touches,
            changes,
            makes,
            perhaps,
        } = &mut effect;
        for paths in [touches, changes, makes, perhaps] {
            paths.retain(|path| self.telling[path.0 as usize]);
            paths.sort_unstable();
            paths.dedup();
        }
        effect
    }

    /// What an operation tells of the writes before it.
    pub(super) fn mark(&self, decoded: &Decoded<'_>, op: &Op<'_>) -> Mark {
        match (&op.call, &op.outcome) {
            (Call::Write(_), Outcome::Done(_) | Outcome::Unknown) => {
                Mark::Write(self.effect(decoded, op).touches)
            }
            (Call::Read { path, .. }, Outcome::Done(answer)) => {
                let whole = answer.stat.mzxid.is_some() && answer.stat.pzxid.is_some();
                match whole && !self.given[path.0 as usize] {
                    true => Mark::Shown(*path),
                    false => Mark::Nothing,
                }
            }
            (Call::Read { path, .. }, Outcome::Refused(..)) => Mark::Absent(*path),
            _ => Mark::Nothing,
        }
    }
}

impl Effect {
    /// Whether it matters which of two writes comes first.
    pub(super) fn meets(&self, other: &Effect) -> bool {
        let is_there = |path: &PathId| other.touches.binary_search(path).is_ok();
        self.touches.iter().any(is_there)
    }

    /// Whether the mark tells if the write had happened before; or may tell it.
    pub(super) fn may_be_told_by(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Shown(path) | Mark::Absent(path) if self.perhaps.binary_search(path).is_ok() => {
                true
            }
            _ => self.is_told_by(mark),
        }
    }

    /// Whether the mark tells for certain if the write had happened before.
    pub(super) fn is_told_by(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Write(paths) => paths
                .iter()
                .any(|path| self.touches.binary_search(path).is_ok()),
            Mark::Shown(path) => self.changes.binary_search(path).is_ok(),
            Mark::Absent(path) => self.makes.binary_search(path).is_ok(),
            Mark::Nothing => false,
        }
    }
}

/// Znodes of which something tells more than that they are there.
pub(super) fn telling(decoded: &Decoded<'_>) -> Vec<bool> {
    let mut telling = vec![false; decoded.paths.len()];
    let mut tell = |path: Option<PathId>| {
        if let Some(path) = path {
            telling[path.0 as usize] = true;
        }
    };
    for op in &decoded.ops {
        match &op.call {
            Call::Read { path, .. } => tell(Some(*path)),
            Call::Write(write) => {
                for step in write.steps() {
                    tell(step.path());
                    if let Step::Create {
                        parent,
                        sequential: true,
                        ..
                    } = step
                    {
                        tell(*parent);
                    }
                }
            }
            Call::Other => {}
        }
    }
    telling
}

pub(super) fn owned(decoded: &Decoded<'_>, given: &[(PathId, Node)]) -> Vec<Vec<PathId>> {
    let mut owned = vec![Vec::new(); decoded.sessions.len()];
    for op in &decoded.ops {
        if let Call::Write(write) = &op.call {
            for step in write.steps() {
                if let (true, Some(path)) = (step.is_ephemeral(), step.path()) {
                    owned[op.session.0 as usize].push(path);
                }
            }
        }
    }
    for (path, node) in given {
        if let Some(Some(session)) = node.owner {
            owned[session.0 as usize].push(*path);
        }
    }
    for paths in &mut owned {
        paths.sort_unstable();
        paths.dedup();
    }
    owned
}
