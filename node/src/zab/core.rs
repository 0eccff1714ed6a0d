//! What every role shares: the log, the promises, the disk queue, the outbox.

use super::log::Log;
use super::members::Members;
use super::message::{FromLeader, Message, Notification, ToLeader, Vote};
use super::peers::Peers;
use super::types::*;
use std::collections::{BTreeSet, VecDeque};

/// What to do once the disk has done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The epoch that was promised is on disk.
    EpochAccepted,
    /// The whole history and the current epoch are on disk.
    HistoryOnDisk,
    /// The log is on disk up to here.
    Logged(Zxid),
    /// The amnesia is over, on disk.
    Cured,
}

/// Why a snapshot is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Keep,
    Peer,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) now: Millis,
    pub(super) outputs: Vec<Output>,
    pub(super) log: Log,
    pub(super) epochs: Epochs,
    pub(super) peers: Peers,
    /// The last entry given to the layer above.
    pub(super) delivered: Zxid,
    /// The election round, ZooKeeper's logical clock.
    pub(super) round: u64,
    /// Grows with each change of role, so that what an earlier role asked of the disk is not answered to a later one.
    pub(super) term: u64,
    /// It may lead. Serves liveness alone: an unfit replica votes and acknowledges as ever.
    pub(super) fit: bool,
    disk_issued: u64,
    disk_waiting: VecDeque<(u64, u64, Then)>,
    tickets: u64,
    snapshots_wanted: VecDeque<(Ticket, Purpose)>,
    delivered_since_snapshot: u64,
    last_snapshot: Zxid,
}

impl Core {
    pub(super) fn new(config: Config, recovered: Recovered, now: Millis) -> Core {
        let snapshot = recovered.snapshot.map_or(Zxid::ZERO, |s| s.zxid);
        Core {
            peers: Peers::new(config.id, &config.members.all(), config.sync_limit),
            now,
            outputs: Vec::new(),
            log: Log::new(snapshot, recovered.log_start, recovered.entries),
            epochs: recovered.epochs,
            delivered: snapshot,
            round: 0,
            term: 0,
            fit: true,
            disk_issued: 0,
            disk_waiting: VecDeque::new(),
            tickets: 0,
            snapshots_wanted: VecDeque::new(),
            delivered_since_snapshot: head_start(&config),
            last_snapshot: snapshot,
            config,
        }
    }

    /// What the others are told about who hears this replica: an unfit one says nobody, so that it is not eligible.
    pub(super) fn told_mutual(&self) -> BTreeSet<NodeId> {
        if self.fit {
            self.peers.mutual(self.now)
        } else {
            BTreeSet::new()
        }
    }

    pub(super) fn me(&self) -> NodeId {
        self.config.id
    }

    pub(super) fn members(&self) -> &Members {
        &self.config.members
    }

    /// Whether this replica's vote and acknowledgements count: observers' never do, and an amnesiac's not yet.
    pub(super) fn votes(&self) -> bool {
        self.members().votes(self.me()) && !self.epochs.amnesiac
    }

    /// What each voter said last, if that was lately.
    pub(super) fn voters_heard(&self) -> impl Iterator<Item = (NodeId, &Notification)> {
        let votes = |(id, _): &(NodeId, &Notification)| self.members().votes(*id);
        self.peers.heard(self.now).filter(votes)
    }

    /// This replica as a candidate.
    pub(super) fn own_vote(&self) -> Vote {
        Vote {
            epoch: self.epochs.current,
            zxid: self.log.last(),
            leader: self.me(),
        }
    }

