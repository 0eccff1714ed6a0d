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
    pub fn meaning(self) -> &'static str {
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

    /// Its numbers in one line.
    pub fn numbers(&self) -> String {
        let each = self
            .evidence
            .iter()
            .map(|(name, value)| format!("{name}={}", rounded(*value)));
        each.collect::<Vec<_>>().join(" ")
    }

    /// It as JSON.
    pub fn json(&self) -> serde_json::Value {
        let evidence: serde_json::Map<_, _> = self
            .evidence
            .iter()
            .map(|(name, value)| (name.clone(), rounded(*value).into()))
            .collect();
        serde_json::json!({
            "id": self.id(),
            "kind": self.subject.kind.name(),
            "severity": self.severity.word(),
            "about": self.subject.about.0,
            "by": self.subject.by.0,
            "meaning": self.subject.kind.meaning(),
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
