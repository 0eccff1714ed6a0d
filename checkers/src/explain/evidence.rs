//! What a witness shows, read from its JSON: operations with the part they play, states, or a cycle of transactions.
//!
//! The shapes are those that the checkers document. Operations are found wherever a witness has them, so that a checker of
//! tomorrow is drawn, too.

use serde_json::Value;
use std::collections::BTreeMap;

/// The part that an operation plays. In the order in which room is given to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// It cannot have happened.
    Stuck,
    /// It contradicts another one.
    Accused,
    /// It was answered, and must be ordered before.
    Window,
    /// It made a state that was possible.
    Maker,
    /// It may have happened.
    Optional,
    /// It was there, too.
    Context,
}

/// An operation, as `describe::operation` tells it.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The line of its invocation.
    pub(super) index: u64,
    /// The line of its completion, unless it is indeterminate.
    pub(super) completed: Option<u64>,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    pub(super) process: String,
    pub(super) key: Option<String>,
    pub(super) text: String,
    /// The micro-operations, where it is a transaction.
    pub(super) steps: Vec<Value>,
}

impl Shown {
    pub(super) fn read(operation: &Value) -> Option<Shown> {
        let indeterminate = operation["outcome"] == "info";
        Some(Shown {
            index: operation["index"].as_u64()?,
            completed: operation["completed"].as_u64().filter(|_| !indeterminate),
            from: operation["from"].as_u64().unwrap_or_default(),
            to: operation["to"].as_u64().filter(|_| !indeterminate),
            process: word(&operation["process"]),
            key: operation["key"].as_str().map(str::to_owned),
            text: word(&operation["text"]),
            steps: steps(operation),
        })
    }
}

/// The micro-operations of a transaction, with what was read where that is known.
fn steps(operation: &Value) -> Vec<Value> {
    if operation["f"] != "txn" {
        return Vec::new();
    }
    let told = [&operation["result"], &operation["argument"]];
    let mut lists = told.into_iter().filter_map(|list| match list {
        Value::Array(list) => Some(list.clone()),
        // A long list is told by its ends.
        Value::Object(ends) => {
            let mut list = ends.get("first")?.as_array()?.clone();
            list.extend(ends.get("last")?.as_array()?.iter().cloned());
            Some(list)
        }
        _ => None,
    });
    lists.next().unwrap_or_default()
}

/// One step of a cycle.
#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) relation: String,
    pub(super) key: Option<String>,
    pub(super) because: String,
}

/// Transactions that each had to come before the next.
#[derive(Debug, Clone)]
pub(super) struct Cycle {
    /// In the order of the cycle.
    pub(super) transactions: Vec<Shown>,
    /// Edge i leads from transaction i to the next.
    pub(super) edges: Vec<Edge>,
    /// Each transaction's name: `T` and its place in the witness.
    pub(super) names: Vec<String>,
}

/// The cycle of this witness, if it is one.
pub(super) fn cycle(witness: &Value) -> Option<Cycle> {
    let shown = witness["transactions"].as_array()?;
    let steps = witness["cycle"].as_array()?;
    let mut cycle = Cycle {
        transactions: Vec::new(),
        edges: Vec::new(),
        names: Vec::new(),
    };
    for step in steps {
        let (from, to) = (place(&step["from"])?, place(&step["to"])?);
        cycle.transactions.push(Shown::read(shown.get(from)?)?);
        cycle.names.push(format!("T{}", from + 1));
        cycle.edges.push(Edge {
            from,
            to,
            relation: word(&step["relation"]),
            key: Some(&step["key"]).filter(|key| !key.is_null()).map(word),
            because: step["because"].as_str().unwrap_or_default().to_owned(),
        });
    }
    let closed = cycle
        .edges
        .iter()
        .zip(cycle.edges.iter().cycle().skip(1))
        .all(|(edge, next)| edge.to == next.from);
    (closed && !cycle.edges.is_empty()).then_some(cycle)
}

fn place(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// The operations that a witness names, each once, in its most telling part.
pub(super) fn operations(witness: &Value) -> BTreeMap<u64, (Part, Shown)> {
    let mut found = BTreeMap::new();
    let mut take = |value: &Value, part| gather(value, part, &mut found);
    take(&witness["stuck"]["operation"], Part::Stuck);
    take(&witness["contradiction"], Part::Accused);
    take(&witness["window"], Part::Window);
    take(&witness["stuck"]["states"], Part::Maker);
    take(&witness["from"]["states"], Part::Maker);
    take(&witness["may_have_happened"], Part::Optional);
    if found.is_empty() {
        gather(witness, Part::Accused, &mut found);
    }
    found
}

/// All operations in a value; an event line, which has a `type`, is none.
fn gather(value: &Value, part: Part, found: &mut BTreeMap<u64, (Part, Shown)>) {
    match value {
        Value::Object(fields) if fields.contains_key("process") && !fields.contains_key("type") => {
            if let Some(shown) = Shown::read(value) {
                let known = found.entry(shown.index).or_insert((part, shown));
                known.0 = known.0.min(part);
            }
        }
        Value::Object(fields) => fields.values().for_each(|field| gather(field, part, found)),
        Value::Array(items) => items.iter().for_each(|item| gather(item, part, found)),
        _ => {}
    }
}

/// Text without quotes, anything else as JSON.
pub(super) fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
