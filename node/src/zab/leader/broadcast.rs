//! Broadcast: proposals, changes of the members among them; commits; and whether a majority still follows.

use super::{Leader, Learner, Phase, Stage};
use crate::zab::core::{Core, Next, Then};
use crate::zab::members::Members;
use crate::zab::message::FromLeader;
use crate::zab::types::*;
use crate::zab::view::Change;
use bytes::Bytes;

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
    /// Proposes to it, who votes, what it was not sent yet: the last entry of the log, and if it votes only from now on,
    /// also what is proposed and was not committed before.
    pub(super) fn propose(&mut self, core: &mut Core, id: NodeId, before: Zxid, last: &Entry) {
        if self.told < before {
            let missing: Vec<Entry> = core.log.range(self.told, before).cloned().collect();
            missing
                .into_iter()
                .for_each(|entry| self.propose_one(core, id, entry));
        }
        self.propose_one(core, id, last.clone());
    }

    pub(super) fn propose_one(&mut self, core: &mut Core, id: NodeId, entry: Entry) {
        let after = std::mem::replace(&mut self.told, entry.zxid);
        core.tell_learner(id, self.session, FromLeader::Propose { after, entry });
    }

    /// Tells it what is committed and was not proposed to it.
    pub(super) fn inform(&mut self, core: &mut Core, id: NodeId, committed: &[Entry]) {
        let known = committed.partition_point(|entry| entry.zxid <= self.told);
        for entry in &committed[known..] {
            let (after, entry) = (self.told, entry.clone());
            self.told = entry.zxid;
            core.tell_learner(id, self.session, FromLeader::Inform { after, entry });
        }
    }
}

impl Leader {
    /// Proposes; `None` (and the role must end) when this epoch has no zxid left.
    pub(in crate::zab) fn propose(&mut self, core: &mut Core, txn: Bytes) -> Option<Zxid> {
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
        if core.config.bug == Some(crate::zab::Bug::AckBeforeWrite) {
            self.own_acked = zxid;
            let _ = self.try_commit(core);
        }
        Some(zxid)
    }

    /// Whether these may be proposed as the next members: one change at a time, and not without a majority of the new
    /// members that is here and up to date, or nothing could be committed any more.
    pub(in crate::zab) fn can_change(&self, core: &Core, next: &Members) -> Result<(), Refusal> {
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
    pub(super) fn go_on_with_change(&mut self, core: &mut Core) -> Next {
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
    pub(super) fn try_commit(&mut self, core: &mut Core) -> Next {
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

    pub(super) fn held_by_majority(&self, core: &Core) -> Zxid {
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(crate::zab::Bug::CommitWithoutQuorum) {
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

    pub(in crate::zab) fn confirm(&mut self, core: &mut Core, token: u64) {
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(crate::zab::Bug::StaleSync) {
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

    pub(super) fn try_confirm(&mut self, core: &mut Core) {
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
