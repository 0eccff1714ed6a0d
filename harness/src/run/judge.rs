//! From a stored history to a verdict.

use crate::failure::Failure;
use keelhaul_checkers::explain::shrink;
use keelhaul_checkers::{
    Budget, Finding, History, Note, Parameters, ReadOptions, Reason, Results, Verdict, by_name,
    merge,
};
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How much work one checker may do: enough for any history that the harness makes, within a small machine's memory.
pub const BUDGET: Budget = Budget {
    states: 20_000_000,
    bytes: 128 << 20,
    deadline: None,
};

/// A history, and what its reader must be told of it.
#[derive(Debug)]
pub struct Stored {
    /// The history.
    pub history: History,
    /// What is special about its file: "the last line is cut off".
    pub notes: Vec<Note>,
}

/// Reads a history that a run wrote, or that a user named.
///
/// # Errors
/// If it cannot be read, or is not a history.
pub fn read(path: &Path) -> Result<Stored, Failure> {
    read_with(path, &ReadOptions::default())
}

/// The same, told what cannot be told from the history itself.
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, options: &ReadOptions) -> Result<Stored, Failure> {
    let file = File::open(path).map_err(Failure::input("read the history", path))?;
    read_from_with(file, &path.display().to_string(), options)
}

/// Reads a history from anywhere; `name` is what messages call it.
///
/// # Errors
/// If it cannot be read, or is not a history.
pub fn read_from(input: impl Read, name: &str) -> Result<Stored, Failure> {
    read_from_with(input, name, &ReadOptions::default())
}

/// The same, told what cannot be told from the history itself.
///
/// # Errors
/// As [`read_from`].
pub fn read_from_with(
    input: impl Read,
    name: &str,
    options: &ReadOptions,
) -> Result<Stored, Failure> {
    let (history, notes) = History::read_with(input, options)
        .map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Ok(Stored { history, notes })
}

/// How a history is judged.
#[derive(Debug, Clone, Copy)]
pub struct Judging {
    /// How much work each checker may do.
    pub budget: Budget,
    /// Whether each anomaly's witness gets the smallest part of the history that shows it.
    pub shrinks: bool,
}

/// Lets the checkers judge a history, and merges what they say with what is known already.
pub fn judge(
    stored: &Stored,
    checkers: &[String],
    parameters: &Parameters,
    known: Vec<(String, Finding)>,
) -> Results {
    let judging = Judging {
        budget: BUDGET,
        shrinks: false,
    };
    judge_with(stored, checkers, parameters, known, &judging)
}

/// The same, within limits of the caller's own.
pub fn judge_with(
    stored: &Stored,
    checkers: &[String],
    parameters: &Parameters,
    known: Vec<(String, Finding)>,
    judging: &Judging,
) -> Results {
    let mut findings = known;
    for name in checkers {
        let Some(checker) = by_name(name, parameters) else {
            let text = format!("this keelhaul has no checker `{name}`; `keelhaul list` names them");
            findings.push(unknown(name, text));
            continue;
        };
        let mut finding = checker.check(&stored.history, &judging.budget);
        if judging.shrinks {
            shrink(&stored.history, &*checker, &mut finding, &judging.budget);
        }
        findings.push((name.clone(), finding));
    }
    Results {
        notes: stored.notes.clone(),
        ..merge(findings)
    }
}

/// A finding that says that it cannot be told.
pub fn unknown(checker: &str, text: String) -> (String, Finding) {
    let reason = Reason {
        checker: checker.to_owned(),
        text,
    };
    let finding = Finding {
        verdict: Verdict::Unknown(vec![reason]),
        outside_contract: Vec::new(),
        details: Value::Null,
    };
    (checker.to_owned(), finding)
}
