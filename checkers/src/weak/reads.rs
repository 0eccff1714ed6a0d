//! Who wrote what each transaction read; and what no isolation level excuses.
//!
//! A read is *external* if its transaction had not written the key before: it shows another transaction's *version*, its last
//! write of the key. Of a list the version is the whole list, written by whoever appended the last element; the longest list
//! that was read tells the order of a key's versions, and appends that nobody saw come after it.
//!
//! Needed: no value is written twice to one key.

use crate::limits::Limits;
use crate::txn::input::{Act, Key, List, Outcome, Shape, Token, Txns, UNWRITTEN};
use rustc_hash::FxHashMap;

/// A transaction, by number.
pub(super) type Txn = u32;
/// A micro-operation's place among all.
pub(super) type Place = u32;

/// Whoever wrote the state before the first operation.
pub(super) const INITIAL: Txn = u32::MAX;
/// A version that nobody's read shows stands behind all others.
pub(super) const UNSEEN: u32 = u32::MAX;

/// No source: not an external read, or one that is an anomaly by itself.
const NOTHING: Place = u32::MAX - 1;
const NOBODY: Place = u32::MAX;

/// An external read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) key: Key,
    /// Whose version it shows.
    pub(super) writer: Txn,
    /// The write that made it; meaningless for the initial state.
    pub(super) source: Place,
    /// Where the read stands.
    pub(super) place: Place,
}

/// A transaction's last write of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) key: Key,
    pub(super) place: Place,
}

/// An anomaly that one read shows by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Direct {
    pub(super) kind: &'static str,
    pub(super) key: Key,
    pub(super) txns: Vec<Txn>,
    pub(super) text: String,
}

/// What the reads and writes of a history say.
pub(super) struct Facts<'t, 'h> {
    pub(super) txns: &'t Txns<'h>,
    /// Whether a transaction committed: it is ok, or somebody saw what it wrote.
    pub(super) happened: Vec<bool>,
    reads: Vec<Read>,
    read_starts: Vec<u32>,
    writes: Vec<Write>,
    write_starts: Vec<u32>,
    /// By write: where its version stands in the key's order, from 1; of registers always 0.
    pub(super) rank: Vec<u32>,
    /// Of lists: the writes that made each key's versions, in their order, with the unseen ones of committed transactions last.
    pub(super) orders: Vec<Vec<Place>>,
    pub(super) direct: Vec<Direct>,
    /// By transaction, the session that did it.
    pub(super) session: Vec<u32>,
    /// By transaction, the last one that its session had completed before, or [`INITIAL`]; the part of it before, if it was taken apart.
    pub(super) before: Vec<Txn>,
}

/// What a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sessions {
    /// A process.
    Processes,
    /// Every transaction by itself: the order of a process counts for nothing.
    None,
}

impl<'t, 'h> Facts<'t, 'h> {
    /// Finds them, of registers that begin with this value; an error says why the history cannot be judged.
    pub(super) fn find(
        txns: &'t Txns<'h>,
        initial: Token,
        limits: &Limits,
    ) -> Result<Facts<'t, 'h>, String> {
        Facts::among(txns, Sessions::Processes, initial, limits)
    }

    /// The same, of these sessions.
    pub(super) fn among(
        txns: &'t Txns<'h>,
        sessions: Sessions,
        initial: Token,
        limits: &Limits,
    ) -> Result<Facts<'t, 'h>, String> {
        let ok = |outcome: &Outcome| *outcome == Outcome::Ok;
        let happened = txns.outcome.iter().map(ok).collect();
        Facts::where_happened(txns, happened, sessions, initial, limits)
    }

    /// The same of transactions that were taken apart. All that did not fail happened: a part of an indeterminate transaction
    /// of which another part was seen did, too.
    pub(super) fn apart(
        txns: &'t Txns<'h>,
        initial: Token,
        limits: &Limits,
    ) -> Result<Facts<'t, 'h>, String> {
        let failed = |outcome: &Outcome| *outcome == Outcome::Fail;
        let happened = txns.outcome.iter().map(|outcome| !failed(outcome));
        let happened = happened.collect();
        Facts::where_happened(txns, happened, Sessions::Processes, initial, limits)
    }

