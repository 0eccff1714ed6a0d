//! How many more voters may fail: the leader counts those that follow it, and whoever finds no leader knows that it is bad.

use super::gate::{Hold, Sign};
use super::post::Reading;
use crate::zab::{Millis, NodeId};

/// How long an ensemble that starts may take: its servers seldom start at once. What stands then is said, in milliseconds after the server's start.
const START_MS: u64 = 5000;

/// How long looking for a leader is an election in passing, in milliseconds.
const ELECTION_MS: u64 = 3000;

/// The voters, as one of them sees them, or an observer.
#[derive(Debug, Default)]
pub(super) struct Voters {
    /// How many there are.
    pub(super) all: usize,
    /// Those that do not follow this server, if it leads; those that it does not hear, if it finds no leader.
    pub(super) missing: Vec<NodeId>,
    /// How many others it hears.
    pub(super) heard: usize,
    /// Of how many it is certain that nothing comes.
    pub(super) silent: usize,
    /// It serves as their leader.
    pub(super) led: bool,
    /// Those that say that they are without memory, if it finds no leader.
    pub(super) without_memory: Vec<NodeId>,
}

impl Voters {
    pub(super) fn quorum(&self) -> usize {
        self.all / 2 + 1
    }

    /// Whether no leader can be found, as far as this server knows, because too many have forgotten what they acknowledged.
    pub(super) fn are_stuck(&self) -> bool {
        let lost = |id: &&NodeId| !self.missing.contains(*id);
        let able = self.all - self.missing.len();
        let forgetful = self.without_memory.iter().filter(lost).count();
        !self.led && forgetful > 0 && able.saturating_sub(forgetful) < self.quorum()
    }

    /// `ever_led`: this server has served under a leader since it was started, `now` ago.
    pub(super) fn reading(&self, now: Millis, ever_led: bool) -> Option<Reading> {
        let (live, quorum) = (self.all - self.missing.len().min(self.all), self.quorum());
        let design = self.all - quorum;
        if now.0 < START_MS && (self.led || !ever_led) {
            return None;
        }
        let sign = match live {
            _ if !self.led => Sign::Critical,
            live if live < quorum => Sign::Critical,
            live if live == self.all || design == 0 => Sign::Calm,
            live if live == quorum => Sign::Critical,
            _ => Sign::Warning,
        };
        // An election in passing is no news; nobody misses a member that comes back at once.
        let raise_ms = match (self.led, ever_led) {
            (true, _) => 1000,
            // It has lasted for the start already.
            (false, false) => 0,
            // Nobody can be elected.
            (false, true) if self.all - self.silent.min(self.all) < quorum => 0,
            (false, true) => ELECTION_MS,
        };
        let more = match self.led {
            true => live as f64 - quorum as f64,
            false => -1.0,
        };
        let mut evidence = vec![
            ("missing", (self.all - live) as f64),
            ("may_fail", more.max(-1.0)),
            ("made_for", design as f64),
            ("voters", self.all as f64),
            ("heard", self.heard as f64),
            ("leader", f64::from(u8::from(self.led))),
        ];
        let each = |name, ids: &[NodeId]| -> Vec<(&'static str, f64)> {
            ids.iter().map(|id| (name, id.0 as f64)).collect()
        };
        evidence.extend(each("missing_voters", &self.missing));
        evidence.extend(each("without_memory", &self.without_memory));
        Some(Reading {
            sign,
            hold: Hold {
                raise_ms,
                clear_ms: 2000,
            },
            evidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: std::ops::Range<u64>) -> Vec<NodeId> {
        ids.map(NodeId).collect()
    }

    fn led(live: u64, all: u64) -> Voters {
        Voters {
            all: all as usize,
            missing: ids(live + 1..all + 1),
            led: true,
            ..Voters::default()
        }
    }

    #[test]
    fn by_live_voters() {
        let late = Millis(60_000);
        let sign = |voters: Voters| voters.reading(late, true).unwrap().sign;
        assert_eq!(sign(led(5, 5)), Sign::Calm);
        assert_eq!(sign(led(4, 5)), Sign::Warning);
        assert_eq!(sign(led(3, 5)), Sign::Critical);
        assert_eq!(sign(led(2, 3)), Sign::Critical);
        assert_eq!(sign(led(1, 1)), Sign::Calm);
        assert_eq!(sign(led(2, 2)), Sign::Calm);
        let none = Voters {
            led: false,
            ..led(3, 3)
        };
        assert_eq!(sign(none), Sign::Critical);
    }

    #[test]
    fn a_majority_that_is_silent_is_said_at_once_and_an_election_in_passing_is_not() {
        let hold = |silent, ever_led| {
            let voters = Voters {
                silent,
                led: false,
                ..led(3 - silent as u64, 3)
            };
            let reading = voters.reading(Millis(60_000), ever_led);
            reading.unwrap().hold.raise_ms
        };
        assert_eq!((hold(1, true), hold(2, true)), (ELECTION_MS, 0));
    }

    #[test]
    fn a_start_has_its_time() {
        let says = |voters: Voters, at, ever_led| voters.reading(Millis(at), ever_led).is_some();
        let looking = || Voters {
            led: false,
            ..led(2, 3)
        };
        assert!(!says(led(2, 3), START_MS - 1, true) && says(led(2, 3), START_MS, true));
        assert!(!says(looking(), START_MS - 1, false) && says(looking(), START_MS, false));
        assert!(says(looking(), START_MS - 1, true));
    }

    #[test]
    fn those_without_memory_are_in_the_way_if_the_others_are_too_few() {
        let stuck = |missing, without_memory| {
            Voters {
                all: 3,
                missing,
                without_memory,
                ..Voters::default()
            }
            .are_stuck()
        };
        assert!(stuck(vec![], ids(2..4)));
        assert!(stuck(ids(3..4), ids(2..3)));
        assert!(!stuck(vec![], ids(2..3)), "two of three remember");
        assert!(!stuck(ids(2..4), vec![]), "they are away");
    }
}
