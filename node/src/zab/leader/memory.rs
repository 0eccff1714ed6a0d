//! Learners that have forgotten what they promised: they are told, counted nowhere, and cured.

use super::{Leader, Learner, Stage};
use crate::zab::core::{Core, Then};
use crate::zab::lives::Cure;
use crate::zab::message::{Evidence, FromLeader};
use crate::zab::types::*;

impl Leader {
    /// Tells those who have forgotten a life, by what is known now; they count no more.
    pub(super) fn find_forgetful(&mut self, core: &mut Core) {
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
    pub(super) fn prepare_cure(&mut self, core: &mut Core, id: NodeId) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        learner.noted = self.edition + 1;
        learner.lives.cure(Cure {
            epoch: self.epoch,
            edition: learner.noted,
        });
        core.shown(id, &learner.lives, self.epoch);
    }

    /// Something is known of lives that not all were told.
    pub(super) fn publish_lives(&mut self, core: &mut Core) {
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

    pub(in crate::zab) fn tell_lives(&self, core: &mut Core, id: NodeId) {
        let lives = FromLeader::Lives {
            edition: self.edition,
            known: core.lives.told(core.me(), self.epoch),
        };
        core.tell_learner(id, self.learners[&id].session, lives);
    }

    /// Cures those whose present life a majority has written down: from then on, nobody counts what they promised in
    /// another. That majority has said so after they came, so that this leader was not deposed before.
    pub(super) fn try_cure(&mut self, core: &mut Core) {
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
}
