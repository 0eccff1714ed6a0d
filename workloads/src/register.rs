//! `register`: many independent znodes, each a versioned register.
//!
//! Proves that reads, writes and compare-and-sets by version take effect in one order that agrees with real time, key by
//! key. With `local` reads it proves only that each session sees its own order. It cannot prove anything about
//! operations across keys, and sees neither watches nor ephemeral znodes.
//!
//! Needs no more than create2, getData and setData (and multi or sync before reads). Values are unique in the whole run,
//! so a value that is read names the write that made it. The first worker at each server only reads ([`Place::reads_only`]):
//!
//! ```text
//! {"process":3,"type":"invoke","f":"cas","key":"r1","value":[4,9],"expected":7}
//! {"process":3,"type":"ok","f":"cas","key":"r1","value":[4,9],"expected":7,"version":8,"zxid":4294967311,…}
//! ```

use crate::options::{Reads, WorkloadOptions};
use crate::slots::{Limits, Presence, Slots};
use crate::stream::stream;
use crate::wire::{Answer, ErrorCode, Stat};
use crate::workload::{Action, Generator, Key, Lesson, Operation, Place, Seen, Workload};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const PARENT: &str = "/keelhaul/register";

/// Of a hundred operations, how many stay at the key of the one before: that is how a compare-and-set gets a chance to find
/// what its worker saw last.
const STAYS_OF_HUNDRED: u32 = 50;
/// Of ten operations on a znode that exists, how many are reads and writes; the rest compares and sets.
const READS_OF_TEN: u32 = 4;
const WRITES_OF_TEN: u32 = 3;

/// The workload.
#[derive(Debug)]
pub(crate) struct Register {
    options: WorkloadOptions,
    slots: Arc<Slots>,
}

/// The workload at its beginning.
pub(crate) fn build(options: &WorkloadOptions) -> Arc<dyn Workload> {
    let limits = Limits {
        operations: options.ops_per_key,
        indeterminate: options.indeterminate_per_key,
    };
    let slots = Arc::new(Slots::new(options.keys, limits));
    Arc::new(Register {
        options: options.clone(),
        slots,
    })
}

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn checkers(&self) -> Vec<&'static str> {
        match self.options.reads {
            Reads::Fenced | Reads::Sync => vec!["register-linearizable"],
            Reads::Local => vec!["register-linearizable", "session-order"],
        }
    }

    fn options(&self) -> &WorkloadOptions {
        &self.options
    }

    fn parents(&self) -> Vec<String> {
        vec![PARENT.to_owned()]
    }

    fn generator(&self, place: Place, seed: u64) -> Box<dyn Generator> {
        let keys = self.slots.count();
        Box::new(RegisterGenerator {
            slots: Arc::clone(&self.slots),
            reads: self.options.reads,
            reads_only: place.reads_only(),
            rng: stream(seed, &format!("worker-{}", place.worker)),
            slot: place.worker % keys,
            next_value: place.worker + 1,
            step: place.workers,
            known: vec![None; keys as usize],
        })
    }

    fn seen(&self, operation: &Operation, answer: &Answer) -> Result<Seen, &'static str> {
        match (&operation.action, answer) {
            (
                Action::Create { path, .. },
                Answer::Created {
                    path: made,
                    stat: Some(stat),
                },
            ) => {
                if made != path {
                    return Err("another path was created than asked for");
                }
                Ok(Seen {
                    value: operation.value.clone(),
                    fields: stat_fields(stat),
                })
            }
            (Action::Set { .. }, Answer::Stat(stat)) => Ok(Seen {
                value: operation.value.clone(),
                fields: stat_fields(stat),
            }),
            (Action::Read { .. }, Answer::Data { data, stat }) => Ok(Seen {
                value: decode(data),
                fields: stat_fields(stat),
            }),
            _ => Err("an answer of another kind"),
        }
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

/// The value and version that a worker last saw of a key.
#[derive(Debug, Clone, Copy)]
struct Known {
    number: u64,
    value: i64,
    version: i32,
}

struct RegisterGenerator {
    slots: Arc<Slots>,
    reads: Reads,
    reads_only: bool,
    rng: ChaCha8Rng,
    /// Where the last operation was.
    slot: u64,
    next_value: u64,
    step: u64,
    /// By slot.
    known: Vec<Option<Known>>,
}

