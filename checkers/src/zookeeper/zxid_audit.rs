//! What each Stat says of zxids and versions, held against all other Stats and against the writes.

use super::call::{Call, DataId, Look, Op, Outcome, PathId, StatSeen, Step, Write, Zxid};
use super::decode::{Decoded, decoded};
use crate::breaches::Breaches;
use crate::contract::{self, ReplyZxid};
use crate::history::History;
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::BTreeMap;

const NAME: &str = "zxid-audit";

/// The checker `zxid-audit`.
///
/// What each Stat says of zxids and versions, held against all other Stats and against the writes.
///
/// It proves, of everything that answers showed: a znode's `czxid` is no later than its `mzxid` and `pzxid`, and these no later
/// than the reply, which for a write has the write's own zxid; within one incarnation `mzxid` decides data and `version`, `pzxid` decides `cversion` and `numChildren`, and the
/// later one has more; `version` counts the sets since `czxid`, `cversion` the creates and deletes of children: at least those that
/// were acknowledged, at most these and the indeterminate ones; a zxid that an answered write has is shown only for what that
/// write did; each write has a zxid of its own, and their order agrees with real time. It never looks at `ctime` and `mtime`, and
/// cannot tell whether a read was recent.
///
/// Anomalies: `zxid-reused`, `zxid-against-real-time`, `stat-inconsistent`, `same-zxid-other-state`, `count-mismatch`,
/// `zxid-of-another-write`, `missed-write`.
///
/// Linear in time, but for sorting. It takes [operations on the tree](super), and those of registers as far as they carry Stats.
///
/// Details: `{"writes", "stats", "incarnations"}`: answered writes, Stats that answers carried, and different (path, czxid) among
/// them.
#[derive(Debug, Clone)]
pub struct ZxidAudit {
    reply_zxid: ReplyZxid,
}

impl ZxidAudit {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> ZxidAudit {
        ZxidAudit {
            reply_zxid: contract::reply_zxid(&parameters.contract),
        }
    }
}

impl Checker for ZxidAudit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let decoded = match decoded(history, NAME) {
            Ok(decoded) => decoded,
            Err(finding) => return *finding,
        };
        let mut audit = Audit::new(&decoded, self.reply_zxid);
        audit.writes_in_time();
        let mut incarnations: BTreeMap<(PathId, Zxid), Vec<Sight>> = BTreeMap::new();
        let sights = sights(&decoded);
        for sight in &sights {
            audit.alone(sight);
            audit.against_writes(sight);
            if let Some(czxid) = sight.stat.czxid {
                incarnations
                    .entry((sight.path, czxid))
                    .or_default()
                    .push(*sight);
            }
        }
        for sights in incarnations.values_mut() {
            audit.together(sights);
        }
        let details = json!({
            "writes": audit.by_zxid.len(),
            "stats": sights.len(),
            "incarnations": incarnations.len(),
        });
        let nothing = (audit.by_zxid.is_empty() && sights.is_empty()).then(|| Reason {
            checker: NAME.to_owned(),
            text: "no answer has a zxid or a Stat: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(
                audit.breaches.into_anomalies(NAME),
                nothing.into_iter().collect(),
            ),
            outside_contract: Vec::new(),
            details,
        }
    }
}

/// A Stat that an answer carried.
#[derive(Debug, Clone, Copy)]
struct Sight {
    path: PathId,
    stat: StatSeen,
    data: Option<DataId>,
    op: usize,
}

fn sights(decoded: &Decoded<'_>) -> Vec<Sight> {
    let carries = |(op, line): (usize, &Op<'_>)| {
        let Outcome::Done(answer) = &line.outcome else {
            return None;
        };
        let (path, data) = match &line.call {
            Call::Read { path, look, .. } => (*path, answer.data.filter(|_| *look == Look::Get)),
            Call::Write(Write::One(step @ (Step::Create { .. } | Step::Set { .. }))) => {
                (step.path()?, None)
            }
            _ => return None,
        };
        let stat = answer.stat;
        let any = [stat.czxid, stat.mzxid, stat.pzxid]
            .iter()
            .any(Option::is_some);
        any.then_some(Sight {
            path,
            stat,
            data,
            op,
        })
    };
    decoded.ops.iter().enumerate().filter_map(carries).collect()
}

