//! Early warning: notices what is going wrong before clients do, says so once, and says where acting is safe.
//!
//! Pure: observations with their time in ([`Observation`]), changes of alerts ([`Change`]) and [`Advice`] out. No clock, thread or
//! socket is reached from here; the same observations give the same alerts.
//!
//! ```text
//! Observation ──► detectors ──► Reading (sign, numbers) ──► gate ──► Change: raised, updated, cleared
//!                 peers, clock, disk, lag, requests, space,  │
//!                 stall, expiry, flapping, margin            └─ hysteresis, holding times, doubling
//! ```
//!
//! - [`Alert`]: what an alert is. [`Observation`], [`Beat`]: what the lookout is told, and what lookouts tell each other.
//! - `accrual`, `window`, `pending`: what limits are learned from. `gate`, `post`: from a measure that shakes to an alert that does not.
//! - `board`: alerts that were cleared of late, and those of the peers. `advice`: what may be done about it.
//!
//! **The time that counts.** All but the loop's own gaps is judged by the time in which this server ran (*awake* time): a gap between two
//! turns counts for 50 ms at most. A server that was stopped for an hour does not think that all others were silent for an hour, and one that
//! seldom gets a processor is slower to accuse: its judgement adapts to the machine.
//!
//! **Safety rests on none of this.** Advice makes a leader resign or a follower look for another leader, which each may do at
//! any time; what is promised and committed is decided by epochs and majorities alone.

mod accrual;
mod advice;
mod alert;
mod board;
mod clock;
mod disk;
mod expiry;
mod flapping;
mod gate;
mod lag;
mod margin;
mod observation;
mod peers;
mod pending;
mod post;
mod requests;
mod space;
mod stall;
#[cfg(test)]
mod tests;
mod window;

pub use advice::{Advice, Stuck};
pub use alert::{Alert, Change, Event, Evidence, Kind, Severity, Subject};
pub use observation::{Beat, Echo, Moment, Observation, Standing, Wall};

use crate::zab::{Millis, NodeId, Zxid};
use board::{Board, Instance};
use disk::Disk;
use expiry::Expiry;
use flapping::Flapping;
use gate::{Hold, Sign};
use lag::Progress;
use margin::Voters;
use peers::Peer;
use post::{Post, Reading};
use requests::Requests;
use space::Space;
use stall::Stall;
use std::collections::{BTreeMap, BTreeSet};

/// How much of a gap between two turns counts as time, in milliseconds.
const STEP_MS: u64 = 50;

/// Between two judgements, in milliseconds.
const JUDGE_MS: u64 = 50;

/// Every so many beats carry all alerts, changed or not.
const TOLD_EVERY: u64 = 20;

/// What the lookout must know.
#[derive(Debug, Clone)]
pub struct Options {
    /// This server.
    pub id: NodeId,
    /// Between two beats, in milliseconds; the same on every member.
    pub beat_ms: u64,
    /// How long a leader that does not run keeps its followers, in milliseconds.
    pub lease_ms: u64,
}

/// Keeps a lookout, on one server.
#[derive(Debug)]
pub struct Lookout {
    options: Options,
    turned: Millis,
    awake: Millis,
    judged: Millis,
    voter: bool,
    /// Whether this server is one of the members: nobody owes beats to one that is not.
    belongs: bool,
    peers: BTreeMap<NodeId, Peer>,
    /// Who is connected, members or not: one that is may become one.
    connected: BTreeSet<NodeId>,
    standing: Standing,
    ever_led: bool,
    progress: Progress,
    disk: Disk,
    space: Space,
    stall: Stall,
    /// The longest gap between two turns since the last beats.
    paused_ms: u64,
    requests: Requests,
    expiry: Expiry,
    diverged: Option<Zxid>,
    /// This server may have forgotten what it acknowledged.
    forgetful: bool,
    flapping: Flapping,
    posts: BTreeMap<Subject, Post>,
    board: Board,
    certain: Vec<NodeId>,
    /// The voters without memory of which it was said last that no leader can be found because of them.
    said_stuck: Vec<NodeId>,
    /// The peers' own alerts have changed since all were told.
    news: bool,
    beats: u64,
}

impl Lookout {
    /// Begins at this time.
    pub fn new(options: Options, now: Millis) -> Lookout {
        let awake = Millis::default();
        Lookout {
            options,
            turned: now,
            awake,
            judged: awake,
            voter: false,
            belongs: true,
            peers: BTreeMap::new(),
            connected: BTreeSet::new(),
            standing: Standing::default(),
            ever_led: false,
            progress: Progress::default(),
            disk: Disk::default(),
            space: Space::default(),
            stall: Stall::default(),
            paused_ms: 0,
            requests: Requests::default(),
            expiry: Expiry::new(awake),
            diverged: None,
            forgetful: false,
            flapping: Flapping::default(),
            posts: BTreeMap::new(),
            board: Board::default(),
            certain: Vec::new(),
            said_stuck: Vec::new(),
            news: false,
            beats: 0,
        }
    }