impl Generator for RegisterGenerator {
    fn next(&mut self) -> Operation {
        // The same draws for every operation, whatever comes of it: what a worker chooses does not depend on what it saw.
        let other = self.rng.random_range(0..self.known.len() as u64);
        if self.rng.random_range(0..100) >= STAYS_OF_HUNDRED {
            self.slot = other;
        }
        let slot = self.slot;
        let die = self.rng.random_range(0..10);
        let value = self.next_value;
        self.next_value += self.step;

        if self.reads_only
            && let Some(number) = self.slots.draw_present(slot)
        {
            return read(number, self.reads);
        }
        let drawn = self.slots.draw(slot);
        let number = drawn.number;
        let known = self.known[slot as usize].filter(|known| known.number == number);
        match (drawn.presence, known) {
            (Presence::Absent, _) => create(number, value),
            _ if die < READS_OF_TEN => read(number, self.reads),
            _ if die < READS_OF_TEN + WRITES_OF_TEN => write(number, value),
            (_, Some(known)) => cas(number, known, value),
            (_, None) => read(number, self.reads),
        }
    }

    fn learn(&mut self, operation: &Operation, lesson: Lesson<'_>) {
        let number = operation.key.number;
        let slot = (number % self.known.len() as u64) as usize;
        let made = matches!(operation.action, Action::Create { .. });
        match lesson {
            Lesson::Seen(seen) => {
                self.slots.present(number);
                self.known[slot] = known(number, operation, seen);
            }
            Lesson::Error(ErrorCode::NodeExists) => self.slots.present(number),
            // What was known is out of date: a read must come before the next compare-and-set.
            Lesson::Error(_) if !made => self.known[slot] = None,
            Lesson::Error(_) | Lesson::Failed | Lesson::Indeterminate if made => {
                self.slots.not_made(number);
            }
            _ => {}
        }
        if lesson == Lesson::Indeterminate {
            self.slots.indeterminate(number);
        }
    }
}

/// What a completion tells about the key's value and version.
fn known(number: u64, operation: &Operation, seen: &Seen) -> Option<Known> {
    let value = match operation.f {
        "cas" => &seen.value[1],
        _ => &seen.value,
    };
    let version = seen.fields.get("version")?.as_i64()?;
    Some(Known {
        number,
        value: value.as_i64()?,
        version: i32::try_from(version).ok()?,
    })
}

fn operation(f: &'static str, number: u64, value: Value, action: Action) -> Operation {
    Operation {
        f,
        key: Key {
            letter: 'r',
            number,
        },
        value,
        extra: Map::new(),
        action,
    }
}

fn create(number: u64, value: u64) -> Operation {
    let action = Action::Create {
        parent: None,
        path: path(number),
        data: encode(value),
    };
    operation("create", number, json!(value), action)
}

fn write(number: u64, value: u64) -> Operation {
    let action = Action::Set {
        path: path(number),
        data: encode(value),
        version: None,
    };
    operation("write", number, json!(value), action)
}

fn cas(number: u64, known: Known, value: u64) -> Operation {
    let version = Some(known.version);
    let action = Action::Set {
        path: path(number),
        data: encode(value),
        version,
    };
    let mut cas = operation("cas", number, json!([known.value, value]), action);
    cas.extra.insert("expected".into(), json!(known.version));
    cas
}

fn read(number: u64, mode: Reads) -> Operation {
    let action = Action::Read {
        path: path(number),
        mode,
    };
    let mut read = operation("read", number, Value::Null, action);
    read.extra.insert("mode".into(), json!(mode));
    read
}

fn path(number: u64) -> String {
    format!("{PARENT}/r{number}")
}

