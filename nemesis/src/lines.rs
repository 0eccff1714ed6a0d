//! The nemesis's history lines: the `value` of each.

use crate::control::{Action, Effect, Outcome};
use crate::fault::{Episode, NodeName};
use serde_json::{Value, json};

/// A fault was installed, or not. `majority`: whether a majority runs and is connected with all that is in place now.
pub(crate) fn install(
    episode: &Episode,
    targets: &[NodeName],
    action: Option<&Action>,
    majority: bool,
    outcome: &Outcome,
) -> Value {
    let (outcome, reason) = words(outcome);
    let mut line = json!({
        "episode": episode.id,
        "phase": "install",
        "fault": episode.fault,
        "target": episode.target,
        "targets": targets,
        "majority": majority,
        "outcome": outcome,
        "reason": reason,
    });
    if let Some(Action::Cut { links }) = action {
        line["links"] = json!(links);
    }
    line
}

/// What was seen of a fault while it was in place.
pub(crate) fn observe(episode: &Episode, effect: &Effect) -> Value {
    json!({
        "episode": episode.id,
        "phase": "observe",
        "observed": effect.observed,
        "detail": effect.detail,
    })
}

/// A fault was undone, or that is not known.
pub(crate) fn heal(episode: &Episode, outcome: &Outcome) -> Value {
    let (outcome, reason) = words(outcome);
    json!({"episode": episode.id, "phase": "heal", "outcome": outcome, "reason": reason})
}

fn words(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Installed => ("installed", None),
        Outcome::Skipped(reason) => ("skipped", Some(reason)),
        Outcome::Indeterminate(reason) => ("indeterminate", Some(reason)),
        Outcome::Healed => ("healed", None),
    }
}
