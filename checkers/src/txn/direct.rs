//! Anomalies that need no cycle: what one key or one transaction shows by itself, as data. `explain` words them.

use super::graph::{Edge, Hub, Txn};
use super::input::{Key, Token};

/// What is wrong, with what is needed to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The first transaction saw an element of the second one, which failed.
    AbortedRead(Token),
    /// The first transaction saw an element that the second one followed by another one of its own.
    IntermediateRead(Token),
    /// The transaction read this at a micro-operation (by place), against its own earlier reads and writes.
    Internal(u32),
    /// The transaction saw the element before it wrote it.
    FutureRead(Token),
    /// The transaction saw an element that nobody wrote.
    GarbageRead(Token),
    /// The transaction saw an element twice.
    Duplicate(Token),
    /// The two transactions' reads (by place) are not the one a prefix of the other.
    IncompatibleOrder(u32, u32),
    /// The first transaction saw the later one of two appends (by place) of the second one without the earlier one in front
    /// of it.
    Swapped(u32, u32),
    /// A committed transaction, the first one, built on an element of a failed one, the second; the third saw both.
    DirtyUpdate(Token),
    /// All of them read the same version and overwrote it; the place of the first one's read.
    LostUpdate(u32),
    /// The first transaction read a list (at this place) and then appended to it, but behind the second one's append.
    Overtaken(u32),
    /// These values come after each other in a circle; the sources of that order.
    CyclicVersions(Vec<Token>, Vec<&'static str>),
    /// Two micro-operations (by place) whose versions contradict what was seen.
    Contradiction(u32, u32, Clash),
}

/// How versions contradict the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Two writes have one version.
    Same,
    /// The first one has the greater version, but was seen before the other one.
    Order,
    /// The first one was not seen by the second, a read of a later version.
    Missing,
    /// The read (second) tells another version than the write (first) of what it saw.
    Read,
}

impl What {
    /// The anomaly's name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            What::AbortedRead(_) => "G1a",
            What::IntermediateRead(_) => "G1b",
            What::Internal(_) => "internal",
            What::FutureRead(_) => "future-read",
            What::GarbageRead(_) => "garbage-read",
            What::Duplicate(_) => "duplicate-elements",
            What::IncompatibleOrder(..) | What::Swapped(..) => "incompatible-order",
            What::DirtyUpdate(_) => "dirty-update",
            What::LostUpdate(_) => "lost-update",
            What::Overtaken(_) => "G-cursor",
            What::CyclicVersions(..) => "cyclic-versions",
            What::Contradiction(..) => "version-contradiction",
        }
    }
}

/// An anomaly of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Direct {
    pub(crate) key: Key,
    pub(crate) txns: Vec<Txn>,
    pub(crate) what: What,
}

/// What one key tells.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) edges: Vec<Edge>,
    pub(crate) hub: Option<Hub>,
    pub(crate) directs: Vec<Direct>,
    /// Indeterminate transactions of which something was seen: they did happen.
    pub(crate) happened: Vec<Txn>,
    /// Of lists: the transactions that appended to the key and did not fail, and whose appends nobody read.
    pub(crate) unseen: Vec<Txn>,
    /// Of registers: 1, if two values' order is open.
    pub(crate) unordered: usize,
}

impl Facts {
    pub(crate) fn edge(&mut self, from: Txn, to: Txn, relation: super::relation::Relations) {
        if from != to {
            self.edges.push(Edge { from, to, relation });
        }
    }

    /// How much the history does not tell the order of, if these transactions took effect.
    pub(crate) fn unordered(&self, happened: &[bool]) -> usize {
        let unseen = self.unseen.iter().filter(|txn| happened[**txn as usize]);
        match unseen.count() {
            0 | 1 => self.unordered,
            several => several,
        }
    }

    pub(crate) fn found(&mut self, key: Key, txns: &[Txn], what: What) {
        let txns = txns.to_vec();
        self.directs.push(Direct { key, txns, what });
    }
}
