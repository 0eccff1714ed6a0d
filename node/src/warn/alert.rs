//! An alert as data: what goes wrong, with whom, who says so, since when, and the numbers that show it.

use crate::zab::NodeId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Somebody should look at it.
    Warning,
    /// Service, or what protects it, is failing now.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing comes from a member.
    PeerSilent,
    /// A member does not hear the one that says so, which hears it: the link is cut one way.
    PeerDeaf,
    /// A follower does not acknowledge what the leader proposes.
    AcksLate,
    /// The disk does not answer.
    DiskStalled,
    /// A member is behind the leader.
    ReplicaLag,
    /// Clients wait for their answers.
    RequestsWaiting,
    /// The disk is full, or soon will be.
    DiskSpace,
    /// The server did not run: it was paused, or had no processor.
    LoopStalled,
    /// A clock differs from the others.
    ClockOffset,
    /// Many sessions expire at once.
    SessionsExpiring,
    /// The leader changes again and again.
    LeaderFlapping,
    /// Fewer members may fail than the ensemble is made for.
    QuorumMargin,
    /// A server's state is not what the others have after the same transactions.
    Divergence,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 13] = [
        Kind::PeerSilent,
        Kind::PeerDeaf,
        Kind::AcksLate,
        Kind::DiskStalled,
        Kind::ReplicaLag,
        Kind::RequestsWaiting,
        Kind::DiskSpace,
        Kind::LoopStalled,
        Kind::ClockOffset,
        Kind::SessionsExpiring,
        Kind::LeaderFlapping,
        Kind::QuorumMargin,
        Kind::Divergence,
    ];

    /// Its name, in paths, logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::PeerSilent => "peer-silent",
            Kind::PeerDeaf => "peer-deaf",
            Kind::AcksLate => "acks-late",
            Kind::DiskStalled => "disk-stalled",
            Kind::ReplicaLag => "replica-lag",
            Kind::RequestsWaiting => "requests-waiting",
            Kind::DiskSpace => "disk-space",
            Kind::LoopStalled => "loop-stalled",
            Kind::ClockOffset => "clock-offset",
            Kind::SessionsExpiring => "sessions-expiring",
            Kind::LeaderFlapping => "leader-flapping",
            Kind::QuorumMargin => "quorum-margin",
            Kind::Divergence => "divergence",
        }
    }

    /// Whether it is about the ensemble: whoever says it, and says it about itself, means the same.
    pub fn is_of_all(self) -> bool {
        matches!(self, Kind::LeaderFlapping | Kind::QuorumMargin)
    }

    /// What it means, in a few words.
    fn meaning(self) -> &'static str {
        match self {
            Kind::PeerSilent => "nothing comes from it",
            Kind::PeerDeaf => "it is heard, and does not hear",
            Kind::AcksLate => "it does not acknowledge proposals",
            Kind::DiskStalled => "its disk does not answer",
            Kind::ReplicaLag => "it is behind the leader",
            Kind::RequestsWaiting => "its clients wait for answers",
            Kind::DiskSpace => "its disk is full, or soon will be",
            Kind::LoopStalled => "it did not run, or not often enough",
            Kind::ClockOffset => "its clock differs from the others'",
            Kind::SessionsExpiring => "many sessions expire at once",
            Kind::LeaderFlapping => "the leader changes again and again",
            Kind::QuorumMargin => "fewer members may fail than the ensemble is made for",
            Kind::Divergence => "its state is not what the others have",
        }
    }
}

/// Numbers of which there may be several by one name: ids of members.
const LISTS: [&str; 2] = ["missing_voters", "without_memory"];

/// Names an alert among all that stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// What goes wrong.
    pub kind: Kind,
    /// With which member.
    pub about: NodeId,
    /// Which member says so.
    pub by: NodeId,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-by-{}", self.kind.name(), self.about, self.by)
    }
}

/// The numbers that show it, with their names (units in the names), the one that decides first.
pub type Evidence = Vec<(String, f64)>;

/// One alert. All times are milliseconds since 1970, by the clock of the member that says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What, with whom, and who says it.
    pub subject: Subject,
    /// How bad it is.
    pub severity: Severity,
    /// Since when it stands.
    pub raised_ms: i64,
    /// When its numbers were taken.
    pub updated_ms: i64,
    /// Since when it no longer stands.
    pub cleared_ms: Option<i64>,
    /// Its numbers.
    pub evidence: Evidence,
}

