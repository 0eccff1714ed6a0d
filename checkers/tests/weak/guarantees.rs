//! Session guarantees, long forks and bank accounts against their definitions.

use crate::common::{PLENTY, judge, judge_with, says_nothing_was_tested, validity};
use crate::oracle::{externals, happenings, shows_order};
use crate::small::{Micro, Small, random};
use keelhaul_checkers::{
    Event, Finding, History, Kind, Nanos, Parameters, Process, Verdict, by_name,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// The version that a session read or wrote, by its writer; none: the initial state.
type Touch = Option<usize>;

/// Whether each key has an order of versions in which every session goes forward, as the four guarantees together ask for it.
fn holds(small: &Small) -> bool {
    let Some(externals) = externals(small) else {
        return false;
    };
    happenings(small).iter().any(|happened| {
        let seen = externals
            .iter()
            .all(|read| read.writers(small).all(|writer| happened[writer]));
        seen && (0..3).all(|key| {
            let writers: Vec<usize> = (0..small.txns.len())
                .filter(|txn| happened[*txn] && small.writes(*txn, key))
                .collect();
            // What is indeterminate comes behind what its session had done before; nothing comes behind it.
            let mut sessions: Vec<Vec<(Touch, bool)>> = Vec::new();
            for process in 0..100 {
                let mut touches = Vec::new();
                for (txn, of) in small.txns.iter().enumerate() {
                    if of.process == process && happened[txn] {
                        let reads = externals
                            .iter()
                            .filter(|read| read.reader == txn && read.key == key);
                        let is_complete = of.kind == Kind::Ok;
                        touches.extend(reads.map(|read| (read.writer, true)));
                        let written = small.writes(txn, key).then_some(Some(txn));
                        touches.extend(written.map(|version| (version, is_complete)));
                    }
                }
                sessions.push(touches);
            }
            let reads: Vec<_> = externals.iter().filter(|read| read.key == key).collect();
            let mut fits = |order: &[usize]| {
                let place = |version: Option<usize>| {
                    version.map_or(0, |writer| {
                        1 + order.iter().position(|txn| *txn == writer).unwrap()
                    })
                };
                let forward = sessions.iter().all(|touches| {
                    (0..touches.len()).all(|later| {
                        let mut before = touches[..later].iter().filter(|(_, done)| *done);
                        before.all(|(version, _)| place(*version) <= place(touches[later].0))
                    })
                });
                forward
                    && (!small.lists || reads.iter().all(|read| shows_order(small, read, order)))
            };
            any_order(&writers, &mut Vec::new(), &mut fits)
        })
    })
}

fn any_order(
    left: &[usize],
    order: &mut Vec<usize>,
    fits: &mut dyn FnMut(&[usize]) -> bool,
) -> bool {
    if left.is_empty() {
        return fits(order);
    }
    left.iter().any(|next| {
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != next).collect();
        order.push(*next);
        let found = any_order(&rest, order, fits);
        order.pop();
        found
    })
}

/// A micro-operation by itself.
struct Part {
    whole: usize,
    key: usize,
    wrote: Option<i64>,
    /// What it read, but for what its own transaction had written before.
    read: Option<Vec<i64>>,
}

fn parts(small: &Small) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (whole, txn) in small.txns.iter().enumerate() {
        for micro in &txn.micros {
            let (key, wrote, mut read) = match micro {
                Micro::Write { key, value } => (*key, Some(*value), None),
                Micro::Read { .. } if txn.kind != Kind::Ok => continue,
                Micro::Read { key, saw } => (*key, None, Some(saw.clone())),
            };
            let mut own = parts.iter().filter(|part| part.whole == whole);
            let own = own
                .by_ref()
                .filter(|part| part.key == key && part.wrote.is_some());
            match (own.count(), &mut read) {
                (0, _) | (_, None) => {}
                (_, Some(_)) if !small.lists => continue,
                (own, Some(saw)) => saw.truncate(saw.len().saturating_sub(own)),
            }
            parts.push(Part {
                whole,
                key,
                wrote,
                read,
            });
        }
    }
    parts
}