    fn where_happened(
        txns: &'t Txns<'h>,
        happened: Vec<bool>,
        sessions: Sessions,
        initial: Token,
        limits: &Limits,
    ) -> Result<Facts<'t, 'h>, String> {
        let mut finder = Finder::new(txns, happened, initial);
        let by_key = txns.by_key();
        for key in 0..txns.keys() as Key {
            limits.time("the search for the writers of what was read")?;
            finder.key(key, by_key.of(key))?;
        }
        finder.unseen();
        let mut facts = finder.facts();
        facts.session = match sessions {
            Sessions::Processes => txns.process.clone(),
            Sessions::None => (0..txns.len() as u32).collect(),
        };
        facts.before = facts.in_sessions();
        Ok(facts)
    }

    pub(super) fn len(&self) -> usize {
        self.happened.len()
    }

    /// A transaction's external reads, in its order.
    pub(super) fn reads(&self, txn: Txn) -> &[Read] {
        let txn = txn as usize;
        &self.reads[self.read_starts[txn] as usize..self.read_starts[txn + 1] as usize]
    }

    /// A transaction's last writes, by key.
    pub(super) fn writes(&self, txn: Txn) -> &[Write] {
        let txn = txn as usize;
        &self.writes[self.write_starts[txn] as usize..self.write_starts[txn + 1] as usize]
    }

    /// A transaction's last write of this key.
    pub(super) fn write_of(&self, txn: Txn, key: Key) -> Option<Place> {
        let writes = self.writes(txn);
        let at = writes.binary_search_by_key(&key, |write| write.key).ok()?;
        Some(writes[at].place)
    }

    /// Whether the session may go on from it: an indeterminate transaction may take effect after what its process does next, so that
    /// nothing of its session is behind it.
    pub(super) fn is_complete(&self, txn: Txn) -> bool {
        self.txns.is(txn, Outcome::Ok)
    }

    /// The part in front of this one, of the same transaction.
    pub(super) fn part_before(&self, txn: Txn) -> Option<Txn> {
        let before = txn.checked_sub(1)?;
        self.txns.are_one(before, txn).then_some(before)
    }

    /// For each committed transaction the last complete one before it in its session.
    fn in_sessions(&self) -> Vec<Txn> {
        let count = self.session.iter().max().map_or(0, |most| most + 1);
        let mut last = vec![INITIAL; count as usize];
        let mut before = vec![INITIAL; self.len()];
        for txn in (0..self.len() as Txn).filter(|txn| self.happened[*txn as usize]) {
            let last = &mut last[self.session[txn as usize] as usize];
            before[txn as usize] = self.part_before(txn).unwrap_or(*last);
            if self.is_complete(txn) {
                *last = txn;
            }
        }
        before
    }

    /// The committed transactions of each process, in its order.
    pub(super) fn sessions(&self) -> Vec<Vec<Txn>> {
        let count = self.session.iter().max().map_or(0, |most| most + 1);
        let mut sessions = vec![Vec::new(); count as usize];
        for (txn, session) in (0..).zip(&self.session) {
            if self.happened[txn as usize] {
                sessions[*session as usize].push(txn);
            }
        }
        sessions
    }

    /// Whether the order of a key's versions, as far as it is known, already has the first of two writes before the other.
    pub(super) fn is_before(&self, one: Place, other: Place) -> bool {
        self.rank[one as usize] < self.rank[other as usize]
    }
}

struct Finder<'t, 'h> {
    txns: &'t Txns<'h>,
    /// What a register has that nobody wrote.
    initial: Token,
    /// By micro-operation: of an external read, the write that it shows.
    source: Vec<Place>,
    rank: Vec<u32>,
    /// By micro-operation: whether it is its transaction's last write of the key.
    is_last: Vec<bool>,
    orders: Vec<Vec<Place>>,
    direct: Vec<Direct>,
    happened: Vec<bool>,
}

/// One key's writes, by what was written.
struct Writers(Vec<(Token, Place)>);

