//! Histories as a run of the `register` or `set` workload records them: many workers, many keys, lost answers, every field.

use super::Script;
use super::random::pick;
use keelhaul_checkers::{History, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a run is like.
pub struct Run {
    pub seed: u64,
    pub workers: usize,
    pub operations: usize,
    /// Keys retire after so many operations; eight are in use at a time.
    pub operations_per_key: usize,
    /// One in so many answers is lost.
    pub lost_one_in: u32,
    /// `fenced`, or `local` with servers that lag behind.
    pub mode: &'static str,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            seed: 1,
            workers: 10,
            operations: 3_000,
            operations_per_key: 300,
            lost_one_in: 50,
            mode: "fenced",
        }
    }
}

struct InFlight {
    worker: usize,
    process: u64,
    f: &'static str,
    key: String,
    argument: Value,
    expected: Option<i64>,
    answer: Option<Value>,
}

#[derive(Default)]
struct Store {
    zxid: i64,
    /// Each key's versions: (value, zxid).
    keys: BTreeMap<String, Vec<(i64, i64)>>,
    /// What each worker's session has seen.
    seen: BTreeMap<u64, i64>,
}

impl Store {
    fn apply(&mut self, call: &InFlight, lag: Option<&mut ChaCha8Rng>) -> Value {
        let newest = self.keys.entry(call.key.clone()).or_default().len() as i64 - 1;
        let refused = match call.f {
            "read" => return self.read(call, lag),
            "create" if newest >= 0 => Some("NodeExists"),
            "create" => None,
            _ if newest < 0 => Some("NoNode"),
            "cas" if call.expected != Some(newest) => Some("BadVersion"),
            _ => None,
        };
        let answer = match refused {
            Some(error) => json!({ "error": error, "zxid": self.zxid }),
            None => {
                let value = if call.f == "cas" {
                    &call.argument[1]
                } else {
                    &call.argument
                };
                self.zxid += 1;
                self.keys
                    .get_mut(&call.key)
                    .unwrap()
                    .push((value.as_i64().unwrap(), self.zxid));
                json!({ "version": newest + 1, "zxid": self.zxid, "mzxid": self.zxid })
            }
        };
        self.seen.insert(call.process, self.zxid);
        answer
    }

    fn read(&mut self, call: &InFlight, lag: Option<&mut ChaCha8Rng>) -> Value {
        let seen = *self.seen.get(&call.process).unwrap_or(&0);
        let prefix = lag.map_or(self.zxid, |rng| rng.random_range(seen..=self.zxid));
        self.seen.insert(call.process, prefix);
        let versions = &self.keys[&call.key];
        match versions.iter().rposition(|(_, zxid)| *zxid <= prefix) {
            None => json!({ "error": "NoNode", "zxid": prefix }),
            Some(at) => {
                json!({ "value": versions[at].0, "version": at, "mzxid": versions[at].1, "zxid": prefix })
            }
        }
    }
}

/// A sound run of the `register` workload, with a final fenced read of every key.
pub fn register(run: &Run) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
    let (mut script, mut store) = (Script::default(), Store::default());
    let mut open: Vec<InFlight> = Vec::new();
    let mut processes: Vec<u64> = (0..run.workers as u64).collect();
    let (mut begun, mut value) = (0, 0);
    while begun < run.operations || !open.is_empty() {
        let idle = (0..run.workers).find(|worker| open.iter().all(|call| call.worker != *worker));
        if let Some(worker) = idle.filter(|_| begun < run.operations && rng.random_bool(0.6)) {
            let first_key = begun / run.operations_per_key * 8;
            let key = format!("r{}", first_key + rng.random_range(0..8));
            let call = ask(&mut rng, &store, worker, processes[worker], key, &mut value);
            let asked = match call.f {
                "cas" => json!({ "expected": call.expected }),
                "read" => json!({ "mode": run.mode }),
                _ => Value::Null,
            };
            script.client(
                call.process,
                Kind::Invoke,
                call.f,
                Some(&call.key),
                call.argument.clone(),
                asked,
            );
            open.push(call);
            begun += 1;
        }
        if open.is_empty() {
            continue;
        }
        let at = rng.random_range(0..open.len());
        if open[at].answer.is_none() {
            let lag = if run.mode == "local" {
                Some(&mut rng)
            } else {
                None
            };
            open[at].answer = Some(store.apply(&open[at], lag));
        } else {
            let call = open.swap_remove(at);
            let lost = rng.random_range(0..run.lost_one_in) == 0;
            if lost {
                processes[call.worker] += run.workers as u64;
            }
            complete(&mut script, &call, lost);
        }
    }
    let keys: Vec<String> = store.keys.keys().cloned().collect();
    for key in keys {
        let read = InFlight {
            worker: 0,
            process: 1_000_000,
            f: "read",
            key,
            argument: Value::Null,
            expected: None,
            answer: None,
        };
        script.client(
            read.process,
            Kind::Invoke,
            "read",
            Some(&read.key),
            Value::Null,
            json!({ "mode": "fenced", "final": true }),
        );
        let answer = Some(store.apply(&read, None));
        complete(&mut script, &InFlight { answer, ..read }, false);
    }
    script.history
}