impl Alert {
    /// Its name, never given to another: subject and time.
    pub fn id(&self) -> String {
        format!("{}-{}", self.subject, self.raised_ms)
    }

    /// What it means, in a few words.
    pub fn meaning(&self) -> &'static str {
        let has_leader = || self.values("leader").next() != Some(0.0);
        match self.subject.kind {
            Kind::QuorumMargin if !has_leader() => "no leader is found: there is no service",
            kind => kind.meaning(),
        }
    }

    /// Whether it tells that its speaker is without memory.
    pub(super) fn is_without_memory(&self) -> bool {
        let by = self.subject.by.0 as f64;
        self.subject.kind == Kind::QuorumMargin && self.values("without_memory").any(|id| id == by)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = f64> {
        let of = self.evidence.iter().filter(move |(other, _)| other == name);
        of.map(|(_, value)| rounded(*value))
    }

    /// The names of its numbers, each once.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.evidence {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// Its numbers in one line.
    pub fn numbers(&self) -> String {
        let number = |name: &str| {
            let values: Vec<String> = self.values(name).map(|value| value.to_string()).collect();
            format!("{name}={}", values.join(","))
        };
        let each = self.names().into_iter().map(number);
        each.collect::<Vec<_>>().join(" ")
    }

    /// It as JSON.
    pub fn json(&self) -> serde_json::Value {
        let value = |name: &str| -> serde_json::Value {
            match LISTS.contains(&name) {
                true => self.values(name).map(|id| id as u64).collect(),
                false => self.values(name).next().into(),
            }
        };
        let names = self.names().into_iter();
        let evidence: serde_json::Map<_, _> =
            names.map(|name| (name.to_owned(), value(name))).collect();
        serde_json::json!({
            "id": self.id(),
            "kind": self.subject.kind.name(),
            "severity": self.severity.word(),
            "about": self.subject.about.0,
            "by": self.subject.by.0,
            "meaning": self.meaning(),
            "raised_ms": self.raised_ms,
            "updated_ms": self.updated_ms,
            "cleared_ms": self.cleared_ms,
            "evidence": evidence,
        })
    }
}

/// Two places are enough for every number here.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It stands, and did not before.
    Raised,
    /// Its severity changed, or its decisive number grew fourfold.
    Updated,
    /// It no longer stands.
    Cleared,
}

impl Event {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Event::Raised => "raised",
            Event::Updated => "updated",
            Event::Cleared => "cleared",
        }
    }
}

/// An alert that has changed, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What became of it.
    pub event: Event,
    /// It.
    pub alert: Alert,
}

impl Change {
    /// It as JSON: the alert, with what became of it.
    pub fn json(&self) -> serde_json::Value {
        let mut json = self.alert.json();
        json["event"] = self.event.word().into();
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn margin(leader: f64) -> Alert {
        let numbers = [
            ("missing", 2.0),
            ("leader", leader),
            ("missing_voters", 2.0),
            ("missing_voters", 3.0),
            ("without_memory", 1.0),
        ];
        Alert {
            subject: Subject {
                kind: Kind::QuorumMargin,
                about: NodeId(1),
                by: NodeId(1),
            },
            severity: Severity::Critical,
            raised_ms: 5,
            updated_ms: 5,
            cleared_ms: None,
            evidence: numbers
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
        }
    }

    #[test]
    fn members_that_are_named_are_a_list() {
        let alert = margin(0.0);
        assert_eq!(
            alert.numbers(),
            "missing=2 leader=0 missing_voters=2,3 without_memory=1"
        );
        let evidence = &alert.json()["evidence"];
        assert_eq!(evidence["missing_voters"], serde_json::json!([2, 3]));
        assert_eq!(evidence["without_memory"], serde_json::json!([1]));
        assert_eq!(evidence["missing"], serde_json::json!(2.0));
    }

    #[test]
    fn a_margin_without_a_leader_means_that_there_is_no_service() {
        assert!(margin(0.0).meaning().contains("no service"));
        assert!(margin(1.0).meaning().contains("fewer members may fail"));
    }
}
