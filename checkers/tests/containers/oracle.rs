//! Linearizability by trying every order, with objects of its own: written without a look at the models.

use keelhaul_checkers::{History, Kind, Operation, Process};
use std::collections::HashSet;

/// An operation as the objects see it.
#[derive(Debug, Clone)]
pub struct Op {
    pub f: String,
    pub process: i64,
    pub argument: Option<i64>,
    /// The numbers of the answer.
    pub result: Vec<i64>,
    pub truth: Option<bool>,
    pub error: bool,
    pub answered: bool,
    inv: u64,
    ret: u64,
    pub place: u32,
}

impl Op {
    fn of(place: usize, operation: &Operation<'_>) -> Op {
        let result = operation.result();
        let list = result.and_then(|result| result.as_list());
        let numbers = match (list, result.and_then(|result| result.as_i64())) {
            (Some(list), _) => list.iter().filter_map(|value| value.as_i64()).collect(),
            (None, number) => number.into_iter().collect(),
        };
        Op {
            f: operation.f().to_owned(),
            process: match operation.process() {
                Process::Client(process) => *process as i64,
                Process::Named(_) => -1,
            },
            argument: operation.argument().as_i64(),
            result: numbers,
            truth: result.and_then(|result| result.as_bool()),
            error: operation.is_ok() && operation.error().is_some(),
            answered: operation.is_ok(),
            inv: operation.inv(),
            ret: operation.ret().unwrap_or(u64::MAX),
            place: place as u32,
        }
    }
}

/// What can have happened.
pub fn operations(history: &History) -> Vec<Op> {
    let all = history.operations().unwrap();
    let happened = all
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.kind() != Kind::Fail);
    happened
        .map(|(place, operation)| Op::of(place, operation))
        .collect()
}

/// An object: the states that a call can lead to.
pub type Steps = dyn Fn(&[i64], &Op) -> Vec<Vec<i64>>;

/// Whether all answered operations and some of the others have a legal order that agrees with real time.
pub fn linearizable(operations: &[Op], steps: &Steps) -> bool {
    assert!(operations.len() <= 32);
    let wanted: u32 = operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.answered)
        .map(|(at, _)| 1 << at)
        .sum();
    search(operations, wanted, 0, &[], steps, &mut HashSet::new())
}

fn search(
    all: &[Op],
    wanted: u32,
    done: u32,
    state: &[i64],
    steps: &Steps,
    seen: &mut HashSet<(u32, Vec<i64>)>,
) -> bool {
    if done & wanted == wanted {
        return true;
    }
    if !seen.insert((done, state.to_vec())) {
        return false;
    }
    let open = || all.iter().enumerate().filter(|(at, _)| done & 1 << at == 0);
    let first_return = open()
        .map(|(_, operation)| operation.ret)
        .min()
        .unwrap_or(u64::MAX);
    open()
        .filter(|(_, operation)| operation.inv < first_return)
        .any(|(at, operation)| {
            let after = steps(state, operation);
            after
                .iter()
                .any(|state| search(all, wanted, done | 1 << at, state, steps, seen))
        })
}

fn without(state: &[i64], place: usize) -> Vec<i64> {
    let mut after = state.to_vec();
    after.remove(place);
    after
}

/// A container, of which `out` tells the places of what may come out next.
fn container(
    state: &[i64],
    op: &Op,
    out: &dyn Fn(&[i64]) -> Vec<usize>,
    sorted: bool,
) -> Vec<Vec<i64>> {
    if let Some(value) = op.argument {
        let mut after = state.to_vec();
        after.push(value);
        if sorted {
            after.sort_unstable();
        }
        return vec![after];
    }
    let all = if state.is_empty() {
        Vec::new()
    } else {
        out(state)
    };
    match (op.answered, op.result.first()) {
        (false, _) if state.is_empty() => vec![Vec::new()],
        (false, _) => all.iter().map(|place| without(state, *place)).collect(),
        (true, None) if state.is_empty() => vec![Vec::new()],
        (true, None) => Vec::new(),
        (true, Some(value)) => {
            let place = all.iter().find(|place| state[**place] == *value);
            place
                .map(|place| without(state, *place))
                .into_iter()
                .collect()
        }
    }
}

