//! Random small histories, and whether they are linearizable by trying every order. Written without a look at the checker.

use keelhaul_checkers::{Event, Extra, History, Kind, Nanos, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// A state: whatever the object is, as a value, and a version where it has one.
pub(crate) type State = (Value, i64);

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) error: Option<&'static str>,
    pub(crate) version: Option<i64>,
}

/// An operation of a small history. Lines are numbers; an operation without an end may happen at any time.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) f: &'static str,
    pub(crate) argument: Value,
    pub(crate) expected: Option<i64>,
    pub(crate) kind: Kind,
    pub(crate) inv: usize,
    pub(crate) ret: usize,
    /// The line at which its session was closed.
    pub(crate) end: usize,
    pub(crate) answer: Answer,
    zxid: i64,
}

const NEVER: usize = usize::MAX;

/// Draws a call, given the state and what draws a value: its function, argument and demanded version.
type Ask = fn(
    &mut ChaCha8Rng,
    &State,
    &mut dyn FnMut(&mut ChaCha8Rng) -> Value,
) -> (&'static str, Value, Option<i64>);

/// An object: how it is asked, what it does, and what may be, all by itself.
pub(crate) struct Object {
    pub(crate) model: &'static str,
    pub(crate) initial: State,
    /// A random call: function, argument, demanded version. `few` values, or every one once.
    pub(crate) ask: Ask,
    /// The object does it.
    pub(crate) apply: fn(&mut State, &Op) -> Answer,
    /// What the state is after an operation with this outcome, if it can have been.
    pub(crate) step: fn(&State, &Op) -> Option<State>,
    /// Changes an answer.
    pub(crate) falsify: fn(&mut ChaCha8Rng, &mut Op, &[Op]),
    /// Functions that change nothing: without an answer they say nothing.
    pub(crate) reads: &'static [&'static str],
    /// Histories have at most so many operations, and so many changed answers.
    pub(crate) most: usize,
    pub(crate) lies: usize,
}

/// A line of a history that is being made.
struct Line {
    op: usize,
    kind: Kind,
}

/// A small history.
pub(crate) struct Small {
    pub(crate) ops: Vec<Op>,
    lines: Vec<Line>,
    closes: bool,
    told: bool,
}

/// Two to ten operations by up to four clients at a time; some answers lost, some changed.
pub(crate) fn random(rng: &mut ChaCha8Rng, object: &Object) -> Small {
    let count = rng.random_range(2..=object.most);
    let clients = rng.random_range(1..=4);
    let few = rng.random_bool(0.5);
    let mut next = 0;
    let mut fresh = move |rng: &mut ChaCha8Rng| {
        next += 1;
        if few {
            json!(rng.random_range(0..3))
        } else {
            json!(next)
        }
    };
    let mut small = Small {
        ops: Vec::with_capacity(count),
        lines: Vec::with_capacity(3 * count),
        closes: rng.random_bool(0.3),
        told: rng.random_bool(0.5),
    };
    let mut state = object.initial.clone();
    let mut zxid = 0;
    // (operation, whether it took effect)
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut lost: Vec<usize> = Vec::new();
    let lose = *[0, 1, 3].get(rng.random_range(0..3)).unwrap();
    while small.ops.len() < count || !open.is_empty() {
        if small.ops.len() < count && open.len() < clients && rng.random_bool(0.5) {
            let (f, argument, expected) = (object.ask)(rng, &state, &mut fresh);
            open.push((small.ops.len(), false));
            small.lines.push(Line {
                op: small.ops.len(),
                kind: Kind::Invoke,
            });
            small.ops.push(Op {
                f,
                argument,
                expected,
                kind: Kind::Info,
                inv: small.lines.len() - 1,
                ret: NEVER,
                end: NEVER,
                answer: Answer::default(),
                zxid: 0,
            });
        }
        let mut take_effect = |op: &mut Op, state: &mut State| {
            let before = state.clone();
            op.answer = (object.apply)(state, op);
            zxid += i64::from(*state != before);
            op.zxid = zxid;
        };
        if open.is_empty() {
            continue;
        }
        let at = rng.random_range(0..open.len());
        let (place, done) = open[at];
        match rng.random_range(0..10 + lose) {
            0..=4 if !done => {
                take_effect(&mut small.ops[place], &mut state);
                open[at].1 = true;
            }
            5..=8 if done => end(&mut small, &mut open, at, Kind::Ok),
            9 if !done && rng.random_bool(0.3) => end(&mut small, &mut open, at, Kind::Fail),
            10.. => {
                end(&mut small, &mut open, at, Kind::Info);
                if !done {
                    lost.push(place);
                }
                if small.closes && rng.random_bool(0.5) {
                    // Its session is closed: what has not taken effect never will.
                    if rng.random_bool(0.5) && !done {
                        take_effect(&mut small.ops[place], &mut state);
                    }
                    lost.retain(|other| *other != place);
                    small.ops[place].end = small.lines.len() + 1;
                    small.lines.push(Line {
                        op: place,
                        kind: Kind::Invoke,
                    });
                    small.lines.push(Line {
                        op: place,
                        kind: Kind::Ok,
                    });
                }
            }
            _ => {}
        }
        if !lost.is_empty() && rng.random_bool(0.1) {
            let place = lost.swap_remove(rng.random_range(0..lost.len()));
            take_effect(&mut small.ops[place], &mut state);
        }
    }
    for _ in 0..rng.random_range(0..=object.lies) {
        let answered: Vec<usize> = (0..small.ops.len())
            .filter(|at| small.ops[*at].kind == Kind::Ok)
            .collect();
        if !answered.is_empty() {
            let at = answered[rng.random_range(0..answered.len())];
            let mut op = small.ops[at].clone();
            (object.falsify)(rng, &mut op, &small.ops);
            small.ops[at] = op;
        }
    }
    small
}

