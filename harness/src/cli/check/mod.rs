//! `keelhaul check`.
//!
//! One file is told in full, several with a line each and what was found below it. The exit code merges: invalid before what
//! could not be read, before unknown, before valid.

mod explained;
mod limits;
mod measured;

use super::convert::Reading;
use super::{duration, print, print_json};
use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::plan::Plan;
use crate::run::judge::{self, Judging, Stored};
use crate::run::summary;
use crate::store::RunDirectory;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use keelhaul_checkers::txn::consistency;
use keelhaul_checkers::{NullReads, Parameters, ReadMode, Results, Validity, contract, list, txn};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What has transactions, and so is asked for a consistency model.
const TRANSACTIONS: [&str; 2] = ["list-append", "rw-register"];

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Histories in any form (JSON lines, a JSON list, EDN, history.txt; plain or zstd), run directories, or - for standard input
    #[arg(value_name = "FILE|RUN|-", required = true)]
    what: Vec<PathBuf>,
    /// What a bare history is judged by: register, cas-register, list-append, set, … (`keelhaul list models`); several with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    model: Vec<String>,
    /// What the model's object begins with, as JSON, or a keyword as :a; the default is null, empty
    #[arg(
        long,
        value_name = "VALUE",
        requires = "model",
        allow_hyphen_values = true
    )]
    initial: Option<String>,
    /// What list-append and rw-register must keep: strict-serializable (the default), serializable, snapshot-isolation, causal, …: as
    /// Adya and Cerone define them, without the order of processes, which only strong-session-… and strong-… (and --model read-committed,
    /// read-atomic, causal) ask for
    #[arg(long, value_name = "MODEL", value_delimiter = ',', requires = "model")]
    consistency: Vec<String>,
    /// What a read that answered null says of a register: the value null, or nothing, as in Knossos's histories
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value = "value",
        requires = "model"
    )]
    null_reads: Null,
    /// What rw-register may take for granted of the order of versions: wfr-keys, sequential-keys, linearizable-keys, or none; the
    /// default is what the asked consistency implies. With fragment, a key may begin with a value that nobody wrote, from before the history
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "model")]
    assume: Vec<String>,
    /// For set-full: every read must show all that was acknowledged before it began, so that a stale one is an anomaly
    #[arg(long, requires = "model")]
    linearizable_reads: bool,
    /// What the system owes that wrote the history [default: keelhaul-node]: of Apache ZooKeeper, zookeeper. Its replies may be stamped later
    /// than what they tell, and a read after its sync owes session order only
    #[arg(
        long,
        value_name = "NAME",
        value_parser = PossibleValuesParser::new(contract::names()),
        requires = "model"
    )]
    contract: Option<String>,
    /// Write a picture (.svg), a graph (.dot), the words (.txt) and the smallest sub-history (.jsonl) of each anomaly into DIR
    #[arg(long, value_name = "DIR")]
    explain: Option<PathBuf>,
    /// Say of each anomaly one sentence, and look for no smallest sub-history: for many histories, of which few are read
    #[arg(long, conflicts_with = "explain")]
    brief: bool,
    /// Search configurations to visit at most; then the verdict is unknown
    #[arg(long, value_name = "N", default_value_t = limits::STATES)]
    states: u64,
    /// Memory that the search may take, as 512MiB or 4GiB; the default is 4 GiB, or half of the machine's if that is less
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes)]
    memory: Option<u64>,
    /// Give up after so long, as 30s: it can only turn a verdict into unknown; there is none unless it is given
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    deadline: Option<Duration>,
    #[command(flatten)]
    reading: Reading,
}

/// What a read that answered `null` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Null {
    /// That the value was null
    Value,
    /// Nothing
    Unknown,
}

/// How every file is judged.
struct Task<'a> {
    args: &'a CheckArgs,
    checkers: Vec<String>,
    parameters: Parameters,
    judging: Judging,
}

