//! From a history to a finding: what both models of this room have in common.

use super::Inferred;
use super::asked::Asked;
use super::consistency::{Model, Ruled, all_implied, known_anomaly, rule_out};
use super::direct::{Direct, Facts};
use super::explain::Explainer;
use super::graph::{Edge, Graph, Hub, Span, Txn};
use super::input::{Outcome, Shape, Token, Txns};
use super::kinds::Variant;
use super::order;
use super::search::{Cycle, Found, Work, cycles};
use super::weaker::{self, Weaker};
use crate::limits::{Limits, Stop};
use crate::verdict::{Anomaly, Budget, Finding, Reason, Verdict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Anomalies of one kind that are told in full; the details count all.
const MOST_TOLD: usize = 8;

/// A judgement of one history's transactions.
pub(crate) struct Judgement<'t> {
    pub(crate) checker: &'static str,
    pub(crate) txns: &'t Txns<'t>,
    pub(crate) asked: &'t Asked,
    /// The value that every register begins with.
    pub(crate) initial: Token,
}

/// What was found in a history.
pub(crate) struct Anomalies {
    directs: Vec<Direct>,
    found: Found,
    weaker: Weaker,
    details: Value,
    /// Whether no transaction precedes another one, as far as it was asked for.
    nothing: bool,
    /// What stopped it before all was looked at.
    stopped: Option<Stop>,
    /// How much has no known order: [`Facts::unordered()`].
    unordered: usize,
}