/// What a znode went through: zxids of acknowledged changes, ascending, and how many more there may have been.
#[derive(Debug, Default)]
struct Changes {
    sets: Vec<(Zxid, usize)>,
    children: Vec<(Zxid, usize)>,
    open_sets: usize,
    open_children: usize,
    /// Ephemeral children go with their sessions, which no operation may tell.
    ephemeral: bool,
}

fn between(changes: &[(Zxid, usize)], after: Zxid, upto: Zxid) -> usize {
    changes
        .partition_point(|(zxid, _)| *zxid <= upto)
        .saturating_sub(changes.partition_point(|(zxid, _)| *zxid <= after))
}

struct Audit<'a, 'h> {
    decoded: &'a Decoded<'h>,
    reply_zxid: ReplyZxid,
    by_zxid: BTreeMap<Zxid, usize>,
    changes: FxHashMap<PathId, Changes>,
    breaches: Breaches<'h>,
}

impl<'a, 'h> Audit<'a, 'h> {
    fn new(decoded: &'a Decoded<'h>, reply_zxid: ReplyZxid) -> Audit<'a, 'h> {
        let mut audit = Audit {
            decoded,
            reply_zxid,
            by_zxid: BTreeMap::new(),
            changes: FxHashMap::default(),
            breaches: Breaches::default(),
        };
        for (at, op) in decoded.ops.iter().enumerate() {
            let Call::Write(write) = &op.call else {
                continue;
            };
            let sure = op.took_effect();
            if !sure && !op.may_take_effect() {
                continue;
            }
            let zxid = op.zxid.filter(|_| sure);
            if let Some(zxid) = zxid
                && let Some(other) = audit.by_zxid.insert(zxid, at)
            {
                let text = format!("two writes were acknowledged with one zxid, {zxid:#x}");
                audit.breach("zxid-reused", text, &[other, at]);
            }
            for step in write.steps() {
                audit.count(step, zxid, at);
            }
        }
        for changes in audit.changes.values_mut() {
            changes.sets.sort_unstable();
            changes.children.sort_unstable();
        }
        audit
    }

    fn count(&mut self, step: &Step<'_>, zxid: Option<Zxid>, at: usize) {
        let (path, parent, ephemeral) = match step {
            Step::Set { path, .. } => (Some(*path), None, false),
            Step::Create {
                parent, ephemeral, ..
            } => (None, *parent, *ephemeral),
            Step::Delete { path, .. } => (None, self.decoded.paths.parent(*path), false),
            Step::Check { .. } => return,
        };
        if let Some(path) = path {
            let changes = self.changes.entry(path).or_default();
            match zxid {
                Some(zxid) => changes.sets.push((zxid, at)),
                None => changes.open_sets += 1,
            }
        }
        if let Some(parent) = parent {
            let changes = self.changes.entry(parent).or_default();
            changes.ephemeral |= ephemeral;
            match zxid {
                Some(zxid) => changes.children.push((zxid, at)),
                None => changes.open_children += 1,
            }
        }
    }

    fn breach(&mut self, kind: &'static str, text: String, ops: &[usize]) {
        let operations = ops
            .iter()
            .map(|at| self.decoded.ops[*at].operation)
            .collect();
        self.breaches.add(kind, text, operations);
    }

    fn writes_in_time(&mut self) {
        let mut latest: Option<usize> = None;
        let writes: Vec<(Zxid, usize)> =
            self.by_zxid.iter().map(|(zxid, at)| (*zxid, *at)).collect();
        for (zxid, at) in writes {
            let op = &self.decoded.ops[at];
            if let (Some(before), Some(ret)) = (latest, op.ret())
                && ret < self.decoded.ops[before].inv()
            {
                let text = format!(
                    "a write was acknowledged with zxid {zxid:#x} before a write of a smaller zxid was invoked"
                );
                self.breach("zxid-against-real-time", text, &[before, at]);
            }
            if latest.is_none_or(|before| self.decoded.ops[before].inv() < op.inv()) {
                latest = Some(at);
            }
        }
    }

