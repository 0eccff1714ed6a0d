//! Indeterminate writes of which reads show that they took effect, and at which zxid.

use super::super::call::{Call, DataId, Look, Outcome, PathId, Step, Zxid};
use super::super::decode::{Decoded, number};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// What a read shows at a zxid that no answered write has: the znode, and its data if that was read.
pub(super) type Sight = (PathId, Option<DataId>);

/// An indeterminate write that took effect.
pub(super) struct Shown {
    pub(super) zxid: Zxid,
    /// Its place among the operations; where several would do, that of the first one, which real time forbids last.
    pub(super) write: usize,
    /// All that would do, in the order of their invocations.
    pub(super) choices: Vec<usize>,
    /// The znodes that reads show with this zxid, each once, with the data where it was read: all that is known of what it changed.
    pub(super) sights: Vec<Sight>,
}

/// Indeterminate writes at the zxids at which reads show them.
///
/// A write has one zxid, and a zxid one write: as many zxids as possible get one.
pub(super) fn shown(decoded: &Decoded<'_>, known: &BTreeMap<Zxid, usize>) -> Vec<Shown> {
    let open = Open::of(decoded);
    if open.is_empty() {
        return Vec::new();
    }
    let sights = sights(decoded, known);
    let mut matching = Matching {
        choices: Vec::new(),
        zxid_of: FxHashMap::default(),
    };
    for sights in sights.values() {
        let choices = open.that_made(decoded, sights);
        matching.choices.push(choices);
        let all = matching.choices.len();
        matching.place(all - 1, &mut FxHashSet::default());
    }
    let sights: Vec<(Zxid, Vec<Sight>)> = sights.into_iter().collect();
    let shown = |at: &usize| {
        let (zxid, sights) = &sights[*at];
        Shown {
            zxid: *zxid,
            write: matching.choices[*at][0],
            choices: matching.choices[*at].clone(),
            sights: once(sights),
        }
    };
    matching.zxid_of.values().map(shown).collect()
}

/// Each znode once: with the data that was read first, if any was.
fn once(sights: &[Sight]) -> Vec<Sight> {
    let mut all: Vec<Sight> = Vec::new();
    for (path, data) in sights {
        match all.iter_mut().find(|(other, _)| other == path) {
            Some((_, known)) => *known = known.or(*data),
            None => all.push((*path, *data)),
        }
    }
    all
}

/// What reads show of zxids that no answered write has.
fn sights(decoded: &Decoded<'_>, known: &BTreeMap<Zxid, usize>) -> BTreeMap<Zxid, Vec<Sight>> {
    let mut sights: BTreeMap<Zxid, Vec<Sight>> = BTreeMap::new();
    for op in &decoded.ops {
        let (Call::Read { path, look, .. }, Outcome::Done(answer)) = (&op.call, &op.outcome) else {
            continue;
        };
        let Some(zxid) = answer.stat.mzxid.filter(|zxid| !known.contains_key(zxid)) else {
            continue;
        };
        let sight = (*path, answer.data.filter(|_| *look == Look::Get));
        let all = sights.entry(zxid).or_default();
        if !all.contains(&sight) {
            all.push(sight);
        }
    }
    sights
}

/// The indeterminate writes that set a znode's data, by znode; those that make a sequential one nobody knows the name of, by its parent.
struct Open {
    by_path: FxHashMap<PathId, Vec<usize>>,
    nameless: FxHashMap<Option<PathId>, Vec<usize>>,
}

impl Open {
    fn of(decoded: &Decoded<'_>) -> Open {
        let mut open = Open {
            by_path: FxHashMap::default(),
            nameless: FxHashMap::default(),
        };
        for (at, op) in decoded.ops.iter().enumerate() {
            let Call::Write(write) = &op.call else {
                continue;
            };
            for step in write.steps().iter().filter(|_| op.may_take_effect()) {
                match step {
                    Step::Create {
                        path: None, parent, ..
                    } => open.nameless.entry(*parent).or_default().push(at),
                    Step::Create {
                        path: Some(path), ..
                    }
                    | Step::Set { path, .. } => open.by_path.entry(*path).or_default().push(at),
                    Step::Delete { .. } | Step::Check { .. } => {}
                }
            }
        }
        open
    }

    fn is_empty(&self) -> bool {
        self.by_path.is_empty() && self.nameless.is_empty()
    }

