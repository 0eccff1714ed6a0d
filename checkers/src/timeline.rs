//! What the controller and the nemesis wrote between the clients' lines: phases, roles, stalls, episodes.
//!
//! It reads lines of the processes `controller` and `nemesis`, and judges nothing. A line that it cannot read becomes a
//! problem, which the checkers report as unknown: a verdict must not rest on half of what was recorded.

use crate::history::{EventRef, History, Nanos, Process};
use crate::replicas::Replicas;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything that happened around the operations.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) phases: Vec<Phase>,
    pub(crate) roles: Vec<RoleChange>,
    pub(crate) stalls: Vec<Stall>,
    pub(crate) serving: Vec<Serving>,
    /// The comparison of the replicas at the end, the last one if there are several.
    pub(crate) replicas: Option<Replicas>,
    /// By number.
    pub(crate) episodes: BTreeMap<u64, Episode>,
    /// Lines that could not be read, in words.
    pub(crate) problems: Vec<String>,
    /// The last line's time.
    pub(crate) end: Nanos,
}

/// A part of the run.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) from: Nanos,
    /// Where the next one begins, or the history ends.
    pub(crate) to: Nanos,
}

/// A node's role as polled, from this moment on.
#[derive(Debug)]
pub(crate) struct RoleChange {
    pub(crate) at: Nanos,
    pub(crate) node: String,
    /// `None`: not reachable.
    pub(crate) role: Option<String>,
}

/// An interval in which the controller itself did not run.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Stall {
    pub(crate) from: Nanos,
    pub(crate) to: Nanos,
}

/// The first fenced operation that a node served in the phase `recover`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Serving {
    pub(crate) node: String,
    /// Since the phase began.
    pub(crate) after_ns: u64,
    #[serde(skip)]
    pub(crate) at: Nanos,
}

/// A fault with its target and time.
#[derive(Debug)]
pub(crate) struct Episode {
    pub(crate) number: u64,
    pub(crate) kind: String,
    pub(crate) target: Value,
    pub(crate) targets: Vec<String>,
    /// Whether a majority runs and is connected with this fault and the others in place.
    pub(crate) majority: bool,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<String>,
    /// When its installation was over.
    pub(crate) installed: Nanos,
    pub(crate) healed: Option<Healed>,
    /// Whether its effect was seen from outside, and what was looked at; `None` if nobody looked.
    pub(crate) observed: Option<(bool, String)>,
}

/// What became of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Installed,
    Skipped,
    Indeterminate,
}

impl Outcome {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Installed => "installed",
            Outcome::Skipped => "skipped",
            Outcome::Indeterminate => "indeterminate",
        }
    }
}

/// The end of an episode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Healed {
    pub(crate) at: Nanos,
    /// Whether it is certain that the fault is gone.
    pub(crate) certain: bool,
}

