//! Histories of any size, sound by construction or broken on purpose, from a simulated system.
//!
//! For tests and benches of checkers, here and elsewhere. [`generate`] streams lines of JSON: clients work concurrently on a
//! simulated object or database, every operation takes effect at one instant (or, in transactions under a weak isolation
//! level, at several) between its invocation and its completion. Operations whose answer is lost (`info`) take effect in
//! time, much later, or never. The same options give the same bytes, always.
//!
//! [`Options::breaking`] stages a named anomaly: a scene of a few operations, on a key of its own or in a quiet moment,
//! that no order explains. The [`Report`] says where. What it cannot do: find out whether a checker is slow on *your*
//! histories.
//!
//! ```
//! use keelhaul_checkers::{History, generate::{Options, generate}};
//!
//! let options = Options { model: "register".to_owned(), operations: 100, ..Options::default() };
//! let mut lines = Vec::new();
//! let report = generate(&options, &mut lines)?;
//! assert_eq!(report.operations, 100);
//! let (history, _) = History::read(&lines[..])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - `engine`: the loop of clients, and what becomes of lost operations; `line`, `dice`: fast output, seeded choices;
//! - `registers`, `stores`, `locks`, `queues`, `folds`, `groups`: the objects; `znodes`: ZooKeeper's tree, with watches;
//! - `database`: a store of versions with isolation levels; `transactions`, `scenes`: clients of it, and their anomalies.

mod database;
mod dice;
mod engine;
mod folds;
mod groups;
mod line;
mod locks;
mod queues;
mod registers;
mod scenes;
mod stores;
mod transactions;
mod znodes;

use dice::Dice;
use std::io::{self, Write};

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The model's name, as [`models`] lists it.
    pub model: String,
    /// How many operations, staged ones not counted.
    pub operations: u64,
    /// How many clients work at a time.
    pub concurrency: usize,
    /// The probability that an operation's answer is lost: `info`.
    pub info: f64,
    /// The probability that an operation fails without effect, beside those that the object refuses.
    pub fail: f64,
    /// Where all choices come from.
    pub seed: u64,
    /// Write one of so many values; none: every value is written once.
    pub values: Option<u64>,
    /// How many objects; for transactions, how many keys are in use at a time. None: the model's own number.
    pub keys: Option<u32>,
    /// The anomaly that is staged, by name.
    pub breaking: Option<String>,
    /// How often it is staged.
    pub break_count: u64,
    /// The isolation level of a model with transactions, by name; none: strict serializable.
    pub isolation: Option<String>,
    /// Whether answers tell zxids, in models that have them.
    pub zxids: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            model: "register".to_owned(),
            operations: 10_000,
            concurrency: 10,
            info: 0.0,
            fail: 0.0,
            seed: 0,
            values: None,
            keys: None,
            breaking: None,
            break_count: 1,
            isolation: None,
            zxids: true,
        }
    }
}

/// Where a history was broken on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Index of the scene's first line.
    pub first_line: u64,
    /// Index of its last line; lines of other clients may stand between.
    pub last_line: u64,
    /// What is wrong there.
    pub text: String,
}

/// What was generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Operations, staged ones not counted.
    pub operations: u64,
    /// Lines.
    pub lines: u64,
    /// Where it was broken, in order.
    pub broken: Vec<Broken>,
}

