//! The replay by zxid against an oracle that tries every zxid for every indeterminate write.

use crate::common::random::{Mix, pick};
use crate::common::{judge_with, text, validity};
use crate::search::lost_its_name;
use crate::sim::{
    Answer, Options, Record, Request, Sim, Step, Tree, Znode, history, parent, set_path,
};
use keelhaul_checkers::{Kind, Parameters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const HISTORIES: u64 = 135_000;

fn options(rng: &mut ChaCha8Rng, exact: bool) -> Options {
    Options {
        operations: rng.random_range(2..=9),
        sessions: rng.random_range(1..=3),
        exact,
        lost: if rng.random_bool(0.8) { 0.14 } else { 0.0 },
        ephemeral: 0.2,
        multi: 0.15,
        sequential: 0.15,
        close: 0.08,
    }
}

pub(crate) fn exact_options(rng: &mut ChaCha8Rng) -> Options {
    options(rng, true)
}

fn exact() -> Parameters {
    Parameters {
        contract: "keelhaul-node".to_owned(),
        ..Parameters::default()
    }
}

fn stamped_later() -> Parameters {
    Parameters {
        contract: "zookeeper".to_owned(),
        ..Parameters::default()
    }
}

/// Changes one answer.
pub(crate) fn falsify(rng: &mut ChaCha8Rng, records: &mut [Record]) {
    let answered: Vec<usize> = (0..records.len())
        .filter(|at| records[*at].is_ok())
        .collect();
    if answered.is_empty() {
        return;
    }
    let (at, other) = (*pick(rng, &answered), *pick(rng, &answered));
    let (one, two) = (
        records[at].ok().unwrap().clone(),
        records[other].ok().unwrap().clone(),
    );
    let write = records[at].took_effect();
    let read = records[at].request.is_read();
    // Of a znode that nothing in the history can have made, another error may say that it was there before.
    let makes = |path: &str| {
        let creates = |step: &Step| matches!(step, Step::Create { path: made, .. } if made == path);
        path == "/t"
            || records
                .iter()
                .any(|other| other.took_effect() && other.request.steps().iter().any(creates))
    };
    let made = records[at]
        .request
        .steps()
        .iter()
        .all(|step| makes(set_path(step)) && makes(parent(set_path(step))));
    let below = match &records[at].request {
        Request::Read { path, .. } => path != "/t" && (one.error.is_none() || makes(path)),
        _ => false,
    };
    let answer = records[at].ok_mut().unwrap();
    match rng.random_range(0..7) {
        0 => {
            answer.zxid = (one.zxid + rng.random_range(-3..=3)).max(1);
            if let (true, Some(stat)) = (write, &mut answer.stat) {
                stat.mzxid = answer.zxid;
            }
        }
        1 => {
            if let Some(stat) = &mut answer.stat {
                match rng.random_range(0..4) {
                    0 => stat.version += 1,
                    1 => stat.creates += 1,
                    2 if !write => stat.mzxid = (stat.mzxid - 1).max(1),
                    _ => stat.pzxid += 1,
                }
            }
        }
        2 if one.data.is_some() && two.data.is_some() => answer.data = two.data,
        3 if below => {
            let error = one.error.is_none().then_some("NoNode");
            *answer = Answer {
                error,
                zxid: one.zxid,
                ..Answer::default()
            };
        }
        4 => {
            if let Some(children) = &mut answer.children
                && children.pop().is_none()
                && below
            {
                children.push("c".to_owned());
            }
        }
        5 if made && one.error.is_some() && !read => {
            let error = *pick(rng, &["NoNode", "NodeExists", "BadVersion", "NotEmpty"]);
            answer.error = Some(error);
        }
        _ => {
            answer.zxid = two.zxid;
            records[other].ok_mut().unwrap().zxid = one.zxid;
            for (at, zxid) in [(at, two.zxid), (other, one.zxid)] {
                let write = records[at].took_effect();
                if let (true, Some(stat)) = (write, &mut records[at].ok_mut().unwrap().stat) {
                    stat.mzxid = zxid;
                }
            }
        }
    }
}

// --- the oracle -----------------------------------------------------------------------------------------------------

/// Whether the zxids can be an order that explains everything: tries every free zxid, and none, for every indeterminate write.
pub(crate) fn explained(records: &[Record]) -> bool {
    let mut order: Vec<(i64, usize)> = Vec::new();
    for (at, record) in records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.took_effect())
    {
        let answer = record.ok().unwrap();
        let own = answer
            .stat
            .as_ref()
            .map(|stat| stat.mzxid)
            .filter(|_| matches!(record.request, Request::One(_)));
        order.push((own.unwrap_or(answer.zxid), at));
    }
    order.sort_unstable();
    if order.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return false;
    }
    let open: Vec<usize> = (0..records.len())
        .filter(|at| {
            !records[*at].request.is_read()
                && records[*at].ret.is_none_or(|(_, kind)| kind == Kind::Info)
        })
        .collect();
    let top = records
        .iter()
        .filter_map(|record| record.ok())
        .map(|answer| answer.zxid)
        .max()
        .unwrap_or(0)
        + 1;
    in_sessions(records, &order) && place(records, &open, top, &mut order)
}

