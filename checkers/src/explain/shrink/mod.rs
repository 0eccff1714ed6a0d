//! The smallest sub-history that still shows an anomaly.
//!
//! First the operations of the witness alone, of transactions the steps on the keys in question only, and of what they read the
//! elements that they themselves wrote; if that does not show it, more and more around them: who wrote what they read, the
//! last few operations on these objects before it, all of them, everything up to the last of them. Then whatever can go, goes:
//! first what belongs together (a value put and taken, a lock acquired and released), then operation by operation.
//!
//! The work is bounded by counts, not by a clock: lines judged and configurations visited, for each part in proportion to its
//! size, and in all. A part that is not judged to the end within its share does not count as one that shows it.
//!
//! Each part is judged by the same checker, and counts only if that reports the same kind of anomaly about the same
//! operations, and no kind of anomaly that was not there before: to leave out an acknowledged write can create a violation (a
//! value that nobody wrote), and what is shown must be what was found. What a session was told of the znodes in question, while
//! that happened which the anomaly is about, is never left out: that an event is missing must not come from leaving it out. It
//! shows; the proof remains the verdict on the whole history. Where the state before the first operation matters (versions that count from the first write), a small part can
//! show nothing, and the witness says so.

mod selection;
mod sources;

use super::evidence::{Part as Role, operations};
use crate::history::{EventRef, History, Operation};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Verdict};
use rustc_hash::FxHashSet;
use selection::{Part, Selection, is_told, keys_of};
use serde_json::{Value, json};
use sources::{Element, Sources, Writers};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// Work for one anomaly at most, in lines judged and configurations visited: a second or two.
const WORK: u64 = 400_000;
/// Parts that are judged at most.
const PARTS: usize = 2_000;
/// Configurations that judging one part may visit, however small it is.
const STATES: u64 = 2_000;
/// And for each of its lines.
const STATES_A_LINE: u64 = 16;
/// Operations of the smallest neighbourhood that is tried; each next one is four times as large.
const NEIGHBOURHOOD: usize = 8;
/// A part of more lines than this explains nothing.
const LARGEST: usize = 400;
/// Anomalies of one finding that are shrunk at most.
const ANOMALIES: usize = 16;
/// Work for all anomalies of one finding; the first has its share in any case.
const WORK_IN_ALL: u64 = 2_000_000;

/// Operations that may be looked at to find the small parts, over all anomalies; the first anomaly always is.
const PASSES: usize = 8_000_000;
/// How often each operation is looked at for one anomaly, about.
const PASSES_EACH: usize = 4;

const TOO_LARGE: &str = "the history is too large to be shrunk for every one of its anomalies";

/// Adds to each anomaly's witness the smallest part of the history in which the checker still finds it: `"history"`, its lines
/// as a history of its own; `"history_indices"`, which they were in the whole one; `"history_smallest"`, whether nothing more can be
/// left out of it. Where no small part shows it, `"history"` is `null` and `"history_note"` says why.
pub fn shrink(history: &History, checker: &dyn Checker, finding: &mut Finding, budget: &Budget) {
    let Ok(all) = history.operations() else {
        return;
    };
    let writers = OnceCell::new();
    let known = kinds(finding);
    if known.is_empty() {
        return;
    }
    let anomalies = match &mut finding.verdict {
        Verdict::Invalid(anomalies) => anomalies.as_mut_slice(),
        _ => &mut [],
    };
    let mut work = Work {
        passes: PASSES,
        left: WORK_IN_ALL,
        is_begun: false,
    };
    let told = anomalies.iter_mut().chain(&mut finding.outside_contract);
    for anomaly in told.take(ANOMALIES) {
        let Some(mut found) = Found::of(anomaly, &all) else {
            continue;
        };
        work.passes = work.passes.saturating_sub(PASSES_EACH * all.len());
        if (work.passes == 0 || work.left == 0) && work.is_begun {
            anomaly.witness["history"] = Value::Null;
            anomaly.witness["history_note"] = json!(TOO_LARGE);
            continue;
        }
        work.is_begun = true;
        let objects = found.objects(&all);
        let sources = Sources::of(&all, &objects);
        found.keep_what_was_told(history, &all);
        let told = found.told_in_question(history, &all, &objects);
        let mut shrinking = Shrinking {
            history,
            all: &all,
            sources: &sources,
            writers: &writers,
            checker,
            known: &known,
            budget: *budget,
            listed: sources::all_listed(&all, &found.core),
            found,
            told,
            work: WORK.min(work.left),
            parts: PARTS,
        };
        let given = shrinking.work;
        shrinking.tell(anomaly);
        work.left -= given - shrinking.work;
    }
}