impl Writers {
    fn of(&self, token: Token) -> Option<Place> {
        let at = self.0.binary_search_by_key(&token, |(token, _)| *token);
        at.ok().map(|at| self.0[at].1)
    }
}

impl<'t, 'h> Finder<'t, 'h> {
    fn new(txns: &'t Txns<'h>, happened: Vec<bool>, initial: Token) -> Finder<'t, 'h> {
        let micros = txns.micros.len();
        Finder {
            txns,
            initial,
            source: vec![NOTHING; micros],
            rank: vec![0; micros],
            is_last: vec![false; micros],
            orders: Vec::new(),
            direct: Vec::new(),
            happened,
        }
    }

    fn key(&mut self, key: Key, places: &[Place]) -> Result<(), String> {
        let writers = self.writers(key, places)?;
        let mut last: Option<Place> = None;
        for place in places.iter().rev().copied() {
            let micro = self.txns.micros[place as usize];
            if matches!(micro.act, Act::Write(_)) {
                let txn = |place: Place| self.txns.micros[place as usize].txn;
                self.is_last[place as usize] = last.is_none_or(|last| txn(last) != micro.txn);
                last = Some(place);
            }
        }
        match self.txns.shape {
            Shape::Registers => self.register(key, places, &writers)?,
            Shape::Lists => self.list(key, places, &writers),
        }
        Ok(())
    }

    fn writers(&self, key: Key, places: &[Place]) -> Result<Writers, String> {
        let mut writers: Vec<(Token, Place)> = Vec::new();
        for place in places {
            if let Act::Write(token) = self.txns.micros[*place as usize].act {
                writers.push((token, *place));
            }
        }
        // Of a value's writers those that did not fail come first: only they must be one.
        let failed = |place: Place| self.is(place, Outcome::Fail);
        writers.sort_unstable_by_key(|(token, place)| (*token, failed(*place), *place));
        for pair in writers.windows(2) {
            if pair[0].0 == pair[1].0 && !failed(pair[1].1) {
                return Err(format!(
                    "{} is written twice to key {}: who wrote what was read is then not known; write every value once",
                    self.txns.element(pair[0].0),
                    self.txns.key_text(key)
                ));
            }
        }
        writers.dedup_by_key(|(token, _)| *token);
        Ok(Writers(writers))
    }

    fn txn(&self, place: Place) -> Txn {
        self.txns.micros[place as usize].txn
    }

    fn is(&self, place: Place, outcome: Outcome) -> bool {
        self.txns.is(self.txn(place), outcome)
    }

    fn report(&mut self, kind: &'static str, key: Key, txns: Vec<Txn>, text: String) {
        let text = format!("key {}: {text}", self.txns.key_text(key));
        self.direct.push(Direct {
            kind,
            key,
            txns,
            text,
        });
    }

    fn register(&mut self, key: Key, places: &[Place], writers: &Writers) -> Result<(), String> {
        let mut own: Option<(Txn, Token)> = None;
        // A write of the initial value that failed is none.
        let writes_initial = writers.of(self.initial);
        let is_unwritten = writes_initial.is_none_or(|place| self.is(place, Outcome::Fail));
        for place in places.iter().copied() {
            let micro = self.txns.micros[place as usize];
            let mine = own.filter(|(txn, _)| *txn == micro.txn);
            match (micro.act, mine) {
                (Act::Write(token), _) => own = Some((micro.txn, token)),
                (Act::Read(token), Some((_, written))) if token != written => {
                    let (saw, wrote) = (self.txns.element(token), self.txns.element(written));
                    let text = format!("T1 read {saw} although it had written {wrote} itself");
                    self.report("internal", key, vec![micro.txn], text);
                }
                (Act::Read(token), None) if token == self.initial && is_unwritten => {
                    self.source[place as usize] = NOBODY;
                }
                (Act::Read(token), None) if token == self.initial => {
                    return Err(format!(
                        "{} is written to key {}, which begins with it: who wrote what was read is then not known; write another value",
                        self.txns.element(token),
                        self.txns.key_text(key)
                    ));
                }
                (Act::Read(token), None) => self.shows(key, place, token, writers.of(token), true),
                _ => {}
            }
        }
        Ok(())
    }

