//! Transactions of lists to append to and of registers, over a database with an isolation level.

use super::database::{Database, Level, Txn};
use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::scenes::{self, Shape};
use super::{Generated, Options, Report, Row};
use std::io::{self, Write};

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "list-append",
            about: "transactions that append to lists and read them",
            breaks: scenes::LISTS,
            levels: Level::NAMES,
        },
        run: |options, dice, out| play(Shape::Lists, options, dice, out),
    },
    Row {
        info: Generated {
            name: "rw-register",
            about: "transactions that write registers and read them",
            breaks: scenes::REGISTERS,
            levels: Level::NAMES,
        },
        run: |options, dice, out| play(Shape::Registers, options, dice, out),
    },
];

/// The most micro-operations of a transaction.
const LONGEST: usize = 4;
/// How many keys are in use at a time.
const KEYS: u32 = 10;

fn play(shape: Shape, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let level = options.isolation.as_deref().and_then(Level::of);
    let level = level.unwrap_or(Level::StrictSerializable);
    let keys = options.keys.unwrap_or(KEYS);
    let system = Transactions {
        shape,
        database: Database::new(level, keys, options.concurrency),
        breaking: options.breaking.clone(),
    };
    run(system, false, options, dice, out)
}

struct Transactions {
    shape: Shape,
    database: Database,
    breaking: Option<String>,
}

impl System for Transactions {
    type Call = Txn;

    fn ask(&mut self, dice: &mut Dice, client: Client) -> Txn {
        let mut txn = self.database.begin(client.slot);
        let micros = 1 + dice.below(LONGEST);
        let reads_first = self.database.level.reads_first();
        let reads = (0..micros).filter(|_| dice.one_in(2)).count();
        for at in 0..micros {
            let write = match reads_first {
                true => at >= reads,
                false => dice.one_in(2),
            };
            self.database.add(&mut txn, write, dice);
        }
        txn
    }

    fn step(&mut self, txn: &mut Txn, dice: &mut Dice) -> Step {
        self.database.step(txn, dice)
    }

    fn forget(&mut self, txn: Txn) {
        self.database.forget(txn);
    }

    fn write(&self, txn: &Txn, phase: Phase, text: &mut Text) {
        text.call("txn", None).value().raw("[");
        for (at, micro) in txn.micros.iter().enumerate() {
            if at > 0 {
                text.raw(",");
            }
            let word = match micro.write {
                None => "r",
                Some(_) => self.shape.word(),
            };
            text.raw("[\"")
                .raw(word)
                .raw("\",")
                .count(micro.key)
                .raw(",");
            match micro.write {
                Some(value) => text.int(value),
                None if phase != Phase::Ok => text.raw("null"),
                None => {
                    let seen = &txn.seen[micro.from..micro.to];
                    match self.shape {
                        Shape::Lists => text.list(seen.iter().copied()),
                        Shape::Registers => text.maybe(seen.last().copied()),
                    }
                }
            };
            text.raw("]");
        }
        text.raw("]");
    }

    fn stage(&mut self, _: &mut Dice, _: bool) -> Option<Staged> {
        let breaking = self.breaking.clone()?;
        let shape = self.shape;
        scenes::stage(shape, &breaking, || self.database.new_key())
    }
}
