//! `list-append`: transactions that append unique elements to lists, and read whole lists.
//!
//! A read tells the order of all appends before it, so that the longest one of a key is its version order, and every shorter
//! one must be a prefix of it. From that order follow the edges:
//!
//! - `ww`: from each writer to the writer of the next element;
//! - `wr`: from the writer of a list's last element to its reader;
//! - `rw`: from the reader of a list to the writer of the next element.
//!
//! An append that nobody saw comes after all that were seen: `ww` from the last writer, `rw` from the readers of the longest list. Without
//! direct anomalies the history is serializable if and only if these edges have no cycle.
//!
//! What it proves: every anomaly reported is one under any explanation of the history. What it cannot: with two or more unseen appends of one key their order is open, and a cycle that
//! each of their orders closes in another way goes unseen by models weaker than serializable. What it needs: every element is
//! appended to its key once only.

use super::direct::{Clash, Facts, What};
use super::explain::Because;
use super::graph::{Hub, NONE, Txn};
use super::input::{Act, ByKey, Key, List, Outcome, Token, Txns};
use super::relation::Relations;
use super::search::Step;
use rustc_hash::FxHashMap;

/// An append to the key.
#[derive(Debug, Clone, Copy)]
struct Append {
    token: Token,
    txn: Txn,
    place: u32,
    /// Whether it is its transaction's last one to this key.
    last: bool,
}

/// A read of the key.
#[derive(Debug, Clone, Copy)]
struct Read<'t> {
    txn: Txn,
    place: u32,
    list: List<'t>,
}

/// An append by its element.
enum Index {
    /// Elements are numbers near each other.
    Dense(u32, Vec<u32>),
    Sparse(FxHashMap<Token, u32>),
}

impl Index {
    fn new(appends: &[Append]) -> Index {
        let tokens = || appends.iter().map(|append| append.token);
        let least = tokens().min().unwrap_or_default();
        let most = tokens().max().unwrap_or_default();
        // Tokens of neighbouring numbers are eight apart.
        let width = (most - least) as usize / 8 + 1;
        let regular = tokens().all(|token| (token - least).is_multiple_of(8));
        if regular && width <= 8 * appends.len() {
            return Index::Dense(least, vec![NONE; width]);
        }
        Index::Sparse(FxHashMap::with_capacity_and_hasher(
            appends.len(),
            Default::default(),
        ))
    }

    fn of(&self, token: Token) -> u32 {
        match self {
            Index::Dense(least, places) => {
                let offset = token.wrapping_sub(*least);
                let place = places.get(offset as usize / 8).copied();
                place.filter(|_| offset.is_multiple_of(8)).unwrap_or(NONE)
            }
            Index::Sparse(places) => places.get(&token).copied().unwrap_or(NONE),
        }
    }

    fn put(&mut self, token: Token, append: u32) {
        match self {
            Index::Dense(least, places) => places[(token - *least) as usize / 8] = append,
            Index::Sparse(places) => {
                places.insert(token, append);
            }
        }
    }
}

/// Everything about one key, while it is judged.
struct KeyView<'t> {
    txns: &'t Txns<'t>,
    key: Key,
    appends: Vec<Append>,
    reads: Vec<Read<'t>>,
    index: Index,
    /// The longest list that was read.
    longest: List<'t>,
    longest_read: Option<usize>,
    /// By place in the longest list: the append, or [`NONE`] if there is none, or it stands there for the second time.
    order: Vec<u32>,
    /// By append: its place in the longest list, or [`NONE`].
    position: Vec<u32>,
    facts: Facts,
}

/// Judges one key. `places` are its micro-operations. Says why not, if an element is appended twice.
pub(crate) fn judge_key(txns: &Txns<'_>, key: Key, places: &[u32]) -> Result<Facts, String> {
    let mut view = KeyView::new(txns, key, places)?;
    view.arrange();
    view.the_longest_list();
    view.other_lists();
    view.swapped_appends();
    view.within_transactions(places);
    view.lost_updates(places);
    view.edges();
    if txns.has_versions() {
        view.versions();
    }
    Ok(view.facts)
}

