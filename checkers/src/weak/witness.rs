//! Cycles and direct anomalies as data and in sentences.
//!
//! A cycle's witness is `{"transactions": […], "cycle": [{"from", "to", "relation", "key", "because"}…], "text": [sentence…]}`;
//! `from` and `to` are places in `transactions`, which sentences call T1, T2, …. Transactions that are not on the cycle but
//! prove an edge stand behind it. The relation of an edge that visibility demands is `ww`. Where a transaction read the state
//! before all writes, the cycle goes through its reader, with the relation `rw`. A direct anomaly's witness is
//! `{"operations": […], "key", "text"}`.

use super::causal::{shown_by, way};
use super::order::{Edge, Visible, Why};
use super::reads::{Direct, Facts, INITIAL, Txn};
use crate::describe;
use crate::txn::input::{Act, Key, Shape};
use serde_json::{Value, json};

/// The anomaly's name: the weakest rule that the cycle cannot do without.
pub(super) fn kind(cycle: &[Edge]) -> &'static str {
    let visible = cycle.iter().filter_map(|edge| match edge.why {
        Why::Visible { how, .. } => Some(how),
        _ => None,
    });
    let has = |wanted: fn(&Why) -> bool| cycle.iter().any(|edge| wanted(&edge.why));
    match visible.max() {
        Some(Visible::ReadBefore) => "non-monotonic-read",
        Some(Visible::ReadToo) => "fractured-read",
        Some(Visible::OfSession) => "session-not-seen",
        Some(Visible::Causal) => "causality-violation",
        None if has(|why| matches!(why, Why::Session)) => "G1c-process",
        None if has(|why| matches!(why, Why::Read(_))) => "G1c",
        None => "G0",
    }
}

/// Names transactions T1, T2, … in the order in which they are met.
struct Cast<'f, 't, 'h> {
    facts: &'f Facts<'t, 'h>,
    base: &'f [Edge],
    members: Vec<Txn>,
}

impl Cast<'_, '_, '_> {
    fn place(&mut self, txn: Txn) -> usize {
        match self.members.iter().position(|member| *member == txn) {
            Some(place) => place,
            None => {
                self.members.push(txn);
                self.members.len() - 1
            }
        }
    }

    fn name(&mut self, txn: Txn) -> String {
        format!("T{}", self.place(txn) + 1)
    }

    fn key(&self, key: Key) -> String {
        self.facts.txns.key_text(key)
    }

    /// What `reader` saw of the key when it read from `writer`.
    fn seen(&self, reader: Txn, writer: Txn, key: Key) -> String {
        let mut reads = self.facts.reads(reader).iter();
        let read = reads.find(|read| read.key == key && read.writer == writer);
        let act = read.map(|read| self.facts.txns.micros[read.place as usize].act);
        match act {
            Some(Act::Read(token)) => self.facts.txns.element(token).to_string(),
            Some(Act::ReadList(list)) => {
                let list = self.facts.txns.list(list);
                match list.last() {
                    Some(last) => {
                        format!("a list that ends with {}", self.facts.txns.element(last))
                    }
                    None => "an empty list".to_owned(),
                }
            }
            _ => "its write".to_owned(),
        }
    }

    fn because(&mut self, edge: &Edge) -> String {
        let (from, to) = (self.name(edge.from), self.name_or_initial(edge.to));
        match edge.why {
            Why::Session => {
                let process = self.facts.txns.operation(edge.from).process();
                let process = serde_json::to_string(process).unwrap_or_default();
                format!("process {process} did {from} before {to}")
            }
            Why::Read(key) => {
                let seen = self.seen(edge.to, edge.from, key);
                format!(
                    "{to} read {seen} from key {}, which {from} wrote",
                    self.key(key)
                )
            }
            Why::Version(key) => {
                format!(
                    "the lists that were read of key {} have what {from} appended before what {to} appended",
                    self.key(key)
                )
            }
            Why::Visible { how, key, reader } => {
                let key_text = self.key(key);
                let seen = self.seen(reader, edge.to, key);
                let reader_name = self.name(reader);
                let visible = self.visible(how, edge.from, reader);
                let (whose, so) = match edge.to {
                    INITIAL => ("the state before all writes".to_owned(), String::new()),
                    _ => (
                        to.clone(),
                        format!(", so {from} wrote key {key_text} before {to}"),
                    ),
                };
                format!(
                    "{visible}, and {from} wrote key {key_text}; but {reader_name} read {seen} there, from {whose}{so}"
                )
            }
        }
    }

    fn name_or_initial(&mut self, txn: Txn) -> String {
        match txn {
            INITIAL => "the initial state".to_owned(),
            txn => self.name(txn),
        }
    }

    /// Why a writer is visible to a reader.
    fn visible(&mut self, how: Visible, from: Txn, reader: Txn) -> String {
        let (name, reader_name) = (self.name(from), self.name(reader));
        let key = shown_by(self.facts, from, reader)
            .map(|place| self.key(self.facts.txns.micros[place as usize].key))
            .unwrap_or_default();
        match how {
            Visible::ReadBefore => {
                format!("{reader_name} had already read {name}'s write of key {key}")
            }
            Visible::ReadToo => format!("{reader_name} read {name}'s write of key {key}"),
            Visible::OfSession => format!("{reader_name}'s process had done {name} before"),
            Visible::Causal => {
                let way = way(self.facts, self.base, from, reader);
                let steps: Vec<String> = way
                    .windows(2)
                    .map(|step| self.step(step[0], step[1]))
                    .collect();
                format!("{name} leads to {reader_name} ({})", steps.join(", "))
            }
        }
    }

    fn step(&mut self, from: Txn, to: Txn) -> String {
        let (one, other) = (self.name(from), self.name(to));
        let txns = self.facts.txns;
        if let Some(place) = shown_by(self.facts, from, to) {
            let key = self.key(txns.micros[place as usize].key);
            return format!("{other} read {one}'s write of key {key}");
        }
        match self.facts.session[from as usize] == self.facts.session[to as usize] {
            true => format!("{one} and then {other} in one process"),
            false => format!("{other} read a list with an element of {one}"),
        }
    }
}

