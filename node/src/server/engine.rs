//! The loop: takes events, drives the replica, carries out what it wants, applies what it delivers.
//!
//! It owns all state of the node. One turn takes all events that are ready, and ends by sending what came of them.

use super::admin::AlertLines;
use super::complaints::Complaints;
use super::disk::Disk;
use super::event::{ConnectionId, Event};
use super::forward::{Downward, Upward};
use super::jury::Jury;
use super::leading::Leader;
use super::listener::Home;
use super::metrics::{Metrics, Passing, TURN_MS};
use super::peer::PeerLink;
use super::pipeline::Clients;
use super::read_only::ReadOnly;
use super::restoring::Restoring;
use super::{Clock, Micros, NodeError};
use crate::config::NodeConfig;
use crate::ensemble::Servers;
use crate::request::SessionId;
use crate::storage::{LogRead, PieceRead};
use crate::tree::{Digests, Tree};
use crate::txn::Incarnation;
use crate::warn::{Lookout, Observation};
use crate::zab::{Founding, Input, Millis, NodeId, Replica, Status, View, Zxid};
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::MissedTickBehavior;

/// How often time is given to the replica, in milliseconds.
const TICK_MS: u64 = 10;

/// Events taken in one turn.
const TURN: usize = 512;

/// Alerts that wait for those who listen; who is slower misses some.
const ALERT_LINES: usize = 256;

/// The node.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) config: Arc<NodeConfig>,
    pub(super) incarnation: Incarnation,
    pub(super) random: ChaCha8Rng,
    pub(super) now: Millis,
    /// The time at which the event in hand was taken.
    pub(super) at: Micros,
    clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) passing: Passing,
    pub(super) read_only: ReadOnly,
    /// For those who listen to alerts.
    pub(super) alert_lines: AlertLines,
    pub(super) replica: Replica,
    pub(super) tree: Tree,
    pub(super) restoring: Option<Restoring>,
    pub(super) digests: Digests,
    pub(super) jury: Jury,
    pub(super) status: Status,
    pub(super) clients: Clients,
    /// Of clients that have seen more than this server.
    pub(super) ahead: Complaints,
    /// While this server leads and serves.
    pub(super) leader: Option<Leader>,
    pub(super) peers: BTreeMap<NodeId, PeerLink>,
    pub(super) disk: Disk,
    pub(super) lookout: Lookout,
    /// When the next beats are due.
    pub(super) next_beat: Millis,
    /// When clients' requests are looked at next.
    pub(super) next_count: Millis,
    /// Operations given to the disk.
    pub(super) disk_asked: u64,
    /// Parts of the log that were read for learners, and wait until those have taken what came before.
    pub(super) reads: Vec<LogRead>,
    /// The newest view that the replica knows.
    pub(super) newest: View,
    /// Where this server listens.
    pub(super) home: Home,
    /// Whom the dialling task is to connect to.
    pub(super) dials: watch::Sender<Servers>,
    /// Whose history this server holds.
    pub(super) founded: watch::Sender<Option<Founding>>,
    /// The last number given to a question to the leader.
    pub(super) number: u64,
    /// Sessions that showed signs of life since the last report.
    pub(super) touched: FxHashSet<SessionId>,
    pub(super) upward: Vec<Upward>,
    pub(super) downward: BTreeMap<(NodeId, Incarnation), Vec<Downward>>,
    /// Syncs that the leader has answered, and whose zxid is not delivered here yet.
    pub(super) late: BTreeMap<Zxid, Vec<ConnectionId>>,
    next_tick: Millis,
    next_report: Millis,
    next_turn: Millis,
    pub(super) stopped: Option<NodeError>,
    #[cfg(feature = "bugs")]
    pub(super) bug: Option<crate::zab::Bug>,
}

