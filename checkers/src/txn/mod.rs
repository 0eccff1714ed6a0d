//! Transactional isolation: which consistency models a history of transactions breaks, and the cycle that shows it.
//!
//! The way through: `input` makes columns of a history; `list_append` and `rw_register` find each key's version order, the anomalies that one key
//! shows by itself (`direct`), and who precedes whom; `graph` holds that with the order of processes and of real time; `search`
//! finds a shortest cycle of each of the `kinds`; `weaker` and `prefix` find what it does not tell from others; `explain` says why;
//! [`consistency`] says which models that rules out, and `asked`
//! which of them were to hold.
//!
//! ```
//! use keelhaul_checkers::{Budget, History, Parameters, Verdict, by_name};
//!
//! let lines = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"txn","value":[["r","x",null],["append","y",1]]}
//! {"index":1,"time":1,"process":1,"type":"invoke","f":"txn","value":[["r","y",null],["append","x",2]]}
//! {"index":2,"time":2,"process":0,"type":"ok","f":"txn","value":[["r","x",[]],["append","y",1]]}
//! {"index":3,"time":3,"process":1,"type":"ok","f":"txn","value":[["r","y",[]],["append","x",2]]}
//! "#;
//! let (history, _) = History::read(lines.as_bytes())?;
//! let budget = Budget { states: 1_000_000, bytes: 64 << 20, deadline: None };
//! let judge = |model: &str| {
//!     let parameters = Parameters { consistency: vec![model.to_owned()], ..Parameters::default() };
//!     by_name("list-append", &parameters).expect("it is in the list").check(&history, &budget)
//! };
//! // Write skew: each did not see the other one's append.
//! let Verdict::Invalid(anomalies) = judge("serializable").verdict else { panic!("it is not serializable") };
//! assert_eq!(anomalies[0].kind, "G2-item");
//! // Snapshot isolation allows it: told, but no anomaly under what was asked.
//! let under_snapshots = judge("snapshot-isolation");
//! assert_eq!(under_snapshots.verdict, Verdict::Valid);
//! assert_eq!(under_snapshots.outside_contract[0].kind, "G2-item");
//! # Ok::<(), keelhaul_checkers::HistoryError>(())
//! ```

mod asked;
mod checker;
pub(crate) mod components;
pub mod consistency;
mod direct;
mod explain;
mod graph;
pub(crate) mod input;
mod kinds;
mod list_append;
mod order;
mod prefix;
mod relation;
mod rw_register;
mod search;
mod versions;
mod weaker;

use crate::history::History;
use crate::limits::{Limits, Stop};
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Misfit, Verdict};
use asked::Asked;
use checker::Judgement;
use consistency::{Ruled, rule_out};
use direct::Facts;
use explain::Explainer;
use input::{ByKey, Key, NULL, Shape, Txns};
use rayon::prelude::*;
use rw_register::Grounds;
use serde_json::Value;
use versions::Source;

/// Histories of fewer micro-operations are not worth waking other threads for.
const SMALL: usize = 1 << 15;

/// Transactions that append to lists and read them.
pub struct ListAppend {
    consistency: Vec<String>,
    initial: Option<Value>,
}

impl ListAppend {
    /// With the consistency models that must hold, and the list that every key begins with.
    pub fn new(parameters: &Parameters) -> ListAppend {
        ListAppend {
            consistency: parameters.consistency.clone(),
            initial: parameters.initial.clone(),
        }
    }

    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, Misfit> {
        let asked = Asked::new(&self.consistency)?;
        let limits = Limits::of(budget);
        let txns = some_transactions(history, Shape::Lists, self.initial.as_ref(), &limits)?;
        let by_key = txns.by_key();
        let inferred = each_key(&txns, &by_key, &limits, |key, places| {
            list_append::judge_key(&txns, key, places)
        })?;
        let judgement = Judgement {
            checker: self.name(),
            txns: &txns,
            asked: &asked,
            initial: NULL,
        };
        let anomalies = judgement.look(inferred, budget);
        let reasons = list_append::Reasons::new(&txns, &by_key);
        Ok(judgement.finding(anomalies, &mut Explainer::new(&txns, reasons)))
    }
}