    /// An external read shows a value, or a list that ends with it.
    fn shows(&mut self, key: Key, place: Place, token: Token, write: Option<Place>, ends: bool) {
        let reader = self.txn(place);
        let saw = self.txns.element(token);
        let Some(write) = write else {
            let text = match token {
                UNWRITTEN => "T1 read a list that does not begin as all lists do".to_owned(),
                _ => format!("T1 read {saw}, and nobody wrote it"),
            };
            return self.report("garbage-read", key, vec![reader], text);
        };
        let writer = self.txn(write);
        if writer == reader {
            let text = format!("T1 read {saw} before it wrote it itself");
            return self.report("future-read", key, vec![reader], text);
        }
        if self.is(write, Outcome::Fail) {
            let text = format!("T2 read {saw}, which T1 wrote, and T1 failed");
            return self.report("G1a", key, vec![writer, reader], text);
        }
        self.happened[writer as usize] = true;
        if !ends {
            return;
        }
        if !self.is_last[write as usize] {
            let text =
                format!("T2 read {saw}, which T1 wrote, but T1 went on to write the key again");
            return self.report("G1b", key, vec![writer, reader], text);
        }
        self.source[place as usize] = write;
    }

    fn list(&mut self, key: Key, places: &[Place], writers: &Writers) {
        let externals = self.externals(key, places);
        // Not the last of the longest, which `max_by_key` would give: the first one.
        let longest = externals
            .iter()
            .rev()
            .max_by_key(|(_, list)| list.len())
            .copied();
        let mut order: Vec<Place> = Vec::new();
        if let Some((longest_place, longest)) = longest {
            self.duplicates(key, longest_place, longest);
            for (place, list) in &externals {
                if !list.is_prefix_of(longest) {
                    let text = "T1 and T2 read its elements in different orders".to_owned();
                    let txns = vec![self.txn(longest_place), self.txn(*place)];
                    self.report("incompatible-order", key, txns, text);
                } else if let Some(token) = list.last() {
                    self.shows(key, *place, token, writers.of(token), true);
                } else {
                    self.source[*place as usize] = NOBODY;
                }
            }
            let mut shortest_first = externals.clone();
            shortest_first.sort_by_key(|(_, list)| list.len());
            for at in 0..longest.len() {
                let token = longest.get(at);
                match writers.of(token) {
                    Some(write) if !self.is(write, Outcome::Fail) => {
                        let writer = self.txn(write);
                        self.happened[writer as usize] = true;
                        self.rank[write as usize] = at as u32 + 1;
                        order.push(write);
                    }
                    // Told once, of the shortest list that has it; that one may end with it, and then it was told before.
                    write => {
                        let first = shortest_first.partition_point(|(_, list)| list.len() <= at);
                        let (place, list) = shortest_first[first];
                        if list.len() > at + 1 && list.is_prefix_of(longest) {
                            self.shows(key, place, token, write, false);
                        }
                    }
                }
            }
            self.own_order(key, places, &shortest_first);
        }
        self.orders.push(order);
    }

