//! Which names sequential znodes can have whose creates were lost.
//!
//! The answer to such a create would have told the name. What it made can show all the same: in a list of children, in an answer about
//! it, or only in what another lost operation asks for, as in the delete of a znode that nobody has seen. So each name that the history
//! knows, and that a lost create can have made, is a *question*: which of them made it, or none? A create that made none of these has a
//! name that the history does not know.
//!
//! It did not make a name that is told of only by what was over before it was invoked, or that is shown with a `czxid` that it
//! cannot have. And as long as its parent is the same, numbers increase: it has none that was acknowledged, and none below
//! one that was acknowledged before it was invoked.

use super::super::call::{Call, Code, Op, Outcome, PathId, StatSeen, Step, Write, Zxid};
use super::super::decode::{Decoded, number};
use super::super::given::given;
use rustc_hash::{FxHashMap, FxHashSet};

/// Steps of looking for the next answers to the questions, at most.
const TRIES: usize = 20_000;

/// A lost create of a sequential znode: the operation, and which part of it.
type Maker = (usize, usize);

/// A name that the history knows.
#[derive(Debug, Clone)]
struct Question {
    path: PathId,
    /// Who may have made it, the likeliest first; `None` is none of them.
    makers: Vec<Option<Maker>>,
    /// Up to this zxid everything is the same, whatever the answer.
    from: Zxid,
}

/// For each question, which of the answers it is.
pub(in super::super) type Picks = Vec<usize>;

/// All questions about names, in the order in which their answers begin to matter.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Names {
    questions: Vec<Question>,
}

/// The picks after some.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Next {
    Picks(Picks),
    /// All have been tried.
    End,
    /// They are too hard to find.
    GaveUp,
}

impl Names {
    /// `may_have` says whether an operation can have a zxid that no answered write has.
    pub(super) fn of(decoded: &Decoded<'_>, may_have: impl Fn(usize, Zxid) -> bool) -> Names {
        let known = Known::of(decoded);
        let mut questions: Vec<(i32, Question)> = known
            .mentions
            .iter()
            .filter_map(|(path, mentions)| known.question(*path, mentions, &may_have))
            .collect();
        questions
            .sort_unstable_by_key(|(number, question)| (question.from, *number, question.path));
        let questions = questions.into_iter().map(|(_, question)| question);
        Names {
            questions: questions.collect(),
        }
    }

    /// How many of some questions, the first ones, may matter up to a zxid: they are in their order.
    pub(in super::super) fn up_to(&self, zxid: Zxid, among: &[usize]) -> usize {
        among.partition_point(|question| self.questions[*question].from < zxid)
    }

    fn open(&self) -> impl Iterator<Item = &Question> {
        let questions = self.questions.iter();
        questions.filter(|question| question.makers.len() > 1)
    }

    /// Creates that may have made a name, with that, where they may have made another one as well, or none.
    pub(super) fn uncertain(&self) -> impl Iterator<Item = (usize, PathId)> {
        self.open().flat_map(|question| {
            let makers = question.makers.iter().flatten();
            makers.map(|(at, _)| (*at, question.path))
        })
    }

    /// The names that are asked for, by question.
    pub(in super::super) fn paths(&self) -> impl Iterator<Item = PathId> {
        self.questions.iter().map(|question| question.path)
    }

    /// The first picks.
    pub(in super::super) fn first(&self) -> Picks {
        let mut picks = vec![0; self.questions.len()];
        let all: Vec<usize> = (0..picks.len()).collect();
        let mut taken = FxHashSet::default();
        if self.fill(&mut picks, &all, &mut taken, &mut { TRIES }) != Some(true) {
            // There are more names than creates: the search will find that.
            picks.fill(0);
        }
        picks
    }

