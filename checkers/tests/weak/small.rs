//! Random small histories of transactions, as data that an oracle can look at.

use keelhaul_checkers::{Event, History, Kind, Nanos, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Micro {
    Write {
        key: usize,
        value: i64,
    },
    /// Of a register at most one value.
    Read {
        key: usize,
        saw: Vec<i64>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Txn {
    pub(crate) process: u64,
    pub(crate) kind: Kind,
    pub(crate) micros: Vec<Micro>,
}

#[derive(Debug, Clone)]
pub(crate) struct Small {
    pub(crate) lists: bool,
    pub(crate) txns: Vec<Txn>,
}

/// Transactions in a random order of commits. Most reads show a prefix of that order, most of them a recent one; some show
/// anything: as often as one of `wild` says.
pub(crate) fn random(rng: &mut ChaCha8Rng, lists: bool, wild: [f64; 3]) -> Small {
    let count = rng.random_range(2..=6);
    let keys = rng.random_range(1..=3);
    let processes = rng.random_range(1..=3);
    let wild = wild[rng.random_range(0..3)];
    let mut next = [0; 3];
    let mut txns: Vec<Txn> = Vec::new();
    for _ in 0..count {
        let kind = match rng.random_range(0..12) {
            0 => Kind::Fail,
            1 | 2 => Kind::Info,
            _ => Kind::Ok,
        };
        let micros = (0..rng.random_range(1..=3)).map(|_| {
            let key = rng.random_range(0..keys);
            if rng.random_bool(0.5) {
                next[key] += 1;
                let value = next[key];
                Micro::Write { key, value }
            } else {
                Micro::Read { key, saw: vec![] }
            }
        });
        let micros = micros.collect();
        let process = rng.random_range(0..processes);
        txns.push(Txn {
            process,
            kind,
            micros,
        });
    }
    // After an indeterminate operation its client goes on under another process, or, with some recorders, under the same one.
    let goes_on = rng.random_bool(0.3);
    for at in 0..count {
        if txns[at].kind == Kind::Info && !goes_on {
            let process = txns[at].process;
            for txn in &mut txns[at + 1..] {
                if txn.process == process {
                    txn.process += 3;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..count).collect();
    if rng.random_bool(0.3) {
        let (one, other) = (rng.random_range(0..count), rng.random_range(0..count));
        order.swap(one, other);
    }
    let mut small = Small { lists, txns };
    for place in 0..count {
        let txn = order[place];
        let mut view = place - rng.random_range(0..=place.min(2));
        for at in 0..small.txns[txn].micros.len() {
            let Micro::Read { key, .. } = small.txns[txn].micros[at] else {
                continue;
            };
            if rng.random_bool(0.3) {
                view = rng.random_range(view..=place.max(view));
            }
            if rng.random_bool(wild) {
                view = rng.random_range(0..=count);
            }
            let mut saw = small.state(&order[..view], key);
            if rng.random_bool(wild / 2.0) {
                saw.push(rng.random_range(1..=next[key].max(1) + 1));
            }
            let own = small.txns[txn].micros[..at].iter();
            saw.extend(own.filter_map(|micro| match micro {
                Micro::Write { key: other, value } if *other == key => Some(*value),
                _ => None,
            }));
            if !lists {
                saw = saw.last().copied().into_iter().collect();
            }
            small.txns[txn].micros[at] = Micro::Read { key, saw };
        }
    }
    small
}

impl Small {
    /// All that these transactions wrote to the key, unless they failed.
    pub(crate) fn state(&self, order: &[usize], key: usize) -> Vec<i64> {
        let txns = order.iter().map(|txn| &self.txns[*txn]);
        let micros = txns
            .filter(|txn| txn.kind != Kind::Fail)
            .flat_map(|txn| &txn.micros);
        let writes = micros.filter_map(|micro| match micro {
            Micro::Write { key: other, value } if *other == key => Some(*value),
            _ => None,
        });
        writes.collect()
    }

    /// Whether one transaction's session did it before the other one: what is indeterminate may take effect whenever afterwards.
    pub(crate) fn in_session(&self, one: usize, other: usize) -> bool {
        let same = self.txns[one].process == self.txns[other].process;
        same && one < other && self.txns[one].kind == Kind::Ok
    }

    /// Whether the transaction writes the key.
    pub(crate) fn writes(&self, txn: usize, key: usize) -> bool {
        let mut micros = self.txns[txn].micros.iter();
        micros.any(|micro| matches!(micro, Micro::Write { key: other, .. } if *other == key))
    }

    /// One transaction after the other, as a history.
    pub(crate) fn history(&self) -> History {
        let mut events: Vec<Event> = Vec::new();
        for txn in &self.txns {
            for kind in [Kind::Invoke, txn.kind] {
                let value = self.value(txn, kind == Kind::Ok);
                let index = events.len() as u64;
                events.push(Event {
                    index,
                    time: Nanos(index),
                    process: Process::Client(txn.process),
                    kind,
                    f: "txn".into(),
                    key: None,
                    value,
                    extra: Default::default(),
                });
            }
        }
        History::from_events(&events)
    }

    fn value(&self, txn: &Txn, ok: bool) -> Value {
        let word = if self.lists { "append" } else { "w" };
        let micros = txn.micros.iter().map(|micro| match micro {
            Micro::Write { key, value } => json!([word, key, value]),
            Micro::Read { key, saw } if ok && self.lists => json!(["r", key, saw]),
            Micro::Read { key, saw } if ok => json!(["r", key, saw.first()]),
            Micro::Read { key, .. } => json!(["r", key, null]),
        });
        micros.collect()
    }
}
