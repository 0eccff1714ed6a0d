//! What every role shares: the log, the promises, the disk queue, the outbox.

use super::lives::{Chain, Known, Life, Lives};
use super::log::Log;
use super::message::{Candidacy, Evidence, FromLeader, Message, Notification, ToLeader, Vote};
use super::peers::Peers;
use super::types::*;
use super::view::{Change, Founding, View, Views};
use bytes::Bytes;
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
    /// This piece of the leader's snapshot at this zxid was written.
    PieceKept(Zxid, u32),
    /// This edition of everybody's lives is on disk.
    Knows(u64),
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) now: Millis,
    pub(super) outputs: Vec<Output>,
    pub(super) log: Log,
    pub(super) epochs: Epochs,
    pub(super) lives: Lives,
    /// Something is known of lives that was not told.
    pub(super) lives_are_news: bool,
    pub(super) peers: Peers,
    views: Views,
    /// The newest version of the view that the layer above was told.
    told_view: Option<Zxid>,
    /// The last entry given to the layer above.
    pub(super) delivered: Zxid,
    /// The election round, ZooKeeper's logical clock.
    pub(super) round: u64,
    /// Grows with each change of role, so that what an earlier role asked of the disk is not answered to a later one.
    pub(super) term: u64,
    /// It may lead. Serves liveness alone: an unfit replica votes and acknowledges as ever.
    pub(super) fit: bool,
    /// The layer above found that its state is not what the history makes.
    pub(super) doubts: bool,
    /// And that this is not the leader's fault: it takes a leader's. Until then this replica waits.
    pub(super) renounced: bool,
    disk_issued: u64,
    disk_waiting: VecDeque<(u64, u64, Then)>,
    tickets: u64,
    /// A snapshot is being taken or written.
    saving: bool,
    delivered_since_snapshot: u64,
    /// What has come of a leader's snapshot.
    pub(super) arrival: Option<Arrival>,
    /// The state that the layer above does not have yet, though the history begins with it.
    restoring: Option<Zxid>,
}

