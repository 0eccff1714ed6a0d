//! Counts what passes by: proposals and their acknowledgements, messages between servers, changes of status.
//!
//! It watches, and changes nothing. Times are the node's monotonic clock, in microseconds.

use super::Metrics;
use super::count::{Detail, Summary, Unit};
use crate::server::Micros;
use crate::zab::{FromLeader, Message, NodeId, Status, ToLeader, Zxid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Proposals whose times are kept: the acknowledgements of a follower that lags more are not timed.
const PROPOSALS: usize = 16_384;

/// Sizes: the last, the least and the greatest; -1 until there is one.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Sizes {
    pub(in crate::server) last: i64,
    pub(in crate::server) min: i64,
    pub(in crate::server) max: i64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes {
            last: -1,
            min: -1,
            max: -1,
        }
    }
}

impl Sizes {
    pub(in crate::server) fn add(&mut self, bytes: usize) {
        let bytes = bytes as i64;
        self.last = bytes;
        self.min = if self.min < 0 {
            bytes
        } else {
            self.min.min(bytes)
        };
        self.max = self.max.max(bytes);
    }
}

/// What has passed by.
#[derive(Debug)]
pub(in crate::server) struct Passing {
    metrics: Arc<Metrics>,
    /// Whether this server is a voter; else it is an observer.
    votes: bool,
    /// When each proposal of this leader was made: consecutive zxids.
    proposals: VecDeque<Micros>,
    first: Zxid,
    /// Up to where each follower has acknowledged.
    acked: BTreeMap<NodeId, Zxid>,
    /// From proposal to acknowledgement, for each follower.
    pub(in crate::server) ack_latency: BTreeMap<NodeId, Summary>,
    pub(in crate::server) proposal_sizes: Sizes,
    /// Followers that are being sent a snapshot.
    snapped: BTreeSet<NodeId>,
    status: Status,
    looking_since: Option<Micros>,
    following_since: Option<Micros>,
    silent_since: Option<Micros>,
    /// Since when this server leads and serves.
    pub(in crate::server) leading_since: Option<Micros>,
}

impl Passing {
    /// A server that starts, and looks for a leader.
    pub(in crate::server) fn new(metrics: Arc<Metrics>, votes: bool, at: Micros) -> Passing {
        metrics.looking_count.inc();
        Passing {
            metrics,
            votes,
            proposals: VecDeque::new(),
            first: Zxid::ZERO,
            acked: BTreeMap::new(),
            ack_latency: BTreeMap::new(),
            proposal_sizes: Sizes::default(),
            snapped: BTreeSet::new(),
            status: Status::Looking,
            looking_since: Some(at),
            following_since: None,
            silent_since: None,
            leading_since: None,
        }
    }

    /// This server, as the leader, has proposed a transaction of so many bytes.
    pub(in crate::server) fn proposed(&mut self, zxid: Zxid, bytes: usize, at: Micros) {
        self.metrics.proposal_count.inc();
        self.proposal_sizes.add(bytes);
        if self.made(zxid).is_some() || self.first.0 + self.proposals.len() as u64 != zxid.0 {
            self.proposals.clear();
        }
        if self.proposals.is_empty() {
            self.first = zxid;
        }
        self.proposals.push_back(at);
        if self.proposals.len() > PROPOSALS {
            self.proposals.pop_front();
            self.first.0 += 1;
        }
    }

    /// A transaction was applied; `time_ms` is its wall-clock time, and `now_ms` this server's.
    pub(in crate::server) fn applied(&mut self, zxid: Zxid, time_ms: i64, now_ms: i64, at: Micros) {
        // Clocks differ: what seems to come from the future took no time.
        let late_ms = now_ms.saturating_sub(time_ms).max(0) as u64;
        self.metrics.propagation_latency.add(late_ms * 1000);
        if self.status.leads() {
            self.metrics.commit_count.inc();
            if let Some(made) = self.made(zxid) {
                self.metrics.quorum_ack_latency.add(at.since(made));
            }
        }
    }

    /// When this leader proposed it, if that is still known.
    fn made(&self, zxid: Zxid) -> Option<Micros> {
        let at = usize::try_from(zxid.0.checked_sub(self.first.0)?).ok()?;
        self.proposals.get(at).copied()
    }

