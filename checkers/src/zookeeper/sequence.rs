//! Numbers of sequential znodes.

use super::call::{Call, PathId, Step, Zxid};
use super::decode::{Decoded, decoded, number};
use crate::breaches::Breaches;
use crate::history::History;
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict};
use serde_json::json;
use std::collections::BTreeMap;

const NAME: &str = "sequence";

/// The checker `sequence`.
///
/// Numbers of sequential znodes.
///
/// A parent counts its children: each successful create, of any mode, under one incarnation of the parent. It proves that
/// the numbers that were answered are unique and increase in the order of the zxids (in real time, where there are none), and that
/// between two of them at least as many numbers lie as creates were acknowledged in between. Gaps are legal, for indeterminate
/// creates may count; failed ones do not. A new incarnation of the parent counts from the beginning: where one may lie between two
/// numbers (a create or delete of the parent that was acknowledged there, or that is indeterminate), they are not compared.
///
/// Anomalies: `sequence-reused`, `sequence-went-back`, `sequence-too-small`.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"create","key":"/q/n-","value":5,"sequential":true}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"create","key":"/q/n-","value":5,"path":"/q/n-0000000007","zxid":4294967311}
/// ```
///
/// Details: `{"parents", "numbers", "gaps"}`: parents with sequential children, numbers that were answered, and numbers that lie
/// between them beyond the acknowledged creates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sequence;

impl Sequence {
    /// A checker; it takes no parameters.
    pub fn new(_: &Parameters) -> Sequence {
        Sequence
    }
}

impl Checker for Sequence {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let decoded = match decoded(history, NAME) {
            Ok(decoded) => decoded,
            Err(finding) => return *finding,
        };
        let mut breaches = Breaches::default();
        let parents = parents(&decoded);
        let (mut numbers, mut gaps) = (0, 0);
        for parent in parents.values() {
            numbers += parent
                .births
                .iter()
                .filter(|birth| birth.number.is_some())
                .count();
            gaps += parent.judge(&decoded, &mut breaches);
        }
        let nothing = (numbers == 0).then(|| Reason {
            checker: NAME.to_owned(),
            text: "no sequential znode was acknowledged: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), nothing.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({ "parents": parents.len(), "numbers": numbers, "gaps": gaps }),
        }
    }
}

/// A child that was created for certain.
#[derive(Debug, Clone, Copy)]
struct Birth {
    zxid: Option<Zxid>,
    /// Which part of its write it is: parts of a multi share a zxid.
    part: usize,
    number: Option<i32>,
    op: usize,
}

#[derive(Debug, Default)]
struct Parent {
    births: Vec<Birth>,
    /// When its incarnations may have changed for certain.
    changed: Vec<Zxid>,
    /// Whether they may have changed at any time.
    may_have_changed: bool,
}

fn parents(decoded: &Decoded<'_>) -> BTreeMap<PathId, Parent> {
    let mut parents: BTreeMap<PathId, Parent> = BTreeMap::new();
    for op in &decoded.ops {
        let Call::Write(write) = &op.call else {
            continue;
        };
        for step in write.steps() {
            if let Step::Create {
                parent: Some(parent),
                sequential: true,
                ..
            } = step
            {
                parents.entry(*parent).or_default();
            }
        }
    }
    for (at, op) in decoded.ops.iter().enumerate() {
        let Call::Write(write) = &op.call else {
            continue;
        };
        let sure = op.took_effect();
        for (part, step) in write.steps().iter().enumerate() {
            let own = match step {
                Step::Create { path, .. } => *path,
                Step::Delete { path, .. } => Some(*path),
                _ => None,
            };
            if let Some(parent) = own.and_then(|path| parents.get_mut(&path)) {
                match op.zxid.filter(|_| sure) {
                    Some(zxid) => parent.changed.push(zxid),
                    None => parent.may_have_changed |= sure || op.may_take_effect(),
                }
            }
            if let (
                Step::Create {
                    asked,
                    path: Some(path),
                    parent: Some(parent),
                    sequential,
                    ..
                },
                true,
            ) = (step, sure)
                && let Some(parent) = parents.get_mut(parent)
            {
                let number = number(asked, decoded.paths.name(*path)).filter(|_| *sequential);
                parent.births.push(Birth {
                    zxid: op.zxid,
                    part,
                    number,
                    op: at,
                });
            }
        }
    }
    for parent in parents.values_mut() {
        parent.changed.sort_unstable();
    }
    parents
}