fn end(small: &mut Small, open: &mut Vec<(usize, bool)>, at: usize, kind: Kind) {
    let (place, _) = open.swap_remove(at);
    let op = &mut small.ops[place];
    op.kind = kind;
    if kind != Kind::Info {
        op.ret = small.lines.len();
    }
    small.lines.push(Line { op: place, kind });
}

impl Small {
    pub(crate) fn has_indeterminate(&self) -> bool {
        self.ops.iter().any(|op| op.kind == Kind::Info)
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.ops.iter().any(|op| op.kind == Kind::Ok)
    }

    /// As a checker reads it.
    pub(crate) fn history(&self) -> History {
        let mut history = History::new();
        let close: Arc<str> = "close".into();
        for (index, line) in self.lines.iter().enumerate() {
            let op = &self.ops[line.op];
            let closing = index + 1 == op.end || index == op.end;
            let mut extra = Extra::new();
            if self.closes {
                extra.insert("session", line.op as i64);
            }
            if let (Some(expected), Kind::Invoke) = (op.expected, line.kind) {
                extra.insert("expected", expected);
            }
            let answered = line.kind == Kind::Ok && !closing;
            if answered {
                op.answer
                    .version
                    .inspect(|version| extra.insert("version", *version));
                op.answer
                    .error
                    .inspect(|error| extra.insert("error", *error));
                if self.told {
                    extra.insert("zxid", op.zxid);
                }
            }
            history.push(&Event {
                index: index as u64,
                time: Nanos(index as u64),
                process: Process::Client(line.op as u64 + if closing { 1_000 } else { 0 }),
                kind: line.kind,
                f: if closing { close.clone() } else { op.f.into() },
                key: None,
                value: if closing {
                    Value::Null
                } else if answered {
                    op.answer.value.clone()
                } else {
                    op.argument.clone()
                },
                extra,
            });
        }
        history
    }

    /// Whether some order explains it.
    pub(crate) fn is_linearizable(&self, object: &Object) -> bool {
        let happened = |op: &&Op| match op.kind {
            Kind::Ok => true,
            Kind::Info => !object.reads.contains(&op.f),
            _ => false,
        };
        let ops: Vec<&Op> = self.ops.iter().filter(happened).collect();
        let mut seen = HashSet::new();
        some_order(&ops, 0, &object.initial, object, &mut seen)
    }
}

/// Whether what is not in `done` can follow it.
fn some_order(
    ops: &[&Op],
    done: u32,
    state: &State,
    object: &Object,
    seen: &mut HashSet<(u32, State)>,
) -> bool {
    let left = |at: &usize| done >> at & 1 == 0;
    if (0..ops.len())
        .filter(left)
        .all(|at| ops[at].kind == Kind::Info)
    {
        return true;
    }
    if !seen.insert((done, state.clone())) {
        return false;
    }
    let first_return = (0..ops.len())
        .filter(left)
        .filter(|at| ops[*at].kind == Kind::Ok)
        .map(|at| ops[at].ret)
        .min();
    let last_invoked = (0..ops.len())
        .filter(|at| !left(at))
        .map(|at| ops[at].inv)
        .max();
    (0..ops.len()).filter(left).any(|at| {
        let in_time = first_return.is_none_or(|ret| ops[at].inv < ret)
            && last_invoked.is_none_or(|inv| inv < ops[at].end);
        in_time
            && (object.step)(state, ops[at])
                .is_some_and(|next| some_order(ops, done | 1 << at, &next, object, seen))
    })
}
