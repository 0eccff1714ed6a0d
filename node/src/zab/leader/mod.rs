//! The leader: discovery, synchronisation, broadcast.
//!
//! Discovery: a majority names the epochs it promised; the leader takes a higher one, writes it down, and only then
//! announces it; a majority promises it. A leader that learns of a more recent history than its own resigns.
//! Synchronisation: each learner is brought to the leader's history (see `sync`). Once a majority has it on disk, the
//! history is committed and the leader serves. Broadcast: proposals in zxid order, committed when a majority has
//! them on disk. Amnesiac learners, and those who forgot and do not know it yet (see `lives`), are counted nowhere until they are
//! cured. Those who do not vote are brought in once the leader serves, hear of nothing that is not committed, and are counted nowhere.
//!
//! Here is what every phase needs: who follows, who counts, who was lost, and what a message means. `establish` goes from a won election to
//! service, `broadcast` replicates, `memory` deals with those who have forgotten.

mod broadcast;
mod establish;
mod memory;

pub use broadcast::Refusal;

use super::core::{Core, Next};
use super::lives::Chain;
use super::message::{FromLeader, Notification, ToLeader};
use super::sync::Position;
use super::types::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Waiting for a majority to name its promises.
    Discovering,
    /// The new epoch is on its way to the disk.
    Deciding,
    /// Waiting for a majority to promise the epoch.
    Promising,
    /// Waiting for a majority to have the history.
    Synchronising,
    /// Broadcast.
    Serving,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has named the epoch that it promised.
    Introduced { accepted: Epoch },
    /// It has promised ours, and says where its history ends.
    Promised { again: bool, last: Zxid },
    /// It is being brought to our history.
    Syncing(Position),
    /// It was told all our history, and gets the proposals.
    Told,
    /// It has all our history on disk.
    Active,
}

#[derive(Debug)]
pub(super) struct Learner {
    pub(super) session: u64,
    pub(super) amnesiac: bool,
    /// The lives that it remembers.
    lives: Chain,
    /// It has forgotten one of its lives, and does not know it yet.
    forgot: bool,
    /// The edition of everybody's lives that says that it is cured.
    noted: u64,
    /// The last edition that is on its disk.
    knows: u64,
    /// It has the history, and waits for its cure.
    uncured: bool,
    /// It needs a snapshot, and has not been given one yet.
    pub(super) doubts: bool,
    pub(super) stage: Stage,
    pub(super) acked: Zxid,
    /// The last entry that it was sent.
    pub(super) told: Zxid,
    heard: Millis,
    pong: u64,
}

impl Learner {
    /// Whether it counts, if it votes.
    pub(super) fn remembers(&self) -> bool {
        !self.amnesiac && !self.forgot
    }
}

#[derive(Debug)]
pub(super) struct Leader {
    pub(super) phase: Phase,
    pub(super) epoch: Epoch,
    pub(super) learners: BTreeMap<NodeId, Learner>,
    since: Millis,
    /// The last zxid of the history that the leader began with.
    initial: Zxid,
    own_history_on_disk: bool,
    own_acked: Zxid,
    beat: u64,
    last_beat: Millis,
    /// Which learner waits for which piece of a snapshot, and in which conversation.
    pub(super) fetches: BTreeMap<Ticket, (NodeId, u64)>,
    /// Questions whether we still lead, with the heartbeat that a majority must answer; by heartbeat.
    confirming: Vec<(u64, u64)>,
    /// How often everybody's lives were told.
    edition: u64,
    /// The last edition that is on our disk.
    own_knows: u64,
    /// What learners that are gone had acknowledged in this epoch.
    acknowledged: BTreeMap<NodeId, Zxid>,
}

impl Leader {
    pub(super) fn start(
        core: &mut Core,
        early: BTreeMap<NodeId, (u64, ToLeader)>,
    ) -> (Leader, Next) {
        core.out(Output::Status(Status::Leading {
            epoch: Epoch(0),
            serving: false,
        }));
        let mut leader = Leader {
            phase: Phase::Discovering,
            epoch: Epoch(0),
            learners: BTreeMap::new(),
            since: core.now,
            initial: core.log.last(),
            own_history_on_disk: false,
            own_acked: Zxid::ZERO,
            beat: 0,
            last_beat: core.now,
            confirming: Vec::new(),
            fetches: BTreeMap::new(),
            edition: 0,
            own_knows: 0,
            acknowledged: BTreeMap::new(),
        };
        let mut next = leader.try_decide(core);
        for (from, (session, body)) in early {
            if next == Next::Stay {
                next = leader.learner_says(core, from, session, body);
            }
        }
        (leader, next)
    }

    pub(super) fn status(&self) -> Status {
        Status::Leading {
            epoch: self.epoch,
            serving: self.phase == Phase::Serving,
        }
    }

    pub(super) fn is_active(&self, learner: NodeId) -> bool {
        self.learners
            .get(&learner)
            .is_some_and(|l| l.stage == Stage::Active)
    }

    /// Whether this learner has been told all the history, and has not acknowledged this.
    pub(super) fn awaits_ack(&self, id: NodeId, zxid: Zxid) -> bool {
        self.learners.get(&id).is_some_and(|learner| {
            matches!(learner.stage, Stage::Told | Stage::Active) && learner.acked < zxid
        })
    }

