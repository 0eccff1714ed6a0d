//! Histories of a small simulated ZooKeeper: what its replay and its folds see.

use crate::common::blinding::{Row, invalid, measure};
use crate::common::random::pick;
use crate::explained::explained;
use crate::sim::{Answer, Options, Record, Request, Sim, Step, history};
use keelhaul_checkers::Kind;
use rand_chacha::ChaCha8Rng;

const TRIES: u64 = 400;

pub(crate) fn rows() -> Vec<Row> {
    [znodes(), audit(), sequence(), ephemeral()].concat()
}

fn run(rng: &mut ChaCha8Rng) -> Sim {
    run_with(rng, 0.3, 0.4, 0.06)
}

fn run_with(rng: &mut ChaCha8Rng, sequential: f64, ephemeral: f64, close: f64) -> Sim {
    let options = Options {
        operations: 60,
        sessions: 4,
        exact: true,
        lost: 0.03,
        ephemeral,
        multi: 0.1,
        sequential,
        close,
        by_name: 0.0,
    };
    Sim::run(rng, options)
}

fn places(records: &[Record], fits: impl Fn(&Record) -> bool) -> Vec<usize> {
    (0..records.len())
        .filter(|at| records[*at].is_ok() && fits(&records[*at]))
        .collect()
}

fn choose(rng: &mut ChaCha8Rng, from: &[usize]) -> Option<usize> {
    (!from.is_empty()).then(|| *pick(rng, from))
}

fn good(record: &Record) -> bool {
    record.ok().is_some_and(|answer| answer.error.is_none())
}

fn judged(checker: &'static str, records: &[Record]) -> Option<bool> {
    Some(invalid(checker, &history(records)))
}

/// A change that some zxids of the indeterminate writes explain broke nothing, and does not count: the oracle, which tries them
/// all, finds them.
fn judged_if_harmful(records: &[Record]) -> Option<bool> {
    let killed = invalid("znodes", &history(records));
    (killed || !explained(records)).then_some(killed)
}

/// Two writes that are not concurrent exchange their zxids.
fn swap_zxids(rng: &mut ChaCha8Rng, records: &mut [Record]) -> Option<()> {
    let writes = places(records, |record| record.took_effect());
    let one = choose(rng, &writes)?;
    let later = |at: &&usize| records[**at].inv > records[one].returned().unwrap();
    let other = choose(
        rng,
        &writes.iter().filter(later).copied().collect::<Vec<_>>(),
    )?;
    let zxids = (records[one].ok()?.zxid, records[other].ok()?.zxid);
    for (at, zxid) in [(one, zxids.1), (other, zxids.0)] {
        let create = matches!(records[at].request, Request::One(Step::Create { .. }));
        let answer = records[at].ok_mut()?;
        answer.zxid = zxid;
        if let Some(stat) = &mut answer.stat {
            stat.mzxid = zxid;
            if create {
                (stat.czxid, stat.pzxid) = (zxid, zxid);
            }
        }
    }
    Some(())
}

/// A read of a session shows its znode as it was before a change that its reply's zxid covers.
fn stale_read(rng: &mut ChaCha8Rng, sim: &mut Sim) -> Option<()> {
    let stale = |record: &Record| match (&record.request, record.ok()) {
        (Request::Read { path, look, .. }, Some(answer)) if path != "/t" => {
            let older = sim.states.iter().rev().find(|(zxid, tree)| {
                *zxid <= answer.zxid && tree.read(path, look, answer.zxid) != *answer
            });
            older.map(|(_, tree)| tree.read(path, look, answer.zxid))
        }
        _ => None,
    };
    let reads = places(&sim.records, |record| stale(record).is_some());
    let at = choose(rng, &reads)?;
    let answer = stale(&sim.records[at])?;
    sim.records[at].answer = Some(answer);
    Some(())
}

fn change_stat(
    rng: &mut ChaCha8Rng,
    records: &mut [Record],
    fits: impl Fn(&Record) -> bool,
    change: impl Fn(&mut Answer),
) -> Option<()> {
    let fitting = places(records, |record| {
        record.ok().is_some_and(|answer| answer.stat.is_some()) && fits(record)
    });
    let at = choose(rng, &fitting)?;
    change(records[at].ok_mut()?);
    Some(())
}

