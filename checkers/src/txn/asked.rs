//! What must hold: consistency models, or the absence of anomalies.

use super::consistency::{Model, Ruled, all_implied, known_anomaly, rule_out};
use super::kinds::{KINDS, Variant};
use crate::verdict::Anomaly;

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    models: Vec<Model>,
    anomalies: Vec<&'static str>,
}

impl Asked {
    /// By names of models and anomalies; none: strict serializable. Says which name is not known.
    pub(crate) fn new(names: &[String]) -> Result<Asked, String> {
        let mut asked = Asked {
            models: Vec::new(),
            anomalies: Vec::new(),
        };
        for name in names {
            match (Model::by_name(name), known_anomaly(name)) {
                (Some(model), _) => asked.models.push(model),
                (None, Some(anomaly)) => asked.anomalies.push(anomaly),
                (None, None) => return Err(unknown(name)),
            }
        }
        if names.is_empty() {
            asked.models.push(Model::strict_serializable());
        }
        Ok(asked)
    }

    /// Whether this anomaly is one under what must hold.
    pub(crate) fn forbids(&self, anomaly: &'static str) -> bool {
        let ruled = rule_out([anomaly]);
        let implied = all_implied([anomaly]);
        self.broken_by(&ruled) || self.anomalies.iter().any(|name| implied.contains(name))
    }

    /// Whether any asked model is among those that were ruled out.
    pub(crate) fn broken_by(&self, ruled: &Ruled) -> bool {
        self.models.iter().any(|model| ruled.out(*model))
    }

    /// Whether any shape of this variant is an anomaly that would not be one without the variant's order.
    pub(crate) fn needs(&self, variant: Variant) -> bool {
        let mut kinds = KINDS.iter().filter(|kind| kind.variant == variant);
        kinds.any(|kind| self.forbids(kind.name))
    }

    /// Those of the models that are this one or stronger.
    pub(crate) fn at_least(&self, model: &str) -> Asked {
        let model = Model::by_name(model);
        let above = |asked: &&Model| model.is_some_and(|model| model.follows_from(**asked));
        Asked {
            models: self.models.iter().filter(above).copied().collect(),
            anomalies: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.models.is_empty() && self.anomalies.is_empty()
    }

    /// What cannot hold if none of these models does.
    pub(crate) fn broken(&self) -> Ruled {
        Ruled::by(self.models.iter().copied())
    }

    /// Says that an anomaly was found by taking for granted what these models imply, and rules out no other.
    pub(crate) fn confine(&self, anomaly: &mut Anomaly) {
        let names = self.names().join(", ");
        let said = anomaly.summary.split("; this rules out").next();
        anomaly.summary = format!(
            "{}; versions ordered as {names} implies: this rules out {names}",
            said.unwrap_or_default()
        );
        self.broken().tell(&mut anomaly.witness);
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let models = self.models.iter().map(|model| model.name());
        models.chain(self.anomalies.iter().copied()).collect()
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> = Model::all().map(Model::name).collect();
    format!(
        "no consistency model or anomaly is called {name}; models are {}",
        known.join(", ")
    )
}
