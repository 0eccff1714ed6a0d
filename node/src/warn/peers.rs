//! What is known of each other member: whether it is heard, whether it hears, how its acknowledgements come, its clock.

use super::accrual::Accrual;
use super::clock::Filter;
use super::gate::{Hold, Sign};
use super::observation::{Beat, Echo, Standing, Wall};
use super::pending::Pending;
use super::post::Reading;
use super::window::Peaks;
use crate::zab::{Millis, NodeId, Zxid};

/// φ from which silence is suspicious.
const SUSPICIOUS: f64 = 8.0;

/// φ from which it is certain.
const CERTAIN: f64 = 16.0;

/// Silence after which a member does not come back by itself, in milliseconds.
const LONG_MS: u64 = 5000;

/// How long a member may take to appear for the first time, in milliseconds.
const FIRST_MS: u64 = 15_000;

/// Acknowledgements that come within this are never late, in milliseconds.
const ACK_FLOOR_MS: f64 = 1000.0;

/// Acknowledgements that take this long are always late, in milliseconds.
const ACK_CEILING_MS: f64 = 4000.0;

#[derive(Debug)]
pub(super) struct Peer {
    voter: bool,
    beats: Accrual,
    since: Millis,
    /// It counts this server among the members, and so owes it beats. A member that is joining is greeted, and gets none yet.
    met: bool,
    connected: bool,
    /// Since when it says that it does not hear us.
    deaf_since: Option<Millis>,
    pub(super) fit: bool,
    pub(super) standing: Standing,
    pub(super) certain: Vec<NodeId>,
    echo: Option<Echo>,
    pub(super) clock: Filter,
    acks: Pending,
    /// How far it usually is behind, in milliseconds.
    pub(super) usual_lag: Peaks,
}

impl Peer {
    pub(super) fn new(now: Millis, beat_ms: u64, voter: bool) -> Peer {
        Peer {
            voter,
            beats: Accrual::new(now, beat_ms),
            since: now,
            met: false,
            connected: false,
            deaf_since: None,
            fit: true,
            standing: Standing::default(),
            certain: Vec::new(),
            echo: None,
            clock: Filter::default(),
            acks: Pending::default(),
            usual_lag: Peaks::new(100),
        }
    }

    pub(super) fn is_voter(&self) -> bool {
        self.voter
    }

    pub(super) fn set_voter(&mut self, voter: bool) {
        self.voter = voter;
    }

    /// It has answered a greeting. `knows_us`: it is certain that this server is one of its members.
    pub(super) fn up(&mut self, now: Millis, knows_us: bool) {
        self.connected = true;
        self.met |= knows_us;
        self.deaf_since = None;
        self.beats.restart(now);
    }

    /// It may have forgotten this server, or not have met it yet: what was heard of it up to now tells nothing of its silence.
    pub(super) fn estrange(&mut self, now: Millis) {
        (self.met, self.since, self.deaf_since) = (false, now, None);
        self.certain.clear();
    }

    pub(super) fn down(&mut self) {
        self.connected = false;
        self.acks.forget();
        self.certain.clear();
        self.echo = None;
    }

    pub(super) fn beat(&mut self, now: Millis, beat: Beat, received: Wall) {
        self.beats.arrived(now, beat.paused_ms);
        self.met = true;
        if let Some(echo) = beat.echo {
            self.clock.add(now, echo, beat.sent, received);
        }
        self.echo = Some(Echo {
            sent: beat.sent,
            received,
        });
        self.deaf_since = (!beat.hears_you).then(|| self.deaf_since.unwrap_or(now));
        (self.fit, self.standing, self.certain) = (beat.fit, beat.standing, beat.certain);
    }

    /// The last beat, to be sent back; once, so that it is never old.
    pub(super) fn take_echo(&mut self) -> Option<Echo> {
        self.echo.take()
    }

    pub(super) fn proposed(&mut self, zxid: Zxid, now: Millis) {
        self.acks.asked(zxid.0, now);
    }

