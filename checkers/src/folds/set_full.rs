//! The fate of each element of a set that grows: stable, lost or never read, and stale for how long.

mod bits;
mod elements;
mod fates;

use crate::breaches::Breaches;
use crate::contract::owes_sync_reads;
use crate::history::{History, Nanos, Operation, ValueRef};
use crate::limits::{Limits, Stop};
use crate::models::added;
use crate::parameters::Parameters;
use crate::reads::{ReadMode, read_mode};
use crate::verdict::{Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use elements::{Elements, Lists};
use fates::{Fate, Read};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAME: &str = "set-full";

/// Elements that `worst_stale` lists at most.
const WORST_SHOWN: usize = 8;

/// The checker `set-full`.
///
/// The fate of each element of a set that grows: stable, lost or never read, and stale for how long.
///
/// An element is *known* from the first completion on that shows it was there: of its add, or of a read with it.
/// - *stable*: it is in the last reads that say anything of it. It was *stale* for the time from its being known to the
///   last invocation of a read that missed it all the same.
/// - *lost*: it was known, and the last reads that began after that miss it. An anomaly.
/// - *never read*: neither: no read tells.
///
/// Anomalies beside `lost`: `unexpected` (a read shows what nobody had tried to add by its end, or whose add certainly
/// failed), `duplicated` (one read shows it twice), and `stale` where the run's reads are known to be linearizable (the
/// [`Parameters`] say so); else staleness is only measured.
///
/// It judges element by element: two concurrent reads `[1]` and `[2]` pass, although no order of adds explains them. That
/// is what the model [`Set`](crate::Set) proves. Plain reads (`mode` is `local`) are not asked for what they miss.
///
/// Reads are held against each other as sets of bits, and only differences are looked at: with n elements and r reads it costs
/// the time to look once at what was read, n·r/64 words, and the number of changes.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"add","value":812}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"add","value":812}
/// {"index":2,"time":10,"process":2,"type":"invoke","f":"read","value":null}
/// {"index":3,"time":14,"process":2,"type":"ok","f":"read","value":[812]}
/// ```
///
/// Details: `{"sets", "elements", "attempted", "acknowledged", "stable", "lost", "never_read", "stale", "unexpected",
/// "duplicated", "reads", "linearizable_reads", "stale_ns": Q, "lost_after_ns": Q, "worst_stale": [{"key", "element", "ns"}, …]}`,
/// where `Q` is `{"p0", "p50", "p95", "p99", "max"}` (nearest rank, exact) over the stable elements, or over the lost ones from
/// their being known to the last read that showed them; `null` where there are none.
#[derive(Debug, Clone)]
pub struct SetFull {
    sync_is_owed: bool,
    stale_is_breach: bool,
}

impl SetFull {
    /// A checker for a system under this contract, and for reads of this kind.
    pub fn new(parameters: &Parameters) -> SetFull {
        let sync_is_owed = owes_sync_reads(&parameters.contract);
        let stale_is_breach = match parameters.reads {
            Some(ReadMode::Fenced) => true,
            Some(ReadMode::Sync) => sync_is_owed,
            Some(ReadMode::Local) | None => false,
        };
        SetFull {
            sync_is_owed,
            stale_is_breach,
        }
    }

    /// Whether a read must show whatever was there before it began.
    fn is_complete(&self, read: &Operation<'_>) -> bool {
        match read_mode(read) {
            Some(ReadMode::Local) => false,
            Some(ReadMode::Sync) => self.sync_is_owed,
            Some(ReadMode::Fenced) | None => true,
        }
    }
}

impl Checker for SetFull {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut sets: BTreeMap<Option<&str>, Vec<Operation<'_>>> = BTreeMap::new();
        for operation in operations {
            sets.entry(operation.key()).or_default().push(operation);
        }
        let mut sums = Sums::default();
        for (key, operations) in &sets {
            match self.judge(*key, operations, &Limits::of(budget), &mut sums) {
                Ok(()) => {}
                Err(Unjudged::Misfit(misfit)) => return Finding::misfit(NAME, misfit),
                Err(Unjudged::Stopped(stop)) => {
                    sums.stopped = Some(stop);
                    break;
                }
            }
        }
        sums.finding(sets.len())
    }
}

