//! Queues that were drained: what went in came out.

use crate::breaches::Breaches;
use crate::history::{History, Kind, Operation, ValueRef};
use crate::models::{found_nothing, refused, unknown_error};
use crate::verdict::{Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::BTreeMap;

const NAME: &str = "total-queue";

/// The checker `total-queue`.
///
/// Queues that were drained: what went in came out.
///
/// It proves, for each key, that every acknowledged `enqueue` was dequeued, and that nothing came out that nobody had tried to
/// put in. It ignores order and time: a queue that reorders passes, and so does one that delivers twice (`duplicated` is
/// reported as outside the contract; the models unordered-queue and fifo-queue judge both).
///
/// A value counts as `lost` only if it cannot be anywhere else: the queue was found empty (a `drain` that was answered, or a
/// `dequeue` that was answered with `null` or with the error `empty` or `exhausted`, also as `fail`, as Jepsen's queues say it; one that
/// failed otherwise says nothing) after the value had been acknowledged, and there are more such values than indeterminate dequeues that may have taken them before that: those invoked before it was answered.
/// Otherwise the verdict is unknown, with the reason.
///
/// Anomalies: `lost`, `unexpected`.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"enqueue","value":7}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"enqueue","value":7}
/// {"index":2,"time":10,"process":1,"type":"invoke","f":"drain","value":null}
/// {"index":3,"time":14,"process":1,"type":"ok","f":"drain","value":[7]}
/// ```
///
/// Details: `{"queues", "attempted", "acknowledged", "dequeued", "lost", "unexpected", "duplicated", "recovered", "left":
/// N}`: values; `recovered` came out although their enqueue was indeterminate, `left` are acknowledged, did not come out, and
/// may still be there or have gone to an indeterminate dequeue.
#[derive(Debug, Clone, Copy, Default)]
pub struct TotalQueue;

impl Checker for TotalQueue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        if let Err(misfit) = crate::repeats::all_known(&operations) {
            return Finding::misfit(NAME, misfit);
        }
        let mut queues: BTreeMap<Option<&str>, Queue<'_>> = BTreeMap::new();
        for operation in &operations {
            if let Err(misfit) = crate::repeats::check(operation) {
                return Finding::misfit(NAME, misfit);
            }
            let queue = queues.entry(operation.key()).or_default();
            if let Err(text) = queue.take(operation) {
                return Finding::misfit(NAME, Misfit::of(operation, text));
            }
        }
        let mut sums = Sums::default();
        for queue in queues.values() {
            queue.judge(&mut sums);
        }
        sums.finding(queues.len())
    }
}

/// What is known of one value.
#[derive(Default)]
struct Fate<'h> {
    /// Enqueues that took effect or may have.
    attempts: usize,
    acknowledged: Vec<Operation<'h>>,
    dequeued: Vec<Operation<'h>>,
    failed: Option<Operation<'h>>,
}

#[derive(Default)]
struct Queue<'h> {
    places: FxHashMap<ValueRef<'h>, usize>,
    /// In the order in which the values were met.
    fates: Vec<(ValueRef<'h>, Fate<'h>)>,
    /// What found the queue empty, in the order of the invocations.
    empty: Vec<Operation<'h>>,
    /// Invocations of indeterminate dequeues, ascending; and of indeterminate drains, which may have taken any number.
    open_dequeues: Vec<u64>,
    open_drains: Vec<u64>,
}

/// A value that must have been taken before the queue was found empty.
struct Gone<'h> {
    value: ValueRef<'h>,
    enqueue: Operation<'h>,
    /// Of those that found it empty after the value was there, the one that was answered first.
    found: Operation<'h>,
}

