//! What must hold: consistency models, or the absence of anomalies.

use super::consistency::{Model, Open, Ruled, all_implied, known_anomaly, rule_out};
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

    /// What forbids some cases only of an anomaly, with that: models by themselves, anomalies as the cases that they are.
    pub(crate) fn open(&self) -> Vec<(&'static str, Open)> {
        let models = self.models.iter();
        let models = models.filter_map(|model| Some((model.name(), model.open()?)));
        let cases = self.anomalies.iter().filter_map(|case| {
            let mut open = Model::all().filter_map(Model::open);
            let open = open.find(|open| open.cases.contains(case))?;
            Some((*case, open))
        });
        models.chain(cases).collect()
    }

    /// Whether anything that was asked for does.
    pub(crate) fn has_open(&self) -> bool {
        !self.open().is_empty()
    }

    /// Whether this case of an anomaly matters to it.
    pub(crate) fn is_open_for(&self, case: &str) -> bool {
        self.open()
            .iter()
            .any(|(_, open)| open.cases.contains(&case))
    }

    /// What was asked for and forbids some cases only of this anomaly.
    pub(crate) fn open_to(&self, anomaly: &'static str) -> Vec<&'static str> {
        let implied = all_implied([anomaly]);
        let open = self.open().into_iter();
        let open = open.filter(|(_, open)| implied.contains(open.wide));
        open.map(|(name, _)| name).collect()
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

    /// Whether all that must hold is serializability of some strength.
    pub(crate) fn is_serializability(&self) -> bool {
        self.anomalies.is_empty() && self.at_least("serializable") == *self
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
