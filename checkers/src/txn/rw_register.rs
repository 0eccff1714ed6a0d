//! `rw-register`: transactions that write unique values to registers, and read them.
//!
//! Unlike lists, values do not tell their order. Known are: who wrote what was read (`wr`), that the initial state comes before
//! everything (`rw` from whoever read it to every writer), and, where the history tells versions, all of their order. The rest is assumed, if
//! at all ([`Source::ASSUMPTIONS`]): that what a transaction reads comes before what it then writes, that each process sees ever newer
//! values of a key, that all do in real time. From each two values in order follow `ww` between their writers, and `rw` from the readers of the one to the writer of the other.
//!
//! A value that nobody wrote is an anomaly, with one exception: if the history is said to be a fragment of a longer one, and no initial state is named,
//! one value of a key may be of unknown origin, where nobody read `null` of that key, and no write was acknowledged before the value was read. Nothing is
//! concluded from it.
//!
//! The initial value may be written, too. Then a read of it shows either, and nothing is concluded from that read: what is concluded from
//! all others holds whichever it was.
//!
//! What it proves: every anomaly reported is one, under what was assumed. What it cannot: without versions the order is partial, and what it leaves open may hide
//! cycles. What it needs: every value is written to its key once only.

use super::direct::{Clash, Facts, What};
use super::explain::Because;
use super::graph::{Hub, NONE, Txn};
use super::input::{Act, ByKey, Key, Outcome, Token, Txns, UNWRITTEN};
use super::relation::Relations;
use super::search::Step;
use super::versions::{Source, Versions};
use rustc_hash::FxHashMap;

/// A write to the key.
#[derive(Debug, Clone, Copy)]
struct Write {
    token: Token,
    txn: Txn,
    place: u32,
    /// Whether it is its transaction's last one to this key: what others may see.
    last: bool,
}

/// What a transaction shows of the key to the outside.
#[derive(Debug, Clone, Copy)]
struct Contact {
    txn: Txn,
    /// Which of the key's reads it did before it wrote anything: from, and up to. Each of them may show another version.
    reads: (u32, u32),
    /// What it wrote last.
    write: Option<Token>,
}

/// A read of the key.
#[derive(Debug, Clone, Copy)]
struct Read {
    txn: Txn,
    token: Token,
    place: u32,
}

/// What is taken for granted.
#[derive(Debug, Clone)]
pub(crate) struct Grounds {
    pub(crate) sources: Vec<Source>,
    /// The value before everything.
    pub(crate) initial: Token,
    /// Whether that is certain, so that a value that nobody wrote cannot be it.
    pub(crate) initial_is_known: bool,
    /// By transaction: [`happened`].
    pub(crate) happened: Vec<bool>,
}

/// Which transactions took effect: those that are ok, and those of whose writes an ok one read any.
pub(crate) fn happened(txns: &Txns<'_>, initial: Token) -> Vec<bool> {
    let is = |outcome| move |txn: Txn| txns.is(txn, outcome);
    let mut happened: Vec<bool> = (0..txns.len() as Txn).map(is(Outcome::Ok)).collect();
    let mut doubtful: FxHashMap<(Key, Token), Txn> = FxHashMap::default();
    for micro in &txns.micros {
        if let Act::Write(token) = micro.act
            && txns.is(micro.txn, Outcome::Info)
        {
            doubtful.insert((micro.key, token), micro.txn);
        }
    }
    for micro in txns.micros.iter().filter(|_| !doubtful.is_empty()) {
        if let Act::Read(token) = micro.act
            && token != initial
            && let Some(writer) = doubtful.get(&(micro.key, token))
        {
            happened[*writer as usize] = true;
        }
    }
    happened
}

struct KeyView<'t> {
    txns: &'t Txns<'t>,
    grounds: &'t Grounds,
    key: Key,
    writes: Vec<Write>,
    by_token: FxHashMap<Token, u32>,
    /// The version before everything: the initial value, or where somebody wrote that too, one that no read shows.
    start: Token,
    contacts: Vec<Contact>,
    /// All reads, each transaction's together.
    reads: Vec<Read>,
    versions: Versions,
    facts: Facts,
}