    /// The picks after these that differ in some questions only, as one counts; and in one of so many of them, the first ones, for certain.
    pub(in super::super) fn next(&self, picks: &Picks, among: &[usize], first: usize) -> Next {
        let mut tries = TRIES;
        for place in (0..first).rev() {
            let (question, rest) = (among[place], &among[place + 1..]);
            let mut taken = self.taken(picks, &among[place..]);
            let mut next = picks.clone();
            for pick in picks[question] + 1..self.questions[question].makers.len() {
                next[question] = pick;
                let maker = self.maker(&next, question);
                if maker.is_some_and(|maker| !taken.insert(maker)) {
                    continue;
                }
                match self.fill(&mut next, rest, &mut taken, &mut tries) {
                    Some(true) => return Next::Picks(next),
                    Some(false) => maker.map(|maker| taken.remove(&maker)),
                    None => return Next::GaveUp,
                };
            }
        }
        Next::End
    }

    /// The first picks for some questions that go with what is taken: whether there are any, if so many tries tell.
    fn fill(
        &self,
        picks: &mut Picks,
        among: &[usize],
        taken: &mut FxHashSet<Maker>,
        tries: &mut usize,
    ) -> Option<bool> {
        let Some((question, rest)) = among.split_first() else {
            return Some(true);
        };
        for pick in 0..self.questions[*question].makers.len() {
            *tries = tries.checked_sub(1)?;
            picks[*question] = pick;
            let maker = self.maker(picks, *question);
            if maker.is_some_and(|maker| !taken.insert(maker)) {
                continue;
            }
            if self.fill(picks, rest, taken, tries)? {
                return Some(true);
            }
            maker.map(|maker| taken.remove(&maker));
        }
        Some(false)
    }

    fn maker(&self, picks: &Picks, question: usize) -> Option<Maker> {
        self.questions[question].makers[picks[question]]
    }

    /// Who is picked anywhere but here.
    fn taken(&self, picks: &Picks, here: &[usize]) -> FxHashSet<Maker> {
        let here: FxHashSet<usize> = here.iter().copied().collect();
        (0..self.questions.len())
            .filter(|question| !here.contains(question))
            .filter_map(|question| self.maker(picks, question))
            .collect()
    }

    /// Gives lost creates their names: those that are picked, and all others names of their own. A list of children that does not have
    /// such a name is one in which the znode is not.
    pub(super) fn give(&self, decoded: &mut Decoded<'_>, picks: &Picks) {
        let mut named: FxHashSet<Maker> = FxHashSet::default();
        for (question, asked) in self.questions.iter().enumerate() {
            if let Some(maker) = self.maker(picks, question)
                && named.insert(maker)
            {
                name(decoded, maker, asked.path);
            }
        }
        for Lost {
            maker, asked, inv, ..
        } in lost(decoded)
        {
            // The character that stands for an unknown one: ZooKeeper refuses it in a path.
            let own = decoded
                .paths
                .id(format!("{asked}\u{fffd}{inv}.{}", maker.1));
            name(decoded, maker, own);
        }
    }
}

fn name(decoded: &mut Decoded<'_>, (at, part): Maker, path: PathId) {
    let steps = match &mut decoded.ops[at].call {
        Call::Write(Write::One(step)) => std::slice::from_mut(step),
        Call::Write(Write::Multi(steps)) => steps.as_mut_slice(),
        _ => return,
    };
    if let Some(Step::Create { path: made, .. }) = steps.get_mut(part) {
        *made = Some(path);
    }
}

/// A lost create of a sequential znode that has no name yet.
#[derive(Debug)]
struct Lost<'h> {
    maker: Maker,
    asked: &'h str,
    parent: PathId,
    inv: u64,
}

fn lost<'h>(decoded: &Decoded<'h>) -> Vec<Lost<'h>> {
    let mut lost = Vec::new();
    let open = decoded.ops.iter().enumerate();
    for (at, op) in open.filter(|(_, op)| op.may_take_effect()) {
        let steps = match &op.call {
            Call::Write(write) => write.steps(),
            _ => &[],
        };
        for (part, step) in steps.iter().enumerate() {
            if let Step::Create {
                asked,
                path: None,
                parent: Some(parent),
                ..
            } = step
            {
                lost.push(Lost {
                    maker: (at, part),
                    asked,
                    parent: *parent,
                    inv: op.inv(),
                });
            }
        }
    }
    lost
}

