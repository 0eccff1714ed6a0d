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
/// creates may count; failed ones do not. A new incarnation of the parent counts from the beginning: where one may have begun between
/// two numbers, they are not compared. That takes a delete of the parent, acknowledged or indeterminate, which may have been done between
/// them; a create of the parent only makes what is not there. If that leaves no two numbers to compare, and it is not certain that the
/// parent was deleted between them, the verdict is unknown.
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
        let (mut numbers, mut all) = (0, Judged::default());
        for parent in parents.values() {
            let told = parent.births.iter();
            numbers += told.filter(|birth| birth.number.is_some()).count();
            let judged = parent.judge(&decoded, &mut breaches);
            all.gaps += judged.gaps;
            all.compared += judged.compared;
            all.doubtful += judged.doubtful;
        }
        let text = match (numbers, all.doubtful > 0 && all.compared == 0) {
            (0, _) => Some("no sequential znode was acknowledged: nothing was tested"),
            (_, true) => Some(
                "the parent may have been deleted between any two numbers: none could be compared, and nothing was tested",
            ),
            _ => None,
        };
        let nothing = text.map(|text| Reason {
            checker: NAME.to_owned(),
            text: text.to_owned(),
        });
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), nothing.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({ "parents": parents.len(), "numbers": numbers, "gaps": all.gaps }),
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
    /// At which zxids it was made or deleted for certain.
    changed: Vec<Zxid>,
    /// When else it may have been deleted.
    deletes: Deletes,
    /// When it may have been deleted, whether that is told by a zxid or not.
    all_deletes: Deletes,
    /// The invocations and the answers of those that were acknowledged.
    acknowledged: Vec<(u64, u64)>,
}

/// Deletes that may have been done at any time between their invocations and their answers, if answers came.
#[derive(Debug, Default)]
struct Deletes {
    /// Invocations, ascending; with each the last answer of all of them up to it.
    spans: Vec<(u64, u64)>,
}

impl Deletes {
    fn add(&mut self, inv: u64, ret: Option<u64>) {
        // Operations come in the order of their invocations.
        let latest = self.spans.last().map_or(0, |(_, latest)| *latest);
        self.spans.push((inv, latest.max(ret.unwrap_or(u64::MAX))));
    }

    /// Whether one may have been done after something that was invoked at the one line and before something that was answered at the
    /// other: it was not if it was invoked after that answer, or answered before that invocation.
    fn may_lie_between(&self, inv: u64, ret: u64) -> bool {
        let begun = self.spans.partition_point(|(began, _)| *began < ret);
        self.spans[..begun]
            .last()
            .is_some_and(|(_, latest)| *latest > inv)
    }
}

