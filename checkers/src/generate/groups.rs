//! Several objects at once: registers in one transaction, bank accounts, and groups of keys written once (long fork).

use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use std::collections::VecDeque;
use std::io::{self, Write};

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "multi-register",
            about: "transactions that read and write several registers (--keys: how many, 3)",
            breaks: &["stale-read", "fractured-read", "unwritten-read"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Registers, options, dice, out),
    },
    Row {
        info: Generated {
            name: "bank",
            about: "transfer between accounts, and read all balances (--keys: accounts, 8; --values: the total, 100)",
            breaks: &["wrong-total", "negative-balance", "unexpected-account"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Bank, options, dice, out),
    },
    Row {
        info: Generated {
            name: "long-fork",
            about: "each key is written once; reads show whole groups of keys (--keys: a group, 3)",
            breaks: &["long-fork"],
            levels: &[],
        },
        run: |options, dice, out| play(Kind::Fork, options, dice, out),
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Registers,
    Bank,
    Fork,
}

fn play(kind: Kind, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let size = match kind {
        Kind::Bank => options.keys.unwrap_or(8),
        _ => options.keys.unwrap_or(3),
    };
    let mut system = Groups {
        kind,
        size: size as usize,
        few: options.values,
        values: vec![None; size as usize],
        groups: VecDeque::new(),
        first_group: 0,
        next: 1,
        breaking: options.breaking.clone(),
    };
    if kind == Kind::Bank {
        system.values.fill(Some(0));
        system.values[0] = Some(options.values.unwrap_or(100) as i64);
    }
    run(system, kind != Kind::Fork, options, dice, out)
}

/// Groups of keys that are still read.
const GROUPS: usize = 16;

#[derive(Debug, Default)]
struct Call {
    /// Key, and what is written there; none: it reads.
    micros: Vec<(usize, Option<i64>)>,
    saw: Vec<Option<i64>>,
    transfer: Option<(usize, usize, i64)>,
}

/// A group of keys, each written once at most.
#[derive(Debug, Clone)]
struct Group {
    asked: usize,
    written: Vec<bool>,
}

struct Groups {
    kind: Kind,
    size: usize,
    few: Option<u64>,
    values: Vec<Option<i64>>,
    groups: VecDeque<Group>,
    first_group: usize,
    next: i64,
    breaking: Option<String>,
}

impl Groups {
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn ask_fork(&mut self, dice: &mut Dice) -> Call {
        let size = self.size;
        let full = self.groups.back().is_none_or(|group| group.asked == size);
        let mut call = Call::default();
        if dice.one_in(2) {
            if full {
                self.groups.push_back(Group {
                    asked: 0,
                    written: vec![false; size],
                });
                if self.groups.len() > GROUPS {
                    self.groups.pop_front();
                    self.first_group += 1;
                }
            }
            let group = self.first_group + self.groups.len() - 1;
            let newest = self.groups.back_mut().expect("one was just made");
            call.micros.push((group * size + newest.asked, Some(1)));
            newest.asked += 1;
        } else {
            let back = dice.below(self.groups.len().clamp(1, 3));
            let group = (self.first_group + self.groups.len().max(1) - 1) - back;
            let keys = group * size..(group + 1) * size;
            call.micros.extend(keys.map(|key| (key, None)));
        }
        call
    }

    /// The place of a key of a group that is still read.
    fn slot(&mut self, key: usize) -> Option<&mut bool> {
        let group = (key / self.size).checked_sub(self.first_group)?;
        self.groups.get_mut(group)?.written.get_mut(key % self.size)
    }
}

impl System for Groups {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, _: Client) -> Call {
        let mut call = Call::default();
        match self.kind {
            Kind::Fork => return self.ask_fork(dice),
            Kind::Bank if dice.one_in(2) => {
                let from = dice.below(self.size);
                let to = (from + 1 + dice.below(self.size.max(2) - 1)) % self.size;
                call.transfer = Some((from, to, 1 + dice.below(5) as i64));
            }
            Kind::Bank => {}
            Kind::Registers => {
                for key in 0..self.size {
                    if dice.one_in(2) {
                        let write = dice.one_in(2).then(|| match self.few {
                            Some(few) => dice.below(few as usize) as i64,
                            None => self.fresh(),
                        });
                        call.micros.push((key, write));
                    }
                }
                if call.micros.is_empty() {
                    call.micros.push((dice.below(self.size), None));
                }
            }
        }
        call
    }

    fn step(&mut self, call: &mut Call, _: &mut Dice) -> Step {
        call.saw.clear();
        if let Some((from, to, amount)) = call.transfer {
            let balance = |value: Option<i64>| value.expect("every account has a balance");
            let left = balance(self.values[from]) - amount;
            if left < 0 {
                return Step::Refused;
            }
            self.values[from] = Some(left);
            self.values[to] = Some(balance(self.values[to]) + amount);
            return Step::Done;
        }
        if self.kind == Kind::Bank {
            call.saw.clone_from(&self.values);
        }
        for at in 0..call.micros.len() {
            let (key, write) = call.micros[at];
            let saw = match (self.kind, write) {
                (Kind::Fork, Some(_)) => {
                    if let Some(slot) = self.slot(key) {
                        *slot = true;
                    }
                    None
                }
                // Of a group that is no longer read, whatever was seen of it last: nothing was.
                (Kind::Fork, None) => match self.slot(key) {
                    Some(slot) => slot.then_some(1),
                    None => return Step::Refused,
                },
                (_, Some(value)) => {
                    self.values[key] = Some(value);
                    None
                }
                (_, None) => self.values[key],
            };
            call.saw.push(saw);
        }
        Step::Done
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        let ok = phase == Phase::Ok;
        if let Some((from, to, amount)) = call.transfer {
            text.call("transfer", None).value().raw("{\"from\":");
            text.count(from as u64).raw(",\"to\":").count(to as u64);
            text.raw(",\"amount\":").int(amount).raw("}");
            return;
        }
        if self.kind == Kind::Bank {
            text.call("read", None).value();
            match ok {
                true => balances(&call.saw, text),
                false => text.raw("null"),
            };
            return;
        }
        text.call("txn", None).value().raw("[");
        for (at, (key, write)) in call.micros.iter().enumerate() {
            text.raw(if at > 0 { ",[" } else { "[" });
            let word = if write.is_some() { "\"w\"," } else { "\"r\"," };
            text.raw(word).count(*key as u64).raw(",");
            match write {
                Some(value) => text.int(*value),
                None => text.maybe(call.saw.get(at).copied().flatten().filter(|_| ok)),
            };
            text.raw("]");
        }
        text.raw("]");
    }

    fn stage(&mut self, _: &mut Dice, _: bool) -> Option<Staged> {
        let breaking = self.breaking.clone()?;
        let mut scene = Staged::default();
        let txn = |micros: String| {
            move |text: &mut Text| {
                text.call("txn", None).value().raw(&micros);
            }
        };
        match self.kind {
            Kind::Registers => self.stage_registers(&breaking, &mut scene)?,
            Kind::Bank => {
                let mut shown = self.values.clone();
                let first = shown[0].unwrap_or(0);
                match breaking.as_str() {
                    "wrong-total" => shown[0] = Some(first + 1),
                    "negative-balance" => {
                        let rest = shown[1].unwrap_or(0);
                        (shown[0], shown[1]) = (Some(-1), Some(rest + first + 1));
                    }
                    _ => shown.push(Some(0)),
                }
                let nothing = |text: &mut Text| {
                    text.call("read", None).value().raw("null");
                };
                let all = move |text: &mut Text| {
                    balances(&shown, text.call("read", None).value());
                };
                scene.both(0, Phase::Ok, nothing, all);
                scene.text = format!("a read with {}", breaking.replace('-', " "));
            }
            Kind::Fork => {
                // A group of its own, which the clients never come to.
                let first = (1 << 40) + self.fresh() as usize * self.size;
                let (x, y) = (first, first + 1);
                let read = |sees_x: bool, sees_y: bool| {
                    let seen = (first..first + self.size).map(|key| {
                        let seen = (key == x && sees_x) || (key == y && sees_y);
                        format!("[\"r\",{key},{}]", if seen { "1" } else { "null" })
                    });
                    txn(format!("[{}]", seen.collect::<Vec<_>>().join(",")))
                };
                let write = |key: usize| txn(format!("[[\"w\",{key},1]]"));
                scene
                    .line(0, Phase::Invoke, write(x))
                    .line(1, Phase::Invoke, write(y));
                scene.line(2, Phase::Invoke, read(false, false));
                scene.line(3, Phase::Invoke, read(false, false));
                scene
                    .line(0, Phase::Ok, write(x))
                    .line(1, Phase::Ok, write(y));
                scene.line(2, Phase::Ok, read(true, false));
                scene.line(3, Phase::Ok, read(false, true));
                scene.text = format!("one read sees {x} and not {y}, another {y} and not {x}");
            }
        }
        Some(scene)
    }
}