fn znodes() -> Vec<Row> {
    let name = "znodes";
    vec![
        measure(name, "the zxids of two writes exchanged", 0..TRIES, |rng| {
            let mut sim = run(rng);
            swap_zxids(rng, &mut sim.records)?;
            judged_if_harmful(&sim.records)
        }),
        measure(
            name,
            "a read that is older than its zxid",
            0..TRIES,
            |rng| {
                let mut sim = run(rng);
                stale_read(rng, &mut sim)?;
                judged_if_harmful(&sim.records)
            },
        ),
        measure(
            name,
            "an acknowledged write that has left no trace",
            0..TRIES,
            |rng| {
                let mut sim = run(rng);
                let reads = |path: &str, zxid: i64, records: &[Record]| {
                    !places(records, |record| {
                    matches!(&record.request, Request::Read { path: other, .. } if other == path)
                        && record.ok().is_some_and(|answer| answer.stat.as_ref().is_some_and(|stat| stat.czxid < zxid && stat.version > 0))
                        && record.ok().unwrap().zxid > zxid
                })
                .is_empty()
                };
                let records = sim.records.clone();
                let sets = places(&records, |record| match &record.request {
                    Request::One(Step::Set { path, .. }) => {
                        good(record) && reads(path, record.ok().unwrap().zxid, &records)
                    }
                    _ => false,
                });
                let at = choose(rng, &sets)?;
                // The server says that it was refused, and its effect is there all the same.
                sim.records[at].ret = sim.records[at].ret.map(|(line, _)| (line, Kind::Fail));
                judged_if_harmful(&sim.records)
            },
        ),
    ]
}

fn audit() -> Vec<Row> {
    let name = "zxid-audit";
    vec![
        measure(name, "the zxids of two writes exchanged", 0..TRIES, |rng| {
            let mut sim = run(rng);
            swap_zxids(rng, &mut sim.records)?;
            judged(name, &sim.records)
        }),
        measure(
            name,
            "a version that counts one set too many",
            0..TRIES,
            |rng| {
                let mut sim = run(rng);
                change_stat(
                    rng,
                    &mut sim.records,
                    |_| true,
                    |answer| answer.stat.as_mut().unwrap().version += 1,
                )?;
                judged(name, &sim.records)
            },
        )
        .surviving(
            40,
            "an indeterminate set may have made it, and nothing else shows that version",
        ),
        measure(
            name,
            "a cversion that counts one child too many",
            0..TRIES,
            |rng| {
                let mut sim = run(rng);
                change_stat(
                    rng,
                    &mut sim.records,
                    |_| true,
                    |answer| answer.stat.as_mut().unwrap().creates += 1,
                )?;
                judged(name, &sim.records)
            },
        )
        .surviving(60, "ephemeral children may have come and gone unseen"),
        measure(
            name,
            "an mzxid before the znode's creation",
            0..TRIES,
            |rng| {
                let mut sim = run(rng);
                change_stat(
                    rng,
                    &mut sim.records,
                    |_| true,
                    |answer| {
                        let stat = answer.stat.as_mut().unwrap();
                        stat.mzxid = stat.czxid - 1;
                    },
                )?;
                judged(name, &sim.records)
            },
        ),
    ]
}

fn sequence() -> Vec<Row> {
    let name = "sequence";
    let sequential = |record: &Record| {
        matches!(&record.request, Request::One(Step::Create { sequential: true, path, .. }) if path == "/t/n-")
            && good(record)
    };
    let renamed = |record: &mut Record, change: &dyn Fn(i64) -> i64| {
        let made = record.ok_mut().unwrap().made.as_mut().unwrap();
        let number: i64 = made["/t/n-".len()..].parse().unwrap();
        *made = format!("/t/n-{:010}", change(number));
    };
    let number = |record: &Record| -> i64 {
        record.ok().unwrap().made.as_ref().unwrap()["/t/n-".len()..]
            .parse()
            .unwrap()
    };
    vec![
        measure(name, "a number given out twice", 0..TRIES, |rng| {
            let mut sim = run_with(rng, 0.9, 0.4, 0.06);
            let made = places(&sim.records, sequential);
            let (one, other) = (choose(rng, &made)?, choose(rng, &made)?);
            let taken = number(&sim.records[other]);
            if one == other {
                return None;
            }
            renamed(&mut sim.records[one], &|_| taken);
            judged(name, &sim.records)
        }),
        measure(name, "two numbers exchanged", 0..TRIES, |rng| {
            let mut sim = run_with(rng, 0.9, 0.4, 0.06);
            let made = places(&sim.records, sequential);
            let (one, other) = (choose(rng, &made)?, choose(rng, &made)?);
            if one == other {
                return None;
            }
            let (a, b) = (number(&sim.records[one]), number(&sim.records[other]));
            renamed(&mut sim.records[one], &|_| b);
            renamed(&mut sim.records[other], &|_| a);
            judged(name, &sim.records)
        }),
    ]
}