/// What became of one parent's numbers.
#[derive(Default)]
struct Judged {
    /// Numbers that lie in gaps.
    gaps: usize,
    /// Pairs of numbers that were compared.
    compared: usize,
    /// Pairs that were not, because the parent may have been deleted between them: or it was not.
    doubtful: usize,
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
                let zxid = op.zxid.filter(|_| sure);
                parent.changed.extend(zxid);
                let is_delete = matches!(step, Step::Delete { .. });
                if is_delete && (sure || op.may_take_effect()) {
                    let ret = op.ret().filter(|_| sure);
                    parent.all_deletes.add(op.inv(), ret);
                    parent.acknowledged.extend(ret.map(|ret| (op.inv(), ret)));
                    if zxid.is_none() {
                        parent.deletes.add(op.inv(), ret);
                    }
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

/// The lines between which a child was created.
fn line(decoded: &Decoded<'_>, birth: &Birth) -> (u64, u64) {
    let op = &decoded.ops[birth.op];
    (op.inv(), op.ret().unwrap_or(u64::MAX))
}

impl Parent {
    fn judge<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) -> Judged {
        match self.births.iter().all(|birth| birth.zxid.is_some()) {
            true => self.by_zxid(decoded, breaches),
            false => self.by_time(decoded, breaches),
        }
    }

    fn by_zxid<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) -> Judged {
        let mut births = self.births.clone();
        births.sort_by_key(|birth| (birth.zxid, birth.part));
        let mut judged = Judged::default();
        // The last number, and the creates since then; none where another incarnation may have begun.
        let mut last: Option<(Birth, i32, i32)> = None;
        for birth in births {
            let began = |before: Option<Zxid>| {
                let after = self.changed.partition_point(|zxid| Some(*zxid) <= before);
                self.changed
                    .get(after)
                    .is_some_and(|zxid| Some(*zxid) <= birth.zxid)
            };
            last = last.filter(|(before, ..)| !began(before.zxid));
            let may_differ = |(before, ..): &(Birth, i32, i32)| {
                let (inv, ret) = (line(decoded, before).0, line(decoded, &birth).1);
                self.deletes.may_lie_between(inv, ret)
            };
            if last.as_ref().is_some_and(may_differ) {
                judged.doubtful += usize::from(birth.number.is_some());
                last = None;
            }
            let Some(number) = birth.number else {
                last = last.map(|(before, number, since)| (before, number, since + 1));
                continue;
            };
            if let Some((before, earlier, since)) = last {
                judged.compared += 1;
                // The counter has 32 bits and runs over.
                let ahead = number.wrapping_sub(earlier);
                if ahead < since {
                    self.breach(decoded, breaches, (before, earlier), (birth, number), since);
                } else {
                    judged.gaps += (ahead - since) as usize;
                }
            }
            last = Some((birth, number, 1));
        }
        judged
    }

    /// Whether the parent may have been deleted between two births, whichever came first.
    fn may_be_parted(&self, decoded: &Decoded<'_>, one: &Birth, other: &Birth) -> bool {
        let (one, other) = (line(decoded, one), line(decoded, other));
        let deletes = &self.all_deletes;
        deletes.may_lie_between(one.0, other.1) || deletes.may_lie_between(other.0, one.1)
    }

    /// Whether the parent was deleted for certain after the one birth and before the other.
    fn is_parted(&self, decoded: &Decoded<'_>, one: &Birth, other: &Birth) -> bool {
        let (after, before) = (line(decoded, one).1, line(decoded, other).0);
        let from = self.acknowledged.partition_point(|(inv, _)| *inv < after);
        let mut between = self.acknowledged[from..]
            .iter()
            .take_while(|(inv, _)| *inv < before);
        between.any(|(_, ret)| *ret < before)
    }

    /// Without zxids: what was acknowledged before another create began has the smaller number.
    fn by_time<'h>(&self, decoded: &Decoded<'h>, breaches: &mut Breaches<'h>) -> Judged {
        let mut judged = Judged::default();
        let numbered: Vec<(Birth, i32)> = self
            .births
            .iter()
            .filter_map(|birth| Some((*birth, birth.number?)))
            .collect();
        let mut by_number: BTreeMap<i32, Birth> = BTreeMap::new();
        for (birth, number) in &numbered {
            let before = by_number.insert(*number, *birth);
            let together = |before: &Birth| !self.may_be_parted(decoded, before, birth);
            if let Some(before) = before.filter(together) {
                self.breach(decoded, breaches, (before, *number), (*birth, *number), 1);
            }
        }
        // Two neighbours that no delete may part are compared, by being unequal at least.
        for pair in numbered.windows(2) {
            let (one, other) = (&pair[0].0, &pair[1].0);
            match self.may_be_parted(decoded, one, other) {
                false => judged.compared += 1,
                true => judged.doubtful += usize::from(!self.is_parted(decoded, one, other)),
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
                // What a delete may part from the newest one is of no use any more.
                let is_past = |(greatest, most): (Birth, i32)| {
                    most < other.1 || self.may_be_parted(decoded, &greatest, &other.0)
                };
                if greatest.is_none_or(is_past) {
                    greatest = Some(other);
                }
                next += 1;
            }
            let before = greatest.filter(|(before, greatest)| {
                *greatest > number && !self.may_be_parted(decoded, before, &birth)
            });
            if let Some(before) = before {
                self.breach(decoded, breaches, before, (birth, number), 1);
            }
        }
        judged
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
