//! `lock` and `election`: effects are accepted in the order of the tokens that guard them.

use crate::breaches::Breaches;
use crate::history::{History, Kind, Nanos, Operation, ValueRef};
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Zxid = i64;

/// The checkers `lock` and `election`.
///
/// `lock` and `election`: effects are accepted in the order of the tokens that guard them.
///
/// A client that holds a lock (or leads) may be paused and wake up after it lost it: holders overlap in real time in a correct
/// system, and that is reported, not judged. What must hold is the fence: each effect goes through `multi(check(lock node),
/// setData(resource))` with the lock node's `czxid` as its token, so that
/// - effects under one lock are accepted in the order of their tokens, whatever they are effects on (`effect-out-of-order`): when a later
///   token's effect was accepted, its holder had been the first, so that no earlier lock node was there to be checked any more. (The lock excludes
///   everybody else: not a shared lock, whose readers hold it together);
/// - none is accepted at a zxid after the one at which a later token's holder had seen itself alone (`effect-after-successor`), nor
///   before its own token (`effect-before-token`);
/// - tokens are unique (`token-reused`) and agree with real time: who asked after another had acquired has the greater one
///   (`token-against-real-time`).
///
/// An indeterminate effect takes part where a read of its resource shows what nobody else can have written: its value, which no other
/// indeterminate write of the resource has under another token, with an `mzxid` that no acknowledged write has and that is not from before the history. That
/// is its zxid.
///
/// Operations: `acquire` (`elect`) answers with `token`, the czxid, and with the `zxid` of the view in which it was the first; its key
/// is the lock. `write` is an effect: its key is the resource, `lock` names the lock (where there are several: effects that name none are
/// compared resource by resource), `token` its token; it answers with its `zxid`; a refusal has `error`. `read` shows `value` and `mzxid`. `release` (`resign`) ends holding.
///
/// Holding, as the client sees it, begins with the answer of `acquire` and ends with the first of: its `release`, a completion
/// of the same process with the error `connection-lost` or `session-expired`, the answer's `deadline_ns` (since the run's start).
///
/// ```text
/// {"process":1,"type":"ok","f":"acquire","key":"l1","value":null,"token":4294967301,"zxid":4294967303,"session":"0x1"}
/// {"process":1,"type":"ok","f":"write","key":"r1","value":7,"lock":"l1","token":4294967301,"zxid":4294967304,"session":"0x1"}
/// ```
///
/// Details: `{"acquired", "effects", "refused", "indeterminate_seen", "overlaps": {"count", "longest_ns", "first": [operation,
/// operation] | null}}`: holdings, accepted and refused effects, indeterminate ones that a read shows, and pairs of consecutive
/// holders who both thought to hold at one time.
#[derive(Debug, Clone, Copy)]
pub struct Fencing {
    name: &'static str,
    begin: &'static str,
    end: &'static str,
}

impl Fencing {
    /// The checker `lock`: `acquire` and `release`.
    pub fn lock(_: &Parameters) -> Fencing {
        Fencing {
            name: "lock",
            begin: "acquire",
            end: "release",
        }
    }

    /// The checker `election`: `elect` and `resign`.
    pub fn election(_: &Parameters) -> Fencing {
        Fencing {
            name: "election",
            begin: "elect",
            end: "resign",
        }
    }
}

impl Checker for Fencing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, self.name) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let fences = match self.gather(&operations) {
            Ok(fences) => fences,
            Err(misfit) => return Finding::misfit(self.name, misfit),
        };
        let mut breaches = Breaches::default();
        let mut overlaps = Overlaps::default();
        for (name, lock) in &fences.locks {
            let is_one = name.is_some() || !fences.are_named;
            lock.judge(is_one, &mut breaches);
            lock.overlaps(&mut overlaps);
        }
        let count = |of: fn(&Lock<'_>) -> usize| fences.locks.values().map(of).sum::<usize>();
        let (acquired, effects) = (
            count(|lock| lock.holdings.len()),
            count(|lock| lock.effects.len()),
        );
        let nothing = (effects == 0).then(|| Reason {
            checker: self.name.to_owned(),
            text: "no guarded effect was accepted: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(
                breaches.into_anomalies(self.name),
                nothing.into_iter().collect(),
            ),
            outside_contract: Vec::new(),
            details: json!({
                "acquired": acquired,
                "effects": effects,
                "refused": fences.refused,
                "indeterminate_seen": fences.indeterminate_seen,
                "overlaps": overlaps.into_json(),
            }),
        }
    }
}