impl<'t> KeyView<'t> {
    fn new(txns: &'t Txns<'t>, key: Key, places: &[u32]) -> Result<KeyView<'t>, String> {
        let mut appends: Vec<Append> = Vec::new();
        let mut reads: Vec<Read<'t>> = Vec::new();
        for place in places {
            let micro = txns.micros[*place as usize];
            match micro.act {
                Act::Write(token) => {
                    if let Some(before) = appends.last_mut().filter(|one| one.txn == micro.txn) {
                        before.last = false;
                    }
                    appends.push(Append {
                        token,
                        txn: micro.txn,
                        place: *place,
                        last: true,
                    });
                }
                Act::ReadList(list) => reads.push(Read {
                    txn: micro.txn,
                    place: *place,
                    list: txns.list(list),
                }),
                Act::Read(_) => {}
            }
        }
        let index = Index::new(&appends);
        let mut longest_read = None;
        for (place, read) in reads.iter().enumerate() {
            if longest_read.is_none_or(|best: usize| reads[best].list.len() < read.list.len()) {
                longest_read = Some(place);
            }
        }
        let mut view = KeyView {
            txns,
            key,
            position: vec![NONE; appends.len()],
            appends,
            index,
            longest: longest_read.map_or_else(List::default, |best| reads[best].list),
            longest_read,
            reads,
            order: Vec::new(),
            facts: Facts::default(),
        };
        view.number()?;
        Ok(view)
    }

    /// Fills the index. A failed append does not count where another one has the same element.
    fn number(&mut self) -> Result<(), String> {
        for (place, append) in (0..).zip(&self.appends) {
            let other = self.index.of(append.token);
            if other != NONE {
                let other = self.appends[other as usize];
                if self.txns.is(append.txn, Outcome::Fail) {
                    continue;
                }
                if !self.txns.is(other.txn, Outcome::Fail) {
                    return Err(self.appended_twice(*append, other));
                }
            }
            self.index.put(append.token, place);
        }
        Ok(())
    }

    fn appended_twice(&self, append: Append, other: Append) -> String {
        let line = |append: Append| self.txns.operation(append.txn).inv() + 1;
        format!(
            "lines {} and {}: element {} is appended to {} twice; every element must be appended once only",
            line(other),
            line(append),
            self.txns.element(append.token),
            self.txns.key_text(self.key),
        )
    }

    fn append_of(&self, token: Token) -> Option<Append> {
        self.appends.get(self.index.of(token) as usize).copied()
    }

    /// The append at a place of the longest list, if it is one that may have happened.
    fn at(&self, place: usize) -> Option<Append> {
        let append = *self.appends.get(*self.order.get(place)? as usize)?;
        (!self.txns.is(append.txn, Outcome::Fail)).then_some(append)
    }

    fn arrange(&mut self) {
        self.order.reserve(self.longest.len());
        for (place, token) in (0..).zip(self.longest.iter()) {
            let append = self.index.of(token);
            let known = self.position.get_mut(append as usize);
            match known {
                Some(position) if *position == NONE => {
                    *position = place;
                    self.order.push(append);
                }
                _ => self.order.push(NONE),
            }
        }
        let seen = self
            .order
            .iter()
            .filter_map(|append| self.appends.get(*append as usize));
        let info = seen.filter(|append| self.txns.is(append.txn, Outcome::Info));
        self.facts.happened.extend(info.map(|append| append.txn));
    }

    /// What is wrong with the elements of the longest list: told of the first transaction that saw them.
    fn the_longest_list(&mut self) {
        let Some(longest_read) = self.longest_read else {
            return;
        };
        let mut last_failed: Option<Append> = None;
        for place in 0..self.longest.len() {
            let token = self.longest.get(place);
            match self.append_of(token) {
                Some(append) if self.order[place] == NONE => {
                    let reader = self.first_reader(place);
                    self.facts
                        .found(self.key, &[reader, append.txn], What::Duplicate(token));
                }
                None => {
                    let reader = self.first_reader(place);
                    let repeated = self.longest.first(place).iter().any(|other| other == token);
                    let what = match repeated {
                        true => What::Duplicate(token),
                        false => What::GarbageRead(token),
                    };
                    self.facts.found(self.key, &[reader], what);
                }
                Some(append) => match self.txns.outcome[append.txn as usize] {
                    Outcome::Fail => {
                        let reader = self.first_reader(place);
                        let what = What::AbortedRead(token);
                        self.facts.found(self.key, &[reader, append.txn], what);
                        last_failed = Some(append);
                    }
                    Outcome::Ok => {
                        if let Some(failed) = last_failed.take() {
                            let reader = self.reads[longest_read].txn;
                            let what = What::DirtyUpdate(failed.token);
                            self.facts
                                .found(self.key, &[append.txn, failed.txn, reader], what);
                        }
                    }
                    Outcome::Info => {}
                },
            }
        }
    }

    /// The first transaction that saw the element at a place of the longest list.
    fn first_reader(&self, place: usize) -> Txn {
        let upto = self.longest.first(place + 1);
        let mut saw = self
            .reads
            .iter()
            .filter(|read| upto.is_prefix_of(read.list));
        saw.next().map_or(NONE, |read| read.txn)
    }

    /// Lists that are no prefix of the longest one, and reads of what was not its writer's last word.
    fn other_lists(&mut self) {
        for number in 0..self.reads.len() {
            let read = self.reads[number];
            let last = read.list.last().and_then(|token| self.append_of(token));
            if let Some(append) = last.filter(|append| !append.last && append.txn != read.txn) {
                let what = What::IntermediateRead(append.token);
                self.facts.found(self.key, &[read.txn, append.txn], what);
            }
            if !read.list.is_prefix_of(self.longest) {
                self.a_list_by_itself(read);
            }
        }
    }

    fn a_list_by_itself(&mut self, read: Read<'t>) {
        if let Some(longest) = self.longest_read {
            let longest = self.reads[longest];
            let what = What::IncompatibleOrder(read.place, longest.place);
            self.facts.found(self.key, &[read.txn, longest.txn], what);
        }
        let mut tokens: Vec<Token> = read.list.iter().collect();
        tokens.sort_unstable();
        for equal in tokens.chunk_by(|one, other| one == other) {
            let append = self.append_of(equal[0]);
            if equal.len() > 1 {
                let txns: Vec<Txn> = [Some(read.txn), append.map(|append| append.txn)]
                    .into_iter()
                    .flatten()
                    .collect();
                self.facts.found(self.key, &txns, What::Duplicate(equal[0]));
            }
            match append {
                None => {
                    let what = What::GarbageRead(equal[0]);
                    self.facts.found(self.key, &[read.txn], what);
                }
                Some(append) if self.txns.is(append.txn, Outcome::Fail) => {
                    let what = What::AbortedRead(equal[0]);
                    self.facts.found(self.key, &[read.txn, append.txn], what);
                }
                Some(append) if self.txns.is(append.txn, Outcome::Info) => {
                    self.facts.happened.push(append.txn);
                }
                Some(_) => {}
            }
        }
    }

    /// Elements of one transaction that stand in another order than it appended them, or without one that it appended before.
    fn swapped_appends(&mut self) {
        for number in 1..self.appends.len() {
            let (one, other) = (self.appends[number - 1], self.appends[number]);
            let (first, second) = (self.position[number - 1], self.position[number]);
            if one.txn == other.txn && second < first {
                let reader = self.first_reader(second as usize);
                let what = What::Swapped(one.place, other.place);
                self.facts.found(self.key, &[reader, one.txn], what);
            }
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
        let mut known: Option<List<'t>> = None;
        let mut appended: Vec<Token> = Vec::new();
        let mut lists: Vec<List<'t>> = Vec::new();
        let (mut internal, mut future) = (false, false);
        for place in own {
            match self.txns.micros[*place as usize].act {
                Act::Write(token) => {
                    let saw = |list: &List<'t>| self.contains(*list, token);
                    if !future && lists.iter().any(saw) {
                        future = true;
                        self.facts.found(self.key, &[txn], What::FutureRead(token));
                    }
                    appended.push(token);
                }
                Act::ReadList(list) => {
                    let list = self.txns.list(list);
                    if !internal && !continues(list, known, &appended) {
                        internal = true;
                        self.facts.found(self.key, &[txn], What::Internal(*place));
                    }
                    (known, appended) = (Some(list), Vec::new());
                    lists.push(list);
                }
                Act::Read(_) => {}
            }
        }
    }

    fn contains(&self, list: List<'t>, token: Token) -> bool {
        if list.is_prefix_of(self.longest) {
            let append = self.index.of(token);
            let position = self.position.get(append as usize);
            return position.is_some_and(|position| (*position as usize) < list.len());
        }
        list.iter().any(|element| element == token)
    }

    /// Transactions that first read the same list and then appended to it.
    fn lost_updates(&mut self, places: &[u32]) {
        let txns = self.txns;
        let txn_of = |place: &u32| txns.micros[*place as usize].txn;
        let mut updates: Vec<Read<'t>> = Vec::new();
        for own in places.chunk_by(|one, other| txn_of(one) == txn_of(other)) {
            let writes = |place: &u32| matches!(txns.micros[*place as usize].act, Act::Write(_));
            let txn = txn_of(&own[0]);
            let Some(first) = own
                .iter()
                .position(writes)
                .filter(|_| txns.is(txn, Outcome::Ok))
            else {
                continue;
            };
            // Every list that it read before it appended: what others append between one of them and its own append overtakes it.
            let reads = own[..first].iter().filter_map(|place| {
                let Act::ReadList(list) = txns.micros[*place as usize].act else {
                    return None;
                };
                let (list, place) = (txns.list(list), *place);
                Some(Read { txn, place, list })
            });
            let reads: Vec<Read<'t>> = reads.collect();
            let shortest = reads.iter().min_by_key(|read| read.list.len());
            if let Some(shortest) = shortest {
                self.overtaken(*shortest);
            }
            updates.extend(reads);
        }
        if updates.len() < 2 {
            return;
        }
        updates.sort_by(|one, other| {
            let lengths = one.list.len().cmp(&other.list.len());
            let lists = lengths.then_with(|| one.list.cmp(&other.list));
            lists.then_with(|| (one.txn, one.place).cmp(&(other.txn, other.place)))
        });
        updates.dedup_by(|one, other| (one.txn, one.list) == (other.txn, other.list));
        for same in updates.chunk_by(|one, other| one.list == other.list) {
            if same.len() > 1 {
                let losers: Vec<Txn> = same.iter().map(|read| read.txn).collect();
                self.facts
                    .found(self.key, &losers, What::LostUpdate(same[0].place));
            }
        }
    }

    /// Another one's append between what a transaction read and what it then appended.
    fn overtaken(&mut self, read: Read<'t>) {
        let first = self.appends.partition_point(|append| append.txn < read.txn);
        let Some(position) = self.position.get(first).copied() else {
            return;
        };
        // Unless it was seen it may come directly behind what was read, or all that was seen comes in between.
        let end = match position {
            NONE => self.longest.len(),
            position => position as usize,
        };
        let between = (read.list.len()..end).find_map(|place| self.at(place));
        if let Some(other) = between.filter(|other| other.txn != read.txn)
            && read.list.is_prefix_of(self.longest)
        {
            let what = What::Overtaken(read.place);
            self.facts.found(self.key, &[read.txn, other.txn], what);
        }
    }

    fn edges(&mut self) {
        let length = self.longest.len();
        // The next place with a writer, by place.
        let mut next = vec![length; length + 1];
        for place in (0..length).rev() {
            next[place] = if self.at(place).is_some() {
                place
            } else {
                next[place + 1]
            };
        }
        let mut last: Option<Txn> = None;
        for place in 0..length {
            let Some(append) = self.at(place) else {
                continue;
            };
            if let Some(before) = last {
                self.facts.edge(before, append.txn, Relations::WW);
            }
            last = Some(append.txn);
        }
        let mut readers: Vec<Txn> = Vec::new();
        for number in 0..self.reads.len() {
            let read = self.reads[number];
            let Some(seen) = self.seen_by(read) else {
                continue;
            };
            match self.at(next[seen.min(length)]) {
                Some(append) => self.facts.edge(read.txn, append.txn, Relations::RW),
                None => readers.push(read.txn),
            }
        }
        self.unseen(last, readers);
    }

    /// Draws the edge to a read from the writer of what it saw last. Returns how many elements of the longest list come before
    /// it, if that can be told.
    fn seen_by(&mut self, read: Read<'t>) -> Option<usize> {
        let Some(last) = read.list.last() else {
            return Some(0);
        };
        let prefix = read.list.is_prefix_of(self.longest);
        let position = match self.index.of(last) {
            NONE if prefix => read.list.len() as u32 - 1,
            append => *self.position.get(append as usize).unwrap_or(&NONE),
        };
        if position == NONE {
            let unordered = self.append_of(last)?;
            if !self.txns.is(unordered.txn, Outcome::Fail) {
                self.facts.edge(unordered.txn, read.txn, Relations::WR);
            }
            return None;
        }
        let position = position as usize;
        // Behind own appends the list shows what others had appended before.
        let others = |append: &Append| append.txn != read.txn;
        let mut before = (0..=position).rev();
        let writer = before.find_map(|place| self.at(place).filter(others));
        if let Some(writer) = writer {
            self.facts.edge(writer.txn, read.txn, Relations::WR);
        }
        Some(position + 1)
    }

    /// Appends that nobody saw come after the last one that was seen, and after all who read the whole list.
    fn unseen(&mut self, last: Option<Txn>, mut readers: Vec<Txn>) {
        let unseen = self.appends.iter().zip(&self.position);
        let unseen = unseen.filter(|(append, position)| {
            **position == NONE && !self.txns.is(append.txn, Outcome::Fail)
        });
        let mut unseen: Vec<Txn> = unseen.map(|(append, _)| append.txn).collect();
        unseen.sort_unstable();
        unseen.dedup();
        if unseen.len() > 1 {
            self.facts.unseen.clone_from(&unseen);
        }
        if unseen.is_empty() {
            return;
        }
        if let Some(last) = last {
            for txn in &unseen {
                self.facts.edge(last, *txn, Relations::WW);
            }
        }
        readers.sort_unstable();
        readers.dedup();
        self.facts.hub = (!readers.is_empty()).then_some(Hub {
            before: readers,
            after: unseen,
        });
    }

    /// Where versions are told, they must agree with what was seen, and they order what was not.
    fn versions(&mut self) {
        let versioned = |append: &Append| self.txns.version(append.place as usize);
        let mut all: Vec<(i64, u32, Append)> = Vec::new();
        for (append, position) in self.appends.iter().zip(&self.position) {
            if let Some(version) = versioned(append) {
                all.push((version, *position, *append));
            }
        }
        all.sort_by_key(|(version, position, append)| (*version, *position, append.place));
        for pair in all.windows(2) {
            let ((one, _, first), (other, _, second)) = (pair[0], pair[1]);
            if one == other && first.txn != second.txn {
                let what = What::Contradiction(first.place, second.place, Clash::Same);
                self.facts.found(self.key, &[first.txn, second.txn], what);
            }
        }
        self.versions_in_order(&all);
        self.versions_of_reads();
    }

    /// `all`: version, place in the longest list, append; by version.
    fn versions_in_order(&mut self, all: &[(i64, u32, Append)]) {
        let mut highest: Option<(u32, Append)> = None;
        let mut unseen: Option<Append> = None;
        for (_, position, append) in all {
            if *position == NONE {
                if let Some(before) = unseen {
                    self.facts.edge(before.txn, append.txn, Relations::WW);
                }
                unseen = Some(*append);
                continue;
            }
            // An append of a lower version that the longest list does not have was lost.
            if let Some(missing) = unseen.filter(|missing| self.txns.is(missing.txn, Outcome::Ok))
                && let Some(read) = self.longest_read
            {
                let read = self.reads[read];
                let what = What::Contradiction(missing.place, read.place, Clash::Missing);
                self.facts.found(self.key, &[missing.txn, read.txn], what);
            }
            unseen = None;
            if let Some((place, before)) = highest.filter(|(place, _)| place > position) {
                let what = What::Contradiction(append.place, before.place, Clash::Order);
                self.facts.found(self.key, &[append.txn, before.txn], what);
                highest = Some((place, before));
            } else {
                highest = Some((*position, *append));
            }
        }
    }

    fn versions_of_reads(&mut self) {
        for number in 0..self.reads.len() {
            let read = self.reads[number];
            let Some(told) = self.txns.version(read.place as usize) else {
                continue;
            };
            let Some(append) = read.list.last().and_then(|last| self.append_of(last)) else {
                continue;
            };
            let made = self.txns.version(append.place as usize);
            if made.is_some_and(|made| made != told) {
                let what = What::Contradiction(append.place, read.place, Clash::Read);
                self.facts.found(self.key, &[append.txn, read.txn], what);
            }
        }
    }
}

