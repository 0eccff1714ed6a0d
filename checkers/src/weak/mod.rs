//! Weak isolation levels of transactions, in nearly linear time; session guarantees; bank accounts; long forks.
//!
//! `read-committed`, `read-atomic` and `causal` judge transactions over lists (`append`, `r`) or registers (`w`, `r`), as
//! AWDIT does (Møldrup & Pavlogiannis, *An Optimal Weak Database Isolation Tester*, PLDI 2025): there is one order of all commits
//! that agrees with sessions and reads, and in which no read misses a write that is visible to it. What is visible makes the
//! level; `order` has the definitions. Processes are sessions, and every level holds a session to its own order. Adya's and Cerone's
//! models of the same names do not ([`crate::txn::consistency`]): what is serializable, but not in the order of its sessions, breaks all
//! levels here and none of them there.
//!
//! What they prove: an anomaly is one under every order of commits; without any there is such an order. What they cannot:
//! they know no real time and no stronger level (see [`crate::txn`]). Where lists tell an order of versions, it is the order
//! of commits. What they need: no value is written twice to one key, and none that it begins with is written and read; else the answer
//! is unknown.
//!
//! - `reads`: who wrote what was read, and what no level excuses; `order`, `causal`: the edges of each level;
//! - `cycles`, `witness`: short cycles, and sentences about them;
//! - `sessions`: read your writes, monotonic reads, monotonic writes, writes follow reads, across keys;
//! - `bank`, `fork`: the two invariants by these names.
//!
//! ```
//! use keelhaul_checkers::{Budget, History, Parameters, Verdict, by_name};
//!
//! // The second transaction sees one half of the first.
//! let lines = r#"{"process":0,"type":"invoke","f":"txn","value":[["w","x",1],["w","y",1]]}
//! {"process":0,"type":"ok","f":"txn","value":[["w","x",1],["w","y",1]]}
//! {"process":1,"type":"invoke","f":"txn","value":[["r","x",null],["r","y",null]]}
//! {"process":1,"type":"ok","f":"txn","value":[["r","x",null],["r","y",1]]}
//! "#;
//! let (history, _) = History::read(lines.as_bytes())?;
//! let budget = Budget { states: 1_000_000, bytes: 64 << 20, deadline: None };
//! let judge = |model| by_name(model, &Parameters::default()).expect("it is listed").check(&history, &budget).verdict;
//! assert_eq!(judge("read-committed"), Verdict::Valid);
//! let Verdict::Invalid(anomalies) = judge("read-atomic") else { panic!("the read is fractured") };
//! assert_eq!(anomalies[0].kind, "fractured-read");
//! # Ok::<(), keelhaul_checkers::HistoryError>(())
//! ```

mod bank;
mod causal;
mod cycles;
mod fork;
mod order;
mod reads;
mod sessions;
mod witness;

pub use bank::Bank;
pub use fork::LongFork;
pub use sessions::SessionGuarantees;

use crate::history::History;
use crate::limits::{Limits, Stop};
use crate::parameters::Parameters;
use crate::txn::input::{Act, Micro, NULL, Shape, Token, Txns};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Reason, Verdict};
use order::Edge;
use reads::{Facts, Sessions, counts};
use serde_json::{Map, Value, json};

/// A weak isolation level.
///
/// These are Biswas and Enea's, and hold each process to its own order. The models of the same names in
/// [`crate::txn::consistency`] are Adya's and Cerone's, which know no processes: a serializable history may break any level here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What a transaction reads later is not older than what it has read before.
    ReadCommitted,
    /// All of a transaction is visible, or nothing; a session's own transactions are. Who reads a list reads from its last writer.
    ReadAtomic,
    /// With a transaction, all that led to it is visible. Who reads a list reads from the writers of all its elements.
    Causal,
}

/// Judges transactions by a weak isolation level.
///
/// `details`: `{"level", "transactions", "of": "lists"|"registers", "edges", "cycles", "anomalies": {kind: count}}`; for causal
/// consistency also `"chains"`: the length of its clocks.
#[derive(Debug, Clone)]
pub struct Weak {
    level: Level,
    initial: Option<Value>,
}

/// Anomalies of one kind that are reported in full.
const MOST_OF_A_KIND: usize = 8;

impl Weak {
    /// The checker of this level, with what every key begins with.
    pub fn new(level: Level, parameters: &Parameters) -> Weak {
        let initial = parameters.initial.clone();
        Weak { level, initial }
    }
}

