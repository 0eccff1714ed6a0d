//! From a won election to service: epochs are named and promised, histories are brought to the leader's.

use super::{Leader, Learner, Phase, Stage};
use crate::zab::core::{Core, Next, Then};
use crate::zab::lives::Lives;
use crate::zab::message::{Evidence, FromLeader};
use crate::zab::types::*;

impl Leader {
    pub(super) fn introduced(
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

    /// Somebody promised a later epoch, and can never follow this one. The next election finds an epoch for all: whoever
    /// names its promises from now on names that one too.
    pub(super) fn outdated(&self, core: &mut Core, later: Epoch) -> Next {
        core.epochs.accepted = later;
        Next::Look
    }

    /// The highest epoch that a learner named when it introduced itself.
    pub(super) fn highest_promise(&self) -> Epoch {
        let promised = self.learners.values().filter_map(|l| match l.stage {
            Stage::Introduced { accepted } => Some(accepted),
            _ => None,
        });
        promised.max().unwrap_or_default()
    }

    pub(super) fn try_decide(&mut self, core: &mut Core) -> Next {
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

    pub(in crate::zab) fn durable(&mut self, core: &mut Core, then: Then) -> Next {
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

    pub(super) fn announce(&mut self, core: &mut Core) -> Next {
        self.phase = Phase::Promising;
        let later = self.highest_promise();
        if later > self.epoch {
            return self.outdated(core, later);
        }
        self.name_epoch(core, |core, id| core.view().votes(id));
        self.try_establish(core)
    }

    /// Tells the epoch to those learners that wait for it.
    pub(super) fn name_epoch(&self, core: &mut Core, to: impl Fn(&Core, NodeId) -> bool) {
        for (&id, learner) in &self.learners {
            if matches!(learner.stage, Stage::Introduced { .. }) && to(core, id) {
                let info = FromLeader::LeaderInfo { epoch: self.epoch };
                core.tell_learner(id, learner.session, info);
            }
        }
    }

    pub(super) fn promised(
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
    pub(super) fn join(&mut self, core: &mut Core, id: NodeId, current: Epoch, last: Zxid) -> Next {
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
    pub(super) fn try_establish(&mut self, core: &mut Core) -> Next {
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

    pub(super) fn has_history(&mut self, core: &mut Core, from: NodeId) -> Next {
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
    pub(super) fn try_serve(&mut self, core: &mut Core) -> Next {
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
    pub(super) fn bring_up_to_date(&mut self, core: &mut Core, id: NodeId) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        if learner.amnesiac {
            learner.uncured = true;
            return self.try_cure(core);
        }
        let commit = core.delivered;
        core.tell_learner(id, learner.session, FromLeader::UpToDate { commit });
    }
}