fn ephemeral() -> Vec<Row> {
    let name = "ephemeral";
    vec![
        measure(
            name,
            "a write of a session after its end",
            0..TRIES,
            |rng| {
                let mut sim = run_with(rng, 0.6, 0.95, 0.15);
                let owns = |session: usize, records: &[Record]| {
                    records.iter().any(|record| {
                        record.session == session
                            && record.took_effect()
                            && record.request.steps().iter().any(|step| {
                                matches!(
                                    step,
                                    Step::Create {
                                        ephemeral: true,
                                        ..
                                    }
                                )
                            })
                    })
                };
                let records = sim.records.clone();
                let closes = places(&records, |record| {
                    record.request == Request::Close && owns(record.session, &records)
                });
                let close = choose(rng, &closes)?;
                let writes = places(&records, |record| {
                    record.took_effect()
                        && record.request != Request::Close
                        && record.inv > records[close].returned().unwrap()
                });
                let late = choose(rng, &writes)?;
                sim.records[late].session = records[close].session;
                judged(name, &sim.records)
            },
        ),
        measure(
            name,
            "an ephemeral znode that outlives its session",
            0..TRIES,
            |rng| (0..16).find_map(|_| outliving(rng)),
        ),
    ]
}

/// An ephemeral znode is shown at the last view of all, after its session was closed; one history in five has a place for it.
fn outliving(rng: &mut ChaCha8Rng) -> Option<bool> {
    let mut sim = run_with(rng, 0.6, 0.95, 0.15);
    let records = sim.records.clone();
    let shown = places(&records, |record| {
        matches!(record.request, Request::Read { .. })
            && record.ok().is_some_and(|answer| {
                answer
                    .stat
                    .as_ref()
                    .is_some_and(|stat| stat.owner.is_some())
            })
    });
    let at = choose(rng, &shown)?;
    let owner = records[at].ok()?.stat.as_ref()?.owner?;
    let made = records[at].ok()?.stat.as_ref()?.czxid;
    let known = records.iter().any(|record| {
        record.took_effect() && record.ok().is_some_and(|answer| answer.zxid == made)
    });
    let path = match &records[at].request {
        Request::Read { path, .. } => path.clone(),
        _ => return None,
    };
    let deleted = records.iter().any(|record| {
        record
            .request
            .steps()
            .iter()
            .any(|step| matches!(step, Step::Delete { path: gone, .. } if *gone == path))
    });
    // The same answer again, at the last view of all, after its session was closed.
    let last = sim.states.last()?.0;
    let mut again = records[at].clone();
    let line = records
        .iter()
        .flat_map(|record| [Some(record.inv), record.ret.map(|(line, _)| line)])
        .flatten()
        .max()?;
    again.session = 1_000;
    again.process = 1_000;
    again.inv = line + 1;
    again.ret = Some((line + 2, Kind::Ok));
    again.answer.as_mut()?.zxid = last + 2;
    let mut close = again.clone();
    close.request = Request::Close;
    close.session = owner;
    close.process = 1_001;
    close.answer = Some(Answer {
        zxid: last + 1,
        ..Answer::default()
    });
    (close.inv, close.ret) = (line + 1, Some((line + 2, Kind::Ok)));
    (again.inv, again.ret) = (line + 3, Some((line + 4, Kind::Ok)));
    let closed = records
        .iter()
        .any(|record| record.session == owner && record.request == Request::Close);
    if deleted || !known || closed {
        return None;
    }
    sim.records.extend([close, again]);
    judged("ephemeral", &sim.records)
}