/// Somebody holds.
#[derive(Debug, Clone, Copy)]
struct Holding<'h> {
    token: Zxid,
    /// The view in which it was the first.
    alone: Option<Zxid>,
    operation: Operation<'h>,
    ends: Option<Nanos>,
}

/// An effect that was accepted.
#[derive(Debug, Clone, Copy)]
struct Effect<'h> {
    zxid: Zxid,
    token: Zxid,
    resource: Option<&'h str>,
    operation: Operation<'h>,
}

#[derive(Debug, Default)]
struct Lock<'h> {
    holdings: Vec<Holding<'h>>,
    effects: Vec<Effect<'h>>,
}

#[derive(Debug, Default)]
struct Fences<'h> {
    locks: BTreeMap<Option<&'h str>, Lock<'h>>,
    /// Whether locks have names: what names none may then be under any.
    are_named: bool,
    refused: usize,
    indeterminate_seen: usize,
}

fn needs(operation: &Operation<'_>, field: &str) -> Misfit {
    let text = format!("is `{}` without a whole number `{field}`", operation.f());
    Misfit::of(operation, text)
}

fn field(operation: &Operation<'_>, name: &str) -> Option<i64> {
    let answered = operation.completion().and_then(|line| line.int(name));
    answered.or_else(|| operation.invocation().int(name))
}

impl Fencing {
    fn gather<'h>(&self, operations: &[Operation<'h>]) -> Result<Fences<'h>, Misfit> {
        let mut fences = Fences {
            are_named: operations
                .iter()
                .any(|operation| operation.f() == self.begin && operation.key().is_some()),
            ..Fences::default()
        };
        let shown = self.shown(operations);
        // Of each process, the holding that is open: (lock, place).
        let mut open: FxHashMap<u32, (Option<&'h str>, usize)> = FxHashMap::default();
        for operation in operations {
            let (f, process) = (operation.f(), operation.process_id());
            let mut close = |fences: &mut Fences<'h>, at: Option<Nanos>| {
                if let (Some((lock, place)), Some(at)) = (open.remove(&process), at)
                    && let Some(holding) = fences
                        .locks
                        .get_mut(&lock)
                        .and_then(|lock| lock.holdings.get_mut(place))
                {
                    holding.ends = Some(holding.ends.map_or(at, |ends| ends.min(at)));
                }
            };
            if f == self.begin {
                if !operation.is_ok() || operation.error().is_some() {
                    continue;
                }
                let token = field(operation, "token").ok_or_else(|| needs(operation, "token"))?;
                close(&mut fences, Some(operation.start()));
                let lock = fences.locks.entry(operation.key()).or_default();
                open.insert(process, (operation.key(), lock.holdings.len()));
                let deadline =
                    field(operation, "deadline_ns").and_then(|at| u64::try_from(at).ok());
                lock.holdings.push(Holding {
                    token,
                    alone: operation.answer().and_then(|answer| answer.int("zxid")),
                    operation: *operation,
                    ends: deadline.map(Nanos),
                });
            } else if f == self.end {
                close(&mut fences, Some(operation.start()));
            } else if f == "write" {
                let named = [Some(operation.invocation()), operation.completion()];
                let named = named
                    .into_iter()
                    .flatten()
                    .find_map(|line| line.text("lock"));
                let lock = named.filter(|_| fences.are_named);
                let zxid = match operation.kind() {
                    Kind::Ok if operation.error().is_some() => {
                        fences.refused += 1;
                        None
                    }
                    Kind::Ok => {
                        Some(field(operation, "zxid").ok_or_else(|| needs(operation, "zxid"))?)
                    }
                    Kind::Fail => None,
                    Kind::Info | Kind::Invoke => {
                        let zxid = shown.get(&operation.inv()).copied();
                        fences.indeterminate_seen += usize::from(zxid.is_some());
                        zxid
                    }
                };
                if let Some(zxid) = zxid {
                    let token =
                        field(operation, "token").ok_or_else(|| needs(operation, "token"))?;
                    let effect = Effect {
                        zxid,
                        token,
                        resource: operation.key(),
                        operation: *operation,
                    };
                    fences.locks.entry(lock).or_default().effects.push(effect);
                }
            } else if f != "read" {
                let text = format!(
                    "is `{f}`, which {} does not have: it knows {}, {}, write and read",
                    self.name, self.begin, self.end
                );
                return Err(Misfit::of(operation, text));
            }
            if matches!(
                operation.error(),
                Some("connection-lost" | "session-expired")
            ) {
                let at = operation.end();
                if let (Some((lock, place)), Some(at)) = (open.remove(&process), at)
                    && let Some(holding) = fences
                        .locks
                        .get_mut(&lock)
                        .and_then(|lock| lock.holdings.get_mut(place))
                {
                    holding.ends = Some(holding.ends.map_or(at, |ends| ends.min(at)));
                }
            }
        }
        Ok(fences)
    }
}

