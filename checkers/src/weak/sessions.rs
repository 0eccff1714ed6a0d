//! Session guarantees (Terry et al., 1994): key by key first, and where no key shows anything by itself, across keys.
//!
//! All four together are causal consistency (Brzeziński, Sobaniec and Wawrzyniak, *From Session Causality to Causal Consistency*) of
//! single reads and writes. So across keys it is `causal` that decides, of transactions that were taken apart into these: nothing
//! is owed to what a transaction does at once.

use super::causal::{Demands, causal, way};
use super::cycles::{Arrow, cycles};
use super::order::{Edge, Why, base};
use super::reads::{Facts, INITIAL, Place, Txn, counts};
use super::{direct_anomalies, nothing_read, nothing_tested, transactions, witness};
use crate::describe;
use crate::history::History;
use crate::limits::Limits;
use crate::parameters::Parameters;
use crate::txn::input::{Key, Shape, Token};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Verdict};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};

const NAME: &str = "session-guarantees";

/// What a session may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Guarantee {
    ReadYourWrites,
    MonotonicReads,
    MonotonicWrites,
    WritesFollowReads,
}

impl Guarantee {
    fn name(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "read-your-writes",
            Guarantee::MonotonicReads => "monotonic-reads",
            Guarantee::MonotonicWrites => "monotonic-writes",
            Guarantee::WritesFollowReads => "writes-follow-reads",
        }
    }
}

/// One version that must not come after another, because a session went from the one to the other.
#[derive(Debug, Clone, Copy)]
struct Step {
    guarantee: Guarantee,
    key: Key,
    /// The versions, by the writes that made them; the second may be the initial one.
    from: Place,
    to: Place,
    before: Txn,
    after: Txn,
}

impl Arrow for Step {
    fn ends(&self) -> (u32, u32) {
        (self.from, self.to)
    }
}

/// Judges session guarantees.
///
/// Session guarantees (Terry et al., 1994).
///
/// What one process reads and writes of a key, in its order, never goes back in the order of the key's versions:
///
/// | guarantee | before | after |
/// | --- | --- | --- |
/// | `read-your-writes` | a write | a read |
/// | `monotonic-reads` | a read | a read |
/// | `monotonic-writes` | a write | a write |
/// | `writes-follow-reads` | a read | a write |
///
/// The last two hold across keys too: who has seen a write (or anything that led to it, by sessions and reads) sees all that its process
/// had written and read before. What a transaction does is taken one by one, in its order.
///
/// What it proves: an anomaly is one under every order of versions; without any there is one order of all writes in which
/// all sessions go forward, and so an order of each key's versions. What it cannot: say anything of real time.
/// What it needs: transactions over lists or registers, no value written twice to one key. Lists tell the order of versions;
/// of registers the guarantees themselves must have a cycle, which is named after the first guarantee in the table that it needs.
/// All four are judged together: a system that gives some of them only is not told apart.
///
/// `details`: `{"transactions", "of": "lists"|"registers", "anomalies": {kind: count}}`. An anomaly's witness is
/// `{"operations": […], "steps": [{"guarantee", "before", "after", "key"}…], "key", "text"}`; `before` and `after` are places in
/// `operations`. One across keys has the witness of `--model causal`, and is named after what
/// led to the read: two reads or more, `writes-follow-reads`; one of another process's write, `monotonic-writes`.
///
/// ```text
/// {"process":1,"type":"ok","f":"txn","value":[["append","x",1]]}
/// {"process":1,"type":"ok","f":"txn","value":[["r","x",[]]]}              it does not read its own write
/// ```
#[derive(Debug, Clone, Default)]
pub struct SessionGuarantees {
    initial: Option<Value>,
}

