//! The protocol told in stories: `transcripts/*.txt`.
//!
//! A story is a sequence of commands, each followed by `----` and what it prints, up to an empty line. Time, disk and
//! network stand still unless a command moves them. `UPDATE=1 cargo test -p keelhaul-node --test transcripts` writes what is
//! printed now; read the difference before you keep it. The commands are the arms of `Story::command`.

use bytes::Bytes;
use keelhaul_node::zab::{
    Chain, Change, Config, DiskOp, Entry, Epoch, Epochs, Evidence, FromLeader, Input, Lives,
    Members, Message, Millis, NodeId, Output, Piece, Reading, Recovered, Replica, Snapshot, Status,
    Stored, ToLeader, Zxid,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

#[derive(Default, Clone)]
struct Disk {
    epochs: Epochs,
    /// None before the first start.
    lives: Option<Lives>,
    snapshot: Option<Zxid>,
    /// A leader's snapshot that has come.
    arrived: Option<Zxid>,
    log_start: Zxid,
    log: Vec<Entry>,
}

#[derive(Default)]
struct Actor {
    disk: Disk,
    /// A copy of it.
    copy: Disk,
    replica: Option<Replica>,
    /// Asked of the disk, and not done.
    pending: VecDeque<DiskOp>,
    done: u64,
    applied: Vec<Zxid>,
    /// The snapshot whose state it waits for.
    restoring: Option<Zxid>,
}

/// Every state, as far as snapshots show it.
const STATE: &[u8] = b"state";

fn stored(zxid: Zxid) -> Stored {
    Stored {
        zxid,
        beginning: Bytes::from_static(STATE),
    }
}

/// Changes are texts: `+VOTERS` (what was before stands in front, for the core) and `!`.
const READING: Reading = Reading {
    change: |txn| {
        let text = std::str::from_utf8(txn).ok()?;
        match text.split_once('+') {
            Some((from, to)) => Some(Change::Join {
                from: voters(from),
                to: voters(to),
            }),
            None => (text == "!").then_some(Change::Activate),
        }
    },
    view: |_| None,
    activation: || Bytes::from_static(b"!"),
};

/// `1,2,3`.
fn voters(text: &str) -> Members {
    Members {
        voters: text
            .split(',')
            .map(|id| NodeId(id.parse().expect("a number")))
            .collect(),
        ..Members::default()
    }
}

struct Story {
    actors: BTreeMap<u64, Actor>,
    links: BTreeMap<(u64, u64), VecDeque<Message>>,
    cuts: Vec<(u64, u64)>,
    /// Whose disk does nothing unless it is told to.
    slow: Vec<u64>,
    now: u64,
    /// How often anybody was started.
    starts: u64,
    config: Config,
    printed: String,
}

fn zxid(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once(':').expect("a zxid is EPOCH:COUNTER");
    Zxid::new(
        Epoch(epoch.parse().expect("a number")),
        counter.parse().expect("a number"),
    )
}

fn node(text: &str) -> u64 {
    text.strip_prefix('n')
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("{text:?} is no node"))
}

