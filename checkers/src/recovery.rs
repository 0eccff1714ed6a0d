//! How soon the cluster came back, and whether it came back wholly.
//!
//! It proves from the controller's lines: after the last heal every node served a quorum write and a read within the recovery
//! limit, and all replicas ended up equal. It measures, for each episode, the time to a new leader and to the first success.
//! It cannot prove that a time would be the same again, and it judges no time in which the controller itself stood still.
//!
//! Anomalies: `not-recovered` (witness `{"limit_ns", "recover_began_ns", "nodes": [{"node", "after_ns": N|null, "role"}]}`) and
//! `replicas-differ` (witness `{"paths": N, "differences": [{"path", "nodes"}, …], "nodes"}`, at most 20 differences). A comparison
//! that contradicts itself (equal, but not by its digests, or the other way round) is unknown.

use crate::contract::owed;
use crate::history::{History, Nanos, Operation};
use crate::parameters::Parameters;
use crate::replicas::Replicas;
use crate::timeline::{Episode, Outcome, Phase, Timeline};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict, operations};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NAME: &str = "recovery";

/// Differences that a witness lists at most.
const DIFFERENCES_SHOWN: usize = 20;

/// The checker `recovery`.
///
/// Details: `{"limit_ns", "nodes": [{"node", "after_ns": N|null}], "replicas_equal": true|false|null, "notes": [text],
/// "episodes": [{"episode", "kind", "target", "targets", "majority", "outcome", "reason", "installed_ns", "healed_ns",
/// "leader_before", "leader_from_install_ns", "leader_from_heal_ns", "success_from_install_ns", "success_from_heal_ns",
/// "write_from_install_ns", "write_from_heal_ns", "stalled"}]}`. Times of an episode count from its installation or its heal;
/// `null`: it did not happen (no new leader was needed, or none came), or the controller stalled meanwhile.
#[derive(Debug, Clone)]
pub struct Recovery {
    parameters: Parameters,
}

impl Recovery {
    /// A checker for a run with these nodes and this limit.
    pub fn new(parameters: &Parameters) -> Recovery {
        Recovery {
            parameters: parameters.clone(),
        }
    }
}

impl Checker for Recovery {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let timeline = Timeline::of(history);
        let mut judgement = Judgement::new(&self.parameters, &timeline);
        judgement.all_nodes_serve();
        judgement.replicas_are_equal();
        let successes = Successes::of(&operations);
        let episodes: Vec<Value> = timeline
            .episodes
            .values()
            .map(|episode| row(episode, &timeline, &successes))
            .collect();
        judgement.conclude(episodes)
    }
}

/// What is found on the way to a verdict.
struct Judgement<'a> {
    parameters: &'a Parameters,
    timeline: &'a Timeline,
    anomalies: Vec<Anomaly>,
    unknown: Vec<String>,
    nodes: Vec<Value>,
}

