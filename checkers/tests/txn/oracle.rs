//! Consistency models decided by trying every order. Nothing is inferred.

use crate::story::{Micro, Outcome, Shape, Txn};
use std::collections::BTreeMap;

/// What each key holds.
pub type State = BTreeMap<u8, Vec<u8>>;

/// What orders transactions beside their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Any,
    Process,
    Realtime,
}

impl Order {
    fn holds(self, before: &Txn, after: &Txn) -> bool {
        match self {
            Order::Any => false,
            Order::Process => before.process == after.process && before.precedes(after),
            Order::Realtime => before.precedes(after),
        }
    }
}

/// Whether some order of all committed and some indeterminate transactions, one after the other, explains all reads.
pub fn serializable(txns: &[Txn], order: Order, shape: Shape) -> bool {
    serializable_from(txns, order, shape, &State::new())
}

/// The same, where the keys begin with this.
pub fn serializable_from(txns: &[Txn], order: Order, shape: Shape, begin: &State) -> bool {
    let holds = |one: &Txn, other: &Txn| order.holds(one, other);
    place(txns, &holds, shape, &mut begin.clone(), 0)
}

/// The same, where the committed writers of a key installed their versions in the order of these numbers.
pub fn serializable_with(txns: &[Txn], order: Order, shape: Shape, zxids: &[i64]) -> bool {
    let zxid = |txn: &Txn| {
        zxids[txns
            .iter()
            .position(|one| one.invoked == txn.invoked)
            .unwrap()]
    };
    let told = |one: &Txn, other: &Txn| {
        let both = one.outcome == Outcome::Ok && other.outcome == Outcome::Ok;
        both && zxid(one) < zxid(other) && share_a_written_key(one, other)
    };
    let holds = |one: &Txn, other: &Txn| order.holds(one, other) || told(one, other);
    place(txns, &holds, shape, &mut State::new(), 0)
}

fn share_a_written_key(one: &Txn, other: &Txn) -> bool {
    let keys = |txn: &Txn| -> Vec<u8> {
        let written = txn.micros.iter().filter_map(|micro| match micro {
            Micro::Write(key, _) => Some(*key),
            Micro::Read(..) => None,
        });
        written.collect()
    };
    keys(one).iter().any(|key| keys(other).contains(key))
}

fn place(
    txns: &[Txn],
    holds: &dyn Fn(&Txn, &Txn) -> bool,
    shape: Shape,
    state: &mut State,
    placed: u32,
) -> bool {
    let is = |txn: usize| placed & 1 << txn != 0;
    let ok = |txn: usize| txns[txn].outcome == Outcome::Ok;
    if (0..txns.len()).all(|txn| !ok(txn) || is(txn)) {
        return true;
    }
    for txn in 0..txns.len() {
        if is(txn) || txns[txn].outcome == Outcome::Fail {
            continue;
        }
        let waits = |other: usize| !is(other) && holds(&txns[other], &txns[txn]);
        if (0..txns.len()).any(waits) {
            continue;
        }
        let mut next = state.clone();
        if run(&txns[txn], shape, &mut next)
            && place(txns, holds, shape, &mut next, placed | 1 << txn)
        {
            return true;
        }
    }
    false
}

/// Applies a transaction; false if it must have seen something else.
fn run(txn: &Txn, shape: Shape, state: &mut State) -> bool {
    for micro in &txn.micros {
        match micro {
            Micro::Write(key, element) => state.entry(*key).or_default().push(*element),
            Micro::Read(key, seen) if txn.outcome == Outcome::Ok => {
                let list = state.get(key).map_or(&[][..], |list| &list[..]);
                let agrees = match shape {
                    Shape::Lists => list == seen,
                    Shape::Registers => list.last() == seen.last(),
                };
                if !agrees {
                    return false;
                }
            }
            Micro::Read(..) => {}
        }
    }
    true
}

/// Whether some order of starts and commits explains all reads from snapshots, no two overlapping ones writing the same key.
pub fn snapshot_isolation(txns: &[Txn], order: Order, shape: Shape) -> bool {
    let mut search = Snapshots {
        txns,
        order,
        shape,
        started: vec![None; txns.len()],
        committed: vec![false; txns.len()],
        writes: Vec::new(),
        state: State::new(),
    };
    search.go()
}

struct Snapshots<'t> {
    txns: &'t [Txn],
    order: Order,
    shape: Shape,
    /// How many commits each one's snapshot has.
    started: Vec<Option<usize>>,
    committed: Vec<bool>,
    writes: Vec<Vec<u8>>,
    state: State,
}

impl Snapshots<'_> {
    fn go(&mut self) -> bool {
        let ok = |txn: usize| self.txns[txn].outcome == Outcome::Ok;
        if (0..self.txns.len()).all(|txn| !ok(txn) || self.committed[txn]) {
            return true;
        }
        for txn in 0..self.txns.len() {
            if self.txns[txn].outcome == Outcome::Fail || self.committed[txn] {
                continue;
            }
            let explained = match self.started[txn] {
                None => self.start(txn),
                Some(commits) => self.commit(txn, commits),
            };
            if explained {
                return true;
            }
        }
        false
    }

    fn start(&mut self, txn: usize) -> bool {
        let waits = |other: usize| {
            !self.committed[other] && self.order.holds(&self.txns[other], &self.txns[txn])
        };
        if (0..self.txns.len()).any(waits) {
            return false;
        }
        if !run(&self.txns[txn], self.shape, &mut self.state.clone()) {
            return false;
        }
        self.started[txn] = Some(self.writes.len());
        let explained = self.go();
        self.started[txn] = None;
        explained
    }

    fn commit(&mut self, txn: usize, commits: usize) -> bool {
        let written = self.txns[txn]
            .micros
            .iter()
            .filter_map(|micro| match micro {
                Micro::Write(key, element) => Some((*key, *element)),
                Micro::Read(..) => None,
            });
        let written: Vec<(u8, u8)> = written.collect();
        let taken = |key: u8| {
            self.writes[commits..]
                .iter()
                .any(|keys| keys.contains(&key))
        };
        if written.iter().any(|(key, _)| taken(*key)) {
            return false;
        }
        let before = self.state.clone();
        for (key, element) in &written {
            self.state.entry(*key).or_default().push(*element);
        }
        self.writes
            .push(written.iter().map(|(key, _)| *key).collect());
        self.committed[txn] = true;
        let explained = self.go();
        self.committed[txn] = false;
        self.writes.pop();
        self.state = before;
        explained
    }
}