fn encode(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The number that the znode holds; what is no number was never written, and is shown as text for the checker to find.
fn decode(data: &[u8]) -> Value {
    let text = String::from_utf8_lossy(data);
    match text.parse::<i64>() {
        Ok(value) => json!(value),
        Err(_) => json!(text),
    }
}

fn stat_fields(stat: &Stat) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("version".into(), json!(stat.version));
    fields.insert("mzxid".into(), json!(stat.mzxid));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn workload() -> Arc<dyn Workload> {
        build(&WorkloadOptions {
            keys: 3,
            ops_per_key: 50,
            ..WorkloadOptions::default()
        })
    }

    /// One server, so that the first worker of four only reads.
    fn place(worker: u64) -> Place {
        let (workers, servers) = (4, 1);
        Place {
            worker,
            workers,
            servers,
        }
    }

    fn seen(value: Value, version: i32) -> Seen {
        Seen {
            value,
            fields: stat_fields(&Stat {
                version,
                ..Stat::default()
            }),
        }
    }

    /// The first operations of a worker whose every operation succeeds.
    fn lucky(seed: u64, count: usize) -> Vec<Operation> {
        let mut generator = workload().generator(place(1), seed);
        let mut operations = Vec::new();
        for version in 0..count {
            let operation = generator.next();
            let value = match operation.f {
                "read" => json!(1),
                _ => operation.value.clone(),
            };
            generator.learn(&operation, Lesson::Seen(&seen(value, version as i32)));
            operations.push(operation);
        }
        operations
    }

    #[test]
    fn the_same_seed_gives_the_same_operations() {
        assert_eq!(lucky(5, 300), lucky(5, 300));
        assert_ne!(lucky(5, 300), lucky(6, 300));
    }

    #[test]
    fn every_key_begins_with_a_create_and_values_are_never_used_twice() {
        let operations = lucky(5, 500);
        let mut keys = BTreeSet::new();
        let mut values = BTreeSet::new();
        for operation in &operations {
            assert_eq!(keys.insert(operation.key), operation.f == "create");
            if let Action::Create { data, .. } | Action::Set { data, .. } = &operation.action {
                assert!(values.insert(data.clone()));
            }
        }
        assert!(keys.len() > 3, "keys retire");
        for f in ["read", "write", "cas"] {
            let count = operations
                .iter()
                .filter(|operation| operation.f == f)
                .count();
            assert!(count > 100, "{count} of 500 are {f}");
        }
    }

    #[test]
    fn a_compare_and_set_uses_what_was_seen_last_and_a_bad_version_makes_it_forget() {
        let mut generator = workload().generator(place(1), 9);
        let mut last = vec![None; 3];
        for round in 0..200 {
            let operation = generator.next();
            let slot = (operation.key.number % 3) as usize;
            match operation.f {
                "cas" => {
                    assert_eq!(
                        last[slot],
                        Some((operation.key, operation.value[0].clone()))
                    );
                    generator.learn(&operation, Lesson::Error(ErrorCode::BadVersion));
                    last[slot] = None;
                }
                "read" => {
                    generator.learn(&operation, Lesson::Seen(&seen(json!(round), round)));
                    last[slot] = Some((operation.key, json!(round)));
                }
                _ => generator.learn(&operation, Lesson::Failed),
            }
        }
    }

    #[test]
    fn a_worker_that_only_reads_makes_what_nobody_has_made_and_then_reads_whatever_is_there() {
        let workload = workload();
        let mut reader = workload.generator(place(0), 3);
        let mut writer = workload.generator(place(1), 3);
        let first = reader.next();
        assert_eq!(first.f, "create");
        reader.learn(&first, Lesson::Failed);
        let made = writer.next();
        assert_eq!(made.f, "create");
        writer.learn(&made, Lesson::Seen(&seen(made.value.clone(), 0)));
        for _ in 0..200 {
            let operation = reader.next();
            assert_eq!((operation.f, operation.key), ("read", made.key));
            reader.learn(&operation, Lesson::Seen(&seen(made.value.clone(), 0)));
        }
    }

    #[test]
    fn each_server_has_one_worker_that_only_reads_unless_too_few_would_write() {
        let readers = |workers, servers| {
            let place = |worker| Place {
                worker,
                workers,
                servers,
            };
            (0..workers)
                .filter(|&worker| place(worker).reads_only())
                .count()
        };
        assert_eq!(readers(10, 5), 5);
        assert_eq!(readers(30, 5), 5);
        assert_eq!(readers(4, 5), 2);
        assert_eq!(readers(1, 5), 0);
    }

    #[test]
    fn data_that_nobody_wrote_is_shown_as_it_is() {
        assert_eq!(decode(b"17"), json!(17));
        assert_eq!(decode(b"\xffx"), json!("\u{fffd}x"));
    }

    #[test]
    fn an_answer_of_another_kind_is_refused() {
        let workload = workload();
        let operation = read(0, Reads::Local);
        assert!(workload.seen(&operation, &Answer::Done).is_err());
    }
}