impl<'a> Judgement<'a> {
    fn new(parameters: &'a Parameters, timeline: &'a Timeline) -> Judgement<'a> {
        let unknown = timeline.problems.clone();
        Judgement {
            parameters,
            timeline,
            anomalies: Vec::new(),
            unknown,
            nodes: Vec::new(),
        }
    }

    /// The cluster's nodes: those of the plan, or all that were ever polled.
    fn members(&self) -> Vec<String> {
        if !self.parameters.nodes.is_empty() {
            return self.parameters.nodes.clone();
        }
        let polled: BTreeSet<&String> = self
            .timeline
            .roles
            .iter()
            .map(|change| &change.node)
            .collect();
        polled.into_iter().cloned().collect()
    }

    fn all_nodes_serve(&mut self) {
        let Some(phase) = self.timeline.phase("recover") else {
            let text = "the run ended before its phase `recover`: whether the nodes came back was not tested";
            return self.unknown.push(text.to_owned());
        };
        let members = self.members();
        if members.is_empty() {
            return self
                .unknown
                .push("the history names no node: give the plan with it".to_owned());
        }
        let limit = self.parameters.recovery_limit.0;
        let mut missing = Vec::new();
        for node in members {
            let served = self
                .timeline
                .serving
                .iter()
                .find(|serving| serving.node == node && serving.at >= phase.from);
            let after = served.map(|serving| serving.after_ns);
            self.nodes.push(json!({ "node": node, "after_ns": after }));
            if after.is_none_or(|after| after > limit) {
                missing.push((node, after));
            }
        }
        if missing.is_empty() {
            return;
        }
        match self.why_not_judged(phase, &missing) {
            Some(why) => self.unknown.push(why),
            None => self.not_recovered(phase, &missing),
        }
    }

    /// What stands between "these nodes did not serve" and "they should have".
    fn why_not_judged(&self, phase: &Phase, missing: &[(String, Option<u64>)]) -> Option<String> {
        let names = names(missing);
        let limit = self.parameters.recovery_limit;
        let deadline = Nanos(phase.from.0.saturating_add(limit.0));
        if missing.iter().any(|(_, after)| after.is_none()) && phase.to < deadline {
            let waited = seconds(phase.to.0 - phase.from.0);
            return Some(format!(
                "{names} had not served when the wait ended after {waited}, before the limit of {}",
                seconds(limit.0)
            ));
        }
        if self.timeline.stalled(phase.from, deadline) {
            return Some(format!(
                "{names} did not serve in time, but the controller itself stood still meanwhile"
            ));
        }
        let uncertain = self.timeline.episodes.values().find(|episode| {
            episode.outcome != Outcome::Skipped
                && !episode.healed.is_some_and(|healed| healed.certain)
        })?;
        Some(format!(
            "{names} did not serve in time, but whether the {} of episode {} was undone is not certain",
            uncertain.kind, uncertain.number
        ))
    }

    fn not_recovered(&mut self, phase: &Phase, missing: &[(String, Option<u64>)]) {
        let limit = self.parameters.recovery_limit.0;
        let nodes: Vec<Value> = missing
            .iter()
            .map(|(node, after)| {
                let role = self
                    .timeline
                    .roles
                    .iter()
                    .rev()
                    .find(|change| change.node == *node)
                    .map(|change| change.role.clone());
                json!({ "node": node, "after_ns": after, "role": role.flatten() })
            })
            .collect();
        let summary = format!(
            "{} did not serve within {} after the last heal",
            names(missing),
            seconds(limit)
        );
        let witness = json!({ "limit_ns": limit, "recover_began_ns": phase.from, "nodes": nodes });
        self.anomaly("not-recovered", summary, witness);
    }

    fn replicas_are_equal(&mut self) {
        let Some(replicas) = &self.timeline.replicas else {
            let text = "the replicas were not compared: the run ended before that";
            return self.unknown.push(text.to_owned());
        };
        if let Some(contradiction) = replicas.contradiction() {
            return self.unknown.push(contradiction);
        }
        match replicas.equal {
            Some(true) => {}
            Some(false) => self.replicas_differ(replicas),
            None => {
                let why = replicas.reason.as_deref();
                let why = why.unwrap_or("no reason was recorded");
                self.unknown
                    .push(format!("the replicas could not be compared: {why}"));
            }
        }
    }

    fn replicas_differ(&mut self, replicas: &Replicas) {
        let differences: Vec<Value> = replicas
            .differences
            .iter()
            .take(DIFFERENCES_SHOWN)
            .map(|difference| json!({ "path": difference.path, "nodes": difference.nodes }))
            .collect();
        let witness = json!({
            "paths": replicas.differences.len(),
            "differences": differences,
            "nodes": replicas.nodes,
        });
        let summary = format!("replicas differ{}", replicas.where_they_differ());
        self.anomaly("replicas-differ", summary, witness);
    }

    fn anomaly(&mut self, kind: &str, summary: String, witness: Value) {
        self.anomalies.push(Anomaly {
            kind: kind.to_owned(),
            checker: NAME.to_owned(),
            summary,
            witness,
        });
    }

    /// The verdict, with what the contract does not owe set apart.
    fn conclude(mut self, episodes: Vec<Value>) -> Finding {
        let kinds: BTreeSet<&str> = self
            .timeline
            .episodes
            .values()
            .map(|episode| &*episode.kind)
            .collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        let contract = owed(&self.parameters.contract, &kinds);
        let mut outside_contract = Vec::new();
        match contract {
            Some(owed) if owed.recovery => {}
            Some(_) => outside_contract = std::mem::take(&mut self.anomalies),
            None => {
                self.unknown.push(format!(
                    "the contract {} says nothing of {}",
                    self.parameters.contract,
                    listed(&kinds)
                ));
                outside_contract = std::mem::take(&mut self.anomalies);
            }
        }
        let stalls = self.timeline.stalls.iter();
        let notes: Vec<String> = stalls
            .map(|stall| {
                format!(
                    "the controller stood still for {}, from {}",
                    seconds(stall.to.0 - stall.from.0),
                    seconds(stall.from.0)
                )
            })
            .chain(self.unknown.iter().cloned())
            .collect();
        let details = json!({
            "limit_ns": self.parameters.recovery_limit,
            "nodes": self.nodes,
            "replicas_equal": self.timeline.replicas.as_ref().and_then(|replicas| {
                replicas.equal.filter(|_| replicas.contradiction().is_none())
            }),
            "notes": notes,
            "episodes": episodes,
        });
        let reasons = self
            .unknown
            .into_iter()
            .map(|text| Reason {
                checker: NAME.to_owned(),
                text,
            })
            .collect();
        let verdict = Verdict::of(self.anomalies, reasons);
        Finding {
            verdict,
            outside_contract,
            details,
        }
    }
}

