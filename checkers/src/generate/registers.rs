//! Plain and compare-and-set registers.
//!
//! A compare-and-set that finds another value is `fail`: it did not happen, as Jepsen's clients record it.

use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Row};

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "register",
            about: "read and write",
            breaks: &["stale-read", "lost-write", "unwritten-read"],
            levels: &[],
        },
        run: |options, dice, out| {
            run(
                Registers::new(options, false),
                options.keys.is_none_or(|keys| keys == 1),
                options,
                dice,
                out,
            )
        },
    },
    Row {
        info: Generated {
            name: "cas-register",
            about: "read, write, and compare-and-set by value",
            breaks: &["stale-read", "lost-write", "unwritten-read", "lost-update"],
            levels: &[],
        },
        run: |options, dice, out| {
            run(
                Registers::new(options, true),
                options.keys.is_none_or(|keys| keys == 1),
                options,
                dice,
                out,
            )
        },
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Read,
    Write,
    Cas,
}

#[derive(Debug)]
struct Call {
    function: Function,
    key: u32,
    old: Option<i64>,
    new: i64,
    saw: Option<i64>,
}

struct Registers {
    values: Vec<Option<i64>>,
    few: Option<u64>,
    cas: bool,
    next: i64,
    breaking: Option<String>,
    staged: u32,
}

impl Registers {
    fn new(options: &Options, cas: bool) -> Registers {
        Registers {
            values: vec![None; options.keys.unwrap_or(1) as usize],
            few: options.values,
            cas,
            next: options.values.map_or(1, |few| few as i64),
            breaking: options.breaking.clone(),
            staged: 0,
        }
    }

    /// A value that is written nowhere else.
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn any(&mut self, dice: &mut Dice) -> i64 {
        match self.few {
            Some(few) => dice.below(few as usize) as i64,
            None => self.fresh(),
        }
    }

    fn key(&self, key: u32) -> Option<u32> {
        (self.values.len() > 1).then_some(key)
    }
}

impl System for Registers {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, _: Client) -> Call {
        let key = dice.below(self.values.len()) as u32;
        let function = match dice.below(if self.cas { 3 } else { 2 }) {
            0 => Function::Read,
            1 => Function::Write,
            _ => Function::Cas,
        };
        let old = match (self.few, dice.below(4)) {
            (Some(few), 0) => Some(dice.below(few as usize) as i64),
            _ => self.values[key as usize],
        };
        let new = match function {
            Function::Read => 0,
            _ => self.any(dice),
        };
        Call {
            function,
            key,
            old,
            new,
            saw: None,
        }
    }

    fn step(&mut self, call: &mut Call, _: &mut Dice) -> Step {
        let value = &mut self.values[call.key as usize];
        match call.function {
            Function::Read => call.saw = *value,
            Function::Cas if *value != call.old => return Step::Refused,
            Function::Write | Function::Cas => *value = Some(call.new),
        }
        Step::Done
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        let key = self.key(call.key);
        match call.function {
            Function::Read => {
                let saw = call.saw.filter(|_| phase == Phase::Ok);
                text.call("read", key).value().maybe(saw);
            }
            Function::Write => {
                text.call("write", key).value().int(call.new);
            }
            Function::Cas => {
                text.call("cas", key).value().raw("[").maybe(call.old);
                text.raw(",").int(call.new).raw("]");
            }
        }
    }

    fn stage(&mut self, _: &mut Dice, quiet: bool) -> Option<Staged> {
        let key = (!quiet).then_some(self.values.len() as u32 + self.staged);
        self.staged += 1;
        let (one, two, three) = (self.fresh(), self.fresh(), self.fresh());
        let write = |value: i64| {
            move |text: &mut Text| {
                text.call("write", key).value().int(value);
            }
        };
        let read = |value: Option<i64>| {
            move |text: &mut Text| {
                text.call("read", key).value().maybe(value);
            }
        };
        let cas = |old: i64, new: i64| {
            move |text: &mut Text| {
                text.call("cas", key).value().list([old, new]);
            }
        };
        let mut scene = Staged::default();
        scene.both(0, Phase::Ok, write(one), write(one));
        let last = match self.breaking.as_deref()? {
            "stale-read" => {
                scene.both(1, Phase::Ok, write(two), write(two));
                scene.both(2, Phase::Ok, read(None), read(Some(one)));
                scene.text = format!("{one} is read after {two} had been written over it");
                two
            }
            "lost-write" => {
                scene.both(0, Phase::Ok, read(None), read(Some(one)));
                scene.both(1, Phase::Ok, write(two), write(two));
                scene.both(0, Phase::Ok, read(None), read(Some(one)));
                scene.both(2, Phase::Ok, read(None), read(Some(one)));
                scene.text = format!("the write of {two} was acknowledged and never took effect");
                one
            }
            "unwritten-read" => {
                scene.both(1, Phase::Ok, read(None), read(Some(two)));
                scene.text = format!("{two} is read, and nobody wrote it");
                one
            }
            "lost-update" => {
                scene.line(1, Phase::Invoke, cas(one, two));
                scene.line(2, Phase::Invoke, cas(one, three));
                scene.line(1, Phase::Ok, cas(one, two));
                scene.line(2, Phase::Ok, cas(one, three));
                scene.text = format!("two compare-and-sets found {one}, which was written once");
                three
            }
            _ => return None,
        };
        if quiet {
            self.values[0] = Some(last);
        }
        Some(scene)
    }
}