fn place(records: &[Record], open: &[usize], top: i64, order: &mut Vec<(i64, usize)>) -> bool {
    let Some((first, rest)) = open.split_first() else {
        order.sort_unstable();
        return holds(records, order);
    };
    let kept = order.clone();
    if place(records, rest, top, order) {
        return true;
    }
    let record = &records[*first];
    let seen = records
        .iter()
        .filter(|other| {
            other.session == record.session && other.returned().is_some_and(|ret| ret < record.inv)
        })
        .filter_map(|other| other.ok())
        .map(|answer| answer.zxid)
        .max()
        .unwrap_or(0);
    let closed = kept.iter().find(|(_, at)| {
        records[*at].request == Request::Close
            && records[*at].session == record.session
            && records[*at].is_ok()
    });
    let end = closed.map_or(top, |(zxid, _)| (*zxid - 1).min(top));
    for zxid in seen + 1..=end {
        if kept.iter().any(|(other, _)| *other == zxid) {
            continue;
        }
        *order = kept.clone();
        order.push((zxid, *first));
        if place(records, rest, top, order) {
            return true;
        }
    }
    false
}

fn own_zxid(order: &[(i64, usize)], records: &[Record], at: usize) -> i64 {
    let own = order
        .iter()
        .find(|(_, other)| *other == at)
        .map(|(zxid, _)| *zxid);
    own.unwrap_or_else(|| records[at].ok().unwrap().zxid)
}

fn in_sessions(records: &[Record], order: &[(i64, usize)]) -> bool {
    let mut answered: Vec<usize> = (0..records.len())
        .filter(|at| records[*at].is_ok())
        .collect();
    answered.sort_by_key(|at| records[*at].returned());
    answered.iter().enumerate().all(|(place, later)| {
        answered[..place]
            .iter()
            .filter(|at| records[**at].session == records[*later].session)
            .all(|earlier| {
                let (a, b) = (
                    own_zxid(order, records, *earlier),
                    own_zxid(order, records, *later),
                );
                if records[*later].took_effect() {
                    a < b
                } else {
                    a <= b
                }
            })
    })
}

fn holds(records: &[Record], order: &[(i64, usize)]) -> bool {
    let late = |ret: Option<u64>, inv: u64| ret.is_some_and(|ret| ret < inv);
    for (place, (_, later)) in order.iter().enumerate() {
        if order[..place]
            .iter()
            .any(|(_, at)| late(records[*later].returned(), records[*at].inv))
        {
            return false;
        }
    }
    let mut tree = Tree::default();
    let mut states: Vec<(i64, Tree)> = vec![(i64::MIN, tree.clone())];
    for (zxid, at) in order {
        let record = &records[*at];
        let mut request = record.request.clone();
        if let (
            Request::One(Step::Create {
                made,
                sequential: true,
                ..
            }),
            Some(answer),
        ) = (&mut request, record.ok())
        {
            *made = answer.made.clone();
        }
        if let (Request::Multi(steps), Some(answer)) = (&mut request, record.ok()) {
            for (step, result) in steps.iter_mut().zip(&answer.results) {
                if let (
                    Step::Create {
                        made,
                        sequential: true,
                        ..
                    },
                    Some(name),
                ) = (step, result.as_str())
                {
                    *made = Some(name.to_owned());
                }
            }
        }
        let mut answer = tree.write(&request, record.session, *zxid);
        if answer.error.is_some() {
            return false;
        }
        if let Some(said) = record.ok() {
            answer.zxid = said.zxid;
            if !same(&answer, said) {
                return false;
            }
        }
        states.push((*zxid, tree.clone()));
    }
    records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.is_ok() && !record.took_effect())
        .all(|(_, record)| {
            let said = record.ok().unwrap();
            let ret = record.returned().unwrap();
            let mut state = states[states.partition_point(|(zxid, _)| *zxid <= said.zxid) - 1]
                .1
                .clone();
            let answer = match &record.request {
                Request::Read { path, look, .. } => state.read(path, look, said.zxid),
                write => state.write(write, record.session, said.zxid),
            };
            let future = order
                .iter()
                .any(|(zxid, at)| *zxid <= said.zxid && records[*at].inv > ret);
            let local = matches!(record.request, Request::Read { mode: "local", .. });
            let stale = records.iter().enumerate().any(|(at, other)| {
                let linearizable = !matches!(other.request, Request::Read { mode: "local", .. });
                linearizable
                    && late(other.returned(), record.inv)
                    && own_zxid(order, records, at) > said.zxid
            });
            same(&answer, said) && !future && (local || !stale)
        })
}

