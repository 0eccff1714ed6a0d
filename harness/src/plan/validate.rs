//! What can be run: checked before anything is made, for the command line and for a plan from a file alike.
//!
//! A plan file may come from anywhere: no name in it reaches a path, and no number a loop or an allocation, before it has
//! passed here.

use super::{
    LARGEST_RATE, LONGEST_MS, LONGEST_TEST_NAME, MOST_KEYS, MOST_NODES, MOST_WORKERS, Options,
    Plan, SHORTEST_RECOVERY_MS, SMALLEST_RATE,
};
use crate::failure::Failure;
use crate::names::unknown;
use crate::system;
use keelhaul_nemesis::{Episode, Target};
use std::collections::BTreeSet;
use std::fmt::Display;

type Checked = Result<(), Failure>;

fn refuse(text: String) -> Checked {
    Err(Failure::Usage(text))
}

/// A number within its limits, else a sentence that names its option.
fn within<T: PartialOrd + Display>(option: &str, value: T, least: T, most: T) -> Checked {
    match value >= least && value <= most {
        true => Ok(()),
        false => refuse(format!("--{option} {value}: from {least} to {most}")),
    }
}

/// Refuses options that cannot be run.
pub(super) fn options(options: &Options) -> Checked {
    within("nodes", options.nodes, 1, MOST_NODES)?;
    within("workers", options.workers, 1, MOST_WORKERS)?;
    within("keys", options.keys, 1, MOST_KEYS)?;
    if options.rate != 0.0 && !(SMALLEST_RATE..=LARGEST_RATE).contains(&options.rate) {
        return refuse(format!(
            "--rate {}: operations per second from {SMALLEST_RATE} to {LARGEST_RATE}, or 0 for as fast as answers come",
            options.rate
        ));
    }
    if options.time_limit_ms == 0 || options.time_limit_ms > LONGEST_MS {
        return refuse(format!(
            "--time-limit {}ms: the work needs some time, and a day at most",
            options.time_limit_ms
        ));
    }
    if !(SHORTEST_RECOVERY_MS..=LONGEST_MS).contains(&options.recovery_limit_ms) {
        return refuse(format!(
            "--recovery-limit {}ms: from 1s to a day; no cluster is whole again sooner",
            options.recovery_limit_ms
        ));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = options.nemesis.iter().find(|kind| !seen.insert(**kind)) {
        return refuse(format!(
            "--nemesis names `{twice}` twice: each kind is named once"
        ));
    }
    workload(&options.workload)?;
    match &options.bug {
        Some(bug) => word("--bug", bug),
        None => Ok(()),
    }
}

/// Refuses a plan that cannot be run: its options, its names, its schedule.
pub(super) fn plan(plan: &Plan) -> Checked {
    options(&plan.options)?;
    word("the test's name", &plan.test)?;
    if plan.test == "latest" {
        return refuse(
            "the test's name `latest` is taken by the link to the newest run".to_owned(),
        );
    }
    contract(plan)?;
    checkers(&plan.checkers)?;
    schedule(plan)
}

/// What becomes part of a path or of another program's arguments.
fn word(what: &str, text: &str) -> Checked {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = !text.starts_with('-') && (1..=LONGEST_TEST_NAME).contains(&text.len());
    match fits && text.chars().all(plain) {
        true => Ok(()),
        false => refuse(format!(
            "{what} `{text}`: 1 to {LONGEST_TEST_NAME} of a-z, 0-9 and -, not beginning with -"
        )),
    }
}

fn workload(name: &str) -> Checked {
    let known: Vec<&str> = keelhaul_workloads::list()
        .iter()
        .map(|info| info.name)
        .collect();
    match known.contains(&name) {
        true => Ok(()),
        false => refuse(unknown("workload", name, &known)),
    }
}

fn contract(plan: &Plan) -> Checked {
    let Some(system) = system::by_name(&plan.system) else {
        let known: Vec<&str> = system::SYSTEMS.iter().map(|system| system.name).collect();
        return refuse(unknown("system", &plan.system, &known));
    };
    match plan.contract == system.contract {
        true => Ok(()),
        false => refuse(unknown(
            &format!("contract of the system {}", system.name),
            &plan.contract,
            &[system.contract],
        )),
    }
}

fn checkers(names: &[String]) -> Checked {
    if names.is_empty() {
        return refuse("the plan has no checkers: nothing would be judged".to_owned());
    }
    let known: Vec<&str> = keelhaul_checkers::list()
        .iter()
        .map(|info| info.name)
        .collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => refuse(unknown("checker", name, &known)),
        None => Ok(()),
    }
}