/// Why a set was not judged.
enum Unjudged {
    Misfit(Misfit),
    Stopped(Stop),
}

impl SetFull {
    fn judge<'h>(
        &self,
        key: Option<&'h str>,
        operations: &[Operation<'h>],
        limits: &Limits,
        sums: &mut Sums<'h>,
    ) -> Result<(), Unjudged> {
        let refused = |operation, text: String| Unjudged::Misfit(Misfit::of(operation, text));
        crate::repeats::all_known(operations).map_err(Unjudged::Misfit)?;
        let mut adds = Vec::new();
        let mut reads: Vec<(Operation<'h>, Lists<'h>)> = Vec::new();
        for operation in operations {
            crate::repeats::check(operation).map_err(Unjudged::Misfit)?;
            match operation.f() {
                "add" => {
                    added(operation, NAME).map_err(|text| refused(operation, text))?;
                    adds.push(*operation);
                }
                "read" if operation.is_ok() => {
                    let shown = shown(operation).map_err(|text| refused(operation, text))?;
                    reads.push((*operation, shown));
                }
                "read" => {}
                other => {
                    let text =
                        format!("is `{other}`, which sets do not have: they know add and read");
                    return Err(refused(operation, text));
                }
            }
        }
        let elements = Elements::gather(&adds);
        let reads: Vec<Read<'h>> = reads
            .into_iter()
            .map(|(operation, shows)| Read {
                inv: operation.inv(),
                ret: operation.ret().expect("an ok operation returned"),
                operation,
                shows,
                complete: self.is_complete(&operation),
            })
            .collect();
        sums.reads += reads.len();
        sums.linearizable_reads += reads.iter().filter(|read| read.complete).count();
        let seen = fates::judge(elements, reads, limits).map_err(Unjudged::Stopped)?;
        sums.take(key, &seen, self.stale_is_breach);
        Ok(())
    }
}

/// What an ok read shows; there is nothing where there is no such set.
fn shown<'h>(read: &Operation<'h>) -> Result<Lists<'h>, String> {
    match (read.result(), read.error()) {
        (_, Some("NoNode")) => Ok(None),
        (_, Some(error)) => Err(format!(
            "is an ok read with the error {error}; sets know NoNode"
        )),
        (Some(value), None) => match value.as_list() {
            Some(list) => Ok(Some(list)),
            None => Err(format!(
                "is an ok read of {value}; expected a list of elements"
            )),
        },
        (None, None) => Ok(None),
    }
}

#[derive(Default)]
struct Sums<'h> {
    elements: usize,
    attempted: usize,
    acknowledged: usize,
    stable: usize,
    lost: usize,
    never_read: usize,
    stale: usize,
    reads: usize,
    linearizable_reads: usize,
    stale_ns: Vec<u64>,
    lost_after_ns: Vec<u64>,
    /// The most stale elements, the worst first.
    worst: Vec<(u64, Option<&'h str>, ValueRef<'h>)>,
    breaches: Breaches<'h>,
    stopped: Option<Stop>,
}

