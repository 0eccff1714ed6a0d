//! An ensemble of lookouts: servers that stop, links that are cut one way, disks that stall, clocks that are wrong.
//!
//! Beats arrive in order, 1 ms to `jitter_ms` late. A server that is stopped takes no turn, and finds what came when it goes on.

use crate::warn::{
    Advice, Alert, Beat, Change, Event, Kind, Lookout, Moment, Observation, Options, Standing, Wall,
};
use crate::zab::{Epoch, Millis, NodeId, Zxid};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const BEAT_MS: u64 = 100;
pub(super) const LEASE_MS: u64 = 800;
const CANARY_MS: u64 = 500;

pub(super) struct Server {
    pub(super) lookout: Lookout,
    pub(super) advice: Option<Advice>,
    /// It did not run for longer than its lease.
    pub(super) overslept: bool,
    inbox: VecDeque<(u64, NodeId, Beat)>,
    next_beat: u64,
    next_turn: u64,
    canary: u64,
    canary_due: u64,
    canary_out: Option<u64>,
    pub(super) delivered: u32,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) servers: BTreeMap<NodeId, Server>,
    pub(super) leader: Option<NodeId>,
    pub(super) epoch: u32,
    pub(super) stopped: BTreeSet<NodeId>,
    pub(super) cut: BTreeSet<(NodeId, NodeId)>,
    pub(super) stalled_disks: BTreeSet<NodeId>,
    pub(super) lagging: BTreeSet<NodeId>,
    pub(super) clock_ms: BTreeMap<NodeId, i64>,
    /// How late beats, turns and disks may be.
    pub(super) jitter_ms: u64,
    /// All changes, with time.
    pub(super) changes: Vec<(u64, Change)>,
    pub(super) random: ChaCha8Rng,
}

pub(super) fn id(n: u64) -> NodeId {
    NodeId(n)
}

impl World {
    /// So many servers; 1 leads.
    pub(super) fn new(size: u64, seed: u64) -> World {
        let ids: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let server = |me: NodeId| {
            let options = Options {
                id: me,
                beat_ms: BEAT_MS,
                lease_ms: LEASE_MS,
            };
            let mut lookout = Lookout::new(options, Millis(0));
            lookout.observe(Observation::Members {
                voters: ids.clone(),
                observers: vec![],
            });
            for peer in ids.iter().filter(|peer| **peer != me) {
                lookout.observe(Observation::PeerUp {
                    peer: *peer,
                    knows_us: true,
                });
            }
            Server {
                lookout,
                advice: None,
                overslept: false,
                inbox: VecDeque::new(),
                next_beat: me.0 * 7,
                next_turn: 0,
                canary: 0,
                canary_due: 100 * me.0,
                canary_out: None,
                delivered: 1,
            }
        };
        World {
            now: 0,
            servers: ids.iter().map(|me| (*me, server(*me))).collect(),
            leader: Some(NodeId(1)),
            epoch: 1,
            stopped: BTreeSet::new(),
            cut: BTreeSet::new(),
            stalled_disks: BTreeSet::new(),
            lagging: BTreeSet::new(),
            clock_ms: BTreeMap::new(),
            jitter_ms: 5,
            changes: Vec::new(),
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// All servers, those that are gone too, hear that these are the voters.
    pub(super) fn members_are(&mut self, ids: &[u64]) {
        for server in self.servers.values_mut() {
            server.lookout.observe(Observation::Members {
                voters: ids.iter().copied().map(NodeId).collect(),
                observers: vec![],
            });
        }
    }

    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now += 10;
            let ids: Vec<NodeId> = self.servers.keys().copied().collect();
            for me in ids {
                let due = self.servers[&me].next_turn <= self.now;
                if due && !self.stopped.contains(&me) {
                    self.turn(me);
                }
            }
        }
    }

    fn wall(&self, me: NodeId) -> Wall {
        let ahead = self.clock_ms.get(&me).copied().unwrap_or(0);
        Wall((1_700_000_000_000 + self.now as i64 + ahead) * 1000)
    }