/// One file's verdict.
struct Judged {
    results: Results,
    /// What was written to explain it, by name.
    explained: Vec<String>,
    /// Why that could not be written: the verdict stands all the same.
    unexplained: Option<Failure>,
    operations: usize,
}

/// Judges histories.
pub(super) fn check(args: CheckArgs, json: bool) -> Result<Exit, Failure> {
    let task = Task::new(&args)?;
    let mut all = task.judge_all();
    match all.len() {
        1 => match all.swap_remove(0) {
            Ok(judged) => task.tell_one(&judged, json),
            Err(failure) => {
                if json {
                    print_json(&unreadable(&name_of(&args.what[0]), &failure))?;
                }
                Err(failure)
            }
        },
        _ => task.tell_all(&all, json),
    }
}

impl<'a> Task<'a> {
    fn new(args: &'a CheckArgs) -> Result<Task<'a>, Failure> {
        let streams = args.what.iter().filter(|what| is_standard_input(what));
        if streams.count() > 1 {
            let text = "standard input (-) can be read once only";
            return Err(Failure::Usage(text.to_owned()));
        }
        let checkers = args.model.iter().map(|model| checker_of(model));
        let checkers = checkers.collect::<Result<Vec<String>, Failure>>()?;
        let any_of = |wanted: &[&str]| checkers.iter().any(|model| wanted.contains(&&model[..]));
        let has_transactions = any_of(&TRANSACTIONS);
        if !args.consistency.is_empty() && !has_transactions {
            return Err(Failure::Usage(format!(
                "--consistency is for transactions: --model {}",
                TRANSACTIONS.join(" or ")
            )));
        }
        let begin = list().into_iter().filter(|info| info.initial);
        let begin: Vec<&str> = begin.map(|info| info.name).collect();
        if args.initial.is_some() && !any_of(&begin) {
            return Err(Failure::Usage(format!(
                "--initial is for --model {}",
                begin.join(", ")
            )));
        }
        let asking = keelhaul_checkers::asking_contract();
        if args.contract.is_some() && !any_of(asking) {
            return Err(Failure::Usage(format!(
                "--contract is for --model {}",
                asking.join(", ")
            )));
        }
        let reads_null = keelhaul_checkers::reading_null();
        if args.null_reads == Null::Unknown && !any_of(reads_null) {
            return Err(Failure::Usage(format!(
                "--null-reads unknown is for --model {}",
                reads_null.join(", ")
            )));
        }
        if !args.assume.is_empty() && !any_of(&["rw-register"]) {
            let text =
                "--assume is for --model rw-register: lists tell the order of their versions";
            return Err(Failure::Usage(text.to_owned()));
        }
        args.assume.iter().try_for_each(|name| is_assumed(name))?;
        if args.linearizable_reads && !any_of(&["set-full"]) {
            let text = "--linearizable-reads is for --model set-full: elsewhere, `mode` of each read says what it owes";
            return Err(Failure::Usage(text.to_owned()));
        }
        args.consistency
            .iter()
            .try_for_each(|name| is_consistency(name))?;
        let contract = args.contract.clone();
        let parameters = Parameters {
            initial: args.initial.as_deref().map(initial).transpose()?,
            null_reads: match args.null_reads {
                Null::Value => NullReads::Value,
                Null::Unknown => NullReads::Unknown,
            },
            consistency: args.consistency.clone(),
            assume: args.assume.clone(),
            reads: args.linearizable_reads.then_some(ReadMode::Fenced),
            contract: contract.unwrap_or_else(|| Parameters::default().contract),
            ..Parameters::default()
        };
        let threads = limits::threads(args.what.len());
        let judging = Judging {
            budget: limits::budget(args.states, args.memory, args.deadline, threads),
            shrinks: !args.brief,
        };
        Ok(Task {
            args,
            checkers,
            parameters,
            judging,
        })
    }

    /// Every file's verdict, in the order of the command line.
    fn judge_all(&self) -> Vec<Result<Judged, Failure>> {
        let files = &self.args.what;
        let threads = limits::threads(files.len());
        if threads <= 1 {
            return (0..files.len()).map(|place| self.judge(place)).collect();
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= files.len() {
                    return done;
                }
                done.push((place, self.judge(place)));
            }
        };
        let mut all: Vec<(usize, Result<Judged, Failure>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let done = workers.into_iter().map(|worker| worker.join());
            done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, judged)| judged).collect()
    }

    fn judge(&self, place: usize) -> Result<Judged, Failure> {
        let path = &self.args.what[place];
        if !is_standard_input(path)
            && let Err(error) = path.metadata()
        {
            return Err(Failure::input("read", path)(error));
        }
        let (stored, results) = match (self.checkers.is_empty(), path.is_dir()) {
            (true, true) => self.judge_run(path)?,
            (false, true) => {
                RunDirectory::existing(path)?;
                return Err(Failure::Usage(format!(
                    "{} is a run directory: its plan says who judges it, so leave --model out (or name the file in it)",
                    path.display()
                )));
            }
            (true, false) => {
                return Err(Failure::Usage(format!(
                    "a bare history needs --model NAME: one of {}",
                    models().join(", ")
                )));
            }
            (false, false) => self.judge_file(path)?,
        };
        for note in &stored.notes {
            match self.args.what.len() {
                1 => aside::say(format_args!("note: {note}")),
                _ => aside::say(format_args!("note: {}: {note}", path.display())),
            }
        }
        let written = match &self.args.explain {
            Some(folder) => {
                let folder = explained::folder_of(folder, place, &self.args.what);
                explained::write(&folder, &stored.history, &results)
            }
            None => Ok(Vec::new()),
        };
        let (explained, unexplained) = match written {
            Ok(explained) => (explained, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        Ok(Judged {
            operations: stored.history.operations().map_or(0, |all| all.len()),
            results,
            explained,
            unexplained,
        })
    }

    fn judge_run(&self, path: &Path) -> Result<(Stored, Results), Failure> {
        let run = RunDirectory::existing(path)?;
        let plan = Plan::read(&run.plan())?;
        let stored = judge::read(&run.history())?;
        let results = judge::judge_with(
            &stored,
            &plan.checkers,
            &plan.parameters(),
            Vec::new(),
            &self.judging,
        );
        Ok((stored, results))
    }

    fn judge_file(&self, path: &Path) -> Result<(Stored, Results), Failure> {
        let (name, options) = (name_of(path), self.args.reading.options());
        let stored = match is_standard_input(path) {
            true => judge::read_from_with(std::io::stdin().lock(), &name, &options)?,
            false => judge::read_with(path, &options)?,
        };
        let results = judge::judge_with(
            &stored,
            &self.checkers,
            &self.parameters,
            Vec::new(),
            &self.judging,
        );
        if let Some(text) = misfit(&stored, &results) {
            return Err(Failure::Usage(format!("{name}: {text}")));
        }
        if self.null_reads_decide(&stored, &results) {
            aside::say(format_args!(
                "note: {name}: only reads that answered nil make this invalid; if they say nothing, as Knossos takes them, use --null-reads unknown"
            ));
        }
        Ok((stored, results))
    }

    /// Whether a history of Jepsen's own form is invalid for nothing but reads of `nil`, which may say nothing there.
    fn null_reads_decide(&self, stored: &Stored, results: &Results) -> bool {
        let reads_null = keelhaul_checkers::reading_null();
        let mut checkers = self.checkers.iter();
        let may_say_nothing = stored.history.is_jepsens()
            && checkers.any(|model| reads_null.contains(&&model[..]))
            && self.parameters.null_reads == NullReads::Value;
        if results.valid != Validity::Invalid || !may_say_nothing {
            return false;
        }
        let parameters = Parameters {
            null_reads: NullReads::Unknown,
            ..self.parameters.clone()
        };
        let judging = Judging {
            shrinks: false,
            ..self.judging
        };
        let without = judge::judge_with(stored, &self.checkers, &parameters, Vec::new(), &judging);
        without.valid == Validity::Valid
    }

    fn tell_all(&self, all: &[Result<Judged, Failure>], json: bool) -> Result<Exit, Failure> {
        let mut exit = Exit::Valid;
        let mut documents: Vec<Value> = Vec::new();
        for (path, judged) in self.args.what.iter().zip(all) {
            let name = name_of(path);
            match judged {
                Err(failure) => {
                    exit = worse(exit, failure.exit());
                    aside::say(format_args!("keelhaul: {failure}"));
                    documents.push(unreadable(&name, failure));
                }
                Ok(judged) => {
                    exit = worse(exit, judged.results.valid.into());
                    documents.push(document(&name, &judged.results));
                    if !json {
                        print(&self.line(&name, judged))?;
                    }
                    say_unexplained(judged);
                }
            }
        }
        if json {
            print_json(&documents)?;
        }
        Ok(exit)
    }

    fn tell_one(&self, judged: &Judged, json: bool) -> Result<Exit, Failure> {
        if json {
            let name = name_of(&self.args.what[0]);
            print_json(&document(&name, &judged.results))?;
        } else {
            print(&format!(
                "{}{}\n{}{}",
                summary::word(judged.results.valid),
                decided(judged),
                self.found(judged),
                explained::told(&judged.explained, "")
            ))?;
        }
        say_unexplained(judged);
        Ok(judged.results.valid.into())
    }

    /// One of several files: its verdict on a line, and what was found below it.
    fn line(&self, name: &str, judged: &Judged) -> String {
        let mut text = format!(
            "{} {name}{}\n",
            summary::word(judged.results.valid),
            decided(judged)
        );
        for line in self.found(judged).lines() {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(&explained::told(&judged.explained, "  "));
        text
    }

    /// What was found, and what was measured.
    fn found(&self, judged: &Judged) -> String {
        let results = &judged.results;
        match self.args.brief {
            true => summary::in_short(results) + &measured::caveats(results),
            false => summary::findings(results) + &measured::told(results),
        }
    }
}

/// Beside the verdict, which comes first and keeps its exit code.
fn say_unexplained(judged: &Judged) {
    if let Some(failure) = &judged.unexplained {
        aside::say(format_args!("keelhaul: {failure}"));
    }
}

/// A file's name as messages call it.
fn name_of(path: &Path) -> String {
    match is_standard_input(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// ` (8,400 operations, decided by zones)`.
fn decided(judged: &Judged) -> String {
    let by = summary::decided_by(&judged.results);
    let by = by.map_or(String::new(), |layers| format!(", decided by {layers}"));
    match judged.operations {
        1 => format!(" (1 operation{by})"),
        operations => format!(" ({operations} operations{by})"),
    }
}

/// The results, with the file that they are about.
fn document(name: &str, results: &Results) -> Value {
    let mut document = json!({ "file": name });
    let results = serde_json::to_value(results).expect("results are plain data with string keys");
    if let (Value::Object(document), Value::Object(results)) = (&mut document, results) {
        document.extend(results);
    }
    document
}

/// What `--json` says of a file that could not be judged.
fn unreadable(name: &str, failure: &Failure) -> Value {
    json!({ "file": name, "error": failure.to_string() })
}

/// What is missing never hides what was found: invalid, then what could not be read or judged at all, then unknown.
fn worse(one: Exit, other: Exit) -> Exit {
    const ORDER: [Exit; 5] = [
        Exit::Invalid,
        Exit::Harness,
        Exit::Usage,
        Exit::Unknown,
        Exit::Valid,
    ];
    let both = [one, other];
    let worst = ORDER.into_iter().find(|exit| both.contains(exit));
    worst.unwrap_or(Exit::Valid)
}

/// What is wrong with a value that the model cannot take: where it stands in the file, or which option it was.
fn misfit(stored: &Stored, results: &Results) -> Option<String> {
    let misfits = results.checkers.values();
    let misfit = misfits
        .map(|checked| &checked["details"]["misfit"])
        .find(|misfit| misfit.is_object())?;
    let text = misfit["text"].as_str()?;
    if let Some(parameter) = misfit["parameter"].as_str() {
        return Some(format!("--{parameter}: {text}"));
    }
    let index = misfit["index"].as_u64()?;
    let place = usize::try_from(index)
        .ok()
        .and_then(|index| stored.history.place(index));
    Some(match place {
        Some(place) => format!("line {}, column {}: this {text}", place.line, place.column),
        None => format!("line {}: this {text}", index + 1),
    })
}

/// A value as JSON; or a keyword of EDN, `:five`, which is read as its name everywhere. What is neither is refused: `zero` may be
/// the text or a slip for the number.
fn initial(text: &str) -> Result<Value, Failure> {
    let is_word = |name: &&str| {
        let known =
            |character: char| character.is_alphanumeric() || "-_.*+!?/<>=".contains(character);
        !name.is_empty() && name.chars().all(known)
    };
    if let Some(name) = text.strip_prefix(':').filter(is_word) {
        return Ok(Value::from(name));
    }
    serde_json::from_str(text).map_err(|error| {
        Failure::Usage(format!(
            "--initial: `{text}` is no JSON ({error}): write a number as 5, a text in quotes as --initial '\"five\"', a keyword as :five"
        ))
    })
}

fn is_consistency(name: &str) -> Result<(), Failure> {
    let is_known =
        consistency::Model::by_name(name).is_some() || consistency::known_anomaly(name).is_some();
    if is_known {
        return Ok(());
    }
    let mut known: Vec<&str> = consistency::Model::all()
        .map(consistency::Model::name)
        .collect();
    known.sort_unstable();
    Err(Failure::Usage(names::unknown(
        "consistency model",
        name,
        &known,
    )))
}

fn is_assumed(name: &str) -> Result<(), Failure> {
    let known: Vec<&str> = txn::can_be_assumed().chain(["none"]).collect();
    match known.contains(&name) {
        true => Ok(()),
        false => Err(Failure::Usage(names::unknown("assumption", name, &known))),
    }
}

fn checker_of(model: &str) -> Result<String, Failure> {
    let known = models();
    if known.contains(&model) {
        return Ok(model.to_owned());
    }
    Err(Failure::Usage(names::unknown("model", model, &known)))
}

/// Every name that `--model` takes.
pub(super) fn models() -> Vec<&'static str> {
    let models = list().into_iter().filter(|info| info.model);
    let mut names: Vec<_> = models
        .flat_map(|info| [&[info.name], info.aliases].concat())
        .collect();
    names.sort_unstable();
    names
}

/// When the clock of a deadline started.
pub(super) fn until(deadline: Option<Duration>) -> Option<Instant> {
    deadline.and_then(|deadline| Instant::now().checked_add(deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_two_ends_counts() {
        assert_eq!(worse(Exit::Valid, Exit::Unknown), Exit::Unknown);
        assert_eq!(worse(Exit::Usage, Exit::Unknown), Exit::Usage);
        assert_eq!(worse(Exit::Invalid, Exit::Usage), Exit::Invalid);
        assert_eq!(worse(Exit::Valid, Exit::Valid), Exit::Valid);
    }

    #[test]
    fn an_initial_value_is_json_or_a_keyword() {
        let is = |text, value| assert_eq!(initial(text).ok(), Some(value));
        is("5", json!(5));
        is("[1,2]", json!([1, 2]));
        is("\"five\"", json!("five"));
        is(":five", json!("five"));
        is(":a/b", json!("a/b"));
        for wrong in ["{bad", "[1,", "5x", "\"open", "zero", ":", ":a b", "nil"] {
            assert!(initial(wrong).is_err(), "{wrong}");
        }
    }
}
