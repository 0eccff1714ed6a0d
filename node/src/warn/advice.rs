//! What may be done about what was seen. Each of these is safe at any time; whether it helps is what is weighed here.

use super::Lookout;
use crate::zab::NodeId;

/// What this server should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whether it may lead. Not while its own disk does not answer, if a majority of others has disks that do.
    pub fit: bool,
    /// Look for another leader than this one: a majority is certain that nothing comes from it.
    pub abandon: Option<NodeId>,
}

/// Too many have forgotten what they acknowledged: no leader can be found unless others come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// How many voters there are.
    pub voters: usize,
    /// Those that are without memory.
    pub without_memory: Vec<NodeId>,
    /// Those that are not heard.
    pub not_heard: Vec<NodeId>,
}

impl Lookout {
    /// What to do now.
    pub fn advice(&self) -> Advice {
        Advice {
            fit: !self.disk.is_stuck(self.awake) || !self.others_can(),
            abandon: self.standing.leader.filter(|leader| self.is_lost(*leader)),
        }
    }

    /// Whether a majority without this server is near and has disks that answer.
    fn others_can(&self) -> bool {
        let now = self.awake;
        let able = self.peers_that(|peer| peer.is_voter() && peer.is_near(now) && peer.fit);
        able.count() >= self.quorum()
    }

    /// Whether a majority of voters, and this server, is certain that nothing comes from the leader.
    fn is_lost(&self, leader: NodeId) -> bool {
        let now = self.awake;
        if !self.certain.contains(&leader) {
            return false;
        }
        let agree = self.peers_that(|peer| {
            peer.is_voter() && peer.is_near(now) && peer.certain.contains(&leader)
        });
        agree.count() + usize::from(self.voter) >= self.quorum()
    }
}