impl SessionGuarantees {
    /// With what every key begins with.
    pub fn new(parameters: &Parameters) -> SessionGuarantees {
        let initial = parameters.initial.clone();
        SessionGuarantees { initial }
    }

    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, Misfit> {
        let limits = Limits::of(budget);
        let (txns, initial) = transactions(history, self.initial.as_ref(), &limits)?;
        let facts = Facts::find(&txns, initial, &limits)?;
        limits
            .time("the comparison of sessions")
            .map_err(String::from)?;
        let steps = steps(&facts);
        let mut reasons = nothing_read(&txns, NAME);
        let back = match txns.shape {
            Shape::Lists => steps
                .iter()
                .filter(|step| goes_back(&facts, step))
                .map(|step| vec![*step])
                .collect(),
            Shape::Registers => cycles(txns.micros.len(), &steps).0,
        };
        let mut across = Across::default();
        if back.is_empty() && facts.direct.is_empty() {
            across = Across::of(&facts, initial, &limits)?;
        }
        let is_idle = back.is_empty() && !across.compared && !comes_back(&facts);
        if reasons.is_empty() && is_idle {
            reasons.push(nothing_tested(
                NAME,
                "no process came back to a key that it had read or written, or to one that led to what it had read",
            ));
        }
        let kinds = facts.direct.iter().map(|direct| direct.kind);
        let kinds = kinds.chain(back.iter().map(|steps| kind(steps)));
        let kinds = counts(kinds.chain(across.found.iter().map(|(kind, ..)| *kind)));
        let kinds: Map<String, Value> = kinds
            .into_iter()
            .map(|(kind, count)| (kind.to_owned(), json!(count)))
            .collect();
        let mut anomalies = direct_anomalies(NAME, &facts);
        anomalies.extend(
            back.iter()
                .take(super::MOST_OF_A_KIND)
                .map(|steps| anomaly(&facts, steps)),
        );
        let across = across.found.into_iter();
        anomalies.extend(
            across.map(|(kind, summary, witness)| super::anomaly(NAME, kind, summary, witness)),
        );
        Ok(Finding {
            verdict: Verdict::of(anomalies, reasons),
            outside_contract: Vec::new(),
            details: json!({
                "transactions": txns.len(),
                "of": witness::noun(txns.shape),
                "anomalies": kinds,
            }),
        })
    }
}

/// What sessions show across keys.
#[derive(Default)]
struct Across {
    /// Kind, summary, witness.
    found: Vec<(&'static str, String, Value)>,
    /// Whether any read could have missed a write.
    compared: bool,
}

impl Across {
    fn of(facts: &Facts<'_, '_>, initial: Token, limits: &Limits) -> Result<Across, String> {
        let whole = facts.txns;
        let txns = whole.apart(&facts.happened);
        limits.hold(whole.bytes() + txns.bytes(), "the comparison of sessions")?;
        let facts = Facts::apart(&txns, initial, limits)?;
        let mut edges = base(&facts);
        let count = edges.len();
        let (mut all, _) = cycles(facts.len(), &edges);
        let mut compared = !all.is_empty();
        if all.is_empty() {
            let demands: Demands = causal(&facts, &edges, limits)?;
            edges.extend(demands.edges);
            compared = demands.compared;
            all = cycles(facts.len(), &edges).0;
        }
        let base = &edges[..count];
        let found = all.iter().map(|cycle| {
            let (summary, witness) = witness::cycle(&facts, base, cycle);
            (across(&facts, base, cycle), summary, witness)
        });
        Ok(Across {
            found: found.collect(),
            compared,
        })
    }
}

/// The anomaly's name: by how a missed write led to the read, or by what a cycle of sessions and reads has in it.
fn across(facts: &Facts<'_, '_>, base: &[Edge], cycle: &[Edge]) -> &'static str {
    let session = |txn: Txn| facts.session[txn as usize];
    let missed = cycle.iter().find_map(|edge| match edge.why {
        Why::Visible { reader, .. } => Some(way(facts, base, edge.from, reader)),
        _ => None,
    });
    let reads = match &missed {
        Some(way) => {
            let steps = way.windows(2);
            steps
                .filter(|step| session(step[0]) != session(step[1]))
                .count()
        }
        None => cycle.len(),
    };
    let begins_in_session =
        missed.is_some_and(|way| way.len() > 1 && session(way[0]) == session(way[1]));
    let guarantee = match (reads, begins_in_session) {
        (0, _) => Guarantee::ReadYourWrites,
        (1, true) => Guarantee::MonotonicWrites,
        (1, false) => Guarantee::MonotonicReads,
        _ => Guarantee::WritesFollowReads,
    };
    guarantee.name()
}

impl Checker for SessionGuarantees {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.judge(history, budget)
            .unwrap_or_else(|misfit| Finding::misfit(NAME, misfit))
    }
}

/// Whether any session touched a key in two of its transactions: else no guarantee was at stake.
fn comes_back(facts: &Facts<'_, '_>) -> bool {
    let mut before: FxHashMap<Key, Txn> = FxHashMap::default();
    facts.sessions().into_iter().any(|session| {
        before.clear();
        session.into_iter().any(|txn| {
            let read = facts.reads(txn).iter().map(|read| read.key);
            let written = facts.writes(txn).iter().map(|write| write.key);
            let mut keys = read.chain(written);
            match facts.is_complete(txn) {
                true => keys.any(|key| *before.entry(key).or_insert(txn) != txn),
                false => keys.any(|key| before.contains_key(&key)),
            }
        })
    })
}