    /// A message goes to a peer.
    pub(in crate::server) fn sent(&mut self, to: NodeId, message: &Message) {
        let Message::FromLeader { body, .. } = message else {
            return;
        };
        match body {
            FromLeader::LeaderInfo { .. } => {
                self.snapped.remove(&to);
                self.acked.remove(&to);
            }
            FromLeader::Snap { .. } => {
                self.snapped.insert(to);
            }
            FromLeader::NewLeader if self.snapped.remove(&to) => self.metrics.snap_count.inc(),
            FromLeader::NewLeader => self.metrics.diff_count.inc(),
            _ => {}
        }
    }

    /// A message has come from a peer.
    pub(in crate::server) fn received(&mut self, from: NodeId, message: &Message, at: Micros) {
        match message {
            Message::FromLeader {
                body: FromLeader::Propose { .. },
                ..
            } => {
                self.metrics.learner_proposal_received_count.inc();
            }
            Message::FromLeader {
                body: FromLeader::Commit { .. } | FromLeader::Inform { .. },
                ..
            } => {
                self.metrics.learner_commit_received_count.inc();
            }
            Message::ToLeader {
                body: ToLeader::Ack { zxid },
                ..
            } => self.acked(from, *zxid, at),
            _ => {}
        }
    }

    /// A follower acknowledges all up to here: each proposal that it had not acknowledged before is timed.
    fn acked(&mut self, from: NodeId, zxid: Zxid, at: Micros) {
        let before = self.acked.insert(from, zxid).unwrap_or_default();
        let first = (before.0 + 1).max(self.first.0);
        if zxid.0 < first || self.made(zxid).is_none() {
            return;
        }
        let latency = self
            .ack_latency
            .entry(from)
            .or_insert_with(|| Summary::new(Unit::Time, Detail::Advanced));
        let range = (first - self.first.0) as usize..=(zxid.0 - self.first.0) as usize;
        for made in self.proposals.range(range) {
            latency.add(at.since(*made));
        }
    }

    /// The status has changed.
    pub(in crate::server) fn status(&mut self, status: Status, at: Micros) {
        let (before, metrics) = (std::mem::replace(&mut self.status, status), &self.metrics);
        if status == Status::Looking && before != Status::Looking {
            metrics.looking_count.inc();
            self.looking_since = Some(at);
        }
        if status != Status::Looking
            && let Some(since) = self.looking_since.take()
        {
            metrics.election_time.add(at.since(since));
        }
        match status {
            Status::Following { serving: false, .. } if self.following_since.is_none() => {
                self.following_since = Some(at);
            }
            Status::Following { serving: true, .. } => {
                if let Some(since) = self.following_since.take() {
                    let summary = match self.votes {
                        true => &metrics.follower_sync_time,
                        false => &metrics.observer_sync_time,
                    };
                    summary.add(at.since(since));
                }
            }
            Status::Following { .. } => {}
            _ => self.following_since = None,
        }
        if before.serving() && !status.serving() {
            self.silent_since = Some(at);
        }
        if status.serving()
            && let Some(since) = self.silent_since.take()
        {
            metrics.unavailable_time.add(at.since(since));
            if status.leads() {
                metrics.leader_unavailable_time.add(at.since(since));
            }
        }
        if !status.leads() {
            self.leading_since = None;
            self.proposals.clear();
            self.acked.clear();
            self.ack_latency.clear();
            self.proposal_sizes = Sizes::default();
        } else if self.leading_since.is_none() {
            self.leading_since = Some(at);
        }
    }

    /// Ages the quantiles with those of [`Metrics::turn`].
    pub(in crate::server) fn turn(&self) {
        self.ack_latency.values().for_each(Summary::turn);
    }

