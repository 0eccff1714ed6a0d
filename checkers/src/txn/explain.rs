//! Anomalies as sentences and as witnesses.
//!
//! A cycle's witness is `{"transactions": […], "cycle": [{"from", "to", "relation", "key", "because"}…], "text": [sentence…]}`, where `from`
//! and `to` are places in `transactions`; sentences call them T1, T2, … Any other anomaly's is `{"operations": […], "key", "text"}`, sentences
//! calling the operations T1, T2, … in the same way. Sentences count lines from 1, as editors do; an `index` counts from 0, as
//! the history does.

use super::direct::{Clash, Direct, What};
use super::graph::Txn;
use super::input::{Act, Key, Token, Txns, UNWRITTEN};
use super::relation::Relations;
use super::search::{Cycle, Step};
use crate::describe;
use serde_json::{Value, json};

/// Transactions that are told in full of an anomaly with many.
const MOST_TOLD: usize = 16;

/// Lists longer than this are told by their ends.
const LONG: usize = 24;

/// Knows why one transaction precedes another one by the data.
pub(crate) trait Because {
    /// The key that orders them, and a clause that says so. `names` are what to call the step's transactions.
    fn because(&mut self, step: &Step, names: [&str; 2]) -> Option<(Key, String)>;
}

/// Puts anomalies into words.
pub(crate) struct Explainer<'t> {
    txns: &'t Txns<'t>,
    because: Box<dyn Because + 't>,
}