impl Episode {
    /// From when to when it was, or may have been, in place; `None` if it was skipped.
    pub(crate) fn interval(&self, end: Nanos) -> Option<(Nanos, Nanos)> {
        match self.outcome {
            Outcome::Skipped => None,
            _ => Some((self.installed, self.healed.map_or(end, |healed| healed.at))),
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
enum NemesisLine {
    Install {
        episode: u64,
        #[serde(default)]
        target: Value,
        #[serde(default)]
        targets: Vec<String>,
        majority: bool,
        outcome: Outcome,
        reason: Option<String>,
    },
    Observe {
        episode: u64,
        observed: bool,
        #[serde(default)]
        detail: String,
    },
    Heal {
        episode: u64,
        outcome: String,
    },
}

#[derive(Deserialize)]
struct PhaseLine {
    phase: String,
}

#[derive(Deserialize)]
struct RoleLine {
    node: String,
    role: Option<String>,
}

impl Timeline {
    /// Reads all lines of the controller and the nemesis.
    pub(crate) fn of(history: &History) -> Timeline {
        let mut timeline = Timeline {
            end: history.last().map_or(Nanos(0), EventRef::time),
            ..Timeline::default()
        };
        for event in history.events() {
            let Process::Named(name) = event.process() else {
                continue;
            };
            let read = match &**name {
                "controller" => timeline.controller(event),
                "nemesis" => timeline.nemesis(event),
                _ => Ok(()),
            };
            if let Err(error) = read {
                timeline.problems.push(format!(
                    "the {name}'s line `{}` at index {} cannot be read: {error}",
                    event.f(),
                    event.index()
                ));
            }
        }
        timeline
    }

    fn controller(&mut self, event: EventRef<'_>) -> Result<(), serde_json::Error> {
        let (at, value) = (event.time(), event.value().to_json());
        match event.f() {
            "phase" => {
                let line = PhaseLine::deserialize(value)?;
                if let Some(before) = self.phases.last_mut() {
                    before.to = at;
                }
                self.phases.push(Phase {
                    name: line.phase,
                    from: at,
                    to: self.end,
                });
            }
            "role" => {
                let line = RoleLine::deserialize(value)?;
                self.roles.push(RoleChange {
                    at,
                    node: line.node,
                    role: line.role,
                });
            }
            "stall" => self.stalls.push(Stall::deserialize(value)?),
            "serving" => self.serving.push(Serving {
                at,
                ..Serving::deserialize(value)?
            }),
            "replicas" => self.replicas = Some(Replicas::deserialize(value)?),
            // Lines of later controllers are none of this reader's business.
            _ => {}
        }
        Ok(())
    }

    fn nemesis(&mut self, event: EventRef<'_>) -> Result<(), serde_json::Error> {
        let unknown =
            |episode| serde::de::Error::custom(format!("episode {episode} was never installed"));
        match NemesisLine::deserialize(event.value().to_json())? {
            NemesisLine::Install {
                episode,
                target,
                targets,
                majority,
                outcome,
                reason,
            } => {
                let kind = event.f().to_owned();
                let installed = event.time();
                let row = Episode {
                    number: episode,
                    kind,
                    target,
                    targets,
                    majority,
                    outcome,
                    reason,
                    installed,
                    healed: None,
                    observed: None,
                };
                self.episodes.insert(episode, row);
            }
            NemesisLine::Observe {
                episode,
                observed,
                detail,
            } => {
                let row = self
                    .episodes
                    .get_mut(&episode)
                    .ok_or_else(|| unknown(episode))?;
                row.observed = Some((observed, detail));
            }
            NemesisLine::Heal { episode, outcome } => {
                let row = self
                    .episodes
                    .get_mut(&episode)
                    .ok_or_else(|| unknown(episode))?;
                // Healing is repeated until it is certain: what counts is the first certain one.
                if row.healed.is_none_or(|healed| !healed.certain) {
                    row.healed = Some(Healed {
                        at: event.time(),
                        certain: outcome == "healed",
                    });
                }
            }
        }
        Ok(())
    }

    /// The last phase of this name.
    pub(crate) fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().rev().find(|phase| phase.name == name)
    }

    /// Whether the controller stood still at any time in this interval.
    pub(crate) fn stalled(&self, from: Nanos, to: Nanos) -> bool {
        self.stalls
            .iter()
            .any(|stall| stall.from <= to && stall.to >= from)
    }

    /// Which nodes lead at this moment, as polled last.
    pub(crate) fn leaders_at(&self, at: Nanos) -> Vec<&str> {
        let mut roles: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for change in self.roles.iter().take_while(|change| change.at <= at) {
            roles.insert(&change.node, change.role.as_deref());
        }
        roles
            .into_iter()
            .filter(|(_, role)| *role == Some("leader"))
            .map(|(node, _)| node)
            .collect()
    }

    /// The first moment after `from`, and not after `to`, at which some node began to lead.
    pub(crate) fn next_leader(&self, from: Nanos, to: Nanos) -> Option<(Nanos, &str)> {
        let began = |change: &&RoleChange| {
            change.at > from && change.at <= to && change.role.as_deref() == Some("leader")
        };
        self.roles
            .iter()
            .find(began)
            .map(|change| (change.at, &*change.node))
    }

    /// When the last heal was over, if there was a fault.
    pub(crate) fn last_heal(&self) -> Option<Nanos> {
        self.episodes
            .values()
            .filter_map(|episode| episode.healed)
            .map(|healed| healed.at)
            .max()
    }
}
