//! The search for an order of all operations on the tree, where zxids are missing, against an oracle that tries every order.

use crate::common::random::{Mix, pick};
use crate::common::{Script, judge, text, validity};
use crate::explained::{beside, same_but_for};
use crate::sim::{
    Answer, Options, Record, Request, Sim, Step, Tree, forget_parts, history, history_from_nothing,
};
use crate::znodes::{exact_options, falsify, presumes};
use keelhaul_checkers::{History, Kind, Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const HISTORIES: u64 = 160_000;

/// The history without any zxid, or with those of some answers.
pub(crate) fn without_zxids(whole: &History, keep: impl Fn(usize) -> bool) -> History {
    let mut events = whole.to_events();
    for (at, event) in events.iter_mut().enumerate() {
        if keep(at) {
            continue;
        }
        let told = ["zxid", "czxid", "mzxid", "pzxid"];
        let rest = event.extra.iter().filter(|(name, _)| !told.contains(name));
        event.extra = rest.collect();
    }
    History::from_events(&events)
}

// --- the oracle -----------------------------------------------------------------------------------------------------

/// All orders of what owes linearizability, some of the indeterminate writes among them; then all prefixes for each plain read.
struct Orders<'a> {
    records: &'a [Record],
    order: Vec<usize>,
    /// The tree after each operation of the order.
    trees: Vec<Tree>,
}

fn is_local(record: &Record) -> bool {
    matches!(record.request, Request::Read { mode: "local", .. })
}

/// What one that says what it made asks for.
fn asked(record: &Record) -> Request {
    let mut request = record.request.clone();
    let Some(answer) = record.ok() else {
        return request;
    };
    let name = |step: &mut Step, result: Option<&str>| {
        if let (
            Step::Create {
                made,
                sequential: true,
                ..
            },
            Some(result),
        ) = (step, result)
        {
            *made = Some(result.to_owned());
        }
    };
    match &mut request {
        Request::One(step) => name(step, answer.made.as_deref()),
        Request::Multi(steps) if answer.error.is_none() => {
            let results = answer.results.iter().map(Value::as_str);
            steps
                .iter_mut()
                .zip(results)
                .for_each(|(step, result)| name(step, result));
        }
        _ => {}
    }
    request
}

fn fits(has: &Answer, said: &Answer) -> bool {
    same_but_for(has, said, true)
}

impl Orders<'_> {
    fn any(&mut self) -> bool {
        let left: Vec<usize> = (0..self.records.len())
            .filter(|at| !self.order.contains(at) && !is_local(&self.records[*at]))
            .collect();
        let certain = |at: &&usize| self.records[**at].is_ok();
        if !left.iter().any(|at| certain(&at)) && self.plain_reads_fit() {
            return true;
        }
        for at in &left {
            let record = &self.records[*at];
            let indeterminate = record.ret.is_none_or(|(_, kind)| kind == Kind::Info);
            if !record.is_ok() && (!indeterminate || record.request.is_read()) {
                continue;
            }
            let earlier = |other: &&usize| {
                self.records[**other]
                    .returned()
                    .is_some_and(|ret| ret < record.inv)
            };
            if left.iter().any(|other| earlier(&other)) {
                continue;
            }
            let ended = |other: &usize| {
                let other = &self.records[*other];
                other.request == Request::Close && other.session == record.session && other.is_ok()
            };
            if indeterminate && self.order.iter().any(ended) {
                continue;
            }
            let mut tree = self.trees.last().unwrap().clone();
            let answer = match &record.request {
                Request::Read { path, look, .. } => tree.read(path, look, 0),
                _ => tree.write(&asked(record), record.session, 0),
            };
            let may = match record.ok() {
                Some(said) => fits(&answer, said),
                None => answer.error.is_none(),
            };
            if !may {
                continue;
            }
            self.order.push(*at);
            self.trees.push(tree);
            if self.any() {
                return true;
            }
            self.order.pop();
            self.trees.pop();
        }
        false
    }

    fn plain_reads_fit(&self) -> bool {
        let mut sessions: Vec<usize> = self.records.iter().map(|record| record.session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions.into_iter().all(|session| {
            let mut chain: Vec<usize> = (0..self.records.len())
                .filter(|at| self.records[*at].session == session && self.records[*at].is_ok())
                .collect();
            chain.sort_by_key(|at| self.records[*at].returned());
            self.chain_fits(&chain, 0)
        })
    }

    /// Whether what a session saw can be seen from this prefix on.
    fn chain_fits(&self, chain: &[usize], from: usize) -> bool {
        let Some((first, rest)) = chain.split_first() else {
            return true;
        };
        let record = &self.records[*first];
        let Request::Read {
            path,
            look,
            mode: "local",
        } = &record.request
        else {
            let place = self.order.iter().position(|at| at == first).unwrap() + 1;
            return place >= from && self.chain_fits(rest, place);
        };
        let ret = record.returned().unwrap();
        let newest = self
            .order
            .iter()
            .position(|at| self.records[*at].inv > ret)
            .unwrap_or(self.order.len());
        (from..=newest).any(|place| {
            fits(&self.trees[place].read(path, look, 0), record.ok().unwrap())
                && self.chain_fits(rest, place)
        })
    }
}