    /// What one Stat says, by itself.
    fn alone(&mut self, sight: &Sight) {
        let Sight { stat, .. } = sight;
        let reply = Decoded::reply(&self.decoded.ops[sight.op]).unwrap_or(Zxid::MAX);
        let above = |one: Option<Zxid>, other: Option<Zxid>| {
            one.zip(other).is_some_and(|(one, other)| one > other)
        };
        let children = stat.cversion.zip(stat.children);
        let wrong = if above(stat.czxid, stat.mzxid) {
            "czxid is later than mzxid"
        } else if above(stat.czxid, stat.pzxid) {
            "czxid is later than pzxid"
        } else if stat.newest() > reply {
            "it has a zxid later than that of its reply"
        } else if Decoded::wrong_reply(&self.decoded.ops[sight.op], self.reply_zxid).is_some() {
            "its mzxid is that of the write, and the reply to the write has another zxid"
        } else if stat.version == Some(0)
            && stat
                .czxid
                .zip(stat.mzxid)
                .is_some_and(|(made, set)| made != set)
        {
            "it was never set, and mzxid is not czxid"
        } else if stat.cversion == Some(0)
            && stat
                .czxid
                .zip(stat.pzxid)
                .is_some_and(|(made, child)| made != child)
        {
            "it never had a child, and pzxid is not czxid"
        } else if children.is_some_and(|(cversion, children)| {
            cversion >= 0 && (cversion < children || (cversion - children) % 2 != 0)
        }) {
            "cversion creates and deletes cannot leave numChildren"
        } else {
            return;
        };
        let text = format!(
            "the Stat of {}: {wrong}",
            self.decoded.paths.name(sight.path)
        );
        self.breach("stat-inconsistent", text, &[sight.op]);
    }

    /// What one Stat says, against the writes that were answered.
    fn against_writes(&mut self, sight: &Sight) {
        let stat = sight.stat;
        for (field, zxid) in [
            ("czxid", stat.czxid),
            ("mzxid", stat.mzxid),
            ("pzxid", stat.pzxid),
        ] {
            let write = zxid.and_then(|zxid| self.by_zxid.get(&zxid).copied());
            if let (Some(zxid), Some(write)) = (zxid, write)
                && !self.did(write, sight.path, field)
            {
                let name = self.decoded.paths.name(sight.path);
                let text = format!(
                    "{field} {zxid:#x} of {name} is the zxid of a write that did something else"
                );
                self.breach("zxid-of-another-write", text, &[write, sight.op]);
            }
        }
        self.counts(sight);
        let view = self.decoded.ops[sight.op].zxid.unwrap_or(0);
        let read = matches!(self.decoded.ops[sight.op].call, Call::Read { .. });
        let is_exact = self.reply_zxid == ReplyZxid::OfTheRead;
        let Some(changes) = self.changes.get(&sight.path).filter(|_| is_exact && read) else {
            return;
        };
        // The next incarnation is none of this Stat's business, but a read of this one at a later view would be.
        let missed = |list: &[(Zxid, usize)], shown: Option<Zxid>| {
            let next = shown.map(|shown| list.partition_point(|(zxid, _)| *zxid <= shown))?;
            list.get(next).filter(|(zxid, _)| *zxid <= view).copied()
        };
        let found = missed(&changes.sets, stat.mzxid).or(missed(&changes.children, stat.pzxid));
        if let Some((zxid, write)) = found {
            let name = self.decoded.paths.name(sight.path);
            let text =
                format!("{name} as of zxid {view:#x} does not show the write of zxid {zxid:#x}");
            self.breach("missed-write", text, &[write, sight.op]);
        }
    }

