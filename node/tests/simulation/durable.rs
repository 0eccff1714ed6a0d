//! What a node's disk is known to hold, told from the operations that were reported done.

use keelhaul_node::zab::{DiskOp, Epochs, FromLeader, Lives, Message, Recovered, ToLeader, Zxid};

/// One node's disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable {
    pub(crate) epochs: Epochs,
    /// What is known of lives.
    pub(crate) lives: Lives,
    /// The snapshot's zxid: everything committed up to it is held.
    snapshot: Zxid,
    /// The log after the snapshot.
    log: Vec<Zxid>,
}

impl Durable {
    pub(crate) fn of(recovered: &Recovered) -> Durable {
        Durable {
            epochs: recovered.epochs,
            lives: recovered.lives.clone(),
            snapshot: recovered.snapshot.as_ref().map_or(Zxid::ZERO, |s| s.zxid),
            log: recovered.entries.iter().map(|e| e.zxid).collect(),
        }
    }

    /// The operation was done.
    pub(crate) fn apply(&mut self, operation: &DiskOp) {
        match operation {
            DiskOp::Append(entry) => self.log.push(entry.zxid),
            DiskOp::Truncate(zxid) => self.log.retain(|z| z <= zxid),
            DiskOp::SaveEpochs(epochs) => self.epochs = *epochs,
            DiskOp::SaveLives(lives) => self.lives = lives.clone(),
            DiskOp::InstallHistory {
                zxid,
                entries,
                epochs,
                ..
            } => {
                self.snapshot = *zxid;
                self.log = entries.iter().map(|e| e.zxid).collect();
                self.epochs = *epochs;
            }
            // What a snapshot holds was in the log before.
            DiskOp::SaveSnapshot(_)
            | DiskOp::KeepPiece(_)
            | DiskOp::ForgetPieces
            | DiskOp::ReadLog { .. }
            | DiskOp::ReadPiece { .. } => {}
        }
    }

    pub(crate) fn has(&self, zxid: Zxid) -> bool {
        zxid <= self.snapshot || self.log.binary_search(&zxid).is_ok()
    }

    fn last(&self) -> Zxid {
        self.log.last().copied().unwrap_or(self.snapshot)
    }

    /// Nothing may be said before it is true of the disk. `epochs`: what the replica holds to be its promises.
    pub(crate) fn bears_out(&self, epochs: Epochs, message: &Message) -> bool {
        match message {
            Message::ToLeader { body, .. } => match body {
                ToLeader::AckEpoch { last, .. } => {
                    self.epochs.accepted == epochs.accepted && self.last() == *last
                }
                ToLeader::AckNewLeader => self.epochs.current == epochs.current,
                ToLeader::Ack { zxid } => self.has(*zxid),
                ToLeader::Cured => !self.epochs.amnesiac,
                ToLeader::FollowerInfo { lives, .. } => {
                    self.lives.own.present().mark == lives.own.present().mark
                }
                _ => true,
            },
            Message::FromLeader { body, .. } => match body {
                FromLeader::LeaderInfo { epoch } => self.epochs.accepted >= *epoch,
                FromLeader::UpToDate { .. } => self.epochs.current == epochs.current,
                _ => true,
            },
            _ => true,
        }
    }
}
