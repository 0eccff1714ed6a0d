//! Golden histories, named after what they show, and what is said of each.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod common;

use common::{Script, edit, judge, judge_with};
use keelhaul_checkers::{
    Finding, History, Kind, Nanos, Parameters, Results, Validity, Verdict, by_name, list, merge,
    render,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// File, checker, and what it says: `valid`, `unknown: part of a reason`, or the anomalies' names.
const GOLDEN: &[(&str, &str, &str)] = &[
    ("watch-event-never-came", "watch", "missed-event"),
    ("watch-event-after-the-data", "watch", "data-before-event"),
    ("watch-event-twice", "watch", "unregistered-event"),
    ("watch-event-of-nothing", "watch", "event-without-change"),
    ("watch-persistent-fires-only-once", "watch", "missed-event"),
    (
        "watch-persistent-tells-a-change-twice",
        "watch",
        "event-twice",
    ),
    (
        "watch-recursive-tells-of-everything-below",
        "watch",
        "valid",
    ),
    (
        "watch-recursive-tells-nothing-of-children",
        "watch",
        "unregistered-event",
    ),
    (
        "watch-event-after-its-removal",
        "watch",
        "unregistered-event",
    ),
    (
        "watch-half-removed-still-tells-of-data",
        "watch",
        "missed-event",
    ),
    ("watch-events-out-of-order", "watch", "events-out-of-order"),
    (
        "watch-read-that-is-older-than-an-event",
        "watch",
        "stale-read-after-event",
    ),
    (
        "watch-persistent-replays-nothing-after-reconnecting",
        "watch",
        "valid",
    ),
    (
        "watch-persistent-stands-again-after-reconnecting",
        "watch",
        "missed-event",
    ),
    ("watch-fires-for-a-later-change", "watch", "missed-event"),
    (
        "watch-change-before-the-next-registration-is-unseen",
        "watch",
        "valid",
    ),
    (
        "register-stale-read-after-acknowledged-write",
        "register-linearizable",
        "nonlinearizable",
    ),
    (
        "register-two-writes-acknowledged-at-one-version",
        "register-linearizable",
        "nonlinearizable",
    ),
    (
        "register-two-writes-acknowledged-at-one-version",
        "session-order",
        "zxid-reused",
    ),
    (
        "register-unseen-indeterminate-write-explains-version-gap",
        "register-linearizable",
        "valid",
    ),
    (
        "register-version-gap-without-any-write",
        "register-linearizable",
        "nonlinearizable",
    ),
    (
        "register-value-seen-and-then-gone",
        "register-linearizable",
        "nonlinearizable",
    ),
    (
        "register-indeterminate-cas-took-effect-late",
        "register-linearizable",
        "valid",
    ),
    (
        "register-bad-version-although-it-was-that-version",
        "register-linearizable",
        "nonlinearizable",
    ),
    (
        "plain-register-initial-value-read-after-a-write",
        "register",
        "nonlinearizable",
    ),
    (
        "plain-register-indeterminate-write-between-two-reads",
        "register",
        "valid",
    ),
    (
        "plain-register-write-of-a-closed-session-takes-effect",
        "register",
        "nonlinearizable",
    ),
    (
        "plain-register-each-of-two-values-before-the-other",
        "register",
        "nonlinearizable",
    ),
    (
        "cas-register-one-value-taken-twice",
        "cas-register",
        "nonlinearizable",
    ),
    (
        "cas-register-chain-read-backwards",
        "cas-register",
        "nonlinearizable",
    ),
    (
        "cas-register-failed-on-an-unseen-write",
        "cas-register",
        "valid",
    ),
    ("cas-register-ring", "cas-register", "nonlinearizable"),
    (
        "session-goes-back-on-another-key",
        "session-order",
        "session-went-back",
    ),
    (
        "session-goes-back-on-another-key",
        "register-linearizable",
        "valid",
    ),
    (
        "session-stale-local-read-is-allowed",
        "session-order",
        "valid",
    ),
    (
        "session-stale-local-read-is-allowed",
        "register-linearizable",
        "valid",
    ),
    (
        "session-does-not-see-its-own-write",
        "session-order",
        "session-went-back",
    ),
    ("set-acknowledged-element-lost", "set", "lost"),
    ("set-stale-read", "set", "stale"),
    ("set-element-twice", "set", "duplicated"),
    ("set-element-that-nobody-added", "set", "unexpected"),
    ("set-never-read-again", "set", "valid"),
    (
        "set-never-read-again",
        "set-once",
        "unknown: 1 parent was never read again by a linearizable read after 3 acknowledged adds: p0",
    ),
    ("set-indeterminate-add-seen", "set", "valid"),
    (
        "set-two-reads-that-disagree-on-the-order",
        "set",
        "unordered",
    ),
    ("run-kill-of-the-leader", "recovery", "valid"),
    ("run-kill-of-the-leader", "coverage", "valid"),
    ("run-node-not-recovered", "recovery", "not-recovered"),
    (
        "run-wait-for-recovery-cut-short",
        "recovery",
        "unknown: n2 had not served when the wait ended after 3.000 s",
    ),
    ("run-replicas-differ", "recovery", "replicas-differ"),
    (
        "run-replicas-differ-by-their-digests-alone",
        "recovery",
        "replicas-differ",
    ),
    (
        "run-replicas-said-to-be-equal-with-other-digests",
        "recovery",
        "unknown: the replicas are said to be equal, but their digests differ: n1 aa, n2 bb",
    ),
    (
        "run-replicas-said-to-be-equal-with-other-counts",
        "recovery",
        "unknown: the replicas are said to be equal, but their counts of znodes differ: n1 2, n2 3",
    ),
    (
        "run-replicas-said-to-differ-with-equal-digests",
        "recovery",
        "unknown: the replicas are said to differ, but their digests are equal",
    ),
    (
        "run-replicas-not-comparable",
        "recovery",
        "unknown: n2 did not answer",
    ),
    (
        "run-replicas-not-compared",
        "recovery",
        "unknown: the replicas were not compared",
    ),
    (
        "run-controller-stalled-during-recovery",
        "recovery",
        "valid",
    ),
    (
        "run-fault-skipped",
        "coverage",
        "unknown: kill: 0 of 1 episodes were installed",
    ),
    (
        "run-fault-held-too-shortly",
        "coverage",
        "unknown: kill: it was held for 0.400 s at most",
    ),
    (
        "run-fault-without-effect",
        "coverage",
        "unknown: its effect was never seen from outside (last look: process 4711",
    ),
    (
        "run-nothing-succeeded-although-a-majority-was-connected",
        "coverage",
        "unknown: nothing was read or written during episode 0 (kill, 6.0 s with a majority)",
    ),
    (
        "run-nothing-read-during-a-pause",
        "coverage",
        "unknown: nothing was read during episode 0 (pause, 3.0 s with a majority)",
    ),
    // What is left of it beside the stall is still long enough.
    (
        "run-nothing-succeeded-beside-a-short-stall",
        "coverage",
        "unknown: nothing was read or written during episode 0 (pause, 2.6 s with a majority)",
    ),
    (
        "run-nothing-succeeded-around-a-stall",
        "coverage",
        "unknown: kill: no episode of it took place",
    ),
    (
        "run-nothing-succeeded-without-a-majority",
        "coverage",
        "valid",
    ),
    (
        "run-majority-lost-to-an-overlapping-episode",
        "coverage",
        "unknown: none of its episodes with a majority was long enough",
    ),
    (
        "run-episode-too-short-to-see-a-success",
        "coverage",
        "unknown: none of its episodes with a majority was long enough",
    ),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn golden(file: &str) -> History {
    let file = std::fs::File::open(folder().join(format!("{file}.jsonl"))).unwrap();
    let (history, notes) = History::read(file).unwrap();
    assert!(notes.is_empty());
    history
}

fn parameters() -> Parameters {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Parameters {
        nodes: names(&["n1", "n2", "n3"]),
        faults: names(&["kill"]),
        ..Parameters::default()
    }
}

fn said(finding: &Finding) -> String {
    match &finding.verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Invalid(anomalies) => {
            let kinds: Vec<&str> = anomalies.iter().map(|anomaly| &*anomaly.kind).collect();
            kinds.join(" ")
        }
        Verdict::Unknown(reasons) => {
            let texts: Vec<&str> = reasons.iter().map(|reason| &*reason.text).collect();
            format!("unknown: {}", texts.join("; "))
        }
    }
}

#[test]
fn golden_histories_get_their_verdicts() {
    for (file, checker, expected) in GOLDEN {
        let finding = judge_with(checker, &parameters(), &golden(file));
        let said = said(&finding);
        let fits = match expected.strip_prefix("unknown: ") {
            Some(part) => said.starts_with("unknown: ") && said.contains(part),
            None => said == *expected,
        };
        assert!(
            fits,
            "{file}, {checker}: expected {expected}, got {said}\n{:#}",
            finding.details
        );
    }
}

#[test]
fn every_golden_file_is_judged() {
    let named: BTreeSet<String> = GOLDEN
        .iter()
        .map(|(file, ..)| format!("{file}.jsonl"))
        .collect();
    // Folders belong to the tests of their name.
    let files = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<String>>(), named);
}