fn explained(records: &[Record]) -> bool {
    Orders {
        records,
        order: Vec::new(),
        trees: vec![Tree::default()],
    }
    .any()
}

/// A sequential znode whose answer was lost may have any number: the oracles do not try them all.
pub(crate) fn lost_its_name(record: &Record) -> bool {
    let sequential = |step: &Step| {
        matches!(
            step,
            Step::Create {
                sequential: true,
                ..
            }
        )
    };
    !record.is_ok() && record.request.steps().iter().any(sequential)
}

fn records(rng: &mut ChaCha8Rng) -> (Vec<Record>, bool) {
    let options = Options {
        operations: rng.random_range(4..=9),
        lost: if rng.random_bool(0.85) { 0.16 } else { 0.0 },
        ..exact_options(rng)
    };
    let mut records = Sim::run(rng, options).records;
    let untouched = rng.random_bool(0.15);
    if !untouched {
        for _ in 0..rng.random_range(1..4) {
            falsify(rng, &mut records);
        }
        if rng.random_bool(0.75) {
            lie(rng, &mut records);
        }
    }
    forget_parts(rng, &mut records);
    (records, untouched)
}

/// Changes what one answer says of a znode: hardly ever anything that could be so.
fn lie(rng: &mut ChaCha8Rng, records: &mut [Record]) {
    let shows = |at: &usize| {
        records[*at]
            .ok()
            .is_some_and(|answer| answer.stat.is_some())
    };
    let shown: Vec<usize> = (0..records.len()).filter(shows).collect();
    if shown.is_empty() {
        return;
    }
    let answer = records[*pick(rng, &shown)].ok_mut().unwrap();
    let stat = answer.stat.as_mut().unwrap();
    match rng.random_range(0..4) {
        0 if answer.data.is_some() => answer.data = Some(rng.random_range(1..=9)),
        1 => stat.creates += 1,
        2 => stat.deletes += 1,
        _ => stat.version += rng.random_range(1..=2),
    }
}

#[test]
fn the_search_agrees_with_every_order_tried() {
    let (mut mix, mut presumed) = (Mix::default(), 0);
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (records, untouched) = records(&mut rng);
        if records.iter().any(lost_its_name) || !records.iter().any(Record::is_ok) {
            continue;
        }
        let from_nothing = seed % 8 != 0;
        let history = match from_nothing {
            true => history_from_nothing(&records),
            false => history(&records),
        };
        let history = without_zxids(&history, |_| false);
        let finding = judge("znodes", &history);
        let oracle = explained(&records);
        let shows = || beside(seed, oracle, &finding, &history);
        assert!(!untouched || oracle, "{}", shows());
        // Some are no histories any more: a list of children that is null.
        if finding.details.get("misfit").is_some() {
            assert!(!untouched, "{}", shows());
            continue;
        }
        if presumes(&finding) {
            assert!(!oracle && !from_nothing, "{}", shows());
            presumed += 1;
            continue;
        }
        assert_eq!(validity(&finding), Some(oracle), "{}", shows());
        let searched = finding.details["decided_by"] == "search";
        assert!(searched, "{}", shows());
        mix.count(&history, oracle);
    }
    mix.report("znodes, without zxids");
    println!("znodes: {presumed} more that fit only if something was there before");
    assert!(presumed > 0, "none");
    assert!(mix.all >= 100_000, "{mix:?}");
}

/// Where only some answers have zxids, they can only restrict the order: what is sound is never refused, and what no order at all
/// explains is never called valid.
#[test]
fn zxids_of_some_answers_are_no_more_and_no_less_than_that() {
    let (mut sound, mut broken) = (0, 0);
    for seed in 0..30_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (records, untouched) = records(&mut rng);
        if records.iter().any(lost_its_name) || !records.iter().any(Record::is_ok) {
            continue;
        }
        let share = rng.random_range(0.1..0.9);
        let whole = history_from_nothing(&records);
        let kept: Vec<bool> = (0..whole.len()).map(|_| rng.random_bool(share)).collect();
        let history = without_zxids(&whole, |at| kept[at]);
        let finding = judge("znodes", &history);
        let said = validity(&finding);
        let shows = || format!("seed {seed}: {:?}\n{}", finding.verdict, text(&history));
        if untouched {
            sound += 1;
            assert_ne!(said, Some(false), "{}", shows());
        } else if said == Some(true) {
            assert!(explained(&records), "{}", shows());
        }
        broken += u32::from(said == Some(false));
    }
    println!("znodes, with some zxids: {sound} sound, {broken} refused");
    assert!(sound > 2_000 && broken > 5_000);
}