/// A resource and what it holds.
type Holds<'h> = (Option<&'h str>, ValueRef<'h>);

/// A write that may have happened, by the line of its invocation, and the lock and the token under which it was tried.
type Attempt<'h> = (u64, (Option<&'h str>, Option<i64>));

/// Each value of a resource that reads show with zxids of no acknowledged write: these zxids, and the first line with which it was read.
fn sights<'h>(
    operations: &[Operation<'h>],
    is_unclaimed: impl Fn(Zxid) -> bool,
) -> FxHashMap<Holds<'h>, (BTreeSet<Zxid>, u64)> {
    let mut sights: FxHashMap<Holds<'h>, (BTreeSet<Zxid>, u64)> = FxHashMap::default();
    for read in operations {
        let mzxid = read.answer().and_then(|answer| answer.int("mzxid"));
        let (Some(mzxid), Some(value)) = (mzxid, read.result()) else {
            continue;
        };
        if read.f() != "read" || read.error().is_some() || !is_unclaimed(mzxid) {
            continue;
        }
        let first = (BTreeSet::new(), u64::MAX);
        let (zxids, line) = sights.entry((read.key(), value)).or_insert(first);
        zxids.insert(mzxid);
        *line = read.ret().map_or(*line, |ret| ret.min(*line));
    }
    sights
}

impl Fencing {
    /// Of each indeterminate effect that reads show, by the line of its invocation, its zxid.
    ///
    /// A zxid belongs to one write, so one that an acknowledged write has is none of it; what was there before the history is older
    /// than all that the history tells, tokens of locks that were held before it included; and what was read before it was invoked is not its work. If one write is left that can have
    /// written the value, or several under one token of one lock, and no more zxids than those, they are their own.
    fn shown(&self, operations: &[Operation<'_>]) -> FxHashMap<u64, Zxid> {
        let is_done = |operation: &&Operation<'_>| operation.is_ok() && operation.error().is_none();
        let told = |f: &'static str, name: &'static str| {
            let all = operations.iter().filter(is_done);
            let all = all.filter(move |operation| operation.f() == f);
            all.filter_map(move |operation| field(operation, name))
        };
        let acknowledged: FxHashSet<Zxid> = told("write", "zxid").collect();
        let held = told(self.begin, "token").chain(told(self.begin, "zxid"));
        let oldest = held.chain(acknowledged.iter().copied()).min();
        let is_unclaimed = |zxid: Zxid| {
            !acknowledged.contains(&zxid) && oldest.is_none_or(|oldest| zxid >= oldest)
        };
        let sights = sights(operations, is_unclaimed);
        let mut writers: FxHashMap<Holds<'_>, Vec<Attempt<'_>>> = FxHashMap::default();
        for operation in operations
            .iter()
            .filter(|operation| operation.f() == "write")
        {
            if matches!(operation.kind(), Kind::Info | Kind::Invoke) {
                let holds = (operation.key(), operation.argument());
                let asked = operation.invocation();
                let under = (asked.text("lock"), asked.int("token"));
                writers
                    .entry(holds)
                    .or_default()
                    .push((operation.inv(), under));
            }
        }
        let mut shown = FxHashMap::default();
        for (holds, attempts) in writers {
            let Some((zxids, read)) = sights.get(&holds) else {
                continue;
            };
            let (first, under) = attempts[0];
            let is_one = attempts.iter().all(|(_, other)| *other == under);
            // Which of several attempts under one token it was makes no difference.
            if is_one && zxids.len() <= attempts.len() && first < *read {
                let writes = attempts.iter().map(|(write, _)| *write);
                shown.extend(writes.zip(zxids.iter().copied()));
            }
        }
        shown
    }
}

impl<'h> Lock<'h> {
    /// `is_one`: whether all of these effects are under one lock.
    fn judge(&self, is_one: bool, breaches: &mut Breaches<'h>) {
        self.judge_tokens(breaches);
        let mut effects = self.effects.clone();
        effects.sort_by_key(|effect| (effect.zxid, effect.operation.inv()));
        let mut newest: BTreeMap<Option<&str>, Effect<'h>> = BTreeMap::new();
        for effect in &effects {
            if effect.zxid <= effect.token {
                let text = format!(
                    "an effect with token {:#x} was accepted at zxid {:#x}, before there was such a lock node",
                    effect.token, effect.zxid
                );
                breaches.add("effect-before-token", text, vec![effect.operation]);
            }
            let of = effect.resource.filter(|_| !is_one);
            let before = newest.entry(of).or_insert(*effect);
            if before.token > effect.token {
                let text = format!(
                    "an effect with token {:#x} was accepted at zxid {:#x}, after one with the later token {:#x} at {:#x}",
                    effect.token, effect.zxid, before.token, before.zxid
                );
                breaches.add(
                    "effect-out-of-order",
                    text,
                    vec![before.operation, effect.operation],
                );
            } else {
                *before = *effect;
            }
        }
        self.judge_successors(&effects, breaches);
    }