#[test]
fn every_alias_is_listed_and_known() {
    let known = list();
    let aliases = known
        .iter()
        .flat_map(|row| row.aliases.iter().map(move |alias| (row, alias)));
    let mut count = 0;
    for (row, alias) in aliases {
        let checker = by_name(alias, &parameters()).unwrap();
        assert_eq!(checker.name(), row.name);
        assert!(row.about.contains(alias), "{}", row.about);
        assert!(known.iter().all(|other| other.name != *alias));
        count += 1;
    }
    assert_eq!(count, 1);
}

#[test]
fn a_history_without_operations_is_never_valid() {
    for row in list().iter().filter(|row| row.name != "stats") {
        let finding = judge_with(row.name, &parameters(), &History::default());
        assert!(
            matches!(finding.verdict, Verdict::Unknown(_)),
            "{}: {:?}",
            row.name,
            finding.verdict
        );
    }
}

/// Client operations one after another, each of another process: (kind of the completion, f, argument, result).
fn script(operations: &[(Kind, &str, Value, Value)]) -> History {
    let mut script = Script::default();
    for (process, (kind, f, argument, result)) in (0..).zip(operations) {
        script.client(
            process,
            Kind::Invoke,
            f,
            None,
            argument.clone(),
            Value::Null,
        );
        script.client(process, *kind, f, None, result.clone(), Value::Null);
    }
    script.history
}