/// What all anomalies share: a history of millions of lines is not gone through for each of a dozen.
struct Work {
    passes: usize,
    left: u64,
    is_begun: bool,
}

fn kinds(finding: &Finding) -> BTreeSet<String> {
    every(finding).map(|anomaly| anomaly.kind.clone()).collect()
}

/// All anomalies of a finding, forbidden or not.
fn every(finding: &Finding) -> impl Iterator<Item = &Anomaly> {
    let forbidden = match &finding.verdict {
        Verdict::Invalid(anomalies) => anomalies.as_slice(),
        _ => &[],
    };
    forbidden.iter().chain(&finding.outside_contract)
}

/// What must be found again.
#[derive(Debug, Clone)]
struct Same {
    kind: String,
    /// The lines at which the operations began that it is about.
    about: BTreeSet<u64>,
    /// The line of what a session was told, if it is about that.
    told: Option<u64>,
    /// The sentence that says why two operations exclude each other, where there is one: another one is another reason.
    reason: Option<String>,
    /// The states that none of the orders gets beyond.
    states: BTreeSet<String>,
}

impl Same {
    /// Whether what was found in a part is this. Where fewer operations are, fewer states are possible; but one at least is
    /// as it was. Then the same operation cannot have happened for the same reason, whatever sentence tells it.
    fn is(&self, other: &Same) -> bool {
        let common = !self.states.is_disjoint(&other.states);
        let states = self.states == other.states || common;
        self.kind == other.kind
            && self.about == other.about
            && self.told == other.told
            && (common || self.reason == other.reason)
            && states
    }

    /// Lines are those of the whole history.
    fn of(anomaly: &Anomaly, line: impl Fn(u64) -> Option<u64>) -> Option<Same> {
        let named = operations(&anomaly.witness);
        let stuck = named.values().any(|(role, _)| *role == Role::Stuck);
        let is_about = |role: Role| match stuck {
            // How an order fails may be told by more or fewer of the others.
            true => role == Role::Stuck,
            false => role <= Role::Window,
        };
        let about = named
            .iter()
            .filter(|(_, (role, _))| is_about(*role))
            .map(|(index, _)| line(*index))
            .collect::<Option<BTreeSet<u64>>>()?;
        let told = match told(anomaly) {
            Some(index) => Some(line(index)?),
            None => None,
        };
        let reason = anomaly.witness["contradiction"]["text"].as_str();
        let stuck = &anomaly.witness["stuck"];
        (!about.is_empty()).then(|| Same {
            kind: anomaly.kind.clone(),
            about,
            told,
            reason: reason.map(without_lines),
            states: match stuck["operation"]["f"] == "txn" {
                // Of many objects, a part has fewer: what was wrong with the one that was read is what counts.
                true => words(&stuck["states"], "why").map(of_the_read).collect(),
                false => words(&stuck["states"], "state").collect(),
            },
        })
    }
}

/// The line of the event that an anomaly is about.
fn told(anomaly: &Anomaly) -> Option<u64> {
    anomaly.witness["event"]["index"].as_u64()
}

fn words<'w>(listed: &'w Value, name: &'w str) -> impl Iterator<Item = String> + 'w {
    let listed = listed.as_array().into_iter().flatten();
    listed.map(move |state| super::evidence::word(&state[name]))
}

/// What a transaction read, without all else that the state was.
fn of_the_read(why: String) -> String {
    let end = why.find(", and the state is").unwrap_or(why.len());
    why[..end].to_owned()
}

