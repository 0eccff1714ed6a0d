//! The leader: discovery, synchronisation, broadcast.
//!
//! Discovery: a majority names the epochs it promised; the leader takes a higher one, writes it down, and only then
//! announces it; a majority promises it. A leader that learns of a more recent history than its own resigns.
//! Synchronisation: each learner is brought to the leader's history (see `sync`). Once a majority has it on disk, the
//! history is committed and the leader serves. Broadcast: proposals in zxid order, committed when a majority has
//! them on disk. Amnesiac learners, and those who forgot and do not know it yet (see `lives`), are counted nowhere until they are cured. Those who do not vote are brought
//! in once the leader serves, hear of nothing that is not committed, and are counted nowhere.

use super::core::{Core, Next, Then};
use super::lives::{Chain, Cure, Lives};
use super::members::Members;
use super::message::{Evidence, FromLeader, Notification, ToLeader};
use super::sync::Position;
use super::types::*;
use super::view::Change;
use bytes::Bytes;
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

/// Why a change of the members cannot be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This replica does not lead, or does not serve yet.
    NotLeading,
    /// The change before is not yet committed.
    InProgress,
    /// Too few of the new voters are connected and up to date.
    NoQuorum,
}

impl Learner {
    /// Whether it counts, if it votes.
    pub(super) fn remembers(&self) -> bool {
        !self.amnesiac && !self.forgot
    }

    /// Proposes to it, who votes, what it was not sent yet: the last entry of the log, and if it votes only from now on,
    /// also what is proposed and was not committed before.
    fn propose(&mut self, core: &mut Core, id: NodeId, before: Zxid, last: &Entry) {
        if self.told < before {
            let missing: Vec<Entry> = core.log.range(self.told, before).cloned().collect();
            missing
                .into_iter()
                .for_each(|entry| self.propose_one(core, id, entry));
        }
        self.propose_one(core, id, last.clone());
    }

    fn propose_one(&mut self, core: &mut Core, id: NodeId, entry: Entry) {
        let after = std::mem::replace(&mut self.told, entry.zxid);
        core.tell_learner(id, self.session, FromLeader::Propose { after, entry });
    }

    /// Tells it what is committed and was not proposed to it.
    fn inform(&mut self, core: &mut Core, id: NodeId, committed: &[Entry]) {
        let known = committed.partition_point(|entry| entry.zxid <= self.told);
        for entry in &committed[known..] {
            let (after, entry) = (self.told, entry.clone());
            self.told = entry.zxid;
            core.tell_learner(id, self.session, FromLeader::Inform { after, entry });
        }
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

    fn introduced(
        &mut self,
        core: &mut Core,
        from: NodeId,
        accepted: Epoch,
        lives: &Lives,
    ) -> Next {
        let session = self.learners[&from].session;
        core.tell_learner(from, session, FromLeader::Ping { beat: self.beat });
        if !core.learn(&lives.known) {
            return Next::Look;
        }
        self.find_forgetful(core);
        if self.learners[&from].forgot {
            return Next::Stay;
        }
        match self.phase {
            Phase::Discovering => self.try_decide(core),
            Phase::Deciding => Next::Stay,
            _ if accepted > self.epoch => self.outdated(core, accepted),
            // Its promise would count for nothing, and might bind it to an epoch that never comes to be.
            phase if phase < Phase::Serving && !core.view().votes(from) => Next::Stay,
            _ => {
                core.tell_learner(from, session, FromLeader::LeaderInfo { epoch: self.epoch });
                Next::Stay
            }
        }
    }

    /// Tells those who have forgotten a life, by what is known now; they count no more.
    fn find_forgetful(&mut self, core: &mut Core) {
        for (&id, learner) in &mut self.learners {
            let forgotten = core.forgotten(id, &learner.lives);
            let unaware = !learner.amnesiac && !forgotten.is_empty();
            if unaware && !std::mem::replace(&mut learner.forgot, true) {
                let evidence = Evidence::Lives(forgotten);
                core.tell_learner(id, learner.session, FromLeader::Forgot(evidence));
            }
        }
    }

    /// The next edition says that this amnesiac learner is cured in its present life. It will be, when a majority has that on disk.
    fn prepare_cure(&mut self, core: &mut Core, id: NodeId) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        learner.noted = self.edition + 1;
        learner.lives.cure(Cure {
            epoch: self.epoch,
            edition: learner.noted,
        });
        core.shown(id, &learner.lives, self.epoch);
    }