impl Checker for ListAppend {
    fn name(&self) -> &'static str {
        "list-append"
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        if let Some(initial) = self.initial.as_ref()
            && !matches!(initial, Value::Null | Value::Array(_))
        {
            let text = format!("a list begins as a list, not as {initial}");
            return Finding::misfit_initial(self.name(), text);
        }
        self.judge(history, budget)
            .unwrap_or_else(|misfit| Finding::misfit(self.name(), misfit))
    }
}

/// Transactions that write registers and read them.
pub struct RwRegister {
    consistency: Vec<String>,
    assume: Vec<String>,
    initial: Option<Value>,
}

impl RwRegister {
    /// With the consistency models that must hold, what may be assumed of the order of versions, and the value that every key begins
    /// with.
    pub fn new(parameters: &Parameters) -> RwRegister {
        RwRegister {
            consistency: parameters.consistency.clone(),
            assume: parameters.assume.clone(),
            initial: parameters.initial.clone(),
        }
    }

    /// First with what was said to be assumed, or nothing. If nothing was said, then once more with what the models that must hold imply
    /// themselves for the order of versions: what contradicts that breaks them, and no other model.
    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, Misfit> {
        let asked = Asked::new(&self.consistency)?;
        let limits = Limits::of(budget);
        let txns = some_transactions(history, Shape::Registers, self.initial.as_ref(), &limits)?;
        let by_key = txns.by_key();
        let said = assumptions(&self.assume)?;
        let says_nothing = self.assume.iter().all(|name| name == FRAGMENT);
        let mut finding = self.under(&said, &asked, &txns, &by_key, budget)?;
        finding.details["assumed"] = names(&said);
        let (implied, strongest) = implied(&asked);
        if says_nothing && !implied.is_empty() {
            let second = self.under(&implied, &strongest, &txns, &by_key, budget)?;
            if strongest == asked && second.verdict == Verdict::Valid {
                finding.details["caveat"] = second.details["caveat"].clone();
            }
            add_implied(&mut finding, second, &strongest);
            finding.details["implied"] = names(&implied);
        }
        let rests_on_it = finding.verdict == Verdict::Valid && !finding.details["caveat"].is_null();
        if let Some(details) = finding.details.as_object_mut().filter(|_| !rests_on_it) {
            details.remove("caveat");
        }
        Ok(finding)
    }

    fn under(
        &self,
        sources: &[Source],
        asked: &Asked,
        txns: &Txns<'_>,
        by_key: &ByKey,
        budget: &Budget,
    ) -> Result<Finding, String> {
        let initial = txns.token_of(self.initial.as_ref().unwrap_or(&Value::Null));
        let grounds = Grounds {
            sources: sources.to_vec(),
            initial,
            happened: rw_register::happened(txns, initial),
            initial_is_known: self.initial.is_some()
                || !self.assume.iter().any(|name| name == FRAGMENT),
        };
        let inferred = each_key(txns, by_key, &Limits::of(budget), |key, places| {
            rw_register::judge_key(txns, &grounds, key, places)
        })?;
        let judgement = Judgement {
            checker: self.name(),
            txns,
            asked,
            initial: grounds.initial,
        };
        let anomalies = judgement.look(inferred, budget);
        let reasons = rw_register::Reasons::new(txns, by_key, &grounds);
        Ok(judgement.finding(anomalies, &mut Explainer::new(txns, reasons)))
    }
}

impl Checker for RwRegister {
    fn name(&self) -> &'static str {
        "rw-register"
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.judge(history, budget)
            .unwrap_or_else(|misfit| Finding::misfit(self.name(), misfit))
    }
}