/// Whether some order of all writes has every process go forward, across keys: no read misses a write that led to it.
fn holds_across(small: &Small) -> bool {
    let parts = parts(small);
    let choices = happenings(small);
    choices
        .iter()
        .any(|happened| holds_in_parts(small, &parts, happened))
}

fn holds_in_parts(small: &Small, parts: &[Part], happened: &[bool]) -> bool {
    let all = || (0..parts.len()).filter(|part| happened[parts[*part].whole]);
    let writer = |key: usize, value: i64| {
        all().find(|part| parts[*part].key == key && parts[*part].wrote == Some(value))
    };
    let mut before = vec![vec![false; parts.len()]; parts.len()];
    let mut leads = before.clone();
    for (one, other) in all().flat_map(|one| all().map(move |other| (one, other))) {
        let (a, b) = (parts[one].whole, parts[other].whole);
        let follows = (a == b && one < other) || small.in_session(a, b);
        before[one][other] |= follows;
        leads[one][other] |= follows;
    }
    for reader in all() {
        let (key, saw) = match &parts[reader].read {
            Some(saw) => (parts[reader].key, saw),
            None => continue,
        };
        let Some(writers) = saw
            .iter()
            .map(|value| writer(key, *value))
            .collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        for writer in &writers {
            leads[*writer][reader] = true;
            before[*writer][reader] = true;
        }
        if small.lists {
            // The list is the order of what was written first, and all else comes behind it.
            for pair in writers.windows(2) {
                before[pair[0]][pair[1]] = true;
            }
            let others =
                all().filter(|part| parts[*part].key == key && parts[*part].wrote.is_some());
            for other in others.filter(|other| !writers.contains(other)) {
                if let Some(last) = writers.last() {
                    before[*last][other] = true;
                }
            }
        }
    }
    close(&mut leads);
    for reader in all() {
        let Some(saw) = &parts[reader].read else {
            continue;
        };
        let key = parts[reader].key;
        let from = saw.last().and_then(|value| writer(key, *value));
        let visible = all().filter(|part| {
            let part = &parts[*part];
            part.key == key && part.wrote.is_some() && part.whole != parts[reader].whole
        });
        for visible in visible.filter(|visible| leads[*visible][reader]) {
            match from {
                None => return false,
                Some(from) if from != visible => before[visible][from] = true,
                Some(_) => {}
            }
        }
    }
    close(&mut before);
    (0..parts.len()).all(|part| !before[part][part])
}

fn close(relation: &mut [Vec<bool>]) {
    let all = 0..relation.len();
    for middle in all.clone() {
        for one in all.clone().filter(|one| *one != middle) {
            if relation[one][middle] {
                let behind = relation[middle].clone();
                let row = relation[one].iter_mut().zip(behind);
                row.for_each(|(known, more)| *known |= more);
            }
        }
    }
}