fn names(missing: &[(String, Option<u64>)]) -> String {
    let names: Vec<&str> = missing.iter().map(|(node, _)| &**node).collect();
    listed(&names)
}

/// `a, b, c and 4 more`, at most ten by name.
pub(crate) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    match names.len() {
        0 => "nothing".to_owned(),
        1..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

/// Nanoseconds as seconds, for sentences.
pub(crate) fn seconds(nanos: u64) -> String {
    format!(
        "{}.{:03} s",
        nanos / 1_000_000_000,
        nanos / 1_000_000 % 1_000
    )
}

/// The successful operations, so that the first after a moment is found at once.
struct Successes {
    all: FirstAfter,
    writes: FirstAfter,
}

impl Successes {
    fn of(operations: &[Operation<'_>]) -> Successes {
        let succeeded =
            |operation: &&Operation<'_>| operation.is_ok() && operation.error().is_none();
        let of = |writes_only: bool| {
            let wanted = operations
                .iter()
                .filter(succeeded)
                .filter(|operation| !writes_only || operation.f() != "read");
            FirstAfter::new(
                wanted.filter_map(|operation| Some((operation.start(), operation.end()?))),
            )
        };
        Successes {
            all: of(false),
            writes: of(true),
        }
    }
}

/// For each start, the earliest end among all that start then or later.
struct FirstAfter(Vec<(Nanos, Nanos)>);

impl FirstAfter {
    fn new(intervals: impl Iterator<Item = (Nanos, Nanos)>) -> FirstAfter {
        let mut intervals: Vec<(Nanos, Nanos)> = intervals.collect();
        intervals.sort_unstable();
        let mut earliest = Nanos(u64::MAX);
        for (_, end) in intervals.iter_mut().rev() {
            earliest = earliest.min(*end);
            *end = earliest;
        }
        FirstAfter(intervals)
    }

    /// When the first operation that was invoked at `from` or later succeeded.
    fn after(&self, from: Nanos) -> Option<Nanos> {
        let at = self.0.partition_point(|(start, _)| *start < from);
        self.0.get(at).map(|(_, end)| *end)
    }
}

/// One episode's row of the table.
fn row(episode: &Episode, timeline: &Timeline, successes: &Successes) -> Value {
    let healed = episode.healed.map(|healed| healed.at);
    let mut row = json!({
        "episode": episode.number,
        "kind": episode.kind,
        "target": episode.target,
        "targets": episode.targets,
        "majority": episode.majority,
        "outcome": episode.outcome.word(),
        "reason": episode.reason,
        "installed_ns": episode.installed,
        "healed_ns": healed,
        "leader_before": null,
    });
    if episode.outcome == Outcome::Skipped {
        return row;
    }
    row["leader_before"] = json!(leader_before(episode, timeline));
    // A new leader counts for the heal until the next fault goes in.
    let next = timeline
        .episodes
        .values()
        .filter(|other| other.outcome != Outcome::Skipped)
        .map(|other| other.installed);
    let next_after = |at: Nanos| {
        next.clone()
            .filter(|installed| *installed > at)
            .min()
            .unwrap_or(timeline.end)
    };
    let mut stalled = false;
    for (name, from, until) in [
        (
            "install",
            Some(episode.installed),
            healed.unwrap_or(timeline.end),
        ),
        ("heal", healed, healed.map_or(timeline.end, next_after)),
    ] {
        let Some(from) = from else { continue };
        let leader = timeline.next_leader(from, until).map(|(at, _)| at);
        for (what, at) in [
            ("leader", leader),
            ("success", successes.all.after(from)),
            ("write", successes.writes.after(from)),
        ] {
            let stood_still = at.is_some_and(|at| timeline.stalled(from, at));
            stalled |= stood_still;
            row[format!("{what}_from_{name}_ns")] =
                json!(at.filter(|_| !stood_still).map(|at| at.0 - from.0));
        }
    }
    row["stalled"] = json!(stalled);
    row
}

/// Who led when the fault went in; of several that claimed to, the one that was hit.
fn leader_before(episode: &Episode, timeline: &Timeline) -> Option<String> {
    let leaders = timeline.leaders_at(episode.installed);
    let hit = leaders
        .iter()
        .find(|leader| episode.targets.iter().any(|target| target == *leader));
    hit.or(leaders.last()).map(|leader| (*leader).to_owned())
}