/// Why one transaction precedes another one, key by key.
pub(crate) struct Reasons<'t> {
    txns: &'t Txns<'t>,
    by_key: &'t ByKey,
    views: FxHashMap<Key, KeyView<'t>>,
}

impl<'t> Reasons<'t> {
    pub(crate) fn new(txns: &'t Txns<'t>, by_key: &'t ByKey) -> Reasons<'t> {
        Reasons {
            txns,
            by_key,
            views: FxHashMap::default(),
        }
    }

    fn view(&mut self, key: Key) -> Option<&KeyView<'t>> {
        if !self.views.contains_key(&key) {
            let mut view = KeyView::new(self.txns, key, self.by_key.of(key)).ok()?;
            view.arrange();
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
            let text = match step.relation {
                Relations::WW => view.why_ww(step, names),
                Relations::WR => view.why_wr(step, names),
                _ => view.why_rw(step, names),
            };
            Some((key, text?))
        })
    }
}

impl KeyView<'_> {
    fn appends_of(&self, txn: Txn) -> impl Iterator<Item = (usize, Append)> {
        let own = self.appends.iter().zip(&self.position);
        own.filter(move |(append, _)| append.txn == txn)
            .map(|(append, position)| (*position as usize, *append))
    }

    fn say(&self, token: Token) -> String {
        self.txns.element(token).to_string()
    }

    fn name(&self) -> String {
        self.txns.key_text(self.key)
    }

    /// The last append in front of a place that may have happened.
    fn before(&self, place: usize) -> Option<Append> {
        (0..place.min(self.longest.len()))
            .rev()
            .find_map(|place| self.at(place))
    }

    fn why_ww(&self, step: &Step, [a, b]: [&str; 2]) -> Option<String> {
        let (_, after) = self
            .appends_of(step.to)
            .find(|(place, _)| self.before(*place).is_some_and(|one| one.txn == step.from))?;
        let place = self.position[self.index.of(after.token) as usize] as usize;
        let before = self.before(place)?;
        let (key, one, other) = (self.name(), self.say(before.token), self.say(after.token));
        Some(match place < self.longest.len() {
            true => format!("{b} appended {other} to {key} behind {a}'s {one}"),
            false => format!(
                "{b} appended {other} to {key}, which nobody saw, so that it comes after all that was seen, {a}'s {one} last"
            ),
        })
    }

    fn why_wr(&self, step: &Step, [a, b]: [&str; 2]) -> Option<String> {
        let own = self.reads.iter().filter(|read| read.txn == step.to);
        let seen = own.filter_map(|read| {
            let last = read.list.last()?;
            let place = self.position.get(self.index.of(last) as usize).copied();
            match place.filter(|place| *place != NONE) {
                Some(place) => {
                    let mut before = (0..=place as usize).rev();
                    let others = |append: &Append| append.txn != step.to;
                    before.find_map(|place| self.at(place).filter(others))
                }
                None => self.append_of(last),
            }
        });
        let append = seen.into_iter().find(|append| append.txn == step.from)?;
        let (element, key) = (self.say(append.token), self.name());
        Some(format!("{b} observed {a}'s append of {element} to {key}"))
    }

    fn why_rw(&self, step: &Step, [a, b]: [&str; 2]) -> Option<String> {
        let own = self.reads.iter().filter(|read| read.txn == step.from);
        let missed = own.filter_map(|read| {
            let first = self
                .appends_of(step.to)
                .find(|(_, append)| !read.list.iter().any(|element| element == append.token));
            first.map(|(_, append)| (read, append))
        });
        let (read, append) = missed.into_iter().next()?;
        let (element, key) = (self.say(append.token), self.name());
        Some(match read.list.last() {
            None => format!(
                "{a} observed {key} while it was still empty, so before {b} appended {element} to it"
            ),
            Some(last) => format!(
                "{a} observed {key} only up to {}, and did not observe {b}'s append of {element}",
                self.say(last)
            ),
        })
    }
}

/// Whether a list is what a transaction must read that last read `known` (if anything) and has since then appended these.
fn continues(list: List<'_>, known: Option<List<'_>>, appended: &[Token]) -> bool {
    let Some(before) = list.len().checked_sub(appended.len()) else {
        return false;
    };
    let behind = list.behind(before).iter().eq(appended.iter().copied());
    behind && known.is_none_or(|known| known == list.first(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_found_by_number_and_by_anything_else() {
        let append = |token| Append {
            token,
            txn: 0,
            place: 0,
            last: true,
        };
        for tokens in [vec![9, 17, 25], vec![9, 13, 9000 * 8 + 1]] {
            let appends: Vec<Append> = tokens.iter().map(|token| append(*token)).collect();
            let mut index = Index::new(&appends);
            for (place, token) in (0..).zip(&tokens) {
                assert_eq!(index.of(*token), NONE);
                index.put(*token, place);
            }
            let found: Vec<u32> = tokens.iter().map(|token| index.of(*token)).collect();
            assert_eq!(found, [0, 1, 2]);
            assert_eq!(index.of(10), NONE);
            assert_eq!(index.of(1), NONE);
        }
    }
}