impl Judgement<'_> {
    /// Looks for all anomalies, given what each key tells.
    pub(crate) fn look(&self, inferred: Inferred, budget: &Budget) -> Anomalies {
        let txns = self.txns;
        let mut stopped = inferred.stopped.or(self.has_room(&inferred.facts, budget));
        let mut facts = inferred.facts;
        let happened = self.happened(&facts);
        let unordered = facts.iter().map(|facts| facts.unordered(&happened)).sum();
        if stopped.is_some() {
            // What single keys show stands by itself; cycles need all of them.
            let directs = facts.into_iter().map(|facts| Facts {
                directs: facts.directs,
                ..Facts::default()
            });
            facts = directs.collect();
        }
        let (graph, mut directs) = self.graph(facts, &happened);
        if !self.asked.is_open_for("G-cursor") {
            // It shows as a cycle too, with more to see.
            directs.retain(|direct| direct.what.kind() != "G-cursor");
        }
        let mut work = Work::new(budget);
        let found = match stopped {
            Some(_) => Found::default(),
            None => cycles(&graph, &mut work),
        };
        if work.late {
            stopped = Some(Stop::Late(format!(
                "the search for cycles among {} transactions ({} cyclic components, the largest of {})",
                txns.len(),
                found.components,
                found.largest
            )));
        }
        let weaker = match stopped {
            Some(_) => Weaker::default(),
            None => weaker::look(
                self.checker,
                txns,
                self.initial,
                self.asked,
                (&graph, &directs, &found),
                &Limits::of(budget),
            ),
        };
        let count = |outcome| {
            (0..txns.len() as Txn)
                .filter(|txn| txns.is(*txn, outcome))
                .count()
        };
        let [ww, wr, rw, process] = graph.counts;
        let orders = (self.asked.needs(Variant::Process) && process > 0)
            || (self.asked.needs(Variant::Realtime) && !graph.is_empty());
        Anomalies {
            details: json!({
                "transactions": {
                    "ok": count(Outcome::Ok),
                    "info": count(Outcome::Info),
                    "fail": count(Outcome::Fail),
                },
                "micro_operations": txns.micros.len(),
                "keys": txns.keys(),
                "edges": { "ww": ww, "wr": wr, "rw": rw, "process": process },
                "cyclic_components": found.components,
                "largest_component": found.largest,
                "visited": work.visited,
            }),
            nothing: ww + wr + rw == 0 && !orders,
            stopped,
            directs,
            found,
            weaker,
            unordered,
        }
    }

    /// Why the graph is not made, if it would be too large, or too late.
    fn has_room(&self, facts: &[Facts], budget: &Budget) -> Option<Stop> {
        let edges = facts.iter().map(|facts| facts.edges.len()).sum::<usize>();
        // Each edge as it was found, as it was gathered, and in the rows of the graph; each transaction in these, in the barriers,
        // and in the search for components.
        let bytes = edges * (2 * size_of::<Edge>() + size_of::<u32>())
            + self.txns.len() * (size_of::<Span>() + size_of::<Edge>() + size_of::<[u32; 8]>());
        let held = self.txns.bytes() + bytes;
        let during = format!("the graph of {} transactions", self.txns.len());
        Limits::of(budget).hold(held, &during).err()
    }

    /// Which transactions took effect. An indeterminate one of which nothing was seen may not have happened.
    fn happened(&self, facts: &[Facts]) -> Vec<bool> {
        let outcomes = self.txns.outcome.iter();
        let mut happened: Vec<bool> = outcomes.map(|one| *one == Outcome::Ok).collect();
        for txn in facts.iter().flat_map(|facts| &facts.happened) {
            happened[*txn as usize] = true;
        }
        happened
    }

    fn graph(&self, facts: Vec<Facts>, happened: &[bool]) -> (Graph, Vec<Direct>) {
        let txns = self.txns;
        // No cycle may go through a transaction that may not have happened.
        let counts = |txn: &Txn| happened[*txn as usize];
        let total = facts.iter().map(|facts| facts.edges.len()).sum::<usize>();
        let mut edges: Vec<Edge> = Vec::with_capacity(total + txns.len());
        let mut hubs: Vec<Hub> = Vec::new();
        let mut directs = Vec::new();
        for mut facts in facts {
            let both = |edge: &&Edge| counts(&edge.from) && counts(&edge.to);
            edges.extend(facts.edges.iter().filter(both));
            directs.append(&mut facts.directs);
            if let Some(mut hub) = facts.hub {
                hub.after.retain(counts);
                hubs.extend(hub.expand(&mut edges));
            }
        }
        order::processes(txns, &mut edges);
        let graph = Graph::new(txns.spans.clone(), edges, hubs, true);
        (graph, directs)
    }

    /// What was found, as a finding.
    pub(crate) fn finding(&self, anomalies: Anomalies, explainer: &mut Explainer<'_>) -> Finding {
        let mut by_kind: BTreeMap<&'static str, Vec<Shown<'_>>> = BTreeMap::new();
        let weaker = &anomalies.weaker;
        for cycle in anomalies.found.cycles.iter().chain(&weaker.cycles) {
            by_kind
                .entry(cycle.kind)
                .or_default()
                .push(Shown::Cycle(cycle));
        }
        for direct in &anomalies.directs {
            let shown = by_kind.entry(direct.what.kind()).or_default();
            shown.push(Shown::Direct(direct));
        }
        for anomaly in &weaker.anomalies {
            if let Some(kind) = known_anomaly(&anomaly.kind) {
                by_kind
                    .entry(kind)
                    .or_default()
                    .push(Shown::Worded(anomaly));
            }
        }
        let ruled = rule_out(by_kind.keys().copied());
        let mut details = anomalies.details.clone();
        details["asked"] = json!(self.asked.names());
        details["anomalies"] = by_kind
            .iter()
            .map(|(kind, all)| (*kind, all.len()))
            .collect();
        ruled.tell(&mut details);
        let mut finding = Finding {
            verdict: Verdict::Valid,
            outside_contract: Vec::new(),
            details,
        };
        let mut broken = all_implied(by_kind.keys().copied());
        broken.extend(ruled.all().map(Model::name));
        let mut forbidden = Vec::new();
        for (kind, shown) in worst_first(by_kind) {
            let is_forbidden = self.asked.forbids(kind);
            for one in shown.iter().take(MOST_TOLD) {
                let anomaly = self.anomaly(kind, one, is_forbidden, explainer);
                match is_forbidden {
                    true => forbidden.push(anomaly),
                    false => finding.outside_contract.push(anomaly),
                }
            }
        }
        let reasons = match &anomalies.stopped {
            Some(stop) => vec![Reason {
                checker: self.checker.to_owned(),
                text: stop.to_string(),
            }],
            None => self.reasons(&anomalies, &broken),
        };
        finding.verdict = Verdict::of(forbidden, reasons);
        if finding.verdict == Verdict::Valid
            && let Some(caveat) = self.caveat(anomalies.unordered)
        {
            finding.details["caveat"] = json!(caveat);
        }
        finding
    }

    /// What a verdict of valid rests on, if the history does not tell all orders of versions.
    fn caveat(&self, unordered: usize) -> Option<String> {
        match (self.txns.shape, unordered) {
            (_, 0) => None,
            // Appends that nobody read change nothing for these: any order of them will do.
            (Shape::Lists, _) if self.asked.is_serializability() => None,
            (Shape::Lists, count) => Some(format!(
                "{count} appends were never read, beside others of their key: cycles that hang on their order are not seen"
            )),
            (Shape::Registers, count) => Some(format!(
                "the order of {count} key{} values is not known in full: cycles that hang on it are not seen",
                if count == 1 { "'s" } else { "s'" }
            )),
        }
    }

    fn reasons(&self, anomalies: &Anomalies, broken: &BTreeSet<&'static str>) -> Vec<Reason> {
        let mut texts = Vec::new();
        let found = &anomalies.found;
        if anomalies.nothing {
            texts.push("no transaction precedes another one: nothing was tested".to_owned());
        }
        let open = found
            .unsearched
            .iter()
            .filter(|kind| self.asked.forbids(kind));
        let open: Vec<&str> = open.copied().collect();
        if !open.is_empty() {
            texts.push(format!(
                "the budget of states was used up before {} could be excluded: raise it",
                open.join(", ")
            ));
        }
        texts.extend(anomalies.weaker.undecided(self.asked, broken));
        let reason = |text| Reason {
            checker: self.checker.to_owned(),
            text,
        };
        texts.into_iter().map(reason).collect()
    }

    fn anomaly(
        &self,
        kind: &'static str,
        shown: &Shown<'_>,
        is_forbidden: bool,
        explainer: &mut Explainer<'_>,
    ) -> Anomaly {
        let (summary, mut witness) = match shown {
            Shown::Cycle(cycle) => explainer.cycle(cycle),
            Shown::Direct(direct) => explainer.direct(direct),
            Shown::Worded(anomaly) => (
                anomaly.summary.trim_end_matches('.').to_owned(),
                anomaly.witness.clone(),
            ),
        };
        let ruled = rule_out([kind]);
        ruled.tell(&mut witness);
        let open = self.asked.open_to(kind).join(", ");
        let summary = match is_forbidden {
            true => format!("{summary}; this rules out {}", list(&ruled.not)),
            false if !open.is_empty() => format!(
                "{summary}; found, but {open} forbids such cycles in some cases only: by itself it rules out {}",
                list(&ruled.not)
            ),
            false => format!(
                "{summary}; found, but not forbidden by {}: it rules out {}",
                self.asked.names().join(", "),
                list(&ruled.not)
            ),
        };
        Anomaly {
            kind: kind.to_owned(),
            checker: self.checker.to_owned(),
            summary,
            witness,
        }
    }
}

enum Shown<'a> {
    Cycle(&'a Cycle),
    Direct(&'a Direct),
    Worded(&'a Anomaly),
}

impl Ruled {
    /// As `not` and `also_not`.
    pub(crate) fn tell(&self, shown: &mut Value) {
        let names = |models: &[Model]| models.iter().map(|model| model.name()).collect::<Value>();
        shown["not"] = names(&self.not);
        shown["also_not"] = names(&self.also_not);
    }
}

fn list(models: &[Model]) -> String {
    let names: Vec<&str> = models.iter().map(|model| model.name()).collect();
    names.join(" and ")
}

fn strength(ruled: &Ruled) -> usize {
    ruled.not.len() + ruled.also_not.len()
}

/// What rules out most comes first.
fn worst_first<T>(by_kind: BTreeMap<&'static str, T>) -> Vec<(&'static str, T)> {
    let mut kinds: Vec<(&'static str, T)> = by_kind.into_iter().collect();
    kinds.sort_by_key(|(kind, _)| std::cmp::Reverse(strength(&rule_out([*kind]))));
    kinds
}