impl Engine {
    pub(super) fn new(
        config: Arc<NodeConfig>,
        incarnation: Incarnation,
        random: ChaCha8Rng,
        clock: Clock,
        (replica, tree): (Replica, Tree),
        disk: Disk,
        home: Home,
    ) -> Engine {
        let (at, metrics) = (clock.micros(), disk.metrics());
        let mut digests = Digests::default();
        digests.begin(tree.checkpoint());
        let passing = Passing::new(metrics.clone(), replica.is_voter(), at);
        Engine {
            incarnation,
            random,
            now: clock.now(),
            at,
            clock,
            status: replica.status(),
            tree,
            restoring: None,
            digests,
            jury: Jury::default(),
            clients: Clients::new(config.security.clone(), metrics.clone()),
            ahead: Complaints::default(),
            passing,
            read_only: ReadOnly::default(),
            alert_lines: broadcast::channel(ALERT_LINES).0,
            metrics,
            leader: None,
            peers: BTreeMap::new(),
            disk,
            lookout: super::lookout::begin(&config, clock.now()),
            next_beat: Millis::default(),
            next_count: Millis::default(),
            disk_asked: 0,
            reads: Vec::new(),
            newest: View::initial(config.zab_members()),
            dials: watch::Sender::new(Servers::new()),
            founded: watch::Sender::new(replica.ensemble()),
            number: 0,
            touched: FxHashSet::default(),
            upward: Vec::new(),
            downward: BTreeMap::new(),
            late: BTreeMap::new(),
            next_tick: Millis::default(),
            next_report: Millis::default(),
            next_turn: Millis(TURN_MS),
            stopped: None,
            home,
            config,
            replica,
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
                () = tokio::task::yield_now(), if self.clients.has_held_back() => {}
                _ = ticker.tick() => {}
            }
            self.at = self.clock.micros();
            self.now = Millis(self.at.0 / 1000);
            self.wake();
            self.carry_out()?;
            for id in self.clients.take_held_back() {
                self.pump(id);
                self.carry_out()?;
            }
            for event in events.drain(..) {
                self.at = self.clock.micros();
                self.take(event)?;
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

    fn take(&mut self, event: Event) -> Result<(), NodeError> {
        match event {
            Event::Connect { id, link, request } => {
                self.metrics.packets_received.inc();
                self.connect(id, link, request);
            }
            Event::Requests { id, requests, came } => {
                self.metrics.packets_received.add(requests.len() as u64);
                self.requests(id, requests, self.clock.at(came));
            }
            Event::Drained(id) => self.pump(id),
            Event::Gone(id) => self.clients.close(id),
            // Who asked may be gone already.
            Event::Word { word, answer } => {
                self.metrics.packets_received.inc();
                drop(answer.send(self.word(word)));
                self.metrics.packets_sent.inc();
            }
            // Who asked may be gone already.
            Event::Question { question, answer } => drop(answer.send(self.answer(question))),
            Event::PeerUp { peer, link } => self.peer_up(peer, link),
            Event::PeerBeat {
                peer,
                id,
                beat,
                received,
            } => self.peer_beat(peer, id, beat, received)?,
            Event::CanarySent(number) => self.lookout.observe(Observation::CanarySent(number)),
            Event::CanaryBack {
                number,
                free,
                total,
            } => {
                self.lookout.observe(Observation::CanaryBack(number));
                self.lookout.observe(Observation::Space { free, total });
            }
            Event::PeerSaid { peer, id, messages } => self.peer_said(peer, id, messages),
            Event::PeerGone { peer, id } => self.peer_gone(peer, id),
            Event::DiskDone { count, performed } => {
                self.reads.extend(performed.reads);
                self.hand_over_reads();
                for PieceRead { ticket, piece } in performed.pieces {
                    self.step(Input::PieceRead { ticket, piece });
                }
                if let Some(reader) = performed.installed {
                    self.load_state(reader);
                }
                self.lookout.observe(Observation::DiskDone(count));
                self.step(Input::DiskDone { count });
            }
            Event::SnapshotSaved(log_start) => self.step(Input::SnapshotSaved { log_start }),
            Event::Loaded(zxid, tree) => self.loaded_state(zxid, *tree),
            Event::DiskFailed(error) => self.stopped = Some(error.into()),
        }
        Ok(())
    }

    pub(super) fn step(&mut self, input: Input) {
        self.replica.step(self.now, input);
    }

    fn tick(&mut self) {
        self.step(Input::Tick);
        self.hand_over_reads();
        if self.now >= self.next_report
            || self.leader.as_ref().is_some_and(Leader::has_more_to_expire)
        {
            self.next_report = Millis(self.now.0 + self.config.timing.tick_ms);
            self.report_sessions();
        }
        self.remove_perished();
        if let Err(problem) = self.settle_doubt() {
            self.stopped = Some(problem);
        }
        self.keep_read_only();
        self.keep_alerts();
        self.keep_seats();
        if self.now >= self.next_turn {
            self.next_turn = Millis(self.now.0 + TURN_MS);
            self.metrics.turn();
            self.passing.turn();
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

    fn end_turn(&mut self) -> Result<(), NodeError> {
        self.look_out();
        self.confirm_syncs();
        self.send_messages();
        self.carry_out()?;
        self.disk.flush();
        self.flush_peers();
        self.carry_out()?;
        self.clients.flush();
        Ok(())
    }
}
