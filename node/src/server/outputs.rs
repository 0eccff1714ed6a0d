//! What the replica wants: sends, disk operations, deliveries, a change of status. Carried out in order.

use super::NodeError;
use super::engine::Engine;
use super::leading::{Leader, wall_clock_ms};
use super::pipeline::Answer;
use crate::tree::Outcome;
use crate::txn::{Body, Txn};
use crate::warn::Observation;
use crate::zab::{Entry, FromLeader, Input, Message, Output, Snapshot, Status, Zxid};
use std::collections::VecDeque;
use std::sync::Arc;

impl Engine {
    pub(super) fn carry_out(&mut self) -> Result<(), NodeError> {
        if let Some(error) = self.stopped.take() {
            return Err(error);
        }
        let mut outputs = VecDeque::from(self.replica.outputs());
        while let Some(output) = outputs.pop_front() {
            self.carry_out_one(output)?;
            outputs.extend(self.replica.outputs());
        }
        Ok(())
    }

    fn carry_out_one(&mut self, output: Output) -> Result<(), NodeError> {
        match output {
            Output::Send { to, message } => {
                if let Some(link) = self.peers.get_mut(&to) {
                    self.passing.sent(to, &message);
                    if let Some(zxid) = proposed(&message)
                        && self.replica.awaits_ack(to, zxid)
                    {
                        self.lookout.observe(Observation::Proposed { to, zxid });
                    }
                    link.push(&message);
                }
            }
            Output::Disk(op) => {
                self.disk_asked += 1;
                self.lookout
                    .observe(Observation::DiskAsked(self.disk_asked));
                self.disk.push(op);
            }
            Output::Restore(zxid) => self.forget_state(zxid),
            Output::Forgot(evidence) => tracing::error!(
                %evidence,
                "this server's disk has forgotten what the server said, as an old copy does: no vote and no acknowledgement until a leader has \
                 brought it up to date"
            ),
            Output::Contradicted { leader, zxid } => tracing::error!(
                leader = leader.0, %zxid, delivered = %self.tree.zxid(),
                "the leader wants a cut of what is applied here: it leads without a committed transaction, or this server's disk is of another ensemble. \
                 This server does not follow it"
            ),
            Output::Deliver(entry) => self.deliver(entry)?,
            Output::TakeSnapshot => {
                let sure = self.jury.doubts().is_none();
                let snapshot = sure.then(|| Snapshot {
                    zxid: self.tree.zxid(),
                    state: Arc::new(self.tree.freeze()),
                });
                self.step(Input::SnapshotTaken(snapshot));
            }
            Output::Status(status) => self.status_changed(status),
            Output::View(view) => self.view_changed(view),
            Output::App { from, payload } => self.app(from, &payload),
            Output::Confirmed { token, zxid } => self.confirmed(token, zxid),
        }
        Ok(())
    }

    fn deliver(&mut self, entry: Entry) -> Result<(), NodeError> {
        let zxid = entry.zxid;
        let txn = Txn::decode(&entry.txn).map_err(|source| NodeError::Txn { zxid, source })?;
        self.check_state(txn.state)?;
        if self.jury.is_broken() {
            return Ok(());
        }
        #[cfg(feature = "bugs")]
        let txn = self.spoilt(zxid, txn);
        let (mut origin, timeout) = (txn.origin, session_timeout(&txn));
        if txn.time_ms > 0 {
            self.passing
                .applied(zxid, txn.time_ms, wall_clock_ms(), self.at);
        }
        let clients = &mut self.clients;
        let applied = self
            .tree
            .apply_observed(zxid, txn, &mut |change| clients.changed(change));
        let outcome = match applied {
            Ok(outcome) => outcome,
            Err(problem) => return self.misfit(problem),
        };
        self.digests.applied(self.tree.checkpoint());
        if let Some(leader) = &mut self.leader {
            self.metrics.outstanding_changes_removed.inc();
            leader.applied(zxid, origin.node, &outcome, timeout, self.now);
        }
        let closed = match outcome {
            Outcome::SessionClosed(session) => self.clients.of_session(session),
            // Answered when it is done.
            Outcome::Joining => return Ok(()),
            Outcome::Reconfigured { asker, .. } => {
                origin = asker;
                None
            }
            _ => None,
        };
        let mine = origin.node == self.config.id && origin.incarnation == self.incarnation;
        let asker = if mine {
            self.clients.asker(origin.number)
        } else {
            None
        };
        match (asker, outcome) {
            (Some(id), Outcome::SessionOpened(session)) => self.session_opened(id, session),
            (Some(id), outcome) => {
                self.clients
                    .answer(id, origin.number, Answer::Done(zxid, outcome));
                self.pump(id);
            }
            (None, _) => {}
        }
        // A client that closed its session itself gets its answer first, and is closed with it.
        if let Some(id) = closed.filter(|id| asker != Some(*id)) {
            self.clients.close(id);
        }
        self.answer_late_syncs();
        Ok(())
    }

    /// The leader has answered a sync.
    pub(super) fn synced(&mut self, number: u64, zxid: Zxid) {
        let Some(id) = self.clients.asker(number) else {
            return;
        };
        self.clients.answer(id, number, Answer::Synced(zxid));
        if zxid > self.tree.zxid() {
            self.late.entry(zxid).or_default().push(id);
        } else {
            self.pump(id);
        }
    }

    fn answer_late_syncs(&mut self) {
        while let Some(first) = self
            .late
            .first_entry()
            .filter(|first| *first.key() <= self.tree.zxid())
        {
            for id in first.remove() {
                self.pump(id);
            }
        }
    }

    pub(super) fn status_changed(&mut self, status: Status) {
        tracing::info!(%status, zxid = %self.tree.zxid(), "status");
        let served = self.status.serving();
        self.status = status;
        self.keep_to_own();
        self.choose_dials();
        self.passing.status(status, self.at);
        if self.read_only.status(status, self.now) {
            tracing::info!("no longer read-only");
            self.clients.close_all();
        }
        if served && !status.serving() {
            // What is under way may or may not happen; only silence is an honest answer.
            self.clients.close_all();
            self.upward.clear();
            self.downward.clear();
            self.late.clear();
            self.touched.clear();
        }
        // What is proposed and not yet applied is known to no other leader: it must not be forgotten while this one leads.
        if !status.leads() {
            self.leader = None;
        } else if self.leader.is_none() {
            self.leader = Some(Leader::new(&self.tree, &self.config, self.now));
            self.write_down_ensemble();
        }
    }
}

/// The zxid that a follower is asked to acknowledge.
fn proposed(message: &Message) -> Option<Zxid> {
    match message {
        Message::FromLeader {
            body: FromLeader::Propose { entry, .. },
            ..
        } => Some(entry.zxid),
        _ => None,
    }
}

/// The time-out of the session that this transaction opens; 0 if it opens none.
fn session_timeout(txn: &Txn) -> i32 {
    match txn.body {
        Body::OpenSession { timeout_ms, .. } => timeout_ms,
        _ => 0,
    }
}
