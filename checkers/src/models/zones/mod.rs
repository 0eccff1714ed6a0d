//! Registers whose observed values were each written once, in n log n steps: zones (Gibbons & Korach), with chains of
//! compare-and-sets merged into blocks.
//!
//! What was done with one value stands together in every legal order: a *block*. A compare-and-set joins the block of the
//! value that it found with that of the value that it wrote. Within a block the order is given; between two blocks, A has to
//! come first if something of A returned before something of B was invoked: if `f(A) < s(B)`, where f is the first return and
//! s the last invocation of a block. No order exists if two blocks both have to come first; and if there is a cycle of blocks
//! at all, two of them do (the one with the largest s, and its successor).
//!
//! It proves both ways, and says so where it cannot tell: where an observed value may have been written twice, where a
//! compare-and-set writes what it demands, and where a failed compare-and-set does not fit into the order that it found.
//!
//! `w(1) ok, r(2) ok, r(1) ok`, one after the other, with an indeterminate `w(2)` that began before them: the block of 2 has
//! to be after the write and before the last read of 1: refuted.

mod assertions;
mod clusters;

use self::clusters::{Clusters, FOREVER, INITIAL, INITIAL_INV, INITIAL_RET, Moment, NONE, moment};
use super::cas_register::Call;
use crate::linear::{Contradiction, Entry, Quick, ValueId, Values};

/// Why it cannot tell.
const TWICE: &str = "a value that was read may have been written twice";
const ITSELF: &str = "a compare-and-set writes the value that it demands";
const OTHERS: &str = "a failed compare-and-set does not fit into the order of the others";

/// A block, with the entries that bound it; `INITIAL` stands for the write of the initial value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// What wrote its first value.
    root: u32,
    /// The value that it wrote.
    value: ValueId,
    /// What returned first, and when.
    first: u32,
    f: Moment,
    /// What was invoked last, and when.
    last: u32,
    s: Moment,
}

impl Block {
    fn is_forward(&self) -> bool {
        self.f < self.s
    }
}

/// Whether a register that begins with this value can have had this history.
pub(super) fn judge(initial: ValueId, entries: &[Entry<Call>], values: &Values) -> Quick {
    let clusters = Clusters::of(initial, entries);
    let mut zones = Zones {
        initial,
        entries,
        values,
        clusters,
        blocks: Vec::new(),
    };
    match zones.decide() {
        Ok(()) => Quick::Legal,
        Err(End::Refuted(found)) => Quick::Illegal(found),
        Err(End::Open(why)) => Quick::Open(why),
    }
}

/// An answer before the end.
enum End {
    Refuted(Contradiction),
    Open(&'static str),
}

struct Zones<'a> {
    initial: ValueId,
    entries: &'a [Entry<Call>],
    values: &'a Values,
    clusters: Clusters,
    blocks: Vec<Block>,
}

