//! `keelhaul check`.

use super::{print, print_json};
use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::plan::Plan;
use crate::run::judge::{self, Stored};
use crate::run::summary;
use crate::store::RunDirectory;
use clap::Args;
use keelhaul_checkers::{Parameters, Results, list};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A history (JSON lines, plain or zstd), a run directory, or - for standard input
    #[arg(value_name = "FILE|RUN|-")]
    what: PathBuf,
    /// What a bare history is judged by: register, cas-register, versioned-register, set, …
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Judges a history.
pub(super) fn check(args: CheckArgs, json: bool) -> Result<Exit, Failure> {
    let is_standard_input = args.what == Path::new("-");
    if !is_standard_input && let Err(error) = args.what.metadata() {
        return Err(Failure::input("read", &args.what)(error));
    }
    let (stored, results) = match (&args.model, args.what.is_dir()) {
        (None, true) => check_run(&args.what)?,
        (Some(_), true) => {
            RunDirectory::existing(&args.what)?;
            return Err(Failure::Usage(format!(
                "{} is a run directory: its plan says who judges it, so leave --model out (or name the file in it)",
                args.what.display()
            )));
        }
        (None, false) => {
            return Err(Failure::Usage(format!(
                "a bare history needs --model NAME: one of {}",
                models().join(", ")
            )));
        }
        (Some(model), false) => check_file(&args.what, model)?,
    };
    for note in &stored.notes {
        aside::say(format_args!("note: {note}"));
    }
    if json {
        print_json(&results)?;
    } else {
        print(&format!(
            "{}\n{}",
            summary::word(results.valid),
            summary::findings(&results)
        ))?;
    }
    Ok(results.valid.into())
}

fn check_run(path: &Path) -> Result<(Stored, Results), Failure> {
    let run = RunDirectory::existing(path)?;
    let plan = Plan::read(&run.plan())?;
    let stored = judge::read(&run.history())?;
    let results = judge::judge(&stored, &plan.checkers, &plan.parameters(), Vec::new());
    Ok((stored, results))
}

fn check_file(path: &Path, model: &str) -> Result<(Stored, Results), Failure> {
    let checker = checker_of(model)?;
    let stored = match path == Path::new("-") {
        true => judge::read_from(std::io::stdin().lock(), "standard input")?,
        false => judge::read(path)?,
    };
    let results = judge::judge(&stored, &[checker], &Parameters::default(), Vec::new());
    Ok((stored, results))
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