/// Longer histories of several sessions, with every kind of operation.
#[test]
fn nothing_sound_is_refused_without_zxids() {
    let mut undecided = 0;
    for seed in 0..1_500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let options = Options {
            operations: rng.random_range(5..=60),
            ..exact_options(&mut rng)
        };
        let mut sim = Sim::run(&mut rng, options);
        forget_parts(&mut rng, &mut sim.records);
        let history = without_zxids(&history(&sim.records), |_| false);
        let finding = judge("znodes", &history);
        let verdict = &finding.verdict;
        assert_ne!(
            validity(&finding),
            Some(false),
            "seed {seed}: {verdict:?}\n{}",
            text(&history)
        );
        undecided += u32::from(validity(&finding).is_none());
    }
    println!("znodes, without zxids: {undecided} of 1,500 longer sound histories undecided");
    assert!(undecided < 150, "{undecided}");
}

// --- what was there before ------------------------------------------------------------------------------------------

fn verdict(lines: &[(&str, &str, Value, Value)]) -> Option<bool> {
    let mut script = Script::default();
    for (process, (f, path, asked, answer)) in lines.iter().enumerate() {
        let process = process as u64;
        let value = |of: &Value| of.get("value").cloned().unwrap_or(Value::Null);
        script.client(
            process,
            Kind::Invoke,
            f,
            Some(path),
            value(asked),
            asked.clone(),
        );
        script.client(
            process,
            Kind::Ok,
            f,
            Some(path),
            value(answer),
            answer.clone(),
        );
    }
    let finding = judge("znodes", &script.history);
    if let Verdict::Unknown(reasons) = &finding.verdict {
        println!("{reasons:?}");
    }
    validity(&finding)
}

/// Both layers, with zxids and without.
fn both(lines: &[(&str, &str, Value, Value)]) -> Option<bool> {
    let bare = verdict(lines);
    let stamped: Vec<(&str, &str, Value, Value)> = lines
        .iter()
        .enumerate()
        .map(|(at, (f, path, asked, answer))| {
            let mut answer = answer.clone();
            answer["zxid"] = json!(10 * (at + 1));
            (*f, *path, asked.clone(), answer)
        })
        .collect();
    assert_eq!(bare, verdict(&stamped), "the layers differ");
    bare
}

#[test]
fn what_stood_there_before_may_refuse_for_reasons_that_nobody_knows() {
    let bad_version = (
        "set",
        "/g",
        json!({ "value": 1, "expected": 5 }),
        json!({ "error": "BadVersion" }),
    );
    assert_eq!(both(std::slice::from_ref(&bad_version)), Some(true));
    let not_empty = ("delete", "/g", json!({}), json!({ "error": "NotEmpty" }));
    let seen = ("exists", "/g", json!({}), json!({}));
    assert_eq!(both(&[seen.clone(), not_empty]), Some(true));
    let ephemeral = (
        "create",
        "/g/a",
        json!({ "value": 1 }),
        json!({ "error": "NoChildrenForEphemerals" }),
    );
    assert_eq!(both(&[seen.clone(), ephemeral]), Some(true));
    // Once its version is known, it is known.
    let known = ("exists", "/g", json!({}), json!({ "version": 5 }));
    assert_eq!(both(&[known.clone(), bad_version.clone()]), Some(false));
    let other = ("exists", "/g", json!({}), json!({ "version": 6 }));
    assert_eq!(both(&[other.clone(), bad_version]), Some(true));
    assert_eq!(both(&[known, other]), Some(false));
}

#[test]
fn an_ephemeral_znode_that_stood_there_before_keeps_its_owner() {
    let get = |owner: &str| {
        (
            "get",
            "/g",
            json!({}),
            json!({ "value": 1, "ephemeralOwner": owner }),
        )
    };
    assert_eq!(both(&[get("0x5"), get("0x5")]), Some(true));
    assert_eq!(both(&[get("0x5"), get("0x6")]), Some(false));
}

#[test]
fn a_list_of_children_has_as_many_as_their_number() {
    let create = ("create", "/a", json!({ "value": 1 }), json!({}));
    let child = ("create", "/a/b", json!({ "value": 1 }), json!({}));
    let list = |names: Value, number: i64| {
        (
            "children",
            "/a",
            json!({}),
            json!({ "value": names, "numChildren": number }),
        )
    };
    assert_eq!(
        both(&[create.clone(), child.clone(), list(json!(["b"]), 1)]),
        Some(true)
    );
    assert_eq!(
        both(&[create.clone(), child.clone(), list(json!(["b"]), 2)]),
        Some(false)
    );
    assert_eq!(both(&[create, child, list(json!([]), 1)]), Some(false));
}
