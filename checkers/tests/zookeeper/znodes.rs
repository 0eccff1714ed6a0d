//! The replay by zxid against an oracle that tries every zxid for every indeterminate write.

use crate::common::random::{Mix, pick};
use crate::common::{judge_with, text, validity};
use crate::explained::{beside, explained};
use crate::search::lost_its_name;
use crate::sim::{
    Answer, Options, Record, Request, Sim, Step, begins_after_0, forget_parts, history,
    history_from_nothing, parent, set_path,
};
use keelhaul_checkers::{Finding, Parameters};
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
        by_name: 0.0,
    }
}

pub(crate) fn exact_options(rng: &mut ChaCha8Rng) -> Options {
    options(rng, true)
}

pub(crate) fn exact() -> Parameters {
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

/// Whether it was presumed that more may have been there before the history: the oracles know that it was not.
pub(crate) fn presumes(finding: &Finding) -> bool {
    finding.details.get("there_before").is_some()
        || format!("{:?}", finding.verdict).contains("may have been there before the history")
}

#[test]
fn the_replay_agrees_with_every_zxid_tried() {
    let mut mix = Mix::default();
    let (mut open, mut shown, mut put_in, mut nameless, mut presumed) = (0, 0, 0, 0, 0);
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
        forget_parts(&mut rng, &mut records);
        if !records.iter().any(Record::is_ok) {
            continue;
        }
        let from_nothing = seed % 8 != 0 && begins_after_0(&records);
        let history = match from_nothing {
            true => history_from_nothing(&records),
            false => history(&records),
        };
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
        let shows = || beside(seed, oracle, &finding, &history);
        assert!(!untouched || oracle, "{}", shows());
        if presumes(&finding) {
            assert!(!oracle && !from_nothing, "{}", shows());
            presumed += 1;
            continue;
        }
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
    println!("znodes: {presumed} more that fit only if something was there before");
    assert!(presumed > 0, "none");
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
        let mut sim = Sim::run(&mut rng, options);
        forget_parts(&mut rng, &mut sim.records);
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
