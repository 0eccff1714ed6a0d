//! An oracle for `znodes`: tries every zxid, and none, for every indeterminate write.

use crate::common::text;
use crate::sim::{Answer, Record, Request, Step, Tree, Znode};
use keelhaul_checkers::{Finding, History, Kind};

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

/// The same with every name that the history knows, and none of them, for every sequential znode whose create was lost.
pub(crate) fn explained_with_some_names(records: &[Record], known: &[String]) -> bool {
    let mut named = records.to_vec();
    name(&mut named, 0, known)
}

fn name(records: &mut Vec<Record>, at: usize, known: &[String]) -> bool {
    if at == records.len() {
        return explained(records);
    }
    if records[at].is_ok() {
        return name(records, at + 1, known);
    }
    let request = records[at].request.clone();
    for part in 0..request.steps().len() {
        for name_of_part in known {
            let mut named = request.clone();
            let step = match &mut named {
                Request::One(step) => step,
                Request::Multi(steps) => &mut steps[part],
                _ => unreachable!("only these have steps"),
            };
            let Step::Create {
                path,
                made,
                sequential: true,
                ..
            } = step
            else {
                break;
            };
            if !name_of_part.starts_with(path.as_str()) {
                continue;
            }
            *made = Some(name_of_part.clone());
            records[at].request = named;
            if name(records, at + 1, known) {
                return true;
            }
        }
    }
    records[at].request = request;
    name(records, at + 1, known)
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
        // Which part failed need not be told.
        let is_silent = has.results.is_empty() || said.results.is_empty();
        return has.error == said.error && (is_silent || said.results == has.results);
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

/// What the checker says of a history beside what the oracle says of it.
pub(crate) fn beside(seed: u64, oracle: bool, finding: &Finding, history: &History) -> String {
    format!(
        "seed {seed}: oracle {oracle}, {:?}\n{}",
        finding.verdict,
        text(history)
    )
}