    /// Tells every learner that it is over.
    pub(super) fn resign(&mut self, core: &mut Core) {
        for (&id, learner) in &self.learners {
            core.tell_learner(id, learner.session, FromLeader::Resign);
        }
        self.learners.clear();
    }

    pub(super) fn tick(&mut self, core: &mut Core) -> Next {
        self.drop_silent(core);
        if core.now.since(self.last_beat) >= core.config.tick {
            self.send_beat(core);
        }
        let waited = core.now.since(self.since);
        match self.phase {
            Phase::Serving if !self.hears_quorum(core) => Next::Look,
            Phase::Serving => Next::Stay,
            // Whoever voted for us introduces itself at once. If a majority does not, it has changed its mind.
            Phase::Discovering if waited > core.config.sync_limit => Next::Look,
            _ if waited > core.config.init_limit => Next::Look,
            _ => Next::Stay,
        }
    }

    /// Somebody still votes, and for a better candidate than us: before a majority follows us, that is reason enough to
    /// vote again.
    pub(super) fn hears_vote(
        &self,
        core: &Core,
        from: NodeId,
        notification: &Notification,
    ) -> Next {
        let better = core.judge(notification).votes(from)
            && notification.round >= core.round
            && notification.vote > core.own_vote();
        if self.phase == Phase::Discovering && better {
            Next::Look
        } else {
            Next::Stay
        }
    }

    fn drop_silent(&mut self, core: &mut Core) {
        // While it takes over a history, its answers wait behind that.
        let limit = |l: &Learner| match l.stage {
            Stage::Active => core.config.sync_limit,
            _ => core.config.init_limit,
        };
        let silent = |l: &Learner| core.now.since(l.heard) > limit(l);
        let gone: Vec<NodeId> = self
            .learners
            .iter()
            .filter(|(_, l)| silent(l))
            .map(|(&id, _)| id)
            .collect();
        for id in gone {
            let learner = self.part(id).expect("just seen");
            core.tell_learner(id, learner.session, FromLeader::Resign);
        }
    }

    /// Silent learners are dropped, so whoever is still here was heard lately.
    fn hears_quorum(&self, core: &Core) -> bool {
        self.quorum(core, |l| l.stage == Stage::Active)
    }

    /// Whether this leader and the voters among its learners that remember, and are like this, are a quorum.
    fn quorum(&self, core: &Core, like: impl Fn(&Learner) -> bool) -> bool {
        let counts = |id: NodeId| {
            self.learners
                .get(&id)
                .is_some_and(|l| l.remembers() && like(l))
        };
        core.view().is_quorum(|id| id == core.me() || counts(id))
    }

    fn send_beat(&mut self, core: &mut Core) {
        self.beat += 1;
        self.last_beat = core.now;
        for (&id, learner) in &self.learners {
            core.tell_learner(id, learner.session, FromLeader::Ping { beat: self.beat });
        }
    }

    /// A learner's conversation is over. What it acknowledged is remembered: in this epoch it cannot honestly come back with less.
    fn part(&mut self, id: NodeId) -> Option<Learner> {
        let learner = self.learners.remove(&id)?;
        if learner.stage == Stage::Active {
            let acked = self.acknowledged.entry(id).or_default();
            *acked = learner.acked.max(*acked);
        }
        Some(learner)
    }

    pub(super) fn lost(&mut self, core: &mut Core, peer: NodeId) -> Next {
        self.part(peer);
        match self.phase {
            Phase::Serving if !self.hears_quorum(core) => Next::Look,
            _ => Next::Stay,
        }
    }

    pub(super) fn learner_says(
        &mut self,
        core: &mut Core,
        from: NodeId,
        session: u64,
        body: ToLeader,
    ) -> Next {
        if let ToLeader::FollowerInfo {
            accepted,
            amnesiac,
            doubts,
            lives,
        } = body
        {
            self.part(from);
            let learner = Learner {
                session,
                amnesiac,
                lives: lives.own.clone(),
                forgot: false,
                noted: 0,
                knows: 0,
                uncured: false,
                doubts,
                stage: Stage::Introduced { accepted },
                acked: Zxid::ZERO,
                told: Zxid::ZERO,
                heard: core.now,
                pong: 0,
            };
            self.learners.insert(from, learner);
            return self.introduced(core, from, accepted, &lives);
        }
        let Some(learner) = self
            .learners
            .get_mut(&from)
            .filter(|l| l.session == session)
        else {
            return Next::Stay;
        };
        learner.heard = core.now;
        match body {
            ToLeader::FollowerInfo { .. } => unreachable!("handled above"),
            ToLeader::AckEpoch {
                current,
                last,
                again,
            } => self.promised(core, from, current, last, again),
            ToLeader::AckNewLeader => self.has_history(core, from),
            ToLeader::Ack { zxid } => {
                learner.acked = learner.acked.max(zxid);
                self.try_commit(core)
            }
            ToLeader::Pong { beat } => {
                learner.pong = learner.pong.max(beat);
                self.try_confirm(core);
                Next::Stay
            }
            ToLeader::Fetch { zxid, number } => {
                self.fetch(core, from, zxid, number);
                Next::Stay
            }
            ToLeader::Knows { edition } => {
                learner.knows = learner.knows.max(edition);
                self.try_cure(core);
                Next::Stay
            }
            ToLeader::Cured => {
                learner.amnesiac = false;
                self.find_forgetful(core);
                self.try_commit(core)
            }
            ToLeader::Leave => self.lost(core, from),
        }
    }
}
