//! From a history to a finding: what both models of this room have in common.

use super::Inferred;
use super::asked::Asked;
use super::consistency::{Model, Ruled, rule_out};
use super::direct::{Direct, Facts};
use super::explain::Explainer;
use super::graph::{Edge, Graph, Hub, Span, Txn};
use super::input::{Outcome, Txns};
use super::kinds::Variant;
use super::order;
use super::search::{Cycle, Found, Work, cycles};
use crate::limits::{Limits, Stop};
use crate::verdict::{Anomaly, Budget, Finding, Reason, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Anomalies of one kind that are told in full; the details count all.
const MOST_TOLD: usize = 8;

/// A judgement of one history's transactions.
pub(crate) struct Judgement<'t> {
    pub(crate) checker: &'static str,
    pub(crate) txns: &'t Txns<'t>,
    pub(crate) asked: &'t Asked,
}

/// What was found in a history.
pub(crate) struct Anomalies {
    directs: Vec<Direct>,
    found: Found,
    details: Value,
    /// Whether no transaction precedes another one, as far as it was asked for.
    nothing: bool,
    /// What stopped it before all was looked at.
    stopped: Option<Stop>,
}

impl Judgement<'_> {
    /// Looks for all anomalies, given what each key tells.
    pub(crate) fn look(&self, inferred: Inferred, budget: &Budget) -> Anomalies {
        let txns = self.txns;
        let mut stopped = inferred.stopped.or(self.has_room(&inferred.facts, budget));
        let mut facts = inferred.facts;
        if stopped.is_some() {
            // What single keys show stands by itself; cycles need all of them.
            let directs = facts.into_iter().map(|facts| Facts {
                directs: facts.directs,
                ..Facts::default()
            });
            facts = directs.collect();
        }
        let (graph, directs) = self.graph(facts);
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

    fn graph(&self, facts: Vec<Facts>) -> (Graph, Vec<Direct>) {
        let txns = self.txns;
        // An indeterminate transaction of which nothing was seen may not have happened: no cycle may go through it.
        let mut counts: Vec<bool> = txns.outcome.iter().map(|o| *o == Outcome::Ok).collect();
        for txn in facts.iter().flat_map(|facts| &facts.happened) {
            counts[*txn as usize] = true;
        }
        let counts = |txn: &Txn| counts[*txn as usize];
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
        for cycle in &anomalies.found.cycles {
            by_kind
                .entry(cycle.kind)
                .or_default()
                .push(Shown::Cycle(cycle));
        }
        for direct in &anomalies.directs {
            let shown = by_kind.entry(direct.what.kind()).or_default();
            shown.push(Shown::Direct(direct));
        }
        let ruled = rule_out(by_kind.keys().copied());
        let mut details = anomalies.details;
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
        let reasons = match anomalies.stopped {
            Some(stop) => vec![Reason {
                checker: self.checker.to_owned(),
                text: stop.to_string(),
            }],
            None => self.reasons(&anomalies.found, anomalies.nothing),
        };
        finding.verdict = Verdict::of(forbidden, reasons);
        finding
    }

    fn reasons(&self, found: &Found, nothing: bool) -> Vec<Reason> {
        let mut texts = Vec::new();
        if nothing {
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
        };
        let ruled = rule_out([kind]);
        ruled.tell(&mut witness);
        let summary = match is_forbidden {
            true => format!("{summary}; this rules out {}", list(&ruled.not)),
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
