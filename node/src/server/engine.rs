//! The loop: takes events, drives the replica, carries out what it wants, applies what it delivers.
//!
//! It owns all state of the node. One turn takes all events that are ready, and ends by sending what came of them.

use super::disk::Disk;
use super::event::{ConnectionId, Event};
use super::forward::{Downward, Envelope, Upward};
use super::leading::Leader;
use super::peer::PeerLink;
use super::pipeline::{Answer, Clients};
use super::{Clock, NodeError};
use crate::config::NodeConfig;
use crate::request::SessionId;
use crate::storage::LogRead;
use crate::tree::{Outcome, Tree};
use crate::txn::{Incarnation, Txn};
use crate::zab::{Entry, Input, Message, Millis, NodeId, Output, Replica, Snapshot, Status, Zxid};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// How often time is given to the replica, in milliseconds.
const TICK_MS: u64 = 10;

/// Events taken in one turn.
const TURN: usize = 512;

/// Data in forwarded requests, in bytes, beyond which a message is closed and the next begun.
const ENVELOPE: usize = 1 << 20;

/// The node.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: Arc<NodeConfig>,
    pub(super) incarnation: Incarnation,
    pub(super) random: ChaCha8Rng,
    pub(super) now: Millis,
    clock: Clock,
    pub(super) replica: Replica,
    pub(super) tree: Tree,
    pub(super) status: Status,
    pub(super) clients: Clients,
    /// While this server leads and serves.
    pub(super) leader: Option<Leader>,
    pub(super) peers: BTreeMap<NodeId, PeerLink>,
    disk: Disk,
    /// The last number given to a question to the leader.
    pub(super) number: u64,
    /// Sessions that showed signs of life since the last report.
    pub(super) touched: FxHashSet<SessionId>,
    upward: Vec<Upward>,
    downward: BTreeMap<(NodeId, Incarnation), Vec<Downward>>,
    /// Syncs that the leader has answered, and whose zxid is not delivered here yet.
    late: BTreeMap<Zxid, Vec<ConnectionId>>,
    next_tick: Millis,
    next_report: Millis,
    stopped: Option<NodeError>,
    #[cfg(feature = "bugs")]
    pub(super) bug: Option<crate::zab::Bug>,
}

impl Engine {
    pub(super) fn new(
        config: Arc<NodeConfig>,
        incarnation: Incarnation,
        random: ChaCha8Rng,
        clock: Clock,
        replica: Replica,
        tree: Tree,
        disk: Disk,
    ) -> Engine {
        Engine {
            config,
            incarnation,
            random,
            now: clock.now(),
            clock,
            status: replica.status(),
            replica,
            tree,
            clients: Clients::default(),
            leader: None,
            peers: BTreeMap::new(),
            disk,
            number: 0,
            touched: FxHashSet::default(),
            upward: Vec::new(),
            downward: BTreeMap::new(),
            late: BTreeMap::new(),
            next_tick: Millis::default(),
            next_report: Millis::default(),
            stopped: None,
            #[cfg(feature = "bugs")]
            bug: None,
        }
    }