#[test]
fn what_shows_nothing_is_never_valid() {
    let nothing = Value::Null;
    let write = |kind| (kind, "write", json!(1), json!(1));
    let add = |kind| (kind, "add", json!(1), json!(1));
    let read = |kind, result| (kind, "read", nothing.clone(), result);
    let cases = [
        (
            "register",
            vec![
                write(Kind::Fail),
                write(Kind::Info),
                read(Kind::Info, json!(null)),
            ],
            "unknown: nothing was answered",
        ),
        (
            "cas-register",
            vec![
                write(Kind::Ok),
                write(Kind::Ok),
                read(Kind::Fail, json!(null)),
            ],
            "unknown: nothing was ever read",
        ),
        (
            "register-linearizable",
            vec![(Kind::Info, "create", json!(1), json!(1))],
            "unknown: nothing was answered",
        ),
        (
            "set",
            vec![add(Kind::Info), read(Kind::Ok, json!([]))],
            "unknown: no add was acknowledged and no element was seen",
        ),
        (
            "set",
            vec![add(Kind::Ok), read(Kind::Info, json!(null))],
            "unknown: no read was answered",
        ),
        (
            "register",
            vec![write(Kind::Ok), read(Kind::Ok, json!(1))],
            "valid",
        ),
        (
            "cas-register",
            vec![(Kind::Ok, "cas", json!([null, 1]), json!([null, 1]))],
            "valid",
        ),
        (
            "set",
            vec![add(Kind::Info), read(Kind::Ok, json!([1]))],
            "valid",
        ),
    ];
    for (model, operations, expected) in cases {
        let said = said(&judge(model, &script(&operations)));
        assert!(
            said.starts_with(expected),
            "{model}: expected {expected}, got {said}"
        );
    }
}