/// Against the definition, key by key and across keys, of each transaction's micro-operations one by one.
fn compare(lists: bool, wild: [f64; 3], histories: u64) {
    let checker = by_name("session-guarantees", &Parameters::default()).unwrap();
    let causal = by_name("causal", &Parameters::default()).unwrap();
    let (mut invalid, mut with_info, mut untested, mut across) = (0, 0, 0, 0);
    for seed in 0..histories {
        let mut small = random(&mut ChaCha8Rng::seed_from_u64(seed), lists, wild);
        if seed % 2 == 1 {
            small.txns.iter_mut().for_each(|txn| txn.micros.truncate(1));
        }
        let by_key = holds(&small);
        let expected = by_key && holds_across(&small);
        let finding = checker.check(&small.history(), &PLENTY);
        let at_once = causal.check(&small.history(), &PLENTY);
        let causal = !matches!(at_once.verdict, Verdict::Invalid(_));
        let found = matches!(finding.verdict, Verdict::Invalid(_));
        across += u64::from(by_key && found);
        let verdict = &finding.verdict;
        // What tested nothing is not called valid, and no definition calls it invalid.
        let nothing = says_nothing_was_tested(&finding);
        untested += u64::from(nothing);
        assert_eq!(
            validity(&finding).or(nothing.then_some(true)),
            Some(expected),
            "seed {seed}, {small:?}: {verdict:?}"
        );
        // Of single micro-operations it is causal consistency; of more it is weaker: nothing is owed to what is done at once.
        assert!(!causal || !found || !by_key, "seed {seed}, {small:?}");
        assert!(seed % 2 == 0 || causal || found, "seed {seed}, {small:?}");
        invalid += u64::from(!expected);
        with_info += u64::from(small.txns.iter().any(|txn| txn.kind == Kind::Info));
    }
    println!(
        "session-guarantees, lists: {lists}: {histories} histories, {invalid} invalid, {with_info} with indeterminate transactions, {untested} that tested nothing, {across} invalid across keys only"
    );
    assert!(across > 100, "{across}");
    assert!(
        invalid * 10 >= histories * 3 && invalid * 10 <= histories * 8,
        "{invalid} invalid"
    );
    assert!(with_info * 10 >= histories * 3);
}

#[test]
fn session_guarantees_of_registers() {
    compare(false, [0.1, 0.3, 0.6], 60_000);
}

#[test]
fn session_guarantees_of_lists() {
    compare(true, [0.0, 0.2, 0.5], 60_000);
}

fn history(lines: &[(u64, Kind, &str, Value)]) -> History {
    let events: Vec<Event> = (0..)
        .zip(lines)
        .map(|(index, (process, kind, f, value))| Event {
            index,
            time: Nanos(index),
            process: Process::Client(*process),
            kind: *kind,
            f: (*f).into(),
            key: None,
            value: value.clone(),
            extra: Default::default(),
        })
        .collect();
    History::from_events(&events)
}

fn kinds(finding: &Finding) -> Vec<&str> {
    match &finding.verdict {
        Verdict::Invalid(anomalies) => anomalies.iter().map(|anomaly| &*anomaly.kind).collect(),
        _ => Vec::new(),
    }
}

/// What each transaction did, one after the other.
fn txns(lines: &[(u64, Value)]) -> History {
    let both = lines.iter().flat_map(|(process, value)| {
        [
            (*process, Kind::Invoke, "txn", value.clone()),
            (*process, Kind::Ok, "txn", value.clone()),
        ]
    });
    history(&both.collect::<Vec<_>>())
}

