//! Small random histories of transactions, as some database might have produced them.

use keelhaul_checkers::{Event, Extra, History, Kind, Nanos, Process};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A micro-operation; reads tell what they saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Micro {
    Write(u8, u8),
    Read(u8, Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Info,
    Fail,
}

#[derive(Debug, Clone)]
pub struct Txn {
    pub process: u64,
    pub outcome: Outcome,
    pub invoked: usize,
    pub completed: usize,
    pub micros: Vec<Micro>,
}

impl Txn {
    /// Whether it certainly ended before the other one began.
    pub fn precedes(&self, other: &Txn) -> bool {
        self.outcome == Outcome::Ok && self.completed < other.invoked
    }
}

/// Whether reads tell lists of appended elements, or the last written value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Lists,
    Registers,
}

/// Which rules the database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    /// Each transaction at one instant between its invocation and its completion.
    Strict,
    /// Each at one instant, whenever.
    Serial,
    /// Reads from a snapshot, no lost updates.
    Snapshots,
    /// Micro-operation by micro-operation, mixed with those of others.
    Mixed,
}

/// How large histories get.
pub struct Size {
    pub txns: usize,
    pub micros: usize,
    pub keys: u8,
}

/// A random history: a random database, often with one observation changed.
pub fn random(rng: &mut impl Rng, size: &Size, shape: Shape) -> Vec<Txn> {
    let mut txns = plan(rng, size);
    let database = match rng.random_range(0..10) {
        0..3 => Database::Strict,
        3..5 => Database::Serial,
        5..8 => Database::Snapshots,
        _ => Database::Mixed,
    };
    execute(rng, &mut txns, database);
    if rng.random_bool(0.5) {
        corrupt(rng, &mut txns);
    }
    if shape == Shape::Registers {
        for txn in &mut txns {
            for micro in &mut txn.micros {
                if let Micro::Read(_, seen) = micro {
                    let last = seen.pop();
                    *seen = last.into_iter().collect();
                }
            }
        }
    }
    txns
}

fn plan(rng: &mut impl Rng, size: &Size) -> Vec<Txn> {
    let count = rng.random_range(2..=size.txns);
    let workers = rng.random_range(2..=4_usize);
    let mut element = [0_u8; 8];
    let mut txns: Vec<Txn> = Vec::new();
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    let mut process: Vec<u64> = (0..workers as u64).collect();
    let mut line = 0;
    while txns.len() < count || !open.is_empty() {
        let worker = rng.random_range(0..workers);
        if let Some(txn) = open.remove(&worker) {
            let outcome = match rng.random_range(0..100) {
                0..18 => Outcome::Info,
                18..24 => Outcome::Fail,
                _ => Outcome::Ok,
            };
            let txn: &mut Txn = &mut txns[txn];
            txn.completed = line;
            txn.outcome = outcome;
            if outcome == Outcome::Info {
                process[worker] += workers as u64;
            }
        } else if txns.len() < count {
            let micros = rng.random_range(1..=size.micros);
            let micros = (0..micros).map(|_| {
                let key = rng.random_range(0..size.keys);
                if rng.random_bool(0.5) {
                    element[key as usize] += 1;
                    return Micro::Write(key, element[key as usize]);
                }
                Micro::Read(key, Vec::new())
            });
            open.insert(worker, txns.len());
            txns.push(Txn {
                process: process[worker],
                outcome: Outcome::Info,
                invoked: line,
                completed: usize::MAX,
                micros: micros.collect(),
            });
        } else {
            continue;
        }
        line += 1;
    }
    txns
}

