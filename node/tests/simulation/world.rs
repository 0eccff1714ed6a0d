//! The simulated world: replicas on simulated disks, a network that breaks, clients, and a source of faults, all driven by
//! one seed in virtual time (microseconds).

use crate::coverage::{Coverage, Situation};
use crate::disk::Disk;
use crate::durable::Durable;
use crate::layer::{self, App};
use crate::network::{Item, Network};
use crate::oracle::Oracle;
use keelhaul_node::storage::{LogRead, PieceRead, Store, StoreOptions};
use keelhaul_node::zab::{
    Config, DiskOp, Entry, Epoch, FromLeader, Input, Members, Message, Millis, NodeId, Output,
    Replica, Status, ToLeader, View, Zxid,
};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};

/// How many events a seed runs at least, before everything is healed.
const EVENTS: u64 = 5_000;
/// How long the cluster may take to be whole again after the last fault: microseconds of virtual time.
const RECOVERY: u64 = 30_000_000;
/// Between two ticks of a replica: microseconds.
const TICK: u64 = 20_000;

/// Where events come from that wait for a stopped node, besides its peers.
const CLIENTS: usize = usize::MAX - 1;
const OWN: usize = usize::MAX;

/// What a world is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setting {
    pub(crate) seed: u64,
    #[cfg(feature = "bugs")]
    pub(crate) bug: Option<keelhaul_node::zab::Bug>,
    pub(crate) trace: bool,
}

pub(crate) struct Running {
    pub(crate) replica: Replica,
    store: Store,
    disk_queue: VecDeque<DiskOp>,
    disk_busy: bool,
    disk_done: u64,
    /// It will go on writing a snapshot soon.
    save_due: bool,
    pub(crate) app: App,
    /// The snapshot whose state it does not have yet.
    pub(crate) restoring: Option<Zxid>,
    /// The conversation in which it fetched a piece of a snapshot last.
    fetched_in: Option<u64>,
    status: Status,
    /// Its state is in doubt.
    pub(crate) doubted: bool,
    /// Syncs asked for, with how many transactions were committed then.
    syncs: BTreeMap<u64, usize>,
}

pub(crate) struct Node {
    pub(crate) disk: Disk,
    pub(crate) durable: Durable,
    /// Copies of the disk, the oldest first.
    pub(crate) copies: Vec<Disk>,
    /// What was on the disk that was taken from it last.
    lost: Durable,
    pub(crate) running: Option<Running>,
    /// How often it was started: what an earlier life asked for is not answered to a later one.
    life: u64,
    pub(crate) paused: bool,
    /// What arrived while it was paused.
    inbox: Vec<Event>,
    pub(crate) amnesiac: bool,
    /// An old copy of its disk was put back, and it does not know.
    pub(crate) unnoticed: bool,
    /// The newest connection when its disk was taken last.
    pub(crate) wiped_at: u64,
    /// A byte of its disk was changed since it was started last.
    pub(crate) damaged: bool,
    /// The configuration that it is started with.
    members: Members,
    /// The newest view that it knows.
    pub(crate) view: View,
    /// The last leader under which it served.
    leader: Option<NodeId>,
    /// How fast its clock runs, in percent: no promise may rest on clocks.
    clock_rate: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Tick(usize),
    Arrive {
        from: usize,
        to: usize,
    },
    Disk {
        node: usize,
        life: u64,
    },
    DiskDone {
        node: usize,
        life: u64,
        operations: u64,
        reads: Vec<Input>,
    },
    /// The disk has time for a piece of a snapshot.
    SaveMore {
        node: usize,
        life: u64,
    },
    /// The state of a snapshot was read.
    Loaded {
        node: usize,
        life: u64,
        zxid: Zxid,
        app: Box<App>,
    },
    Dial {
        node: usize,
        peer: usize,
    },
    Client,
    /// A client's request reaches a node; so many transactions were committed when it was sent.
    Request {
        node: usize,
        committed: usize,
    },
    Fault,
    /// It is decided whether a state in doubt is right.
    Settle {
        node: usize,
        life: u64,
    },
    /// A state that is wrong may still be there.
    Rebuild {
        node: usize,
        life: u64,
    },
    /// Somebody wants other members.
    Change,
    /// Somebody makes a copy of a disk.
    Copy,
    /// The disk of a node is taken that has just promised something, and the leader is stopped that is to hear of it.
    Deprive {
        node: usize,
        leader: usize,
    },
}

pub(crate) struct World {
    setting: Setting,
    pub(crate) rng: ChaCha8Rng,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) nodes: Vec<Node>,
    network: Network,
    pub(crate) oracle: Oracle,
    /// Whether members come and go.
    changes: bool,
    /// All views that anybody ever knew.
    pub(crate) views: BTreeMap<(Zxid, usize), View>,
    /// The epoch in which the last change of the members was proposed.
    pub(crate) joined_in: Option<Epoch>,
    pub(crate) coverage: Coverage,
    pub(crate) config: Config,
    segment_bytes: u64,
    piece_bytes: usize,
    slow_disk: bool,
    pub(crate) faults: bool,
    tokens: u64,
    written: u64,
    pub(crate) events: u64,
    pub(crate) log: Vec<String>,
}

pub(crate) fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

pub(crate) fn index(id: NodeId) -> usize {
    id.0 as usize - 1
}

