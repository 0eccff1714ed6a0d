//! Stores of keys: znodes with versions and zxids, as the workload `register` records them, and texts by key.

use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use std::io::{self, Write};

/// How many keys there are.
const KEYS: u32 = 8;
/// How many servers answer.
const SERVERS: usize = 3;

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "versioned-register",
            about: "znodes: create, write, cas by version and read, with versions and zxids",
            breaks: &[
                "stale-read",
                "lost-write",
                "unwritten-read",
                "double-version",
            ],
            levels: &[],
        },
        run: |options, dice, out| play(true, options, dice, out),
    },
    Row {
        info: Generated {
            name: "kv",
            about: "put, get, append, delete, and cas by value, of texts",
            breaks: &["stale-read", "lost-write", "unwritten-read"],
            levels: &[],
        },
        run: |options, dice, out| play(false, options, dice, out),
    },
];

fn play(znodes: bool, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let keys = options.keys.unwrap_or(KEYS);
    let system = Stores {
        znodes,
        zxids: options.zxids,
        keys: vec![None; keys as usize],
        few: options.values,
        zxid: 1 << 32,
        next: 1,
        breaking: options.breaking.clone(),
        staged: 0,
    };
    run(system, false, options, dice, out)
}

/// What a key holds: a value, and of a text the values that were appended to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    values: Vec<i64>,
    version: i64,
    mzxid: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Create,
    Write,
    Cas,
    Read,
    Append,
    Delete,
}

#[derive(Debug)]
struct Call {
    function: Function,
    key: u32,
    client: Client,
    /// What a compare-and-set expects.
    old: Option<Held>,
    new: i64,
    zxid: i64,
    /// What was there afterwards, or what was read.
    held: Option<Held>,
    error: Option<&'static str>,
}

struct Stores {
    znodes: bool,
    zxids: bool,
    keys: Vec<Option<Held>>,
    few: Option<u64>,
    zxid: i64,
    next: i64,
    breaking: Option<String>,
    staged: u32,
}

impl Stores {
    fn znode(&mut self, call: &mut Call) -> Step {
        let held = &mut self.keys[call.key as usize];
        if call.function != Function::Read {
            // A refused write has a zxid too: it is decided in the order of the writes.
            self.zxid += 1;
        }
        call.zxid = self.zxid;
        call.error = match (call.function, &*held) {
            (Function::Create, Some(_)) => Some("NodeExists"),
            (Function::Create, None) => None,
            (_, None) => Some("NoNode"),
            (Function::Cas, Some(held)) => {
                let expected = call.old.as_ref().map(|old| old.version);
                (expected != Some(held.version)).then_some("BadVersion")
            }
            _ => None,
        };
        if call.error.is_none() && call.function != Function::Read {
            *held = Some(Held {
                values: vec![call.new],
                version: held.as_ref().map_or(0, |held| held.version + 1),
                mzxid: self.zxid,
            });
        }
        call.held.clone_from(held);
        Step::Done
    }

    fn text(&mut self, call: &mut Call) -> Step {
        let held = &mut self.keys[call.key as usize];
        let put = |values: Vec<i64>| {
            Some(Held {
                values,
                version: 0,
                mzxid: 0,
            })
        };
        match call.function {
            Function::Read => call.held.clone_from(held),
            Function::Delete if held.is_none() => return Step::Refused,
            Function::Delete => *held = None,
            Function::Cas if call.old.is_none() || *held != call.old => return Step::Refused,
            Function::Append => match held {
                Some(held) => held.values.push(call.new),
                None => *held = put(vec![call.new]),
            },
            Function::Create | Function::Write | Function::Cas => *held = put(vec![call.new]),
        }
        Step::Done
    }

    fn word(&self, function: Function) -> &'static str {
        match (function, self.znodes) {
            (Function::Create, _) => "create",
            (Function::Write, true) => "write",
            (Function::Write, false) => "put",
            (Function::Cas, _) => "cas",
            (Function::Read, true) => "read",
            (Function::Read, false) => "get",
            (Function::Append, _) => "append",
            (Function::Delete, _) => "delete",
        }
    }

    /// A value: a number, or the text of all that was put and appended.
    fn value(&self, values: &[i64], text: &mut Text) {
        match (self.znodes, values) {
            (true, [value, ..]) => {
                text.int(*value);
            }
            (true, []) => {
                text.raw("null");
            }
            (false, values) => {
                text.raw("\"");
                for value in values {
                    text.int(*value).raw(";");
                }
                text.raw("\"");
            }
        }
    }
}