    pub(super) fn acked(&mut self, zxid: Zxid, now: Millis) {
        self.acks.answered(zxid.0, now, ACK_FLOOR_MS);
    }

    /// This server leads no longer, or its leadership is another one.
    pub(super) fn forget_acks(&mut self) {
        self.acks.forget();
    }

    /// Whether it is heard, as far as anybody can tell.
    pub(super) fn is_heard(&self, now: Millis) -> bool {
        self.met && self.beats.phi(now) < SUSPICIOUS
    }

    /// What to tell it about that: who was never heard may just have come.
    pub(super) fn is_missed(&self, now: Millis) -> bool {
        self.met && !self.is_heard(now)
    }

    /// Whether it is certain that nothing comes from it.
    pub(super) fn is_certainly_silent(&self, now: Millis) -> bool {
        self.met && self.beats.phi(now) >= CERTAIN
    }

    /// Whether both hear each other.
    pub(super) fn is_near(&self, now: Millis) -> bool {
        self.is_heard(now) && self.deaf_since.is_none()
    }

    pub(super) fn silence(&self, now: Millis) -> Reading {
        let (phi, silent_ms) = (self.beats.phi(now), self.beats.silence_ms(now));
        let may_be_new = self.connected || now.since(self.since) < FIRST_MS;
        let sign = if !self.met && may_be_new {
            Sign::Calm
        } else if phi >= SUSPICIOUS && silent_ms >= LONG_MS {
            Sign::Critical
        } else if phi >= SUSPICIOUS {
            Sign::Warning
        } else {
            Sign::Calm
        };
        Reading {
            sign,
            hold: Hold {
                raise_ms: 0,
                clear_ms: 2000,
            },
            evidence: vec![
                ("silent_ms", silent_ms as f64),
                ("phi", phi.min(1000.0)),
                ("connected", f64::from(u8::from(self.connected))),
            ],
        }
    }

    pub(super) fn deafness(&self, now: Millis) -> Reading {
        let sign = match self.deaf_since {
            _ if !self.is_heard(now) => Sign::Between,
            None => Sign::Calm,
            Some(_) => Sign::Warning,
        };
        let deaf_ms = self.deaf_since.map_or(0, |since| now.since(since));
        Reading {
            sign,
            hold: Hold {
                // What it said while we did not run is still on its way.
                raise_ms: 300,
                clear_ms: 2000,
            },
            evidence: vec![
                ("deaf_ms", deaf_ms as f64),
                ("heard_ms_ago", self.beats.silence_ms(now) as f64),
            ],
        }
    }

    pub(super) fn acks(&self, now: Millis) -> Reading {
        let (age, usual) = (self.acks.age_ms(now), self.acks.usual());
        let limit = usual.limit(4.0, (ACK_FLOOR_MS, ACK_CEILING_MS));
        Reading {
            sign: Sign::of(age, limit, 5.0 * limit),
            hold: Hold {
                raise_ms: 0,
                clear_ms: 5000,
            },
            evidence: vec![
                ("waiting_ms", age),
                ("limit_ms", limit),
                ("usual_mean_ms", usual.mean()),
                ("usual_largest_ms", usual.largest()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_know_this_server_and_sends_no_beats_is_not_silent_until_the_connection_breaks() {
        let mut peer = Peer::new(Millis(0), 100, true);
        peer.up(Millis(10), false);
        let later = Millis(FIRST_MS + 60_000);
        assert_eq!(
            peer.silence(later).sign,
            Sign::Calm,
            "this server may not be a member yet"
        );
        assert!(!peer.is_certainly_silent(later) && !peer.is_missed(later));
        peer.down();
        assert_eq!(peer.silence(later).sign, Sign::Critical);
        assert_eq!(peer.silence(Millis(FIRST_MS - 1)).sign, Sign::Calm);
        let mut peer = Peer::new(Millis(0), 100, true);
        peer.up(Millis(10), true);
        assert_ne!(
            peer.silence(Millis(2000)).sign,
            Sign::Calm,
            "it owes beats from the first moment on"
        );
    }
}