    /// Begins all anew.
    pub(in crate::server) fn reset(&mut self) {
        self.ack_latency.clear();
        self.proposal_sizes = Sizes::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::{Epoch, Piece};

    const LEADS: Status = Status::Leading {
        epoch: Epoch(1),
        serving: true,
    };
    const FOLLOWER: NodeId = NodeId(2);

    fn ack(counter: u32) -> Message {
        let zxid = Zxid::new(Epoch(1), counter);
        Message::ToLeader {
            session: 1,
            body: ToLeader::Ack { zxid },
        }
    }

    fn leader() -> (Arc<Metrics>, Passing) {
        let metrics = Arc::new(Metrics::default());
        let mut passing = Passing::new(metrics.clone(), true, Micros(0));
        passing.status(LEADS, Micros(7_000));
        (metrics, passing)
    }

    #[test]
    fn each_proposal_is_timed_once_for_each_follower_and_for_the_quorum() {
        let (metrics, mut passing) = leader();
        for n in 1..=3 {
            passing.proposed(
                Zxid::new(Epoch(1), n),
                100 + n as usize,
                Micros(u64::from(n) * 1000),
            );
        }
        passing.received(FOLLOWER, &ack(2), Micros(5_000));
        passing.received(FOLLOWER, &ack(2), Micros(6_000));
        passing.received(FOLLOWER, &ack(3), Micros(7_000));
        let follower = passing.ack_latency[&FOLLOWER].read();
        assert_eq!(
            (follower.count, follower.sum, follower.max),
            (3, 4_000 + 3_000 + 4_000, 4_000)
        );
        passing.applied(Zxid::new(Epoch(1), 1), 50, 53, Micros(4_000));
        let quorum = metrics.quorum_ack_latency.read();
        assert_eq!((quorum.count, quorum.sum), (1, 3_000));
        assert_eq!(metrics.propagation_latency.read().sum, 3_000);
        let Sizes { last, min, max } = passing.proposal_sizes;
        assert_eq!((last, min, max), (103, 101, 103));
        assert_eq!(
            (metrics.proposal_count.get(), metrics.commit_count.get()),
            (3, 1)
        );
    }

    #[test]
    fn acknowledgements_of_what_this_leader_did_not_propose_are_not_timed() {
        let (_, mut passing) = leader();
        passing.received(FOLLOWER, &ack(9), Micros(5_000));
        passing.proposed(Zxid::new(Epoch(1), 10), 1, Micros(6_000));
        passing.received(FOLLOWER, &ack(9), Micros(7_000));
        passing.received(FOLLOWER, &ack(11), Micros(8_000));
        assert!(passing.ack_latency.is_empty());
        passing.received(NodeId(3), &ack(10), Micros(9_000));
        assert_eq!(passing.ack_latency[&NodeId(3)].read().sum, 3_000);
    }

    #[test]
    fn times_of_proposals_are_bounded_and_the_newest_are_kept() {
        let (metrics, mut passing) = leader();
        let all = PROPOSALS as u32 + 100;
        for n in 1..=all {
            passing.proposed(Zxid::new(Epoch(1), n), 1, Micros(0));
        }
        assert_eq!(passing.proposals.len(), PROPOSALS);
        passing.applied(Zxid::new(Epoch(1), 100), 0, 0, Micros(1));
        assert_eq!(metrics.quorum_ack_latency.read().count, 0);
        passing.received(FOLLOWER, &ack(all), Micros(1));
        assert_eq!(
            passing.ack_latency[&FOLLOWER].read().count,
            PROPOSALS as u64
        );
    }

    #[test]
    fn an_outage_is_timed_from_the_last_service_to_the_next() {
        let (metrics, mut passing) = leader();
        assert_eq!(metrics.election_time.read().sum, 7_000);
        assert_eq!(
            metrics.unavailable_time.read().count,
            0,
            "it had not served before"
        );
        passing.status(Status::Looking, Micros(10_000));
        let following = |serving| Status::Following {
            leader: FOLLOWER,
            epoch: Epoch(2),
            serving,
        };
        passing.status(following(false), Micros(13_000));
        passing.status(following(true), Micros(18_000));
        assert_eq!(metrics.looking_count.get(), 2);
        assert_eq!(metrics.election_time.read().sum, 10_000);
        assert_eq!(metrics.follower_sync_time.read().sum, 5_000);
        assert_eq!(metrics.unavailable_time.read().sum, 8_000);
        assert_eq!(metrics.leader_unavailable_time.read().count, 0);
    }

    #[test]
    fn a_follower_is_counted_by_how_it_was_brought_up_to_date() {
        let (metrics, mut passing) = leader();
        let say = |body| Message::FromLeader { session: 1, body };
        let info = FromLeader::LeaderInfo { epoch: Epoch(1) };
        let piece = FromLeader::Snap(Piece::default());
        for body in [
            info.clone(),
            piece,
            FromLeader::NewLeader,
            info,
            FromLeader::NewLeader,
        ] {
            passing.sent(FOLLOWER, &say(body));
        }
        assert_eq!((metrics.snap_count.get(), metrics.diff_count.get()), (1, 1));
    }
}