fn same(has: &Answer, said: &Answer) -> bool {
    same_but_for(has, said, false)
}

/// Whether both say the same, with the zxids of Stats or without.
pub(crate) fn same_but_for(has: &Answer, said: &Answer, zxids: bool) -> bool {
    if has.error.is_some() || said.error.is_some() {
        return has.error == said.error && (has.results.is_empty() || said.results == has.results);
    }
    let counts = |answer: &Answer| {
        answer.stat.as_ref().map(|stat| {
            let Znode {
                data: _,
                version,
                creates,
                next: _,
                deletes,
                czxid,
                mzxid,
                pzxid,
                owner,
            } = stat.clone();
            (
                version,
                creates + deletes,
                creates - deletes,
                (!zxids).then_some((czxid, mzxid, pzxid)),
                owner,
            )
        })
    };
    has.data == said.data
        && has.children == said.children
        && has.results == said.results
        && (said.stat.is_none() || counts(has) == counts(said))
}

#[test]
fn the_replay_agrees_with_every_zxid_tried() {
    let mut mix = Mix::default();
    let (mut open, mut shown, mut put_in, mut nameless) = (0, 0, 0, 0);
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let options = options(&mut rng, true);
        let mut records = Sim::run(&mut rng, options).records;
        let untouched = rng.random_bool(0.25);
        if !untouched {
            for _ in 0..rng.random_range(1..3) {
                falsify(&mut rng, &mut records);
            }
        }
        if !records.iter().any(Record::is_ok) {
            continue;
        }
        let history = history(&records);
        let finding = judge_with("znodes", &exact(), &history);
        let oracle = explained(&records);
        let said = validity(&finding);
        if records.iter().any(lost_its_name) {
            // The oracle gives numbers without gaps only: what it explains is right, and what it does not may be.
            assert!(
                said != Some(false) || !oracle,
                "seed {seed}: {:?}\n{}",
                finding.verdict,
                text(&history)
            );
            nameless += 1;
            continue;
        }
        let shows = || {
            format!(
                "seed {seed}: oracle {oracle}, {:?}\n{}",
                finding.verdict,
                text(&history)
            )
        };
        assert!(!untouched || oracle, "{}", shows());
        assert!(said.is_none_or(|said| said == oracle), "{}", shows());
        // Some answers were changed into what no answer is: a list of children that is none.
        let malformed = format!("{:?}", finding.verdict).contains("expected a list of names");
        open += u64::from(said.is_none() && !malformed);
        let count = |what: &str| finding.details["indeterminate"][what].as_u64().unwrap_or(0);
        shown += count("shown");
        put_in += count("put_in");
        mix.count(&history, oracle);
    }
    println!(
        "znodes: {open} left open, {shown} indeterminate writes shown by a zxid, {put_in} put in"
    );
    println!(
        "znodes: {nameless} more with sequential znodes whose names were lost: nothing right is refused"
    );
    assert_eq!(open, 0, "left open");
    assert!(
        shown > 1_000 && put_in > 1_000,
        "{shown} shown, {put_in} put in"
    );
    mix.report("znodes, by zxid");
    assert!(mix.all >= 100_000, "{mix:?}");
}

/// Where a reply may be stamped later than the read, there is no oracle but soundness: nothing sound may be refused.
#[test]
fn nothing_sound_is_refused() {
    let mut open = 0;
    for seed in 0..6_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let exactly = rng.random_bool(0.5);
        let options = Options {
            operations: rng.random_range(5..=40),
            ..options(&mut rng, exactly)
        };
        let sim = Sim::run(&mut rng, options);
        let parameters = if exactly { exact() } else { stamped_later() };
        let history = history(&sim.records);
        let finding = judge_with("znodes", &parameters, &history);
        assert_ne!(
            validity(&finding),
            Some(false),
            "seed {seed}: {:?}\n{}",
            finding.verdict,
            text(&history)
        );
        open += u64::from(validity(&finding).is_none());
    }
    println!("znodes: {open} of 6,000 longer sound histories left open");
    assert!(open < 1_800);
}
