//! A store of versions in which transactions run under a known isolation level.
//!
//! Every key holds its versions in the order of their commits. A list is all elements up to a point; a register is the
//! last one. A transaction reads from a *view* (which commits it sees), keeps its writes to itself and installs them at its
//! commit, all at once. What differs between the levels is the view, and what is checked at the commit.
//!
//! A key is used for so many writes and then replaced by a new one, so that lists stay short and memory stays the same.

use super::dice::Dice;
use super::engine::Step;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// How many writes a key gets before a new one takes its place: as in Jepsen's workloads.
const WRITES_PER_KEY: u64 = 32;
/// How far back, in commits, a stale view may lie.
const STALE: usize = 24;

/// What a transaction may see, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Everything that was committed, at one instant of real time.
    StrictSerializable,
    /// One order of all transactions; transactions that only read may see an old state.
    Serializable,
    /// Reads from the state at its beginning; of two concurrent writers of a key one is refused.
    SnapshotIsolation,
    /// Reads from the state at its beginning, writes without a look at others: updates get lost.
    MonotonicSnapshotRead,
    /// Reads from an old state that has all that its session has seen and done.
    Causal,
    /// Sees all of a transaction or nothing, but not what that one depended on.
    ReadAtomic,
    /// Every read sees what is committed at its own instant.
    ReadCommitted,
    /// Reads see what is not committed and may never be; writes of one key wait for each other.
    ReadUncommitted,
}

impl Level {
    /// The names, in the order of the variants.
    pub(super) const NAMES: &'static [&'static str] = &[
        "strict-serializable",
        "serializable",
        "snapshot-isolation",
        "monotonic-snapshot-read",
        "causal",
        "read-atomic",
        "read-committed",
        "read-uncommitted",
    ];

    pub(super) fn of(name: &str) -> Option<Level> {
        Some(match name {
            "strict-serializable" => Level::StrictSerializable,
            "serializable" => Level::Serializable,
            "snapshot-isolation" => Level::SnapshotIsolation,
            "monotonic-snapshot-read" => Level::MonotonicSnapshotRead,
            "causal" => Level::Causal,
            "read-atomic" => Level::ReadAtomic,
            "read-committed" => Level::ReadCommitted,
            "read-uncommitted" => Level::ReadUncommitted,
            _ => return None,
        })
    }

    /// Whether a transaction may find, behind what it has read of a key, what others have written there since: then it
    /// must not read a list again that it has appended to itself.
    pub(super) fn reads_first(self) -> bool {
        matches!(
            self,
            Level::MonotonicSnapshotRead | Level::Causal | Level::ReadAtomic | Level::ReadCommitted
        )
    }
}

/// One micro-operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Micro {
    pub(super) key: u64,
    /// What is written; none: it reads.
    pub(super) write: Option<i64>,
    /// What was read: a stretch of the transaction's `seen`.
    pub(super) from: usize,
    pub(super) to: usize,
}

/// A transaction on its way.
#[derive(Debug, Default)]
pub(super) struct Txn {
    pub(super) micros: Vec<Micro>,
    pub(super) seen: Vec<i64>,
    slot: usize,
    /// Its number: a lost one lives on beside its client's next.
    number: u64,
    /// How many micro-operations are done.
    at: usize,
    /// The commits that it sees, once it has begun.
    view: Option<u64>,
    /// Single later commits that it sees too.
    extra: [u64; 2],
    /// Whether it has written in place (read uncommitted only).
    dirty: bool,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    value: i64,
    commit: u64,
}

#[derive(Debug, Default)]
struct Key {
    versions: Vec<Version>,
    /// How many transactions on their way name it.
    users: u32,
    /// Writes that were asked for: the next element's number.
    asked: u64,
    retired: bool,
    /// Which transaction writes in place (read uncommitted only).
    owner: Option<u64>,
}

/// The store.
pub(super) struct Database {
    pub(super) level: Level,
    keys: FxHashMap<u64, Key>,
    active: Vec<u64>,
    next_key: u64,
    clock: u64,
    /// The last commit that each session must see.
    sessions: Vec<u64>,
    spare: Vec<Txn>,
    begun: u64,
    /// Commits that wrote, of late.
    recent: VecDeque<u64>,
}