/// Judges one key. `places` are its micro-operations. Says why not, if a value is written twice.
pub(crate) fn judge_key<'t>(
    txns: &'t Txns<'t>,
    grounds: &'t Grounds,
    key: Key,
    places: &[u32],
) -> Result<Facts, String> {
    let mut view = KeyView::new(txns, grounds, key, places)?;
    view.reads();
    view.within_transactions(places);
    view.lost_updates();
    view.order();
    // An indeterminate transaction that was seen, were it of another key, wrote what it wrote here.
    let contacts = view.contacts.iter();
    let sure = contacts.filter(|contact| grounds.happened[contact.txn as usize]);
    let written = sure.filter_map(|contact| contact.write);
    let open = view.versions.leaves_open(written) || view.reads_either();
    view.facts.unordered = usize::from(open);
    view.edges();
    Ok(view.facts)
}

impl<'t> KeyView<'t> {
    fn new(
        txns: &'t Txns<'t>,
        grounds: &'t Grounds,
        key: Key,
        places: &[u32],
    ) -> Result<KeyView<'t>, String> {
        let mut view = KeyView {
            txns,
            grounds,
            key,
            writes: Vec::new(),
            by_token: FxHashMap::default(),
            start: grounds.initial,
            contacts: Vec::new(),
            reads: Vec::new(),
            versions: Versions::default(),
            facts: Facts::default(),
        };
        for place in places {
            view.take(*place)?;
        }
        let writes_it = view.write_of(grounds.initial);
        if writes_it.is_some_and(|write| !txns.is(write.txn, Outcome::Fail)) {
            view.start = UNWRITTEN;
        }
        Ok(view)
    }

    fn take(&mut self, place: u32) -> Result<(), String> {
        let micro = self.txns.micros[place as usize];
        let txn = micro.txn;
        if self
            .contacts
            .last()
            .is_none_or(|contact| contact.txn != txn)
        {
            let none = self.reads.len() as u32;
            self.contacts.push(Contact {
                txn,
                reads: (none, none),
                write: None,
            });
        }
        let last = self.contacts.len() - 1;
        let contact = &mut self.contacts[last];
        match micro.act {
            Act::Write(token) => {
                if let Some(before) = self.writes.last_mut().filter(|one| one.txn == txn) {
                    before.last = false;
                }
                contact.write = Some(token);
                self.write(Write {
                    token,
                    txn,
                    place,
                    last: true,
                })
            }
            Act::Read(token) => {
                self.reads.push(Read { txn, token, place });
                if contact.write.is_none() {
                    contact.reads.1 = self.reads.len() as u32;
                }
                Ok(())
            }
            Act::ReadList(_) => Ok(()),
        }
    }

    /// A failed write does not count where another one has the same value.
    fn write(&mut self, write: Write) -> Result<(), String> {
        let number = self.writes.len() as u32;
        self.writes.push(write);
        let Some(other) = self.by_token.get_mut(&write.token) else {
            self.by_token.insert(write.token, number);
            return Ok(());
        };
        if self.txns.is(write.txn, Outcome::Fail) {
            return Ok(());
        }
        let before = self.writes[*other as usize];
        if self.txns.is(before.txn, Outcome::Fail) {
            *other = number;
            return Ok(());
        }
        let line = |write: Write| self.txns.operation(write.txn).inv() + 1;
        Err(format!(
            "lines {} and {}: value {} is written to {} twice; every value must be written once only",
            line(before),
            line(write),
            self.txns.element(write.token),
            self.txns.key_text(self.key),
        ))
    }

    fn write_of(&self, token: Token) -> Option<Write> {
        let number = self.by_token.get(&token)?;
        Some(self.writes[*number as usize])
    }

    /// What a transaction read before it wrote anything, where it is known which version that was.
    fn external(&self, contact: &Contact) -> impl Iterator<Item = Read> {
        let (from, to) = contact.reads;
        let reads = self.reads[from as usize..to as usize].iter().copied();
        reads.filter(|read| !self.is_either(read.token))
    }

    /// Whether a read of this value may show the initial state, or a write of the same value.
    fn is_either(&self, token: Token) -> bool {
        self.is_initial(token) && self.start != token
    }

    /// The versions that a transaction shows, in its order: what it read, and what it wrote last.
    fn shown(&self, contact: &Contact) -> impl Iterator<Item = Token> {
        let read = self.external(contact).map(|read| read.token);
        read.chain(contact.write)
    }

    /// Whether any transaction shows a version of which it is not known which one it is.
    fn reads_either(&self) -> bool {
        let mut contacts = self.contacts.iter();
        contacts.any(|contact| {
            let (from, to) = contact.reads;
            let mut reads = self.reads[from as usize..to as usize].iter();
            reads.any(|read| self.is_either(read.token))
        })
    }

    fn is_initial(&self, token: Token) -> bool {
        token == self.grounds.initial
    }

    /// What is wrong with single reads: told of the first one of each value.
    fn reads(&mut self) {
        let mut unwritten: Vec<(Token, Txn, u32)> = Vec::new();
        let mut saw_initial = false;
        for number in 0..self.reads.len() {
            let Read { txn, token, place } = self.reads[number];
            match self.write_of(token) {
                // Of a transaction that failed it is none: the initial state it may always be.
                _ if self.is_initial(token) => saw_initial = true,
                Some(write) => self.read_of(txn, token, write),
                None => unwritten.push((token, txn, place)),
            }
        }
        let one_value = unwritten.iter().all(|(token, ..)| *token == unwritten[0].0);
        let tolerable = one_value && !saw_initial && !self.grounds.initial_is_known;
        if tolerable && !unwritten.iter().any(|(_, txn, _)| self.came_late(*txn)) {
            return;
        }
        unwritten.sort_by_key(|(token, txn, _)| (*token, *txn));
        unwritten.dedup_by_key(|(token, ..)| *token);
        for (token, txn, _) in unwritten {
            self.facts.found(self.key, &[txn], What::GarbageRead(token));
        }
    }

    /// Whether a write was acknowledged before this transaction was invoked. That real time orders the key's versions may be taken for granted
    /// as it is for values of known origin.
    fn came_late(&self, txn: Txn) -> bool {
        let infers = |source: &Source| matches!(source, Source::Sequential | Source::Linearizable);
        if self.grounds.sources.iter().any(infers) {
            return false;
        }
        let begun = self.txns.spans[txn as usize].invoked;
        let mut writes = self.writes.iter();
        writes.any(|write| self.txns.spans[write.txn as usize].completed < begun)
    }

    fn read_of(&mut self, txn: Txn, token: Token, write: Write) {
        match self.txns.outcome[write.txn as usize] {
            Outcome::Fail => {
                let what = What::AbortedRead(token);
                self.facts.found(self.key, &[txn, write.txn], what);
            }
            Outcome::Info => self.facts.happened.push(write.txn),
            Outcome::Ok => {}
        }
        if !write.last && write.txn != txn {
            let what = What::IntermediateRead(token);
            self.facts.found(self.key, &[txn, write.txn], what);
        }
    }

    /// Each committed transaction against itself.
    fn within_transactions(&mut self, places: &[u32]) {
        let txns = self.txns;
        let txn_of = |place: &u32| txns.micros[*place as usize].txn;
        for own in places.chunk_by(|one, other| txn_of(one) == txn_of(other)) {
            let txn = txn_of(&own[0]);
            if own.len() > 1 && txns.is(txn, Outcome::Ok) {
                self.within(txn, own);
            }
        }
    }

    fn within(&mut self, txn: Txn, own: &[u32]) {
        let mut known: Option<Token> = None;
        let mut seen: Vec<Token> = Vec::new();
        let (mut internal, mut future) = (false, false);
        for place in own {
            match self.txns.micros[*place as usize].act {
                Act::Write(token) => {
                    if !future && seen.contains(&token) && !self.is_initial(token) {
                        future = true;
                        self.facts.found(self.key, &[txn], What::FutureRead(token));
                    }
                    known = Some(token);
                }
                Act::Read(token) => {
                    if !internal && known.is_some_and(|known| known != token) {
                        internal = true;
                        self.facts.found(self.key, &[txn], What::Internal(*place));
                    }
                    known = Some(token);
                    seen.push(token);
                }
                Act::ReadList(_) => {}
            }
        }
    }

    /// Transactions that first read the same value and then wrote: what one of them wrote comes between that value and what the
    /// other one wrote.
    fn lost_updates(&mut self) {
        let updates = self
            .contacts
            .iter()
            .filter(|contact| contact.write.is_some() && self.txns.is(contact.txn, Outcome::Ok));
        let updates = updates.flat_map(|contact| self.external(contact));
        let mut updates: Vec<(Token, Txn, u32)> = updates
            .map(|read| (read.token, read.txn, read.place))
            .collect();
        updates.sort_unstable();
        updates.dedup_by_key(|(token, txn, _)| (*token, *txn));
        for same in updates.chunk_by(|one, other| one.0 == other.0) {
            if same.len() > 1 {
                let losers: Vec<Txn> = same.iter().map(|(_, txn, _)| *txn).collect();
                self.facts
                    .found(self.key, &losers, What::LostUpdate(same[0].2));
            }
        }
    }

    /// Puts the versions in order, as far as it is known.
    fn order(&mut self) {
        let initial = self.start;
        let all = self.contacts.iter();
        let all = all.flat_map(|contact| self.shown(contact));
        let others = all.filter(|token| *token != initial);
        let mut pairs: Vec<(Token, Token)> = others.map(|token| (initial, token)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        self.versions.add(Source::Initial, &pairs);
        if self.txns.has_versions() {
            let pairs = self.told();
            self.add(Source::Told, &pairs);
        }
        for source in &self.grounds.sources {
            let pairs = match source {
                Source::WritesFollowReads => self.writes_follow_reads(),
                Source::Sequential => self.in_processes(),
                Source::Linearizable => self.in_real_time(),
                Source::Initial | Source::Told => continue,
            };
            self.add(*source, &pairs);
        }
    }

    fn add(&mut self, source: Source, pairs: &[(Token, Token)]) {
        let sources = self.versions.sources().iter().chain([&source]);
        let sources: Vec<&'static str> = sources.map(|source| source.text()).collect();
        for circle in self.versions.add(source, pairs) {
            let whose = circle.iter().filter_map(|token| self.write_of(*token));
            let mut txns: Vec<Txn> = whose.map(|write| write.txn).collect();
            let all = self.contacts.iter();
            let reads = all.flat_map(|contact| self.external(contact));
            let reads = reads.filter(|read| circle.contains(&read.token));
            txns.extend(reads.map(|read| read.txn));
            txns.sort_unstable();
            txns.dedup();
            let what = What::CyclicVersions(circle, sources.clone());
            self.facts.found(self.key, &txns, what);
        }
    }

    /// Each told version and the next one. They must agree with each other.
    fn told(&mut self) -> Vec<(Token, Token)> {
        let version = |place: u32| self.txns.version(place as usize);
        let writes = self.writes.iter().filter(|write| write.last);
        let writes = writes.filter(|write| !self.txns.is(write.txn, Outcome::Fail));
        let writes = writes
            .filter_map(|write| Some((version(write.place)?, write.token, write.place, write.txn)));
        let reads = self.reads.iter();
        let reads = reads.filter(|read| !self.is_either(read.token));
        let reads =
            reads.filter_map(|read| Some((version(read.place)?, read.token, read.place, read.txn)));
        let mut told: Vec<(i64, Token, u32, Txn)> = writes.chain(reads).collect();
        told.sort_by_key(|(version, token, place, _)| (*version, *token, *place));
        for pair in told.windows(2) {
            let ((one, first, p, a), (other, second, q, b)) = (pair[0], pair[1]);
            if one == other && first != second {
                self.facts
                    .found(self.key, &[a, b], What::Contradiction(p, q, Clash::Same));
            }
        }
        let mut by_value = told.clone();
        by_value.sort_by_key(|(version, token, place, _)| (*token, *version, *place));
        for pair in by_value.windows(2) {
            let ((one, first, p, a), (other, second, q, b)) = (pair[0], pair[1]);
            if first == second && one != other {
                self.facts
                    .found(self.key, &[a, b], What::Contradiction(p, q, Clash::Read));
            }
        }
        let pairs = told.windows(2).filter(|pair| pair[0].0 != pair[1].0);
        pairs.map(|pair| (pair[0].1, pair[1].1)).collect()
    }

    fn writes_follow_reads(&self) -> Vec<(Token, Token)> {
        let ok = |contact: &&Contact| self.txns.is(contact.txn, Outcome::Ok);
        let contacts = self.contacts.iter().filter(ok);
        let pairs = contacts.flat_map(|contact| {
            let written = contact.write.into_iter();
            written.flat_map(|token| self.external(contact).map(move |read| (read.token, token)))
        });
        pairs.collect()
    }

    fn in_processes(&self) -> Vec<(Token, Token)> {
        let mut last: FxHashMap<u32, Token> = FxHashMap::default();
        let mut pairs = Vec::new();
        for contact in &self.contacts {
            let process = self.txns.process[contact.txn as usize];
            if self.txns.is(contact.txn, Outcome::Fail) {
                continue;
            }
            let mut before = last.get(&process).copied();
            for token in self.shown(contact) {
                pairs.extend(before.map(|before| (before, token)));
                before = Some(token);
            }
            if let (true, Some(token)) = (self.txns.is(contact.txn, Outcome::Ok), before) {
                last.insert(process, token);
            }
        }
        pairs
    }

    /// From what each contact ended with to what those begin with that were invoked afterwards, with nobody in between; and within each.
    fn in_real_time(&self) -> Vec<(Token, Token)> {
        let possible = self.contacts.iter();
        let possible = possible.filter(|contact| !self.txns.is(contact.txn, Outcome::Fail));
        // What shows nothing stands between nobody.
        let possible = possible.filter(|contact| self.shown(contact).next().is_some());
        let mut events: Vec<(u32, bool, &Contact)> = Vec::new();
        for contact in possible {
            let span = self.txns.spans[contact.txn as usize];
            events.push((span.invoked, true, contact));
            if span.completed != NONE {
                events.push((span.completed, false, contact));
            }
        }
        events.sort_unstable_by_key(|(line, ..)| *line);
        let mut frontier: Vec<&Contact> = Vec::new();
        let mut pairs = Vec::new();
        for (_, begins, contact) in events {
            let begun = self.txns.spans[contact.txn as usize].invoked;
            if begins {
                let before = frontier.iter().filter_map(|one| self.shown(one).last());
                let mut shown = self.shown(contact);
                let mut one = shown.next();
                pairs.extend(before.zip(one.into_iter().cycle()));
                for next in shown {
                    pairs.extend(one.map(|one| (one, next)));
                    one = Some(next);
                }
            } else {
                frontier.retain(|before| self.txns.spans[before.txn as usize].completed > begun);
                frontier.push(contact);
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Who read each value before it wrote anything, of those that committed.
    fn readers(&self) -> FxHashMap<Token, Vec<Txn>> {
        let mut readers: FxHashMap<Token, Vec<Txn>> = FxHashMap::default();
        for read in self.contacts.iter().flat_map(|one| self.external(one)) {
            let readers = readers.entry(read.token).or_default();
            if readers.last() != Some(&read.txn) {
                readers.push(read.txn);
            }
        }
        readers
    }

    /// The transaction whose version this value is.
    fn installer(&self, token: Token) -> Option<Txn> {
        let write = self.write_of(token)?;
        let installed = write.last && !self.txns.is(write.txn, Outcome::Fail);
        installed.then_some(write.txn)
    }

    fn edges(&mut self) {
        // Each read by itself shows a version: that of its writer, and older than all that come after it. This holds whatever else
        // the transaction read of the key, so that reads that differ show both at once.
        let readers = self.readers();
        let mut read_from: Vec<(Txn, Txn)> = Vec::new();
        for (token, readers) in &readers {
            if let Some(writer) = self.installer(*token) {
                read_from.extend(readers.iter().map(|reader| (*reader, writer)));
            }
        }
        read_from.sort_unstable();
        read_from.dedup();
        for (reader, writer) in read_from {
            self.facts.edge(writer, reader, Relations::WR);
        }
        let pairs: Vec<(Token, Token, Source)> = self.versions.pairs().collect();
        for (before, after, source) in pairs {
            let Some(writer) = self.installer(after).filter(|_| source != Source::Initial) else {
                continue;
            };
            if let Some(other) = self.installer(before) {
                self.facts.edge(other, writer, Relations::WW);
            }
            for reader in readers.get(&before).into_iter().flatten() {
                self.facts.edge(*reader, writer, Relations::RW);
            }
        }
        let installers = self
            .contacts
            .iter()
            .filter_map(|contact| self.installer(contact.write?));
        let mut installers: Vec<Txn> = installers.collect();
        installers.sort_unstable();
        installers.dedup();
        let mut early = readers.get(&self.start).cloned().unwrap_or_default();
        early.sort_unstable();
        early.dedup();
        self.facts.hub = (!early.is_empty() && !installers.is_empty()).then_some(Hub {
            before: early,
            after: installers,
        });
    }
}

/// Why one transaction precedes another one, key by key.
pub(crate) struct Reasons<'t> {
    txns: &'t Txns<'t>,
    by_key: &'t ByKey,
    grounds: &'t Grounds,
    views: FxHashMap<Key, KeyView<'t>>,
}

impl<'t> Reasons<'t> {
    pub(crate) fn new(txns: &'t Txns<'t>, by_key: &'t ByKey, grounds: &'t Grounds) -> Reasons<'t> {
        Reasons {
            txns,
            by_key,
            grounds,
            views: FxHashMap::default(),
        }
    }

    fn view(&mut self, key: Key) -> Option<&KeyView<'t>> {
        if !self.views.contains_key(&key) {
            let places = self.by_key.of(key);
            let mut view = KeyView::new(self.txns, self.grounds, key, places).ok()?;
            view.order();
            self.views.insert(key, view);
        }
        self.views.get(&key)
    }
}

