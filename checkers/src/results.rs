//! All findings of a run merged into one verdict: what `results.json` holds.

use crate::folds;
use crate::history::Note;
use crate::stats;
use crate::verdict::{Anomaly, Finding, Reason, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// `true`, `false` or `"unknown"` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub enum Validity {
    /// Every promise that was judged was kept.
    Valid,
    /// At least one promise was broken.
    Invalid,
    /// It cannot be told.
    Unknown,
}

impl Validity {
    /// Merges two: invalid > unknown > valid, so that what is missing never hides what was found.
    #[must_use]
    pub fn and(self, other: Validity) -> Validity {
        match (self, other) {
            (Validity::Invalid, _) | (_, Validity::Invalid) => Validity::Invalid,
            (Validity::Unknown, _) | (_, Validity::Unknown) => Validity::Unknown,
            (Validity::Valid, Validity::Valid) => Validity::Valid,
        }
    }
}

impl From<&Verdict> for Validity {
    fn from(verdict: &Verdict) -> Validity {
        match verdict {
            Verdict::Valid => Validity::Valid,
            Verdict::Invalid(_) => Validity::Invalid,
            Verdict::Unknown(_) => Validity::Unknown,
        }
    }
}

impl From<Validity> for Value {
    fn from(validity: Validity) -> Value {
        match validity {
            Validity::Valid => Value::Bool(true),
            Validity::Invalid => Value::Bool(false),
            Validity::Unknown => Value::from("unknown"),
        }
    }
}

impl TryFrom<Value> for Validity {
    type Error = String;
    fn try_from(value: Value) -> Result<Validity, String> {
        match value {
            Value::Bool(true) => Ok(Validity::Valid),
            Value::Bool(false) => Ok(Validity::Invalid),
            Value::String(text) if text == "unknown" => Ok(Validity::Unknown),
            other => Err(format!(
                "valid is {other}; expected true, false or \"unknown\""
            )),
        }
    }
}

/// What one checker said, without its anomalies: those stand together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Its verdict.
    pub valid: Validity,
    /// What it measured; the shape is documented by each checker.
    pub details: Value,
}

/// The merged findings, as `results.json` has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The run's verdict.
    pub valid: Validity,
    /// What must not have happened, by checker in the order in which they ran.
    pub anomalies: Vec<Anomaly>,
    /// Breaches of what the contract did not owe.
    pub outside_contract: Vec<Anomaly>,
    /// What could not be told, and why.
    pub unknown: Vec<Reason>,
    /// What is special about the history's file: that its end is cut off, say. [`merge`] leaves it empty, for who read the
    /// file to fill in.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// The details of checker `coverage`, or `null`.
    pub coverage: Value,
    /// The rows of checker `recovery`: one for each episode.
    pub recovery: Value,
    /// The details of checker `stats`, or `null`.
    pub stats: Value,
    /// Each checker's verdict and details, by name.
    pub checkers: Map<String, Value>,
}

/// Checkers that only count.
const JUDGE_NOTHING: [&str; 2] = [stats::NAME, folds::UNHANDLED_ERRORS];

/// Merges the findings of all checkers that judged one history. No findings, or only those of checkers that judge nothing, prove
/// nothing: unknown.
pub fn merge(findings: Vec<(String, Finding)>) -> Results {
    let mut results = Results {
        valid: Validity::Valid,
        anomalies: Vec::new(),
        outside_contract: Vec::new(),
        unknown: Vec::new(),
        notes: Vec::new(),
        coverage: Value::Null,
        recovery: json!([]),
        stats: Value::Null,
        checkers: Map::new(),
    };
    if findings
        .iter()
        .all(|(name, _)| JUDGE_NOTHING.contains(&name.as_str()))
    {
        let text = match findings.is_empty() {
            true => "no checker judged this history: name at least one",
            false => {
                "nothing was judged: this only counts, name another checker beside it (--model register,stats)"
            }
        };
        results.valid = Validity::Unknown;
        results.unknown.push(Reason {
            checker: "none".to_owned(),
            text: text.to_owned(),
        });
    }
    for (name, finding) in findings {
        results.take(name, finding);
    }
    results
}

impl Results {
    fn take(&mut self, name: String, finding: Finding) {
        let valid = Validity::from(&finding.verdict);
        self.valid = self.valid.and(valid);
        self.outside_contract.extend(finding.outside_contract);
        match finding.verdict {
            Verdict::Valid => {}
            Verdict::Invalid(anomalies) => self.anomalies.extend(anomalies),
            Verdict::Unknown(reasons) => self.unknown.extend(reasons),
        }
        match name.as_str() {
            "coverage" => self.coverage = finding.details.clone(),
            "stats" => self.stats = finding.details.clone(),
            "recovery" => {
                self.recovery = finding
                    .details
                    .get("episodes")
                    .cloned()
                    .unwrap_or_else(|| json!([]))
            }
            _ => {}
        }
        self.checkers
            .insert(name, json!({ "valid": valid, "details": finding.details }));
    }
}