    fn turn(&mut self, me: NodeId) {
        let (now, wall) = (self.now, self.wall(me));
        let late = self.random.random_range(0..=self.jitter_ms);
        let (leads, lags, stalled) = (
            self.leader,
            self.lagging.contains(&me),
            self.stalled_disks.contains(&me),
        );
        let epoch = Epoch(self.epoch);
        let server = self.servers.get_mut(&me).unwrap();
        server.overslept |= server.lookout.turn(Millis(now));
        server.next_turn = now + 10 + late / 3;
        if !lags {
            server.delivered = (now / 10) as u32;
        }
        server.lookout.observe(Observation::Standing(Standing {
            leader: leads,
            epoch,
            serving: leads.is_some(),
            delivered: Zxid::new(epoch, server.delivered),
            ..Standing::default()
        }));
        while server.inbox.front().is_some_and(|(at, _, _)| *at <= now) {
            let (_, from, beat) = server.inbox.pop_front().unwrap();
            server.lookout.observe(Observation::Beat {
                from,
                beat: Box::new(beat),
                received: wall,
            });
        }
        if server.canary_out.is_some_and(|back| back <= now) && !stalled {
            server
                .lookout
                .observe(Observation::CanaryBack(server.canary));
            (server.canary_out, server.canary_due) = (None, now + CANARY_MS);
        }
        if server.canary_out.is_none() && server.canary_due <= now {
            server.canary += 1;
            server
                .lookout
                .observe(Observation::CanarySent(server.canary));
            server.canary_out = Some(now + 5 + late);
        }
        let moment = Moment {
            now: Millis(now),
            wall,
        };
        let changes = server.lookout.judge(moment);
        server.advice = Some(server.lookout.advice());
        self.changes
            .extend(changes.into_iter().map(|change| (now, change)));
        let server = self.servers.get_mut(&me).unwrap();
        if server.next_beat <= now || server.lookout.has_news() {
            server.next_beat = now + BEAT_MS + late;
            let beats = server.lookout.beats(moment);
            for (to, beat) in beats {
                self.send(me, to, beat);
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, beat: Beat) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        let at = self.now + 1 + self.random.random_range(0..=self.jitter_ms);
        let inbox = &mut self.servers.get_mut(&to).unwrap().inbox;
        // Nothing overtakes on a connection.
        let at = inbox
            .iter()
            .filter(|(_, f, _)| *f == from)
            .map(|(at, _, _)| *at)
            .max()
            .unwrap_or(0)
            .max(at);
        let place = inbox.partition_point(|(other, _, _)| *other <= at);
        inbox.insert(place, (at, from, beat));
    }

    /// What `by` says stands: kind, and about whom.
    pub(super) fn standing(&self, by: NodeId) -> Vec<(Kind, NodeId)> {
        let alerts = self.servers[&by].lookout.alerts();
        let standing = |alert: &Alert| alert.subject.by == by && alert.cleared_ms.is_none();
        alerts
            .iter()
            .filter(|alert| standing(alert))
            .map(|alert| (alert.subject.kind, alert.subject.about))
            .collect()
    }

    /// Whether this stands by the word of `by`, as `asked` knows it.
    pub(super) fn standing_by(&self, asked: NodeId, by: NodeId, kind: Kind) -> bool {
        let alerts = self.servers[&asked].lookout.alerts();
        alerts.iter().any(|alert| {
            (alert.subject.by, alert.subject.kind) == (by, kind) && alert.cleared_ms.is_none()
        })
    }

    /// What the alert of this kind means that `by` has raised.
    pub(super) fn meaning(&self, by: NodeId, kind: Kind) -> Option<&'static str> {
        let alerts = self.servers[&by].lookout.alerts();
        let own = |alert: &&Alert| (alert.subject.by, alert.subject.kind) == (by, kind);
        Some(alerts.iter().find(own)?.meaning())
    }

    /// When, after `since`, `by` first raised this; in milliseconds after `since`.
    pub(super) fn raised(&self, since: u64, by: NodeId, kind: Kind, about: NodeId) -> Option<u64> {
        self.when(since, Event::Raised, by, kind, about)
    }

    pub(super) fn cleared(&self, since: u64, by: NodeId, kind: Kind, about: NodeId) -> Option<u64> {
        self.when(since, Event::Cleared, by, kind, about)
    }

    fn when(&self, since: u64, event: Event, by: NodeId, kind: Kind, about: NodeId) -> Option<u64> {
        let is = |(at, change): &&(u64, Change)| {
            let subject = change.alert.subject;
            *at >= since
                && change.event == event
                && (subject.by, subject.kind, subject.about) == (by, kind, about)
        };
        Some(self.changes.iter().find(is)?.0 - since)
    }

    pub(super) fn told(&self) -> String {
        let line = |(at, change): &(u64, Change)| {
            format!(
                "{at} ms {} {} {}",
                change.event.word(),
                change.alert.subject,
                change.alert.numbers()
            )
        };
        self.changes.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
