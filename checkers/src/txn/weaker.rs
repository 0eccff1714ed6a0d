//! What must hold and forbids some cases only of an anomaly: looks for those cases.
//!
//! Read atomic forbids a cycle with one anti-dependency (G-single) only if it has no more than one other step, causal only if
//! all others are reads, prefix only if a read stands in front of it, and so on ([`super::consistency`] has the list). Cycles are
//! looked for one of each shape, a shortest one, so that the one found may be of the harmless sort and hide another. Hence, if any such
//! model must hold: [`crate::weak`] decides monotonic atomic view, read atomic and causal, `prefix` prefix; the rest is taken from
//! the cycles that were found, and where those are not enough the model is not decided.

use super::asked::Asked;
use super::consistency::all_implied;
use super::direct::Direct;
use super::graph::Graph;
use super::input::{Act, Shape, Token, Txns};
use super::prefix;
use super::relation::Relations;
use super::search::{Cycle, Found};
use crate::limits::Limits;
use crate::verdict::Anomaly;
use crate::weak::{Level, without_sessions};
use std::collections::BTreeSet;

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Weaker {
    /// Cycles by what they are a case of.
    pub(crate) cycles: Vec<Cycle>,
    /// Others, worded already.
    pub(crate) anomalies: Vec<Anomaly>,
    /// Anomalies of which all cases were found, or those that were not excluded.
    wide: BTreeSet<&'static str>,
    /// Cases that would have been found.
    searched: BTreeSet<&'static str>,
    stopped: Option<String>,
}

/// Looks for the cases that matter to what must hold.
pub(crate) fn look(
    checker: &str,
    txns: &Txns<'_>,
    initial: Token,
    asked: &Asked,
    (graph, directs, found): (&Graph, &[Direct], &Found),
    limits: &Limits,
) -> Weaker {
    let mut weaker = Weaker::default();
    if !asked.has_open() {
        return weaker;
    }
    let cycles = found.cycles.iter().map(|cycle| cycle.kind);
    let directs = directs.iter().map(|direct| direct.what.kind());
    let unsearched = found.unsearched.iter().copied();
    weaker.wide = all_implied(cycles.chain(directs).chain(unsearched));
    if txns.shape == Shape::Lists {
        // Whoever reads a list and appends to it shows what came between.
        weaker.searched.insert("G-cursor");
    }
    if weaker.wide.contains("G-nonadjacent-item") && asked.is_open_for(prefix::KIND) {
        weaker.cycles.extend(prefix::violations(graph));
        weaker.searched.insert(prefix::KIND);
    }
    let named = found.cycles.iter().filter_map(|cycle| case_of(txns, cycle));
    let named = named.filter(|cycle| asked.is_open_for(cycle.kind));
    weaker.cycles.extend(named);
    // Of registers the graph does not know all orders of versions; the levels try them all.
    if txns.shape == Shape::Registers || weaker.wide.contains("G-single-item") {
        let last = match asked.is_open_for("causality-violation") {
            true => Level::Causal,
            false => Level::ReadAtomic,
        };
        let levels = without_sessions(checker, txns, initial, last, limits);
        weaker.anomalies = levels.anomalies;
        weaker.searched.extend(levels.searched);
        weaker.stopped = levels.stopped;
        if weaker.stopped.is_some() {
            weaker.wide.insert("G-single-item");
        }
    }
    weaker
}

/// The cycle once more, under the name of the case that it is.
fn case_of(txns: &Txns<'_>, cycle: &Cycle) -> Option<Cycle> {
    let relations = || cycle.steps.iter().map(|step| step.relation);
    let reads_only = |txn: u32| {
        let mut micros = txns.micros_of(txn).iter();
        !micros.any(|micro| matches!(micro.act, Act::Write(_)))
    };
    let reading = cycle.steps.iter().filter(|step| reads_only(step.from));
    let readers = reading.count();
    let kind = match cycle.kind {
        "G-single-item" if cycle.steps.len() == 2 && relations().any(|r| r == Relations::WW) => {
            "conflict-not-seen"
        }
        "G2-item" | "G-nonadjacent-item" if readers <= 1 => "G-update",
        _ => return None,
    };
    Some(Cycle {
        kind,
        steps: cycle.steps.clone(),
    })
}

impl Weaker {
    /// What must hold and was not decided, a sentence each. `broken` says what does not hold.
    pub(crate) fn undecided(&self, asked: &Asked, broken: &BTreeSet<&'static str>) -> Vec<String> {
        let stopped = self.stopped.iter().map(|why| format!(": {why}"));
        let why = stopped.collect::<String>();
        let open = asked.open().into_iter().filter(|(name, open)| {
            let is_decided = !open.cases.is_empty()
                && open.cases.iter().all(|case| self.searched.contains(case));
            self.wide.contains(open.wide) && !is_decided && !broken.contains(name)
        });
        let say = |(name, open): (&'static str, super::consistency::Open)| {
            format!(
                "{name} is not decided: it forbids some cases of {} and allows others, and which are here was not found out{why}",
                open.wide
            )
        };
        open.map(say).collect()
    }
}
