//! What must hold after every event, told by what replicas deliver, promise and claim.

use crate::durable::Durable;
use crate::layer::{self, App};
use keelhaul_node::zab::{Entry, Epoch, Epochs, Members, View, Zxid};
use std::collections::BTreeMap;

/// Everything that anybody ever delivered: one order, which only grows.
#[derive(Debug)]
pub(crate) struct Oracle {
    chain: Vec<Entry>,
    /// The digest of the state after each of them.
    digests: Vec<u64>,
    leaders: BTreeMap<Epoch, usize>,
    /// The last zxid of the history with which each epoch began.
    initial: BTreeMap<Epoch, Zxid>,
    epochs: BTreeMap<usize, Epochs>,
    view: View,
}

impl Oracle {
    pub(crate) fn new(members: Members) -> Oracle {
        Oracle {
            chain: Vec::new(),
            digests: Vec::new(),
            leaders: BTreeMap::new(),
            initial: BTreeMap::new(),
            epochs: BTreeMap::new(),
            view: View::initial(members),
        }
    }

    /// Who belongs to the ensemble by what is committed.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// A transaction is committed: on the disks of whom it must be a majority. While a change is under way, what comes after
    /// it needs the new members at least; the change itself needs both.
    pub(crate) fn commits(&mut self, entry: &Entry) -> Vec<Members> {
        let newest = self
            .view
            .next
            .as_ref()
            .unwrap_or(&self.view.members)
            .clone();
        match layer::change(&entry.txn) {
            None => vec![newest],
            Some(change) => {
                self.view = self.view.after(entry.zxid, change);
                let next = self.view.next.clone();
                std::iter::once(newest).chain(next).collect()
            }
        }
    }

    /// How many transactions are committed, as far as anybody knows.
    pub(crate) fn committed(&self) -> usize {
        self.chain.len()
    }

    /// The zxid of the last of the first `count` committed transactions.
    pub(crate) fn zxid_at(&self, count: usize) -> Zxid {
        count
            .checked_sub(1)
            .map_or(Zxid::ZERO, |i| self.chain[i].zxid)
    }

    /// The digest of the state after the first `count` committed transactions.
    pub(crate) fn digest_at(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |i| self.digests[i])
    }

    /// A node delivers its transaction number `position` (from 0). Whatever was delivered once, anywhere, is what everyone
    /// delivers there: committed prefixes agree, and nothing acknowledged is lost. Returns whether it is news.
    pub(crate) fn delivers(
        &mut self,
        node: usize,
        position: usize,
        entry: &Entry,
    ) -> Result<bool, String> {
        match self.chain.get(position) {
            Some(known) if known == entry => Ok(false),
            Some(known) => Err(format!(
                "node {node} delivers {:?} as number {position}, where {:?} was delivered before: a committed \
                 transaction is lost or two histories diverge",
                entry.zxid, known.zxid
            )),
            None if position == self.chain.len() && entry.zxid > self.zxid_at(position) => {
                let before = self.digest_at(position);
                self.digests
                    .push(layer::fold(before, entry.zxid, &entry.txn));
                self.chain.push(entry.clone());
                Ok(true)
            }
            None => Err(format!(
                "node {node} delivers {:?} as number {position} of {}",
                entry.zxid,
                self.chain.len()
            )),
        }
    }

    /// A node was given a state, said to be made of the first `count` transactions, at `zxid`.
    pub(crate) fn holds(&self, node: usize, app: &App) -> Result<(), String> {
        let (count, zxid) = (app.count as usize, app.zxid);
        if count <= self.chain.len()
            && self.zxid_at(count) == zxid
            && self.digest_at(count) == app.digest
        {
            return Ok(());
        }
        Err(format!(
            "node {node} holds a state of {count} transactions at {zxid:?}, which nobody committed"
        ))
    }

    /// A node that does not vote hears of nothing but what is committed.
    pub(crate) fn hears(&self, node: usize, zxid: Zxid) -> Result<(), String> {
        match self.chain.binary_search_by_key(&zxid, |entry| entry.zxid) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!(
                "node {node} does not vote, and has {zxid:?} in its log, which is not committed"
            )),
        }
    }

    /// How many of the committed transactions, from the first on without a gap, a disk holds.
    pub(crate) fn held(&self, durable: &Durable) -> usize {
        self.chain
            .iter()
            .take_while(|e| durable.has(e.zxid))
            .count()
    }

    /// A disk says that it holds the initial history of an epoch. It does, unless a leader of a later one has cut it since.
    pub(crate) fn holds_initial(&self, node: usize, durable: &Durable) -> Result<(), String> {
        let Epochs {
            accepted, current, ..
        } = durable.epochs;
        let initial = self.initial.get(&current).copied().unwrap_or_default();
        if accepted > current || durable.has(initial) {
            return Ok(());
        }
        Err(format!(
            "the disk of node {node} says that it holds the initial history of epoch {}, up to {initial:?}, and it does not",
            current.0
        ))
    }

    /// A node leads an epoch, with a history that goes so far when it begins: it is the only one that ever does.
    pub(crate) fn leads(&mut self, node: usize, epoch: Epoch, last: Zxid) -> Result<(), String> {
        self.initial.entry(epoch).or_insert(last);
        let first = *self.leaders.entry(epoch).or_insert(node);
        if first == node {
            return Ok(());
        }
        Err(format!(
            "epoch {} is led by node {node}, and was led by node {first}",
            epoch.0
        ))
    }

    /// A node's promises, now on its disk: they never go back.
    pub(crate) fn promises(&mut self, node: usize, epochs: Epochs) -> Result<(), String> {
        let before = self.epochs.insert(node, epochs).unwrap_or_default();
        if epochs.accepted >= before.accepted
            && epochs.current >= before.current
            && epochs.accepted >= epochs.current
        {
            return Ok(());
        }
        Err(format!(
            "node {node} goes from {before:?} back to {epochs:?}"
        ))
    }

    /// A node's disk is gone, and its promises with it.
    pub(crate) fn wiped(&mut self, node: usize) {
        self.epochs.remove(&node);
    }

    /// A sync was asked for when `committed` transactions were known, and is answered at `zxid`.
    pub(crate) fn synced(&self, node: usize, committed: usize, zxid: Zxid) -> Result<(), String> {
        if zxid >= self.zxid_at(committed) {
            return Ok(());
        }
        let missed = self.zxid_at(committed);
        Err(format!(
            "node {node} answers a sync at {zxid:?}, but {missed:?} was committed before it was asked"
        ))
    }
}