    /// The server's loop turns: to be called at each turn, first of all. True if it did not turn for longer than a leader's
    /// followers wait: it has been replaced, or ought to be, and must not go on as a leader.
    #[must_use]
    pub fn turn(&mut self, now: Millis) -> bool {
        let gap = now.since(self.turned);
        self.turned = now;
        self.awake.0 += gap.min(STEP_MS);
        self.stall.turned(now, gap);
        self.paused_ms = self.paused_ms.max(gap);
        gap > self.options.lease_ms
    }

    /// Something was seen in this turn.
    pub fn observe(&mut self, observation: Observation) {
        let now = self.awake;
        match observation {
            Observation::Members { voters, observers } => self.members(&voters, &observers),
            Observation::PeerUp { peer, knows_us } => {
                self.connected.insert(peer);
                self.peer(peer, |peer| peer.up(now, knows_us));
            }
            Observation::PeerDown(peer) => {
                self.connected.remove(&peer);
                self.peer(peer, Peer::down);
            }
            Observation::Beat {
                from,
                beat,
                received,
            } => {
                let mut beat = *beat;
                // One that was removed, and has not heard of it yet, misses everybody.
                if let Some(alerts) = beat.alerts.take()
                    && self.peers.contains_key(&from)
                {
                    self.board.told(now, from, alerts);
                }
                self.peer(from, |peer| peer.beat(now, beat, received));
            }
            Observation::Proposed { to, zxid } => self.peer(to, |peer| peer.proposed(zxid, now)),
            Observation::Acked { from, zxid } => self.peer(from, |peer| peer.acked(zxid, now)),
            Observation::DiskAsked(count) => self.disk.asked(count, now),
            Observation::DiskDone(count) => self.disk.done(count, now),
            Observation::CanarySent(number) => self.disk.canary_sent(number, now),
            Observation::CanaryBack(number) => self.disk.canary_back(number, now),
            Observation::Space { free, total } => self.space.observe(self.turned, free, total),
            Observation::Requests {
                outstanding,
                oldest_ms,
            } => self.requests.observe(outstanding, oldest_ms),
            Observation::SessionsExpired { expired, open } => {
                self.expiry.observe(now, expired, open)
            }
            Observation::Standing(standing) => self.stands(standing),
            Observation::Diverged(since) => self.diverged = since,
            Observation::Forgetful(forgetful) => self.forgetful = forgetful,
        }
    }

    fn peer(&mut self, id: NodeId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(&id) {
            change(peer);
        }
    }

    fn members(&mut self, voters: &[NodeId], observers: &[NodeId]) {
        let (me, now, beat_ms) = (self.options.id, self.awake, self.options.beat_ms);
        self.voter = voters.contains(&me);
        let belongs = self.voter || observers.contains(&me);
        if belongs != self.belongs {
            self.belongs = belongs;
            self.peers.values_mut().for_each(|peer| peer.estrange(now));
        }
        self.peers
            .retain(|id, _| voters.contains(id) || observers.contains(id));
        for id in voters.iter().chain(observers).filter(|id| **id != me) {
            let voter = voters.contains(id);
            let connected = self.connected.contains(id);
            let peer = self.peers.entry(*id).or_insert_with(|| {
                let mut peer = Peer::new(now, beat_ms, voter);
                if connected {
                    peer.up(now, false);
                }
                peer
            });
            peer.set_voter(voter);
        }
    }

    fn stands(&mut self, standing: Standing) {
        let led = |standing: &Standing| (standing.leader, standing.epoch, standing.serving);
        if led(&standing) != led(&self.standing) {
            self.progress.clear();
            self.peers.values_mut().for_each(Peer::forget_acks);
            if let (Some(leader), true) = (standing.leader, standing.serving) {
                self.ever_led = true;
                self.flapping.led_by(self.awake, leader, standing.epoch);
            }
        }
        self.standing = standing;
        if self.leads() {
            self.progress.note(self.awake, standing.delivered);
        }
    }

    fn leads(&self) -> bool {
        self.standing.serving && self.standing.leader == Some(self.options.id)
    }

