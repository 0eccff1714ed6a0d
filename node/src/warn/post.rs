//! One alert's place: the gate, and the alert while it stands.

use super::alert::{Alert, Change, Event, Evidence, Subject};
use super::gate::{Gate, Hold, Sign, Step};
use super::observation::Moment;
use crate::zab::Millis;

/// An alert is announced again when its decisive number has grown so many times, or it has come to mean something else.
const GROWN: f64 = 4.0;

/// And not sooner than this, in milliseconds.
const QUIET_MS: u64 = 1000;

/// What a detector says of one member.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) sign: Sign,
    pub(super) hold: Hold,
    pub(super) evidence: Vec<(&'static str, f64)>,
}

#[derive(Debug, Default)]
pub(super) struct Post {
    gate: Gate,
    pub(super) alert: Option<Alert>,
    /// The decisive number when it was last announced.
    announced: f64,
    announced_at: Millis,
    /// What it meant then.
    meant: &'static str,
    /// Since when it has meant something else.
    meant_since: Option<Millis>,
}

impl Post {
    /// `awake` is the time that counts for the gate.
    pub(super) fn judge(
        &mut self,
        awake: Millis,
        moment: Moment,
        subject: Subject,
        reading: Reading,
    ) -> Option<Change> {
        let evidence = || -> Evidence {
            let named = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
            reading.evidence.iter().map(named).collect()
        };
        let decisive = reading.evidence.first().map_or(0.0, |(_, value)| *value);
        let step = self.gate.judge(awake, reading.sign, reading.hold);
        if let Step::Raise(severity) = step {
            self.alert = Some(Alert {
                subject,
                severity,
                raised_ms: moment.wall.millis(),
                updated_ms: 0,
                cleared_ms: None,
                evidence: Evidence::new(),
            });
        }
        let alert = self.alert.as_mut()?;
        alert.updated_ms = moment.wall.millis();
        // The numbers of the worst moment say more than those of the recovery.
        if reading.sign >= Sign::Warning {
            alert.evidence = evidence();
        }
        let grown = reading.sign >= Sign::Warning
            && decisive >= GROWN * self.announced
            && awake.since(self.announced_at) >= QUIET_MS;
        self.meant_since = match alert.meaning() == self.meant {
            true => None,
            false => self.meant_since.or(Some(awake)),
        };
        // As long as it would take to be raised.
        let lasted = |since| awake.since(since) >= reading.hold.raise_ms;
        let turned = reading.sign >= Sign::Warning && self.meant_since.is_some_and(lasted);
        let event = match step {
            Step::Raise(_) => Event::Raised,
            Step::Turn(severity) => {
                alert.severity = severity;
                Event::Updated
            }
            Step::Clear => return self.over(moment),
            Step::Stay if grown || turned => Event::Updated,
            Step::Stay => return None,
        };
        self.announced = decisive.max(f64::MIN_POSITIVE);
        (self.meant, self.meant_since) = (alert.meaning(), None);
        self.announced_at = awake;
        Some(Change {
            event,
            alert: alert.clone(),
        })
    }

    /// Nobody asks any more: it does not stand either.
    pub(super) fn dismiss(&mut self, awake: Millis, moment: Moment) -> Option<Change> {
        self.gate.reset(awake);
        self.over(moment)
    }

    fn over(&mut self, moment: Moment) -> Option<Change> {
        let mut alert = self.alert.take()?;
        alert.cleared_ms = Some(moment.wall.millis());
        Some(Change {
            event: Event::Cleared,
            alert,
        })
    }
}