    /// Something is known of lives that not all were told.
    fn publish_lives(&mut self, core: &mut Core) {
        self.edition += 1;
        core.lives_are_news = false;
        core.save_lives();
        core.when_durable(Then::Knows(self.edition));
        let told = |l: &Learner| matches!(l.stage, Stage::Told | Stage::Active);
        let there = self.learners.iter().filter(|(_, l)| told(l));
        let there: Vec<NodeId> = there.map(|(&id, _)| id).collect();
        for id in there {
            self.tell_lives(core, id);
        }
    }

    pub(super) fn tell_lives(&self, core: &mut Core, id: NodeId) {
        let lives = FromLeader::Lives {
            edition: self.edition,
            known: core.lives.told(core.me(), self.epoch),
        };
        core.tell_learner(id, self.learners[&id].session, lives);
    }

    /// Somebody promised a later epoch, and can never follow this one. The next election finds an epoch for all: whoever
    /// names its promises from now on names that one too.
    fn outdated(&self, core: &mut Core, later: Epoch) -> Next {
        core.epochs.accepted = later;
        Next::Look
    }

    /// The highest epoch that a learner named when it introduced itself.
    fn highest_promise(&self) -> Epoch {
        let promised = self.learners.values().filter_map(|l| match l.stage {
            Stage::Introduced { accepted } => Some(accepted),
            _ => None,
        });
        promised.max().unwrap_or_default()
    }

    fn try_decide(&mut self, core: &mut Core) -> Next {
        if !self.quorum(core, |_| true) {
            return Next::Stay;
        }
        let highest = self.highest_promise().max(core.epochs.accepted);
        self.epoch = Epoch(highest.0 + 1);
        self.phase = Phase::Deciding;
        core.epochs.accepted = self.epoch;
        core.save_epochs();
        core.when_durable(Then::EpochAccepted);
        Next::Stay
    }

    pub(super) fn durable(&mut self, core: &mut Core, then: Then) -> Next {
        match then {
            Then::EpochAccepted => self.announce(core),
            Then::HistoryOnDisk => {
                self.own_history_on_disk = true;
                self.try_serve(core)
            }
            Then::Logged(zxid) => {
                self.own_acked = self.own_acked.max(zxid);
                self.try_commit(core)
            }
            Then::Knows(edition) => {
                self.own_knows = edition;
                self.try_cure(core);
                Next::Stay
            }
            Then::Cured | Then::PieceKept(..) => Next::Stay,
        }
    }

    fn announce(&mut self, core: &mut Core) -> Next {
        self.phase = Phase::Promising;
        let later = self.highest_promise();
        if later > self.epoch {
            return self.outdated(core, later);
        }
        self.name_epoch(core, |core, id| core.view().votes(id));
        self.try_establish(core)
    }

    /// Tells the epoch to those learners that wait for it.
    fn name_epoch(&self, core: &mut Core, to: impl Fn(&Core, NodeId) -> bool) {
        for (&id, learner) in &self.learners {
            if matches!(learner.stage, Stage::Introduced { .. }) && to(core, id) {
                let info = FromLeader::LeaderInfo { epoch: self.epoch };
                core.tell_learner(id, learner.session, info);
            }
        }
    }

    fn promised(
        &mut self,
        core: &mut Core,
        from: NodeId,
        current: Epoch,
        last: Zxid,
        again: bool,
    ) -> Next {
        let own = (core.epochs.current, core.log.last());
        let learner = self.learners.get_mut(&from).expect("checked by the caller");
        learner.stage = Stage::Promised { again, last };
        if learner.forgot {
            return Next::Stay;
        }
        if self.phase >= Phase::Synchronising {
            return self.join(core, from, current, last);
        }
        if !learner.amnesiac {
            core.shown(from, &learner.lives, self.epoch);
        }
        if learner.remembers() && (current, last) > own {
            return Next::Look;
        }
        self.try_establish(core)
    }

    /// A learner comes to an epoch that is established.
    fn join(&mut self, core: &mut Core, id: NodeId, current: Epoch, last: Zxid) -> Next {
        let learner = self.learners.get_mut(&id).expect("checked by the caller");
        let acknowledged = self.acknowledged.get(&id);
        let lost = |&&zxid: &&Zxid| current < self.epoch || last < zxid;
        if let Some(&zxid) = acknowledged.filter(lost)
            && !learner.amnesiac
            && core.minds()
        {
            learner.forgot = true;
            let evidence = Evidence::Acknowledged {
                epoch: self.epoch,
                zxid,
            };
            core.tell_learner(id, learner.session, FromLeader::Forgot(evidence));
            return Next::Stay;
        }
        match learner.amnesiac {
            true => self.prepare_cure(core, id),
            false => core.shown(id, &learner.lives, self.epoch),
        }
        if core.lives_are_news {
            self.publish_lives(core);
        }
        self.sync(core, id, last);
        Next::Stay
    }