/// What the history says of a name.
#[derive(Debug, Default)]
struct Mentions {
    /// Operations with which it was there if they took effect, or with which it was not there in vain.
    by: Vec<u32>,
    /// Whether an operation asks to make just this.
    is_asked: bool,
    /// Creates that were answered with it.
    made: Vec<u32>,
}

/// What the history says of the names below the parents of lost creates.
struct Known<'a, 'h> {
    decoded: &'a Decoded<'h>,
    lost: FxHashMap<PathId, Vec<Lost<'h>>>,
    mentions: FxHashMap<PathId, Mentions>,
    /// By parent: creates of sequential znodes that were answered, and the numbers that they made.
    numbered: FxHashMap<PathId, Vec<(u32, i32)>>,
    /// By parent: operations that may have deleted it.
    deleted: FxHashMap<PathId, Vec<u32>>,
    /// By parent: when it was made, as answers show it, with the newest zxid of these.
    lives: FxHashMap<PathId, FxHashMap<Zxid, Zxid>>,
    given: FxHashSet<PathId>,
    /// Zxids of answered writes.
    taken: FxHashSet<Zxid>,
    /// For each line at which a write was answered, the newest zxid of these by then.
    answered: Vec<(u64, Zxid)>,
}

impl<'a, 'h> Known<'a, 'h> {
    fn of(decoded: &'a Decoded<'h>) -> Self {
        let mut by_parent: FxHashMap<PathId, Vec<Lost<'h>>> = FxHashMap::default();
        for lost in lost(decoded) {
            by_parent.entry(lost.parent).or_default().push(lost);
        }
        let mut known = Known {
            decoded,
            lost: by_parent,
            mentions: FxHashMap::default(),
            numbered: FxHashMap::default(),
            deleted: FxHashMap::default(),
            lives: FxHashMap::default(),
            given: FxHashSet::default(),
            taken: FxHashSet::default(),
            answered: Vec::new(),
        };
        if known.lost.is_empty() {
            return known;
        }
        known.given = given(decoded).into_iter().map(|(path, _)| path).collect();
        for (at, op) in decoded.ops.iter().enumerate() {
            let at = at as u32;
            known.live(op);
            match &op.call {
                Call::Read { path, .. } => {
                    if let Outcome::Done(answer) = &op.outcome {
                        known.mention(at, *path);
                        for child in answer.children.iter().flatten() {
                            known.mention(at, *child);
                        }
                    }
                }
                Call::Write(write) => known.write(at, op, write.steps()),
                Call::Other => {}
            }
        }
        known.answered.sort_unstable();
        let mut newest = 0;
        for (_, zxid) in &mut known.answered {
            newest = newest.max(*zxid);
            *zxid = newest;
        }
        known
    }

    /// Takes in what an operation tells of zxids.
    fn live(&mut self, op: &Op<'h>) {
        if op.took_effect()
            && let (Some(zxid), Some(ret)) = (op.zxid, op.ret())
        {
            self.taken.insert(zxid);
            self.answered.push((ret, zxid));
        }
        if let Some((path, stat)) = shown(op)
            && let (Some(made), true) = (stat.czxid, self.lost.contains_key(&path))
        {
            let newest = self.lives.entry(path).or_default().entry(made).or_default();
            *newest = stat.newest().max(*newest);
        }
    }

    /// The znode was there with this operation, and so was all that is above it.
    fn mention(&mut self, at: u32, path: PathId) {
        let mut next = Some(path);
        while let Some(path) = next {
            next = self.decoded.paths.parent(path);
            if next.is_some_and(|parent| self.lost.contains_key(&parent)) {
                let by = &mut self.mentions.entry(path).or_default().by;
                if by.last() != Some(&at) {
                    by.push(at);
                }
            }
        }
    }

