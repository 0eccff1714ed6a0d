//! Grow-only sets, counters and identifiers.
//!
//! A set's reads show all elements, in ascending order: the set itself is the one thing here that grows with the history.

use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use std::io::{self, Write};

/// One read among so many operations on a grow-only set.
const READ_ONE_IN: usize = 100;

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "set",
            about: "add, and read all elements; a final read (--values: one read among so many operations, 100)",
            breaks: &[
                "lost-write",
                "stale-read",
                "unwritten-read",
                "duplicate-elements",
            ],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Set, options, dice, out),
    },
    Row {
        info: Generated {
            name: "set-full",
            about: "add, and read all elements; a final read (--values: one read among so many operations, 100)",
            breaks: &["lost-write", "unwritten-read", "duplicate-elements"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Set, options, dice, out),
    },
    Row {
        info: Generated {
            name: "counter",
            about: "add 1 and read (--values: add up to so much)",
            breaks: &["lost-write", "stale-read", "unwritten-read"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Counter, options, dice, out),
    },
    Row {
        info: Generated {
            name: "unique-ids",
            about: "generate identifiers",
            breaks: &["duplicate-id"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Ids, options, dice, out),
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Set,
    Counter,
    Ids,
}

fn play(kind: Kind, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let system = Folds {
        kind,
        values: options.values,
        elements: Vec::new(),
        sum: 0,
        least: 0,
        most: 0,
        next: 0,
        last_read: kind == Kind::Set,
        breaking: options.breaking.clone(),
    };
    run(system, true, options, dice, out)
}

#[derive(Debug)]
struct Call {
    /// What is added; none: it reads (or generates).
    add: Option<i64>,
    number: i64,
    shown: Vec<i64>,
}

struct Folds {
    kind: Kind,
    values: Option<u64>,
    elements: Vec<i64>,
    sum: i64,
    /// Of a counter: what acknowledged additions make at least, and all that were asked for at most.
    least: i64,
    most: i64,
    next: i64,
    last_read: bool,
    breaking: Option<String>,
}

impl Folds {
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn add(&mut self, value: i64) {
        match self.kind {
            // Elements are numbered as they are asked for, so that an insertion from the end is short.
            Kind::Set => {
                let at = self.elements.partition_point(|element| *element < value);
                self.elements.insert(at, value);
            }
            _ => self.sum += value,
        }
    }
}

impl System for Folds {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, _: Client) -> Call {
        let add = match self.kind {
            Kind::Set => {
                let one_in = self.values.map_or(READ_ONE_IN, |values| values as usize);
                (!dice.one_in(one_in)).then(|| self.fresh())
            }
            Kind::Counter => dice.one_in(2).then(|| match self.values {
                Some(most) => 1 + dice.below(most as usize) as i64,
                None => 1,
            }),
            Kind::Ids => None,
        };
        self.most += add.unwrap_or(0);
        Call {
            add,
            number: 0,
            shown: Vec::new(),
        }
    }

    fn answered(&mut self, call: &Call) {
        self.least += call.add.unwrap_or(0);
    }

    fn step(&mut self, call: &mut Call, _: &mut Dice) -> Step {
        match (self.kind, call.add) {
            (_, Some(value)) => self.add(value),
            (Kind::Set, None) => call.shown.clone_from(&self.elements),
            (Kind::Counter, None) => call.number = self.sum,
            (Kind::Ids, None) => call.number = self.fresh(),
        }
        Step::Done
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        let ok = phase == Phase::Ok;
        match (self.kind, call.add) {
            (_, Some(value)) => text.call("add", None).value().int(value),
            (Kind::Set, None) if ok => {
                let shown = call.shown.iter().copied();
                text.call("read", None).value().list(shown)
            }
            (Kind::Ids, None) => {
                let id = ok.then_some(call.number);
                text.call("generate", None).value().maybe(id)
            }
            (_, None) => {
                let number = ok.then_some(call.number);
                text.call("read", None).value().maybe(number)
            }
        };
    }

    fn last(&mut self) -> Option<Call> {
        std::mem::take(&mut self.last_read).then(|| Call {
            add: None,
            number: 0,
            shown: Vec::new(),
        })
    }

    fn stage(&mut self, _: &mut Dice, _: bool) -> Option<Staged> {
        let breaking = self.breaking.clone()?;
        let mut scene = Staged::default();
        let add = |value: i64| {
            move |text: &mut Text| {
                text.call("add", None).value().int(value);
            }
        };
        let nothing = |f: &'static str| {
            move |text: &mut Text| {
                text.call(f, None).value().raw("null");
            }
        };
        let number = |f: &'static str, number: i64| {
            move |text: &mut Text| {
                text.call(f, None).value().int(number);
            }
        };
        match self.kind {
            Kind::Ids => {
                let id = self.fresh();
                for guest in 0..2 {
                    scene.both(
                        guest,
                        Phase::Ok,
                        nothing("generate"),
                        number("generate", id),
                    );
                }
                scene.text = format!("{id} is given to two clients");
            }
            Kind::Counter => {
                scene.both(0, Phase::Ok, add(1), add(1));
                let before = self.sum;
                // Lost additions may have counted or not: they must not explain what is read.
                let shown = match breaking.as_str() {
                    "unwritten-read" => self.most + 2,
                    _ => self.least,
                };
                self.least += 1;
                self.most += 1;
                if breaking != "lost-write" {
                    self.sum += 1;
                }
                scene.both(1, Phase::Ok, nothing("read"), number("read", shown));
                scene.text = format!("{before} and one more is read as {shown}");
            }
            Kind::Set => {
                let element = self.fresh();
                if breaking != "unwritten-read" {
                    scene.both(0, Phase::Ok, add(element), add(element));
                }
                let mut shown = self.elements.clone();
                match breaking.as_str() {
                    "unwritten-read" => shown.push(element),
                    "duplicate-elements" => shown.extend([element, element]),
                    _ => {}
                }
                if breaking != "lost-write" && breaking != "unwritten-read" {
                    self.add(element);
                }
                scene.both(1, Phase::Ok, nothing("read"), move |text: &mut Text| {
                    text.call("read", None).value().list(shown);
                });
                scene.text = format!("{breaking} of {element}");
            }
        }
        Some(scene)
    }
}
