//! A history by parts that have nothing to do with each other: znodes that no operation connects.
//!
//! An order of all operations is, of each part's alone, an order of that part; so what fits in no order of a part fits in none at
//! all. The other way round only the zxids are shared: see `room`.
//!
//! A znode is connected with its parent where it is made or deleted, for the parent counts its children; but not where nobody
//! ever looks at the parent, as at the root, and nothing makes or deletes it, or takes numbers from it: then it says nothing.

use super::super::call::{Call, PathId, SessionId, Step, Write};
use super::super::decode::Decoded;
use super::super::effect::telling;
use super::super::given::given;
use super::super::replay::Names;
use rustc_hash::FxHashMap;

/// What is connected.
#[derive(Debug, Default)]
pub(in super::super) struct Part {
    /// Operations by their places, ascending.
    pub(in super::super) operations: Vec<usize>,
    /// Questions about names that lost creates may have made. Ascending.
    pub(in super::super) names: Vec<usize>,
}

/// The parts that have indeterminate writes, each by itself, in the order of their first operations; and last all that have none, as
/// one. The end of a session is in each part that has any of its ephemeral znodes or its indeterminate writes. Whatever
/// lost creates of sequential znodes made, the parts are the same.
pub(in super::super) fn parts(decoded: &Decoded<'_>, names: &Names) -> Vec<Part> {
    let mut groups = Groups::new(decoded.paths.len());
    for path in names.paths() {
        groups.join_all(
            [Some(path), decoded.paths.parent(path)]
                .into_iter()
                .flatten(),
        );
    }
    let telling = telling(decoded);
    let mut owned = owned(decoded);
    for op in &decoded.ops {
        let Call::Write(write) = &op.call else {
            continue;
        };
        if let (Write::Close, true) = (write, op.may_take_effect()) {
            // It may take all of them, or none.
            groups.join_all(owned.get(&op.session).into_iter().flatten().copied());
        }
        groups.join_all(connected(decoded, write, &telling));
        if op.may_take_effect() {
            let first = write.steps().first().and_then(|step| anchor(step));
            owned.entry(op.session).or_default().extend(first);
        }
    }
    let mut of_group: FxHashMap<PathId, Part> = FxHashMap::default();
    let mut open: Vec<PathId> = Vec::new();
    for (at, op) in decoded.ops.iter().enumerate() {
        let mut within: Vec<PathId> = match &op.call {
            Call::Read { path, .. } => vec![groups.of(*path)],
            Call::Write(Write::Close) => {
                let paths = owned.get(&op.session).into_iter().flatten();
                paths.map(|path| groups.of(*path)).collect()
            }
            Call::Write(write) => {
                let first = write.steps().first().and_then(|step| anchor(step));
                first.map(|path| groups.of(path)).into_iter().collect()
            }
            Call::Other => continue,
        };
        within.sort_unstable();
        within.dedup();
        for group in within {
            of_group.entry(group).or_default().operations.push(at);
            if op.may_take_effect() && !open.contains(&group) {
                open.push(group);
            }
        }
    }
    for (question, path) in names.paths().enumerate() {
        if let Some(part) = of_group.get_mut(&groups.of(path)) {
            part.names.push(question);
        }
    }
    let mut parts: Vec<Part> = open
        .iter()
        .filter_map(|group| of_group.remove(group))
        .collect();
    parts.sort_unstable_by(|one, other| one.operations.cmp(&other.operations));
    let mut rest = Part::default();
    for part in of_group.into_values() {
        rest.operations.extend(part.operations);
        rest.names.extend(part.names);
    }
    rest.operations.sort_unstable();
    rest.operations.dedup();
    rest.names.sort_unstable();
    if !rest.operations.is_empty() {
        parts.push(rest);
    }
    parts
}

/// A znode that stands for a step: the one that it names, or the parent of one whose name nobody knows.
fn anchor(step: &Step<'_>) -> Option<PathId> {
    let above = match step {
        Step::Create { parent, .. } => *parent,
        _ => None,
    };
    step.path().or(above)
}

/// The znodes that a write connects.
fn connected(decoded: &Decoded<'_>, write: &Write<'_>, telling: &[bool]) -> Vec<PathId> {
    let mut paths = Vec::new();
    for step in write.steps() {
        let above = match step {
            Step::Create { parent, .. } => *parent,
            Step::Delete { path, .. } => decoded.paths.parent(*path),
            _ => None,
        };
        paths.extend(step.path());
        paths.extend(above.filter(|above| telling[above.0 as usize]));
    }
    paths
}

/// The ephemeral znodes that each session ever has, as far as their names are known.
fn owned(decoded: &Decoded<'_>) -> FxHashMap<SessionId, Vec<PathId>> {
    let mut owned: FxHashMap<SessionId, Vec<PathId>> = FxHashMap::default();
    for op in &decoded.ops {
        if let Call::Write(write) = &op.call {
            let made = write.steps().iter().filter(|step| step.is_ephemeral());
            let made = made.filter_map(|step| anchor(step));
            owned.entry(op.session).or_default().extend(made);
        }
    }
    for (path, node) in given(decoded) {
        if let Some(Some(session)) = node.owner {
            owned.entry(session).or_default().push(path);
        }
    }
    owned
}

/// Sets of paths, joined one by one.
struct Groups {
    above: Vec<u32>,
}

impl Groups {
    fn new(count: usize) -> Groups {
        Groups {
            above: (0..count as u32).collect(),
        }
    }

    /// The path that stands for the group of this one.
    fn of(&mut self, path: PathId) -> PathId {
        let mut at = path.0;
        while self.above[at as usize] != at {
            let next = self.above[self.above[at as usize] as usize];
            self.above[at as usize] = next;
            at = next;
        }
        PathId(at)
    }

    fn join_all(&mut self, paths: impl IntoIterator<Item = PathId>) {
        let mut paths = paths.into_iter();
        let Some(first) = paths.next() else { return };
        for path in paths {
            let (one, other) = (self.of(first), self.of(path));
            self.above[one.0.max(other.0) as usize] = one.0.min(other.0);
        }
    }
}
