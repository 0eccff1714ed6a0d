//! Locks and semaphores: whoever holds one releases it before it asks again.
//!
//! A client that gives up waiting is told `fail`, and so is one that releases what it does not hold. A lost acquisition never
//! took effect (nobody would release it), a lost release always did.

use super::dice::Dice;
use super::engine::{Client, Lost, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use std::io::{self, Write};

const TWICE: &str = "double-acquire";
const NOT_HELD: &str = "release-not-held";

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "mutex",
            about: "acquire and release",
            // One released too often is no breach where a lost acquisition may have come between.
            breaks: &[TWICE],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Mutex, options, dice, out),
    },
    Row {
        info: Generated {
            name: "fenced-mutex",
            about: "acquire, which answers with a fencing token, and release",
            breaks: &[TWICE, NOT_HELD, "token-order"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Fenced, options, dice, out),
    },
    Row {
        info: Generated {
            name: "reentrant-mutex",
            about: "acquire, up to twice by one process, and release",
            breaks: &[TWICE, NOT_HELD, "third-acquire"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Reentrant, options, dice, out),
    },
    Row {
        info: Generated {
            name: "semaphore",
            about: "acquire and release of permits; --values says how many there are (2)",
            breaks: &["too-many-permits"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Semaphore, options, dice, out),
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mutex,
    Fenced,
    Reentrant,
    Semaphore,
}

/// How often a process may hold a reentrant mutex.
const DEEPEST: u64 = 2;

fn play(kind: Kind, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let keys = options.keys.unwrap_or(1);
    let permits = match kind {
        Kind::Semaphore => options.values.unwrap_or(2),
        _ => 1,
    };
    let system = Locks {
        kind,
        permits,
        locks: vec![Lock::default(); keys as usize],
        held: vec![None; options.concurrency],
        breaking: options.breaking.clone(),
        staged: 0,
    };
    run(system, keys == 1, options, dice, out)
}

#[derive(Debug, Clone, Default)]
struct Lock {
    /// Permits that are out; of a reentrant mutex, how often its owner holds it.
    out: u64,
    owner: Option<usize>,
    token: i64,
}

#[derive(Debug)]
struct Call {
    acquires: bool,
    slot: usize,
    key: u32,
    permits: u64,
    token: i64,
    /// Whether it was asked by one that holds nothing, to be refused.
    idle: bool,
}

struct Locks {
    kind: Kind,
    permits: u64,
    locks: Vec<Lock>,
    /// What each client holds: which lock, and how much of it.
    held: Vec<Option<(u32, u64)>>,
    breaking: Option<String>,
    staged: u32,
}

impl System for Locks {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, client: Client) -> Call {
        let slot = client.slot;
        let mut call = Call {
            acquires: true,
            slot,
            key: dice.below(self.locks.len()) as u32,
            permits: 1,
            token: 0,
            idle: false,
        };
        match self.held[slot] {
            Some((key, held)) => {
                let deeper = self.kind == Kind::Reentrant && held < DEEPEST && dice.one_in(3);
                (call.acquires, call.key) = (deeper, key);
                if self.kind == Kind::Semaphore {
                    call.permits = held;
                }
            }
            // Anybody may give a semaphore permits, and nobody owns a plain mutex: there it would not be refused.
            None if dice.one_in(20) && !matches!(self.kind, Kind::Semaphore | Kind::Mutex) => {
                (call.acquires, call.idle) = (false, true);
            }
            None if self.kind == Kind::Semaphore => {
                call.permits = 1 + dice.below(self.permits as usize) as u64;
            }
            None => {}
        }
        call
    }

    fn step(&mut self, call: &mut Call, _: &mut Dice) -> Step {
        let lock = &mut self.locks[call.key as usize];
        if call.idle {
            return Step::Refused;
        }
        if !call.acquires {
            lock.out -= call.permits;
            let left = match self.kind {
                Kind::Reentrant => lock.out,
                _ => 0,
            };
            if left == 0 {
                lock.owner = None;
            }
            self.held[call.slot] = (left > 0).then_some((call.key, left));
            return Step::Done;
        }
        let again = self.kind == Kind::Reentrant && lock.owner == Some(call.slot);
        if !again && lock.out + call.permits > self.permits {
            return Step::Wait;
        }
        lock.out += call.permits;
        lock.owner = Some(call.slot);
        if !again {
            lock.token += 1;
        }
        call.token = lock.token;
        let before = self.held[call.slot].map_or(0, |(_, held)| held);
        self.held[call.slot] = Some((call.key, before + call.permits));
        Step::Done
    }

    fn when_lost(&self, call: &Call) -> Lost {
        // The client would go on as another process, which owns nothing of what it still holds.
        if let (Kind::Reentrant, Some((_, held))) = (self.kind, self.held[call.slot])
            && (call.acquires || held != 1)
        {
            return Lost::Not;
        }
        match (call.acquires, call.idle) {
            (true, _) => Lost::Never,
            (false, true) => Lost::Perhaps,
            (false, false) => Lost::Surely,
        }
    }

    fn is_busy(&self, slot: usize) -> bool {
        self.held[slot].is_some()
    }

    fn may_fail(&self, call: &Call) -> bool {
        call.acquires
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        let f = if call.acquires { "acquire" } else { "release" };
        let key = (self.locks.len() > 1).then_some(call.key);
        text.call(f, key).value();
        match self.kind {
            Kind::Semaphore => text.count(call.permits),
            Kind::Fenced if call.acquires && phase == Phase::Ok => text.int(call.token),
            _ => text.raw("null"),
        };
    }

    fn stage(&mut self, _: &mut Dice, quiet: bool) -> Option<Staged> {
        let key = (!quiet).then_some(self.locks.len() as u32 + self.staged);
        self.staged += 1;
        let kind = self.kind;
        let base = if quiet { self.locks[0].token } else { 0 };
        let act = |f: &'static str, permits: u64, token: Option<i64>| {
            move |text: &mut Text| {
                text.call(f, key).value();
                match (kind, token) {
                    (Kind::Semaphore, _) => text.count(permits),
                    (Kind::Fenced, Some(token)) => text.int(token),
                    _ => text.raw("null"),
                };
            }
        };
        let acquire = |permits, token| act("acquire", permits, token);
        let release = || act("release", 1, None);
        let mut scene = Staged::default();
        match self.breaking.as_deref()? {
            TWICE => {
                scene.text = "two processes acquired it, and nobody released it between".to_owned();
                scene.both(0, Phase::Ok, acquire(1, None), acquire(1, Some(base + 1)));
                scene.both(1, Phase::Ok, acquire(1, None), acquire(1, Some(base + 2)));
                scene.both(1, Phase::Ok, release(), release());
                self.locks[0].token += 2 * i64::from(quiet);
            }
            NOT_HELD => {
                scene.text = "it was released twice, and acquired once".to_owned();
                scene.both(0, Phase::Ok, acquire(1, None), acquire(1, Some(base + 1)));
                scene.both(0, Phase::Ok, release(), release());
                scene.both(0, Phase::Ok, release(), release());
                self.locks[0].token += i64::from(quiet);
            }
            "token-order" => {
                scene.text = "the second acquisition has a smaller token than the first".to_owned();
                scene.both(0, Phase::Ok, acquire(1, None), acquire(1, Some(base + 2)));
                scene.both(0, Phase::Ok, release(), release());
                scene.both(1, Phase::Ok, acquire(1, None), acquire(1, Some(base + 1)));
                scene.both(1, Phase::Ok, release(), release());
                self.locks[0].token += 2 * i64::from(quiet);
            }
            "third-acquire" => {
                scene.text = "one process acquired it three times".to_owned();
                for _ in 0..=DEEPEST {
                    scene.both(0, Phase::Ok, acquire(1, None), acquire(1, None));
                }
                for _ in 0..=DEEPEST {
                    scene.both(0, Phase::Ok, release(), release());
                }
            }
            "too-many-permits" => {
                let permits = self.permits;
                scene.text = format!("{} permits are out, of {permits}", permits + 1);
                scene.both(0, Phase::Ok, acquire(permits, None), acquire(permits, None));
                scene.both(1, Phase::Ok, acquire(1, None), acquire(1, None));
            }
            _ => return None,
        }
        Some(scene)
    }
}