fn execute(rng: &mut impl Rng, txns: &mut [Txn], database: Database) {
    let takes_effect: Vec<bool> = txns
        .iter()
        .map(|txn| match txn.outcome {
            Outcome::Ok => true,
            Outcome::Info => rng.random_bool(0.6),
            Outcome::Fail => database == Database::Mixed && rng.random_bool(0.3),
        })
        .collect();
    let mut lists: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    if database == Database::Mixed {
        let mut todo: Vec<(usize, usize)> = Vec::new();
        loop {
            let left: Vec<usize> = (0..txns.len())
                .filter(|txn| {
                    let done = todo.iter().filter(|(other, _)| other == txn).count();
                    takes_effect[*txn] && done < txns[*txn].micros.len()
                })
                .collect();
            let Some(pick) = left.get(rng.random_range(0..left.len().max(1))) else {
                break;
            };
            let done = todo.iter().filter(|(other, _)| other == pick).count();
            todo.push((*pick, done));
        }
        for (txn, micro) in todo {
            step(&mut txns[txn].micros[micro], &mut lists);
        }
        return;
    }
    let mut order: Vec<(f64, usize)> = (0..txns.len())
        .map(|txn| {
            let (from, to) = (txns[txn].invoked as f64, txns[txn].completed as f64);
            let to = match txns[txn].outcome {
                Outcome::Ok => to,
                _ => 100.0,
            };
            let at = match database {
                Database::Serial => rng.random_range(0.0..100.0),
                _ => rng.random_range(from..to),
            };
            (at, txn)
        })
        .collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Commits so far, for snapshots: the state after each, and who wrote what.
    let mut states = vec![lists.clone()];
    let mut writes: Vec<Vec<u8>> = Vec::new();
    for (_, txn) in order {
        if !takes_effect[txn] {
            continue;
        }
        let keys: Vec<u8> = txns[txn]
            .micros
            .iter()
            .filter_map(|micro| match micro {
                Micro::Write(key, _) => Some(*key),
                Micro::Read(..) => None,
            })
            .collect();
        let mut from = states.len() - 1;
        if database == Database::Snapshots {
            let back = rng.random_range(0..3.min(states.len()));
            for _ in 0..back {
                if keys.iter().any(|key| writes[from - 1].contains(key)) {
                    break;
                }
                from -= 1;
            }
        }
        let mut snapshot = states[from].clone();
        let mut now = states[states.len() - 1].clone();
        for micro in &mut txns[txn].micros {
            step(micro, &mut snapshot);
            if let Micro::Write(..) = micro {
                step(micro, &mut now);
            }
        }
        states.push(now);
        writes.push(keys);
    }
}

fn step(micro: &mut Micro, lists: &mut BTreeMap<u8, Vec<u8>>) {
    match micro {
        Micro::Write(key, element) => lists.entry(*key).or_default().push(*element),
        Micro::Read(key, seen) => *seen = lists.get(key).cloned().unwrap_or_default(),
    }
}

/// Changes one observation.
fn corrupt(rng: &mut impl Rng, txns: &mut [Txn]) {
    let mut reads: Vec<&mut Vec<u8>> = txns
        .iter_mut()
        .filter(|txn| txn.outcome == Outcome::Ok)
        .flat_map(|txn| &mut txn.micros)
        .filter_map(|micro| match micro {
            Micro::Read(_, seen) => Some(seen),
            Micro::Write(..) => None,
        })
        .collect();
    if reads.is_empty() {
        return;
    }
    let pick = rng.random_range(0..reads.len());
    let seen = &mut reads[pick];
    match rng.random_range(0..6) {
        0..3 => drop(seen.pop()),
        3 => seen.push(rng.random_range(1..5)),
        4 if seen.len() > 1 => {
            let place = rng.random_range(1..seen.len());
            seen.swap(place - 1, place);
        }
        _ if !seen.is_empty() => drop(seen.remove(0)),
        _ => {}
    }
}

/// The history, with `zxid`s where given.
pub fn history(txns: &[Txn], shape: Shape, zxids: &[i64]) -> History {
    let mut lines: Vec<(usize, usize, bool)> = Vec::new();
    for (place, txn) in txns.iter().enumerate() {
        lines.push((txn.invoked, place, true));
        lines.push((txn.completed, place, false));
    }
    lines.sort_unstable();
    let mut history = History::new();
    for (index, (_, place, invoke)) in lines.into_iter().enumerate() {
        let txn = &txns[place];
        let kind = match (invoke, txn.outcome) {
            (true, _) => Kind::Invoke,
            (false, Outcome::Ok) => Kind::Ok,
            (false, Outcome::Info) => Kind::Info,
            (false, Outcome::Fail) => Kind::Fail,
        };
        let told = kind == Kind::Ok;
        let value: Vec<Value> = txn
            .micros
            .iter()
            .map(|micro| as_json(micro, shape, told))
            .collect();
        let extra = match zxids.get(place) {
            Some(zxid) if told => [("zxid".to_owned(), json!(zxid))].into_iter().collect(),
            _ => Extra::default(),
        };
        history.push(&Event {
            index: index as u64,
            time: Nanos(index as u64 * 1000),
            process: Process::Client(txn.process),
            kind,
            f: "txn".into(),
            key: None,
            value: Value::Array(value),
            extra,
        });
    }
    history
}

fn as_json(micro: &Micro, shape: Shape, told: bool) -> Value {
    let key = |key: &u8| format!("k{key}");
    match (micro, shape) {
        (Micro::Write(k, element), Shape::Lists) => json!(["append", key(k), element]),
        (Micro::Write(k, element), Shape::Registers) => json!(["w", key(k), element]),
        (Micro::Read(k, _), _) if !told => json!(["r", key(k), null]),
        (Micro::Read(k, seen), Shape::Lists) => json!(["r", key(k), seen]),
        (Micro::Read(k, seen), Shape::Registers) => json!(["r", key(k), seen.last()]),
    }
}
