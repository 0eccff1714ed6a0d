//! Members that come and go.

use crate::coverage::Situation;
use crate::layer;
use crate::world::{Event, World, id};
use keelhaul_node::zab::{Change, Entry, Members, NodeId};
use rand::RngExt;
use rand::seq::IndexedRandom;

impl World {
    /// What a node is started with: who does not belong yet knows those who do, and itself.
    pub(crate) fn first_members(&mut self, node: usize) -> Members {
        let mut members = self.config.members.clone();
        if !members.all().contains(&id(node)) {
            match self.rng.random_bool(0.5) {
                true => members.voters.insert(id(node)),
                false => members.observers.insert(id(node)),
            };
        }
        members
    }

    /// Somebody asks a leader for other members.
    pub(crate) fn change(&mut self) -> Result<(), String> {
        if !self.faults {
            return Ok(());
        }
        let pause = self.rng.random_range(5_000..300_000);
        self.later(pause, Event::Change);
        let Some(&leader) = self.leaders().choose(&mut self.rng) else {
            return Ok(());
        };
        let now = self.clock(leader);
        let from = self.replica(leader).view().members.clone();
        let to = self.other_members(&from);
        // A disk that was taken unnoticed counts for nothing: without a majority that remembers, the change never comes about.
        if !to.is_quorum(|id| self.remembers(id)) {
            return Ok(());
        }
        let replica = self.replica(leader);
        if replica.can_change(&to).is_err() {
            self.coverage.hit(Situation::ChangeRefused);
            return Ok(());
        }
        replica.propose(now, layer::join(&from, &to));
        self.trace(|| format!("node {leader} proposes {to} instead of {from}"));
        self.carry_out(leader)
    }

    /// One member joins, leaves or changes its role; or everything is drawn anew.
    fn other_members(&mut self, from: &Members) -> Members {
        let mut to = from.clone();
        let nodes = self.count();
        if self.rng.random_bool(0.6) {
            let one = id(self.rng.random_range(0..nodes as u64) as usize);
            self.give_role(&mut to, one);
        } else {
            (0..nodes).for_each(|node| self.give_role(&mut to, id(node)));
        }
        if to.voters.is_empty() {
            let all: Vec<NodeId> = (0..nodes).map(id).collect();
            let one = *all.choose(&mut self.rng).expect("there are nodes");
            to.observers.remove(&one);
            to.voters.insert(one);
        }
        to
    }

    fn give_role(&mut self, members: &mut Members, one: NodeId) {
        members.voters.remove(&one);
        members.observers.remove(&one);
        match self.rng.random_range(0..10u32) {
            0..6 => drop(members.voters.insert(one)),
            6..8 => drop(members.observers.insert(one)),
            _ => {}
        }
    }

    /// A node is the first to deliver this.
    pub(crate) fn saw_change(&mut self, node: usize, entry: &Entry) {
        match layer::change(&entry.txn) {
            // Nobody founds an ensemble anew here: that is done to a disk while no server runs.
            None | Some(Change::Found { .. }) => {}
            Some(Change::Join { from, to }) => {
                self.coverage.hit(Situation::ChangeCommitted);
                if from.voters.is_disjoint(&to.voters) {
                    self.coverage.hit(Situation::NoMemberStays);
                }
                self.joined_in = Some(entry.zxid.epoch());
            }
            Some(Change::Activate) => {
                self.coverage.hit(Situation::ChangeActivated);
                if self.joined_in != Some(entry.zxid.epoch()) {
                    self.coverage.hit(Situation::ChangeInherited);
                }
                let view = self.oracle.view().clone();
                self.trace(|| format!("node {node}: the members are {}", view.members));
            }
        }
    }
}
