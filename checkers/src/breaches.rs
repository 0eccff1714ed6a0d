//! What a checker found, kept small: of each kind of breach how many there are, and the earliest few of them.

use crate::describe;
use crate::history::Operation;
use crate::verdict::Anomaly;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Cases that a witness shows at most.
const SHOWN: usize = 10;

/// One breach: a sentence, and the operations that show it, in the sentence's order.
#[derive(Debug, Clone)]
pub(crate) struct Breach<'h> {
    pub(crate) text: String,
    pub(crate) operations: Vec<Operation<'h>>,
    /// What a checker says of its own beside that.
    pub(crate) fields: Map<String, Value>,
}

impl Breach<'_> {
    /// The line by which it is there: those that are there first are shown.
    fn line(&self) -> u64 {
        let last = |operation: &Operation<'_>| operation.ret().unwrap_or(operation.inv());
        self.operations.iter().map(last).max().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Found<'h> {
    total: usize,
    /// The earliest ones, by line and then as they came.
    first: Vec<(u64, Breach<'h>)>,
}

/// All breaches, by kind.
#[derive(Debug, Default)]
pub(crate) struct Breaches<'h> {
    found: BTreeMap<&'static str, Found<'h>>,
}

impl<'h> Breaches<'h> {
    pub(crate) fn add(&mut self, kind: &'static str, text: String, operations: Vec<Operation<'h>>) {
        self.add_with(kind, text, operations, Map::new());
    }

    /// Adds one with fields of the checker's own.
    pub(crate) fn add_with(
        &mut self,
        kind: &'static str,
        text: String,
        operations: Vec<Operation<'h>>,
        fields: Map<String, Value>,
    ) {
        let breach = Breach {
            text,
            operations,
            fields,
        };
        let found = self.found.entry(kind).or_default();
        found.total += 1;
        let line = breach.line();
        let place = found.first.partition_point(|(other, _)| *other <= line);
        if place < SHOWN {
            found.first.insert(place, (line, breach));
            found.first.truncate(SHOWN);
        }
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.found.get(kind).map_or(0, |found| found.total)
    }

    /// One anomaly for each kind: `{"text", "operations": [operation, …], "total": N, "shown": [{"text", "operations"}, …]}` and
    /// the fields of the first one; `shown` has the first ten, the one of `text` among them.
    pub(crate) fn into_anomalies(self, checker: &str) -> Vec<Anomaly> {
        self.found
            .into_iter()
            .map(|(kind, found)| anomaly(checker, kind, &found))
            .collect()
    }
}

fn anomaly(checker: &str, kind: &str, found: &Found<'_>) -> Anomaly {
    let (_, first) = &found.first[0];
    let more = match found.total {
        1 => String::new(),
        total => format!(" ({} more of the kind)", total - 1),
    };
    let shown: Vec<Value> = found.first.iter().map(|(_, breach)| show(breach)).collect();
    let mut witness = show(first);
    witness["total"] = json!(found.total);
    if found.total > 1 {
        witness["shown"] = Value::Array(shown);
    }
    Anomaly {
        kind: kind.to_owned(),
        checker: checker.to_owned(),
        summary: format!("{}{more}", first.text),
        witness,
    }
}

fn show(breach: &Breach<'_>) -> Value {
    let operations: Vec<Value> = breach.operations.iter().map(describe::operation).collect();
    let mut shown = breach.fields.clone();
    shown.insert("text".to_owned(), json!(breach.text));
    shown.insert("operations".to_owned(), Value::Array(operations));
    Value::Object(shown)
}