/// The sentence without the numbers of lines, which are others in a part.
fn without_lines(sentence: &str) -> String {
    let mut parts = sentence.split(" line ");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told.push_str(" line ");
        told.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    told
}

/// An anomaly as it was found in the whole history.
struct Found {
    same: Same,
    /// The operations that its witness names, by place.
    named: BTreeSet<usize>,
    /// Those of them that must stay.
    core: BTreeSet<usize>,
    /// The keys in question.
    keys: BTreeSet<String>,
    /// Lines that were told and must stay.
    told: BTreeSet<u64>,
}

impl Found {
    fn of(anomaly: &Anomaly, all: &[Operation<'_>]) -> Option<Found> {
        let same = Same::of(anomaly, Some)?;
        let place = |line: u64| all.binary_search_by_key(&line, Operation::inv).ok();
        let named: BTreeSet<usize> = operations(&anomaly.witness)
            .into_keys()
            .filter_map(place)
            .collect();
        let core: BTreeSet<usize> = same.about.iter().filter_map(|line| place(*line)).collect();
        let steps = anomaly.witness["cycle"].as_array();
        let steps = steps.into_iter().flatten().map(|step| &step["key"]);
        // "The only object" is none of a transaction's.
        let touched: FxHashSet<String> = (named.iter())
            .flat_map(|place| keys_of(&all[*place]))
            .collect();
        let keys = steps
            .chain([&anomaly.witness["key"]])
            .filter(|key| !key.is_null())
            .map(super::evidence::word)
            .filter(|key| touched.contains(key))
            .collect();
        (core.len() == same.about.len()).then_some(Found {
            same,
            named,
            core,
            keys,
            told: BTreeSet::new(),
        })
    }

    /// What the sessions in question were told of the znodes in question while it happened must stay; and what caused it should.
    fn keep_what_was_told(&mut self, history: &History, all: &[Operation<'_>]) {
        let core = || self.core.iter().map(|place| &all[*place]);
        let sessions: FxHashSet<&str> = core().filter_map(sources::session).collect();
        let keys: FxHashSet<&str> = core().filter_map(Operation::key).collect();
        let begin = core().map(Operation::inv).min().unwrap_or_default();
        let end = core()
            .map(|operation| operation.ret().unwrap_or(operation.inv()))
            .max()
            .unwrap_or_default();
        let is_ours = |event: &EventRef<'_>| {
            let is = |known: &FxHashSet<&str>, name: Option<&str>| {
                name.is_some_and(|name| known.contains(name))
            };
            is_told(event) && is(&sessions, event.text("session")) && is(&keys, event.key())
        };
        let lines = begin as usize..history.len().min(end as usize + 1);
        let told = lines.map(|line| history.event(line)).filter(is_ours);
        let told: Vec<EventRef<'_>> = told.collect();
        let changes: FxHashSet<i64> = told.iter().filter_map(|event| event.int("zxid")).collect();
        let caused = |operation: &Operation<'_>| {
            let zxid = operation.answer().and_then(|answer| answer.int("zxid"));
            let names = || keys_of(operation).into_iter().flat_map(with_those_above);
            zxid.is_some_and(|zxid| changes.contains(&zxid))
                && names().any(|key| keys.contains(&*key))
        };
        let causes = (0..all.len()).filter(|place| !changes.is_empty() && caused(&all[*place]));
        let causes: Vec<usize> = causes.collect();
        self.told = told.iter().map(|event| event.index()).collect();
        self.named.extend(causes);
    }