#[test]
fn parents_that_were_not_read_again_are_told_together() {
    let mut script = Script::default();
    for parent in 0..12 {
        let key = format!("p{parent}");
        let mut client = |kind, f, value| {
            script.client(parent, kind, f, Some(&key), value, Value::Null);
        };
        client(Kind::Invoke, "read", Value::Null);
        client(Kind::Ok, "read", json!([]));
        client(Kind::Invoke, "add", json!(parent));
        client(Kind::Ok, "add", json!(parent));
    }
    assert_eq!(
        said(&judge("set-once", &script.history)),
        "unknown: 12 parents were never read again by a linearizable read after 12 acknowledged adds: \
         p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more"
    );
}

#[test]
fn times_of_recovery_count_from_installation_and_from_heal() {
    let details = judge_with("recovery", &parameters(), &golden("run-kill-of-the-leader")).details;
    let row = &details["episodes"][0];
    let expected = [
        ("leader_from_install_ns", 700_000_000u64),
        ("success_from_install_ns", 4_505_000_000),
        ("write_from_install_ns", 4_505_000_000),
        ("success_from_heal_ns", 405_000_000),
    ];
    for (name, nanos) in expected {
        assert_eq!(row[name], nanos, "{name} in {row:#}");
    }
    assert_eq!(row["leader_before"], "n1");
    assert!(
        row["leader_from_heal_ns"].is_null(),
        "the new leader stayed"
    );
}

#[test]
fn a_stall_of_the_controller_hides_the_times_that_it_touches() {
    let details = judge_with(
        "recovery",
        &parameters(),
        &golden("run-controller-stalled-during-recovery"),
    )
    .details;
    let row = &details["episodes"][0];
    assert!(
        row["leader_from_install_ns"].is_null() && row["stalled"] == true,
        "{row:#}"
    );
    assert_eq!(row["success_from_heal_ns"], 405_000_000u64);
    assert!(
        details["notes"][0]
            .as_str()
            .unwrap()
            .contains("stood still for 0.800 s")
    );
}

#[test]
fn a_kind_that_was_asked_for_and_never_came_is_missing() {
    let parameters = Parameters {
        faults: vec!["kill".to_owned(), "pause".to_owned()],
        ..parameters()
    };
    let finding = judge_with("coverage", &parameters, &golden("run-kill-of-the-leader"));
    assert_eq!(
        said(&finding),
        "unknown: pause: no episode of it took place: give the run more time"
    );
}

#[test]
fn an_episode_without_success_that_a_stall_made_too_short_is_counted_as_that() {
    let parameters = Parameters {
        faults: vec!["pause".to_owned()],
        ..parameters()
    };
    let history = golden("run-nothing-succeeded-around-a-stall");
    let finding = judge_with("coverage", &parameters, &history);
    assert_eq!(
        finding.details["liveness"],
        json!({
            "bound_ns": 2_500_000_000u64, "covered": 0, "missing": 0, "too-short": 1, "not-owed": 0
        })
    );
    let said = said(&finding);
    assert!(
        said.contains("pause: none of its episodes with a majority was long enough"),
        "{said}"
    );
}