impl Checker for Weak {
    fn name(&self) -> &'static str {
        match self.level {
            Level::ReadCommitted => "read-committed",
            Level::ReadAtomic => "read-atomic",
            Level::Causal => "causal",
        }
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.judge(history, budget)
            .unwrap_or_else(|misfit| Finding::misfit(self.name(), misfit))
    }
}

/// The transactions of a history, over lists or registers, whichever they are, and what a register begins with. A list that every key
/// begins with is taken off all that were read.
fn transactions<'h>(
    history: &'h History,
    initial: Option<&Value>,
    limits: &Limits,
) -> Result<(Txns<'h>, Token), Misfit> {
    let txns = Txns::read(history, shape(history), initial, limits)?;
    let token = match (txns.shape, initial) {
        (Shape::Registers, Some(initial)) => txns.token_of(initial),
        _ => NULL,
    };
    match txns.len() {
        0 => {
            let text = "the history has no transactions: nothing was tested";
            Err(text.to_owned().into())
        }
        _ => Ok((txns, token)),
    }
}

/// Why the transactions prove nothing: no answer shows anything of what was written.
fn nothing_read(txns: &Txns<'_>, checker: &str) -> Vec<Reason> {
    let reads = |micro: &Micro| matches!(micro.act, Act::Read(_) | Act::ReadList(_));
    match txns.micros.iter().any(reads) {
        true => Vec::new(),
        false => vec![nothing_tested(checker, "no transaction read anything")],
    }
}

fn nothing_tested(checker: &str, why: &str) -> Reason {
    Reason {
        checker: checker.to_owned(),
        text: format!("{why}: nothing was tested"),
    }
}

/// Lists, if the first write is an append or if a list was read; else registers.
fn shape(history: &History) -> Shape {
    for event in history.events() {
        let micros = event
            .value()
            .as_list()
            .into_iter()
            .flat_map(|list| list.iter());
        for micro in micros.filter_map(|micro| micro.as_list()) {
            match micro.get(0).and_then(|f| f.as_str()) {
                Some("append") => return Shape::Lists,
                Some("w") => return Shape::Registers,
                _ if micro.get(2).is_some_and(|value| value.as_list().is_some()) => {
                    return Shape::Lists;
                }
                _ => {}
            }
        }
    }
    Shape::Registers
}

impl Weak {
    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, Misfit> {
        let limits = Limits::of(budget);
        let (txns, initial) = transactions(history, self.initial.as_ref(), &limits)?;
        let facts = Facts::find(&txns, initial, &limits)?;
        let mut anomalies = direct_anomalies(self.name(), &facts);
        let ordered = match self.level.order(&facts, &limits) {
            Ok(ordered) => ordered,
            // What reads show by themselves stands.
            Err(stop) => {
                let reason = Reason {
                    checker: self.name().to_owned(),
                    text: stop.to_string(),
                };
                return Ok(Finding {
                    verdict: Verdict::of(anomalies, vec![reason]),
                    outside_contract: Vec::new(),
                    details: json!({ "level": self.name(), "transactions": txns.len() }),
                });
            }
        };
        let Ordered {
            edges,
            base,
            chains,
            cycles,
            count,
        } = ordered;
        for cycle in &cycles {
            let (summary, witness) = witness::cycle(&facts, &edges[..base], cycle);
            anomalies.push(anomaly(self.name(), witness::kind(cycle), summary, witness));
        }
        let kinds = facts.direct.iter().map(|direct| direct.kind);
        let kinds = counts(kinds.chain(cycles.iter().map(|cycle| witness::kind(cycle))));
        let kinds: Map<String, Value> = kinds
            .into_iter()
            .map(|(kind, count)| (kind.to_owned(), json!(count)))
            .collect();
        let mut details = json!({
            "level": self.name(),
            "transactions": txns.len(),
            "of": witness::noun(txns.shape),
            "edges": edges.len(),
            "cycles": count,
            "anomalies": kinds,
        });
        if let Some(chains) = chains {
            details["chains"] = json!(chains);
        }
        Ok(Finding {
            verdict: Verdict::of(anomalies, nothing_read(&txns, self.name())),
            outside_contract: Vec::new(),
            details,
        })
    }
}