/// Whether some order of each key's writes explains all reads without showing anything aborted, intermediate or circular.
pub fn read_committed(txns: &[Txn], shape: Shape) -> bool {
    let infos: Vec<usize> = (0..txns.len())
        .filter(|t| txns[*t].outcome == Outcome::Info)
        .collect();
    (0..1_u32 << infos.len()).any(|some| {
        let counts = |txn: usize| match infos.iter().position(|info| *info == txn) {
            Some(place) => some & 1 << place != 0,
            None => txns[txn].outcome == Outcome::Ok,
        };
        let committed: Vec<usize> = (0..txns.len()).filter(|txn| counts(*txn)).collect();
        orders(txns, &committed, shape, &mut BTreeMap::new(), 0)
    })
}

/// Tries every order in which the keys' final writers installed their versions.
fn orders(
    txns: &[Txn],
    committed: &[usize],
    shape: Shape,
    chosen: &mut BTreeMap<u8, Vec<usize>>,
    key: u8,
) -> bool {
    if key == 8 {
        return no_g1(txns, committed, shape, chosen);
    }
    let writes = |txn: &&usize| {
        let mut micros = txns[**txn].micros.iter();
        micros.any(|micro| matches!(micro, Micro::Write(k, _) if *k == key))
    };
    let writers: Vec<usize> = committed.iter().filter(writes).copied().collect();
    permutations(&writers, &mut |order| {
        chosen.insert(key, order.to_vec());
        orders(txns, committed, shape, chosen, key + 1)
    })
}

fn permutations(items: &[usize], then: &mut dyn FnMut(&[usize]) -> bool) -> bool {
    fn go(items: &mut Vec<usize>, at: usize, then: &mut dyn FnMut(&[usize]) -> bool) -> bool {
        if at == items.len() {
            return then(items);
        }
        (at..items.len()).any(|other| {
            items.swap(at, other);
            let found = go(items, at + 1, then);
            items.swap(at, other);
            found
        })
    }
    go(&mut items.to_vec(), 0, then)
}

fn no_g1(
    txns: &[Txn],
    committed: &[usize],
    shape: Shape,
    chosen: &BTreeMap<u8, Vec<usize>>,
) -> bool {
    let mut edges: Vec<(usize, usize)> = Vec::new();
    for order in chosen.values() {
        edges.extend(order.windows(2).map(|pair| (pair[0], pair[1])));
    }
    for reader in committed
        .iter()
        .filter(|txn| txns[**txn].outcome == Outcome::Ok)
    {
        for (place, micro) in txns[*reader].micros.iter().enumerate() {
            let Micro::Read(key, seen) = micro else {
                continue;
            };
            let Some(writer) = version(txns, &chosen[key], *reader, place, *key, seen, shape)
            else {
                return false;
            };
            edges.extend(
                writer
                    .filter(|writer| writer != reader)
                    .map(|writer| (writer, *reader)),
            );
        }
    }
    acyclic(txns.len(), &edges)
}

/// Whose version was read (none: the initial one); none if it is none that may be read.
fn version(
    txns: &[Txn],
    order: &[usize],
    reader: usize,
    place: usize,
    key: u8,
    seen: &[u8],
    shape: Shape,
) -> Option<Option<usize>> {
    let elements = |txn: usize, upto: usize| -> Vec<u8> {
        let micros = txns[txn].micros[..upto].iter();
        let own = micros.filter_map(|micro| match micro {
            Micro::Write(k, element) if *k == key => Some(*element),
            _ => None,
        });
        own.collect()
    };
    let mut list: Vec<u8> = Vec::new();
    let matches = |list: &[u8]| match shape {
        Shape::Lists => list == seen,
        Shape::Registers => list.last() == seen.last(),
    };
    if matches(&list) {
        return Some(None);
    }
    for writer in order {
        if *writer == reader {
            // Its own writes so far, each of them a state that it may see itself.
            for upto in 1..=place {
                let mut own = list.clone();
                own.extend(elements(reader, upto));
                if !elements(reader, upto).is_empty() && matches(&own) {
                    return Some(Some(reader));
                }
            }
        }
        list.extend(elements(*writer, txns[*writer].micros.len()));
        if matches(&list) && *writer != reader {
            // A list with an element that the reader appends only afterwards comes out of its own future.
            let later = elements(reader, txns[reader].micros.len());
            let later = &later[elements(reader, place).len()..];
            let future =
                shape == Shape::Lists && later.iter().any(|element| seen.contains(element));
            return (!future).then_some(Some(*writer));
        }
    }
    None
}

fn acyclic(nodes: usize, edges: &[(usize, usize)]) -> bool {
    let mut left: Vec<usize> = (0..nodes).collect();
    loop {
        let free = |node: &usize| !edges.iter().any(|(a, b)| b == node && left.contains(a));
        let Some(place) = left.iter().position(free) else {
            return left.is_empty();
        };
        left.remove(place);
    }
}