    /// Judges what was seen, every now and then; to be called at each turn, last of all.
    pub fn judge(&mut self, moment: Moment) -> Vec<Change> {
        if self.awake.since(self.judged) < JUDGE_MS {
            return Vec::new();
        }
        self.judged = self.awake;
        let now = self.awake;
        self.certain = self
            .peers_that(|peer| peer.is_certainly_silent(now))
            .collect();
        let mut changes = Vec::new();
        let readings = self.readings();
        // A member that is gone, or a question that is no longer asked, has no reading: its alert goes too.
        let me = self.options.id;
        let subject = |kind, about| Subject {
            kind,
            about,
            by: me,
        };
        for (kind, about, reading) in &readings {
            let subject = subject(*kind, *about);
            let post = self.posts.entry(subject).or_default();
            changes.extend(post.judge(now, moment, subject, reading.clone()));
        }
        for (subject, post) in &mut self.posts {
            let read = readings
                .iter()
                .any(|(kind, about, _)| (*kind, *about) == (subject.kind, subject.about));
            if !read {
                changes.extend(post.dismiss(now, moment));
            }
        }
        for change in changes
            .iter()
            .filter(|change| change.event == Event::Cleared)
        {
            self.board.cleared(now, change.alert.clone());
        }
        self.news |= self.board.forget(now) | !changes.is_empty();
        changes.extend(self.ended(moment));
        changes
    }