/// What a level asks of the order of commits, and where that goes round.
struct Ordered {
    edges: Vec<Edge>,
    /// How many of them are of sessions and reads.
    base: usize,
    /// The length of the clocks, of causal consistency.
    chains: Option<usize>,
    cycles: Vec<Vec<Edge>>,
    count: usize,
}

impl Level {
    fn order(self, facts: &Facts<'_, '_>, limits: &Limits) -> Result<Ordered, Stop> {
        const DURING: &str = "the search for an order of commits";
        limits.time(DURING)?;
        let mut edges = order::base(facts);
        let base = edges.len();
        let mut chains = None;
        let (mut cycles, mut count) = (Vec::new(), 0);
        match self {
            Level::ReadCommitted => order::read_committed(facts, &mut edges),
            Level::ReadAtomic => order::read_atomic(facts, &mut edges),
            Level::Causal => {
                (cycles, count) = cycles::cycles(facts.len(), &edges);
                if count == 0 {
                    let demands = causal::causal(facts, &edges, limits)?;
                    edges.extend(demands.edges);
                    chains = Some(demands.chains);
                }
            }
        }
        limits.hold(edges.len() * size_of::<Edge>(), DURING)?;
        if count == 0 {
            (cycles, count) = cycles::cycles(facts.len(), &edges);
        }
        Ok(Ordered {
            edges,
            base,
            chains,
            cycles,
            count,
        })
    }
}

/// What breaks the levels if a process is no session, so that they are what [`crate::txn::consistency`] means by monotonic
/// atomic view (this is read committed here), read atomic and causal.
#[derive(Debug, Default)]
pub(crate) struct Sessionless {
    /// By kind; none where reads or versions show by themselves that no level holds.
    pub(crate) anomalies: Vec<Anomaly>,
    /// The kinds of cycles that were looked for.
    pub(crate) searched: Vec<&'static str>,
    /// What stopped it before it came to all.
    pub(crate) stopped: Option<String>,
}

/// Looks for them, from the weakest level on to the one that breaks, or to the last one that was asked for.
pub(crate) fn without_sessions(
    checker: &str,
    txns: &Txns<'_>,
    initial: Token,
    last: Level,
    limits: &Limits,
) -> Sessionless {
    let mut all = Sessionless::default();
    let facts = match Facts::among(txns, Sessions::None, initial, limits) {
        Ok(facts) => facts,
        Err(stopped) => {
            all.stopped = Some(stopped);
            return all;
        }
    };
    let levels = [
        (Level::ReadCommitted, "non-monotonic-read"),
        (Level::ReadAtomic, "fractured-read"),
        (Level::Causal, "causality-violation"),
    ];
    for (level, searched) in levels.into_iter().filter(|(level, _)| *level <= last) {
        let ordered = match level.order(&facts, limits) {
            Ok(ordered) => ordered,
            Err(stop) => {
                all.stopped = Some(stop.to_string());
                return all;
            }
        };
        all.searched.push(searched);
        for cycle in &ordered.cycles {
            let kind = witness::kind(cycle);
            // Cycles of reads and versions alone are others' to tell.
            if levels.iter().any(|(_, name)| *name == kind) {
                let base = &ordered.edges[..ordered.base];
                let (summary, witness) = witness::cycle(&facts, base, cycle);
                all.anomalies.push(anomaly(checker, kind, summary, witness));
            }
        }
        if !all.anomalies.is_empty() {
            break;
        }
    }
    all
}

/// The anomalies that reads show by themselves, the first ones of each kind.
fn direct_anomalies(checker: &str, facts: &Facts<'_, '_>) -> Vec<Anomaly> {
    let mut told: Vec<(&'static str, usize)> = Vec::new();
    let mut anomalies = Vec::new();
    for direct in &facts.direct {
        let at = match told.iter().position(|(kind, _)| *kind == direct.kind) {
            Some(at) => at,
            None => {
                told.push((direct.kind, 0));
                told.len() - 1
            }
        };
        told[at].1 += 1;
        if told[at].1 <= MOST_OF_A_KIND {
            let (summary, witness) = witness::direct(facts, direct);
            anomalies.push(anomaly(checker, direct.kind, summary, witness));
        }
    }
    anomalies
}

fn anomaly(checker: &str, kind: &str, summary: String, witness: Value) -> Anomaly {
    Anomaly {
        kind: kind.to_owned(),
        checker: checker.to_owned(),
        summary,
        witness,
    }
}