pub fn fifo(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    container(state, op, &|_| vec![0], false)
}

pub fn stack(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    container(state, op, &|state| vec![state.len() - 1], false)
}

pub fn priority(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    container(state, op, &|_| vec![0], true)
}

pub fn bag(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    container(state, op, &|state| (0..state.len()).collect(), true)
}

/// A mutex without owners, or a semaphore: how many are out of how many.
pub fn permits(state: &[i64], op: &Op, all: i64) -> Vec<Vec<i64>> {
    let out = state.first().copied().unwrap_or(0);
    let wanted = op.argument.unwrap_or(1);
    let after = if op.f == "acquire" {
        out + wanted
    } else {
        out - wanted
    };
    let fits = (0..=all).contains(&after);
    match (fits, op.error) {
        (true, false) => vec![vec![after]],
        (false, true) => vec![vec![out]],
        _ => Vec::new(),
    }
}

/// A mutex with owners: the owner, how often it holds it, the token of the hold, the highest one.
pub fn owned(state: &[i64], op: &Op, limit: i64, fenced: bool) -> Vec<Vec<i64>> {
    let [owner, depth, token, highest] = *state else {
        return owned(&[-1, 0, 0, i64::MIN], op, limit, fenced);
    };
    let mine = owner == op.process;
    if op.f == "release" {
        return match (mine, op.error) {
            (true, false) if depth == 1 => vec![vec![-1, 0, 0, highest]],
            (true, false) => vec![vec![owner, depth - 1, token, highest]],
            (false, true) => vec![state.to_vec()],
            _ => Vec::new(),
        };
    }
    let fits = depth == 0 || (mine && depth < limit);
    if op.error || !fits {
        return if op.error && !fits {
            vec![state.to_vec()]
        } else {
            Vec::new()
        };
    }
    let told = op
        .result
        .first()
        .copied()
        .filter(|told| fenced && *told != 0);
    match told {
        None => vec![vec![op.process, depth + 1, token, highest]],
        Some(told) if token == told => vec![vec![op.process, depth + 1, token, highest]],
        Some(told) if token == 0 && told > highest => vec![vec![op.process, depth + 1, told, told]],
        Some(_) => Vec::new(),
    }
}

/// A set whose adds and removes do not say whether they changed anything, unless by an error.
pub fn set_again(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    let is_in = op.argument.map(|element| state.contains(&element));
    match (op.f.as_str(), is_in) {
        ("add", Some(true)) | ("remove", Some(false)) => vec![state.to_vec()],
        _ => set(state, op),
    }
}

pub fn set(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    let same = vec![state.to_vec()];
    let Some(element) = op.argument else {
        let mut shown = op.result.clone();
        shown.sort_unstable();
        return if !op.answered || shown == state {
            same
        } else {
            Vec::new()
        };
    };
    let place = state.binary_search(&element);
    match (op.f.as_str(), place) {
        ("contains", place) if op.answered => {
            if op.truth == Some(place.is_ok()) {
                same
            } else {
                Vec::new()
            }
        }
        ("contains", _) => same,
        ("add", Ok(_)) | ("remove", Err(_)) => {
            if op.error {
                same
            } else {
                Vec::new()
            }
        }
        (_, _) if op.error => Vec::new(),
        (_, Err(place)) => {
            let mut after = state.to_vec();
            after.insert(place, element);
            vec![after]
        }
        (_, Ok(place)) => vec![without(state, place)],
    }
}

pub fn counter(state: &[i64], op: &Op) -> Vec<Vec<i64>> {
    let number = state.first().copied().unwrap_or(0);
    let after = number + op.argument.unwrap_or(0);
    let told = op.f != "add" && op.answered;
    let fits = !told || op.result == [after];
    if fits { vec![vec![after]] } else { Vec::new() }
}
