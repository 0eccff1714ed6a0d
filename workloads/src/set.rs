//! `set`: unique elements, added by all workers under rotating parents.
//!
//! Proves that no acknowledged element is lost, that none appears that nobody added, that none is there twice, and that
//! reads see everything that was acknowledged before they began. It says nothing about the order among elements.
//!
//! Needs create2 and getChildren2. An element's number is in its znode's name, so that an indeterminate create is
//! recognised when it is seen later. Parents are made by whoever adds the first element; that is no recorded operation.
//!
//! ```text
//! {"process":3,"type":"invoke","f":"add","key":"p3","value":812}
//! {"process":4,"type":"ok","f":"read","key":"p3","value":[1,5,812],"mode":"fenced",…}
//! ```

use crate::options::{Reads, WorkloadOptions};
use crate::slots::{Drawn, Limits, Presence, Slots};
use crate::stream::stream;
use crate::wire::{Answer, ErrorCode};
use crate::workload::{Action, Generator, Key, Lesson, Operation, Place, Seen, Workload};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const PARENT: &str = "/keelhaul/set";

/// Most children that a parent gets: a read's answer carries them all.
const MOST_CHILDREN: u64 = 2_000;

/// Of a hundred operations, how many are reads; the rest adds.
const READS_OF_HUNDRED: u32 = 5;

/// The workload.
#[derive(Debug)]
pub(crate) struct Set {
    options: WorkloadOptions,
    slots: Arc<Slots>,
}

/// The workload at its beginning.
pub(crate) fn build(options: &WorkloadOptions) -> Arc<dyn Workload> {
    let limits = Limits {
        operations: options.ops_per_key.min(MOST_CHILDREN),
        indeterminate: options.indeterminate_per_key,
    };
    let slots = Arc::new(Slots::new(options.keys, limits));
    Arc::new(Set {
        options: options.clone(),
        slots,
    })
}

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn checkers(&self) -> Vec<&'static str> {
        vec!["set-once"]
    }

    fn options(&self) -> &WorkloadOptions {
        &self.options
    }

    fn parents(&self) -> Vec<String> {
        vec![PARENT.to_owned()]
    }

    fn generator(&self, place: Place, seed: u64) -> Box<dyn Generator> {
        Box::new(SetGenerator {
            slots: Arc::clone(&self.slots),
            reads: self.options.reads,
            rng: stream(seed, &format!("worker-{}", place.worker)),
            next_element: place.worker + 1,
            step: place.workers,
        })
    }

    fn seen(&self, operation: &Operation, answer: &Answer) -> Result<Seen, &'static str> {
        let value = match (&operation.action, answer) {
            (Action::Create { path, .. }, Answer::Created { path: made, .. }) if made == path => {
                operation.value.clone()
            }
            (Action::Create { .. }, Answer::Created { .. }) => {
                return Err("another path was created than asked for");
            }
            (Action::List { .. }, Answer::Children { names, .. }) => elements(names),
            _ => return Err("an answer of another kind"),
        };
        Ok(Seen {
            value,
            fields: Map::new(),
        })
    }

    fn final_reads(&self) -> Vec<Operation> {
        let read = |number| {
            let mut operation = read(number, Reads::Fenced);
            operation.extra.insert("final".into(), json!(true));
            operation
        };
        self.slots.used().into_iter().map(read).collect()
    }
}

struct SetGenerator {
    slots: Arc<Slots>,
    reads: Reads,
    rng: ChaCha8Rng,
    next_element: u64,
    step: u64,
}

impl Generator for SetGenerator {
    fn next(&mut self) -> Operation {
        let slot = self.rng.random_range(0..self.slots.count());
        let die = self.rng.random_range(0..100);
        let element = self.next_element;
        self.next_element += self.step;

        let drawn = self.slots.draw(slot);
        if drawn.presence == Presence::Present && die < READS_OF_HUNDRED {
            read(drawn.number, self.reads)
        } else {
            add(drawn, element)
        }
    }