fn schedule(plan: &Plan) -> Checked {
    let nodes = plan.nodes();
    let mut ids = BTreeSet::new();
    for episode in &plan.schedule.episodes {
        if !ids.insert(episode.id) {
            return refuse(format!("two episodes have the id {}", episode.id));
        }
        times(episode)?;
        if let Target::Node(name) = &episode.target
            && !nodes.contains(name)
        {
            let known: Vec<&str> = nodes.iter().map(String::as_str).collect();
            let what = unknown("node", name, &known);
            return refuse(format!("episode {}: {what}", episode.id));
        }
    }
    Ok(())
}

fn times(episode: &Episode) -> Checked {
    match episode.start_ms <= LONGEST_MS && episode.length_ms <= LONGEST_MS {
        true => Ok(()),
        false => refuse(format!(
            "episode {}: start_ms and length_ms are a day at most",
            episode.id
        )),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::plan::Plan;
    use serde_json::{Value, json};

    /// A plan as it is recorded.
    pub(in crate::plan) fn valid() -> Value {
        json!({
            "test": "register-kill", "version": "0.1.0", "seed": 7, "system": "node", "contract": "keelhaul-node",
            "options": {
                "nodes": 3, "workload": "register", "nemesis": ["kill"], "time_limit_ms": 30_000, "rate": 0.0,
                "workers": 4, "keys": 8, "reads": "sync", "recovery_limit_ms": 30_000, "bug": null,
            },
            "node": {"path": "/bin/node", "version": "keelhaul-node 0.1.0", "sha256": "00"},
            "schedule": {"episodes": [
                {"id": 0, "fault": {"kind": "kill"}, "target": "leader", "start_ms": 1_000, "length_ms": 2_000, "draw": 1},
            ]},
            "checkers": ["register-linearizable", "recovery"],
        })
    }

    #[test]
    fn a_recorded_plan_is_accepted() {
        Plan::parse(&valid().to_string()).unwrap();
    }

    #[test]
    fn whatever_is_wrong_in_a_plan_is_named_before_anything_is_made() {
        for (place, wrong, wanted) in [
            ("/test", json!("../../evil"), "../../evil"),
            ("/test", json!(""), "name"),
            ("/test", json!("latest"), "latest"),
            ("/system", json!("nodes"), "did you mean `node`"),
            (
                "/contract",
                json!("keelhaul-nod"),
                "did you mean `keelhaul-node`",
            ),
            ("/checkers", json!([]), "no checkers"),
            (
                "/checkers/0",
                json!("regster-linearizable"),
                "did you mean `register-linearizable`",
            ),
            (
                "/options/workload",
                json!("regsiter"),
                "did you mean `register`",
            ),
            ("/options/nodes", json!(0), "--nodes 0"),
            ("/options/nodes", json!(64), "--nodes 64"),
            ("/options/keys", json!(100_000_000), "--keys 100000000"),
            ("/options/workers", json!(1_000_000), "--workers 1000000"),
            ("/options/rate", json!(-1.0), "--rate -1"),
            ("/options/rate", json!(1e-19), "--rate"),
            ("/options/time_limit_ms", json!(u64::MAX), "--time-limit"),
            ("/options/recovery_limit_ms", json!(0), "--recovery-limit"),
            (
                "/options/recovery_limit_ms",
                json!(u64::MAX),
                "--recovery-limit",
            ),
            ("/options/nemesis", json!(["kill", "kill"]), "`kill` twice"),
            ("/options/nemesis/0", json!("puase"), "puase"),
            ("/options/bug", json!("../x"), "../x"),
            ("/schedule/episodes/0/target", json!({"node": "n9"}), "`n9`"),
            ("/schedule/episodes/0/fault/kind", json!("kil"), "kil"),
            ("/schedule/episodes/0/start_ms", json!(u64::MAX), "start_ms"),
        ] {
            let mut plan = valid();
            *plan.pointer_mut(place).unwrap() = wrong;
            let error = Plan::parse(&plan.to_string()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{place}: {error}");
        }
        let mut twice = valid();
        let episode = twice["schedule"]["episodes"][0].clone();
        twice["schedule"]["episodes"]
            .as_array_mut()
            .unwrap()
            .push(episode);
        let error = Plan::parse(&twice.to_string()).unwrap_err().to_string();
        assert!(error.contains("two episodes"), "{error}");
    }
}
