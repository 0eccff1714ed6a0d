//! Queues, stacks and priority queues. Taking from an empty one is `ok` with `null`.
//!
//! Every value is put once. Not more than some dozens are inside at a time.

use super::dice::Dice;
use super::engine::{Client, Lost, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};

/// More than this is not put in before something is taken out.
const FULL: usize = 48;

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "fifo-queue",
            about: "enqueue and dequeue, in order",
            // A lost value is no breach where a dequeue without an answer may have taken it.
            breaks: &[
                "swapped-order",
                "double-dequeue",
                "unwritten-read",
                "false-empty",
            ],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Fifo, options, dice, out),
    },
    Row {
        info: Generated {
            name: "unordered-queue",
            about: "enqueue and dequeue, in any order",
            breaks: &["double-dequeue", "unwritten-read", "false-empty"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Bag, options, dice, out),
    },
    Row {
        info: Generated {
            name: "stack",
            about: "push and pop",
            breaks: &[
                "swapped-order",
                "double-dequeue",
                "unwritten-read",
                "false-empty",
            ],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Stack, options, dice, out),
    },
    Row {
        info: Generated {
            name: "priority-queue",
            about: "add, and poll the least",
            breaks: &[
                "swapped-order",
                "double-dequeue",
                "unwritten-read",
                "false-empty",
            ],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Priority, options, dice, out),
    },
    Row {
        info: Generated {
            name: "total-queue",
            about: "enqueue and dequeue; all is dequeued at the end",
            breaks: &["lost-write", "unwritten-read"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Total, options, dice, out),
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fifo,
    Bag,
    Stack,
    Priority,
    Total,
}

impl Kind {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::Fifo | Kind::Bag | Kind::Total => ("enqueue", "dequeue"),
            Kind::Stack => ("push", "pop"),
            Kind::Priority => ("add", "poll"),
        }
    }
}

fn play(kind: Kind, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let keys = options.keys.unwrap_or(1);
    let system = Queues {
        kind,
        queues: (0..keys).map(|_| Inside::default()).collect(),
        next: 1,
        breaking: options.breaking.clone(),
        staged: 0,
        drained: 0,
    };
    run(system, keys == 1, options, dice, out)
}

#[derive(Debug, Default)]
struct Inside {
    row: VecDeque<i64>,
    sorted: BTreeSet<i64>,
}

#[derive(Debug)]
struct Call {
    key: u32,
    put: Option<i64>,
    got: Option<i64>,
}

struct Queues {
    kind: Kind,
    queues: Vec<Inside>,
    next: i64,
    breaking: Option<String>,
    staged: u32,
    /// How many queues are empty at the end, and were found so.
    drained: u32,
}

impl Queues {
    /// A value of its own; of a priority queue in no order.
    fn fresh(&mut self) -> i64 {
        let number = self.next;
        self.next += 1;
        match self.kind {
            // An odd factor permutes the numbers below a power of two.
            Kind::Priority => number.wrapping_mul(2_654_435_761) & ((1 << 40) - 1),
            _ => number,
        }
    }

    fn inside(&self, key: u32) -> usize {
        let queue = &self.queues[key as usize];
        queue.row.len() + queue.sorted.len()
    }

    fn name(&self, key: u32) -> Option<u32> {
        (self.queues.len() > 1).then_some(key)
    }
}

impl System for Queues {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, _: Client) -> Call {
        let key = dice.below(self.queues.len()) as u32;
        let put = dice.one_in(2) && self.inside(key) < FULL;
        Call {
            key,
            put: put.then(|| self.fresh()),
            got: None,
        }
    }

    fn step(&mut self, call: &mut Call, dice: &mut Dice) -> Step {
        let kind = self.kind;
        let Inside { row, sorted } = &mut self.queues[call.key as usize];
        match (call.put, kind) {
            (Some(value), Kind::Priority) => {
                sorted.insert(value);
            }
            (Some(value), _) => row.push_back(value),
            (None, Kind::Priority) => call.got = sorted.pop_first(),
            (None, Kind::Fifo) => call.got = row.pop_front(),
            (None, Kind::Stack) => call.got = row.pop_back(),
            (None, Kind::Bag | Kind::Total) => {
                if !row.is_empty() {
                    let at = dice.below(row.len());
                    call.got = row.swap_remove_back(at);
                }
            }
        }
        Step::Done
    }

    fn when_lost(&self, call: &Call) -> Lost {
        // Nobody could tell what a lost dequeue took from what was lost.
        match (self.kind, call.put) {
            (Kind::Total, None) => Lost::Not,
            _ => Lost::Perhaps,
        }
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        let (put, get) = self.kind.words();
        let key = self.name(call.key);
        match call.put {
            Some(value) => text.call(put, key).value().int(value),
            None => {
                let got = call.got.filter(|_| phase == Phase::Ok);
                text.call(get, key).value().maybe(got)
            }
        };
    }

    fn last(&mut self) -> Option<Call> {
        let key = self.drained;
        if self.kind != Kind::Total || key as usize == self.queues.len() {
            return None;
        }
        // The last one of each finds it empty.
        self.drained += u32::from(self.inside(key) == 0);
        Some(Call {
            key,
            put: None,
            got: None,
        })
    }

    fn stage(&mut self, _: &mut Dice, quiet: bool) -> Option<Staged> {
        let (put, get) = self.kind.words();
        let key = (!quiet).then_some(self.queues.len() as u32 + self.staged);
        self.staged += 1;
        let mut scene = Staged::default();
        let fill = |value: i64| {
            move |text: &mut Text| {
                text.call(put, key).value().int(value);
            }
        };
        let take = |value: Option<i64>| {
            move |text: &mut Text| {
                text.call(get, key).value().maybe(value);
            }
        };
        // What stands in the only queue is taken out first.
        while quiet && self.inside(0) > 0 {
            let mut call = Call {
                key: 0,
                put: None,
                got: None,
            };
            self.step(&mut call, &mut Dice::new(0));
            scene.both(0, Phase::Ok, take(None), take(call.got));
        }
        let (mut one, mut two) = (self.fresh(), self.fresh());
        if one > two {
            (one, two) = (two, one);
        }
        let puts = |scene: &mut Staged, values: &[i64]| {
            for value in values {
                scene.both(1, Phase::Ok, fill(*value), fill(*value));
            }
        };
        let gets = |scene: &mut Staged, values: &[Option<i64>]| {
            for value in values {
                scene.both(2, Phase::Ok, take(None), take(*value));
            }
        };
        match self.breaking.as_deref()? {
            "swapped-order" => {
                puts(&mut scene, &[one, two]);
                let order = match self.kind {
                    Kind::Stack => [Some(one), Some(two)],
                    _ => [Some(two), Some(one)],
                };
                gets(&mut scene, &order);
                scene.text = format!("{one} and {two} come out in the wrong order");
            }
            "double-dequeue" => {
                puts(&mut scene, &[one]);
                gets(&mut scene, &[Some(one), Some(one)]);
                scene.text = format!("{one} went in once and comes out twice");
            }
            "lost-write" => {
                puts(&mut scene, &[one, two]);
                gets(&mut scene, &[Some(two), None]);
                scene.text = format!("{one} went in and never comes out");
            }
            "unwritten-read" => {
                gets(&mut scene, &[Some(one)]);
                scene.text = format!("{one} comes out and never went in");
            }
            "false-empty" => {
                puts(&mut scene, &[one]);
                gets(&mut scene, &[None, Some(one)]);
                scene.text = format!("nothing is found although {one} is inside");
            }
            _ => return None,
        }
        Some(scene)
    }
}