impl Database {
    pub(super) fn new(level: Level, keys: u32, sessions: usize) -> Database {
        let mut database = Database {
            level,
            keys: FxHashMap::default(),
            active: Vec::new(),
            next_key: 0,
            clock: 0,
            sessions: vec![0; sessions],
            spare: Vec::new(),
            begun: 0,
            recent: VecDeque::new(),
        };
        for _ in 0..keys {
            let key = database.new_key();
            database.active.push(key);
        }
        database
    }

    /// A key that nobody has used before.
    pub(super) fn new_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key - 1
    }

    /// A transaction of nothing, for the client in this slot.
    pub(super) fn begin(&mut self, slot: usize) -> Txn {
        let mut txn = self.spare.pop().unwrap_or_default();
        txn.micros.clear();
        txn.seen.clear();
        (txn.slot, txn.at, txn.view, txn.dirty) = (slot, 0, None, false);
        txn.extra = [0; 2];
        self.begun += 1;
        txn.number = self.begun;
        txn
    }

    /// Adds a read or a write of one of the keys in use.
    pub(super) fn add(&mut self, txn: &mut Txn, write: bool, dice: &mut Dice) {
        let place = dice.below(self.active.len());
        let name = self.active[place];
        let key = self.keys.entry(name).or_default();
        key.users += 1;
        let write = write.then(|| {
            key.asked += 1;
            key.asked as i64
        });
        if key.asked >= WRITES_PER_KEY && !key.retired {
            key.retired = true;
            self.active[place] = self.new_key();
        }
        txn.micros.push(Micro {
            key: name,
            write,
            from: 0,
            to: 0,
        });
    }

    /// Takes the transaction one step further.
    pub(super) fn step(&mut self, txn: &mut Txn, dice: &mut Dice) -> Step {
        match self.level {
            Level::StrictSerializable => {
                txn.view = Some(self.clock);
                self.finish(txn)
            }
            Level::Serializable => {
                let only_reads = txn.micros.iter().all(|micro| micro.write.is_none());
                let old = if only_reads { dice.below(STALE) } else { 0 };
                txn.view = Some(self.clock.saturating_sub(old as u64));
                self.finish(txn)
            }
            Level::SnapshotIsolation | Level::MonotonicSnapshotRead => match txn.view {
                None => {
                    txn.view = Some(self.clock);
                    Step::More
                }
                Some(view)
                    if self.level == Level::SnapshotIsolation && self.overtaken(txn, view) =>
                {
                    Step::Refused
                }
                Some(_) => self.finish(txn),
            },
            Level::Causal => {
                let session = self.sessions[txn.slot];
                let lag = dice.below(STALE) as u64;
                txn.view = Some(self.clock.saturating_sub(lag).max(session));
                self.finish(txn)
            }
            Level::ReadAtomic => {
                let session = self.sessions[txn.slot];
                let lag = dice.below(STALE) as u64;
                txn.view = Some(self.clock.saturating_sub(lag).max(session));
                for extra in &mut txn.extra {
                    *extra = match self.recent.len() {
                        0 => 0,
                        recent => self.recent[dice.below(recent)],
                    };
                }
                self.finish(txn)
            }
            Level::ReadCommitted => {
                txn.view = Some(self.clock);
                if txn.at < txn.micros.len() {
                    self.micro(txn);
                    return Step::More;
                }
                self.commit(txn);
                Step::Done
            }
            Level::ReadUncommitted => self.dirty_step(txn, dice),
        }
    }

    fn finish(&mut self, txn: &mut Txn) -> Step {
        while txn.at < txn.micros.len() {
            self.micro(txn);
        }
        self.commit(txn);
        Step::Done
    }

    /// Whether a key that it writes has a version that it does not see.
    fn overtaken(&self, txn: &Txn, view: u64) -> bool {
        txn.micros
            .iter()
            .filter(|micro| micro.write.is_some())
            .filter_map(|micro| self.keys[&micro.key].versions.last())
            .any(|version| version.commit > view)
    }

    /// Does the next micro-operation: a read sees its view and the transaction's own writes.
    fn micro(&mut self, txn: &mut Txn) {
        let at = txn.at;
        txn.at += 1;
        let Micro { key, write, .. } = txn.micros[at];
        if write.is_some() {
            return;
        }
        let view = txn.view.expect("a transaction that reads has a view");
        let versions = &self.keys[&key].versions;
        let visible =
            |version: &Version| version.commit <= view || txn.extra.contains(&version.commit);
        // Extras see everything below them of the same key: a list has no holes.
        let seen = versions
            .iter()
            .rposition(visible)
            .map_or(0, |last| last + 1);
        let from = txn.seen.len();
        txn.seen
            .extend(versions[..seen].iter().map(|version| version.value));
        let own = txn.micros[..at].iter().filter(|micro| micro.key == key);
        txn.seen.extend(own.filter_map(|micro| micro.write));
        txn.micros[at].from = from;
        txn.micros[at].to = txn.seen.len();
    }

    fn commit(&mut self, txn: &Txn) {
        self.clock += 1;
        let commit = self.clock;
        let mut wrote = false;
        for micro in &txn.micros {
            if let Some(value) = micro.write {
                let key = self.keys.get_mut(&micro.key).expect("it is in use");
                key.versions.push(Version { value, commit });
                wrote = true;
            }
        }
        if wrote {
            self.recent.push_back(commit);
            if self.recent.len() > STALE {
                self.recent.pop_front();
            }
        }
        // What the session has seen and done it must see again.
        let seen = txn.view.unwrap_or(0);
        let session = &mut self.sessions[txn.slot];
        *session = (*session).max(seen);
        if wrote {
            *session = commit;
        }
    }

    /// Read uncommitted: each micro-operation works in place. A transaction that meets another's write waits for it, and
    /// gives up at random: it takes back what it wrote, after others may have read it.
    fn dirty_step(&mut self, txn: &mut Txn, dice: &mut Dice) -> Step {
        if txn.at == txn.micros.len() {
            if txn.dirty && dice.one_in(10) {
                self.roll_back(txn);
                return Step::Refused;
            }
            self.release(txn);
            return Step::Done;
        }
        let number = txn.number;
        let Micro { key, write, .. } = txn.micros[txn.at];
        let state = self.keys.get_mut(&key).expect("it is in use");
        match write {
            None => {
                let from = txn.seen.len();
                txn.seen
                    .extend(state.versions.iter().map(|version| version.value));
                let micro = &mut txn.micros[txn.at];
                (micro.from, micro.to) = (from, txn.seen.len());
            }
            Some(_) if state.owner.is_some_and(|owner| owner != number) => {
                // Whoever holds nothing may wait; else two could wait for each other.
                if !txn.dirty {
                    return Step::Wait;
                }
                self.roll_back(txn);
                return Step::Refused;
            }
            Some(value) => {
                state.owner = Some(number);
                state.versions.push(Version { value, commit: 0 });
                txn.dirty = true;
            }
        }
        txn.at += 1;
        Step::More
    }

    fn roll_back(&mut self, txn: &mut Txn) {
        for micro in &txn.micros[..txn.at] {
            if micro.write.is_some() {
                let key = self.keys.get_mut(&micro.key).expect("it is in use");
                key.versions
                    .retain(|version| Some(version.value) != micro.write);
            }
        }
        self.release(txn);
    }

    fn release(&mut self, txn: &mut Txn) {
        for micro in &txn.micros {
            let key = self.keys.get_mut(&micro.key).expect("it is in use");
            if key.owner == Some(txn.number) {
                key.owner = None;
            }
        }
        txn.dirty = false;
    }

    /// Forgets a transaction that takes no further step, and the keys that only it still named.
    pub(super) fn forget(&mut self, mut txn: Txn) {
        if txn.dirty {
            self.roll_back(&mut txn);
        }
        for micro in &txn.micros {
            let key = self.keys.get_mut(&micro.key).expect("it is in use");
            key.users -= 1;
            if key.retired && key.users == 0 {
                self.keys.remove(&micro.key);
            }
        }
        self.spare.push(txn);
    }
}