impl Parent {
    /// Judges the numbers; returns how many lie in gaps.
    fn judge<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) -> usize {
        if self.births.iter().all(|birth| birth.zxid.is_some()) {
            return self.by_zxid(decoded, breaches);
        }
        self.by_time(decoded, breaches);
        0
    }

    fn by_zxid<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) -> usize {
        let mut births = self.births.clone();
        births.sort_by_key(|birth| (birth.zxid, birth.part));
        let mut gaps = 0;
        // The last number, and the creates since then; none where another incarnation may have begun.
        let mut last: Option<(Birth, i32, i32)> = None;
        for birth in births {
            let began = |before: Option<Zxid>| {
                let after = self.changed.partition_point(|zxid| Some(*zxid) <= before);
                self.changed
                    .get(after)
                    .is_some_and(|zxid| Some(*zxid) <= birth.zxid)
            };
            let same =
                |(before, ..): &(Birth, i32, i32)| !self.may_have_changed && !began(before.zxid);
            last = last.filter(same);
            let Some(number) = birth.number else {
                last = last.map(|(before, number, since)| (before, number, since + 1));
                continue;
            };
            if let Some((before, earlier, since)) = last {
                // The counter has 32 bits and runs over.
                let ahead = number.wrapping_sub(earlier);
                if ahead < since {
                    self.breach(decoded, breaches, (before, earlier), (birth, number), since);
                } else {
                    gaps += (ahead - since) as usize;
                }
            }
            last = Some((birth, number, 1));
        }
        gaps
    }

    /// Without zxids: what was acknowledged before another create began has the smaller number.
    fn by_time<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) {
        if self.may_have_changed || !self.changed.is_empty() {
            return;
        }
        let numbered: Vec<(Birth, i32)> = self
            .births
            .iter()
            .filter_map(|birth| Some((*birth, birth.number?)))
            .collect();
        let mut by_number: BTreeMap<i32, Birth> = BTreeMap::new();
        for (birth, number) in &numbered {
            if let Some(before) = by_number.insert(*number, *birth) {
                self.breach(decoded, breaches, (before, *number), (*birth, *number), 1);
            }
        }
        let mut ended: Vec<(u64, (Birth, i32))> = Vec::new();
        ended.extend(
            numbered.iter().filter_map(|(birth, number)| {
                Some((decoded.ops[birth.op].ret()?, (*birth, *number)))
            }),
        );
        ended.sort_by_key(|(ret, _)| *ret);
        let mut greatest: Option<(Birth, i32)> = None;
        let mut next = 0;
        for (birth, number) in numbered {
            while next < ended.len() && ended[next].0 < decoded.ops[birth.op].inv() {
                let other = ended[next].1;
                if greatest.is_none_or(|(_, greatest)| greatest < other.1) {
                    greatest = Some(other);
                }
                next += 1;
            }
            if let Some(before) = greatest.filter(|(_, greatest)| *greatest > number) {
                self.breach(decoded, breaches, before, (birth, number), 1);
            }
        }
    }

    fn breach<'h>(
        &self,
        decoded: &Decoded<'h>,
        breaches: &mut Breaches<'h>,
        (before, earlier): (Birth, i32),
        (birth, number): (Birth, i32),
        since: i32,
    ) {
        let ahead = number.wrapping_sub(earlier);
        let (kind, text) = if ahead == 0 {
            (
                "sequence-reused",
                format!("the number {number} was given out twice below one parent"),
            )
        } else if ahead < 0 {
            (
                "sequence-went-back",
                format!("number {number} was given out after {earlier}, below one parent"),
            )
        } else {
            let text = format!(
                "number {number} was given out after {earlier}, and {since} children were created from that one on before it"
            );
            ("sequence-too-small", text)
        };
        let operations = vec![
            decoded.ops[before.op].operation,
            decoded.ops[birth.op].operation,
        ];
        breaches.add(kind, text, operations);
    }
}
