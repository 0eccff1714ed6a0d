//! The follower: promises the leader's epoch, takes its history, then its proposals; or, if it does not vote, what is
//! committed.
//!
//! What it says to the leader is always on its disk first: the promise, the history with the epoch (in this order), each
//! acknowledged proposal. Anything that does not fit (a proposal that does not come next, a cut below what is delivered)
//! ends the following: a failed synchronisation is never taken for a success.
//!
//! A leader's snapshot may be older than what is in the log here, and what lies between may be committed. So the old history
//! stands, in memory and on disk, until the leader has told all of the new one; then they change places at once.

use super::core::{Core, Next, Then};
use super::lives::{Cure, Known};
use super::message::{FromLeader, ToLeader};
use super::types::*;
use bytes::{Bytes, BytesMut};

/// Every so many entries of a synchronisation, the leader is told that it goes on.
const PROGRESS_EVERY: u32 = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The leader has been told that we are here.
    Introduced,
    /// The promise is on its way to the disk.
    Promising,
    /// The leader sends its history.
    Syncing,
    /// The leader has sent it all.
    Told,
    /// The leader serves, and so may we.
    UpToDate,
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) leader: NodeId,
    pub(super) session: u64,
    stage: Stage,
    epoch: Epoch,
    promised_before: bool,
    /// The edition in which all are told that this replica is cured.
    cure: u64,
    heard: Millis,
    since: Millis,
    pieces: BytesMut,
    /// The leader's snapshot, and what followed it: the history that will replace ours.
    staged: Option<(Snapshot, Vec<Entry>)>,
}

impl Follower {
    pub(super) fn start(core: &mut Core, leader: NodeId, session: u64) -> (Follower, Next) {
        let follower = Follower {
            leader,
            session,
            stage: Stage::Introduced,
            epoch: Epoch(0),
            promised_before: false,
            cure: 0,
            heard: core.now,
            since: core.now,
            pieces: BytesMut::new(),
            staged: None,
        };
        core.out(Output::Status(follower.status()));
        let info = ToLeader::FollowerInfo {
            accepted: core.epochs.accepted,
            amnesiac: core.epochs.amnesiac,
            doubts: core.doubts,
            lives: core.lives.clone(),
        };
        follower.say(core, info);
        let next = if core.peers.is_connected(leader) {
            Next::Stay
        } else {
            Next::Look
        };
        (follower, next)
    }

    pub(super) fn status(&self) -> Status {
        Status::Following {
            leader: self.leader,
            epoch: self.epoch,
            serving: self.serving(),
        }
    }

    pub(super) fn serving(&self) -> bool {
        self.stage == Stage::UpToDate
    }

    fn say(&self, core: &mut Core, body: ToLeader) {
        core.tell_leader(self.leader, self.session, body);
    }

    pub(super) fn leave(&self, core: &mut Core) {
        self.say(core, ToLeader::Leave);
    }

    pub(super) fn tick(&mut self, core: &mut Core) -> Next {
        let silent = core.now.since(self.heard) > core.config.sync_limit;
        let too_long = !self.serving() && core.now.since(self.since) > core.config.init_limit;
        if silent || too_long {
            Next::Look
        } else {
            Next::Stay
        }
    }

    pub(super) fn leader_says(&mut self, core: &mut Core, body: FromLeader) -> Next {
        self.heard = core.now;
        match body {
            FromLeader::LeaderInfo { epoch } => return self.promise(core, epoch),
            FromLeader::Truncate { zxid } => return self.truncate(core, zxid),
            FromLeader::Snap {
                zxid,
                offset,
                piece,
                last,
            } => return self.snap(core, zxid, offset, piece, last),
            FromLeader::Propose { after, entry } => return self.proposed(core, after, entry),
            FromLeader::Inform { after, entry } => return self.informed(core, after, entry),
            FromLeader::Lives { edition, known } => return self.lives(core, edition, &known),
            FromLeader::Cured { edition } => self.cure = edition,
            FromLeader::Forgot(evidence) => match core.admit(&evidence) {
                true => {}
                false => return Next::Look,
            },
            FromLeader::NewLeader => self.told(core),
            FromLeader::UpToDate { commit } => self.up_to_date(core, commit),
            FromLeader::Commit { zxid } if self.serving() => drop(core.deliver(zxid)),
            FromLeader::Commit { .. } => {}
            FromLeader::Ping { beat } => self.say(core, ToLeader::Pong { beat }),
            FromLeader::Resign => return Next::Look,
        }
        Next::Stay
    }

    fn promise(&mut self, core: &mut Core, epoch: Epoch) -> Next {
        if self.stage != Stage::Introduced || epoch < core.epochs.accepted {
            return Next::Look;
        }
        self.stage = Stage::Promising;
        self.epoch = epoch;
        self.promised_before = epoch == core.epochs.accepted;
        core.epochs.accepted = epoch;
        core.save_epochs();
        core.when_durable(Then::EpochAccepted);
        Next::Stay
    }