impl Groups {
    fn stage_registers(&mut self, breaking: &str, scene: &mut Staged) -> Option<()> {
        let (one, two) = (self.fresh(), self.fresh());
        let other = self.size - 1;
        let txn = |micros: String| {
            move |text: &mut Text| {
                text.call("txn", None).value().raw(&micros);
            }
        };
        let both = |word: &str, here: &str, there: &str| {
            txn(match other {
                0 => format!("[[\"{word}\",0,{here}]]"),
                other => format!("[[\"{word}\",0,{here}],[\"{word}\",{other},{there}]]"),
            })
        };
        let written = |value: i64| both("w", &value.to_string(), &value.to_string());
        let seen = |here: i64, there: i64| both("r", &here.to_string(), &there.to_string());
        let asked = || both("r", "null", "null");
        scene.both(0, Phase::Ok, written(one), written(one));
        let (here, there) = match breaking {
            "stale-read" => {
                scene.both(0, Phase::Ok, written(two), written(two));
                (one, one)
            }
            "fractured-read" => {
                scene.both(0, Phase::Ok, written(two), written(two));
                (one, two)
            }
            _ => (two, two),
        };
        scene.both(1, Phase::Ok, asked(), seen(here, there));
        let last = if breaking == "unwritten-read" {
            one
        } else {
            two
        };
        (self.values[0], self.values[other]) = (Some(last), Some(last));
        scene.text = format!("{breaking}: registers 0 and {other} are read as {here} and {there}");
        Some(())
    }
}

/// `{"0":7,"1":3}`.
fn balances<'t>(values: &[Option<i64>], text: &'t mut Text) -> &'t mut Text {
    text.raw("{");
    for (account, balance) in values.iter().enumerate() {
        text.raw(if account > 0 { ",\"" } else { "\"" });
        text.count(account as u64).raw("\":").maybe(*balance);
    }
    text.raw("}")
}