#[test]
fn only_the_stretches_with_a_majority_are_owed() {
    let details = judge_with(
        "coverage",
        &parameters(),
        &golden("run-majority-lost-to-an-overlapping-episode"),
    )
    .details;
    // Held from 2 s to 8 s, and a partition took the majority away from 3 s to 6 s.
    assert_eq!(
        details["episodes"][0]["owed_ns"], 2_000_000_000u64,
        "{details:#}"
    );
    assert_eq!(details["episodes"][1]["judged"], "not-owed");
}

#[test]
fn findings_merge_as_invalid_before_unknown_before_valid() {
    let history = golden("run-node-not-recovered");
    let finding = |name: &str| (name.to_owned(), judge_with(name, &parameters(), &history));
    let valid = |names: &[&str]| merge(names.iter().map(|name| finding(name)).collect()).valid;
    assert_eq!(valid(&["stats"]), Validity::Unknown);
    assert_eq!(valid(&["stats", "set"]), Validity::Unknown);
    assert_eq!(valid(&["set", "recovery", "stats"]), Validity::Invalid);
    assert_eq!(valid(&[]), Validity::Unknown);
    let results = merge(["set", "recovery", "coverage", "stats"].map(finding).into());
    assert_eq!(results.anomalies[0].kind, "not-recovered");
    assert_eq!(results.unknown[0].checker, "set");
    let written = serde_json::to_value(&results).unwrap();
    assert_eq!(written["valid"], false);
    assert_eq!(written["checkers"]["set"]["valid"], "unknown");
    assert_eq!(written["recovery"][0]["kind"], "kill");
    assert_eq!(serde_json::from_value::<Results>(written).unwrap(), results);
    // Results without notes, as older runs have them, are read too.
    let mut older = serde_json::to_value(&results).unwrap();
    older.as_object_mut().unwrap().remove("notes").unwrap();
    assert_eq!(serde_json::from_value::<Results>(older).unwrap(), results);
}

#[test]
fn replicas_that_differ_nowhere_differ_by_their_digests() {
    let finding = judge_with(
        "recovery",
        &parameters(),
        &golden("run-replicas-differ-by-their-digests-alone"),
    );
    let Verdict::Invalid(anomalies) = finding.verdict else {
        panic!("they differ")
    };
    assert_eq!(
        anomalies[0].summary,
        "replicas differ: their digests differ (n1 aa, n2 bb)"
    );
}

#[test]
fn a_stale_read_is_explained_in_words() {
    let finding = judge_with(
        "register-linearizable",
        &parameters(),
        &golden("register-stale-read-after-acknowledged-write"),
    );
    let Verdict::Invalid(anomalies) = finding.verdict else {
        panic!("it is stale")
    };
    let expected = "\
nonlinearizable (register-linearizable): r0 is not linearizable: an operation saw version 0 (value 10) although version 1 (value 11) had been acknowledged before it began
  these exclude each other:
    3.000 ms … 4.000 ms  process 2: write 11 → ok, version 1 (n2)
    5.000 ms … 6.000 ms  process 3: read → 10, version 0 (n3)
  after line 4, when nothing was in flight, it could be:
    value 11, version 1 (by process 2: write 11 → ok, version 1 (n2))
  after which this cannot have happened:
    5.000 ms … 6.000 ms  process 3: read → 10, version 0 (n3)
    from value 11, version 1 (by process 2: write 11 → ok, version 1 (n2)): it saw value 10, version 0, and the state is: value 11, version 1";
    assert_eq!(render(&anomalies[0]), expected);
}

/// The one anomaly's text.
fn rendered(checker: &str, history: &History) -> String {
    let finding = judge_with(checker, &parameters(), history);
    let Verdict::Invalid(anomalies) = finding.verdict else {
        panic!("{checker} found nothing")
    };
    render(&anomalies[0])
}