    fn write(&mut self, at: u32, op: &Op<'h>, steps: &[Step<'h>]) {
        let refused = match &op.outcome {
            // Nothing of it was there.
            Outcome::Refused(Code::NoNode, _) if steps.len() == 1 => return,
            Outcome::Failed => return,
            Outcome::Refused(..) => true,
            Outcome::Done(_) | Outcome::Unknown => false,
        };
        for step in steps {
            match step {
                Step::Create {
                    asked,
                    path,
                    parent,
                    sequential,
                    ..
                } if !refused => {
                    if let Some(parent) = parent {
                        self.mention(at, *parent);
                    }
                    let (Some(path), Some(parent)) = (path, parent) else {
                        continue;
                    };
                    if !self.lost.contains_key(parent) {
                        continue;
                    }
                    let mentions = self.mentions.entry(*path).or_default();
                    match (sequential, number(asked, self.decoded.paths.name(*path))) {
                        (true, Some(number)) => {
                            mentions.made.push(at);
                            self.numbered.entry(*parent).or_default().push((at, number));
                        }
                        _ => mentions.is_asked = true,
                    }
                }
                Step::Create { path, parent, .. } => {
                    for path in path.iter().chain(parent) {
                        self.mention(at, *path);
                    }
                }
                Step::Delete { path, .. } => {
                    self.mention(at, *path);
                    if !refused && self.lost.contains_key(path) {
                        self.deleted.entry(*path).or_default().push(at);
                    }
                }
                Step::Set { path, .. } | Step::Check { path, .. } => self.mention(at, *path),
            }
        }
    }

    fn op(&self, at: u32) -> &'a Op<'h> {
        &self.decoded.ops[at as usize]
    }

    /// Who may have made a name, and its number, if anybody may.
    fn question(
        &self,
        path: PathId,
        mentions: &Mentions,
        may_have: &impl Fn(usize, Zxid) -> bool,
    ) -> Option<(i32, Question)> {
        let parent = self.decoded.paths.parent(path)?;
        let name = self.decoded.paths.name(path);
        let mut found = None;
        let mut makers: Vec<(u64, Maker)> = Vec::new();
        for lost in self.lost.get(&parent)? {
            let Some(number) = number(lost.asked, name) else {
                continue;
            };
            found = Some(number);
            let shows =
                |at: &&u32| self.may_show(parent, path, number, **at, lost, mentions, may_have);
            if mentions.by.iter().any(|at| shows(&at)) {
                let before = self.made_before(parent, number);
                makers.push((lost.inv.abs_diff(before), lost.maker));
            }
        }
        let number = found.filter(|_| !makers.is_empty())?;
        makers.sort_unstable();
        let mut makers: Vec<Option<Maker>> =
            makers.into_iter().map(|(_, maker)| Some(maker)).collect();
        let was_there = |at: &u32| matches!(self.op(*at).outcome, Outcome::Done(_));
        let others = mentions.is_asked || !mentions.made.is_empty();
        if others {
            makers.insert(0, None);
        } else if self.given.contains(&parent) || !mentions.by.iter().any(was_there) {
            makers.push(None);
        }
        let asked = makers
            .iter()
            .flatten()
            .map(|(at, _)| self.decoded.ops[*at].inv())
            .min();
        let from = match asked {
            Some(inv) if !self.given.contains(&parent) => self.newest(inv),
            // It may have been there before all.
            _ => Zxid::MIN,
        };
        Some((number, Question { path, makers, from }))
    }

    /// Whether an operation may be about what a lost create made under this name.
    #[expect(clippy::too_many_arguments)]
    fn may_show(
        &self,
        parent: PathId,
        path: PathId,
        number: i32,
        at: u32,
        lost: &Lost<'_>,
        mentions: &Mentions,
        may_have: &impl Fn(usize, Zxid) -> bool,
    ) -> bool {
        let op = self.op(at);
        if end(op) < lost.inv {
            return false;
        }
        let own = shown(op).filter(|(about, _)| *about == path);
        let made = own.and_then(|(_, stat)| stat.czxid);
        if made.is_some_and(|made| self.taken.contains(&made) || !may_have(lost.maker.0, made)) {
            return false;
        }
        let one_life = |other: &u32| !self.may_be_apart(parent, *other, at);
        if mentions.made.iter().any(one_life) {
            return false;
        }
        let only_so = !mentions.is_asked && !self.given.contains(&parent);
        let was_there = |other: &u32| {
            let other = self.op(*other);
            matches!(other.outcome, Outcome::Done(_)) && end(other) < lost.inv
        };
        if only_so
            && mentions
                .by
                .iter()
                .any(|other| was_there(other) && one_life(other))
        {
            return false;
        }
        let numbered = self.numbered.get(&parent).into_iter().flatten();
        let greater = |(_, other): &&(u32, i32)| other.wrapping_sub(number) > 0;
        let earlier = |(other, _): &&(u32, i32)| end(self.op(*other)) < lost.inv;
        !numbered
            .filter(greater)
            .filter(earlier)
            .any(|(other, _)| one_life(other))
    }

    /// The newest zxid of a write that was answered before a line.
    fn newest(&self, line: u64) -> Zxid {
        let before = self.answered.partition_point(|(ret, _)| *ret < line);
        self.answered[..before].last().map_or(0, |(_, zxid)| *zxid)
    }

    /// When the greatest number below this one was asked for.
    fn made_before(&self, parent: PathId, number: i32) -> u64 {
        let numbered = self.numbered.get(&parent).into_iter().flatten();
        let smaller = numbered.filter(|(_, other)| other.wrapping_sub(number) < 0);
        let last = smaller.max_by_key(|(_, other)| other.wrapping_sub(number));
        last.map_or(0, |(at, _)| self.op(*at).inv())
    }

    /// Whether the parent may have been deleted between two operations, whichever came first.
    fn may_be_apart(&self, parent: PathId, one: u32, other: u32) -> bool {
        let (one, other) = (self.op(one), self.op(other));
        let life = |op: &Op<'_>| self.life_with(parent, op);
        if life(one).is_some_and(|life_of_one| Some(life_of_one) == life(other)) {
            return false;
        }
        let from = one.inv().min(other.inv());
        let to = end(one).max(end(other));
        let deleted = self.deleted.get(&parent).into_iter().flatten();
        deleted
            .map(|at| self.op(*at))
            .any(|delete| end(delete) > from && delete.inv() < to)
    }

    /// When the parent was made that was there with an operation, as far as answers show it.
    fn life_with(&self, parent: PathId, op: &Op<'_>) -> Option<Zxid> {
        match shown(op) {
            Some((path, stat)) if path == parent => stat.czxid,
            Some((path, stat)) if self.decoded.paths.parent(path) == Some(parent) => {
                self.life_at(parent, stat.czxid?)
            }
            // A read may be older than its reply's zxid.
            _ => self.life_at(parent, op.zxid.filter(|_| op.took_effect())?),
        }
    }

    fn life_at(&self, parent: PathId, zxid: Zxid) -> Option<Zxid> {
        let holds = |(made, newest): &(&Zxid, &Zxid)| **made <= zxid && zxid <= **newest;
        let mut lives = self.lives.get(&parent)?.iter();
        lives.find(holds).map(|(made, _)| *made)
    }
}

/// The last line with which an operation can have taken effect.
fn end(op: &Op<'_>) -> u64 {
    op.ret()
        .filter(|_| !op.may_take_effect())
        .unwrap_or(u64::MAX)
}

/// Which znode's Stat an answer shows.
fn shown(op: &Op<'_>) -> Option<(PathId, StatSeen)> {
    let Outcome::Done(answer) = &op.outcome else {
        return None;
    };
    let path = match &op.call {
        Call::Read { path, .. } => *path,
        Call::Write(Write::One(step)) => step.path()?,
        _ => return None,
    };
    Some((path, answer.stat))
}