/// Adds what was found only by taking for granted what these models imply.
fn add_implied(finding: &mut Finding, second: Finding, models: &Asked) {
    let known = finding.details["anomalies"].clone();
    let anomalies = match second.verdict {
        Verdict::Valid => return,
        Verdict::Unknown(_) => {
            if finding.verdict == Verdict::Valid {
                finding.verdict = second.verdict;
            }
            return;
        }
        Verdict::Invalid(anomalies) => anomalies,
    };
    let mut new = anomalies;
    new.retain(|anomaly| known.get(&anomaly.kind).is_none());
    if new.is_empty() {
        return;
    }
    for anomaly in &mut new {
        models.confine(anomaly);
        finding.details["anomalies"][&anomaly.kind] =
            second.details["anomalies"][&anomaly.kind].clone();
    }
    let before = rule_out(
        known
            .as_object()
            .into_iter()
            .flatten()
            .map(|(kind, _)| &kind[..]),
    );
    Ruled::by(before.all().chain(models.broken().all())).tell(&mut finding.details);
    match &mut finding.verdict {
        Verdict::Invalid(told) => told.append(&mut new),
        verdict => *verdict = Verdict::Invalid(new),
    }
}

/// That the history may be a part of a longer one, so that its beginning is not known.
const FRAGMENT: &str = "fragment";

/// What `rw-register` can be told to take for granted, by name ([`Parameters::assume`]): beside `none`.
pub fn can_be_assumed() -> impl Iterator<Item = &'static str> {
    let orders = Source::ASSUMPTIONS.iter().map(|row| row.0);
    orders.chain([FRAGMENT])
}

/// What was said to be assumed.
fn assumptions(names: &[String]) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for name in names
        .iter()
        .filter(|name| *name != "none" && *name != FRAGMENT)
    {
        let known = Source::ASSUMPTIONS.iter().find(|(known, ..)| known == name);
        match known {
            Some((_, source, _)) => sources.push(*source),
            None => {
                let known: Vec<&str> = can_be_assumed().collect();
                return Err(format!(
                    "{name} is nothing that can be assumed; that is {} or none",
                    known.join(", ")
                ));
            }
        }
    }
    sources.sort_unstable();
    sources.dedup();
    Ok(sources)
}

/// What the strongest of the asked models imply for the order of versions, and which of them do.
fn implied(asked: &Asked) -> (Vec<Source>, Asked) {
    let mut sources = Vec::new();
    let mut strongest = asked.clone();
    for (_, source, model) in Source::ASSUMPTIONS {
        let above = asked.at_least(model);
        if !above.is_empty() {
            sources.push(source);
            strongest = above;
        }
    }
    (sources, strongest)
}

fn names(sources: &[Source]) -> Value {
    let rows = Source::ASSUMPTIONS.iter();
    let named = rows.filter(|(_, source, _)| sources.contains(source));
    named.map(|(name, ..)| *name).collect()
}

fn some_transactions<'h>(
    history: &'h History,
    shape: Shape,
    initial: Option<&Value>,
    limits: &Limits,
) -> Result<Txns<'h>, Misfit> {
    let txns = Txns::read(history, shape, initial, limits)?;
    if txns.len() == 0 {
        let text = "the history has no transactions: nothing was tested";
        return Err(text.to_owned().into());
    }
    Ok(txns)
}

/// What the keys tell, and what stopped it before all were judged.
struct Inferred {
    facts: Vec<Facts>,
    stopped: Option<Stop>,
}

/// Judges all keys, in parallel where that is worth it; what comes out is in the order of the keys.
fn each_key(
    txns: &Txns<'_>,
    by_key: &ByKey,
    limits: &Limits,
    judge: impl Fn(Key, &[u32]) -> Result<Facts, String> + Sync,
) -> Result<Inferred, String> {
    let all = txns.keys();
    let judge = |key: Key| match limits.is_late() {
        true => None,
        false => Some(judge(key, by_key.of(key))),
    };
    let keys = 0..all as Key;
    let judged: Vec<Option<Result<Facts, String>>> = match txns.micros.len() < SMALL {
        true => keys.map(judge).collect(),
        false => keys.into_par_iter().map(judge).collect(),
    };
    let facts = judged.into_iter().flatten();
    let facts = facts.collect::<Result<Vec<Facts>, String>>()?;
    let stopped = (facts.len() < all).then(|| {
        Stop::Late(format!(
            "the inference of who precedes whom ({} of {all} keys)",
            facts.len()
        ))
    });
    Ok(Inferred { facts, stopped })
}