    /// Runs until `stop` is ready, or something fails that the node must not survive.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), NodeError> {
        let mut events = Vec::with_capacity(TURN);
        let mut ticker = tokio::time::interval(Duration::from_millis(TICK_MS));
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        self.carry_out()?;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => {
                    tracing::info!("asked to stop");
                    return Ok(());
                }
                _ = inbox.recv_many(&mut events, TURN) => {}
                _ = ticker.tick() => {}
            }
            self.now = self.clock.now();
            for event in events.drain(..) {
                self.take(event);
                self.carry_out()?;
            }
            if self.now >= self.next_tick {
                self.next_tick = Millis(self.now.0 + TICK_MS);
                self.tick();
                self.carry_out()?;
            }
            self.end_turn()?;
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Connect { id, link, request } => self.connect(id, link, request),
            Event::Requests { id, requests } => self.requests(id, requests),
            Event::Drained(id) => self.clients.pump(id, &self.tree, self.now),
            Event::Gone(id) => self.clients.close(id),
            // Who asked may be gone already.
            Event::Word { word, answer } => drop(answer.send(self.word(word))),
            Event::PeerUp { peer, link } => self.peer_up(peer, link),
            Event::PeerSaid { peer, id, messages } => self.peer_said(peer, id, messages),
            Event::PeerGone { peer, id } => self.peer_gone(peer, id),
            Event::DiskDone { count, reads } => {
                for LogRead { ticket, entries } in reads {
                    self.step(Input::LogRead { ticket, entries });
                }
                self.step(Input::DiskDone { count });
            }
            Event::DiskFailed(error) => self.stopped = Some(error.into()),
        }
    }

    fn step(&mut self, input: Input) {
        self.replica.step(self.now, input);
    }

    fn tick(&mut self) {
        self.step(Input::Tick);
        if self.now >= self.next_report {
            self.next_report = Millis(self.now.0 + self.config.timing.tick_ms);
            self.report_sessions();
        }
    }

    /// Tells the leader, or notes as leader, which sessions live; as leader, closes those that do not.
    fn report_sessions(&mut self) {
        let mut touched: Vec<_> = self.touched.drain().collect();
        touched.sort_unstable();
        if !touched.is_empty() {
            self.submit(Upward::Touched(touched));
        }
        self.expire_sessions();
    }

    // Peers.

    fn peer_up(&mut self, peer: NodeId, link: PeerLink) {
        if let Some(before) = self.peers.get(&peer) {
            // What was delayed on its way must not replace what came later.
            if before.incarnation == link.incarnation && before.dial > link.dial {
                return;
            }
            self.peer_lost(peer);
        }
        tracing::info!(peer = peer.0, "connected");
        self.peers.insert(peer, link);
        self.step(Input::PeerUp(peer));
    }

    fn peer_said(&mut self, peer: NodeId, id: ConnectionId, messages: Vec<Message>) {
        for message in messages {
            // Each may break the connection.
            if self.peers.get(&peer).is_none_or(|link| link.id != id) {
                return;
            }
            self.step(Input::Message {
                from: peer,
                message,
            });
            if let Err(error) = self.carry_out() {
                self.stopped = Some(error);
                return;
            }
        }
    }

    fn peer_gone(&mut self, peer: NodeId, id: ConnectionId) {
        if self.peers.get(&peer).is_some_and(|link| link.id == id) {
            self.peer_lost(peer);
        }
    }

    /// Breaks the connection, if there is one, and says so to the replica.
    fn peer_lost(&mut self, peer: NodeId) {
        if self.peers.remove(&peer).is_some() {
            tracing::info!(peer = peer.0, "disconnected");
            self.step(Input::PeerDown(peer));
        }
    }

    // What the replica wants.

    fn carry_out(&mut self) -> Result<(), NodeError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        let mut outputs = VecDeque::from(self.replica.outputs());
        while let Some(output) = outputs.pop_front() {
            self.carry_out_one(output)?;
            outputs.extend(self.replica.outputs());
        }
        Ok(())
    }

    fn carry_out_one(&mut self, output: Output) -> Result<(), NodeError> {
        match output {
            Output::Send { to, message } => {
                if let Some(link) = self.peers.get_mut(&to) {
                    link.push(&message);
                }
            }
            Output::Disconnect(peer) => {
                tracing::warn!(peer = peer.0, "what it says makes no sense: disconnecting");
                self.peer_lost(peer);
            }
            Output::Disk(op) => self.disk.push(op),
            Output::Restore(snapshot) => self.restore(&snapshot)?,
            Output::Deliver(entry) => self.deliver(entry)?,
            Output::TakeSnapshot(ticket) => {
                let snapshot = Snapshot {
                    zxid: self.tree.zxid(),
                    state: self.tree.image(),
                };
                tracing::info!(zxid = %snapshot.zxid, bytes = snapshot.state.len(), "snapshot taken");
                self.step(Input::SnapshotTaken { ticket, snapshot });
            }
            Output::Status(status) => self.status_changed(status),
            Output::App { from, payload } => self.app(from, &payload),
            Output::Confirmed { token, zxid } => self.confirmed(token, zxid),
        }
        Ok(())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), NodeError> {
        let zxid = snapshot.zxid;
        self.tree =
            Tree::restore(&snapshot.state).map_err(|source| NodeError::Image { zxid, source })?;
        tracing::info!(%zxid, znodes = self.tree.znode_count(), "state replaced by a snapshot");
        Ok(())
    }

    fn deliver(&mut self, entry: Entry) -> Result<(), NodeError> {
        let zxid = entry.zxid;
        let txn = Txn::decode(&entry.txn).map_err(|source| NodeError::Txn { zxid, source })?;
        let (origin, timeout) = (txn.origin, session_timeout(&txn));
        let outcome = self.tree.apply(zxid, txn)?;
        if let Some(leader) = &mut self.leader {
            leader.applied(zxid, origin.node, &outcome, timeout, self.now);
        }
        let closed = match outcome {
            Outcome::SessionClosed(session) => self.clients.of_session(session),
            _ => None,
        };
        let mine = origin.node == self.config.id && origin.incarnation == self.incarnation;
        let asker = if mine {
            self.clients.asker(origin.number)
        } else {
            None
        };
        match (asker, outcome) {
            (Some(id), Outcome::SessionOpened(session)) => self.session_opened(id, session),
            (Some(id), outcome) => {
                self.clients
                    .answer(id, origin.number, Answer::Done(zxid, outcome));
                self.clients.pump(id, &self.tree, self.now);
            }
            (None, _) => {}
        }
        // A client that closed its session itself gets its answer first, and is closed with it.
        if let Some(id) = closed.filter(|id| asker != Some(*id)) {
            self.clients.close(id);
        }
        self.answer_late_syncs();
        Ok(())
    }

    /// The leader has answered a sync.
    pub(super) fn synced(&mut self, number: u64, zxid: Zxid) {
        let Some(id) = self.clients.asker(number) else {
            return;
        };
        self.clients.answer(id, number, Answer::Synced(zxid));
        if zxid > self.tree.zxid() {
            self.late.entry(zxid).or_default().push(id);
        } else {
            self.clients.pump(id, &self.tree, self.now);
        }
    }

    fn answer_late_syncs(&mut self) {
        while let Some(first) = self
            .late
            .first_entry()
            .filter(|first| *first.key() <= self.tree.zxid())
        {
            for id in first.remove() {
                self.clients.pump(id, &self.tree, self.now);
            }
        }
    }

    fn status_changed(&mut self, status: Status) {
        tracing::info!(?status, zxid = %self.tree.zxid(), "status");
        let served = self.status.serving();
        self.status = status;
        if served && !status.serving() {
            // What is under way may or may not happen; only silence is an honest answer.
            self.clients.close_all();
            self.upward.clear();
            self.downward.clear();
            self.late.clear();
            self.touched.clear();
        }
        // What is proposed and not yet applied is known to no other leader: it must not be forgotten while this one leads.
        if !status.leads() {
            self.leader = None;
        } else if self.leader.is_none() {
            self.leader = Some(Leader::new(
                &self.tree,
                self.config.timing.tick_ms,
                self.now,
            ));
        }
    }

    // Servers' messages to each other.

    /// Asks the leader, which may be this server.
    pub(super) fn submit(&mut self, question: Upward) {
        match self.status {
            Status::Leading { serving: true, .. } => {
                self.lead(self.config.id, self.incarnation, question)
            }
            Status::Following { serving: true, .. } => self.upward.push(question),
            _ => {}
        }
    }

    /// Answers a server, which may be this one.
    pub(super) fn reply(&mut self, to: NodeId, incarnation: Incarnation, answer: Downward) {
        if to == self.config.id {
            self.told(answer);
        } else {
            self.downward
                .entry((to, incarnation))
                .or_default()
                .push(answer);
        }
    }

    fn told(&mut self, answer: Downward) {
        match answer {
            Downward::Synced { number, zxid } => self.synced(number, zxid),
            Downward::Revalidated { number, timeout_ms } => self.revalidated(number, timeout_ms),
        }
    }

    fn app(&mut self, from: NodeId, payload: &[u8]) {
        match Envelope::decode(payload) {
            Ok(Envelope::Up(incarnation, questions)) if self.leader.is_some() => {
                for question in questions {
                    self.lead(from, incarnation, question);
                }
            }
            Ok(Envelope::Down(incarnation, answers)) if incarnation == self.incarnation => {
                for answer in answers {
                    self.told(answer);
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(peer = from.0, %error, "its message makes no sense: disconnecting");
                self.peer_lost(from);
            }
        }
    }

    // The end of a turn.

    fn end_turn(&mut self) -> Result<(), NodeError> {
        self.confirm_syncs();
        self.send_messages();
        self.carry_out()?;
        self.disk.flush();
        self.flush_peers();
        self.carry_out()?;
        self.clients.flush();
        Ok(())
    }

    fn send_messages(&mut self) {
        if let Status::Following {
            leader,
            serving: true,
            ..
        } = self.status
        {
            let mut questions = std::mem::take(&mut self.upward).into_iter().peekable();
            while questions.peek().is_some() {
                let mut bytes = 0;
                let mut batch = Vec::new();
                while let Some(question) = questions.next_if(|_| bytes < ENVELOPE) {
                    bytes += question.size();
                    batch.push(question);
                }
                self.replica
                    .send_app(leader, Envelope::Up(self.incarnation, batch).encode());
            }
        }
        for ((to, incarnation), answers) in std::mem::take(&mut self.downward) {
            self.replica
                .send_app(to, Envelope::Down(incarnation, answers).encode());
        }
    }

    fn flush_peers(&mut self) {
        let (now, silence) = (self.now, self.config.timing.sync_limit_ms / 4);
        let limit = self.config.limits.peer_queue_bytes;
        let full = |(id, link): (&NodeId, &mut PeerLink)| {
            (!link.flush(now, silence, limit)).then_some(*id)
        };
        let full: Vec<NodeId> = self.peers.iter_mut().filter_map(full).collect();
        for peer in full {
            tracing::warn!(peer = peer.0, limit, "too much waits for it: disconnecting");
            self.peer_lost(peer);
        }
    }
}

/// The time-out of the session that this transaction opens; 0 if it opens none.
fn session_timeout(txn: &Txn) -> i32 {
    match txn.body {
        crate::txn::Body::OpenSession { timeout_ms, .. } => timeout_ms,
        _ => 0,
    }
}
