//! Carries a schedule out through [`Control`], by tokio's clock.
//!
//! Everything that was installed, wholly or perhaps, is healed before [`run`] returns, whether the schedule ends or it is
//! told to stop. Episodes may overlap; one that would touch what another holds is skipped, since undoing the one would undo
//! the other. Never decides what is broken: the schedule does.

use crate::control::{Action, Control, Outcome};
use crate::fault::{Episode, NodeName, Schedule};
use crate::lines;
use crate::resolve::{Resolved, Unresolved, needs_leader, resolve};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long an episode waits for a leader before it is skipped.
const LEADER_WAIT: Duration = Duration::from_secs(2);
/// How often it looks for one.
const LEADER_GLANCE: Duration = Duration::from_millis(20);

/// What became of one episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeResult {
    /// Which.
    pub episode: u32,
    /// What became of installing it.
    pub installed: Outcome,
    /// What became of healing it; `None` if there was nothing to heal.
    pub healed: Option<Outcome>,
}

/// What became of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The episodes that were reached, in the order in which they ended.
    pub episodes: Vec<EpisodeResult>,
    /// How many were not reached, because the driver was stopped before.
    pub unreached: usize,
}

/// Carries the schedule out, from now on. Returns when its last episode is healed, or soon after `stop` turns true (or its
/// sender is gone); what is in place is healed first.
pub async fn run(
    schedule: &Schedule,
    control: &impl Control,
    mut stop: watch::Receiver<bool>,
) -> Summary {
    let mut driver = Driver::new(schedule, control);
    while let Some(next) = driver.next_at() {
        tokio::select! {
            // Stopping comes first when both are due.
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = sleep_until(next) => driver.step().await,
        }
    }
    driver.finish().await
}

/// What is done next about an episode.
#[derive(Debug)]
enum Step<'a> {
    /// Install it; give up waiting for a leader at this time.
    Install {
        episode: &'a Episode,
        give_up: Instant,
    },
    /// Undo it.
    Heal(InPlace<'a>),
}

/// A fault that is in place, wholly or perhaps.
#[derive(Debug)]
struct InPlace<'a> {
    episode: &'a Episode,
    action: Action,
    installed: Outcome,
}

struct Driver<'a, C> {
    control: &'a C,
    nodes: Vec<NodeName>,
    /// By time, then by episode.
    agenda: BTreeMap<(Instant, u32), Step<'a>>,
    summary: Summary,
}

impl<'a, C: Control> Driver<'a, C> {
    fn new(schedule: &'a Schedule, control: &'a C) -> Driver<'a, C> {
        let now = Instant::now();
        let step = |episode: &'a Episode| {
            let start = now + Duration::from_millis(episode.start_ms);
            (
                (start, episode.id),
                Step::Install {
                    episode,
                    give_up: start + LEADER_WAIT,
                },
            )
        };
        let agenda = schedule.episodes.iter().map(step).collect();
        Driver {
            control,
            nodes: control.nodes(),
            agenda,
            summary: Summary::default(),
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    async fn step(&mut self) {
        match self.agenda.pop_first() {
            Some((_, Step::Install { episode, give_up })) => self.install(episode, give_up).await,
            Some((_, Step::Heal(in_place))) => self.heal(in_place).await,
            None => {}
        }
    }

    async fn install(&mut self, episode: &'a Episode, give_up: Instant) {
        let now = Instant::now();
        let leader = self.control.leader();
        if needs_leader(&episode.target) && leader.is_none() && now < give_up {
            let again = now + LEADER_GLANCE;
            self.agenda
                .insert((again, episode.id), Step::Install { episode, give_up });
            return;
        }
        let resolved = match resolve(episode, &self.nodes, leader.as_ref()) {
            Ok(resolved) => resolved,
            Err(Unresolved::NoLeader) => {
                let reason = format!("no node led within {} s", LEADER_WAIT.as_secs());
                return self.skip(episode, &[], reason);
            }
            Err(reason) => return self.skip(episode, &[], reason.to_string()),
        };
        if let Some(reason) = self.conflict(&resolved.action) {
            return self.skip(episode, &resolved.targets, reason);
        }
        self.install_resolved(episode, resolved).await;
    }

    async fn install_resolved(&mut self, episode: &'a Episode, resolved: Resolved) {
        let Resolved { targets, action } = resolved;
        let installed = self.control.install(episode.id, &action).await;
        self.record_install(episode, &targets, Some(&action), &installed);
        if let Outcome::Skipped(_) = installed {
            self.done(episode, installed, None);
            return;
        }
        let until = Instant::now() + Duration::from_millis(episode.length_ms);
        let in_place = InPlace {
            episode,
            action,
            installed,
        };
        self.agenda
            .insert((until, episode.id), Step::Heal(in_place));
    }

    fn skip(&mut self, episode: &Episode, targets: &[NodeName], reason: String) {
        let outcome = Outcome::Skipped(reason);
        self.record_install(episode, targets, None, &outcome);
        self.done(episode, outcome, None);
    }

    async fn heal(&mut self, in_place: InPlace<'a>) {
        let InPlace {
            episode,
            action,
            installed,
        } = in_place;
        let kind = episode.fault.kind().name();
        let effect = self.control.observe(episode.id, &action).await;
        self.control.record(kind, lines::observe(episode, &effect));
        let healed = self.control.heal(episode.id, &action).await;
        self.control.record(kind, lines::heal(episode, &healed));
        self.done(episode, installed, Some(healed));
    }

    /// Heals what is in place; what was not installed yet is not reached.
    async fn finish(mut self) -> Summary {
        for step in std::mem::take(&mut self.agenda).into_values() {
            match step {
                Step::Install { .. } => self.summary.unreached += 1,
                Step::Heal(in_place) => self.heal(in_place).await,
            }
        }
        self.summary
    }

    /// Why this action must not be taken beside what is in place, if so.
    fn conflict(&self, action: &Action) -> Option<String> {
        self.agenda.values().find_map(|step| match step {
            Step::Heal(in_place) => {
                let what = shared(action, &in_place.action)?;
                Some(format!("{what} by episode {}", in_place.episode.id))
            }
            Step::Install { .. } => None,
        })
    }

    fn record_install(
        &self,
        episode: &Episode,
        targets: &[NodeName],
        action: Option<&Action>,
        outcome: &Outcome,
    ) {
        let majority = self.control.majority_connected();
        let line = lines::install(episode, targets, action, majority, outcome);
        self.control.record(episode.fault.kind().name(), line);
    }

    fn done(&mut self, episode: &Episode, installed: Outcome, healed: Option<Outcome>) {
        self.summary.episodes.push(EpisodeResult {
            episode: episode.id,
            installed,
            healed,
        });
    }
}

/// What both actions would hold.
fn shared(action: &Action, other: &Action) -> Option<String> {
    match (action, other) {
        (Action::Cut { links }, Action::Cut { links: held }) => {
            let (from, to) = links.iter().find(|link| held.contains(link))?;
            Some(format!("the link {from} to {to} is cut"))
        }
        (Action::Cut { .. }, _) | (_, Action::Cut { .. }) => None,
        (Action::Kill { nodes } | Action::Pause { nodes }, Action::Kill { nodes: held }) => {
            let node = nodes.iter().find(|node| held.contains(node))?;
            Some(format!("{node} is killed"))
        }
        (Action::Kill { nodes } | Action::Pause { nodes }, Action::Pause { nodes: held }) => {
            let node = nodes.iter().find(|node| held.contains(node))?;
            Some(format!("{node} is paused"))
        }
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
