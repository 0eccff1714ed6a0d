//! The lookout at the edge: what it is told, and what comes of what it says: a line in the log, the word `warn`, beats to the
//! peers, and acting where it may.

use super::NodeError;
use super::engine::Engine;
use super::event::ConnectionId;
use crate::config::NodeConfig;
use crate::warn::{
    Alert, Beat, Change, Event, Kind, Lookout, Moment, Observation, Options, Severity, Standing,
    Stuck, Wall,
};
use crate::zab::{Epoch, Millis, NodeId, Status};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// Between two looks at the clients' requests, in milliseconds.
const COUNT_MS: u64 = 500;

/// The wall clock. Only for what alerts tell, and for comparing clocks.
pub(super) fn wall_clock() -> Wall {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Wall(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// A lookout that knows the members.
pub(super) fn begin(config: &NodeConfig, now: Millis) -> Lookout {
    let options = Options {
        id: config.id,
        beat_ms: config.warn.beat_ms,
        lease_ms: config.timing.sync_limit_ms,
    };
    let members = config.zab_members();
    let mut lookout = Lookout::new(options, now);
    lookout.observe(Observation::Members {
        voters: members.voters.into_iter().collect(),
        observers: members.observers.into_iter().collect(),
    });
    lookout
}

impl Engine {
    /// The loop turns, and nothing of what has come is looked at yet: a leader that did not run for longer than its followers wait
    /// answers nobody any more.
    pub(super) fn wake(&mut self) {
        let overslept = self.lookout.turn(self.now);
        let leads = matches!(self.status, Status::Leading { .. });
        // Alone it has nobody who could have gone on without it.
        if overslept && self.config.warn.act && leads && !self.is_alone() {
            tracing::warn!("did not run for longer than the followers wait: resigning");
            self.replica.resign(self.now);
        }
    }

    pub(super) fn peer_beat(
        &mut self,
        from: NodeId,
        id: ConnectionId,
        beat: Box<Beat>,
        received: Wall,
    ) -> Result<(), NodeError> {
        if self.peers.get(&from).is_some_and(|link| link.id == id) {
            let standing = beat.standing;
            self.lookout.observe(Observation::Beat {
                from,
                beat,
                received,
            });
            self.compare_state(from, &standing)?;
        }
        Ok(())
    }

    /// At the end of each turn: tells the lookout how things stand, says what it says, and does what it advises.
    pub(super) fn look_out(&mut self) {
        if self.now >= self.next_count {
            self.next_count = Millis(self.now.0 + COUNT_MS);
            let oldest_ms = self.clients.oldest(self.at) / 1000;
            self.lookout.observe(Observation::Requests {
                outstanding: self.clients.outstanding(),
                oldest_ms,
            });
        }
        self.lookout.observe(Observation::Standing(self.standing()));
        let forgetful = self.replica.epochs().amnesiac;
        self.lookout.observe(Observation::Forgetful(forgetful));
        let moment = Moment {
            now: self.now,
            wall: wall_clock(),
        };
        for change in self.lookout.judge(moment) {
            announce(&change);
            // Perhaps nobody listens.
            let _ = self.alert_lines.send(change.json().to_string().into());
        }
        if let Some(stuck) = self.lookout.news_of_stuck() {
            say_why_no_leader_is_found(stuck);
        }
        if self.config.warn.act {
            self.act();
        }
        if self.now >= self.next_beat || self.lookout.has_news() {
            self.next_beat = Millis(self.now.0 + self.config.warn.beat_ms);
            for (peer, beat) in self.lookout.beats(moment) {
                if let Some(link) = self.peers.get_mut(&peer) {
                    link.push_beat(&beat);
                }
            }
        }
    }

    fn act(&mut self) {
        let advice = self.lookout.advice();
        if !advice.fit && matches!(self.status, Status::Leading { .. }) {
            tracing::warn!(
                "the disk does not answer, and those of a majority of others do: resigning"
            );
        }
        self.replica.set_fit(self.now, advice.fit);
        if let Some(leader) = advice.abandon {
            tracing::warn!(
                leader = leader.0,
                "a majority is certain that nothing comes from the leader: looking for another"
            );
            self.replica.abandon(self.now, leader);
        }
    }

    fn standing(&self) -> Standing {
        let (leader, epoch) = match self.status {
            Status::Looking => (None, Epoch(0)),
            Status::Following { leader, epoch, .. } => (Some(leader), epoch),
            Status::Leading { epoch, .. } => (Some(self.config.id), epoch),
        };
        Standing {
            leader,
            epoch,
            serving: self.status.serving(),
            delivered: self.tree.zxid(),
            state: self.told_state(),
        }
    }

    /// The answer to the word `warn`: all that this server knows of, a line for each fact, whoever says it.
    pub(super) fn warn(&self) -> String {
        let facts = facts(self.lookout.alerts());
        match facts.is_empty() {
            true => "no alerts\n".into(),
            false => facts.iter().map(|said| line(said) + "\n").collect(),
        }
    }
}

/// Alerts by the fact that they tell: the kind, and whom it is about, unless it is about all.
fn facts(alerts: Vec<Alert>) -> Vec<Vec<Alert>> {
    let mut facts: BTreeMap<(Kind, Option<NodeId>), Vec<Alert>> = BTreeMap::new();
    for alert in alerts {
        let kind = alert.subject.kind;
        let about = (!kind.is_of_all()).then_some(alert.subject.about);
        facts.entry((kind, about)).or_default().push(alert);
    }
    facts.into_values().collect()
}

/// Ids, each once, in order.
fn ids(ids: impl Iterator<Item = NodeId>) -> String {
    let ids: BTreeSet<NodeId> = ids.collect();
    let ids: Vec<String> = ids.iter().map(NodeId::to_string).collect();
    ids.join(",")
}

/// Those for whom it stands; or else who saw its end last, and who saw it meanwhile: what was over before was another incident.
fn last_incident(said: &[Alert]) -> Vec<&Alert> {
    if said.iter().any(|alert| alert.cleared_ms.is_none()) {
        return said
            .iter()
            .filter(|alert| alert.cleared_ms.is_none())
            .collect();
    }
    let mut latest_first: Vec<&Alert> = said.iter().collect();
    latest_first.sort_by_key(|alert| Reverse(alert.cleared_ms));
    let mut began = None;
    let meanwhile = |alert: &&Alert| {
        let is = began.is_none_or(|began| alert.cleared_ms >= Some(began));
        began = Some(began.map_or(alert.raised_ms, |began| alert.raised_ms.min(began)));
        is
    };
    latest_first.into_iter().take_while(meanwhile).collect()
}

/// A fact, by those who say it.
fn line(said: &[Alert]) -> String {
    let said = last_incident(said);
    let said = said.iter().copied();
    let first = said.clone().min_by_key(|alert| alert.raised_ms);
    let worst = said
        .clone()
        .max_by_key(|alert| (alert.severity, Reverse(alert.raised_ms)));
    let (first, worst) = first.zip(worst).expect("somebody says it");
    let about = ids(said.clone().map(|alert| alert.subject.about));
    let by = ids(said.clone().map(|alert| alert.subject.by));
    let state = match said.filter_map(|alert| alert.cleared_ms).max() {
        Some(cleared_ms) => format!("cleared_ms={cleared_ms}"),
        None => "stands".into(),
    };
    format!(
        "{} {} about={about} by={by} raised_ms={} {state} {} ({})",
        worst.severity.word(),
        worst.subject.kind.name(),
        first.raised_ms,
        worst.numbers(),
        worst.meaning(),
    )
}

/// One line in the log, with what can be done.
fn say_why_no_leader_is_found(stuck: Stuck) {
    let (voters, count) = (stuck.voters, stuck.without_memory.len());
    let all_new = match count == voters {
        true => ". A new ensemble is made by `keelhaul-node format` on each",
        false => "",
    };
    tracing::warn!(
        without_memory = ids(stuck.without_memory.into_iter()),
        not_heard = ids(stuck.not_heard.into_iter()),
        "no leader can be found: {count} of {voters} voters are without memory, and wait for a leader whose quorum has none of them; if the \
         others cannot come back, see `keelhaul-node recover`{all_new}"
    );
}

/// One line in the log.
fn announce(change: &Change) {
    let (alert, subject) = (&change.alert, change.alert.subject);
    let (kind, about, numbers) = (subject.kind.name(), subject.about.0, alert.numbers());
    let (event, severity, id) = (change.event.word(), alert.severity.word(), alert.id());
    let meaning = alert.meaning();
    match (change.event, alert.severity) {
        (Event::Cleared, _) => tracing::info!(
            event,
            severity,
            kind,
            about,
            numbers,
            id,
            "alert: {meaning}"
        ),
        (_, Severity::Warning) => tracing::warn!(
            event,
            severity,
            kind,
            about,
            numbers,
            id,
            "alert: {meaning}"
        ),
        (_, Severity::Critical) => tracing::error!(
            event,
            severity,
            kind,
            about,
            numbers,
            id,
            "alert: {meaning}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warn::Subject;

    fn alert(by: u64, severity: Severity, raised_ms: i64, cleared_ms: Option<i64>) -> Alert {
        Alert {
            subject: Subject {
                kind: Kind::PeerSilent,
                about: NodeId(2),
                by: NodeId(by),
            },
            severity,
            raised_ms,
            updated_ms: raised_ms,
            cleared_ms,
            evidence: vec![("silent_ms".into(), raised_ms as f64)],
        }
    }

    #[test]
    fn what_is_about_all_is_one_fact_whoever_says_it() {
        let say = |kind, about, by| Alert {
            subject: Subject {
                kind,
                about: NodeId(about),
                by: NodeId(by),
            },
            ..alert(by, Severity::Critical, 7, None)
        };
        let said = vec![
            say(Kind::LeaderFlapping, 2, 2),
            say(Kind::PeerSilent, 3, 1),
            say(Kind::LeaderFlapping, 1, 1),
            say(Kind::PeerSilent, 2, 1),
        ];
        let lines: Vec<String> = facts(said).iter().map(|said| line(said)).collect();
        let beginnings = [
            "critical peer-silent about=2 by=1 ",
            "critical peer-silent about=3 by=1 ",
            "critical leader-flapping about=1,2 by=1,2 ",
        ];
        assert_eq!(lines.len(), beginnings.len());
        for (line, beginning) in lines.iter().zip(beginnings) {
            assert!(line.starts_with(beginning), "{line}");
        }
    }

    #[test]
    fn a_fact_is_one_line_whoever_says_it() {
        use Severity::{Critical, Warning};
        let said = [
            alert(3, Critical, 20, None),
            alert(1, Warning, 10, None),
            alert(4, Critical, 5, Some(6)),
        ];
        assert_eq!(
            line(&said),
            "critical peer-silent about=2 by=1,3 raised_ms=10 stands silent_ms=20 (nothing comes from it)"
        );
        let over = [
            alert(3, Warning, 20, Some(40)),
            alert(1, Warning, 10, Some(30)),
        ];
        assert_eq!(
            line(&over),
            "warning peer-silent about=2 by=1,3 raised_ms=10 cleared_ms=40 silent_ms=10 (nothing comes from it)"
        );
        let twice = [
            alert(4, Critical, 1, Some(9)),
            alert(1, Warning, 10, Some(30)),
            alert(3, Warning, 30, Some(40)),
        ];
        assert_eq!(
            line(&twice),
            "warning peer-silent about=2 by=1,3 raised_ms=10 cleared_ms=40 silent_ms=10 (nothing comes from it)",
            "the first was over before"
        );
    }
}
