//! What a checker says: valid, invalid with a witness, or unknown with a reason.

use crate::history::{History, Operation, PairError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Instant;

/// How much work a checker may do. Work limits shape an answer; a deadline can only turn it into unknown.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Search configurations to visit at most, over the whole check.
    pub states: u64,
    /// Bytes that the search's own tables may hold at most.
    pub bytes: u64,
    /// When to give up, if ever.
    pub deadline: Option<Instant>,
}

impl Default for Budget {
    /// Generous for anything that a test records: 20 million configurations in a gibibyte, no deadline.
    fn default() -> Budget {
        Budget {
            states: 20_000_000,
            bytes: 1 << 30,
            deadline: None,
        }
    }
}

/// Something that must not have happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// The anomaly's name: `nonlinearizable`, `lost`, `stale`, `not-recovered`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The checker that found it.
    pub checker: String,
    /// One sentence for a person: what was promised and what was seen.
    pub summary: String,
    /// The evidence: a small sub-history and why it cannot be explained; shape documented by each checker.
    pub witness: Value,
}

/// Why a checker cannot say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The checker that cannot say.
    pub checker: String,
    /// A sentence for a person: what is missing and what to do.
    pub text: String,
}

/// A checker's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Every promise that the checker knows was kept.
    Valid,
    /// At least one was broken: never empty.
    Invalid(Vec<Anomaly>),
    /// It cannot be told: never empty.
    Unknown(Vec<Reason>),
}

impl Verdict {
    /// Invalid if anything was found, else unknown if anything is missing, else valid.
    pub(crate) fn of(anomalies: Vec<Anomaly>, reasons: Vec<Reason>) -> Verdict {
        match (anomalies.is_empty(), reasons.is_empty()) {
            (false, _) => Verdict::Invalid(anomalies),
            (true, false) => Verdict::Unknown(reasons),
            (true, true) => Verdict::Valid,
        }
    }
}

/// A verdict with what the checker measured on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The answer.
    pub verdict: Verdict,
    /// Breaches of what the contract does not owe under the faults that were active: reported, never invalid.
    pub outside_contract: Vec<Anomaly>,
    /// What was measured, for `results.json` (shape documented by each checker).
    pub details: Value,
}

impl Finding {
    /// Nothing to report but why it cannot be told.
    pub(crate) fn unknown(checker: &str, text: String) -> Finding {
        let reason = Reason {
            checker: checker.to_owned(),
            text,
        };
        Finding {
            verdict: Verdict::Unknown(vec![reason]),
            outside_contract: Vec::new(),
            details: Value::Null,
        }
    }
}

/// What every checker's reason ends with where the history had nothing for it to judge.
const NOTHING: &str = "nothing was tested";

impl Finding {
    /// Whether it is unknown for no other reason than that there was nothing to judge.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.verdict {
            Verdict::Unknown(reasons) => {
                reasons.iter().all(|reason| reason.text.ends_with(NOTHING))
            }
            _ => false,
        }
    }
}

/// Why a checker cannot begin: what it was given does not fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The line that does not fit, from 0; `None` where it is no single one.
    pub(crate) index: Option<u64>,
    /// What does not fit, and what was expected.
    pub(crate) text: String,
}

impl Misfit {
    /// This line has a value or a function that the model does not know.
    pub(crate) fn at(index: u64, text: impl Into<String>) -> Misfit {
        Misfit {
            index: Some(index),
            text: text.into(),
        }
    }

    /// This operation has a value or a function that the checker does not know.
    pub(crate) fn of(operation: &Operation<'_>, text: impl Into<String>) -> Misfit {
        Misfit::at(operation.inv(), text)
    }
}

impl From<String> for Misfit {
    fn from(text: String) -> Misfit {
        Misfit { index: None, text }
    }
}

impl From<Misfit> for String {
    fn from(misfit: Misfit) -> String {
        match misfit.index {
            Some(index) => format!("the operation at index {index} {}", misfit.text),
            None => misfit.text,
        }
    }
}

impl Finding {
    /// Unknown, for a line that does not fit: `details.misfit` is `{"index", "text"}`, so that who has the file can name the place.
    pub(crate) fn misfit(checker: &str, misfit: Misfit) -> Finding {
        let details = match misfit.index {
            Some(index) => {
                serde_json::json!({ "misfit": { "index": index, "text": misfit.text } })
            }
            None => Value::Null,
        };
        Finding {
            details,
            ..Finding::unknown(checker, misfit.into())
        }
    }
}

impl Finding {
    /// Unknown, for [`Parameters::initial`](crate::Parameters) that does not fit: `details.misfit` is `{"parameter": "initial",
    /// "text"}`.
    pub(crate) fn misfit_initial(checker: &str, text: String) -> Finding {
        Finding {
            details: serde_json::json!({ "misfit": { "parameter": "initial", "text": text } }),
            ..Finding::unknown(checker, text)
        }
    }
}

/// A pure function from a history to a finding.
pub trait Checker: Send + Sync {
    /// The checker's name, as `results.json` has it.
    fn name(&self) -> &'static str;
    /// Judges the history within the budget.
    fn check(&self, history: &History, budget: &Budget) -> Finding;
}

/// The history's operations, or the finding that it cannot be judged.
pub(crate) fn operations<'h>(
    history: &'h History,
    checker: &str,
) -> Result<Vec<Operation<'h>>, Box<Finding>> {
    let malformed = |error: PairError| format!("the history is malformed: {error}");
    history
        .operations()
        .map_err(|error| Box::new(Finding::unknown(checker, malformed(error))))
}

/// The history's operations, of which there must be some: a history of nothing proves nothing.
pub(crate) fn some_operations<'h>(
    history: &'h History,
    checker: &str,
) -> Result<Vec<Operation<'h>>, Box<Finding>> {
    let operations = operations(history, checker)?;
    if operations.is_empty() {
        let text = "the history has no operations: nothing was tested".to_owned();
        return Err(Box::new(Finding::unknown(checker, text)));
    }
    Ok(operations)
}
