//! The replica.

use super::types::*;
use bytes::Bytes;

/// One replica of the ensemble.
#[derive(Debug)]
pub struct Replica {
    outputs: Vec<Output>,
}

impl Replica {
    /// A replica that starts with what it found on its disk. The layer above must already hold
    /// `recovered.snapshot`'s state.
    pub fn new(_config: Config, _recovered: Recovered, _now: Millis) -> Replica {
        Replica { outputs: Vec::new() }
    }

    /// Takes one input; what is to be done stands in [`Replica::outputs`] afterwards.
    pub fn step(&mut self, _now: Millis, _input: Input) {}

    /// Takes what is to be done since the last call, in order.
    pub fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Proposes a transaction and returns its zxid; `None` unless this replica leads ([`Status::leads`]).
    pub fn propose(&mut self, _now: Millis, _txn: Bytes) -> Option<Zxid> {
        None
    }

    /// Asks a majority whether this replica still leads; answered by [`Output::Confirmed`], or never if it does not.
    /// Does nothing unless this replica leads.
    pub fn confirm(&mut self, _now: Millis, _token: u64) {}

    /// Sends a message of the layer above: to the leader if this replica follows, to that follower if it leads.
    /// Dropped when there is no such conversation.
    pub fn send_app(&mut self, _to: NodeId, _payload: Bytes) {}

    /// What this replica is doing.
    pub fn status(&self) -> Status {
        Status::Looking
    }

    /// The last zxid given to the layer above.
    pub fn delivered(&self) -> Zxid {
        Zxid::ZERO
    }

    /// The last zxid in the log, committed or not.
    pub fn last_logged(&self) -> Zxid {
        Zxid::ZERO
    }
}