    fn did(&self, write: usize, path: PathId, field: &str) -> bool {
        let Call::Write(write) = &self.decoded.ops[write].call else {
            return false;
        };
        let above = |child: &PathId| self.decoded.paths.parent(*child) == Some(path);
        let step_did = |step: &Step<'_>| match step {
            Step::Create {
                path: made, parent, ..
            } => {
                made.is_none_or(|made| made == path) || (field == "pzxid" && *parent == Some(path))
            }
            Step::Set { path: set, .. } => field == "mzxid" && *set == path,
            Step::Delete { path: gone, .. } => field == "pzxid" && above(gone),
            Step::Check { .. } => false,
        };
        match write {
            Write::Close => field == "pzxid",
            write => write.steps().iter().any(step_did),
        }
    }

    /// `version` and `cversion` against the number of acknowledged and indeterminate changes.
    fn counts(&mut self, sight: &Sight) {
        let stat = sight.stat;
        let none = Changes::default();
        let changes = self.changes.get(&sight.path).unwrap_or(&none);
        let Some(czxid) = stat.czxid else { return };
        // Only where the znode's making is in the history are all of its changes.
        let whole = self
            .by_zxid
            .get(&czxid)
            .is_some_and(|write| self.did(*write, sight.path, "czxid"));
        let judge = |count: i32, known: usize, open: Option<usize>| {
            let count = usize::try_from(count).ok()?;
            let most = open.filter(|_| whole).map(|open| known + open);
            (count < known || most.is_some_and(|most| count > most)).then_some((count, known))
        };
        let sets = stat.version.zip(stat.mzxid).and_then(|(version, mzxid)| {
            // What the write that made it did beside that may have been before or after.
            let beside = between(&changes.sets, czxid - 1, czxid);
            judge(
                version,
                between(&changes.sets, czxid, mzxid),
                Some(changes.open_sets + beside),
            )
        });
        let children = stat.cversion.zip(stat.pzxid).and_then(|(cversion, pzxid)| {
            let beside = between(&changes.children, czxid - 1, czxid);
            let open = (!changes.ephemeral).then_some(changes.open_children + beside);
            judge(cversion, between(&changes.children, czxid, pzxid), open)
        });
        let name = self.decoded.paths.name(sight.path);
        let text = match (sets, children) {
            (Some((version, known)), _) => {
                format!(
                    "{name} has version {version}, and {known} sets since its creation were acknowledged by its mzxid"
                )
            }
            (None, Some((cversion, known))) => {
                format!(
                    "{name} has cversion {cversion}, and {known} changes of its children were acknowledged by its pzxid"
                )
            }
            (None, None) => return,
        };
        self.breach("count-mismatch", text, &[sight.op]);
    }

    /// All Stats of one incarnation.
    fn together(&mut self, sights: &mut [Sight]) {
        sights.sort_by_key(|sight| (sight.stat.mzxid, sight.op));
        for pair in sights.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            let Some((first, second)) = one.stat.mzxid.zip(other.stat.mzxid) else {
                continue;
            };
            let version = one.stat.version.zip(other.stat.version);
            let data = one.data.zip(other.data);
            let same = first == second;
            let wrong = match same {
                true => version.is_some_and(|(a, b)| a != b) || data.is_some_and(|(a, b)| a != b),
                false => version.is_some_and(|(a, b)| a >= b && a >= 0 && b >= 0),
            };
            if wrong
                || one
                    .stat
                    .owner
                    .zip(other.stat.owner)
                    .is_some_and(|(a, b)| a != b)
            {
                let name = self.decoded.paths.name(one.path);
                let text = format!(
                    "{name} has another version, data or owner than its mzxids {first:#x} and {second:#x} allow"
                );
                self.breach("same-zxid-other-state", text, &[one.op, other.op]);
            }
        }
        sights.sort_by_key(|sight| (sight.stat.pzxid, sight.op));
        for pair in sights.windows(2) {
            let (one, other) = (pair[0], pair[1]);
            let Some((first, second)) = one.stat.pzxid.zip(other.stat.pzxid) else {
                continue;
            };
            let cversion = one.stat.cversion.zip(other.stat.cversion);
            let children = one.stat.children.zip(other.stat.children);
            let wrong = match first == second {
                true => {
                    cversion.is_some_and(|(a, b)| a != b) || children.is_some_and(|(a, b)| a != b)
                }
                false => cversion.is_some_and(|(a, b)| a >= b && a >= 0 && b >= 0),
            };
            if wrong {
                let name = self.decoded.paths.name(one.path);
                let text = format!(
                    "{name} has another cversion or numChildren than its pzxids {first:#x} and {second:#x} allow"
                );
                self.breach("same-zxid-other-state", text, &[one.op, other.op]);
            }
        }
    }
}