    /// Once a majority has promised this epoch to nobody else before, it is ours.
    fn try_establish(&mut self, core: &mut Core) -> Next {
        let promised = |l: &Learner| matches!(l.stage, Stage::Promised { again: false, .. });
        if self.phase != Phase::Promising || !self.quorum(core, promised) {
            return Next::Stay;
        }
        self.phase = Phase::Synchronising;
        self.initial = core.log.last();
        let promised = |l: &Learner| matches!(l.stage, Stage::Promised { .. });
        let amnesiac = |(_, l): &(&NodeId, &Learner)| l.amnesiac && promised(l);
        let amnesiac = self.learners.iter().filter(amnesiac);
        let amnesiac: Vec<NodeId> = amnesiac.map(|(&id, _)| id).collect();
        for id in amnesiac {
            self.prepare_cure(core, id);
        }
        self.publish_lives(core);
        core.epochs.current = self.epoch;
        core.save_epochs();
        core.when_durable(Then::HistoryOnDisk);
        core.out(Output::Status(self.status()));
        let promised = |(&id, l): (&NodeId, &Learner)| match l.stage {
            Stage::Promised { last, .. } => Some((id, last)),
            _ => None,
        };
        let waiting: Vec<(NodeId, Zxid)> = self.learners.iter().filter_map(promised).collect();
        for (id, last) in waiting {
            self.sync(core, id, last);
        }
        Next::Stay
    }

    fn has_history(&mut self, core: &mut Core, from: NodeId) -> Next {
        let learner = self.learners.get_mut(&from).expect("checked by the caller");
        if learner.stage != Stage::Told {
            return Next::Stay;
        }
        learner.stage = Stage::Active;
        if self.phase == Phase::Serving {
            self.bring_up_to_date(core, from);
            self.try_cure(core);
            return self.try_commit(core);
        }
        self.try_serve(core)
    }

    /// A majority has the initial history on disk: it is committed.
    fn try_serve(&mut self, core: &mut Core) -> Next {
        if self.phase != Phase::Synchronising
            || !self.own_history_on_disk
            || !self.quorum(core, |l| l.stage == Stage::Active)
        {
            return Next::Stay;
        }
        self.phase = Phase::Serving;
        core.deliver(self.initial);
        let active = |(&id, l): (&NodeId, &Learner)| (l.stage == Stage::Active).then_some(id);
        let ready: Vec<NodeId> = self.learners.iter().filter_map(active).collect();
        for id in ready {
            self.bring_up_to_date(core, id);
        }
        self.name_epoch(core, |core, id| !core.view().votes(id));
        core.out(Output::Status(self.status()));
        self.go_on_with_change(core)
    }