/// The last read and the last write of a key by a session: the version, and the transaction that did it.
#[derive(Clone, Copy, Default)]
struct Last {
    read: Option<(Place, Txn)>,
    write: Option<(Place, Txn)>,
}

/// All steps, by session. That each goes from the *last* read and write is enough: the ones before follow.
fn steps(facts: &Facts<'_, '_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut last: FxHashMap<Key, Last> = FxHashMap::default();
    for session in facts.sessions() {
        last.clear();
        for txn in session {
            let mut step = |guarantee, key, before: Option<(Place, Txn)>, to| {
                if let Some((from, before)) = before.filter(|(from, _)| *from != to) {
                    steps.push(Step {
                        guarantee,
                        key,
                        from,
                        to,
                        before,
                        after: txn,
                    });
                }
            };
            // External reads of a key come before the transaction's own writes of it.
            for read in facts.reads(txn) {
                let last = last.entry(read.key).or_default();
                let version = if read.writer == INITIAL {
                    INITIAL
                } else {
                    read.source
                };
                step(Guarantee::ReadYourWrites, read.key, last.write, version);
                step(Guarantee::MonotonicReads, read.key, last.read, version);
                // Everything comes after the initial version.
                last.read = (version != INITIAL).then_some((version, txn));
            }
            for write in facts.writes(txn) {
                let last = last.entry(write.key).or_default();
                step(
                    Guarantee::MonotonicWrites,
                    write.key,
                    last.write,
                    write.place,
                );
                step(
                    Guarantee::WritesFollowReads,
                    write.key,
                    last.read,
                    write.place,
                );
                if facts.is_complete(txn) {
                    last.write = Some((write.place, txn));
                }
            }
        }
    }
    steps
}

/// Whether a list's order of versions contradicts the step. Of two versions that nobody saw the order is open.
fn goes_back(facts: &Facts<'_, '_>, step: &Step) -> bool {
    if step.to == INITIAL {
        return true;
    }
    facts.rank[step.from as usize] > facts.rank[step.to as usize]
}

/// The anomaly's name.
fn kind(steps: &[Step]) -> &'static str {
    let first = steps.iter().map(|step| step.guarantee).min();
    first.map_or(NAME, Guarantee::name)
}

fn anomaly(facts: &Facts<'_, '_>, steps: &[Step]) -> Anomaly {
    let mut members: Vec<Txn> = Vec::new();
    let mut place = |txn: Txn| match members.iter().position(|member| *member == txn) {
        Some(place) => place,
        None => {
            members.push(txn);
            members.len() - 1
        }
    };
    let key = steps[0].key;
    let key_text = facts.txns.key_text(key);
    let mut clauses = Vec::new();
    let mut shown = Vec::new();
    for step in steps {
        let (before, after) = (place(step.before), place(step.after));
        let verb = |writes: bool| if writes { "wrote" } else { "read" };
        let writes_first = matches!(
            step.guarantee,
            Guarantee::ReadYourWrites | Guarantee::MonotonicWrites
        );
        let writes_then = matches!(
            step.guarantee,
            Guarantee::MonotonicWrites | Guarantee::WritesFollowReads
        );
        let process =
            serde_json::to_string(facts.txns.operation(step.after).process()).unwrap_or_default();
        clauses.push(format!(
            "process {process} {} {} (T{}) and then {} {} (T{})",
            verb(writes_first),
            version(facts, step.from),
            before + 1,
            verb(writes_then),
            version(facts, step.to),
            after + 1,
        ));
        shown.push(json!({
            "guarantee": step.guarantee.name(),
            "before": before,
            "after": after,
            "key": facts.txns.key(key),
        }));
    }
    let why = match (facts.txns.shape, steps) {
        (_, [step]) if step.to == INITIAL => "nothing is older than the state before all writes",
        (Shape::Lists, _) => "the lists that were read show the second before the first",
        (Shape::Registers, _) => "each is newer than the one before it: a cycle",
    };
    let text = format!("key {key_text}: {}; {why}", clauses.join("; "));
    let operations = members
        .iter()
        .map(|txn| describe::operation(facts.txns.operation(*txn)));
    Anomaly {
        kind: kind(steps).to_owned(),
        checker: NAME.to_owned(),
        summary: text.clone(),
        witness: json!({
            "operations": operations.collect::<Vec<Value>>(),
            "steps": shown,
            "key": facts.txns.key(key),
            "text": text,
        }),
    }
}

fn version(facts: &Facts<'_, '_>, write: Place) -> String {
    if write == INITIAL {
        return "the state before all writes".to_owned();
    }
    match facts.txns.micros[write as usize].act {
        crate::txn::input::Act::Write(token) => facts.txns.element(token).to_string(),
        _ => "its version".to_owned(),
    }
}
