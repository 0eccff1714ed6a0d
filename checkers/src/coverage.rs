//! Whether the run tested anything: what keeps a verdict from being vacuously green.
//!
//! It demands, for each kind of fault that was asked for: at least a third of its episodes were installed, one was held for at
//! least a second, the effect of one that was held so long was seen from outside, and clients read and wrote during it
//! wherever that was owed. And for the run: reads and writes succeeded before the first fault and after the last heal. What is
//! missing makes the verdict unknown and is named; coverage is never invalid.
//!
//! **When an episode owes reads and writes.** The contract owes liveness while a majority runs and is connected. Episodes
//! overlap: judged are the stretches of an episode, while clients worked and the controller did not stand still, in which no
//! fault that took the majority away was in place. In each stretch that is as long as the contract's bound (time to notice,
//! elect and retry) something must have been read and something written, or the episode is `missing`. In shorter ones a missing
//! success says nothing: an episode that has only such, and no success in them, is `too-short`, and is counted as that. If that
//! is so of all episodes of a kind that had a majority, the kind is missing, for nothing would have been tested.

use crate::contract::owed;
use crate::history::{History, Nanos, Operation};
use crate::parameters::Parameters;
use crate::recovery::seconds;
use crate::timeline::{Episode, Outcome, Timeline};
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict, some_operations};
use serde_json::{Value, json};

const NAME: &str = "coverage";

/// How long one episode of each kind must have been held.
const HELD: Nanos = Nanos(1_000_000_000);

/// The checker `coverage`.
///
/// Details: `{"missing": [text], "kinds": [{"kind", "episodes", "installed", "skipped", "indeterminate", "longest_ns",
/// "observed"}], "before": {"reads", "writes"}, "after": {"reads", "writes"}, "liveness": {"bound_ns": N|null, "covered": N,
/// "missing": N, "too-short": N, "not-owed": N}, "episodes": [{"episode", "kind", "majority", "owed_ns", "reads", "writes",
/// "judged": "covered"|"missing"|"too-short"|"not-owed"}]}`; counts of reads and writes are of successes, those under
/// `liveness` of episodes; `owed_ns` is the longest stretch that was judged.
#[derive(Debug, Clone)]
pub struct Coverage {
    parameters: Parameters,
}

impl Coverage {
    /// A checker for a run in which these faults were asked for.
    pub fn new(parameters: &Parameters) -> Coverage {
        Coverage {
            parameters: parameters.clone(),
        }
    }
}

impl Checker for Coverage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let timeline = Timeline::of(history);
        let judgement = Judgement {
            parameters: &self.parameters,
            missing: timeline.problems.clone(),
            timeline: &timeline,
            bound: None,
            done: Done::of(&operations),
            rows: Vec::new(),
        };
        judgement.conclude()
    }
}

/// When reads and writes succeeded.
struct Done {
    reads: Vec<(Nanos, Nanos)>,
    writes: Vec<(Nanos, Nanos)>,
}

/// Successes in a stretch of time.
#[derive(Clone, Copy, Default)]
struct Count {
    reads: usize,
    writes: usize,
}

impl Count {
    fn and(self, other: Count) -> Count {
        Count {
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
        }
    }

    fn both(self) -> bool {
        self.reads > 0 && self.writes > 0
    }

    fn lacking(self) -> &'static str {
        match (self.reads, self.writes) {
            (0, 0) => "no read and no write",
            (0, _) => "no read",
            (_, 0) => "no write",
            _ => "nothing is missing:",
        }
    }

    /// What was not done at all, in words that follow "nothing was".
    fn undone(self) -> &'static str {
        match (self.reads, self.writes) {
            (0, 0) => "read or written",
            (0, _) => "read",
            _ => "written",
        }
    }

    fn json(self) -> Value {
        json!({ "reads": self.reads, "writes": self.writes })
    }
}

impl Done {
    fn of(operations: &[Operation<'_>]) -> Done {
        let mut done = Done {
            reads: Vec::new(),
            writes: Vec::new(),
        };
        // An answer that is an error shows that a server answered, not that it let a client do its work.
        for operation in operations
            .iter()
            .filter(|operation| operation.is_ok() && operation.error().is_none())
        {
            let Some(end) = operation.end() else { continue };
            let list = if operation.f() == "read" {
                &mut done.reads
            } else {
                &mut done.writes
            };
            list.push((operation.start(), end));
        }
        done
    }

    /// Successes that began and ended within these moments.
    fn within(&self, from: Nanos, to: Nanos) -> Count {
        let count = |list: &[(Nanos, Nanos)]| {
            // Ordered by invocation.
            let first = list.partition_point(|(start, _)| *start < from);
            list[first..]
                .iter()
                .take_while(|(start, _)| *start <= to)
                .filter(|(_, end)| *end <= to)
                .count()
        };
        Count {
            reads: count(&self.reads),
            writes: count(&self.writes),
        }
    }
}

struct Judgement<'a> {
    parameters: &'a Parameters,
    timeline: &'a Timeline,
    /// Within how long reads and writes are owed.
    bound: Option<Nanos>,
    done: Done,
    missing: Vec<String>,
    /// One for each episode.
    rows: Vec<Value>,
}

