//! Disks that forget unnoticed: an old copy is put back; and a voter's disk is taken while its promise is under way to a leader that is stopped.
//!
//! Whether an old copy can be told is judged here, by what the others have on their disks, and not by what the protocol makes of it: it is put back only if no
//! quorum can be had of its server and of those who know of no later life. Then it must be noticed, and until it is, it must do no harm.

use crate::coverage::Situation;
use crate::disk::Disk;
use crate::world::{Event, World, id};
use keelhaul_node::storage::{Store, StoreOptions};
use keelhaul_node::zab::{Chain, Message, NodeId, ToLeader};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// So many copies of each disk are kept.
const COPIES: usize = 4;

impl World {
    /// Somebody makes a copy of a disk, whether its server runs or not.
    pub(crate) fn copy(&mut self) {
        let pause = self.rng.random_range(20_000..400_000);
        self.later(pause, Event::Copy);
        let node = self.rng.random_range(0..self.count() as u64) as usize;
        if !self.remembers(id(node)) {
            return;
        }
        let copy = self.nodes[node].disk.copy(&mut self.rng);
        let copies = &mut self.nodes[node].copies;
        if copies.len() == COPIES {
            copies.remove(0);
        }
        copies.push(copy);
    }

    /// An old copy of a disk is put back.
    pub(crate) fn put_back(&mut self, any: usize) -> Result<(), String> {
        let worst = (0..self.count()).find(|&node| self.has_laggards(node));
        let node = worst.unwrap_or(any);
        if !self.remembers_without(node) {
            return Ok(());
        }
        let mut copies = self.nodes[node].copies.clone();
        copies.retain(|copy| self.can_be_told(node, copy));
        let Some(copy) = copies.choose(&mut self.rng).cloned() else {
            return Ok(());
        };
        self.crash(node);
        self.trace(|| format!("an old copy of the disk of {node} is put back"));
        self.coverage.hit(Situation::OldCopyPutBack);
        self.nodes[node].disk.become_like(&copy);
        self.nodes[node].damaged = false;
        match self.old_copies_act() {
            true => self.trusts(node),
            false => {
                self.forgets(node);
                self.nodes[node].unnoticed = true;
            }
        }
        if self.rng.random_bool(0.8) {
            self.start(node)?;
        }
        if self.rng.random_bool(0.8) {
            self.leave_it_with_laggards(node)?;
        }
        Ok(())
    }

    /// Of the others only those go on that miss something that is committed: what they and the copy make together would be short of it.
    fn leave_it_with_laggards(&mut self, node: usize) -> Result<(), String> {
        let committed = self.oracle.committed();
        let others: Vec<usize> = (0..self.count()).filter(|&other| other != node).collect();
        for other in others {
            match self.oracle.held(&self.nodes[other].durable) < committed {
                true => self.revive_one(other)?,
                false => self.crash(other),
            }
        }
        self.open_links();
        Ok(())
    }

    /// Whether they would be a quorum, if this server counted.
    fn has_laggards(&self, node: usize) -> bool {
        let committed = self.oracle.committed();
        let lags = |voter: NodeId| {
            let other = &self.nodes[crate::world::index(voter)];
            self.remembers(voter) && self.oracle.held(&other.durable) < committed
        };
        let view = self.oracle.view();
        view.is_quorum(|voter| voter == id(node) || lags(voter))
    }

    /// Whether every quorum in which this server could be counted has somebody who knows of a life that the copy does not. The copy, or
    /// somebody who was away for long, may go by members of long ago.
    fn can_be_told(&mut self, node: usize, copy: &Disk) -> bool {
        let chain = self.chain_on(copy);
        let knows = |voter: NodeId| {
            let other = &self.nodes[crate::world::index(voter)];
            let forgotten = other.durable.lives.forgotten(id(node), &chain);
            voter != id(node) && self.remembers(voter) && !forgotten.is_empty()
        };
        let left_behind = self.views.values();
        let mut counted_in = self
            .current_views()
            .chain(left_behind.filter(|view| view.votes(id(node))));
        counted_in.all(|view| !view.is_quorum(|voter| !knows(voter)))
    }

    /// The lives that a server remembers when it is started with this disk.
    fn chain_on(&mut self, disk: &Disk) -> Chain {
        let options = StoreOptions {
            mark: self.rng.random(),
            ..StoreOptions::default()
        };
        let scratch = disk.copy(&mut self.rng);
        let (_, recovered) = Store::open_on(Box::new(scratch), options)
            .expect("a copy is as good as the disk that it was made of");
        recovered.lives.own
    }

    /// With the planted bug nobody minds; what comes of it is found by what is lost.
    pub(crate) fn old_copies_act(&self) -> bool {
        #[cfg(feature = "bugs")]
        if self.config.bug == Some(keelhaul_node::zab::Bug::OldCopyActs) {
            return true;
        }
        false
    }

    /// A node says this: if it promises something, its disk may be taken now, and the leader stopped before it hears of the promise.
    pub(crate) fn may_forget_promise(&mut self, node: usize, leader: usize, message: &Message) {
        let Message::ToLeader {
            body: ToLeader::AckEpoch { again: false, .. },
            ..
        } = message
        else {
            return;
        };
        if self.faults && self.rng.random_bool(0.01) {
            self.later(1, Event::Deprive { node, leader });
        }
    }

    pub(crate) fn deprive(&mut self, node: usize, leader: usize) -> Result<(), String> {
        let runs = |n: usize| self.nodes[n].running.is_some() && !self.nodes[n].paused;
        if !runs(node) || !runs(leader) || !self.remembers_without(node) {
            return Ok(());
        }
        self.trace(|| format!("pause {leader}, to which {node} has promised something"));
        self.nodes[leader].paused = true;
        self.wipe(node)
    }

    /// A message arrives on this connection.
    pub(crate) fn saw_promise(&mut self, from: usize, connection: u64, message: &Message) {
        if let Message::ToLeader {
            body: ToLeader::AckEpoch { .. },
            ..
        } = message
            && connection <= self.nodes[from].wiped_at
        {
            self.coverage.hit(Situation::ForgottenPromise);
        }
    }

    /// A node writes down that it is amnesiac.
    pub(crate) fn saw_amnesia(&mut self, node: usize) -> Result<(), String> {
        if std::mem::take(&mut self.nodes[node].unnoticed) {
            self.coverage.hit(Situation::OldCopyNoticed);
        }
        match self.nodes[node].amnesiac {
            true => Ok(()),
            false => Err(format!(
                "node {node} takes itself for amnesiac, and has forgotten nothing"
            )),
        }
    }
}