    /// The objects in question, or else all that the named operations touch.
    fn objects(&self, all: &[Operation<'_>]) -> FxHashSet<String> {
        let touched = self.named.iter().flat_map(|place| keys_of(&all[*place]));
        let touched = touched.flat_map(with_those_above);
        match self.has_steps(all) && !self.keys.is_empty() {
            true => self.keys.iter().cloned().collect(),
            false => touched.collect(),
        }
    }

    /// What the sessions of the named operations were told of these objects.
    fn told_in_question(
        &self,
        history: &History,
        all: &[Operation<'_>],
        objects: &FxHashSet<String>,
    ) -> BTreeSet<u64> {
        let sessions: FxHashSet<&str> = (self.named.iter())
            .filter_map(|place| sources::session(&all[*place]))
            .collect();
        if sessions.is_empty() {
            return BTreeSet::new();
        }
        let ours = |event: &EventRef<'_>| {
            is_told(event)
                && event
                    .text("session")
                    .is_some_and(|session| sessions.contains(session))
                && event.key().is_some_and(|key| objects.contains(key))
        };
        let told = history.events().filter(ours).map(|event| event.index());
        let ours = self.told.iter().copied();
        told.chain(ours).chain(self.same.told).collect()
    }

    fn has_steps(&self, all: &[Operation<'_>]) -> bool {
        self.named.iter().any(|place| all[*place].f() == "txn")
    }
}

/// A path with the paths of all above it; any other key by itself.
fn with_those_above(key: String) -> Vec<String> {
    let mut all = vec![key];
    while let Some(at) = all[all.len() - 1].rfind('/').filter(|at| *at > 0) {
        let path = &all[all.len() - 1];
        if !path.starts_with('/') {
            break;
        }
        all.push(path[..at].to_owned());
    }
    all
}

/// One anomaly on its way to its smallest form.
struct Shrinking<'a, 'h> {
    history: &'h History,
    all: &'a [Operation<'h>],
    sources: &'a Sources,
    /// Every value that a transaction wrote, once somebody asks.
    writers: &'a OnceCell<Writers>,
    checker: &'a dyn Checker,
    known: &'a BTreeSet<String>,
    budget: Budget,
    found: Found,
    /// What the sessions in question were told of the objects, by line.
    told: BTreeSet<u64>,
    /// What is listed in what the core read.
    listed: FxHashSet<Element>,
    /// What is left of it.
    work: u64,
    parts: usize,
}

impl Shrinking<'_, '_> {
    fn tell(&mut self, anomaly: &mut Anomaly) {
        let note = |anomaly: &mut Anomaly, note: &str| {
            anomaly.witness["history"] = Value::Null;
            anomaly.witness["history_note"] = json!(note);
        };
        let Some(first) = self.first() else {
            return note(
                anomaly,
                "no small part of the history shows this by itself: what came before it matters, or the search for one was too long",
            );
        };
        let (smallest, to_the_end) = self.smallest(first);
        let part = smallest.cast(self.history, self.all);
        if part.lines.len() > LARGEST {
            return note(
                anomaly,
                &format!(
                    "the smallest part that was found to show this has {} lines, and none of more than {LARGEST} is told",
                    part.lines.len()
                ),
            );
        }
        let events: Vec<_> = part
            .history
            .events()
            .map(crate::history::EventRef::to_event)
            .collect();
        anomaly.witness["history"] = json!(events);
        anomaly.witness["history_indices"] = json!(part.lines);
        anomaly.witness["history_smallest"] = json!(to_the_end);
    }

    /// The smallest of a few obvious parts that shows it.
    fn first(&mut self) -> Option<Selection> {
        let (all, sources) = (self.all, self.sources);
        let of_transactions = self.found.has_steps(all) && !self.found.keys.is_empty();
        let keys = of_transactions.then(|| self.found.keys.clone());
        let named = sources.with_writers(self.found.named.clone());
        let told = self.told.clone();
        let part = |operations: BTreeSet<usize>, keys: &Option<BTreeSet<String>>| Selection {
            told: told.clone(),
            hidden: sources.foreign(all, &operations),
            keys: keys.clone(),
            operations,
            ..Selection::default()
        };
        // By themselves; with those who saw their order; with those who wrote all else that they read.
        let observed = sources.with_observers(all, &named);
        let small = [
            part(named.clone(), &keys),
            part(observed.clone(), &keys),
            part(named.clone(), &None),
            part(observed, &None),
            part(sources.with_all_writers(all, &named), &keys),
        ];
        if let Some(found) = small.into_iter().find(|part| self.shows(part)) {
            return Some(found);
        }
        let end = self.end();
        let before = |place: &usize| all[*place].inv() <= end;
        let all_told: BTreeSet<u64> = match told.is_empty() {
            true => BTreeSet::new(),
            false => (self.history.events().filter(is_told))
                .map(|event| event.index())
                .collect(),
        };
        let whole = |operations: BTreeSet<usize>, controller| Selection {
            operations,
            told: if controller {
                all_told.clone()
            } else {
                told.clone()
            },
            controller,
            ..Selection::default()
        };
        let of_objects: BTreeSet<usize> =
            sources.related().iter().copied().filter(before).collect();
        if let Some(found) = self.neighbourhood(&of_objects) {
            return Some(found);
        }
        let large = [
            whole(of_objects, false),
            whole((0..all.len()).filter(before).collect(), true),
            whole((0..all.len()).collect(), true),
        ];
        large.into_iter().find(|part| self.shows(part))
    }