impl World {
    pub(crate) fn new(setting: Setting) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(setting.seed);
        let voters = if rng.random_bool(0.5) { 3 } else { 5 };
        let members = voters + *[0, 0, 1, 2].choose(&mut rng).expect("not empty");
        let changes = rng.random_bool(0.5);
        let spare = if changes { rng.random_range(0..3) } else { 0 };
        let config = Config {
            id: id(0),
            members: Members {
                voters: (0..voters).map(id).collect(),
                observers: (voters..members).map(id).collect(),
                ..Members::default()
            },
            reading: layer::READING,
            tick: 50,
            sync_limit: 300,
            init_limit: 1500,
            finalize_wait: 20,
            window: *[2, 10, 40].choose(&mut rng).expect("not empty"),
            window_bytes: *[300, usize::MAX].choose(&mut rng).expect("not empty"),
            snapshot_every: *[5, 20, 60, 1000].choose(&mut rng).expect("not empty"),
            read_batch: *[10, 100].choose(&mut rng).expect("not empty"),
            first_counter: *[0, 0, 0, u32::MAX - 60]
                .choose(&mut rng)
                .expect("not empty"),
            #[cfg(feature = "bugs")]
            bug: setting.bug,
        };
        let mut world = World {
            setting,
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            nodes: Vec::new(),
            network: Network::default(),
            oracle: Oracle::new(config.members.clone()),
            changes,
            views: BTreeMap::new(),
            joined_in: None,
            coverage: Coverage::default(),
            config,
            segment_bytes: rng.random_range(100..2000),
            piece_bytes: rng.random_range(150..500),
            slow_disk: rng.random_bool(0.3),
            faults: true,
            tokens: 0,
            written: 0,
            events: 0,
            log: Vec::new(),
            rng,
        };
        world.populate(members + spare);
        world
    }

    fn populate(&mut self, count: usize) {
        let drift = self.rng.random_bool(0.5);
        for node in 0..count {
            let members = self.first_members(node);
            let mut disk = Disk::default();
            Store::format_on(&mut disk).expect("an empty disk can be formatted");
            self.nodes.push(Node {
                disk,
                durable: Durable::default(),
                copies: Vec::new(),
                lost: Durable::default(),
                running: None,
                life: 0,
                paused: false,
                inbox: Vec::new(),
                amnesiac: false,
                unnoticed: false,
                wiped_at: 0,
                damaged: false,
                view: View::initial(members.clone()),
                members,
                leader: None,
                clock_rate: if drift {
                    self.rng.random_range(60..160)
                } else {
                    100
                },
            });
            self.later(TICK, Event::Tick(node));
            for peer in 0..node {
                self.later(1000, Event::Dial { node, peer });
            }
        }
        self.later(10_000, Event::Client);
        self.later(200_000, Event::Fault);
        self.later(100_000, Event::Copy);
        if self.changes {
            self.later(100_000, Event::Change);
        }
    }

    /// Runs the seed: faults for a while, then none, until the cluster is whole again.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        while self.events < EVENTS {
            self.next()?;
        }
        self.heal()?;
        let committed = self.oracle.committed();
        let deadline = self.now + RECOVERY;
        while !(self.whole() && self.oracle.committed() > committed) {
            if self.now > deadline {
                if let Some(node) = (0..self.nodes.len()).find(|&node| self.differs(node)) {
                    return Err(format!(
                        "node {node} holds another state than the others, and nobody says so"
                    ));
                }
                return Err(format!(
                    "not live again within {} s after the last fault: {}",
                    RECOVERY / 1_000_000,
                    self.show()
                ));
            }
            self.next()?;
        }
        match self.nodes.iter().position(|node| node.unnoticed) {
            Some(node) => Err(format!(
                "node {node} came back with an old copy of its disk, and serves as if it had forgotten nothing"
            )),
            None => Ok(()),
        }
    }

    fn whole(&self) -> bool {
        let all = self.oracle.committed() as u64;
        let settled = self.oracle.view().next.is_none();
        settled
            && !(0..self.nodes.len()).any(|node| self.differs(node))
            && self.nodes.iter().all(|n| {
                n.running
                    .as_ref()
                    .is_some_and(|r| r.status.serving() && r.app.count == all)
            })
    }

    /// Whether it votes, as far as it knows.
    fn votes(&self, node: usize) -> bool {
        self.nodes[node].view.votes(id(node))
    }

    fn show(&self) -> String {
        let node = |n: &Node| match &n.running {
            None => "down".to_owned(),
            Some(r) => format!(
                "{:?} {:?} {} applied {} of {}",
                r.status,
                r.replica.epochs(),
                r.replica.view().members,
                r.app.count,
                self.oracle.committed()
            ),
        };
        self.nodes.iter().map(node).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn trace(&mut self, line: impl FnOnce() -> String) {
        if self.setting.trace {
            let line = format!("{:>10} {}", self.now, line());
            self.log.push(line);
        }
    }

    pub(crate) fn later(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), event);
    }

    fn next(&mut self) -> Result<(), String> {
        let ((at, _), event) = self.queue.pop_first().expect("ticks never end");
        self.now = at;
        self.events += 1;
        self.happen(event)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick(node) => {
                self.later(TICK, Event::Tick(node));
                if self.nodes[node].paused {
                    Ok(())
                } else {
                    self.step(node, Input::Tick)
                }
            }
            Event::Arrive { from, to } => self.arrive(from, to),
            Event::Disk { node, life } => self.disk(node, life, event),
            Event::DiskDone { node, life, .. } if self.defer(node, life, &event) => Ok(()),
            Event::DiskDone {
                node,
                operations,
                reads,
                ..
            } => self.disk_done(node, operations, reads),
            Event::SaveMore { node, life } => self.save_more(node, life, event),
            Event::Loaded { node, life, .. } if self.defer(node, life, &event) => Ok(()),
            Event::Loaded {
                node, zxid, app, ..
            } => self.loaded(node, zxid, *app),
            Event::Dial { node, peer } => {
                self.dial(node, peer);
                Ok(())
            }
            Event::Client => self.client(),
            Event::Request { node, committed } => self.request(node, committed),
            Event::Fault => self.fault(),
            Event::Settle { node, life } if self.defer(node, life, &event) => Ok(()),
            Event::Settle { node, .. } => self.settle(node),
            Event::Rebuild { node, life } if self.defer(node, life, &event) => Ok(()),
            Event::Rebuild { node, .. } => self.rebuild(node),
            Event::Change => self.change(),
            Event::Copy => {
                self.copy();
                Ok(())
            }
            Event::Deprive { node, leader } => self.deprive(node, leader),
        }
    }

    /// Whether the event must not happen now: it is for an earlier life, or the node is paused and gets it later.
    fn defer(&mut self, node: usize, life: u64, event: &Event) -> bool {
        let n = &mut self.nodes[node];
        if n.life == life && n.running.is_some() && n.paused {
            n.inbox.push(event.clone());
        }
        n.life != life || n.running.is_none() || n.paused
    }

    // ---- nodes

    pub(crate) fn start(&mut self, node: usize) -> Result<(), String> {
        let options = StoreOptions {
            segment_bytes: self.segment_bytes,
            piece_bytes: self.piece_bytes,
            mark: self.rng.random(),
        };
        let disk = self.nodes[node].disk.clone();
        let (store, recovered) = match Store::open_on(Box::new(disk.clone()), options) {
            Ok(opened) => opened,
            Err(_) if disk.burnt() => {
                self.coverage.hit(Situation::CrashBetweenDiskWrites);
                disk.crash(&mut self.rng);
                return Ok(());
            }
            Err(problem) => return Err(format!("node {node} does not start: {problem}")),
        };
        if recovered.arrival.is_some() {
            self.coverage.hit(Situation::ArrivalFound);
        }
        let snapshot = recovered.snapshot.as_ref();
        let app = snapshot.map_or_else(App::default, |stored| {
            App::read(store.snapshot(stored.zxid).expect("it was found just now"))
        });
        self.oracle.holds(node, &app)?;
        if std::mem::take(&mut self.nodes[node].damaged) {
            match recovered.epochs.amnesiac {
                true => {
                    self.coverage.hit(Situation::DamageSetAside);
                    self.forgets(node);
                }
                false => self.coverage.hit(Situation::DamageWithoutLoss),
            }
        }
        self.oracle.promises(node, recovered.epochs)?;
        let members = self.nodes[node].members.clone();
        self.trace(|| {
            format!(
                "start {node}: {:?} snapshot {:?} log {} entries",
                recovered.epochs,
                app,
                recovered.entries.len()
            )
        });
        if recovered.epochs.amnesiac {
            self.saw_amnesia(node)?;
        }
        self.nodes[node].amnesiac = recovered.epochs.amnesiac || self.nodes[node].unnoticed;
        self.changes_disk(node, Durable::of(&recovered))?;
        self.oracle.holds_initial(node, &self.nodes[node].durable)?;
        let config = Config {
            id: id(node),
            members,
            ..self.config.clone()
        };
        let replica = Replica::new(config, recovered, self.clock(node));
        self.nodes[node].life += 1;
        self.nodes[node].running = Some(Running {
            replica,
            store,
            disk_queue: VecDeque::new(),
            disk_busy: false,
            disk_done: 0,
            save_due: false,
            app,
            restoring: None,
            fetched_in: None,
            status: Status::Looking,
            doubted: false,
            syncs: BTreeMap::new(),
        });
        self.carry_out(node)
    }

    pub(crate) fn crash(&mut self, node: usize) {
        let Some(running) = self.nodes[node].running.take() else {
            return;
        };
        self.trace(|| format!("crash {node}"));
        if running.status.leads() && running.replica.last_logged() > running.replica.delivered() {
            self.coverage.hit(Situation::DeathBetweenProposalAndCommit);
        }
        self.nodes[node].paused = false;
        self.nodes[node].inbox.clear();
        self.nodes[node].disk.crash(&mut self.rng);
        self.network.forget(node);
        for peer in 0..self.nodes.len() {
            if let Some(connection) = self.network.disconnect(node, peer) {
                self.transmit(node, peer, Item::Down(connection));
            }
        }
    }

    fn resume(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].paused = false;
        // In order within a socket, in any order between them.
        let mut sources: BTreeMap<usize, VecDeque<Event>> = BTreeMap::new();
        for event in std::mem::take(&mut self.nodes[node].inbox) {
            let source = match event {
                Event::Arrive { from, .. } => from,
                Event::Request { .. } => CLIENTS,
                _ => OWN,
            };
            sources.entry(source).or_default().push_back(event);
        }
        while !sources.is_empty() {
            let choice = self.rng.random_range(0..sources.len() as u64) as usize;
            let source = *sources.keys().nth(choice).expect("as many as were counted");
            let events = sources.get_mut(&source).expect("just seen");
            // Each client has a socket of its own.
            let event = match source {
                CLIENTS => {
                    let any = self.rng.random_range(0..events.len() as u64) as usize;
                    events.swap_remove_back(any)
                }
                _ => events.pop_front(),
            };
            if events.is_empty() {
                sources.remove(&source);
            }
            if let Some(event) = event {
                self.happen(event)?;
            }
        }
        Ok(())
    }

    /// The time by this node's own clock.
    pub(crate) fn clock(&self, node: usize) -> Millis {
        Millis(self.now * self.nodes[node].clock_rate / 100 / 1000)
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Those who believe that they lead, and can be asked.
    pub(crate) fn leaders(&self) -> Vec<usize> {
        let leads = |n: &Node| !n.paused && n.running.as_ref().is_some_and(|r| r.status.leads());
        (0..self.nodes.len())
            .filter(|&n| leads(&self.nodes[n]))
            .collect()
    }

    pub(crate) fn replica(&mut self, node: usize) -> &mut Replica {
        &mut self.running(node).expect("it runs").replica
    }

    pub(crate) fn app(&self, node: usize) -> Option<&App> {
        self.nodes[node].running.as_ref().map(|r| &r.app)
    }

    pub(crate) fn life(&self, node: usize) -> u64 {
        self.nodes[node].life
    }

    pub(crate) fn running(&mut self, node: usize) -> Option<&mut Running> {
        self.nodes[node].running.as_mut()
    }

    fn step(&mut self, node: usize, input: Input) -> Result<(), String> {
        let now = self.clock(node);
        let Some(running) = self.running(node) else {
            return Ok(());
        };
        running.replica.step(now, input);
        self.carry_out(node)
    }

    pub(crate) fn carry_out(&mut self, node: usize) -> Result<(), String> {
        loop {
            let Some(running) = self.running(node) else {
                return Ok(());
            };
            let outputs = running.replica.outputs();
            if outputs.is_empty() {
                return Ok(());
            }
            for output in outputs {
                self.carry_out_one(node, output)?;
            }
        }
    }

    fn carry_out_one(&mut self, node: usize, output: Output) -> Result<(), String> {
        let now = self.clock(node);
        match output {
            Output::Send { to, message } => {
                let epochs = self
                    .running(node)
                    .expect("it gave this out")
                    .replica
                    .epochs();
                if let Message::FromLeader {
                    body: FromLeader::Propose { entry, .. },
                    ..
                } = &message
                {
                    let view = self.nodes[node].running.as_ref().expect("it gave this out");
                    if !view.replica.view().votes(to) {
                        self.oracle.hears(index(to), entry.zxid)?;
                    }
                }
                if let Message::ToLeader {
                    session,
                    body: ToLeader::Fetch { number, .. },
                } = &message
                {
                    let running = self.running(node).expect("it gave this out");
                    let before = running.fetched_in.replace(*session);
                    if *number > 0 && before != Some(*session) {
                        self.coverage.hit(Situation::SnapResumed);
                    }
                }
                let durable = &self.nodes[node].durable;
                if !durable.bears_out(epochs, &message) {
                    return Err(format!(
                        "node {node} says {message:?}, but its disk holds {durable:?}"
                    ));
                }
                self.may_forget_promise(node, index(to), &message);
                self.send(node, index(to), message);
            }
            Output::Disk(operation) => self.ask_disk(node, operation),
            Output::Restore(zxid) => {
                let running = self.running(node).expect("it gave this out");
                running.app = App::default();
                running.restoring = Some(zxid);
                if std::mem::take(&mut running.doubted) {
                    self.coverage.hit(Situation::StateReplaced);
                }
            }
            Output::Forgot(evidence) => {
                self.trace(|| format!("node {node} has forgotten: {evidence:?}"));
            }
            Output::Contradicted { leader, zxid } => {
                return Err(format!(
                    "{leader:?} leads and wants a cut after {zxid}, before what node {node} has delivered"
                ));
            }
            Output::Deliver(entry) => self.deliver(node, &entry)?,
            Output::TakeSnapshot => {
                // What is written or sent is compared first: else a wrong state would outlive the memory in which it went wrong.
                self.compare(node, true);
                let running = self.running(node).expect("it gave this out");
                let snapshot = (!running.doubted).then(|| running.app.snapshot());
                running.replica.step(now, Input::SnapshotTaken(snapshot));
            }
            Output::Status(status) => self.status(node, status)?,
            Output::View(view) => {
                self.trace(|| format!("node {node} knows {view:?}"));
                self.views.insert((view.version, node), view.clone());
                self.nodes[node].view = view;
            }
            Output::App { payload, .. } => {
                let running = self.running(node).expect("it gave this out");
                running.replica.propose(now, payload);
            }
            Output::Confirmed { token, zxid } => {
                let running = self.running(node).expect("it gave this out");
                let committed = running
                    .syncs
                    .remove(&token)
                    .ok_or("a sync was answered that nobody asked for")?;
                self.oracle.synced(node, committed, zxid)?;
                self.coverage.hit(Situation::SyncConfirmed);
            }
        }
        Ok(())
    }

    fn deliver(&mut self, node: usize, entry: &Entry) -> Result<(), String> {
        let running = self.nodes[node].running.as_mut().expect("it delivers");
        let news = self
            .oracle
            .delivers(node, running.app.count as usize, entry)?;
        running.app.apply(entry.zxid, &entry.txn);
        if news && running.replica.epochs().current > entry.zxid.epoch() {
            self.coverage.hit(Situation::TailCommitted);
        }
        if news {
            self.trace(|| format!("node {node} is the first to deliver {:?}", entry.zxid));
            for members in self.oracle.commits(entry) {
                self.is_held_by_majority(&members, entry.zxid)?;
            }
            self.saw_change(node, entry);
        }
        self.compare(node, false);
        Ok(())
    }

    /// What is committed is on the disks of a majority that remembers. (An acknowledgement may have been under way when its
    /// disk was taken.)
    fn is_held_by_majority(&self, members: &Members, zxid: Zxid) -> Result<(), String> {
        let holds = |n: &Node| match n.amnesiac {
            true => n.lost.has(zxid),
            false => n.durable.has(zxid),
        };
        if members.is_quorum(|id| holds(&self.nodes[index(id)])) {
            return Ok(());
        }
        let holders: Vec<usize> = (0..self.nodes.len())
            .filter(|&n| holds(&self.nodes[n]))
            .collect();
        Err(format!(
            "{zxid:?} is committed, and on the disks of {holders:?} only: no majority of {members}"
        ))
    }

    fn status(&mut self, node: usize, status: Status) -> Result<(), String> {
        self.trace(|| format!("node {node}: {status:?}"));
        let running = self.nodes[node].running.as_mut().expect("it has a status");
        let before = std::mem::replace(&mut running.status, status);
        if !status.leads() {
            running.syncs.clear();
        }
        if before.leads() && !status.leads() {
            self.coverage.hit(Situation::LeaderResigned);
            let view = running.replica.view();
            if !view.votes(id(node)) && view.version <= running.replica.delivered() {
                self.coverage.hit(Situation::LeaderLeft);
            }
        }
        match status {
            Status::Leading { serving: false, .. }
                if !running.replica.is_voter()
                    && running.replica.view().version <= running.replica.delivered() =>
            {
                Err(format!("node {node} stands as leader, and does not vote"))
            }
            // From the moment on that a majority has promised the epoch.
            Status::Leading { epoch, .. } if epoch > Epoch(0) => {
                let last = running.replica.last_logged();
                self.oracle.leads(node, epoch, last)
            }
            Status::Following {
                leader,
                serving: true,
                ..
            } => {
                let before = self.nodes[node].leader.replace(leader);
                if !self.votes(node) && before.is_some_and(|before| before != leader) {
                    self.coverage.hit(Situation::ObserverChangesLeader);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    // ---- disks

    fn ask_disk(&mut self, node: usize, operation: DiskOp) {
        let running = self.running(node).expect("it gave this out");
        running.disk_queue.push_back(operation);
        if !std::mem::replace(&mut running.disk_busy, true) {
            self.schedule_disk(node);
        }
    }

    fn schedule_disk(&mut self, node: usize) {
        let slow = self.slow_disk && self.rng.random_bool(0.1);
        let delay = self
            .rng
            .random_range(50..if slow { 100_000 } else { 4_000 });
        let life = self.nodes[node].life;
        self.later(delay, Event::Disk { node, life });
    }

    fn disk(&mut self, node: usize, life: u64, event: Event) -> Result<(), String> {
        if self.defer(node, life, &event) {
            return Ok(());
        }
        let running = self.running(node).expect("not deferred");
        let operations: Vec<DiskOp> = running.disk_queue.drain(..).collect();
        let (count, done) = (
            operations.len() as u64,
            running.store.perform(operations.clone()),
        );
        let saving = running.store.is_saving();
        let Ok(performed) = done else {
            // The fuse has burnt.
            self.coverage.hit(Situation::CrashBetweenDiskWrites);
            self.crash(node);
            return Ok(());
        };
        if saving {
            self.save_later(node, life);
        }
        if let Some(reader) = performed.installed {
            let (zxid, delay) = (reader.zxid(), self.rng.random_range(1..30_000));
            let app = Box::new(App::read(reader));
            self.later(
                delay,
                Event::Loaded {
                    node,
                    life,
                    zxid,
                    app,
                },
            );
        }
        for operation in &operations {
            self.saw_operation(node, operation)?;
        }
        let (log, pieces) = (performed.reads.into_iter(), performed.pieces.into_iter());
        let mut reads: Vec<Input> = log
            .map(|LogRead { ticket, entries }| Input::LogRead { ticket, entries })
            .collect();
        let found = |read: &Input| matches!(read, Input::LogRead { entries: Some(entries), .. } if !entries.is_empty());
        if reads.iter().any(found) {
            self.coverage.hit(Situation::DiffFromDisk);
        }
        reads.extend(pieces.map(|PieceRead { ticket, piece }| Input::PieceRead { ticket, piece }));
        let delay = self.rng.random_range(1..500);
        self.later(
            delay,
            Event::DiskDone {
                node,
                life,
                operations: count,
                reads,
            },
        );
        Ok(())
    }

    /// A node's disk never holds less of what is committed than it did before.
    fn changes_disk(&mut self, node: usize, durable: Durable) -> Result<(), String> {
        let before = self.oracle.held(&self.nodes[node].durable);
        let after = self.oracle.held(&durable);
        self.nodes[node].durable = durable;
        if after >= before {
            return Ok(());
        }
        Err(format!(
            "node {node} held {before} committed transactions on its disk, and holds {after} now"
        ))
    }

    fn saw_operation(&mut self, node: usize, operation: &DiskOp) -> Result<(), String> {
        match operation {
            DiskOp::Truncate(_) | DiskOp::InstallHistory { .. } => {
                let mut durable = self.nodes[node].durable.clone();
                durable.apply(operation);
                self.changes_disk(node, durable)?;
            }
            _ => self.nodes[node].durable.apply(operation),
        }
        match operation {
            DiskOp::InstallHistory { epochs, .. } => self.oracle.promises(node, *epochs)?,
            DiskOp::SaveEpochs(epochs) => {
                self.oracle.promises(node, *epochs)?;
                self.oracle.holds_initial(node, &self.nodes[node].durable)?;
                if epochs.amnesiac {
                    self.saw_amnesia(node)?;
                }
                let n = &mut self.nodes[node];
                let amnesiac = epochs.amnesiac || n.unnoticed;
                if std::mem::replace(&mut n.amnesiac, amnesiac) && !amnesiac {
                    self.coverage.hit(Situation::AmnesiacCured);
                }
            }
            // Few snapshots are under way when a fault comes: this one is meant for them.
            DiskOp::KeepPiece(_) if self.faults && self.rng.random_bool(0.5) => {
                let writes = self.rng.random_range(1..12);
                self.nodes[node].disk.set_fuse(Some(writes));
            }
            DiskOp::Truncate(to) => {
                self.coverage.hit(Situation::TailCut);
                if self.nodes[node].view.version > *to {
                    self.coverage.hit(Situation::ChangeCut);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn disk_done(&mut self, node: usize, operations: u64, reads: Vec<Input>) -> Result<(), String> {
        let running = self.running(node).expect("not deferred");
        running.disk_done += operations;
        let count = running.disk_done;
        running.disk_busy = !running.disk_queue.is_empty();
        if running.disk_busy {
            self.schedule_disk(node);
        }
        for read in reads {
            self.step(node, read)?;
        }
        self.step(node, Input::DiskDone { count })
    }

    /// A piece of a snapshot is written, some time.
    fn save_later(&mut self, node: usize, life: u64) {
        let running = self
            .running(node)
            .expect("its disk has just done something");
        if !std::mem::replace(&mut running.save_due, true) {
            let delay = self.rng.random_range(50..5_000);
            self.later(delay, Event::SaveMore { node, life });
        }
    }

    fn save_more(&mut self, node: usize, life: u64, event: Event) -> Result<(), String> {
        if self.defer(node, life, &event) {
            return Ok(());
        }
        let running = self.running(node).expect("not deferred");
        running.save_due = false;
        let saved = running.store.save_more();
        let saving = running.store.is_saving();
        let Ok(saved) = saved else {
            self.coverage.hit(Situation::CrashBetweenDiskWrites);
            self.crash(node);
            return Ok(());
        };
        if saving {
            self.save_later(node, life);
        }
        let Some(log_start) = saved else {
            return Ok(());
        };
        self.coverage.hit(Situation::SnapshotKept);
        self.step(node, Input::SnapshotSaved { log_start })
    }

    /// A node has read the state of a snapshot from its disk.
    fn loaded(&mut self, node: usize, zxid: Zxid, app: App) -> Result<(), String> {
        let running = self.running(node).expect("not deferred");
        if running.restoring != Some(zxid) {
            return Ok(());
        }
        running.restoring = None;
        running.app = app;
        let app = running.app.clone();
        self.oracle.holds(node, &app)?;
        self.step(node, Input::Restored(zxid))
    }

    // ---- network

    fn transmit(&mut self, from: usize, to: usize, item: Item) {
        let slow = self.rng.random_bool(0.02);
        let delay = self.rng.random_range(50..if slow { 60_000 } else { 3_000 });
        let now = self.now;
        let link = self.network.link(from, to);
        link.queue.push_back(item);
        let arrival = (now + delay).max(link.last_arrival);
        link.last_arrival = arrival;
        self.later(arrival - now, Event::Arrive { from, to });
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let Some(connection) = self.network.connection(from, to) else {
            return;
        };
        if self.faults && self.rng.random_bool(0.0005) {
            // A lost segment that is never made good: the connection breaks, and this message is gone.
            self.transmit(from, to, Item::Down(connection));
            return self.transmit(to, from, Item::Down(connection));
        }
        self.transmit(from, to, Item::Message(connection, Box::new(message)));
    }

    fn break_connection(&mut self, node: usize, peer: usize) -> Result<(), String> {
        let Some(connection) = self.network.disconnect(node, peer) else {
            return Ok(());
        };
        self.transmit(node, peer, Item::Down(connection));
        self.step(node, Input::PeerDown(id(peer)))
    }

    fn arrive(&mut self, from: usize, to: usize) -> Result<(), String> {
        if self.network.is_cut(from, to) {
            return Ok(());
        }
        if self.nodes[to].paused {
            self.nodes[to].inbox.push(Event::Arrive { from, to });
            return Ok(());
        }
        let Some(item) = self.network.link(from, to).queue.pop_front() else {
            return Ok(());
        };
        match item {
            _ if self.nodes[to].running.is_none() => {
                if let Item::Message(connection, _) | Item::Dial(connection) = item {
                    self.transmit(to, from, Item::Down(connection));
                }
                Ok(())
            }
            Item::Dial(connection) => {
                // The answer goes ahead of whatever the replica says as soon as it is connected.
                self.transmit(to, from, Item::Accept(connection));
                self.up(to, from, connection)
            }
            Item::Accept(connection) if self.network.accepted(to, from, connection) => {
                self.up(to, from, connection)
            }
            Item::Accept(_) => Ok(()),
            Item::Down(connection) => {
                if self.network.connection(to, from) != Some(connection) {
                    return Ok(());
                }
                self.network.disconnect(to, from);
                self.step(to, Input::PeerDown(id(from)))
            }
            Item::Message(connection, message)
                if self.network.connection(to, from) == Some(connection) =>
            {
                self.trace(|| format!("{from} tells {to}: {message:?}"));
                self.saw_promise(from, connection, &message);
                self.saw_message(to, &message)?;
                self.step(
                    to,
                    Input::Message {
                        from: id(from),
                        message: *message,
                    },
                )
            }
            Item::Message(connection, _) => {
                self.transmit(to, from, Item::Down(connection));
                Ok(())
            }
        }
    }

    fn up(&mut self, node: usize, peer: usize, connection: u64) -> Result<(), String> {
        if self.network.disconnect(node, peer).is_some() {
            self.step(node, Input::PeerDown(id(peer)))?;
        }
        self.network.connect(node, peer, connection);
        self.step(node, Input::PeerUp(id(peer)))
    }

    fn saw_message(&mut self, to: usize, message: &Message) -> Result<(), String> {
        let Message::FromLeader { body, .. } = message else {
            return Ok(());
        };
        match body {
            FromLeader::Truncate { .. } => self.coverage.hit(Situation::Trunc),
            FromLeader::Snap(piece) if piece.bytes.is_empty() => {
                self.coverage.hit(Situation::Snap);
                if !self.votes(to) {
                    self.coverage.hit(Situation::ObserverSnap);
                }
            }
            FromLeader::Inform { .. } => self.coverage.hit(Situation::Informed),
            _ => {}
        }
        if let FromLeader::Inform { entry, .. } = body {
            self.oracle.hears(to, entry.zxid)?;
        }
        Ok(())
    }

    fn dial(&mut self, node: usize, peer: usize) {
        let delay = self.rng.random_range(20_000..60_000);
        self.later(delay, Event::Dial { node, peer });
        let ready = self.nodes[node].running.is_some() && !self.nodes[node].paused;
        if ready && self.network.connection(node, peer).is_none() {
            let connection = self.network.dial(node, peer);
            self.transmit(node, peer, Item::Dial(connection));
        }
    }

    // ---- clients

    fn client(&mut self) -> Result<(), String> {
        let idle = self.rng.random_bool(0.1);
        let pause = self
            .rng
            .random_range(500..if idle { 60_000 } else { 8_000 });
        self.later(pause, Event::Client);
        let (node, committed) = (self.server(), self.oracle.committed());
        if self.nodes[node].paused {
            // It waits in the socket until the node goes on.
            self.nodes[node]
                .inbox
                .push(Event::Request { node, committed });
            return Ok(());
        }
        self.request(node, committed)
    }

    fn request(&mut self, node: usize, committed: usize) -> Result<(), String> {
        self.written += 1;
        let size = self.rng.random_range(8..60usize);
        let txn = layer::ordinary(self.written, size);
        let (now, sync) = (self.clock(node), self.rng.random_bool(0.2));
        self.tokens += 1;
        let token = self.tokens;
        let Some(running) = self.running(node) else {
            return Ok(());
        };
        match running.status {
            Status::Leading { serving: true, .. } if sync => {
                running.syncs.insert(token, committed);
                running.replica.confirm(now, token);
            }
            Status::Leading { serving: true, .. } => {
                let leads = running.replica.status().leads();
                if running.replica.propose(now, txn).is_none() && leads {
                    self.coverage.hit(Situation::EpochUsedUp);
                }
            }
            Status::Following {
                serving: true,
                leader,
                ..
            } => running.replica.send_app(leader, txn),
            _ => {}
        }
        self.carry_out(node)
    }

    /// Any node, or one of those that believe that they lead: a deposed leader must be asked too.
    fn server(&mut self) -> usize {
        let leads = |n: &Node| n.running.as_ref().is_some_and(|r| r.status.leads());
        let leaders: Vec<usize> = (0..self.nodes.len())
            .filter(|&n| leads(&self.nodes[n]))
            .collect();
        let any = self.rng.random_range(0..self.nodes.len() as u64) as usize;
        match leaders.choose(&mut self.rng) {
            Some(&leader) if self.rng.random_bool(0.5) => leader,
            _ => any,
        }
    }

    // ---- faults

    fn fault(&mut self) -> Result<(), String> {
        if !self.faults {
            return Ok(());
        }
        let pause = self.rng.random_range(20_000..600_000);
        self.later(pause, Event::Fault);
        let node = self.victim();
        match self.rng.random_range(0..100u32) {
            0..14 => self.crash(node),
            14..20 => {
                self.crash(node);
                self.start(node)?;
            }
            20..32 => {
                let writes = self.rng.random_range(0..6);
                self.nodes[node].disk.set_fuse(Some(writes));
            }
            32..40 => {
                self.coverage.hit(Situation::Pause);
                self.trace(|| format!("pause {node}"));
                self.nodes[node].paused = self.nodes[node].running.is_some();
            }
            40..50 => self.isolate(node),
            50..58 => self.cut_one_way(node),
            58..63 => self.halves(),
            63..67 => {
                let peer = self.rng.random_range(0..self.nodes.len() as u64) as usize;
                self.break_connection(node, peer)?;
            }
            67 => self.damage(node)?,
            68..71 => self.wipe(node)?,
            71..75 => (0..self.nodes.len()).for_each(|n| self.crash(n)),
            75..83 => self.open_links(),
            83..88 => self.put_back(node)?,
            88..92 => self.advise(node)?,
            92..95 => self.corrupt(node)?,
            _ => self.revive()?,
        }
        Ok(())
    }

    /// The leader, as often as not.
    fn victim(&mut self) -> usize {
        let leads = |n: &Node| n.running.as_ref().is_some_and(|r| r.status.leads());
        let leader = self.nodes.iter().position(leads);
        let any = self.rng.random_range(0..self.nodes.len() as u64) as usize;
        match leader {
            Some(leader) if self.rng.random_bool(0.5) => leader,
            _ => any,
        }
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from != to {
            self.network.link(from, to).cut = true;
        }
    }

    fn isolate(&mut self, node: usize) {
        self.trace(|| format!("isolate {node}"));
        for peer in 0..self.nodes.len() {
            self.cut(node, peer);
            self.cut(peer, node);
        }
    }

    fn cut_one_way(&mut self, node: usize) {
        self.coverage.hit(Situation::OneWayCut);
        let (mute, all) = (self.rng.random_bool(0.5), self.rng.random_bool(0.5));
        self.trace(|| format!("cut one way {node}: mute {mute}, all {all}"));
        let one = self.rng.random_range(0..self.nodes.len() as u64) as usize;
        for peer in (0..self.nodes.len()).filter(|&p| all || p == one) {
            let (from, to) = if mute { (node, peer) } else { (peer, node) };
            self.cut(from, to);
        }
    }

    fn halves(&mut self) {
        let sides: Vec<bool> = self
            .nodes
            .iter()
            .map(|_| self.rng.random_bool(0.5))
            .collect();
        self.trace(|| format!("halves {sides:?}"));
        for from in 0..sides.len() {
            for to in (0..sides.len()).filter(|&to| sides[to] != sides[from]) {
                self.cut(from, to);
            }
        }
    }

    pub(crate) fn open_links(&mut self) {
        self.trace(|| "open all links".to_owned());
        self.network.heal();
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                // What was held back arrives now; what has an arrival of its own finds an empty queue.
                for _ in 0..self.network.link(from, to).queue.len() {
                    self.later(1, Event::Arrive { from, to });
                }
            }
        }
    }

    pub(crate) fn remembers(&self, id: NodeId) -> bool {
        !self.nodes[index(id)].amnesiac && !self.nodes[index(id)].damaged
    }

    /// Whether a quorum would still have its memory, by every view that may be the one that counts.
    pub(crate) fn remembers_without(&self, node: usize) -> bool {
        let whole = |n: &Node| !n.amnesiac && !n.damaged;
        let remembers = |id: NodeId| index(id) != node && whole(&self.nodes[index(id)]);
        self.current_views().all(|view| view.is_quorum(remembers))
    }

    /// Every view that may be the one that counts.
    pub(crate) fn current_views(&self) -> impl Iterator<Item = &View> {
        let committed = self.oracle.view();
        let views = self.nodes.iter().map(|n| &n.view).chain([committed]);
        views.filter(|view| view.version >= committed.version)
    }

    /// A disk is replaced, unless with it a majority would have lost its memory: then nothing is promised.
    pub(crate) fn wipe(&mut self, node: usize) -> Result<(), String> {
        if !self.remembers_without(node) {
            return Ok(());
        }
        self.crash(node);
        self.trace(|| format!("wipe {node}"));
        self.nodes[node].disk.wipe();
        self.nodes[node].damaged = false;
        self.nodes[node].unnoticed = false;
        self.nodes[node].wiped_at = self.network.newest();
        self.forgets(node);
        // Back at once, it meets the peers to which it has just promised something.
        if self.rng.random_bool(0.5) {
            self.start(node)?;
        }
        Ok(())
    }

    /// What is on a disk now is taken for all that it ever held.
    pub(crate) fn trusts(&mut self, node: usize) {
        self.nodes[node].durable = Durable::default();
        self.oracle.wiped(node);
    }

    /// What was on a disk is gone.
    pub(crate) fn forgets(&mut self, node: usize) {
        let durable = std::mem::take(&mut self.nodes[node].durable);
        // Taken twice, it lost the first time what it had acknowledged as one that counts.
        if !std::mem::replace(&mut self.nodes[node].amnesiac, true) {
            self.nodes[node].lost = durable;
        }
        self.oracle.wiped(node);
    }

    /// A byte of a disk changes, while the machine is off; within the same limits as when a disk is replaced.
    fn damage(&mut self, node: usize) -> Result<(), String> {
        if !self.remembers_without(node) {
            return Ok(());
        }
        self.crash(node);
        let disk = self.nodes[node].disk.clone();
        if let Some(name) = disk.damage(&mut self.rng) {
            self.trace(|| format!("a byte of node {node}'s {name} changes"));
            self.nodes[node].damaged = true;
        }
        if self.rng.random_bool(0.5) {
            self.start(node)?;
        }
        Ok(())
    }

    /// A lookout advises what may be done at any time, for a good reason or a bad one.
    fn advise(&mut self, node: usize) -> Result<(), String> {
        let (now, choice) = (self.clock(node), self.rng.random_range(0..4u32));
        let Some(running) = self.running(node) else {
            return Ok(());
        };
        let leads = running.status.leads();
        let replica = &mut running.replica;
        match (choice, replica.status()) {
            (0, Status::Leading { .. }) => replica.resign(now),
            (0, Status::Following { leader, .. }) => replica.abandon(now, leader),
            (1 | 2, _) => replica.set_fit(now, false),
            _ => replica.set_fit(now, true),
        }
        if leads && !replica.status().leads() {
            self.coverage.hit(Situation::LeaderAdvised);
        }
        self.carry_out(node)
    }

    /// In the end at most one may not lead: the others must do without it, if all of them remember.
    fn make_fit(&mut self) {
        let unfit = self.rng.random_range(0..2 * self.nodes.len() as u64) as usize;
        let forgetful = self.nodes.iter().any(|node| node.amnesiac);
        for node in 0..self.nodes.len() {
            let (now, fit) = (self.clock(node), node != unfit || forgetful || self.changes);
            if let Some(running) = self.running(node) {
                running.replica.set_fit(now, fit);
            }
        }
    }

    /// Starts what is down and wakes what is paused, each as likely as not.
    fn revive(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            if self.rng.random_bool(0.6) {
                self.revive_one(node)?;
            }
        }
        Ok(())
    }

    pub(crate) fn revive_one(&mut self, node: usize) -> Result<(), String> {
        if self.nodes[node].running.is_none() {
            self.start(node)
        } else {
            self.resume(node)
        }
    }

    fn heal(&mut self) -> Result<(), String> {
        self.trace(|| "heal everything".to_owned());
        self.faults = false;
        self.open_links();
        for node in 0..self.nodes.len() {
            self.nodes[node].disk.set_fuse(None);
            self.revive_one(node)?;
        }
        self.make_fit();
        (0..self.nodes.len()).try_for_each(|node| self.carry_out(node))
    }
}