    /// A transaction's own appends stand in lists as it made them: an element never without those it had appended before.
    fn own_order(&mut self, key: Key, places: &[Place], shortest_first: &[(Place, List<'_>)]) {
        let mut before: Option<Place> = None;
        for place in places.iter().copied() {
            let Act::Write(token) = self.txns.micros[place as usize].act else {
                continue;
            };
            let same = before
                .replace(place)
                .filter(|before| self.txn(*before) == self.txn(place));
            let (Some(earlier), rank) = (same, self.rank[place as usize]) else {
                continue;
            };
            let earlier_rank = self.rank[earlier as usize];
            if rank == 0 || (earlier_rank > 0 && earlier_rank + 1 == rank) {
                continue;
            }
            let Act::Write(missing) = self.txns.micros[earlier as usize].act else {
                continue;
            };
            let first = shortest_first.partition_point(|(_, list)| list.len() < rank as usize);
            let reader = self.txn(shortest_first[first].0);
            let (token, missing) = (self.txns.element(token), self.txns.element(missing));
            let (kind, what) = match (1..rank).contains(&earlier_rank) {
                true => ("G0", "with another's element between them"),
                false => (
                    "incompatible-order",
                    "the second without the first before it",
                ),
            };
            let text = format!("T1 appended {missing} and then {token}, and T2 read {what}");
            self.report(kind, key, vec![self.txn(place), reader], text);
        }
    }

    /// Each read of a list without what its own transaction had appended before.
    fn externals(&mut self, key: Key, places: &[Place]) -> Vec<(Place, List<'t>)> {
        let mut own: (Txn, Vec<Token>) = (INITIAL, Vec::new());
        let mut externals = Vec::new();
        for place in places.iter().copied() {
            let micro = self.txns.micros[place as usize];
            if own.0 != micro.txn {
                own.0 = micro.txn;
                own.1.clear();
            }
            match micro.act {
                Act::Write(token) => own.1.push(token),
                Act::ReadList(list) => {
                    let list = self.txns.list(list);
                    let others = list.len().checked_sub(own.1.len());
                    let ends_with_own = others
                        .filter(|others| list.behind(*others).iter().eq(own.1.iter().copied()));
                    match ends_with_own {
                        Some(others) => externals.push((place, list.first(others))),
                        None => {
                            let text = "T1 did not see, at the end of the list, what it had appended itself";
                            self.report("internal", key, vec![micro.txn], text.to_owned());
                        }
                    }
                }
                Act::Read(_) => {}
            }
        }
        externals
    }

    fn duplicates(&mut self, key: Key, place: Place, list: List<'_>) {
        let mut tokens: Vec<Token> = list.iter().collect();
        tokens.sort_unstable();
        if let Some(pair) = tokens.windows(2).find(|pair| pair[0] == pair[1]) {
            let text = format!("T1 read {} more than once", self.txns.element(pair[0]));
            self.report("duplicate-elements", key, vec![self.txn(place)], text);
        }
    }

    /// Appends of committed transactions that no list shows come after all that are shown.
    fn unseen(&mut self) {
        if self.txns.shape != Shape::Lists {
            return;
        }
        for (place, micro) in (0..).zip(&self.txns.micros) {
            let at = place as usize;
            if matches!(micro.act, Act::Write(_)) && self.rank[at] == 0 {
                self.rank[at] = UNSEEN;
                if self.is_last[at] && self.happened[micro.txn as usize] {
                    self.orders[micro.key as usize].push(place);
                }
            }
        }
    }

    fn facts(self) -> Facts<'t, 'h> {
        let txns = self.txns;
        let mut facts = Facts {
            txns,
            happened: self.happened,
            reads: Vec::new(),
            read_starts: vec![0],
            writes: Vec::new(),
            write_starts: vec![0],
            rank: self.rank,
            orders: self.orders,
            direct: self.direct,
            session: Vec::new(),
            before: Vec::new(),
        };
        for txn in 0..txns.len() as Txn {
            let first_write = facts.writes.len();
            for place in txns.places(txn) {
                let micro = txns.micros[place];
                let source = self.source[place];
                if self.is_last[place] {
                    facts.writes.push(Write {
                        key: micro.key,
                        place: place as Place,
                    });
                } else if source != NOTHING {
                    let writer = match source {
                        NOBODY => INITIAL,
                        source => txns.micros[source as usize].txn,
                    };
                    facts.reads.push(Read {
                        key: micro.key,
                        writer,
                        source,
                        place: place as Place,
                    });
                }
            }
            facts.writes[first_write..].sort_unstable_by_key(|write| write.key);
            facts.read_starts.push(facts.reads.len() as u32);
            facts.write_starts.push(facts.writes.len() as u32);
        }
        facts
    }
}

/// How many anomalies of each kind there are.
pub(super) fn counts(kinds: impl Iterator<Item = &'static str>) -> Vec<(&'static str, u64)> {
    let mut counts: FxHashMap<&'static str, u64> = FxHashMap::default();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}