    fn learn(&mut self, operation: &Operation, lesson: Lesson<'_>) {
        let number = operation.key.number;
        let added = matches!(operation.action, Action::Create { .. });
        match lesson {
            Lesson::Seen(_) | Lesson::Error(ErrorCode::NodeExists) if added => {
                self.slots.present(number);
            }
            Lesson::Indeterminate => self.slots.indeterminate(number),
            _ => {}
        }
    }
}

fn add(drawn: Drawn, element: u64) -> Operation {
    let parent = format!("{PARENT}/p{}", drawn.number);
    let path = format!("{parent}/e{element:010}");
    // Until the parent has been seen, every add makes sure of it; that it exists already is fine.
    let parent = (drawn.presence != Presence::Present).then_some(parent);
    Operation {
        f: "add",
        key: Key {
            letter: 'p',
            number: drawn.number,
        },
        value: json!(element),
        extra: Map::new(),
        action: Action::Create {
            parent,
            path,
            data: Vec::new(),
        },
    }
}

fn read(number: u64, mode: Reads) -> Operation {
    let mut extra = Map::new();
    extra.insert("mode".into(), json!(mode));
    Operation {
        f: "read",
        key: Key {
            letter: 'p',
            number,
        },
        value: Value::Null,
        extra,
        action: Action::List {
            path: format!("{PARENT}/p{number}"),
            mode,
        },
    }
}

/// The elements' numbers, sorted; names that no add has made come after them as they are, for the checker to find.
fn elements(names: &[String]) -> Value {
    let mut numbers = Vec::with_capacity(names.len());
    let mut strangers = Vec::new();
    for name in names {
        match name
            .strip_prefix('e')
            .and_then(|digits| digits.parse::<u64>().ok())
        {
            Some(number) => numbers.push(number),
            None => strangers.push(name.as_str()),
        }
    }
    numbers.sort_unstable();
    strangers.sort_unstable();
    let numbers = numbers.into_iter().map(Value::from);
    numbers
        .chain(strangers.into_iter().map(Value::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn workload() -> Arc<dyn Workload> {
        build(&WorkloadOptions {
            keys: 2,
            ops_per_key: 30,
            ..WorkloadOptions::default()
        })
    }

    fn place(worker: u64) -> Place {
        let (workers, servers) = (2, 1);
        Place {
            worker,
            workers,
            servers,
        }
    }

    #[test]
    fn elements_are_unique_over_all_workers_and_parents_hold_no_more_than_their_limit() {
        let workload = workload();
        let mut generators = [0, 1].map(|worker| workload.generator(place(worker), 4));
        let mut elements = BTreeSet::new();
        let mut children = std::collections::BTreeMap::new();
        for round in 0..400 {
            let generator = &mut generators[round % 2];
            let operation = generator.next();
            let seen = Seen {
                value: operation.value.clone(),
                fields: Map::new(),
            };
            generator.learn(&operation, Lesson::Seen(&seen));
            if operation.f == "add" {
                assert!(elements.insert(operation.value.to_string()));
                *children.entry(operation.key).or_insert(0) += 1;
            }
        }
        assert!(children.len() > 4);
        assert!(children.values().all(|count| *count <= 30));
        assert_eq!(workload.final_reads().len(), children.len());
    }

    #[test]
    fn a_parent_is_made_until_somebody_has_seen_it_and_read_only_then() {
        let workload = workload();
        let mut generator = workload.generator(place(0), 4);
        for _ in 0..50 {
            let operation = generator.next();
            let makes = matches!(
                &operation.action,
                Action::Create {
                    parent: Some(_),
                    ..
                }
            );
            assert!(makes, "{operation:?}");
            generator.learn(&operation, Lesson::Failed);
        }
    }

    #[test]
    fn names_are_read_as_numbers_and_strangers_are_kept() {
        let names = ["e0000000812", "what", "e0000000005"].map(String::from);
        assert_eq!(elements(&names), json!([5, 812, "what"]));
    }
}