    /// The learner has the history on disk: it may serve, if it remembers; else it must be cured first.
    fn bring_up_to_date(&mut self, core: &mut Core, id: NodeId) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        if learner.amnesiac {
            learner.uncured = true;
            return self.try_cure(core);
        }
        let commit = core.delivered;
        core.tell_learner(id, learner.session, FromLeader::UpToDate { commit });
    }

    /// Cures those whose present life a majority has written down: from then on, nobody counts what they promised in
    /// another. That majority has said so after they came, so that this leader was not deposed before.
    fn try_cure(&mut self, core: &mut Core) {
        let noted = |edition: u64| {
            self.own_knows >= edition
                && self.quorum(core, |l| l.stage == Stage::Active && l.knows >= edition)
        };
        let due = |l: &Learner| l.uncured && !l.forgot && noted(l.noted);
        let due: Vec<NodeId> = self
            .learners
            .iter()
            .filter(|(_, l)| due(l))
            .map(|(&id, _)| id)
            .collect();
        for id in due {
            let learner = self.learners.get_mut(&id).expect("just seen");
            learner.uncured = false;
            let (edition, commit) = (learner.noted, core.delivered);
            core.tell_learner(id, learner.session, FromLeader::Cured { edition });
            core.tell_learner(id, learner.session, FromLeader::UpToDate { commit });
        }
    }

    /// Proposes; `None` (and the role must end) when this epoch has no zxid left.
    pub(super) fn propose(&mut self, core: &mut Core, txn: Bytes) -> Option<Zxid> {
        assert_eq!(
            self.phase,
            Phase::Serving,
            "only a leader that serves proposes"
        );
        let after = core.log.last();
        let counter = if after.epoch() == self.epoch {
            after.counter()
        } else {
            core.config.first_counter
        };
        let zxid = Zxid::new(self.epoch, counter.checked_add(1)?);
        if let Some(Change::Join { to, .. }) = core.change_in(&txn) {
            let allowed = self.can_change(core, &to);
            assert_eq!(allowed, Ok(()), "who proposes a change has asked before");
        }
        let entry = Entry { zxid, txn };
        core.append(entry.clone());
        core.when_durable(Then::Logged(zxid));
        for (&id, learner) in &mut self.learners {
            if matches!(learner.stage, Stage::Told | Stage::Active) && core.view().votes(id) {
                learner.propose(core, id, after, &entry);
            }
        }
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(super::Bug::AckBeforeWrite) {
            self.own_acked = zxid;
            let _ = self.try_commit(core);
        }
        Some(zxid)
    }

    /// Whether these may be proposed as the next members: one change at a time, and not without a majority of the new
    /// members that is here and up to date, or nothing could be committed any more.
    pub(super) fn can_change(&self, core: &Core, next: &Members) -> Result<(), Refusal> {
        let view = core.view();
        if self.phase != Phase::Serving {
            return Err(Refusal::NotLeading);
        }
        if view.next.is_some() || view.version > core.delivered {
            return Err(Refusal::InProgress);
        }
        let here = |id| {
            self.learners
                .get(&id)
                .is_some_and(|l| l.remembers() && l.stage == Stage::Active)
        };
        if !next.is_quorum(|id| id == core.me() || here(id)) {
            return Err(Refusal::NoQuorum);
        }
        Ok(())
    }

    /// A change that is committed is activated next, whichever leader proposed it. When that is committed too, a leader
    /// that does not belong any longer leaves.
    fn go_on_with_change(&mut self, core: &mut Core) -> Next {
        let view = core.view();
        if view.version > core.delivered {
            return Next::Stay;
        }
        if view.next.is_some() {
            let activation = (core.config.reading.activation)();
            return match self.propose(core, activation) {
                Some(_) => Next::Stay,
                None => Next::Look,
            };
        }
        match view.votes(core.me()) {
            true => Next::Stay,
            false => Next::Look,
        }
    }

    /// Commits what a majority has on disk.
    fn try_commit(&mut self, core: &mut Core) -> Next {
        if self.phase != Phase::Serving {
            return Next::Stay;
        }
        let commit = self.held_by_majority(core);
        if commit <= core.delivered {
            return Next::Stay;
        }
        let news = core.deliver(commit);
        for (&id, learner) in &mut self.learners {
            match learner.stage {
                Stage::Active if learner.told >= commit => {
                    core.tell_learner(id, learner.session, FromLeader::Commit { zxid: commit });
                }
                Stage::Told | Stage::Active => learner.inform(core, id, &news),
                _ => {}
            }
        }
        self.go_on_with_change(core)
    }

    fn held_by_majority(&self, core: &Core) -> Zxid {
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(super::Bug::CommitWithoutQuorum) {
            return self.own_acked;
        }
        let counts = |l: &&Learner| l.remembers() && l.stage == Stage::Active;
        core.view()
            .reached(|id| match self.learners.get(&id).filter(counts) {
                Some(learner) => learner.acked,
                None if id == core.me() => self.own_acked,
                None => Zxid::ZERO,
            })
    }

    pub(super) fn confirm(&mut self, core: &mut Core, token: u64) {
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(super::Bug::StaleSync) {
            core.out(Output::Confirmed {
                token,
                zxid: core.delivered,
            });
            return;
        }
        // The heartbeat must be sent after the question came. One round is under way at a time, and the next one
        // serves all who have asked meanwhile.
        let idle = self.confirming.is_empty();
        self.confirming.push((token, self.beat + 1));
        if idle {
            self.send_beat(core);
        }
        self.try_confirm(core);
    }

    fn try_confirm(&mut self, core: &mut Core) {
        let answered =
            |beat: u64| self.quorum(core, |l| l.stage == Stage::Active && l.pong >= beat);
        let due = |&&(_, beat): &&(u64, u64)| beat <= self.beat && answered(beat);
        let done = self.confirming.iter().take_while(due).count();
        for (token, _) in self.confirming.drain(..done) {
            let zxid = core.delivered;
            core.out(Output::Confirmed { token, zxid });
        }
        let waits = self
            .confirming
            .first()
            .is_some_and(|&(_, beat)| beat > self.beat);
        if done > 0 && waits {
            self.send_beat(core);
            self.try_confirm(core);
        }
    }
}