/// What an episode showed of liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    Covered,
    Missing,
    TooShort,
    NotOwed,
}

impl Judged {
    const ALL: [Judged; 4] = [
        Judged::Covered,
        Judged::Missing,
        Judged::TooShort,
        Judged::NotOwed,
    ];

    fn word(self) -> &'static str {
        match self {
            Judged::Covered => "covered",
            Judged::Missing => "missing",
            Judged::TooShort => "too-short",
            Judged::NotOwed => "not-owed",
        }
    }
}

impl Judgement<'_> {
    fn conclude(mut self) -> Finding {
        let judged = self.judge_episodes();
        let kinds: Vec<Value> = self
            .parameters
            .faults
            .iter()
            .map(|kind| self.kind(kind, &judged))
            .collect();
        let (before, after) = (self.before(), self.after());
        let details = json!({
            "missing": self.missing,
            "kinds": kinds,
            "before": before.json(),
            "after": after.json(),
            "liveness": self.liveness(&judged),
            "episodes": self.rows,
        });
        let reasons = self
            .missing
            .into_iter()
            .map(|text| Reason {
                checker: NAME.to_owned(),
                text,
            })
            .collect();
        Finding {
            verdict: Verdict::of(Vec::new(), reasons),
            outside_contract: Vec::new(),
            details,
        }
    }

    fn judge_episodes(&mut self) -> Vec<(String, Judged)> {
        let mut kinds: Vec<&str> = self
            .timeline
            .episodes
            .values()
            .map(|episode| &*episode.kind)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let contract = owed(&self.parameters.contract, &kinds);
        if contract.is_none() {
            let text = format!(
                "the contract {} says nothing of {}",
                self.parameters.contract,
                kinds.join(", ")
            );
            self.missing.push(text);
        }
        self.bound = contract.and_then(|owed| owed.liveness);
        self.timeline
            .episodes
            .values()
            .map(|episode| (episode.kind.clone(), self.judge(episode)))
            .collect()
    }

    /// How many episodes showed what of liveness.
    fn liveness(&self, judged: &[(String, Judged)]) -> Value {
        let mut counts = json!({ "bound_ns": self.bound });
        for word in Judged::ALL {
            counts[word.word()] =
                json!(judged.iter().filter(|(_, judged)| *judged == word).count());
        }
        counts
    }

    /// Judges one episode and writes its row.
    fn judge(&mut self, episode: &Episode) -> Judged {
        let whole = self.stretches_with_majority(episode);
        let stalls = self
            .timeline
            .stalls
            .iter()
            .map(|stall| (stall.from, stall.to));
        let judged_parts = without(whole.clone(), stalls);
        let longest = judged_parts
            .iter()
            .map(|(from, to)| to.0 - from.0)
            .max()
            .unwrap_or(0);
        let count = whole
            .iter()
            .map(|(from, to)| self.done.within(*from, *to))
            .fold(Count::default(), Count::and);
        let silent = self.bound.and_then(|bound| {
            let long = judged_parts
                .iter()
                .filter(|(from, to)| to.0 - from.0 >= bound.0);
            long.map(|(from, to)| (to.0 - from.0, self.done.within(*from, *to)))
                .find(|(_, count)| !count.both())
        });
        let judged = match (self.bound, silent) {
            _ if whole.is_empty() => Judged::NotOwed,
            (None, _) => Judged::NotOwed,
            (Some(_), Some((length, count))) => {
                self.missing.push(format!(
                    "nothing was {} during episode {} ({}, {:.1} s with a majority)",
                    count.undone(),
                    episode.number,
                    episode.kind,
                    length as f64 / 1e9
                ));
                Judged::Missing
            }
            (Some(bound), None) if longest < bound.0 && !count.both() => Judged::TooShort,
            (Some(_), None) => Judged::Covered,
        };
        self.rows.push(json!({
            "episode": episode.number,
            "kind": episode.kind,
            "majority": episode.majority,
            "owed_ns": longest,
            "reads": count.reads,
            "writes": count.writes,
            "judged": judged.word(),
        }));
        judged
    }

    /// The stretches of an episode, while clients worked, in which a majority was connected.
    fn stretches_with_majority(&self, episode: &Episode) -> Vec<(Nanos, Nanos)> {
        let end = self.timeline.end;
        let Some((from, to)) = episode.interval(end) else {
            return Vec::new();
        };
        let work_ends = self.timeline.phase("work").map_or(end, |phase| phase.to);
        let cuts = self
            .timeline
            .episodes
            .values()
            .filter(|other| !other.majority)
            .filter_map(|other| other.interval(end));
        without(vec![(from, to.min(work_ends))], cuts)
    }

    /// Judges one kind of fault that was asked for.
    fn kind(&mut self, kind: &str, judged: &[(String, Judged)]) -> Value {
        let episodes: Vec<&Episode> = self
            .timeline
            .episodes
            .values()
            .filter(|episode| episode.kind == kind)
            .collect();
        let count = |outcome| {
            episodes
                .iter()
                .filter(|episode| episode.outcome == outcome)
                .count()
        };
        let installed = count(Outcome::Installed);
        let held = |episode: &&&Episode| {
            let (from, to) = episode.interval(self.timeline.end).unwrap_or_default();
            if episode.outcome == Outcome::Installed {
                to.0 - from.0
            } else {
                0
            }
        };
        let longest = episodes
            .iter()
            .map(|episode| held(&episode))
            .max()
            .unwrap_or(0);
        let seen = |episode: &&&Episode| {
            episode
                .observed
                .as_ref()
                .is_some_and(|(observed, _)| *observed)
        };
        let observed = episodes
            .iter()
            .filter(|episode| held(episode) >= HELD.0)
            .filter(seen)
            .count();
        let row = json!({
            "kind": kind,
            "episodes": episodes.len(),
            "installed": installed,
            "skipped": count(Outcome::Skipped),
            "indeterminate": count(Outcome::Indeterminate),
            "longest_ns": longest,
            "observed": observed,
        });
        let of_kind = || {
            judged
                .iter()
                .filter(|(of, _)| of == kind)
                .map(|(_, judged)| *judged)
        };
        let lacks = if episodes.is_empty() {
            Some("no episode of it took place: give the run more time".to_owned())
        } else if 3 * installed < episodes.len() {
            Some(format!(
                "{installed} of {} episodes were installed, a third is needed{}",
                episodes.len(),
                why(&episodes)
            ))
        } else if longest < HELD.0 {
            Some(format!(
                "it was held for {} at most, {} is needed",
                seconds(longest),
                seconds(HELD.0)
            ))
        } else if observed == 0 {
            Some(format!(
                "its effect was never seen from outside{}",
                last_look(&episodes)
            ))
        } else if of_kind().any(|judged| judged == Judged::TooShort)
            && !of_kind().any(|judged| judged == Judged::Covered)
        {
            Some("none of its episodes with a majority was long enough to see a read and a write succeed".to_owned())
        } else {
            None
        };
        if let Some(lacks) = lacks {
            self.missing.push(format!("{kind}: {lacks}"));
        }
        row
    }

    fn before(&mut self) -> Count {
        let intervals = self
            .timeline
            .episodes
            .values()
            .filter_map(|episode| episode.interval(self.timeline.end));
        let first = intervals
            .map(|(from, _)| from)
            .min()
            .unwrap_or(self.timeline.end);
        let count = self.done.within(Nanos(0), first);
        if !count.both() {
            self.missing.push(format!(
                "{} succeeded before the first fault",
                count.lacking()
            ));
        }
        count
    }

    /// Successes after the last heal; that a node served in the phase `recover` is a write and a read.
    fn after(&mut self) -> Count {
        let last = self.timeline.last_heal().unwrap_or(Nanos(0));
        let served = self
            .timeline
            .serving
            .iter()
            .filter(|serving| serving.at >= last)
            .count();
        let count = self.done.within(last, self.timeline.end);
        let count = Count {
            reads: count.reads + served,
            writes: count.writes + served,
        };
        if !count.both() {
            self.missing
                .push(format!("{} succeeded after the last heal", count.lacking()));
        }
        count
    }
}

/// What is left of stretches of time when others are cut out.
fn without(
    mut stretches: Vec<(Nanos, Nanos)>,
    cuts: impl Iterator<Item = (Nanos, Nanos)>,
) -> Vec<(Nanos, Nanos)> {
    for (cut_from, cut_to) in cuts {
        stretches = stretches
            .into_iter()
            .flat_map(|(from, to)| [(from, to.min(cut_from)), (from.max(cut_to), to)])
            .filter(|(from, to)| from < to)
            .collect();
    }
    stretches.retain(|(from, to)| from < to);
    stretches
}

/// Why episodes were not installed: each reason once.
fn why(episodes: &[&Episode]) -> String {
    let mut reasons: Vec<&str> = episodes
        .iter()
        .filter_map(|episode| episode.reason.as_deref())
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join("; "))
    }
}

fn last_look(episodes: &[&Episode]) -> String {
    let looks = episodes
        .iter()
        .rev()
        .filter_map(|episode| episode.observed.as_ref());
    looks
        .map(|(_, detail)| format!(" (last look: {detail})"))
        .next()
        .unwrap_or_default()
}
