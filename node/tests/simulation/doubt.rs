//! States that are not what the history makes: a bit of a replica's memory flips. (The layer above finds that by digests; here the world knows.)

use crate::coverage::Situation;
use crate::world::{Event, World};
use rand::RngExt;

impl World {
    /// A bit of a state flips, or a state that is right is suspected.
    pub(crate) fn corrupt(&mut self, node: usize) -> Result<(), String> {
        let flips = self.rng.random_bool(0.7);
        let bit = self.rng.random_range(0..64u32);
        let Some(running) = self.running(node) else {
            return Ok(());
        };
        if flips {
            running.app.digest ^= 1 << bit;
            self.trace(|| format!("a bit of node {node}'s state flips"));
            return Ok(());
        }
        if !self.differs(node) {
            self.coverage.hit(Situation::DoubtedUnjustly);
        }
        self.suspect(node);
        self.carry_out(node)
    }

    /// Whether its state is another than that of the committed transactions.
    pub(crate) fn differs(&self, node: usize) -> bool {
        self.app(node)
            .is_some_and(|app| app.digest != self.oracle.digest_at(app.count as usize))
    }

    /// The state is compared: a difference is found, sooner or later.
    pub(crate) fn compare(&mut self, node: usize, surely: bool) {
        #[cfg(feature = "bugs")]
        if self.config.bug == Some(keelhaul_node::zab::Bug::Divergence) {
            return;
        }
        if self.differs(node) && (surely || self.rng.random_bool(0.3)) {
            self.coverage.hit(Situation::StateDiffers);
            self.suspect(node);
        }
    }

    fn suspect(&mut self, node: usize) {
        let (now, life) = (self.clock(node), self.life(node));
        let delay = self.rng.random_range(1..200_000);
        self.later(delay, Event::Settle { node, life });
        let Some(running) = self.running(node) else {
            return;
        };
        running.doubted = true;
        running.replica.doubt(now);
        self.trace(|| format!("node {node} doubts its state"));
    }

    /// It is decided whether a state is right. One that is may be taken for wrong all the same.
    pub(crate) fn settle(&mut self, node: usize) -> Result<(), String> {
        let (now, right) = (self.clock(node), !self.differs(node));
        let trust = right && self.rng.random_bool(0.5);
        let Some(running) = self.running(node) else {
            return Ok(());
        };
        if trust {
            running.doubted = false;
            running.replica.trust(now);
        } else if running.doubted {
            running.replica.renounce(now);
            let life = self.life(node);
            self.later(1_000_000, Event::Rebuild { node, life });
        }
        self.carry_out(node)
    }

    /// No leader has given it a state: perhaps none can be had without it. What it has on disk makes a new one.
    pub(crate) fn rebuild(&mut self, node: usize) -> Result<(), String> {
        if !self.running(node).is_some_and(|running| running.doubted) {
            return Ok(());
        }
        self.coverage.hit(Situation::StateRebuilt);
        self.crash(node);
        self.start(node)
    }
}
