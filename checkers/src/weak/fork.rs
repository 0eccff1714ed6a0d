//! Long forks: two reads that each see a write which the other one misses.

use super::nothing_tested;
use crate::describe;
use crate::history::History;
use crate::limits::Limits;
use crate::parameters::Parameters;
use crate::txn::input::{Act, Key, Outcome, Shape, Token, Txns};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Verdict};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

const NAME: &str = "long-fork";

/// More anomalies than this are not reported.
const MOST: usize = 8;

/// Judges whether reads fork.
///
/// Long forks: two reads that each see a write which the other one misses.
///
/// What it proves: under snapshot isolation, and under anything stronger, what two reads of the same keys see is one a part
/// of the other. What it cannot: see anything else. What it needs: every key is written once at most, and every key belongs
/// to one group, which reads show as a whole: `["r",0,null],["r",1,1],["r",2,null]`; else the answer is unknown. Sorted by how
/// much they see, each read of a group must see all that the one before sees: n log n.
///
/// `details`: `{"reads", "groups", "writes"}`. Anomalies: `long-fork`, `garbage-read`.
///
/// ```text
/// {"process":1,"type":"ok","f":"txn","value":[["r","x",1],["r","y",null]]}
/// {"process":2,"type":"ok","f":"txn","value":[["r","x",null],["r","y",1]]}
/// ```
#[derive(Debug, Clone, Default)]
pub struct LongFork {
    initial: Option<Value>,
}

/// A read of a whole group.
struct Read {
    txn: u32,
    group: u32,
    /// How many keys the group has.
    keys: usize,
    /// Which keys it sees written, by their place in the group.
    sees: Vec<u32>,
}

impl LongFork {
    /// With what every key begins with.
    pub fn new(parameters: &Parameters) -> LongFork {
        let initial = parameters.initial.clone();
        LongFork { initial }
    }

    fn judge(&self, history: &History, budget: &Budget) -> Result<Finding, Misfit> {
        let txns = Txns::read(history, Shape::Registers, None, &Limits::of(budget))?;
        if txns.len() == 0 {
            return Err(Misfit::from(
                "the history has no transactions: nothing was tested".to_owned(),
            ));
        }
        let initial = txns.token_of(self.initial.as_ref().unwrap_or(&Value::Null));
        let written = written(&txns, initial)?;
        let mut anomalies = Vec::new();
        let (mut reads, groups) = reads(&txns, initial, &written, &mut anomalies)?;
        reads.sort_by_key(|read| (read.group, read.sees.len(), read.txn));
        let mut compared = 0_u64;
        for pair in reads.windows(2) {
            let [less, more] = pair else { continue };
            if less.group != more.group {
                continue;
            }
            compared += u64::from(less.keys > 1);
            if anomalies.len() < MOST {
                anomalies.extend(forks(&txns, less, more));
            }
        }
        let nothing = (compared == 0)
            .then(|| nothing_tested(NAME, "no group of several keys was read twice"));
        let writes = written.iter().filter(|token| token.is_some()).count();
        Ok(Finding {
            verdict: Verdict::of(anomalies, nothing.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({ "reads": reads.len(), "groups": groups, "writes": writes }),
        })
    }
}

impl Checker for LongFork {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        self.judge(history, budget)
            .unwrap_or_else(|misfit| Finding::misfit(NAME, misfit))
    }
}

/// What was written to each key, if anything may have been.
fn written(txns: &Txns<'_>, initial: Token) -> Result<Vec<Option<Token>>, String> {
    let mut written: Vec<Option<Token>> = vec![None; txns.keys()];
    for micro in &txns.micros {
        let Act::Write(token) = micro.act else {
            continue;
        };
        if txns.is(micro.txn, Outcome::Fail) {
            continue;
        }
        if token == initial {
            let (value, key) = (txns.element(token), txns.key_text(micro.key));
            return Err(format!(
                "{value} is written to key {key}, which begins with it: who sees the write is then not known; write another value"
            ));
        }
        if written[micro.key as usize].replace(token).is_some() {
            let key = txns.key_text(micro.key);
            return Err(format!(
                "key {key} is written more than once: this model needs keys that are written once"
            ));
        }
    }
    Ok(written)
}