    /// The last few operations on the objects, with all that touched the same values; more of them until they show it.
    fn neighbourhood(&mut self, of_objects: &BTreeSet<usize>) -> Option<Selection> {
        let mut size = NEIGHBOURHOOD;
        while size < of_objects.len() {
            let last = of_objects.iter().rev().take(size).copied();
            let near = last.chain(self.found.named.iter().copied()).collect();
            let lives = self.sources.with_lives(&near, of_objects);
            let part = Selection {
                told: self.told.clone(),
                operations: self.sources.with_writers(lives),
                ..Selection::default()
            };
            if self.shows(&part) {
                return Some(part);
            }
            size *= 4;
        }
        None
    }

    /// The last line of what the witness names.
    fn end(&self) -> u64 {
        let named = self.found.named.iter().map(|place| &self.all[*place]);
        let ends = named.map(|operation| operation.ret().unwrap_or(operation.inv()));
        ends.chain(self.found.same.told).max().unwrap_or_default()
    }

    /// Leaves out operations, first those that belong together, many at a time and then one by one, and then steps of
    /// transactions. Whether it came to the end.
    fn smallest(&mut self, mut selection: Selection) -> (Selection, bool) {
        if selection.controller {
            let quiet = Selection {
                controller: false,
                told: self.told.clone(),
                ..selection.clone()
            };
            if self.shows(&quiet) {
                selection = quiet;
            }
        }
        let lives = self.sources.lives_of(&selection.operations);
        if !self.leave_out(&mut selection, lives) {
            return (selection, false);
        }
        // What had to stay for the sake of something that went later may go now: until nothing goes any more.
        loop {
            let before = selection.clone();
            if !self.leave_out_each(&mut selection) {
                return (selection, false);
            }
            if selection == before {
                return (selection, true);
            }
        }
    }

    /// Leaves out what can go one by one: operations, what was told, steps of transactions. Whether it came to the end.
    fn leave_out_each(&mut self, selection: &mut Selection) -> bool {
        let single = selection.operations.iter().map(|place| vec![*place]);
        let single = single.collect();
        if !self.leave_out(selection, single) || !self.leave_out_told(selection) {
            return false;
        }
        for place in selection.operations.clone() {
            let steps = match self.all[place].argument().as_list() {
                Some(list) if self.all[place].f() == "txn" => list.len(),
                _ => 0,
            };
            for step in (0..steps).rev() {
                let mut fewer = selection.clone();
                if !fewer.without.insert((place, step)) {
                    continue;
                }
                if self.shows(&fewer) {
                    *selection = fewer;
                } else if self.is_spent() {
                    return false;
                }
            }
        }
        true
    }