impl Zones<'_> {
    fn decide(&mut self) -> Result<(), End> {
        self.seen_after_written()?;
        self.clusters.close(self.entries);
        self.written_once()?;
        self.link()?;
        self.all_blocks()?;
        self.test()?;
        let asserted = self
            .entries
            .iter()
            .any(|entry| matches!(entry.call, Call::SawOther(_)));
        if asserted && !assertions::fit(self) {
            return Err(End::Open(OTHERS));
        }
        debug_assert!(self.entries.len() > 64 || assertions::order_is_legal(self));
        Ok(())
    }

    fn inv(&self, place: u32) -> Moment {
        match place {
            INITIAL => INITIAL_INV,
            _ => moment(self.entries[place as usize].inv),
        }
    }

    fn ret(&self, place: u32) -> Moment {
        match place {
            INITIAL => INITIAL_RET,
            _ => moment(self.entries[place as usize].ret),
        }
    }

    /// Whether the entry took effect: it was answered, or what it wrote was seen.
    fn happened(&self, entry: &Entry<Call>) -> bool {
        entry.certain
            || match entry.call {
                Call::Write(value) | Call::Cas { new: value, .. } => {
                    self.clusters.get(value).observed
                }
                Call::Saw(_) | Call::SawOther(_) => false,
            }
    }

    /// Every value that was seen was written before: true or not however often it was written.
    fn seen_after_written(&self) -> Result<(), End> {
        let mut first: Option<Contradiction> = None;
        for cluster in self.clusters.all.iter().filter(|cluster| cluster.observed) {
            let read = cluster.first_read;
            if cluster.writers == 0 || (read != NONE && self.ret(read) < cluster.first_inv) {
                let found = self.unwritten(cluster.value);
                if first.as_ref().is_none_or(|first| found.at < first.at) {
                    first = Some(found);
                }
            }
        }
        first.map_or(Ok(()), |found| Err(End::Refuted(found)))
    }

    /// Every observed value has one possible writer.
    fn written_once(&self) -> Result<(), End> {
        let mut observed = self.clusters.all.iter().filter(|cluster| cluster.observed);
        if observed.any(|cluster| cluster.writers > 1) {
            return Err(End::Open(TWICE));
        }
        // What an indeterminate compare-and-set must have found is among them now.
        self.seen_after_written()
    }

    /// A value was seen that nobody had written by then.
    #[cold]
    fn unwritten(&self, value: ValueId) -> Contradiction {
        let cluster = self.clusters.get(value);
        let seen = match cluster.first_read {
            NONE => self.demanded(value),
            read => read,
        };
        let saw = &self.entries[seen as usize];
        let what = self.values.show(value);
        let verb = if matches!(saw.call, Call::Saw(_)) {
            "read"
        } else {
            "found by a compare-and-set"
        };
        if cluster.writers == 0 {
            let text = format!("{what} was {verb}, and nobody had written it");
            let found = Contradiction::refutation(text, vec![saw.operation], end(saw));
            return if saw.certain {
                found
            } else {
                found.with_the_rest()
            };
        }
        let text = format!("{what} was {verb} before anybody began to write it");
        let writer = &self.entries[cluster.writer as usize];
        Contradiction::refutation(text, vec![saw.operation, writer.operation], end(saw))
    }

    /// The first compare-and-set that took effect on a value.
    fn demanded(&self, value: ValueId) -> u32 {
        let found = self.entries.iter().position(
            |entry| matches!(entry.call, Call::Cas { old, .. } if old == value && self.happened(entry)),
        );
        found.expect("it was observed, and not read") as u32
    }

    /// Each value's compare-and-set: there can be one, for the value was there once.
    fn link(&mut self) -> Result<(), End> {
        let mut first: Option<Contradiction> = None;
        for (place, entry) in self.entries.iter().enumerate() {
            let Call::Cas { old, new } = entry.call else {
                continue;
            };
            if !self.happened(entry) {
                continue;
            }
            if old == new {
                return Err(End::Open(ITSELF));
            }
            let before = std::mem::replace(&mut self.clusters.at(old).next, place as u32);
            if before != NONE && first.is_none() {
                first = Some(self.taken_twice(old, before, place as u32));
            }
        }
        first.map_or(Ok(()), |found| Err(End::Refuted(found)))
    }

    #[cold]
    fn taken_twice(&self, value: ValueId, one: u32, other: u32) -> Contradiction {
        let pair = [&self.entries[one as usize], &self.entries[other as usize]];
        let text = format!(
            "two compare-and-sets found {}, which was written once: the second must have found what the first wrote",
            self.values.show(value)
        );
        self.contradiction(text, &pair)
    }

    /// Every block, with its inner order checked.
    fn all_blocks(&mut self) -> Result<(), End> {
        let mut blocks = Vec::with_capacity(self.clusters.all.len());
        let mut inside = 0;
        if self.clusters.get(self.initial).writer == INITIAL {
            blocks.push(self.block(INITIAL, self.initial, &mut inside)?);
        }
        for (place, entry) in self.entries.iter().enumerate() {
            if let Call::Write(value) = entry.call
                && self.happened(entry)
            {
                blocks.push(self.block(place as u32, value, &mut inside)?);
            }
        }
        let sets = self
            .entries
            .iter()
            .filter(|entry| matches!(entry.call, Call::Cas { .. }) && self.happened(entry));
        if sets.count() != inside {
            return Err(End::Refuted(self.ring()));
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Walks along a block: a writer, its reads, the compare-and-set, its reads, …
    fn block(&self, root: u32, value: ValueId, inside: &mut usize) -> Result<Block, End> {
        let mut block = Block {
            root,
            value,
            first: root,
            f: self.ret(root),
            last: root,
            s: self.inv(root),
        };
        let mut value = value;
        loop {
            let cluster = *self.clusters.get(value);
            if !cluster.observed {
                return Ok(block);
            }
            if cluster.first_read != NONE {
                self.follow(&mut block, cluster.first_read, cluster.last_read)?;
            }
            if cluster.next == NONE {
                return Ok(block);
            }
            self.follow(&mut block, cluster.next, cluster.next)?;
            *inside += 1;
            let Call::Cas { new, .. } = self.entries[cluster.next as usize].call else {
                return Ok(block);
            };
            value = new;
        }
    }

    /// Takes what comes next in a block: of several reads, the one that returned first and the one that was invoked last.
    fn follow(&self, block: &mut Block, first: u32, last: u32) -> Result<(), End> {
        if self.ret(first) < block.s {
            return Err(End::Refuted(self.backwards(block, first)));
        }
        if self.ret(first) < block.f {
            (block.first, block.f) = (first, self.ret(first));
        }
        if self.inv(last) > block.s {
            (block.last, block.s) = (last, self.inv(last));
        }
        Ok(())
    }

    /// Something returned before what must come before it was invoked.
    #[cold]
    fn backwards(&self, block: &Block, early: u32) -> Contradiction {
        let (early, late) = (&self.entries[early as usize], block.last);
        let late_entry = &self.entries[late as usize];
        let text = format!(
            "{} returned before {} was invoked, which must come first",
            self.told(early),
            self.told(late_entry)
        );
        self.contradiction(text, &[early, late_entry])
    }

    /// Compare-and-sets that each need another one of them to come first.
    #[cold]
    fn ring(&self) -> Contradiction {
        let mut reached = vec![false; self.entries.len()];
        let roots = self.entries.iter().filter_map(|entry| match entry.call {
            Call::Write(value) if self.happened(entry) => Some(value),
            _ => None,
        });
        for root in roots.chain([self.initial]) {
            let mut cluster = self.clusters.get(root);
            while cluster.observed && cluster.next != NONE && !reached[cluster.next as usize] {
                reached[cluster.next as usize] = true;
                match self.entries[cluster.next as usize].call {
                    Call::Cas { new, .. } => cluster = self.clusters.get(new),
                    _ => break,
                }
            }
        }
        let left = |place: &usize| {
            let entry = &self.entries[*place];
            matches!(entry.call, Call::Cas { .. }) && self.happened(entry) && !reached[*place]
        };
        let start = (0..self.entries.len())
            .find(left)
            .expect("not all were reached");
        let mut ring: Vec<&Entry<Call>> = Vec::new();
        let mut at = start;
        while !reached[at] {
            reached[at] = true;
            ring.push(&self.entries[at]);
            let Call::Cas { new, .. } = self.entries[at].call else {
                break;
            };
            match self.clusters.get(new).next {
                NONE => break,
                next => at = next as usize,
            }
        }
        let text = "each of these compare-and-sets demands what another of them wrote, and nothing else wrote it".to_owned();
        let until = ring.iter().map(|entry| end(entry)).max().unwrap_or(0);
        let operations = ring.iter().map(|entry| entry.operation).collect();
        Contradiction::zones(text, operations, until)
    }

    /// No two blocks both have to come first.
    fn test(&mut self) -> Result<(), End> {
        self.blocks
            .sort_unstable_by_key(|block| (block.f.min(block.s), block.root));
        let mut worst: Option<(u32, usize, usize)> = None;
        let mut clash = |one: usize, other: usize, blocks: &[Block]| {
            let at = self.complete(&blocks[one], &blocks[other]);
            if worst.is_none_or(|(worst, ..)| at < worst) {
                worst = Some((at, one, other));
            }
        };
        // Sorted by where they begin: the forward one that reaches furthest so far, and whatever begins within it.
        let mut reach: Option<usize> = None;
        for at in 0..self.blocks.len() {
            let block = &self.blocks[at];
            if let Some(before) = reach {
                let ends = self.blocks[before].s;
                let within = if block.is_forward() {
                    block.f < ends
                } else {
                    block.f < ends && block.s < ends
                };
                if within {
                    clash(before, at, &self.blocks);
                }
            }
            if block.is_forward() && reach.is_none_or(|before| self.blocks[before].s < block.s) {
                reach = Some(at);
            }
        }
        match worst {
            None => Ok(()),
            Some((_, one, other)) => Err(End::Refuted(
                self.interleaved(&self.blocks[one], &self.blocks[other]),
            )),
        }
    }

    /// The line by which two blocks are seen to exclude each other.
    fn complete(&self, one: &Block, other: &Block) -> u32 {
        [one.first, one.last, other.first, other.last]
            .into_iter()
            .filter(|place| *place != INITIAL)
            .map(|place| end(&self.entries[place as usize]))
            .max()
            .unwrap_or(0)
    }

    #[cold]
    fn interleaved(&self, one: &Block, other: &Block) -> Contradiction {
        if let Some(stale) = self.stale(one, other).or_else(|| self.stale(other, one)) {
            return stale;
        }
        let mut text = format!(
            "{} and {} must each come before the other: ",
            self.values.show(one.value),
            self.values.show(other.value)
        );
        let tell = |place: u32| match place {
            INITIAL => "the beginning".to_owned(),
            _ => self.told(&self.entries[place as usize]),
        };
        text.push_str(&format!(
            "{} ended before {} began, and {} before {}",
            tell(one.first),
            tell(other.last),
            tell(other.first),
            tell(one.last)
        ));
        let entries: Vec<&Entry<Call>> = [one.first, one.last, other.first, other.last]
            .into_iter()
            .filter(|place| *place != INITIAL)
            .map(|place| &self.entries[place as usize])
            .collect();
        self.contradiction(text, &entries)
    }

    /// A read of the old value that began after the new one was there, where the old one was there before the new one was
    /// written: nothing else has to be known.
    fn stale(&self, old: &Block, new: &Block) -> Option<Contradiction> {
        let entry = |place: u32| self.entries.get(place as usize);
        let (write, seen, read) = (entry(new.root)?, entry(new.first)?, entry(old.last)?);
        let is_of = |entry: &Entry<Call>, value| needs(&entry.call) == value;
        let plain = matches!(write.call, Call::Write(_))
            && is_of(seen, new.value)
            && matches!(read.call, Call::Saw(value) if value == old.value);
        if !plain || old.f >= self.inv(new.root) || new.f >= old.s {
            return None;
        }
        let value = self.values.show(old.value);
        let mut text = format!(
            "{} at line {} began after {} had ended at line {}",
            self.told(read).replacen("a read", "the read", 1),
            read.inv + 1,
            self.told(seen),
            seen.ret.saturating_add(1)
        );
        let first = entry(old.first);
        match first {
            Some(first) if is_of(first, old.value) => text.push_str(&format!(
                ", and {} had ended at line {} before {} began; nobody wrote {value} again",
                self.told(first),
                first.ret.saturating_add(1),
                self.told(write)
            )),
            Some(_) => return None,
            None => text.push_str(&format!("; nobody wrote {value} again")),
        }
        let entries: Vec<&Entry<Call>> = first.into_iter().chain([write, seen, read]).collect();
        Some(self.contradiction(text, &entries))
    }

    /// A contradiction among these entries, with what led to them from the beginning of their block.
    fn contradiction(&self, text: String, entries: &[&Entry<Call>]) -> Contradiction {
        let until = entries.iter().map(|entry| end(entry)).max().unwrap_or(0);
        let mut operations = Vec::new();
        let mut whole = true;
        for entry in entries {
            whole &= self.lead_to(needs(&entry.call), &mut operations);
            if !entry.certain {
                whole &= self.sight_of(needs(&entry.call), &mut operations);
            }
            operations.push(entry.operation);
        }
        let mut once = Vec::new();
        operations.retain(|operation| {
            let new = !once.contains(operation);
            once.push(*operation);
            new
        });
        let found = Contradiction::zones(text, operations, until);
        if whole { found } else { found.with_the_rest() }
    }

    /// What wrote a value, and what wrote the value that that found, and so on, first things first. Whether that is all of it.
    fn lead_to(&self, value: ValueId, operations: &mut Vec<u32>) -> bool {
        const LONG: usize = 32;
        let mut chain = Vec::new();
        let mut writer = self.clusters.get(value).writer;
        while writer != INITIAL && writer != NONE && chain.len() < LONG {
            let entry = &self.entries[writer as usize];
            chain.push(entry.operation);
            match entry.call {
                Call::Cas { old, .. } => writer = self.clusters.get(old).writer,
                _ => break,
            }
        }
        let whole = chain.len() < LONG;
        operations.extend(chain.into_iter().rev());
        whole
    }

    /// A read that shows that a value was there. Whether there is one.
    fn sight_of(&self, value: ValueId, operations: &mut Vec<u32>) -> bool {
        let read = self.clusters.get(value).first_read;
        if read != NONE {
            operations.push(self.entries[read as usize].operation);
        }
        read != NONE
    }

    fn told(&self, entry: &Entry<Call>) -> String {
        let show = |value| self.values.show(value);
        match entry.call {
            Call::Write(value) => format!("the write of {}", show(value)),
            Call::Saw(value) => format!("a read of {}", show(value)),
            Call::Cas { old, new } => {
                format!("the compare-and-set from {} to {}", show(old), show(new))
            }
            Call::SawOther(value) => format!("a failed compare-and-set from {}", show(value)),
        }
    }
}

/// The value that has to be there for the call, or right after it.
fn needs(call: &Call) -> ValueId {
    match *call {
        Call::Write(value)
        | Call::Saw(value)
        | Call::SawOther(value)
        | Call::Cas { new: value, .. } => value,
    }
}

/// The line by which an entry is known.
fn end(entry: &Entry<Call>) -> u32 {
    if moment(entry.ret) == FOREVER || !entry.certain {
        entry.inv
    } else {
        entry.ret
    }
}