    /// What others said, and nobody will take back: it is over all the same.
    fn ended(&mut self, moment: Moment) -> Vec<Change> {
        let now = self.awake;
        let (leader, serving) = (self.standing.leader, self.standing.serving);
        let peers = &self.peers;
        let is_over = |said: Instance<'_>| match peers.get(&said.alert.subject.by) {
            // No longer a member.
            None => true,
            Some(_) if said.age_ms >= board::KEPT_MS => true,
            // How the quorum is, is the leader's to say, and this one is not there any more to take back what it said.
            Some(peer) => {
                let about_quorum = said.alert.subject.kind == Kind::QuorumMargin;
                let other_leads = serving && leader != Some(said.alert.subject.by);
                about_quorum && other_leads && !peer.is_heard(now)
            }
        };
        let ended = self.board.end(now, moment.wall.millis(), is_over);
        let changes = ended.into_iter().map(|alert| Change {
            event: Event::Cleared,
            alert,
        });
        changes.collect()
    }

    /// What every detector says now.
    fn readings(&mut self) -> Vec<(Kind, NodeId, Reading)> {
        let (me, now) = (self.options.id, self.awake);
        let mut readings = Vec::new();
        for (id, peer) in self.peers.iter().filter(|_| self.belongs) {
            readings.push((Kind::PeerSilent, *id, peer.silence(now)));
            readings.push((Kind::PeerDeaf, *id, peer.deafness(now)));
        }
        if self.leads() {
            let ours = self.standing.delivered;
            for (id, peer) in &mut self.peers {
                readings.push((Kind::AcksLate, *id, peer.acks(now)));
                if peer.is_heard(now) {
                    let theirs = peer.standing.delivered;
                    let lag = lag::reading(&self.progress, &mut peer.usual_lag, now, ours, theirs);
                    readings.push((Kind::ReplicaLag, *id, lag));
                }
            }
            readings.push((Kind::SessionsExpiring, me, self.expiry.reading(now)));
        }
        readings.push((Kind::DiskStalled, me, self.disk.reading(now)));
        readings.extend(
            self.space
                .reading()
                .map(|reading| (Kind::DiskSpace, me, reading)),
        );
        readings.push((
            Kind::LoopStalled,
            me,
            self.stall.reading(self.options.lease_ms),
        ));
        readings.push((Kind::RequestsWaiting, me, self.requests.reading()));
        readings.push((Kind::Divergence, me, divergence(self.diverged)));
        readings.push((Kind::LeaderFlapping, me, self.flapping.reading(now)));
        readings.extend(self.clock(now));
        readings.extend(
            self.margin(now)
                .map(|reading| (Kind::QuorumMargin, me, reading)),
        );
        readings
    }

    fn clock(&self, now: Millis) -> Option<(Kind, NodeId, Reading)> {
        let offset = |(id, peer): (&NodeId, &Peer)| Some((*id, peer.clock.offset_ms(now)?));
        let known: Vec<(NodeId, (f64, f64))> = self.peers.iter().filter_map(offset).collect();
        match &known[..] {
            [] => None,
            [(id, offset)] => Some((Kind::ClockOffset, *id, clock::other(*offset))),
            many => {
                let offsets: Vec<(f64, f64)> = many.iter().map(|(_, offset)| *offset).collect();
                Some((Kind::ClockOffset, self.options.id, clock::own(&offsets)?))
            }
        }
    }

    /// The leader knows; who follows leaves it to the leader; who looks knows that there is none.
    fn margin(&self, now: Millis) -> Option<Reading> {
        let leads = self.standing.leader == Some(self.options.id);
        if !self.belongs || !(leads || self.standing.leader.is_none()) {
            return None;
        }
        self.quorum_now().reading(now, self.ever_led)
    }

    /// The voters as they are now, to a leader, or to a server that looks for one.
    fn quorum_now(&self) -> Voters {
        let (now, me, led) = (self.awake, self.options.id, self.leads());
        let is_there = |peer: &Peer| match led {
            true => peer.is_near(now) && peer.standing.serving && peer.standing.leader == Some(me),
            false => peer.is_heard(now),
        };
        let count = |is: &dyn Fn(&Peer) -> bool| {
            self.peers_that(|peer| peer.is_voter() && is(peer)).count()
        };
        Voters {
            all: self.voters(),
            missing: self
                .peers_that(|peer| peer.is_voter() && !is_there(peer))
                .collect(),
            heard: count(&|peer| peer.is_heard(now)),
            silent: count(&|peer| peer.is_certainly_silent(now)),
            led,
            without_memory: match led {
                true => Vec::new(),
                false => self.without_memory(),
            },
        }
    }

    /// The voters that say of themselves that they may have forgotten what they acknowledged: each tells it with its own alert that there is no
    /// leader.
    fn without_memory(&self) -> Vec<NodeId> {
        let says = |alert: &&Alert| alert.cleared_ms.is_none() && alert.is_without_memory();
        let others = self
            .board
            .others()
            .filter(says)
            .map(|alert| alert.subject.by);
        let others = others.filter(|id| self.peers.get(id).is_some_and(Peer::is_voter));
        let own = (self.forgetful && self.voter).then_some(self.options.id);
        let all: BTreeSet<NodeId> = others.chain(own).collect();
        all.into_iter().collect()
    }

    /// Why no leader can be found, as far as it is known here, if it is because of voters without memory; once for each set of them.
    pub fn news_of_stuck(&mut self) -> Option<Stuck> {
        let me = self.options.id;
        let subject = Subject {
            kind: Kind::QuorumMargin,
            about: me,
            by: me,
        };
        let post = self.posts.get(&subject);
        if post.is_none_or(|post| post.alert.is_none()) {
            self.said_stuck.clear();
            return None;
        }
        let voters = self.quorum_now();
        if !voters.are_stuck() || voters.without_memory == self.said_stuck {
            return None;
        }
        self.said_stuck.clone_from(&voters.without_memory);
        Some(Stuck {
            voters: voters.all,
            without_memory: voters.without_memory,
            not_heard: voters.missing,
        })
    }

    fn peers_that(&self, is: impl Fn(&Peer) -> bool) -> impl Iterator<Item = NodeId> {
        let found = self.peers.iter().filter(move |(_, peer)| is(peer));
        found.map(|(id, _)| *id)
    }

    fn voters(&self) -> usize {
        self.peers_that(Peer::is_voter).count() + usize::from(self.voter)
    }

    fn quorum(&self) -> usize {
        self.voters() / 2 + 1
    }

    /// Whether all should hear at once what has changed.
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// What to tell each connected peer, now that a beat is due.
    pub fn beats(&mut self, moment: Moment) -> Vec<(NodeId, Beat)> {
        let now = self.awake;
        self.beats += 1;
        let told = std::mem::take(&mut self.news) || self.beats.is_multiple_of(TOLD_EVERY);
        let own: Option<Vec<Alert>> = told.then(|| self.own_alerts().cloned().collect());
        let fit = !self.disk.is_stuck(now);
        let paused_ms = std::mem::take(&mut self.paused_ms);
        let beat = |(id, peer): (&NodeId, &mut Peer)| {
            let beat = Beat {
                sent: moment.wall,
                echo: peer.take_echo(),
                paused_ms,
                hears_you: !peer.is_missed(now),
                fit,
                standing: self.standing,
                certain: self.certain.clone(),
                alerts: own.clone(),
            };
            (*id, beat)
        };
        self.peers.iter_mut().map(beat).collect()
    }

    fn own_alerts(&self) -> impl Iterator<Item = &Alert> {
        let standing = self.posts.values().filter_map(|post| post.alert.as_ref());
        standing.chain(self.board.own())
    }

    /// All alerts that this server knows of, its own first: those that stand, and those that were cleared within the last minute.
    pub fn alerts(&self) -> Vec<Alert> {
        self.own_alerts()
            .chain(self.board.others())
            .cloned()
            .collect()
    }
}

/// A state is right or wrong: there is no limit to learn.
fn divergence(since: Option<Zxid>) -> Reading {
    Reading {
        sign: since.map_or(Sign::Calm, |_| Sign::Critical),
        hold: Hold {
            raise_ms: 0,
            clear_ms: 1000,
        },
        evidence: vec![("since_zxid", since.map_or(0.0, |zxid| zxid.0 as f64))],
    }
}