impl System for Stores {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, client: Client) -> Call {
        let key = dice.below(self.keys.len()) as u32;
        let held = self.keys[key as usize].clone();
        let function = match (self.znodes, dice.below(10)) {
            (true, _) if held.is_none() => Function::Create,
            (true, 0..3) | (false, 0..2) => Function::Write,
            (true, 3..6) | (false, 2..4) => Function::Cas,
            (false, 4) => Function::Append,
            (false, 5) => Function::Delete,
            _ => Function::Read,
        };
        let new = match self.few {
            Some(few) => dice.below(few as usize) as i64,
            None => {
                self.next += 1;
                self.next - 1
            }
        };
        Call {
            // A text that is not there has no value that a compare-and-set could expect.
            function: match (function, &held) {
                (Function::Cas, None) => Function::Read,
                _ => function,
            },
            key,
            client,
            old: held,
            new,
            zxid: 0,
            held: None,
            error: None,
        }
    }

    fn step(&mut self, call: &mut Call, _: &mut Dice) -> Step {
        match self.znodes {
            true => self.znode(call),
            false => self.text(call),
        }
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        text.call(self.word(call.function), Some(call.key)).value();
        match call.function {
            Function::Read => match call.held.as_ref().filter(|_| phase == Phase::Ok) {
                Some(held) if call.error.is_none() => self.value(&held.values, text),
                _ => {
                    text.raw("null");
                }
            },
            Function::Delete => {
                text.raw("null");
            }
            Function::Cas => {
                text.raw("[");
                let old = call.old.as_ref().map_or(&[][..], |old| &old.values);
                self.value(old, text);
                text.raw(",");
                self.value(&[call.new], text);
                text.raw("]");
            }
            _ => self.value(&[call.new], text),
        }
        if !self.znodes {
            return;
        }
        if let (Function::Cas, Some(old)) = (call.function, &call.old) {
            text.field("expected", old.version);
        }
        if phase != Phase::Ok {
            return;
        }
        match (call.error, &call.held) {
            (Some(error), _) => {
                text.word("error", error);
            }
            (None, Some(held)) => {
                text.field("version", held.version);
                if self.zxids {
                    text.field("mzxid", held.mzxid);
                }
            }
            (None, None) => {}
        }
        if self.zxids {
            text.field("zxid", call.zxid);
        }
        let server = call.client.slot % SERVERS + 1;
        text.raw(",\"server\":\"n").count(server as u64).raw("\"");
        text.raw(",\"session\":\"0x")
            .count(call.client.process + 1)
            .raw("\"");
    }

    fn stage(&mut self, _: &mut Dice, _: bool) -> Option<Staged> {
        let key = self.keys.len() as u32 + self.staged;
        self.staged += 1;
        let first = self.next;
        self.next += 2;
        // A scene's zxids are its own: the clients go on behind them.
        let zxid = self.zxid;
        self.zxid += 4;
        let client = |guest: usize| Client {
            slot: guest,
            process: (1 << 40) + u64::from(key) * 4 + guest as u64,
        };
        let held = |number: i64, version: i64| Held {
            values: vec![first + number],
            version,
            mzxid: zxid + 1 + version,
        };
        let call = |function, guest: usize, number: i64, version: i64| Call {
            function,
            key,
            client: client(guest),
            old: None,
            new: first + number,
            zxid: zxid + 1 + version,
            held: Some(held(number, version)),
            error: None,
        };
        let begin = if self.znodes {
            Function::Create
        } else {
            Function::Write
        };
        let mut calls = vec![call(begin, 0, 0, 0)];
        let text = match self.breaking.as_deref()? {
            "stale-read" => {
                calls.extend([
                    call(Function::Write, 1, 1, 1),
                    call(Function::Read, 2, 0, 0),
                ]);
                format!(
                    "{first} is read after {} had been written over it",
                    first + 1
                )
            }
            "lost-write" => {
                calls.extend([
                    call(Function::Write, 1, 1, 1),
                    call(Function::Read, 2, 0, 0),
                ]);
                calls.push(call(Function::Read, 1, 0, 0));
                format!(
                    "the write of {} was acknowledged and never took effect",
                    first + 1
                )
            }
            "unwritten-read" => {
                calls.push(call(Function::Read, 1, 1, 1));
                format!("{} is read, and nobody wrote it", first + 1)
            }
            "double-version" => {
                calls.extend([
                    call(Function::Write, 1, 1, 1),
                    call(Function::Write, 2, 2, 1),
                ]);
                self.next += 1;
                "two writes are acknowledged at version 1".to_owned()
            }
            _ => return None,
        };
        let mut scene = Staged::new(text);
        for call in &calls {
            let guest = call.client.slot as u64;
            scene.line(guest, Phase::Invoke, |text| {
                self.write(call, Phase::Invoke, text)
            });
            scene.line(guest, Phase::Ok, |text| self.write(call, Phase::Ok, text));
        }
        Some(scene)
    }
}
