//! A run that never was: clients on znodes, a leader that changes, faults of every kind, judged by the real checkers.

use crate::plan::Plan;
use keelhaul_checkers::{
    Anomaly, Budget, Event, Extra, History, Kind, Nanos, Process, Results, Validity, by_name, merge,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NODES: usize = 5;
const WORKERS: u64 = 10;
const KEYS: u64 = 6;
const MS: u64 = 1_000_000;
const SETUP: u64 = 1_200 * MS;

/// The parts of a run that a page is made from.
pub(super) struct MadeUp {
    pub(super) plan: Plan,
    pub(super) history: History,
    /// Anomalies beside those that the checkers find.
    pub(super) found: Vec<Anomaly>,
}

/// A sound run of so many seconds of work, so many episodes, and so many operations per second and worker.
pub(super) fn made_up(seconds: u64, episodes: u64, rate: u64) -> MadeUp {
    let mut lines = Lines::default();
    lines.controller(0, "phase", json!({ "phase": "setup" }));
    lines.all_roles(300 * MS, |_| json!("looking"));
    lines.all_roles(900 * MS, |node| {
        json!(if node == 0 { "leader" } else { "follower" })
    });
    lines.controller(SETUP, "phase", json!({ "phase": "work" }));
    let end = SETUP + seconds * 1_000 * MS;
    let outages = lines.faults(end, episodes);
    lines.clients(end, rate, &outages);
    lines.ending(end);
    MadeUp {
        plan: plan(seconds),
        history: lines.into_history(),
        found: Vec::new(),
    }
}

fn plan(seconds: u64) -> Plan {
    let plan = json!({
        "test": "register-kill-pause-partition", "version": "0.1.0", "seed": 7741, "system": "node", "contract": "keelhaul-node",
        "options": {
            "nodes": NODES, "workload": "register", "nemesis": ["kill", "pause", "partition"], "time_limit_ms": seconds * 1_000,
            "rate": 0.0, "workers": WORKERS, "keys": KEYS, "reads": "fenced", "recovery_limit_ms": 30_000, "bug": null,
        },
        "node": { "path": "/opt/keelhaul/keelhaul-node", "version": "keelhaul-node 0.1.0 (features: none)",
                  "sha256": "9f2c1d7be0a64f3d8c5b7a1e2f40916d3b8e7c6a5d4f3e2b1c0a99887766554f" },
        "schedule": { "episodes": [] },
        "checkers": ["register-linearizable", "recovery", "coverage", "stats"],
    });
    serde_json::from_value(plan).expect("a plan as it is stored")
}

impl MadeUp {
    /// What the checkers say of it, and what was found beside.
    pub(super) fn results(&self) -> Results {
        let budget = Budget {
            states: 2_000_000,
            bytes: 64 << 20,
            deadline: None,
        };
        let parameters = self.plan.parameters();
        let findings = self.plan.checkers.iter().map(|name| {
            let checker =
                by_name(name, &parameters).expect("the plan names checkers that there are");
            (name.clone(), checker.check(&self.history, &budget))
        });
        let mut results = merge(findings.collect());
        if !self.found.is_empty() {
            results.valid = Validity::Invalid;
            results.anomalies.extend(self.found.clone());
        }
        results
    }

    /// Lets a read in the middle of the run answer what was true three versions before.
    pub(super) fn make_a_read_stale(&mut self) {
        let middle = self.history.len() / 2;
        let mut events = self.history.to_events();
        let mut seen: BTreeMap<(String, i64), Value> = BTreeMap::new();
        for (place, event) in events.iter_mut().enumerate() {
            let (Some(version), Some(key)) = (event.extra.int("version"), &event.key) else {
                continue;
            };
            let old = seen.get(&(key.to_string(), version - 3));
            if let Some(old) = old.filter(|_| place > middle && &*event.f == "read") {
                event.value = old.clone();
                event.extra.insert("version", version - 3);
                self.history = History::from_events(&events);
                return;
            }
            let value = match &event.value {
                Value::Array(pair) => pair[1].clone(),
                value => value.clone(),
            };
            seen.insert((key.to_string(), version), value);
        }
        panic!("no read could be made stale");
    }

    /// Puts a hostile text wherever a name or a word stands.
    pub(super) fn rename_everything(&mut self, hostile: &str) {
        let mut events = self.history.to_events();
        for event in &mut events {
            match &event.process {
                Process::Client(_) => {
                    event.f = hostile.into();
                    event.key = Some(hostile.into());
                    event.extra.insert("error", hostile);
                    event.extra.insert("server", hostile);
                }
                Process::Named(_) => {
                    if &*event.f == "kill" {
                        event.f = hostile.into();
                    }
                    for field in ["detail", "reason", "target", "node", "role"] {
                        if event.value[field].is_string() {
                            event.value[field] = json!(hostile);
                        }
                    }
                    if event.value["phase"] == "heal" && &*event.f == "phase" {
                        event.value["phase"] = json!(hostile);
                    }
                }
            }
        }
        self.history = History::from_events(&events);
        self.plan.test = hostile.chars().filter(|c| *c != '/').collect();
        self.plan.node.version = hostile.to_owned();
        self.plan.contract = hostile.to_owned();
        self.plan.options.workload = hostile.to_owned();
    }

    /// Makes so many nodes change their role all the time.
    pub(super) fn let_roles_flap(&mut self, nodes: usize, period: Nanos) {
        let end = self.history.last().map_or(0, |event| event.time().0);
        let mut lines = Lines::default();
        lines.0.extend(self.history.to_events());
        for at in (0..end).step_by(period.0 as usize) {
            let node = format!("n{}", at / period.0 % nodes as u64 + 1);
            let role = ["leader", "looking", "follower"][(at / period.0 / 16 % 3) as usize];
            lines.controller(at, "role", json!({ "node": node, "role": role }));
        }
        self.history = lines.into_history();
    }
}

/// The history's lines as they are thought of, not yet in order.
#[derive(Default)]
struct Lines(Vec<Event>);

/// A stretch in which the leader is away, or a node does not answer.
struct Outage {
    from: u64,
    to: u64,
    /// All nodes, or one.
    node: Option<usize>,
}

impl Lines {
    fn controller(&mut self, time: u64, f: &str, value: Value) {
        let process = Process::Named("controller".into());
        self.0.push(Event {
            value,
            ..line(time, process, Kind::Info, f)
        });
    }

    fn nemesis(&mut self, time: u64, f: &str, value: Value) {
        let process = Process::Named("nemesis".into());
        self.0.push(Event {
            value,
            ..line(time, process, Kind::Info, f)
        });
    }

    fn role(&mut self, time: u64, node: usize, role: Value) {
        self.controller(time, "role", json!({ "node": name(node), "role": role }));
    }

    fn all_roles(&mut self, time: u64, role: impl Fn(usize) -> Value) {
        for node in 0..NODES {
            self.role(time, node, role(node));
        }
    }

    /// Faults one after another, and what they do to the roles.
    fn faults(&mut self, end: u64, episodes: u64) -> Vec<Outage> {
        let period = (end - SETUP) / (episodes + 1).max(2);
        let mut outages = Vec::new();
        let mut leader = 0;
        for episode in 0..episodes {
            let from = SETUP + period * (episode + 1) - period / 3;
            let to = from + period * 3 / 5;
            let other = (leader + 2) % NODES;
            let (f, fault, target, targets, links) = match episode % 5 {
                0 => (
                    "kill",
                    json!({ "kind": "kill" }),
                    json!("leader"),
                    vec![leader],
                    vec![],
                ),
                1 => (
                    "partition",
                    shape("halves"),
                    json!("minority"),
                    vec![other, (other + 1) % NODES],
                    cut(&[other, (other + 1) % NODES]),
                ),
                2 => (
                    "pause",
                    json!({ "kind": "pause" }),
                    json!({ "node": name(other) }),
                    vec![other],
                    vec![],
                ),
                3 => (
                    "partition",
                    shape("isolate"),
                    json!("leader"),
                    vec![leader],
                    cut(&[leader]),
                ),
                _ => (
                    "pause",
                    json!({ "kind": "pause" }),
                    json!("leader"),
                    vec![],
                    vec![],
                ),
            };
            let skipped = targets.is_empty();
            let names: Vec<String> = targets.iter().map(|node| name(*node)).collect();
            self.nemesis(from, f, json!({
                "episode": episode, "phase": "install", "fault": fault, "target": target, "targets": names, "links": links,
                "majority": true, "outcome": if skipped { "skipped" } else { "installed" },
                "reason": skipped.then_some("nobody led within 2 s"),
            }));
            if skipped {
                continue;
            }
            let detail = format!(
                "{} was looked at from outside and found as it should be",
                names.join(", ")
            );
            self.nemesis(to - MS, f, json!({ "episode": episode, "phase": "observe", "observed": true, "detail": detail }));
            self.nemesis(
                to,
                f,
                json!({ "episode": episode, "phase": "heal", "outcome": "healed", "reason": null }),
            );
            if targets.contains(&leader) {
                let old = leader;
                leader = (leader + 1) % NODES;
                if f == "kill" {
                    self.role(from + 60 * MS, old, Value::Null);
                }
                for node in (0..NODES).filter(|node| *node != old) {
                    self.role(from + 350 * MS, node, json!("looking"));
                    let role = if node == leader { "leader" } else { "follower" };
                    self.role(from + 700 * MS, node, json!(role));
                }
                self.role(
                    from + 900 * MS,
                    old,
                    if f == "kill" {
                        Value::Null
                    } else {
                        json!("looking")
                    },
                );
                self.role(to + 100 * MS, old, json!("looking"));
                self.role(to + 400 * MS, old, json!("follower"));
                outages.push(Outage {
                    from,
                    to: from + 720 * MS,
                    node: None,
                });
            }
            for node in targets {
                outages.push(Outage {
                    from,
                    to,
                    node: Some(node),
                });
            }
        }
        outages
    }

    /// Every worker reads, writes and compares-and-sets znodes; what is asked in an outage is given up.
    fn clients(&mut self, end: u64, rate: u64, outages: &[Outage]) {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut state: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut next: Vec<(u64, u64)> = (0..WORKERS)
            .map(|worker| (SETUP + worker * MS, worker))
            .collect();
        let mut zxid = 1u64 << 32;
        for fresh in 1.. {
            next.sort_unstable();
            let (at, process) = next[0];
            if at > end {
                break;
            }
            let node = (process % NODES as u64) as usize;
            let away = outages.iter().find(|outage| {
                outage.from <= at + MS
                    && at <= outage.to
                    && outage.node.is_none_or(|hit| hit == node)
            });
            let register = random.random_range(0..KEYS);
            let key = Some(format!("r{register}").into());
            let known = state.get(&register).copied();
            let (f, argument, asked) = match (random.random_range(0..10), known) {
                (_, None) => ("create", json!(fresh), json!({})),
                (0..5, _) => ("read", Value::Null, json!({ "mode": "fenced" })),
                (5..8, _) => ("write", json!(fresh), json!({})),
                (_, Some((value, version))) => {
                    ("cas", json!([value, fresh]), json!({ "expected": version }))
                }
            };
            let client = Process::Client(process);
            self.0.push(Event {
                key: key.clone(),
                value: argument.clone(),
                extra: fields(asked),
                ..line(at, client.clone(), Kind::Invoke, f)
            });
            let mut took = random.random_range(400_000..2_600_000u64);
            if random.random_range(0..400) == 0 {
                took *= 30;
            }
            let mut process = process;
            match away {
                Some(outage) if at + MS >= outage.from => {
                    let waited = (outage.to - at.min(outage.to)).clamp(20 * MS, 900 * MS) + took;
                    let kind = if random.random_range(0..4) == 0 {
                        Kind::Fail
                    } else {
                        Kind::Info
                    };
                    let error = if kind == Kind::Fail {
                        "refused"
                    } else {
                        "timeout"
                    };
                    took = waited;
                    self.0.push(Event {
                        key,
                        value: argument,
                        extra: fields(json!({ "error": error })),
                        ..line(at + took, client, kind, f)
                    });
                    process += WORKERS;
                }
                _ => {
                    let (value, version, shown) = match (f, known) {
                        ("read", Some((value, version))) => (value, version, json!(value)),
                        ("create", _) | (_, None) => (fresh, 0, argument),
                        (_, Some((_, version))) => (fresh, version + 1, argument),
                    };
                    zxid += u64::from(f != "read");
                    state.insert(register, (value, version));
                    let extra = json!({ "server": name(node), "session": format!("0x{process:x}"), "zxid": zxid, "version": version });
                    self.0.push(Event {
                        key,
                        value: shown,
                        extra: fields(extra),
                        ..line(at + took, client, Kind::Ok, f)
                    });
                }
            }
            next[0] = (at + took + 1_000 * MS / rate, process);
        }
    }

    fn ending(&mut self, end: u64) {
        let end = end + 1_500 * MS;
        self.controller(end, "phase", json!({ "phase": "heal" }));
        self.controller(end + 10 * MS, "phase", json!({ "phase": "recover" }));
        for node in 0..NODES {
            let after = (60 + 23 * node as u64) * MS;
            self.controller(
                end + 10 * MS + after,
                "serving",
                json!({ "node": name(node), "after_ns": after }),
            );
        }
        self.controller(end + 300 * MS, "phase", json!({ "phase": "read-back" }));
        let digest = json!({ "znodes": 12, "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" });
        let nodes: BTreeMap<String, Value> = (0..NODES)
            .map(|node| (name(node), digest.clone()))
            .collect();
        self.controller(end + 900 * MS, "replicas", json!({ "equal": true, "reason": null, "zxid": 4294967399u64, "nodes": nodes, "differences": [] }));
        self.controller(end + 950 * MS, "phase", json!({ "phase": "end" }));
    }

    fn into_history(self) -> History {
        let mut events = self.0;
        events.sort_by_key(|event| event.time);
        History::from_events(&events)
    }
}

fn line(time: u64, process: Process, kind: Kind, f: &str) -> Event {
    Event {
        index: 0,
        time: Nanos(time),
        process,
        kind,
        f: f.into(),
        key: None,
        value: Value::Null,
        extra: Extra::new(),
    }
}

fn fields(json: Value) -> Extra {
    match json {
        Value::Object(fields) => Extra::from(fields),
        _ => Extra::new(),
    }
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

fn shape(shape: &str) -> Value {
    json!({ "kind": "partition", "shape": shape })
}

/// Every link between these nodes and the others, both ways.
fn cut(side: &[usize]) -> Vec<[String; 2]> {
    let crosses = |from: usize, to: usize| side.contains(&from) != side.contains(&to);
    let all = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
    all.filter(|(from, to)| crosses(*from, *to))
        .map(|(from, to)| [name(from), name(to)])
        .collect()
}