    pub(super) fn durable(&mut self, core: &mut Core, then: Then) {
        match then {
            Then::EpochAccepted => {
                self.stage = Stage::Syncing;
                let (current, last) = (core.epochs.current, core.log.last());
                self.say(
                    core,
                    ToLeader::AckEpoch {
                        current,
                        last,
                        again: self.promised_before,
                    },
                );
            }
            Then::HistoryOnDisk => self.say(core, ToLeader::AckNewLeader),
            Then::Logged(zxid) => self.say(core, ToLeader::Ack { zxid }),
            Then::Cured => self.say(core, ToLeader::Cured),
            Then::Knows(edition) => self.say(core, ToLeader::Knows { edition }),
        }
    }

    fn truncate(&mut self, core: &mut Core, zxid: Zxid) -> Next {
        let possible = self.staged.is_none() && core.log.contains(zxid) && zxid >= core.delivered;
        if self.stage != Stage::Syncing || !possible {
            return Next::Look;
        }
        self.progress(core);
        core.truncate(zxid);
        Next::Stay
    }

    fn snap(&mut self, core: &mut Core, zxid: Zxid, offset: u64, piece: Bytes, last: bool) -> Next {
        if self.stage != Stage::Syncing || offset != self.pieces.len() as u64 {
            return Next::Look;
        }
        self.pieces.extend_from_slice(&piece);
        self.progress(core);
        if last {
            let state = std::mem::take(&mut self.pieces).freeze();
            self.staged = Some((Snapshot { zxid, state }, Vec::new()));
        }
        Next::Stay
    }

    /// The synchronisation goes on: neither end must lose patience.
    fn progress(&mut self, core: &mut Core) {
        self.since = core.now;
        self.say(core, ToLeader::Pong { beat: 0 });
    }

    /// The last zxid of the history that is being taken over.
    fn last(&self, core: &Core) -> Zxid {
        match &self.staged {
            Some((snapshot, entries)) => entries.last().map_or(snapshot.zxid, |e| e.zxid),
            None => core.log.last(),
        }
    }

    fn proposed(&mut self, core: &mut Core, after: Zxid, entry: Entry) -> Next {
        if self.stage < Stage::Syncing || after != self.last(core) || entry.zxid <= after {
            return Next::Look;
        }
        let zxid = entry.zxid;
        if self.stage == Stage::Syncing {
            if zxid.counter().is_multiple_of(PROGRESS_EVERY) {
                self.progress(core);
            }
            match &mut self.staged {
                Some((_, entries)) => entries.push(entry),
                None => core.append(entry),
            }
            return Next::Stay;
        }
        core.append(entry);
        #[cfg(feature = "bugs")]
        if core.config.bug == Some(super::Bug::AckBeforeWrite) {
            self.say(core, ToLeader::Ack { zxid });
        }
        core.when_durable(Then::Logged(zxid));
        Next::Stay
    }

    /// Committed already: nobody waits for an acknowledgement.
    fn informed(&mut self, core: &mut Core, after: Zxid, entry: Entry) -> Next {
        if self.stage < Stage::Told || after != core.log.last() || entry.zxid <= after {
            return Next::Look;
        }
        let zxid = entry.zxid;
        core.append(entry);
        if self.serving() {
            core.deliver(zxid);
        }
        Next::Stay
    }

    fn lives(&mut self, core: &mut Core, edition: u64, known: &Known) -> Next {
        if !core.learn(known) {
            return Next::Look;
        }
        core.save_lives();
        core.when_durable(Then::Knows(edition));
        Next::Stay
    }

    fn told(&mut self, core: &mut Core) {
        if self.stage != Stage::Syncing {
            return;
        }
        self.stage = Stage::Told;
        core.epochs.current = self.epoch;
        match self.staged.take() {
            Some((snapshot, entries)) => core.install(snapshot, entries),
            // The disk works in order: the epoch is written only after the history before it.
            None => core.save_epochs(),
        }
        core.when_durable(Then::HistoryOnDisk);
    }

    fn up_to_date(&mut self, core: &mut Core, commit: Zxid) {
        if self.stage != Stage::Told {
            return;
        }
        self.stage = Stage::UpToDate;
        core.deliver(commit);
        if core.epochs.amnesiac {
            // The leader serves, so its quorum has everything committed, without us; and so have we now. And it has cured us
            // before it said so.
            core.lives.own.cure(Cure {
                epoch: self.epoch,
                edition: self.cure,
            });
            core.save_lives();
            core.epochs.amnesiac = false;
            core.save_epochs();
            core.when_durable(Then::Cured);
        }
        core.out(Output::Status(self.status()));
    }
}