impl<'h> Sums<'h> {
    fn take(&mut self, key: Option<&'h str>, seen: &fates::Seen<'h>, stale_is_breach: bool) {
        let of = |element: ValueRef<'_>| match key {
            Some(key) => format!("{element} of {key}"),
            None => element.to_string(),
        };
        let named = |element: ValueRef<'_>| {
            let fields = json!({ "key": key, "element": element.to_json() });
            match fields {
                Value::Object(fields) => fields,
                _ => unreachable!("an object was made"),
            }
        };
        for stranger in &seen.unexpected {
            let text = format!("{} {}", of(stranger.element), stranger.why);
            let operations = [Some(stranger.read), stranger.add].into_iter().flatten();
            let fields = named(stranger.element);
            self.breaches
                .add_with("unexpected", text, operations.collect(), fields);
        }
        for (element, read) in &seen.twice {
            let text = format!("{} is twice in one read", of(*element));
            self.breaches
                .add_with("duplicated", text, vec![*read], named(*element));
        }
        self.elements += seen.elements.len();
        for (place, element) in seen.elements.iter().enumerate() {
            self.attempted += 1;
            self.acknowledged += usize::from(element.acknowledged);
            match &seen.fates[place] {
                Fate::NeverRead => self.never_read += 1,
                Fate::Stable { stale: None } => {
                    self.stable += 1;
                    self.stale_ns.push(0);
                }
                Fate::Stable {
                    stale: Some((known, missed)),
                } => {
                    self.stable += 1;
                    self.stale += 1;
                    let stale = since(known.end(), missed.start());
                    self.stale_ns.push(stale);
                    self.remember_worst(stale, key, element.value);
                    if stale_is_breach {
                        let text = format!(
                            "{} was known, and a later read missed it",
                            of(element.value)
                        );
                        let operations = vec![*known, *missed];
                        self.breaches
                            .add_with("stale", text, operations, named(element.value));
                    }
                }
                Fate::Lost {
                    known,
                    shown,
                    missed,
                } => {
                    self.lost += 1;
                    let last = shown.map_or(Nanos(0), |read| read.start());
                    self.lost_after_ns.push(since(known.end(), last));
                    let text = format!(
                        "{} was acknowledged or read, and is gone",
                        of(element.value)
                    );
                    let operations = [Some(*known), *shown, Some(*missed)];
                    let operations = operations.into_iter().flatten().collect();
                    self.breaches
                        .add_with("lost", text, operations, named(element.value));
                }
            }
        }
    }

    fn remember_worst(&mut self, stale: u64, key: Option<&'h str>, element: ValueRef<'h>) {
        let place = self.worst.partition_point(|(other, ..)| *other >= stale);
        if place < WORST_SHOWN {
            self.worst.insert(place, (stale, key, element));
            self.worst.truncate(WORST_SHOWN);
        }
    }

    fn finding(self, sets: usize) -> Finding {
        let worst: Vec<Value> = self
            .worst
            .iter()
            .map(|(ns, key, element)| json!({ "key": key, "element": element.to_json(), "ns": ns }))
            .collect();
        let details = json!({
            "sets": sets,
            "elements": self.elements,
            "attempted": self.attempted,
            "acknowledged": self.acknowledged,
            "stable": self.stable,
            "lost": self.lost,
            "never_read": self.never_read,
            "stale": self.stale,
            "unexpected": self.breaches.count("unexpected"),
            "duplicated": self.breaches.count("duplicated"),
            "reads": self.reads,
            "linearizable_reads": self.linearizable_reads,
            "stale_ns": quantiles(self.stale_ns),
            "lost_after_ns": quantiles(self.lost_after_ns),
            "worst_stale": worst,
        });
        let text = if let Some(stop) = &self.stopped {
            Some(stop.to_string())
        } else if self.linearizable_reads == 0 {
            Some("no read that must be complete was answered: nothing can be judged".to_owned())
        } else if self.stable == 0 {
            Some("no element was seen to stay: nothing was tested".to_owned())
        } else {
            None
        };
        let reason = text.map(|text| Reason {
            checker: NAME.to_owned(),
            text,
        });
        Finding {
            verdict: Verdict::of(
                self.breaches.into_anomalies(NAME),
                reason.into_iter().collect(),
            ),
            outside_contract: Vec::new(),
            details,
        }
    }
}

fn since(from: Option<Nanos>, to: Nanos) -> u64 {
    to.0.saturating_sub(from.map_or(0, |from| from.0))
}

fn quantiles(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let Some(max) = times.last() else {
        return Value::Null;
    };
    let rank = |hundredths: usize| times[(times.len() * hundredths).div_ceil(100).max(1) - 1];
    json!({ "p0": rank(0), "p50": rank(50), "p95": rank(95), "p99": rank(99), "max": max })
}