impl Core {
    pub(super) fn new(config: Config, recovered: Recovered, now: Millis) -> Core {
        let from = recovered.snapshot.as_ref();
        let snapshot = from.map_or(Zxid::ZERO, |s| s.zxid);
        let views = Views::new(first_view(&config, from));
        let mut core = Core {
            peers: Peers::new(config.id, config.sync_limit),
            now,
            outputs: Vec::new(),
            views,
            told_view: None,
            log: Log::new(snapshot, recovered.log_start, Vec::new()),
            epochs: recovered.epochs,
            lives: recovered.lives,
            lives_are_news: false,
            delivered: snapshot,
            round: 0,
            term: 0,
            fit: true,
            doubts: false,
            renounced: false,
            disk_issued: 0,
            disk_waiting: VecDeque::new(),
            tickets: 0,
            saving: false,
            delivered_since_snapshot: head_start(&config),
            arrival: recovered.arrival,
            restoring: None,
            config,
        };
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(super::Bug::AmnesiacActs) {
            core.epochs.amnesiac = false;
        }
        recovered
            .entries
            .into_iter()
            .for_each(|entry| core.remember(entry));
        // Of the views that the log went through only the last is news.
        core.outputs.clear();
        core.told_view = None;
        core.tell_view(core.view().clone());
        core
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

    /// Who counts, by our log.
    pub(super) fn view(&self) -> &View {
        self.views.last()
    }

    /// Whether this replica may be voted for.
    pub(super) fn candidacy(&self) -> Candidacy {
        let me = self.me();
        let voted = || self.views.before_last().is_some_and(|view| view.votes(me));
        match self.view() {
            _ if self.epochs.amnesiac || self.doubts || !self.fit => Candidacy::None,
            // It could not serve yet.
            _ if self.is_restoring() => Candidacy::None,
            view if view.votes(me) => Candidacy::Member,
            view if view.version > self.delivered && voted() => Candidacy::Leaving,
            _ => Candidacy::None,
        }
    }

    /// By which view a peer is judged: it may know better than we do who counts.
    pub(super) fn judge<'a>(&'a self, notification: &'a Notification) -> &'a View {
        let (ours, theirs) = (self.view(), &notification.view);
        if theirs.version > ours.version {
            theirs
        } else {
            ours
        }
    }

    /// What each voter said last, if that was lately.
    pub(super) fn voters_heard(&self) -> impl Iterator<Item = (NodeId, &Notification)> {
        let votes = |(id, n): &(NodeId, &Notification)| self.judge(n).votes(*id);
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

    pub(super) fn save_lives(&mut self) {
        let lives = self.lives.clone();
        self.disk(DiskOp::SaveLives(lives));
    }

    /// The lives that a server is known to have lived, and that it does not remember.
    pub(super) fn forgotten(&self, id: NodeId, chain: &Chain) -> Vec<Life> {
        match self.minds() {
            true => self.lives.forgotten(id, chain),
            false => Vec::new(),
        }
    }

    /// Takes over what somebody knows of everybody's lives. False if this replica has forgotten one of its own, and did not know.
    #[must_use]
    pub(super) fn learn(&mut self, told: &Known) -> bool {
        let me = self.me();
        for (&id, lives) in told.iter().filter(|&(&id, _)| id != me) {
            for &life in lives {
                self.lives_are_news |= self.lives.note(id, life);
            }
        }
        match told.get(&me) {
            Some(own) => self.admit(&Evidence::Lives(own.clone())),
            None => true,
        }
    }

    /// Judges what is said of this replica. False if it has forgotten that, and did not know: it is amnesiac from now on.
    #[must_use]
    pub(super) fn admit(&mut self, evidence: &Evidence) -> bool {
        if self.epochs.amnesiac || !self.minds() {
            return true;
        }
        let remembers = match evidence {
            Evidence::Lives(own) => own.iter().all(|life| self.lives.own.covers(life)),
            &Evidence::Acknowledged { epoch, zxid } => {
                self.epochs.current >= epoch && self.log.last() >= zxid
            }
        };
        if !remembers {
            self.epochs.amnesiac = true;
            self.save_epochs();
            self.out(Output::Forgot(evidence.clone()));
        }
        remembers
    }

    /// A server has shown its chain, and promised this epoch in its present life.
    pub(super) fn shown(&mut self, id: NodeId, chain: &Chain, promised: Epoch) {
        self.lives_are_news |= self.lives.shown(id, chain, promised);
    }

    /// Whether it makes a difference that a server forgot: always, but for planted bugs.
    pub(super) fn minds(&self) -> bool {
        #[cfg(feature = "bugs")]
        if let Some(super::Bug::OldCopyActs | super::Bug::AmnesiacActs) = self.config.bug {
            return false;
        }
        true
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.remember(entry.clone());
        self.disk(DiskOp::Append(entry));
    }

    /// What a transaction does to the ensemble, if it does anything.
    pub(super) fn change_in(&self, txn: &Bytes) -> Option<Change> {
        (self.config.reading.change)(txn)
    }

    /// Adds an entry to the history as memory has it.
    fn remember(&mut self, entry: Entry) {
        let change = self
            .change_in(&entry.txn)
            .map(|change| (entry.zxid, change));
        self.log.append(entry);
        if let Some((zxid, change)) = change {
            self.views.change(zxid, change);
            self.tell_view(self.view().clone());
        }
    }

    /// Cuts the log after `zxid`, which must be part of the history, and not before what is delivered.
    pub(super) fn truncate(&mut self, zxid: Zxid) {
        let before = self.view().version;
        self.log.truncate(zxid);
        self.views.truncate(zxid);
        self.disk(DiskOp::Truncate(zxid));
        if self.view().version != before {
            // A change that came to nothing: what it was has been told.
            self.told_view = None;
            self.tell_view(self.view().clone());
        }
    }

    /// Tells the layer above of a peer's view, if it is news and of the ensemble whose history is ours.
    pub(super) fn tell_of_view(&mut self, theirs: &View) {
        if self.ensemble().is_none_or(|ours| ours == theirs.founded) {
            self.tell_view(theirs.clone());
        }
    }

    /// Whose history this replica holds; nothing before it was brought up to date once.
    pub(super) fn ensemble(&self) -> Option<Founding> {
        (self.epochs.current > Epoch(0)).then(|| self.view().founded)
    }

    /// Tells the layer above of a view, ours or a peer's, if it is news.
    pub(super) fn tell_view(&mut self, view: View) {
        if self.told_view.is_none_or(|told| told < view.version) {
            self.told_view = Some(view.version);
            self.out(Output::View(view));
        }
    }

    /// Gives everything up to `commit` that is in the log, and was not given yet, to the layer above; returns it.
    pub(super) fn deliver(&mut self, commit: Zxid) -> Vec<Entry> {
        assert!(
            !self.is_restoring(),
            "nothing fits a state that is not there"
        );
        let due: Vec<Entry> = self.log.range(self.delivered, commit).cloned().collect();
        for entry in due.iter().cloned() {
            self.delivered = entry.zxid;
            self.delivered_since_snapshot += 1;
            self.out(Output::Deliver(entry));
            if self.delivered_since_snapshot >= self.config.snapshot_every {
                self.want_snapshot();
            }
        }
        let (window, bytes) = (self.config.window, self.config.window_bytes);
        self.log.trim(self.delivered, window, bytes);
        self.views.trim(self.delivered);
        due
    }

    /// Asks for a snapshot of the delivered state on the disk, unless one is on its way.
    pub(super) fn want_snapshot(&mut self) {
        if !std::mem::replace(&mut self.saving, true) {
            self.delivered_since_snapshot = 0;
            self.out(Output::TakeSnapshot);
        }
    }

    /// Takes a snapshot that was asked for, and writes it. One that is in doubt goes nowhere.
    pub(super) fn snapshot_taken(&mut self, snapshot: Option<Snapshot>) {
        assert!(self.saving, "a snapshot nobody asked for");
        match snapshot {
            Some(snapshot) => self.disk(DiskOp::SaveSnapshot(snapshot)),
            None => self.saving = false,
        }
    }

    pub(super) fn snapshot_saved(&mut self, log_start: Zxid) {
        self.saving = false;
        // One of a history that was replaced meanwhile says nothing: ours begins later.
        self.log.disk_start = self.log.disk_start.max(log_start);
    }

    /// Replaces the whole history by a leader's, and makes its epoch the current one.
    pub(super) fn install(&mut self, snapshot: Stored, entries: Vec<Entry>) {
        let zxid = snapshot.zxid;
        self.log.reset(zxid);
        self.views = Views::new(first_view(&self.config, Some(&snapshot)));
        self.tell_view(self.view().clone());
        entries
            .iter()
            .for_each(|entry| self.remember(entry.clone()));
        self.delivered = zxid;
        self.delivered_since_snapshot = 0;
        self.saving = false;
        self.arrival = None;
        self.restoring = Some(zxid);
        self.disk(DiskOp::InstallHistory {
            zxid,
            entries,
            epochs: self.epochs,
            keep_former: self.renounced,
        });
        (self.doubts, self.renounced) = (false, false);
        self.out(Output::Restore(zxid));
    }

    /// Whether the layer above still lacks the state with which the history begins.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// The layer above has the state; of several that were asked for, the last counts.
    pub(super) fn restored(&mut self, zxid: Zxid) {
        if self.restoring == Some(zxid) {
            self.restoring = None;
        }
    }
}

/// The view with which a history after this snapshot begins.
fn first_view(config: &Config, snapshot: Option<&Stored>) -> View {
    let told = snapshot.and_then(|snapshot| (config.reading.view)(&snapshot.beginning));
    told.unwrap_or_else(|| View::initial(config.members.clone()))
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