fn ask(
    rng: &mut ChaCha8Rng,
    store: &Store,
    worker: usize,
    process: u64,
    key: String,
    value: &mut i64,
) -> InFlight {
    let newest = store.keys.get(&key).map_or(0, Vec::len) as i64 - 1;
    *value += 1;
    let (f, argument, expected) = match rng.random_range(0..10) {
        _ if newest < 0 => ("create", json!(*value), None),
        0..=2 => ("write", json!(*value), None),
        3 | 4 => {
            let expected = (newest - rng.random_range(0..2)).max(0);
            let old = store.keys[&key][expected as usize].0;
            ("cas", json!([old, *value]), Some(expected))
        }
        _ => ("read", Value::Null, None),
    };
    InFlight {
        worker,
        process,
        f,
        key,
        argument,
        expected,
        answer: None,
    }
}

fn complete(script: &mut Script, call: &InFlight, lost: bool) {
    let key = Some(&*call.key);
    if lost {
        let why = json!({ "error": "ConnectionLoss" });
        return script.client(
            call.process,
            Kind::Info,
            call.f,
            key,
            call.argument.clone(),
            why,
        );
    }
    let mut answer = call.answer.clone().unwrap();
    answer["server"] = json!(format!("n{}", call.worker % 5 + 1));
    answer["session"] = json!(format!("0x{:x}", call.process));
    let fields = answer.as_object_mut().unwrap();
    let value = match call.f {
        "read" => fields.remove("value").unwrap_or_default(),
        _ => call.argument.clone(),
    };
    script.client(call.process, Kind::Ok, call.f, key, value, answer);
}

/// A sound run of the `set` workload, with a final fenced read of every parent.
pub fn set(run: &Run) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
    let mut script = Script::default();
    let mut parents: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let fields = json!({ "server": "n1", "session": "0x1", "zxid": 1 });
    for element in 0..run.operations as i64 {
        let key = format!("p{}", element as usize / run.operations_per_key);
        let process = element as u64;
        if rng.random_bool(0.1) {
            let mode = *pick(&mut rng, &["fenced", "local"]);
            script.client(
                process,
                Kind::Invoke,
                "read",
                Some(&key),
                Value::Null,
                json!({ "mode": mode }),
            );
            let mut shown = parents.get(&key).cloned().unwrap_or_default();
            if mode == "local" {
                shown.truncate(rng.random_range(0..=shown.len()));
            }
            script.client(
                process,
                Kind::Ok,
                "read",
                Some(&key),
                json!(shown),
                fields.clone(),
            );
            continue;
        }
        script.client(
            process,
            Kind::Invoke,
            "add",
            Some(&key),
            json!(element),
            Value::Null,
        );
        if rng.random_range(0..run.lost_one_in) > 0 {
            parents.entry(key.clone()).or_default().push(element);
            script.client(
                process,
                Kind::Ok,
                "add",
                Some(&key),
                json!(element),
                fields.clone(),
            );
        } else {
            if rng.random_bool(0.5) {
                parents.entry(key.clone()).or_default().push(element);
            }
            script.client(
                process,
                Kind::Info,
                "add",
                Some(&key),
                json!(element),
                Value::Null,
            );
        }
    }
    for (key, shown) in parents {
        let process = 1_000_000;
        script.client(
            process,
            Kind::Invoke,
            "read",
            Some(&key),
            Value::Null,
            json!({ "mode": "fenced", "final": true }),
        );
        script.client(
            process,
            Kind::Ok,
            "read",
            Some(&key),
            json!(shown),
            fields.clone(),
        );
    }
    script.history
}