/// Summary and witness of a cycle.
pub(super) fn cycle(facts: &Facts<'_, '_>, base: &[Edge], cycle: &[Edge]) -> (String, Value) {
    let mut cast = Cast {
        facts,
        base,
        members: cycle.iter().map(|edge| edge.from).collect(),
    };
    let mut steps = Vec::new();
    let mut text = Vec::new();
    for edge in cycle {
        let because = cast.because(edge);
        match edge.why {
            Why::Visible { key, reader, .. } if edge.to == INITIAL => {
                let (from, reader) = (cast.place(edge.from), cast.place(reader));
                let key = facts.txns.key(key);
                let missed = format!(
                    "T{} read key {key} as it was before all writes, and T{} wrote it",
                    reader + 1,
                    from + 1
                );
                let visible = because.split(';').next().unwrap_or_default().to_owned();
                steps.push(json!({ "from": from, "to": reader, "relation": "visible", "key": null, "because": visible }));
                steps.push(json!({ "from": reader, "to": from, "relation": "rw", "key": key, "because": missed }));
                text.push(format!("{because}: nothing is written before that."));
            }
            why => {
                let (from, to) = (cast.place(edge.from), cast.place(edge.to));
                let (relation, key) = match why {
                    Why::Session => ("process", None),
                    Why::Read(key) => ("wr", Some(key)),
                    Why::Version(key) | Why::Visible { key, .. } => ("ww", Some(key)),
                };
                text.push(format!(
                    "T{} is before T{}, because {because}.",
                    from + 1,
                    to + 1
                ));
                steps.push(json!({
                    "from": from,
                    "to": to,
                    "relation": relation,
                    "key": key.map(|key| facts.txns.key(key)),
                    "because": because,
                }));
            }
        }
    }
    if cycle.len() > 1 {
        let round: Vec<String> = (1..=cycle.len())
            .chain([1])
            .map(|number| format!("T{number}"))
            .collect();
        text.push(format!("So {}: a cycle.", round.join(" < ")));
    }
    let summary = text.join(" ");
    let members = cast
        .members
        .iter()
        .map(|txn| describe::operation(facts.txns.operation(*txn)));
    let witness = json!({
        "transactions": members.collect::<Vec<Value>>(),
        "cycle": steps,
        "text": text,
    });
    (summary, witness)
}

/// Summary and witness of an anomaly that one read shows by itself.
pub(super) fn direct(facts: &Facts<'_, '_>, direct: &Direct) -> (String, Value) {
    let operations = direct
        .txns
        .iter()
        .map(|txn| describe::operation(facts.txns.operation(*txn)));
    let witness = json!({
        "operations": operations.collect::<Vec<Value>>(),
        "key": facts.txns.key(direct.key),
        "text": direct.text,
    });
    (direct.text.clone(), witness)
}

/// What the history's transactions write.
pub(super) fn noun(shape: Shape) -> &'static str {
    match shape {
        Shape::Lists => "lists",
        Shape::Registers => "registers",
    }
}
