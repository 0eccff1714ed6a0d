//! Transactional isolation: which consistency models a history of transactions breaks, and the cycle that shows it.
//!
//! The way through: `input` makes columns of a history; `list_append` finds each key's version order, the anomalies that one key
//! shows by itself (`direct`), and who precedes whom; `graph` holds that with the order of processes and of real time; `search`
//! finds a shortest cycle of each of the `kinds`; `explain` says why; [`consistency`] says which models that rules out, and `asked`
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
mod relation;
mod search;

use crate::history::History;
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding};
use asked::Asked;
use checker::Judgement;
use direct::Facts;
use explain::Explainer;
use input::{ByKey, Key, Shape, Txns};
use rayon::prelude::*;

/// Histories of fewer micro-operations are not worth waking other threads for.
const SMALL: usize = 1 << 15;

/// Transactions that append to lists and read them.
pub struct ListAppend {
    consistency: Vec<String>,
}

impl ListAppend {
    /// With the consistency models that must hold.
    pub fn new(parameters: &Parameters) -> ListAppend {
        ListAppend {
            consistency: parameters.consistency.clone(),
        }
    }

    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, String> {
        let asked = Asked::new(&self.consistency)?;
        let txns = some_transactions(history, Shape::Lists)?;
        let by_key = txns.by_key();
        let facts = each_key(&txns, &by_key, list_append::judge_key)?;
        let judgement = Judgement {
            checker: self.name(),
            txns: &txns,
            asked: &asked,
        };
        let anomalies = judgement.look(facts, budget);
        let reasons = list_append::Reasons::new(&txns, &by_key);
        Ok(judgement.finding(anomalies, &mut Explainer::new(&txns, reasons)))
    }
}

impl Checker for ListAppend {
    fn name(&self) -> &'static str {
        "list-append"
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.judge(history, budget)
            .unwrap_or_else(|text| Finding::unknown(self.name(), text))
    }
}

fn some_transactions(history: &History, shape: Shape) -> Result<Txns<'_>, String> {
    let txns = Txns::read(history, shape)?;
    if txns.len() == 0 {
        return Err("the history has no transactions: nothing was tested".to_owned());
    }
    Ok(txns)
}

/// Judges all keys, in parallel where that is worth it; what comes out is in the order of the keys.
fn each_key<'t>(
    txns: &'t Txns<'t>,
    by_key: &ByKey,
    judge: impl Fn(&'t Txns<'t>, Key, &[u32]) -> Result<Facts, String> + Sync,
) -> Result<Vec<Facts>, String> {
    let keys = 0..txns.keys() as Key;
    let judge = |key: Key| judge(txns, key, by_key.of(key));
    if txns.micros.len() < SMALL {
        return keys.map(judge).collect();
    }
    let all: Vec<Result<Facts, String>> = keys.into_par_iter().map(judge).collect();
    all.into_iter().collect()
}