impl Because for Reasons<'_> {
    fn because(&mut self, step: &Step, names: [&str; 2]) -> Option<(Key, String)> {
        let mut keys: Vec<Key> = self.txns.micros_of(step.to).iter().map(|m| m.key).collect();
        keys.dedup();
        keys.into_iter().find_map(|key| {
            let view = self.view(key)?;
            Some((key, view.why(step, names)?))
        })
    }
}

impl KeyView<'_> {
    fn contact(&self, txn: Txn) -> Option<&Contact> {
        self.contacts.iter().find(|contact| contact.txn == txn)
    }

    fn why(&self, step: &Step, [a, b]: [&str; 2]) -> Option<String> {
        let (from, to) = (self.contact(step.from)?, self.contact(step.to)?);
        let say = |token: Token| self.txns.element(token).to_string();
        let key = self.txns.key_text(self.key);
        if step.relation == Relations::WR {
            let mut reads = self.external(to);
            let read = reads.find(|read| self.installer(read.token) == Some(step.from))?;
            let value = say(read.token);
            return Some(format!("{b} observed {a}'s write of {value} to {key}"));
        }
        let written = to
            .write
            .filter(|token| self.installer(*token) == Some(step.to))?;
        let may_be_before = |token: Token| match step.relation {
            Relations::WW => from.write == Some(token),
            _ => self.external(from).any(|read| read.token == token),
        };
        let mut pairs = self.versions.pairs();
        let (before, _, source) =
            pairs.find(|(one, other, _)| *other == written && may_be_before(*one))?;
        let (one, other) = (say(before), say(written));
        Some(match step.relation {
            Relations::WW => format!(
                "{a} wrote {one} to {key} and {b} wrote {other}, which came later, as told by {source}"
            ),
            _ if source == Source::Initial => format!(
                "{a} observed the initial state of {key}, so before {b} wrote {other} to it"
            ),
            _ => format!(
                "{a} observed {one} of {key} and not yet {b}'s write of {other}, which came later, as told by {source}"
            ),
        })
    }
}
