//! A replica whose state is not what it should be: it stops serving at once, says so, and is given a leader's.

use super::NodeError;
use super::engine::Engine;
use super::jury::Ruling;
use crate::tree::{Checkpoint, Diverged, Mismatch};
use crate::warn::{Observation, Standing};
use crate::zab::{NodeId, Status};

impl Engine {
    /// What the leader's state was, as a transaction says: whether ours was the same.
    pub(super) fn check_state(&mut self, said: Option<Checkpoint>) -> Result<(), NodeError> {
        let Some(said) = said.filter(|_| !self.jury.is_broken()) else {
            return Ok(());
        };
        match self.digests.check(said) {
            Err(mismatch) => self.differs(mismatch),
            Ok(()) => Ok(()),
        }
    }

    /// A member says what its state is.
    pub(super) fn compare_state(
        &mut self,
        from: NodeId,
        standing: &Standing,
    ) -> Result<(), NodeError> {
        let said = standing.state;
        let Some(result) = self.digests.compare(said) else {
            return Ok(());
        };
        self.jury.hears(self.now, from, said, result.is_ok());
        match (self.status, result) {
            (Status::Following { leader, .. }, Err(mismatch))
                if leader == from && standing.leader == Some(from) =>
            {
                self.differs(mismatch)
            }
            _ => Ok(()),
        }
    }

    /// What this server tells the others of its state.
    pub(super) fn told_state(&self) -> Checkpoint {
        self.jury.doubts().unwrap_or(self.tree.checkpoint())
    }

    fn differs(&mut self, mismatch: Mismatch) -> Result<(), NodeError> {
        if self.jury.doubts().is_some() {
            return Ok(());
        }
        tracing::error!(
            zxid = %mismatch.zxid, ours = %mismatch.ours, theirs = %mismatch.theirs,
            "this server's state is not the leader's: it serves nobody until that is settled"
        );
        if self.is_alone() {
            return Err(mismatch.into());
        }
        let ours = Checkpoint {
            zxid: mismatch.zxid,
            digest: mismatch.ours,
        };
        self.begin_doubt(ours, false);
        Ok(())
    }

    /// A transaction could not be applied.
    pub(super) fn misfit(&mut self, problem: Diverged) -> Result<(), NodeError> {
        tracing::error!(zxid = %problem.zxid, %problem, "this server's state is wrong: it serves nobody until it is replaced");
        if self.is_alone() {
            return Err(problem.into());
        }
        self.begin_doubt(self.tree.checkpoint(), true);
        self.jury.breaks();
        Ok(())
    }

    /// Nobody could give it another state.
    pub(super) fn is_alone(&self) -> bool {
        let view = self.replica.view();
        view.is_quorum(|id| id == self.config.id) && view.voters().len() == 1
    }

    fn begin_doubt(&mut self, ours: Checkpoint, broken: bool) {
        self.metrics.digest_mismatches_count.inc();
        self.jury.doubt(self.now, ours, broken);
        self.replica.doubt(self.now);
    }

    /// Decides who is right, if that can be decided now; to be called every now and then.
    pub(super) fn settle_doubt(&mut self) -> Result<(), NodeError> {
        let (now, me) = (self.now, self.config.id);
        if self.jury.doubts().is_none() {
            let outvoted = self.jury.is_outvoted(now, me, self.replica.view());
            if let Some(zxid) = outvoted {
                tracing::error!(%zxid, "a majority has another state than this server: it serves nobody until it has theirs");
                self.begin_doubt(self.tree.checkpoint(), false);
            }
        }
        match self.jury.rule(now, me, self.replica.view()) {
            Some(Ruling::Right) => {
                tracing::warn!("a majority has this server's state: another's is wrong");
                self.jury.clear();
                self.replica.trust(now);
            }
            Some(Ruling::Wrong) => {
                tracing::error!("this server's state and log will be replaced by a leader's");
                self.replica.renounce(now);
            }
            Some(Ruling::Left) => return Err(NodeError::Rebuild),
            None => {}
        }
        let since = self.jury.doubts().map(|ours| ours.zxid);
        self.lookout.observe(Observation::Diverged(since));
        Ok(())
    }
}

#[cfg(feature = "bugs")]
impl Engine {
    /// With the planted bug, a follower applies now and then something else than was committed.
    pub(super) fn spoilt(
        &self,
        zxid: crate::zab::Zxid,
        mut txn: crate::txn::Txn,
    ) -> crate::txn::Txn {
        use crate::txn::Body;
        let planted = self.bug == Some(crate::zab::Bug::Divergence);
        let due = u64::from(zxid.counter() % 64) == self.config.id.0;
        if let Body::Create { data, .. } | Body::SetData { data, .. } = &mut txn.body
            && planted
            && due
            && !self.status.leads()
        {
            *data = Some([data.as_deref().unwrap_or_default(), b"!"].concat().into());
        }
        txn
    }
}