    pub(super) fn out(&mut self, output: Output) {
        self.outputs.push(output);
    }

    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        if self.peers.is_connected(to) {
            self.out(Output::Send { to, message });
        }
    }

    pub(super) fn tell_leader(&mut self, leader: NodeId, session: u64, body: ToLeader) {
        self.send(leader, Message::ToLeader { session, body });
    }

    pub(super) fn tell_learner(&mut self, learner: NodeId, session: u64, body: FromLeader) {
        self.send(learner, Message::FromLeader { session, body });
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(super) fn disk(&mut self, op: DiskOp) {
        self.disk_issued += 1;
        self.out(Output::Disk(op));
    }

    /// Arranges for `then` to come back to this role once what was just asked of the disk is done, and all before it.
    pub(super) fn when_durable(&mut self, then: Then) {
        self.disk_waiting
            .push_back((self.disk_issued, self.term, then));
    }

    /// What is due now that the first `count` operations are done.
    pub(super) fn disk_done(&mut self, count: u64) -> Vec<Then> {
        assert!(
            count <= self.disk_issued,
            "the disk did {count} of {} operations",
            self.disk_issued
        );
        let mut due = Vec::new();
        while let Some(&(needs, term, then)) = self.disk_waiting.front() {
            if needs > count {
                break;
            }
            self.disk_waiting.pop_front();
            if term == self.term {
                due.push(then);
            }
        }
        due
    }

    pub(super) fn save_epochs(&mut self) {
        let epochs = self.epochs;
        self.disk(DiskOp::SaveEpochs(epochs));
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.log.append(entry.clone());
        self.disk(DiskOp::Append(entry));
    }

    /// Gives everything up to `commit` that is in the log, and was not given yet, to the layer above; returns it.
    pub(super) fn deliver(&mut self, commit: Zxid) -> Vec<Entry> {
        let due: Vec<Entry> = self.log.range(self.delivered, commit).cloned().collect();
        for entry in due.iter().cloned() {
            self.delivered = entry.zxid;
            self.delivered_since_snapshot += 1;
            self.out(Output::Deliver(entry));
            if self.delivered_since_snapshot >= self.config.snapshot_every {
                self.delivered_since_snapshot = 0;
                self.ask_snapshot(Purpose::Keep);
            }
        }
        self.log.trim(self.delivered, self.config.window);
        due
    }

    fn ask_snapshot(&mut self, purpose: Purpose) -> Ticket {
        let ticket = self.ticket();
        self.snapshots_wanted.push_back((ticket, purpose));
        self.out(Output::TakeSnapshot(ticket));
        ticket
    }

    /// Asks for the delivered state, for a peer.
    pub(super) fn snapshot_for_peer(&mut self) -> Ticket {
        self.ask_snapshot(Purpose::Peer)
    }

    /// Takes a snapshot that was asked for; returns it if it is for a peer, and keeps it on disk otherwise.
    pub(super) fn snapshot_taken(
        &mut self,
        ticket: Ticket,
        snapshot: Snapshot,
    ) -> Option<Snapshot> {
        let (wanted, purpose) = self
            .snapshots_wanted
            .pop_front()
            .expect("a snapshot nobody asked for");
        assert_eq!(wanted, ticket, "snapshots are answered in order");
        if purpose == Purpose::Peer {
            return Some(snapshot);
        }
        // The store keeps the log back to the snapshot before this one.
        self.log.disk_start = self.log.disk_start.max(self.last_snapshot);
        self.last_snapshot = snapshot.zxid;
        self.disk(DiskOp::SaveSnapshot(snapshot));
        None
    }

    /// Replaces the whole history by a leader's, and makes its epoch the current one.
    pub(super) fn install(&mut self, snapshot: Snapshot, entries: Vec<Entry>) {
        let zxid = snapshot.zxid;
        self.log.reset(zxid);
        entries.iter().for_each(|e| self.log.append(e.clone()));
        self.delivered = zxid;
        self.delivered_since_snapshot = 0;
        self.last_snapshot = zxid;
        self.disk(DiskOp::InstallHistory {
            snapshot: snapshot.clone(),
            entries,
            epochs: self.epochs,
        });
        self.out(Output::Restore(snapshot));
    }
}

/// Every member begins to count at another point, so that not all pause for a snapshot at the same time.
fn head_start(config: &Config) -> u64 {
    let all = config.members.all();
    let place = all.iter().position(|&member| member == config.id);
    place.unwrap_or_default() as u64 * config.snapshot_every / all.len().max(1) as u64
}

/// What a role wants to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Look,
    Lead,
    Follow(NodeId),
}
