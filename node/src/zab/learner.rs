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

/// How many pieces of a snapshot are asked for and not yet written.
const PIECES_UNDER_WAY: u32 = 4;

/// Every so many entries of a synchronisation, the leader is told that it goes on.
const PROGRESS_EVERY: u32 = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The leader wants a cut of what is delivered here: one of the two is wrong, and nothing that is done now mends it. Until patience ends
    /// nothing is answered, or the same would be tried a thousand times a second.
    Contradicted,
    /// The leader has been told that we are here.
    Introduced,
    /// The promise is on its way to the disk.
    Promising,
    /// The leader sends its history.
    Syncing,
    /// The leader has sent it all.
    Told,
    /// The leader serves, and so may we when the layer above has the state with which the history begins. Everything up to here is committed.
    Restoring { commit: Zxid },
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
    /// The number of the next piece of a snapshot to ask for.
    next_fetch: u32,
    /// It is known which snapshot comes, so that several pieces may be under way.
    fetching: bool,
    /// The leader's snapshot, which is on our disk, and what followed it: the history that will replace ours.
    staged: Option<(Stored, Vec<Entry>)>,
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
            next_fetch: 0,
            fetching: false,
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
        if core.is_restoring() {
            // However long that takes, it is no fault of the leader's.
            self.since = core.now;
        }
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
        if self.stage == Stage::Contradicted {
            return match body {
                FromLeader::Resign => Next::Look,
                _ => Next::Stay,
            };
        }
        match body {
            FromLeader::LeaderInfo { epoch } => return self.promise(core, epoch),
            FromLeader::Truncate { zxid } => return self.truncate(core, zxid),
            FromLeader::NeedsSnapshot => return self.needs_snapshot(core),
            FromLeader::Snap(piece) => return self.snap(core, piece),
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
            FromLeader::Commit { zxid } => self.committed(core, zxid),
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
            Then::PieceKept(zxid, number) => {
                let comes = |arrival: &Arrival| arrival.stored.zxid == zxid;
                if self.staged.is_none() && core.arrival.as_ref().is_some_and(comes) {
                    self.fetch_before(core, zxid, number + 1 + PIECES_UNDER_WAY);
                }
            }
            Then::Knows(edition) => self.say(core, ToLeader::Knows { edition }),
        }
    }

    fn truncate(&mut self, core: &mut Core, zxid: Zxid) -> Next {
        if self.stage == Stage::Syncing && zxid < core.delivered {
            self.stage = Stage::Contradicted;
            core.out(Output::Contradicted {
                leader: self.leader,
                zxid,
            });
            return Next::Stay;
        }
        let possible = self.staged.is_none() && core.log.contains(zxid);
        if self.stage != Stage::Syncing || !possible {
            return Next::Look;
        }
        self.progress(core);
        core.truncate(zxid);
        Next::Stay
    }

    /// Goes on with a snapshot that has begun to arrive, if the leader still has that one.
    fn needs_snapshot(&mut self, core: &mut Core) -> Next {
        if self.stage != Stage::Syncing {
            return Next::Look;
        }
        self.progress(core);
        if self.staged.take().is_some() {
            // The leader has no longer what followed it.
            core.arrival = None;
        }
        let begun = core.arrival.as_ref();
        let (zxid, number) = begun.map_or((Zxid::ZERO, 0), |a| (a.stored.zxid, a.pieces));
        (self.next_fetch, self.fetching) = (number, false);
        self.fetch_before(core, zxid, number + 1);
        Next::Stay
    }

    fn fetch_before(&mut self, core: &mut Core, zxid: Zxid, end: u32) {
        while self.next_fetch < end {
            let number = self.next_fetch;
            self.say(core, ToLeader::Fetch { zxid, number });
            self.next_fetch += 1;
        }
    }

    fn snap(&mut self, core: &mut Core, piece: Piece) -> Next {
        if self.stage != Stage::Syncing || self.staged.is_some() {
            return Next::Look;
        }
        self.progress(core);
        let Piece { zxid, number, .. } = piece;
        let ours = core.arrival.as_ref().filter(|a| a.stored.zxid == zxid);
        let have = ours.map_or(0, |a| a.pieces);
        match number.cmp(&have) {
            std::cmp::Ordering::Greater => return Next::Look,
            // Asked for more than once: the leader no longer had what was asked for, and began anew.
            std::cmp::Ordering::Less => return Next::Stay,
            std::cmp::Ordering::Equal => {}
        }
        if piece.bytes.is_empty() {
            let Some(arrival) = ours.cloned() else {
                return Next::Look;
            };
            self.staged = Some((arrival.stored, Vec::new()));
            return Next::Stay;
        }
        if number == 0 {
            let beginning = piece.bytes.clone();
            let stored = Stored { zxid, beginning };
            core.arrival = Some(Arrival { stored, pieces: 0 });
            (self.next_fetch, self.fetching) = (1, false);
        }
        core.arrival.as_mut().expect("it has begun").pieces += 1;
        core.disk(DiskOp::KeepPiece(piece));
        core.when_durable(Then::PieceKept(zxid, number));
        if !std::mem::replace(&mut self.fetching, true) {
            self.fetch_before(core, zxid, number + 1 + PIECES_UNDER_WAY);
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

    fn committed(&mut self, core: &mut Core, zxid: Zxid) {
        match &mut self.stage {
            Stage::UpToDate => drop(core.deliver(zxid)),
            Stage::Restoring { commit } => *commit = zxid.max(*commit),
            _ => {}
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
        self.committed(core, zxid);
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
        if self.staged.is_none() && core.arrival.take().is_some() {
            // Begun under another leader, and needed no more.
            core.disk(DiskOp::ForgetPieces);
        }
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
        self.stage = Stage::Restoring { commit };
        self.restored(core);
    }

    /// The layer above may have the state that was missing.
    pub(super) fn restored(&mut self, core: &mut Core) {
        let Stage::Restoring { commit } = self.stage else {
            return;
        };
        if core.is_restoring() {
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