    /// Once a later token's holder saw itself alone, no earlier lock node is there to be checked.
    fn judge_successors(&self, effects: &[Effect<'h>], breaches: &mut Breaches<'h>) {
        let mut alone: Vec<(Zxid, &Holding<'h>)> = self
            .holdings
            .iter()
            .filter_map(|holding| Some((holding.alone?, holding)))
            .collect();
        alone.sort_by_key(|(view, holding)| (*view, holding.operation.inv()));
        let (mut next, mut latest): (usize, Option<&Holding<'h>>) = (0, None);
        for effect in effects {
            while next < alone.len() && alone[next].0 < effect.zxid {
                latest = latest
                    .filter(|holding| holding.token > alone[next].1.token)
                    .or(Some(alone[next].1));
                next += 1;
            }
            if let Some(holding) = latest.filter(|holding| holding.token > effect.token) {
                let text = format!(
                    "an effect with token {:#x} was accepted at zxid {:#x}; the holder of the later token {:#x} had seen itself \
                     alone at {:#x}",
                    effect.token,
                    effect.zxid,
                    holding.token,
                    holding.alone.unwrap_or_default()
                );
                breaches.add(
                    "effect-after-successor",
                    text,
                    vec![holding.operation, effect.operation],
                );
            }
        }
    }

    fn judge_tokens(&self, breaches: &mut Breaches<'h>) {
        let mut by_token: BTreeMap<Zxid, Operation<'h>> = BTreeMap::new();
        for holding in &self.holdings {
            if let Some(other) = by_token.insert(holding.token, holding.operation) {
                let text = format!("two acquired with one token, {:#x}", holding.token);
                breaches.add("token-reused", text, vec![other, holding.operation]);
            }
        }
        // In the order of invocations, the greatest token that was acquired before each.
        let mut ended: Vec<&Holding<'h>> = self.holdings.iter().collect();
        ended.sort_by_key(|holding| holding.operation.ret());
        let (mut next, mut greatest): (usize, Option<&Holding<'h>>) = (0, None);
        for holding in &self.holdings {
            let began = holding.operation.inv();
            while next < ended.len() && ended[next].operation.ret().is_some_and(|ret| ret < began) {
                greatest = greatest
                    .filter(|greatest| greatest.token > ended[next].token)
                    .or(Some(ended[next]));
                next += 1;
            }
            if let Some(before) = greatest.filter(|greatest| greatest.token > holding.token) {
                let text = format!(
                    "token {:#x} was acquired by one who asked after {:#x} had been acquired",
                    holding.token, before.token
                );
                breaches.add(
                    "token-against-real-time",
                    text,
                    vec![before.operation, holding.operation],
                );
            }
        }
    }

    fn overlaps(&self, overlaps: &mut Overlaps<'h>) {
        let mut holdings: Vec<&Holding<'h>> = self.holdings.iter().collect();
        holdings.sort_by_key(|holding| holding.token);
        for pair in holdings.windows(2) {
            let (Some(begins), Some(began)) = (pair[1].operation.end(), pair[0].operation.end())
            else {
                continue;
            };
            let until = pair[0]
                .ends
                .unwrap_or(Nanos(u64::MAX))
                .min(pair[1].ends.unwrap_or(Nanos(u64::MAX)));
            let from = begins.max(began);
            if until > from {
                overlaps.count += 1;
                if until != Nanos(u64::MAX) {
                    overlaps.longest = overlaps.longest.max(until.0 - from.0);
                }
                overlaps
                    .first
                    .get_or_insert((pair[0].operation, pair[1].operation));
            }
        }
    }
}

#[derive(Default)]
struct Overlaps<'h> {
    count: usize,
    longest: u64,
    first: Option<(Operation<'h>, Operation<'h>)>,
}

impl Overlaps<'_> {
    fn into_json(self) -> Value {
        let first = self.first.map(|(one, other)| {
            [
                crate::describe::operation(&one),
                crate::describe::operation(&other),
            ]
        });
        json!({ "count": self.count, "longest_ns": self.longest, "first": first })
    }
}