impl<'t> Explainer<'t> {
    pub(crate) fn new(txns: &'t Txns<'t>, because: impl Because + 't) -> Explainer<'t> {
        Explainer {
            txns,
            because: Box::new(because),
        }
    }

    /// Summary and witness of a cycle.
    pub(crate) fn cycle(&mut self, cycle: &Cycle) -> (String, Value) {
        let length = cycle.steps.len();
        let name = |place: usize| format!("T{}", place % length + 1);
        let mut steps = Vec::with_capacity(length);
        let mut text = Vec::with_capacity(length + 1);
        let mut clauses = Vec::with_capacity(length);
        for (place, step) in cycle.steps.iter().enumerate() {
            let (a, b) = (name(place), name(place + 1));
            let (key, because) = self.step(step, [&a, &b]);
            text.push(format!("{a} precedes {b}, because {because}."));
            clauses.push(because.clone());
            steps.push(json!({
                "from": place,
                "to": (place + 1) % length,
                "relation": step.relation.name(),
                "key": key.map(|key| self.txns.key(key)),
                "because": because,
            }));
        }
        let round: Vec<String> = (0..=length).map(name).collect();
        let round = round.join(" < ");
        text.push(format!("So {round}: a cycle."));
        let shown = clauses.iter().take(MOST_TOLD).cloned().collect::<Vec<_>>();
        let more = match length > MOST_TOLD {
            true => format!("; … ({} more steps)", length - MOST_TOLD),
            false => String::new(),
        };
        let summary = match length > MOST_TOLD {
            true => format!("{}{more}: a cycle of {length}", shown.join("; ")),
            false => format!("{}; so {round}: a cycle", shown.join("; ")),
        };
        let txns = cycle.steps.iter().map(|step| self.transaction(step.from));
        let witness = json!({
            "transactions": txns.collect::<Vec<Value>>(),
            "cycle": steps,
            "text": text,
        });
        (summary, witness)
    }

    fn step(&mut self, step: &Step, names: [&str; 2]) -> (Option<Key>, String) {
        let [a, b] = names;
        match step.relation {
            Relations::PROCESS => {
                let process = self.txns.operation(step.from).process();
                let process = serde_json::to_string(process).unwrap_or_default();
                (
                    None,
                    format!("process {process} completed {a} before it began {b}"),
                )
            }
            Relations::REALTIME => {
                let line = self.txns.operation(step.from).ret().unwrap_or_default();
                let begun = self.txns.operation(step.to).inv();
                let (line, begun) = (line + 1, begun + 1);
                let text = format!(
                    "{a} completed (line {line}) before {b} was invoked (line {begun}), by real time"
                );
                (None, text)
            }
            _ => match self.because.because(step, names) {
                Some((key, text)) => (Some(key), text),
                None => (
                    None,
                    format!("{a} must come before {b} ({})", step.relation.name()),
                ),
            },
        }
    }

    fn transaction(&self, txn: Txn) -> Value {
        describe::operation(self.txns.operation(txn))
    }

    /// Summary and witness of an anomaly without a cycle.
    pub(crate) fn direct(&self, direct: &Direct) -> (String, Value) {
        let text = self.words(direct);
        let shown = direct.txns.iter().take(MOST_TOLD);
        let mut witness = json!({
            "operations": shown.map(|txn| self.transaction(*txn)).collect::<Vec<Value>>(),
            "key": self.txns.key(direct.key),
            "text": text,
        });
        if direct.txns.len() > MOST_TOLD {
            witness["more"] = json!(direct.txns.len() - MOST_TOLD);
        }
        (text, witness)
    }

    fn words(&self, direct: &Direct) -> String {
        let key = self.txns.key_text(direct.key);
        let say = |token: &Token| self.txns.element(*token).to_string();
        match &direct.what {
            What::AbortedRead(element) => format!(
                "T1 observed {} of {key}, which T2 had written; but T2 failed",
                say(element)
            ),
            What::IntermediateRead(element) => format!(
                "T1 observed {} of {key}, which T2 wrote, and not what T2 wrote to {key} after it",
                say(element)
            ),
            What::Internal(place) => format!(
                "T1 read {} of {key}, which contradicts what it had read or written of {key} just before",
                self.value(*place)
            ),
            What::FutureRead(element) => format!(
                "T1 observed {} of {key} before it wrote it itself",
                say(element)
            ),
            What::GarbageRead(UNWRITTEN) => {
                format!("T1 observed a list of {key} that does not begin as all lists do")
            }
            What::GarbageRead(element) => {
                format!("T1 observed {} of {key}, which nobody wrote", say(element))
            }
            What::Duplicate(element) => format!(
                "T1 observed {} of {key} twice, though it was appended only once",
                say(element)
            ),
            What::IncompatibleOrder(one, other) => format!(
                "T1 read {} of {key}, T2 read {}: no one order of appends explains both",
                self.value(*one),
                self.value(*other)
            ),
            What::Swapped(one, other) => format!(
                "T2 appended {} and then {} to {key}, but T1 observed {} without {} in front of it",
                self.value(*one),
                self.value(*other),
                self.value(*other),
                self.value(*one)
            ),
            What::DirtyUpdate(element) => format!(
                "T2 failed, but its {} is in what T1 appended to and T3 observed of {key}",
                say(element)
            ),
            What::LostUpdate(place) => {
                let names: Vec<String> = (1..=direct.txns.len().min(4))
                    .map(|n| format!("T{n}"))
                    .collect();
                let more = match direct.txns.len() > 4 {
                    true => format!(" and {} more", direct.txns.len() - 4),
                    false => String::new(),
                };
                format!(
                    "{}{more} all read {} of {key} and then wrote {key}: all updates but one are lost",
                    names.join(", "),
                    self.value(*place)
                )
            }
            What::Overtaken(place) => format!(
                "T1 read {} of {key} and then appended to it, but behind what T2 had appended in between",
                self.value(*place)
            ),
            What::CyclicVersions(values, sources) => {
                let values: Vec<String> = values.iter().take(MOST_TOLD).map(say).collect();
                format!(
                    "the values {} of {key} each come before the next one and the last before the first, as told by {}",
                    values.join(", "),
                    sources.join(", ")
                )
            }
            What::Contradiction(one, other, clash) => self.clash(&key, *one, *other, *clash),
        }
    }

    fn clash(&self, key: &str, one: u32, other: u32, clash: Clash) -> String {
        let version = |place: u32| {
            let version = self.txns.version(place as usize);
            version.map_or_else(|| "none".to_owned(), |version| version.to_string())
        };
        let (first, second) = (self.value(one), self.value(other));
        match clash {
            Clash::Same => format!(
                "T1 wrote {first} and T2 wrote {second} to {key}, both as version {}",
                version(one)
            ),
            Clash::Order => format!(
                "T1 wrote {first} to {key} as version {}, T2 wrote {second} as version {}; but they were observed in the opposite order",
                version(one),
                version(other)
            ),
            Clash::Missing => format!(
                "T1 wrote {first} to {key} as version {}, but T2 read {second}, of a later version, without it",
                version(one)
            ),
            Clash::Read => format!(
                "T1 wrote {first} to {key} as version {}, and T2 read it as version {}",
                version(one),
                version(other)
            ),
        }
    }

    /// What a micro-operation wrote or read.
    fn value(&self, place: u32) -> String {
        match self.txns.micros[place as usize].act {
            Act::Write(token) | Act::Read(token) => self.txns.element(token).to_string(),
            Act::ReadList(list) => {
                let list = self.txns.list(list);
                let say = |token: Token| self.txns.element(token).to_string();
                let all: Vec<String> = match list.len() > LONG {
                    false => list.iter().map(say).collect(),
                    true => {
                        let ends = list.first(LONG / 2).iter().map(say);
                        let rest = list.behind(list.len() - LONG / 2).iter().map(say);
                        let cut = format!("… ({} more) …", list.len() - LONG);
                        ends.chain([cut]).chain(rest).collect()
                    }
                };
                format!("[{}]", all.join(", "))
            }
        }
    }
}