fn reads(
    txns: &Txns<'_>,
    initial: Token,
    written: &[Option<Token>],
    anomalies: &mut Vec<Anomaly>,
) -> Result<(Vec<Read>, usize), String> {
    let mut numbers: FxHashMap<Vec<Key>, u32> = FxHashMap::default();
    let mut group_of: Vec<Option<u32>> = vec![None; txns.keys()];
    let mut reads = Vec::new();
    for txn in 0..txns.len() as u32 {
        let mut seen: Vec<(Key, Token)> = Vec::new();
        for micro in txns.micros_of(txn) {
            match micro.act {
                Act::Read(token) => seen.push((micro.key, token)),
                Act::Write(_) | Act::ReadList(_) => {}
            }
        }
        if seen.is_empty() || seen.len() != txns.micros_of(txn).len() {
            continue;
        }
        seen.sort_unstable();
        seen.dedup_by_key(|(key, _)| *key);
        let keys: Vec<Key> = seen.iter().map(|(key, _)| *key).collect();
        let count = keys.len();
        let next = numbers.len() as u32;
        let group = *numbers.entry(keys).or_insert(next);
        let mut sees = Vec::new();
        for (place, (key, token)) in (0..).zip(&seen) {
            let known = group_of[*key as usize].get_or_insert(group);
            if *known != group {
                let key = txns.key_text(*key);
                return Err(format!(
                    "key {key} is read in two different groups: this model needs reads of whole groups"
                ));
            }
            match (*token, written[*key as usize]) {
                (token, _) if token == initial => {}
                (token, Some(value)) if token == value => sees.push(place),
                (token, _) if anomalies.len() < MOST => {
                    anomalies.push(garbage(txns, txn, *key, token))
                }
                _ => {}
            }
        }
        reads.push(Read {
            txn,
            group,
            keys: count,
            sees,
        });
    }
    Ok((reads, numbers.len()))
}

fn garbage(txns: &Txns<'_>, txn: u32, key: Key, token: Token) -> Anomaly {
    let (value, name) = (txns.element(token), txns.key_text(key));
    let text = format!("key {name}: T1 read {value}, and nobody wrote it");
    Anomaly {
        kind: "garbage-read".to_owned(),
        checker: NAME.to_owned(),
        summary: text.clone(),
        witness: json!({
            "operations": [describe::operation(txns.operation(txn))],
            "key": txns.key(key),
            "text": text,
        }),
    }
}

/// The anomaly that `less` sees a write that `more`, which sees as many or more, misses.
fn forks(txns: &Txns<'_>, less: &Read, more: &Read) -> Option<Anomaly> {
    let only = |one: &Read, other: &Read| {
        let place = one
            .sees
            .iter()
            .find(|place| other.sees.binary_search(place).is_err());
        place.map(|place| *place as usize)
    };
    let (x, y) = (only(less, more)?, only(more, less)?);
    // Reads of a group name its keys in the order of their numbers, once sorted.
    let mut keys: Vec<Key> = txns
        .micros_of(less.txn)
        .iter()
        .map(|micro| micro.key)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let (x, y) = (keys[x], keys[y]);
    let text = format!(
        "T1 saw the write of key {x} and not that of key {y}, T2 saw the write of key {y} and not that of key {x}: no order of the two writes explains both",
        x = txns.key_text(x),
        y = txns.key_text(y)
    );
    let operations = [less.txn, more.txn].map(|txn| describe::operation(txns.operation(txn)));
    Some(Anomaly {
        kind: NAME.to_owned(),
        checker: NAME.to_owned(),
        summary: text.clone(),
        witness: json!({ "operations": operations, "keys": [txns.key(x), txns.key(y)], "text": text }),
    })
}