#[test]
fn each_guarantee_is_named_by_what_breaks_it() {
    let of = |lines: &[(u64, Value)]| {
        let finding = judge("session-guarantees", &txns(lines));
        kinds(&finding).join(" ")
    };
    let own = [
        (1, json!([["append", "x", 1]])),
        (1, json!([["r", "x", []]])),
    ];
    assert_eq!(of(&own), "read-your-writes");
    let reads = [
        (1, json!([["append", "x", 1]])),
        (2, json!([["r", "x", [1]]])),
        (2, json!([["r", "x", []]])),
    ];
    assert_eq!(of(&reads), "monotonic-reads");
    let writes = [
        (1, json!([["append", "x", 1]])),
        (1, json!([["append", "x", 2]])),
        (2, json!([["r", "x", [2, 1]]])),
    ];
    assert_eq!(of(&writes), "monotonic-writes");
    let follow = [
        (1, json!([["r", "x", 2]])),
        (1, json!([["w", "x", 1]])),
        (2, json!([["r", "x", 1]])),
        (2, json!([["w", "x", 2]])),
    ];
    assert_eq!(of(&follow), "writes-follow-reads");
    // Across keys: y came behind x, and who has seen y does not see x.
    let writes = [
        (0, json!([["append", "x", 1]])),
        (0, json!([["append", "y", 2]])),
        (2, json!([["r", "y", [2]]])),
        (2, json!([["r", "x", []]])),
    ];
    assert_eq!(of(&writes), "monotonic-writes");
    let follow = [
        (0, json!([["w", "x", 1]])),
        (1, json!([["r", "x", 1], ["w", "y", 2]])),
        (2, json!([["r", "y", 2]])),
        (2, json!([["r", "x", null]])),
    ];
    assert_eq!(of(&follow), "writes-follow-reads");
    // In the other order nothing is owed.
    let at_once = [
        (0, json!([["append", "x", 1], ["append", "y", 1]])),
        (2, json!([["r", "x", [1]], ["r", "y", []]])),
        (2, json!([["r", "y", [1]]])),
    ];
    assert_eq!(of(&at_once), "");
    // What is read behind an own append shows what stood before it: 1, which came by way of y out of 2.
    let behind_own = [
        (
            0,
            json!([["append", "x", 2], ["r", "x", [1, 2]], ["append", "y", 1]]),
        ),
        (1, json!([["r", "y", [1]]])),
        (1, json!([["append", "x", 1]])),
        (0, json!([["r", "y", [1]]])),
    ];
    assert_eq!(of(&behind_own), "writes-follow-reads");
    // All of a lost transaction happened, if any of it was seen.
    let lost = json!([["w", "y", 1], ["w", "x", 1]]);
    let lines = [
        (0, Kind::Invoke, "txn", lost),
        (1, Kind::Invoke, "txn", json!([["r", "x", null]])),
        (1, Kind::Ok, "txn", json!([["r", "x", 1]])),
        (1, Kind::Invoke, "txn", json!([["r", "y", null]])),
        (1, Kind::Ok, "txn", json!([["r", "y", null]])),
    ];
    let finding = judge("session-guarantees", &history(&lines));
    assert_eq!(kinds(&finding), ["monotonic-writes"]);
    let registers = [
        (1, json!([["w", "x", 1]])),
        (2, json!([["w", "x", 2]])),
        (3, json!([["r", "x", 1]])),
        (3, json!([["r", "x", 2]])),
        (3, json!([["r", "x", 1]])),
    ];
    assert_eq!(of(&registers), "monotonic-reads");
}

#[test]
fn a_session_owes_nothing_to_what_it_did_not_complete() {
    for (word, nothing) in [("append", json!([])), ("w", Value::Null)] {
        let seen = match word {
            "append" => json!([5]),
            _ => json!(5),
        };
        let write = json!([[word, "x", 5]]);
        let read = |value: &Value| json!([["r", "x", value]]);
        let lines = [
            (0, Kind::Invoke, "txn", write.clone()),
            (0, Kind::Info, "txn", write.clone()),
            (0, Kind::Invoke, "txn", read(&Value::Null)),
            (0, Kind::Ok, "txn", read(&nothing)),
            (1, Kind::Invoke, "txn", read(&Value::Null)),
            (1, Kind::Ok, "txn", read(&seen)),
        ];
        for model in [
            "session-guarantees",
            "read-committed",
            "read-atomic",
            "causal",
        ] {
            let finding = judge(model, &history(&lines));
            assert_eq!(kinds(&finding), [""; 0], "{model}");
        }
    }
}