impl<'h> Queue<'h> {
    fn take(&mut self, operation: &Operation<'h>) -> Result<(), String> {
        match operation.f() {
            "enqueue" => {
                let fate = self.fate(operation.argument());
                match operation.kind() {
                    Kind::Ok if refused(operation).is_some() => {
                        return Err(unknown_error(operation, NAME, "none of an enqueue"));
                    }
                    Kind::Ok => {
                        fate.attempts += 1;
                        fate.acknowledged.push(*operation);
                    }
                    Kind::Fail => fate.failed = Some(*operation),
                    Kind::Info | Kind::Invoke => fate.attempts += 1,
                }
            }
            "dequeue" => match (operation.kind(), operation.result()) {
                (Kind::Ok, Some(value)) => match refused(operation) {
                    None if !value.is_null() => self.fate(value).dequeued.push(*operation),
                    None => self.empty.push(*operation),
                    Some(error) if found_nothing(error) => self.empty.push(*operation),
                    Some(_) => return Err(unknown_error(operation, NAME, "empty and exhausted")),
                },
                // Nothing was there to be taken. What failed otherwise never happened, and says nothing of what was there.
                (Kind::Fail, _) if operation.error().is_some_and(found_nothing) => {
                    self.empty.push(*operation);
                }
                (Kind::Fail, _) => {}
                _ => self.open_dequeues.push(operation.inv()),
            },
            "drain" => match (operation.kind(), operation.result()) {
                (Kind::Ok, Some(_)) if refused(operation).is_some() => {
                    return Err(unknown_error(operation, NAME, "none of a drain"));
                }
                (Kind::Ok, Some(values)) => {
                    let values = values.as_list().ok_or_else(|| {
                        format!("is an ok drain of {values}; expected a list of values")
                    })?;
                    for value in values.iter() {
                        self.fate(value).dequeued.push(*operation);
                    }
                    self.empty.push(*operation);
                }
                (Kind::Fail, _) => {}
                _ => self.open_drains.push(operation.inv()),
            },
            other => {
                return Err(format!(
                    "is `{other}`, which this queue does not have: it knows enqueue, dequeue and drain"
                ));
            }
        }
        Ok(())
    }

    fn fate(&mut self, value: ValueRef<'h>) -> &mut Fate<'h> {
        let place = *self.places.entry(value).or_insert(self.fates.len());
        if place == self.fates.len() {
            self.fates.push((value, Fate::default()));
        }
        &mut self.fates[place].1
    }

    fn judge(&self, sums: &mut Sums<'h>) {
        let mut missing = Vec::new();
        for (value, fate) in &self.fates {
            let (attempts, acknowledged, out) =
                (fate.attempts, fate.acknowledged.len(), fate.dequeued.len());
            sums.attempted += attempts;
            sums.acknowledged += acknowledged;
            sums.dequeued += out;
            sums.recovered += out.min(attempts).saturating_sub(acknowledged);
            if attempts == 0 && out > 0 {
                let why = match fate.failed {
                    Some(_) => "although its enqueue had failed for certain",
                    None => "and nobody ever tried to put it in",
                };
                let text = format!("{value} came out, {why}");
                let operations = fate
                    .failed
                    .into_iter()
                    .chain(fate.dequeued.first().copied());
                sums.breaches.add("unexpected", text, operations.collect());
            } else if out > attempts {
                sums.duplicated += out - attempts;
                let text =
                    format!("{value} came out {out} times and went in {attempts} times at most");
                sums.twice.add("duplicated", text, fate.dequeued.clone());
            }
            // Which one of several equal ones is missing cannot be told: the last one acknowledged is the last to come out.
            let mut enqueued = fate.acknowledged.clone();
            enqueued.sort_by_key(Operation::ret);
            let left = enqueued.into_iter().skip(out);
            missing.extend(left.map(|enqueue| (*value, enqueue)));
        }
        self.judge_missing(missing, sums);
    }

    /// What a value must have been taken before, as it was there when its enqueue was acknowledged.
    fn gone(
        &self,
        missing: Vec<(ValueRef<'h>, Operation<'h>)>,
        sums: &mut Sums<'h>,
    ) -> Vec<Gone<'h>> {
        // For each that found the queue empty, the first answer among those invoked from it on.
        let mut first = self.empty.clone();
        for at in (1..first.len()).rev() {
            if first[at].ret() < first[at - 1].ret() {
                first[at - 1] = first[at];
            }
        }
        let mut gone = Vec::new();
        for (value, enqueue) in missing {
            let later = self
                .empty
                .partition_point(|empty| Some(empty.inv()) <= enqueue.ret());
            let Some(found) = first.get(later).copied() else {
                sums.left += 1;
                sums.not_drained += 1;
                continue;
            };
            gone.push(Gone {
                value,
                enqueue,
                found,
            });
        }
        gone.sort_by_key(|gone| gone.found.ret());
        gone
    }