impl Story {
    fn new() -> Story {
        let config = Config {
            id: NodeId(1),
            members: Members::default(),
            reading: READING,
            tick: 100,
            sync_limit: 1000,
            init_limit: 3000,
            finalize_wait: 50,
            window: 100,
            window_bytes: usize::MAX,
            snapshot_every: 1000,
            read_batch: 100,
            first_counter: 0,
            #[cfg(feature = "bugs")]
            bug: None,
        };
        Story {
            actors: BTreeMap::new(),
            links: BTreeMap::new(),
            cuts: Vec::new(),
            slow: Vec::new(),
            now: 0,
            starts: 0,
            config,
            printed: String::new(),
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.printed, "{line}").expect("a string takes all");
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["ensemble", voters] => self.ensemble(voters.parse().expect("a number"), 0),
            ["ensemble", voters, "observers", observers] => self.ensemble(
                voters.parse().expect("a number"),
                observers.parse().expect("a number"),
            ),
            ["window", entries] => self.config.window = entries.parse().expect("a number"),
            ["disk", n, ref settings @ ..] => self.set_disk(node(n), settings),
            ["start", ref nodes @ ..] => nodes.iter().for_each(|n| self.start(node(n))),
            ["run"] => self.run(300),
            ["run", ms] => self.run(ms.parse().expect("milliseconds")),
            ["tick", ms] => self.tick(ms.parse().expect("milliseconds")),
            ["propose", n, txn] => self.propose(node(n), txn),
            ["change", n, "to", to] => self.change(node(n), to),
            ["spare", count] => self.spare(count.parse().expect("a number")),
            ["pass", from, "->", to] => self.pass(node(from), node(to), usize::MAX),
            ["pass", count, from, "->", to] => {
                self.pass(node(from), node(to), count.parse().expect("a number"));
            }
            ["flush", n] => self.flush(node(n)),
            ["slow-disk", n] => self.slow.push(node(n)),
            ["crash", n] => self.crash(node(n)),
            ["copy", n] => self.with_disk(node(n), |a| a.copy = a.disk.clone()),
            ["put-back", n] => self.with_disk(node(n), |a| a.disk = a.copy.clone()),
            ["wipe", n] => self.with_disk(node(n), |a| {
                a.disk = Disk::default();
                a.disk.epochs.amnesiac = true;
            }),
            ["cut", a, b] => self.cut(node(a), node(b)),
            ["join", a, b] => self.join(node(a), node(b)),
            ["show"] => self.show(),
            _ => panic!("no such command: {line}"),
        }
    }

    /// Voters first, then observers.
    fn ensemble(&mut self, voters: u64, observers: u64) {
        let count = voters + observers;
        self.config.members = Members {
            voters: (1..=voters).map(NodeId).collect(),
            observers: (voters + 1..=count).map(NodeId).collect(),
            ..Members::default()
        };
        self.actors = (1..=count).map(|n| (n, Actor::default())).collect();
    }

    /// So many more that do not belong.
    fn spare(&mut self, count: u64) {
        let first = self.actors.len() as u64 + 1;
        let spare = (first..first + count).map(|n| (n, Actor::default()));
        self.actors.extend(spare);
    }

    /// Asks a leader for other voters.
    fn change(&mut self, n: u64, to: &str) {
        let replica = self.actors.get_mut(&n).and_then(|a| a.replica.as_mut());
        let replica = replica.expect("a running node");
        if let Err(refusal) = replica.can_change(&voters(to)) {
            return self.say(&format!("n{n} refuses: {refusal:?}"));
        }
        let ids = replica.view().members.voters.iter().map(NodeId::to_string);
        let from: Vec<String> = ids.collect();
        self.propose(n, &format!("{}+{to}", from.join(",")));
    }

    /// `epochs=ACCEPTED/CURRENT`, `log=1:1,1:2`, `amnesiac`.
    fn set_disk(&mut self, n: u64, settings: &[&str]) {
        let disk = &mut self
            .actors
            .get_mut(&n)
            .expect("a node of the ensemble")
            .disk;
        for setting in settings {
            match setting.split_once('=') {
                Some(("epochs", both)) => {
                    let (accepted, current) = both.split_once('/').expect("ACCEPTED/CURRENT");
                    disk.epochs.accepted = Epoch(accepted.parse().expect("a number"));
                    disk.epochs.current = Epoch(current.parse().expect("a number"));
                }
                Some(("log", zxids)) => {
                    let entry = |z| Entry {
                        zxid: zxid(z),
                        txn: Bytes::new(),
                    };
                    disk.log = zxids.split(',').map(entry).collect();
                }
                None if *setting == "amnesiac" => disk.epochs.amnesiac = true,
                _ => panic!("no such setting: {setting}"),
            }
        }
    }

    fn with_disk(&mut self, n: u64, what: impl FnOnce(&mut Actor)) {
        what(self.actors.get_mut(&n).expect("a node of the ensemble"));
    }

    fn start(&mut self, n: u64) {
        self.starts += 1;
        let actor = self.actors.get_mut(&n).expect("a node of the ensemble");
        let mut lives = actor.disk.lives.take().unwrap_or_default();
        match lives == Lives::default() {
            true => lives.own = Chain::begin(self.starts),
            false => lives.own.start(self.starts, actor.disk.epochs.accepted),
        }
        actor.disk.lives = Some(lives.clone());
        let Disk {
            epochs,
            snapshot,
            log_start,
            ref log,
            ..
        } = actor.disk;
        let from = snapshot.unwrap_or_default();
        let entries = log.iter().filter(|e| e.zxid > from).cloned().collect();
        let recovered = Recovered {
            epochs,
            lives,
            snapshot: snapshot.map(stored),
            arrival: None,
            log_start,
            entries,
        };
        let config = Config {
            id: NodeId(n),
            ..self.config.clone()
        };
        actor.replica = Some(Replica::new(config, recovered, Millis(self.now)));
        (actor.done, actor.applied) = (0, Vec::new());
        self.settle(n);
        let others: Vec<u64> = self.actors.keys().copied().filter(|&p| p != n).collect();
        others.into_iter().for_each(|peer| self.connect(n, peer));
    }

    fn is_cut(&self, a: u64, b: u64) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    fn connect(&mut self, a: u64, b: u64) {
        let runs = |n| self.actors[&n].replica.is_some();
        if !runs(a) || !runs(b) || self.is_cut(a, b) {
            return;
        }
        self.links.insert((a, b), VecDeque::new());
        self.links.insert((b, a), VecDeque::new());
        self.step(a, Input::PeerUp(NodeId(b)));
        self.step(b, Input::PeerUp(NodeId(a)));
    }

    fn disconnect(&mut self, a: u64, b: u64) {
        if self.links.remove(&(a, b)).is_some() {
            self.links.remove(&(b, a));
            self.step(a, Input::PeerDown(NodeId(b)));
            self.step(b, Input::PeerDown(NodeId(a)));
        }
    }

    fn cut(&mut self, a: u64, b: u64) {
        self.cuts.push((a.min(b), a.max(b)));
        self.disconnect(a, b);
    }

    fn join(&mut self, a: u64, b: u64) {
        self.cuts.retain(|&pair| pair != (a.min(b), a.max(b)));
        self.connect(a, b);
    }

    /// What the disk was asked and has not done is lost.
    fn crash(&mut self, n: u64) {
        let actor = self.actors.get_mut(&n).expect("a node of the ensemble");
        actor.replica = None;
        actor.pending.clear();
        let others: Vec<u64> = self.actors.keys().copied().filter(|&p| p != n).collect();
        others.into_iter().for_each(|peer| self.disconnect(n, peer));
    }

    fn step(&mut self, n: u64, input: Input) {
        if let Some(replica) = &mut self
            .actors
            .get_mut(&n)
            .expect("a node of the ensemble")
            .replica
        {
            replica.step(Millis(self.now), input);
            self.settle(n);
        }
    }

    fn settle(&mut self, n: u64) {
        loop {
            let Some(replica) = &mut self.actors.get_mut(&n).expect("a node").replica else {
                return;
            };
            let outputs = replica.outputs();
            if outputs.is_empty() {
                return;
            }
            outputs
                .into_iter()
                .for_each(|output| self.carry_out(n, output));
        }
    }

    fn carry_out(&mut self, n: u64, output: Output) {
        match output {
            Output::Send { to, message } => {
                if let Some(link) = self.links.get_mut(&(n, to.0)) {
                    link.push_back(message);
                }
            }
            Output::Disk(operation) => self
                .actors
                .get_mut(&n)
                .expect("a node")
                .pending
                .push_back(operation),
            Output::Restore(zxid) => {
                self.say(&format!("n{n} takes a snapshot at {zxid:?}"));
                let actor = self.actors.get_mut(&n).expect("a node");
                (actor.applied, actor.restoring) = (Vec::new(), Some(zxid));
            }
            Output::Deliver(entry) => {
                self.say(&format!("n{n} delivers {:?}", entry.zxid));
                self.actors
                    .get_mut(&n)
                    .expect("a node")
                    .applied
                    .push(entry.zxid);
            }
            Output::TakeSnapshot => {
                let applied = &self.actors[&n].applied;
                let zxid = applied.last().copied().unwrap_or_default();
                let state = Arc::new(Bytes::from_static(STATE));
                self.step(n, Input::SnapshotTaken(Some(Snapshot { zxid, state })));
            }
            Output::Forgot(evidence) => {
                self.say(&format!("n{n} has forgotten {}", show_evidence(&evidence)));
            }
            Output::Contradicted { leader, zxid } => {
                self.say(&format!(
                    "n{n} contradicts {leader:?}, which wants a cut after {zxid:?}"
                ));
            }
            Output::Status(status) => self.say(&format!("n{n} {}", show_status(status))),
            Output::View(view) if view.version > Zxid::ZERO => {
                let next = view
                    .next
                    .map_or(String::new(), |next| format!(", to become {next}"));
                self.say(&format!("n{n} knows {}{next}", view.members));
            }
            Output::App { .. } | Output::Confirmed { .. } | Output::View(_) => {}
        }
    }

    /// Does what the disk was asked.
    fn flush(&mut self, n: u64) {
        let actor = self.actors.get_mut(&n).expect("a node of the ensemble");
        let mut answers = Vec::new();
        for operation in std::mem::take(&mut actor.pending) {
            actor.done += 1;
            let disk = &mut actor.disk;
            match operation {
                DiskOp::Append(entry) => disk.log.push(entry),
                DiskOp::Truncate(zxid) => disk.log.retain(|e| e.zxid <= zxid),
                DiskOp::SaveEpochs(epochs) => disk.epochs = epochs,
                DiskOp::SaveLives(lives) => disk.lives = Some(lives),
                DiskOp::SaveSnapshot(snapshot) => {
                    disk.snapshot = Some(snapshot.zxid);
                    answers.push(Input::SnapshotSaved {
                        log_start: disk.log_start,
                    });
                }
                DiskOp::KeepPiece(piece) => disk.arrived = Some(piece.zxid),
                DiskOp::ForgetPieces => disk.arrived = None,
                DiskOp::InstallHistory {
                    zxid,
                    entries,
                    epochs,
                    ..
                } => {
                    assert_eq!(disk.arrived.take(), Some(zxid), "it has come");
                    (disk.log, disk.log_start) = (entries, zxid);
                    (disk.snapshot, disk.epochs) = (Some(zxid), epochs);
                    if actor.restoring == Some(zxid) {
                        actor.restoring = None;
                        actor.applied = vec![zxid];
                        answers.push(Input::Restored(zxid));
                    }
                }
                DiskOp::ReadPiece { ticket, number, .. } => {
                    let piece = disk.snapshot.map(|zxid| Piece {
                        zxid,
                        number,
                        bytes: match number {
                            0 => Bytes::from_static(STATE),
                            _ => Bytes::new(),
                        },
                    });
                    answers.push(Input::PieceRead { ticket, piece });
                }
                DiskOp::ReadLog {
                    ticket,
                    after,
                    limit,
                } => {
                    let known = after == disk.log_start || disk.log.iter().any(|e| e.zxid == after);
                    let rest = disk
                        .log
                        .iter()
                        .filter(|e| e.zxid > after)
                        .take(limit)
                        .cloned();
                    answers.push(Input::LogRead {
                        ticket,
                        entries: known.then(|| rest.collect()),
                    });
                }
            }
        }
        let count = actor.done;
        answers.into_iter().for_each(|answer| self.step(n, answer));
        self.step(n, Input::DiskDone { count });
    }

    /// Lets messages of one direction arrive, at most so many, and prints them.
    fn pass(&mut self, from: u64, to: u64, most: usize) {
        for _ in 0..most {
            let link = self.links.get_mut(&(from, to));
            let Some(message) = link.and_then(VecDeque::pop_front) else {
                return;
            };
            if let Some(words) = show_message(&message) {
                self.say(&format!("n{from} -> n{to}: {words}"));
            }
            let from = NodeId(from);
            self.step(to, Input::Message { from, message });
        }
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        let nodes: Vec<u64> = self.actors.keys().copied().collect();
        nodes.into_iter().for_each(|n| self.step(n, Input::Tick));
    }

    /// Lets time pass, with a network and disks that take no time.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.tick(10);
            while self.move_one() {}
        }
    }

    fn move_one(&mut self) -> bool {
        let due = |(n, a): &(&u64, &Actor)| !a.pending.is_empty() && !self.slow.contains(n);
        if let Some((&n, _)) = self.actors.iter().find(due) {
            self.flush(n);
            return true;
        }
        let Some((&(from, to), _)) = self.links.iter().find(|(_, link)| !link.is_empty()) else {
            return false;
        };
        let message = self
            .links
            .get_mut(&(from, to))
            .and_then(VecDeque::pop_front)
            .expect("not empty");
        self.step(
            to,
            Input::Message {
                from: NodeId(from),
                message,
            },
        );
        true
    }

    fn propose(&mut self, n: u64, txn: &str) {
        let (now, txn) = (Millis(self.now), Bytes::copy_from_slice(txn.as_bytes()));
        let replica = self
            .actors
            .get_mut(&n)
            .and_then(|a| a.replica.as_mut())
            .expect("a running node");
        let zxid = replica.propose(now, txn);
        self.say(&zxid.map_or(format!("n{n} does not lead"), |z| {
            format!("n{n} proposes {z:?}")
        }));
        self.settle(n);
    }

    fn show(&mut self) {
        let mut lines = Vec::new();
        for (n, actor) in &self.actors {
            let Disk {
                epochs,
                snapshot,
                ref log,
                ..
            } = actor.disk;
            let status = actor
                .replica
                .as_ref()
                .map_or("is down".to_owned(), |r| show_status(r.status()));
            let from = snapshot.map_or(String::new(), |zxid| format!(" snapshot {zxid:?}"));
            let log: Vec<String> = log.iter().map(|e| format!("{:?}", e.zxid)).collect();
            let amnesiac = if epochs.amnesiac { " amnesiac" } else { "" };
            lines.push(format!(
                "n{n} {status}; on disk: accepted {} current {}{amnesiac}{from} log [{}]",
                epochs.accepted.0,
                epochs.current.0,
                log.join(" ")
            ));
        }
        lines.iter().for_each(|line| self.say(line));
    }
}