    /// Those that made all that is shown, in the order of their invocations.
    fn that_made(&self, decoded: &Decoded<'_>, sights: &[Sight]) -> Vec<usize> {
        let Some((path, _)) = sights.first() else {
            return Vec::new();
        };
        let above = decoded.paths.parent(*path);
        let lists = [self.by_path.get(path), self.nameless.get(&above)];
        let all = lists.into_iter().flatten().flatten().copied();
        let made = |at: &usize| sights.iter().all(|sight| made(decoded, *at, sight));
        let mut that_made: Vec<usize> = all.filter(made).collect();
        that_made.sort_unstable();
        that_made.dedup();
        that_made
    }
}

fn made(decoded: &Decoded<'_>, at: usize, sight: &Sight) -> bool {
    !left(decoded, at, sight).is_empty()
}

/// One way in which a write may have gone, as far as one znode is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Course {
    /// Whether the znode is there, as far as the steps tell.
    is_there: Option<bool>,
    /// What this write left in it, if it wrote to it.
    data: Option<DataId>,
    /// Whether it is ephemeral, if this write made it.
    made: Option<bool>,
}

/// All ways in which a write may have left a znode with what is shown of it: of each, whether it made the znode and an ephemeral one;
/// none of these if it only set its data.
///
/// Steps are done in their order, all of them: what a later one overwrote or deleted nobody ever sees, and a sequential znode whose name
/// nobody knows cannot be one that an earlier step met.
pub(super) fn left(decoded: &Decoded<'_>, at: usize, (path, data): &Sight) -> Vec<Option<bool>> {
    let steps = match &decoded.ops[at].call {
        Call::Write(write) => write.steps(),
        _ => &[],
    };
    let mut courses = vec![Course {
        is_there: None,
        data: None,
        made: None,
    }];
    for step in steps {
        courses = after(decoded, step, *path, courses);
    }
    let is_shown = |course: &&Course| match (course.data, data) {
        (Some(left), Some(shown)) => left == *shown,
        (left, _) => left.is_some(),
    };
    courses
        .iter()
        .filter(is_shown)
        .map(|course| course.made)
        .collect()
}

fn after(
    decoded: &Decoded<'_>,
    step: &Step<'_>,
    path: PathId,
    mut courses: Vec<Course>,
) -> Vec<Course> {
    let is_there = |course: &Course| course.is_there != Some(false);
    match step {
        Step::Create {
            asked,
            path: None,
            data,
            ephemeral,
            ..
        } if number(asked, decoded.paths.name(path)).is_some() => {
            let may_make = courses.iter().any(|course| course.is_there != Some(true));
            courses.extend(may_make.then_some(Course {
                is_there: Some(true),
                data: Some(*data),
                made: Some(*ephemeral),
            }));
        }
        Step::Create {
            path: Some(other),
            data,
            ephemeral,
            ..
        } if *other == path => {
            courses.retain(|course| course.is_there != Some(true));
            courses.fill(Course {
                is_there: Some(true),
                data: Some(*data),
                made: Some(*ephemeral),
            });
        }
        Step::Set {
            path: other, data, ..
        } if *other == path => {
            courses.retain(is_there);
            for course in &mut courses {
                (course.is_there, course.data) = (Some(true), Some(*data));
            }
        }
        Step::Check { path: other, .. } if *other == path => {
            courses.retain(is_there);
            for course in &mut courses {
                course.is_there = Some(true);
            }
        }
        Step::Delete { path: other, .. } if *other == path => {
            courses.retain(is_there);
            courses.fill(Course {
                is_there: Some(false),
                data: None,
                made: None,
            });
        }
        _ => {}
    }
    courses.dedup();
    courses
}

/// Which zxid, by its place, each write has.
struct Matching {
    /// By zxid: the writes that may have it.
    choices: Vec<Vec<usize>>,
    zxid_of: FxHashMap<usize, usize>,
}

impl Matching {
    /// Finds a write for a zxid, if need be by giving another one to a zxid that has one.
    fn place(&mut self, zxid: usize, tried: &mut FxHashSet<usize>) -> bool {
        let free = |at: &&usize| !self.zxid_of.contains_key(at);
        if let Some(at) = self.choices[zxid].iter().find(free).copied() {
            self.zxid_of.insert(at, zxid);
            return true;
        }
        for at in self.choices[zxid].clone() {
            if !tried.insert(at) {
                continue;
            }
            if self.place(self.zxid_of[&at], tried) {
                self.zxid_of.insert(at, zxid);
                return true;
            }
        }
        false
    }
}