#[test]
fn long_forks_are_exactly_the_reads_that_no_order_of_writes_explains() {
    let (mut invalid, count) = (0, 100_000);
    for seed in 0..count {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let keys = rng.random_range(2..=4_u32);
        let mut order: Vec<u32> = (0..keys).collect();
        for at in 0..keys as usize {
            order.swap(at, rng.random_range(at..keys as usize));
        }
        let mut reads: Vec<u32> = Vec::new();
        for _ in 0..rng.random_range(2..=6) {
            let until = rng.random_range(0..=keys as usize);
            let mut sees = order[..until].iter().fold(0, |sees, key| sees | 1 << key);
            if rng.random_bool(0.35) {
                sees ^= 1 << rng.random_range(0..keys);
            }
            reads.push(sees);
        }
        let expected = any_order(
            &(0..keys as usize).collect::<Vec<_>>(),
            &mut Vec::new(),
            &mut |order| {
                let prefix = |until: usize| {
                    order[..until]
                        .iter()
                        .fold(0_u32, |sees, key| sees | 1 << key)
                };
                reads
                    .iter()
                    .all(|sees| (0..=order.len()).any(|until| prefix(until) == *sees))
            },
        );
        let mut lines: Vec<(u64, Value)> = (0..keys)
            .map(|key| (u64::from(key), json!([["w", key, 1]])))
            .collect();
        for sees in &reads {
            let shown = (0..keys).map(|key| json!(["r", key, (sees & 1 << key != 0).then_some(1)]));
            lines.push((9, shown.collect()));
        }
        let finding = judge("long-fork", &txns(&lines));
        assert_eq!(validity(&finding), Some(expected), "seed {seed}: {reads:?}");
        invalid += u64::from(!expected);
    }
    println!("long-fork: {count} histories, {invalid} invalid");
    assert!(invalid * 10 >= count * 3 && invalid * 10 <= count * 8);
}

#[test]
fn long_fork_refuses_what_it_cannot_judge() {
    let of = |lines: &[(u64, Value)]| match judge("long-fork", &txns(lines)).verdict {
        Verdict::Unknown(reasons) => reasons[0].text.clone(),
        verdict => format!("{verdict:?}"),
    };
    let twice = [(1, json!([["w", "x", 1]])), (1, json!([["w", "x", 2]]))];
    assert!(of(&twice).contains("written more than once"));
    let groups = [
        (1, json!([["r", "x", null], ["r", "y", null]])),
        (1, json!([["r", "x", null], ["r", "z", null]])),
    ];
    assert!(of(&groups).contains("two different groups"));
}

#[test]
fn a_bank_is_judged_by_its_beginning_or_by_its_first_read() {
    let read = |value: Value| {
        history(&[
            (1, Kind::Invoke, "read", Value::Null),
            (1, Kind::Ok, "read", value),
        ])
    };
    let parameters = Parameters {
        initial: Some(json!({ "0": 10, "1": 0 })),
        ..Parameters::default()
    };
    let of = |value: Value| {
        let finding = judge_with("bank", &parameters, &read(value));
        kinds(&finding).join(" ")
    };
    assert_eq!(of(json!({ "0": 4, "1": 6 })), "");
    assert_eq!(of(json!({ "0": 4, "1": 7 })), "wrong-total");
    assert_eq!(of(json!({ "0": 11, "1": -1 })), "negative-balance");
    assert_eq!(of(json!({ "0": 10, "1": 0, "2": 0 })), "unexpected-account");
    assert_eq!(of(json!({ "0": 10 })), "missing-account");
    assert_eq!(of(json!({ "0": 10, "1": null })), "no-balance");
    assert_eq!(
        kinds(&judge("bank", &read(json!({ "0": 11, "1": -1 })))),
        ["negative-balance"]
    );
    let overdrawn = Parameters {
        initial: Some(json!({ "0": 12, "1": -2 })),
        ..Parameters::default()
    };
    assert_eq!(
        validity(&judge_with(
            "bank",
            &overdrawn,
            &read(json!({ "0": 11, "1": -1 }))
        )),
        Some(true)
    );
    let malformed = judge("bank", &read(json!([1, 2])));
    assert!(
        matches!(&malformed.verdict, Verdict::Unknown(reasons) if reasons[0].text.contains("is an ok read of [1,2]; expected a map"))
    );
}
