//! Synchronisation: how a leader brings a learner to its own history.
//!
//! By the learner's last zxid: the missing entries (DIFF), from memory or from the log on disk; or first a cut, where the
//! learner has more of an epoch than the leader (TRUNC); or else a snapshot (SNAP), then the entries after it. A learner whose
//! state is not what its history makes gets a snapshot in any case. Each
//! step moves the learner to a position in the leader's history, and the next step is chosen from there. The leader may
//! meanwhile propose; the last step, from memory, catches up with that and is the only one that ends it. Those who do not
//! vote are brought to what is committed, and no further.
//!
//! A snapshot is one that is on the leader's disk already. The learner fetches it piece by piece, a few at a time, so that neither ever
//! holds more of it in memory than these; it keeps what has come, and goes on from there after a broken connection or a crash.

use super::core::Core;
use super::leader::{Leader, Learner, Stage};
use super::message::FromLeader;
use super::types::*;

/// What a synchronisation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Entries after this zxid from the log on disk.
    Log { ticket: Ticket, after: Zxid },
    /// It fetches a snapshot.
    Snapshot,
    /// It will, when there is one.
    NoSnapshot,
}

enum Step {
    Memory,
    Cut(Zxid),
    Disk,
    Snapshot,
}

fn choose(core: &Core, last: Zxid) -> Step {
    if core.log.contains(last) {
        return Step::Memory;
    }
    match core.log.floor(last) {
        // Of the epoch that both know, the learner has more. What came before it is the same on both: whoever accepted
        // a proposal of an epoch had that epoch's initial history first.
        Some(common) if common.epoch() == last.epoch() && last.epoch() > Epoch(0) => {
            Step::Cut(common)
        }
        Some(_) => Step::Snapshot,
        None if last >= core.log.disk_start => Step::Disk,
        None => Step::Snapshot,
    }
}

/// How far a learner's synchronisation goes.
fn end_for(core: &Core, id: NodeId) -> Zxid {
    if core.view().votes(id) {
        core.log.last()
    } else {
        core.delivered
    }
}

impl Leader {
    /// The learner has the leader's history up to `last`, if `last` is in it: takes the next step.
    pub(super) fn sync(&mut self, core: &mut Core, id: NodeId, last: Zxid) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        if std::mem::take(&mut learner.doubts) {
            return self.ask_snapshot(core, id);
        }
        match choose(core, last) {
            Step::Memory => self.sync_from_memory(core, id, last),
            Step::Cut(zxid) => {
                let session = self.learners[&id].session;
                core.tell_learner(id, session, FromLeader::Truncate { zxid });
                self.sync_from_memory(core, id, zxid);
            }
            Step::Disk => self.ask_log(core, id, last),
            Step::Snapshot => self.ask_snapshot(core, id),
        }
    }

    fn sync_from_memory(&mut self, core: &mut Core, id: NodeId, last: Zxid) {
        let learner = self.learners.get_mut(&id).expect("a learner of ours");
        let (session, mut after) = (learner.session, last);
        let end = end_for(core, id);
        let entries: Vec<Entry> = core.log.range(last, end).cloned().collect();
        for entry in entries {
            let zxid = entry.zxid;
            core.tell_learner(id, session, FromLeader::Propose { after, entry });
            after = zxid;
        }
        learner.stage = Stage::Told;
        // Its acknowledgement of the new leader says that it has all this.
        (learner.acked, learner.told) = (after, after);
        self.tell_lives(core, id);
        core.tell_learner(id, session, FromLeader::NewLeader);
    }

    fn ask_log(&mut self, core: &mut Core, id: NodeId, after: Zxid) {
        let (ticket, limit) = (core.ticket(), core.config.read_batch);
        core.disk(DiskOp::ReadLog {
            ticket,
            after,
            limit,
        });
        self.set_stage(id, Stage::Syncing(Position::Log { ticket, after }));
    }

    fn ask_snapshot(&mut self, core: &mut Core, id: NodeId) {
        self.set_stage(id, Stage::Syncing(Position::Snapshot));
        self.fetches.retain(|_, (learner, _)| *learner != id);
        let session = self.learners[&id].session;
        core.tell_learner(id, session, FromLeader::NeedsSnapshot);
    }

    /// A learner wants a piece of a snapshot: it is read from the disk.
    pub(super) fn fetch(&mut self, core: &mut Core, id: NodeId, zxid: Zxid, number: u32) {
        let learner = &self.learners[&id];
        if learner.stage == Stage::Syncing(Position::Snapshot) {
            let ticket = core.ticket();
            self.fetches.insert(ticket, (id, learner.session));
            core.disk(DiskOp::ReadPiece {
                ticket,
                zxid,
                number,
            });
        }
    }

    pub(super) fn piece_read(&mut self, core: &mut Core, asked: Ticket, piece: Option<Piece>) {
        let Some((id, session)) = self.fetches.remove(&asked) else {
            return;
        };
        let waits =
            |l: &Learner| l.session == session && l.stage == Stage::Syncing(Position::Snapshot);
        if !self.learners.get(&id).is_some_and(waits) {
            return;
        }
        let Some(piece) = piece else {
            self.set_stage(id, Stage::Syncing(Position::NoSnapshot));
            return core.want_snapshot();
        };
        let (zxid, whole) = (piece.zxid, piece.bytes.is_empty());
        core.tell_learner(id, session, FromLeader::Snap(piece));
        if whole {
            self.sync(core, id, zxid);
        }
    }

    /// There is a snapshot now.
    pub(super) fn snapshot_saved(&mut self, core: &mut Core) {
        let waits = |(&id, l): (&NodeId, &Learner)| {
            (l.stage == Stage::Syncing(Position::NoSnapshot)).then_some(id)
        };
        let waiting: Vec<NodeId> = self.learners.iter().filter_map(waits).collect();
        for id in waiting {
            self.set_stage(id, Stage::Syncing(Position::Snapshot));
            self.fetch(core, id, Zxid::ZERO, 0);
        }
    }

    fn set_stage(&mut self, id: NodeId, stage: Stage) {
        self.learners.get_mut(&id).expect("a learner of ours").stage = stage;
    }

    /// For whom this part of the log is read.
    pub(super) fn reads_log_for(&self, asked: Ticket) -> Option<NodeId> {
        let waits = |stage| matches!(stage, Stage::Syncing(Position::Log { ticket, .. }) if ticket == asked);
        let mut learners = self.learners.iter();
        learners
            .find(|(_, learner)| waits(learner.stage))
            .map(|(id, _)| *id)
    }

    pub(super) fn log_read(&mut self, core: &mut Core, asked: Ticket, entries: Option<Vec<Entry>>) {
        let waiting = self.learners.iter().find_map(|(&id, l)| match l.stage {
            Stage::Syncing(Position::Log { ticket, after }) if ticket == asked => {
                Some((id, l.session, after))
            }
            _ => None,
        });
        let Some((id, session, mut after)) = waiting else {
            return;
        };
        let Some(entries) = entries.filter(|e| !e.is_empty()) else {
            // The learner's last zxid is not in our history, or no longer on our disk.
            return self.ask_snapshot(core, id);
        };
        let end = end_for(core, id);
        for entry in entries.into_iter().take_while(|entry| entry.zxid <= end) {
            let zxid = entry.zxid;
            core.tell_learner(id, session, FromLeader::Propose { after, entry });
            after = zxid;
        }
        self.sync(core, id, after);
    }
}