/// The block walk would refuse it too, as a ring, which it is not.
#[test]
fn a_value_that_was_taken_twice_is_explained_by_who_took_it() {
    let text = rendered(
        "cas-register",
        &golden("cas-register-one-value-taken-twice"),
    );
    assert!(
        text.contains("two compare-and-sets found value 0"),
        "{text}"
    );
}

#[test]
fn a_set_is_explained_once_and_in_words() {
    let expected = "\
lost (set): p0: 2 was acknowledged or read, and is gone
  3.000 ms … 4.000 ms  process 2: add 2 → ok
  7.000 ms … 8.000 ms  process 9: read → [1,3]";
    let text = rendered("set", &golden("set-acknowledged-element-lost"));
    assert_eq!(text, expected);
}

#[test]
fn without_times_lines_are_told() {
    let mut history = golden("register-stale-read-after-acknowledged-write");
    edit(&mut history, |events| {
        events.iter_mut().for_each(|event| event.time = Nanos(0));
    });
    let text = rendered("register-linearizable", &history);
    assert!(
        text.contains("\n    line 3 … line 4  process 2: write 11") && !text.contains(" s …"),
        "{text}"
    );
}

#[test]
fn long_windows_are_told_in_milliseconds() {
    let mut history = golden("register-stale-read-after-acknowledged-write");
    edit(&mut history, |events| {
        for event in events {
            event.time = Nanos(event.time.0 * 1_000);
        }
    });
    let text = rendered("register-linearizable", &history);
    assert!(text.contains("3.000 s … 4.000 s  process 2"), "{text}");
}

#[test]
fn a_state_has_the_value_of_the_operation_that_made_it_even_if_nobody_read_it() {
    let mut script = Script::default();
    let mut client = |process, kind, f, value, extra| {
        script.client(process, kind, f, Some("r0"), value, extra);
    };
    client(0, Kind::Invoke, "create", json!(10), Value::Null);
    client(0, Kind::Ok, "create", json!(10), json!({ "version": 0 }));
    // More possible states than can be told by their values, so that unread values are not told apart.
    for process in 1..=6 {
        client(
            process,
            Kind::Invoke,
            "write",
            json!(100 + process),
            Value::Null,
        );
        client(
            process,
            Kind::Info,
            "write",
            json!(100 + process),
            Value::Null,
        );
    }
    client(7, Kind::Invoke, "read", Value::Null, Value::Null);
    client(
        7,
        Kind::Ok,
        "read",
        Value::Null,
        json!({ "error": "NoNode" }),
    );
    let text = rendered("register-linearizable", &script.history);
    assert!(
        text.contains("from value 101, version 1 (by process 1: write 101 → unknown)"),
        "{text}"
    );
    assert!(!text.contains("nobody read"), "{text}");
}

/// The README's example for `cargo test` is the one that the documentation compiles and runs.
#[test]
fn the_readme_has_the_example_that_is_run() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Ok(readme) = std::fs::read_to_string(here.join("../README.md")) else {
        println!("skipped: the crate stands alone here");
        return;
    };
    let (_, after) = readme.split_once("```rust\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let library = std::fs::read_to_string(here.join("src/lib.rs")).unwrap();
    let docs: Vec<&str> = library
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    assert!(docs.join("\n").contains(example.trim_end()), "{example}");
}

/// Every model says what it is asked, with a line that it understands.
#[test]
fn every_model_has_an_example_that_fits_it() {
    for info in list().into_iter().filter(|info| info.model) {
        assert!(!info.operations.is_empty(), "{}", info.name);
        let line: Value = serde_json::from_str(info.example).unwrap();
        let mut invoke = line.clone();
        invoke["type"] = json!("invoke");
        let lines = format!("{invoke}\n{line}\n");
        let (history, _) = History::read(lines.as_bytes()).unwrap();
        let finding = judge(info.name, &history);
        let text = format!("{}: {finding:?}", info.name);
        assert!(finding.details["misfit"].is_null(), "{text}");
        assert!(!text.contains("no transactions"), "{text}");
    }
}