fn show_status(status: Status) -> String {
    match status {
        Status::Looking => "looks".to_owned(),
        Status::Following {
            leader,
            serving: false,
            ..
        } => format!("will follow n{leader}"),
        Status::Following {
            leader,
            epoch,
            serving: true,
        } => format!("follows n{leader} in epoch {}", epoch.0),
        Status::Leading {
            epoch: Epoch(0), ..
        } => "stands as leader".to_owned(),
        Status::Leading {
            epoch,
            serving: false,
        } => format!("has epoch {}", epoch.0),
        Status::Leading {
            epoch,
            serving: true,
        } => format!("leads epoch {}", epoch.0),
    }
}

fn show_evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Lives(lives) => {
            let lives = lives
                .iter()
                .map(|l| format!("{} up to {}", l.mark, l.promised.0));
            format!("start {}", lives.collect::<Vec<_>>().join(", "))
        }
        Evidence::Acknowledged { epoch, zxid } => format!("{zxid:?} of epoch {}", epoch.0),
    }
}

/// What a message says, but for notifications and heartbeats.
fn show_message(message: &Message) -> Option<String> {
    let words = match message {
        Message::Notification(_) | Message::App { .. } => return None,
        Message::ToLeader {
            body: ToLeader::Pong { .. },
            ..
        } => return None,
        Message::FromLeader {
            body: FromLeader::Ping { .. },
            ..
        } => return None,
        Message::FromLeader {
            body: FromLeader::Propose { after, entry },
            ..
        } => {
            format!("Propose {:?} after {after:?}", entry.zxid)
        }
        Message::FromLeader {
            body: FromLeader::Inform { after, entry },
            ..
        } => {
            format!("Inform {:?} after {after:?}", entry.zxid)
        }
        Message::FromLeader {
            body: FromLeader::Lives { edition, .. },
            ..
        } => format!("Lives, edition {edition}"),
        Message::FromLeader {
            body: FromLeader::Forgot(evidence),
            ..
        } => format!("Forgot {}", show_evidence(evidence)),
        Message::FromLeader { body, .. } => format!("{body:?}"),
        Message::ToLeader {
            body:
                ToLeader::FollowerInfo {
                    accepted,
                    amnesiac,
                    doubts,
                    ..
                },
            ..
        } => format!(
            "FollowerInfo {{ accepted: {accepted:?}, amnesiac: {amnesiac}, doubts: {doubts} }}"
        ),
        Message::ToLeader { body, .. } => format!("{body:?}"),
    };
    Some(words)
}

/// Tells a story again, and returns it with what is printed now.
fn tell(text: &str) -> String {
    let mut story = Story::new();
    let mut told = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(told, "{line}").expect("a string takes all");
            continue;
        }
        story.command(line);
        writeln!(told, "{line}\n----\n{}", std::mem::take(&mut story.printed))
            .expect("a string takes all");
        let expected = lines.by_ref().skip_while(|l| *l != "----").skip(1);
        expected.take_while(|l| !l.is_empty()).for_each(drop);
    }
    told
}

#[test]
fn the_stories_are_true() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "the stories are missing from {folder}");
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let told = tell(&text);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &told).unwrap();
        } else {
            assert_eq!(
                told.trim_end(),
                text.trim_end(),
                "{} tells another story now",
                path.display()
            );
        }
    }
}
