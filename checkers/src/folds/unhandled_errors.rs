//! Errors that left operations indeterminate: which, and how often. Judges nothing: alone it makes no verdict.

use crate::describe;
use crate::history::{History, Kind, Operation};
use crate::verdict::{Budget, Checker, Finding, Verdict, some_operations};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(crate) const NAME: &str = "unhandled-errors";

/// The word for an indeterminate operation that says nothing of its error.
const UNNAMED: &str = "(none named)";

/// The checker `unhandled-errors`.
///
/// Errors that left operations indeterminate: which, and how often. Judges nothing: alone it makes no verdict.
///
/// A client that sorts every error is the difference between a sharp verdict and a weak one: each indeterminate operation
/// is a possibility that a checker must consider. This is where to look for errors that should be sorted better.
///
/// Details: `{"indeterminate": N, "without_completion": N, "errors": [{"error", "f": {f: N}, "count", "first": operation}, …]}`,
/// the most frequent error first. The word is the completion's `error`; where that is a list or a map, its first text.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnhandledErrors;

impl Checker for UnhandledErrors {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut errors: BTreeMap<String, Error<'_>> = BTreeMap::new();
        let (mut indeterminate, mut open) = (0_usize, 0_usize);
        for operation in operations.iter().filter(|op| op.kind() == Kind::Info) {
            indeterminate += 1;
            open += usize::from(operation.completion().is_none());
            if operation.completion().is_some() {
                let error = errors.entry(word(operation)).or_insert_with(|| Error {
                    first: *operation,
                    count: 0,
                    by_f: BTreeMap::new(),
                });
                error.count += 1;
                *error.by_f.entry(operation.f()).or_default() += 1;
            }
        }
        let mut errors: Vec<(String, Error<'_>)> = errors.into_iter().collect();
        errors.sort_by_key(|(_, error)| Reverse(error.count));
        let errors: Vec<Value> = errors
            .iter()
            .map(|(word, error)| {
                json!({
                    "error": word,
                    "count": error.count,
                    "f": error.by_f,
                    "first": describe::operation(&error.first),
                })
            })
            .collect();
        Finding {
            verdict: Verdict::Valid,
            outside_contract: Vec::new(),
            details: json!({
                "indeterminate": indeterminate,
                "without_completion": open,
                "errors": errors,
            }),
        }
    }
}

struct Error<'h> {
    first: Operation<'h>,
    count: usize,
    by_f: BTreeMap<&'h str, usize>,
}

/// The error's word: texts as they are, `[":timeout", …]` and `{"type": …}` by what names them.
fn word(operation: &Operation<'_>) -> String {
    let Some(error) = operation.completion().and_then(|line| line.get("error")) else {
        return UNNAMED.to_owned();
    };
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    let first = error.as_list().and_then(|list| list.get(0));
    let named = error.as_map().and_then(|map| map.get("type"));
    match first.or(named).and_then(|value| value.as_str()) {
        Some(text) => text.to_owned(),
        None => error.to_string(),
    }
}