/// Why nothing was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// There is no such model.
    #[error("no histories of the model `{name}` can be generated; expected one of {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The known ones.
        known: String,
    },
    /// The model cannot be broken in this way.
    #[error("the model {model} cannot be broken by `{name}`; expected one of {known}")]
    UnknownBreak {
        /// What was asked for.
        name: String,
        /// The model.
        model: &'static str,
        /// Its anomalies.
        known: String,
    },
    /// The model has no such isolation level.
    #[error("the model {model} has no isolation level `{name}`; {known}")]
    UnknownLevel {
        /// What was asked for.
        name: String,
        /// The model.
        model: &'static str,
        /// Its levels.
        known: String,
    },
    /// The model has no zxids that could be left out, or is broken by nothing else.
    #[error("{0}")]
    Zxids(String),
    /// A number that makes no sense.
    #[error("{0}")]
    Number(&'static str),
    /// The lines could not be written.
    #[error("writing the history failed: {0}")]
    Io(#[from] io::Error),
}

/// A model whose histories can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    /// Its name.
    pub name: &'static str,
    /// One line about the operations.
    pub about: &'static str,
    /// The anomalies that can be staged.
    pub breaks: &'static [&'static str],
    /// The isolation levels, from the strongest on; empty where the model has no transactions.
    pub levels: &'static [&'static str],
}

/// One model: its description and what runs it.
struct Row {
    info: Generated,
    run: fn(&Options, Dice, &mut dyn Write) -> io::Result<Report>,
}

fn rows() -> impl Iterator<Item = &'static Row> {
    let rooms = [
        registers::ROWS,
        stores::ROWS,
        locks::ROWS,
        queues::ROWS,
        folds::ROWS,
        groups::ROWS,
        transactions::ROWS,
        znodes::ROWS,
    ];
    rooms.into_iter().flatten()
}

/// All models whose histories can be generated.
pub fn models() -> Vec<Generated> {
    rows().map(|row| row.info).collect()
}

/// Writes a history of these options as lines of JSON.
pub fn generate(options: &Options, out: &mut dyn Write) -> Result<Report, GenerateError> {
    let row = rows()
        .find(|row| row.info.name == options.model)
        .ok_or_else(|| GenerateError::UnknownModel {
            name: options.model.clone(),
            known: rows()
                .map(|row| row.info.name)
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    proven(options, &row.info)?;
    Ok((row.run)(options, Dice::new(options.seed), out)?)
}

/// Models whose answers tell zxids.
const WITH_ZXIDS: &[&str] = &["versioned-register", "znodes", "watch"];

fn proven_without_zxids(options: &Options) -> Result<(), GenerateError> {
    let model = &options.model;
    if !WITH_ZXIDS.contains(&model.as_str()) {
        let known = WITH_ZXIDS.join(", ");
        return Err(GenerateError::Zxids(format!(
            "the model {model} has no zxids that could be left out; {known} have"
        )));
    }
    match options.breaking.as_deref() {
        Some(name) if znodes::NEED_ZXIDS.contains(&name) => Err(GenerateError::Zxids(format!(
            "{name} is nothing that a history without zxids shows"
        ))),
        _ => Ok(()),
    }
}

fn proven(options: &Options, info: &Generated) -> Result<(), GenerateError> {
    if !options.zxids {
        proven_without_zxids(options)?;
    }
    let probability = |number: f64| (0.0..=1.0).contains(&number);
    if !probability(options.info) || !probability(options.fail) {
        return Err(GenerateError::Number(
            "the shares of lost and failed operations are probabilities: numbers from 0 to 1",
        ));
    }
    if !(1..=1_000_000).contains(&options.concurrency) {
        return Err(GenerateError::Number(
            "from 1 to 1,000,000 clients can work at a time",
        ));
    }
    if options.values == Some(0) || options.keys == Some(0) {
        return Err(GenerateError::Number(
            "there is at least one value and one key",
        ));
    }
    if let Some(name) = options
        .breaking
        .as_deref()
        .filter(|name| !info.breaks.contains(name))
    {
        return Err(GenerateError::UnknownBreak {
            name: name.to_owned(),
            model: info.name,
            known: info.breaks.join(", "),
        });
    }
    if let Some(name) = options
        .isolation
        .as_deref()
        .filter(|name| !info.levels.contains(name))
    {
        let known = match info.levels {
            [] => "it has no transactions".to_owned(),
            levels => format!("expected one of {}", levels.join(", ")),
        };
        return Err(GenerateError::UnknownLevel {
            name: name.to_owned(),
            model: info.name,
            known,
        });
    }
    Ok(())
}