    /// Leaves out what can go of these groups, many at a time and then one by one; never the core. Whether it came to the end.
    fn leave_out(&mut self, selection: &mut Selection, mut groups: Vec<Vec<usize>>) -> bool {
        for group in &mut groups {
            group.retain(|place| !self.found.core.contains(place));
        }
        groups.retain(|group| !group.is_empty());
        let mut size = groups.len();
        while size > 0 {
            let mut kept = Vec::new();
            for chunk in groups.chunks(size) {
                let mut fewer = selection.clone();
                for place in chunk.iter().flatten() {
                    fewer.operations.remove(place);
                }
                if self.shows(&fewer) || self.shows_unread(&mut fewer, chunk) {
                    *selection = fewer;
                } else if self.is_spent() {
                    return false;
                } else {
                    kept.extend_from_slice(chunk);
                }
            }
            groups = kept;
            size = match size {
                1 => 0,
                size => size.div_ceil(2).min(groups.len()),
            };
        }
        true
    }

    /// Leaves out what can go of what was told, half of it at a time and then line by line. Whether it came to the end.
    fn leave_out_told(&mut self, selection: &mut Selection) -> bool {
        let mut lines: Vec<u64> = selection.told.iter().copied().collect();
        lines.retain(|line| Some(*line) != self.found.same.told && !self.found.told.contains(line));
        let mut size = lines.len();
        while size > 0 {
            let mut kept = Vec::new();
            for chunk in lines.chunks(size) {
                let mut fewer = selection.clone();
                fewer.told.retain(|line| !chunk.contains(line));
                if self.shows(&fewer) {
                    *selection = fewer;
                } else if self.is_spent() {
                    return false;
                } else {
                    kept.extend_from_slice(chunk);
                }
            }
            lines = kept;
            size = match size {
                1 => 0,
                size => size.div_ceil(2).min(lines.len()),
            };
        }
        true
    }

    /// Whether the part shows it where what these wrote is not read either, if the core lists any of it.
    fn shows_unread(&mut self, fewer: &mut Selection, gone: &[Vec<usize>]) -> bool {
        let gone = gone.iter().flatten().copied();
        let unread = self.sources.listed_of(self.all, gone, &self.listed);
        !unread.is_empty() && {
            fewer.hidden.extend(unread);
            self.shows(fewer)
        }
    }

    fn is_spent(&self) -> bool {
        self.parts == 0 || self.work == 0
    }

    /// Whether the checker finds the same in this part, and nothing of a kind that was not there. A part in which a value was
    /// read that nobody in it wrote, and somebody else did, shows another anomaly; and so does one that was not judged to the
    /// end within what it may cost.
    fn shows(&mut self, selection: &Selection) -> bool {
        if self.sources.has_orphans(selection) {
            return false;
        }
        let lines = 2 * selection.operations.len() as u64 + selection.told.len() as u64;
        if self.parts == 0 || lines > self.work {
            self.work = 0;
            return false;
        }
        self.parts -= 1;
        self.work -= lines;
        let states = (STATES + STATES_A_LINE * lines).min(self.work);
        let budget = Budget {
            states: states.min(self.budget.states),
            ..self.budget
        };
        let part = selection.cast(self.history, self.all);
        if self.has_orphans(&part) {
            return false;
        }
        let finding = self.checker.check(&part.history, &budget);
        self.work -= visited(&finding).min(self.work);
        self.is_in(&finding, &part)
    }

    /// Whether a step of a transaction in the part read a value that somebody wrote, but no step in the part.
    fn has_orphans(&self, part: &Part) -> bool {
        let operations = part.history.operations().unwrap_or_default();
        let unwritten = sources::unwritten(&operations);
        let writers = || sources::Writers::of(self.all);
        unwritten
            .iter()
            .any(|read| self.writers.get_or_init(writers).has(*read))
    }

    fn is_in(&self, finding: &Finding, part: &Part) -> bool {
        let is_same = |anomaly: &Anomaly| {
            Same::of(anomaly, |line| part.line_before(line))
                .is_some_and(|same| self.found.same.is(&same))
        };
        kinds(finding).is_subset(self.known) && every(finding).any(is_same)
    }
}

/// Configurations that a finding took, and its explanation.
fn visited(finding: &Finding) -> u64 {
    let count = |told: &Value, name: &str| told[name].as_u64().unwrap_or_default();
    let details = &finding.details;
    count(details, "configurations")
        + count(details, "configurations_to_explain")
        + count(&details["search"], "configurations")
}