    /// What was invoked only after the queue was found empty did not empty it. So of the values that were gone by one line each needs
    /// an indeterminate dequeue of its own that was invoked before it: as many values as there are too many for that are lost.
    fn judge_missing(&self, missing: Vec<(ValueRef<'h>, Operation<'h>)>, sums: &mut Sums<'h>) {
        let by = |lines: &[u64], gone: &Gone<'h>| {
            lines.partition_point(|inv| Some(*inv) < gone.found.ret())
        };
        let (drained, gone): (Vec<_>, Vec<_>) = self
            .gone(missing, sums)
            .into_iter()
            .partition(|gone| by(&self.open_drains, gone) > 0);
        let takers = |count: usize| by(&self.open_dequeues, &gone[count - 1]);
        let lost = (1..=gone.len()).rev().find(|count| takers(*count) < *count);
        let lost = lost.unwrap_or(0);
        let perhaps = drained.len() + gone.len() - lost;
        sums.left += perhaps;
        sums.perhaps_taken += perhaps;
        for Gone {
            value,
            enqueue,
            found,
        } in &gone[..lost]
        {
            let text = match takers(lost) {
                0 => format!(
                    "{value} was acknowledged, and did not come out before the queue was empty"
                ),
                some => format!(
                    "{value} was acknowledged, and did not come out before the queue was empty; {some} indeterminate \
                     dequeues cannot have taken all of the missing ones"
                ),
            };
            sums.breaches.add("lost", text, vec![*enqueue, *found]);
        }
    }
}

#[derive(Default)]
struct Sums<'h> {
    attempted: usize,
    acknowledged: usize,
    dequeued: usize,
    duplicated: usize,
    recovered: usize,
    left: usize,
    not_drained: usize,
    perhaps_taken: usize,
    breaches: Breaches<'h>,
    twice: Breaches<'h>,
}

impl Sums<'_> {
    fn finding(self, queues: usize) -> Finding {
        let details = json!({
            "queues": queues,
            "attempted": self.attempted,
            "acknowledged": self.acknowledged,
            "dequeued": self.dequeued,
            "lost": self.breaches.count("lost"),
            "unexpected": self.breaches.count("unexpected"),
            "duplicated": self.duplicated,
            "recovered": self.recovered,
            "left": self.left,
        });
        let mut reasons = Vec::new();
        if self.acknowledged == 0 && self.dequeued == 0 {
            reasons.push(
                "nothing was acknowledged and nothing came out: nothing was tested".to_owned(),
            );
        }
        if self.not_drained > 0 {
            reasons.push(format!(
                "{} acknowledged values did not come out, and the queue was not found empty after them: end the history \
                 with a drain",
                self.not_drained
            ));
        }
        if self.perhaps_taken > 0 {
            reasons.push(format!(
                "{} acknowledged values did not come out, and indeterminate dequeues may have taken them",
                self.perhaps_taken
            ));
        }
        let reasons = reasons.into_iter().map(|text| Reason {
            checker: NAME.to_owned(),
            text,
        });
        Finding {
            verdict: Verdict::of(self.breaches.into_anomalies(NAME), reasons.collect()),
            outside_contract: self.twice.into_anomalies(NAME),
            details,
        }
    }
}
