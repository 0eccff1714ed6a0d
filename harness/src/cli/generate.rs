//! `keelhaul generate`.

use super::convert::unwritten;
use super::{print, print_json};
use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use keelhaul_checkers::generate::{GenerateError, Options, Report, generate as write, models};
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_long_help = format!("Models:\n{}", catalogue()))]
pub(super) struct GenerateArgs {
    /// Whose operations: register, list-append, …; --list names all
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    model: Option<String>,
    /// How many operations
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    ops: u64,
    /// How many clients work at a time
    #[arg(long, value_name = "C", default_value_t = 10)]
    concurrency: usize,
    /// The share of operations whose answer is lost (they may take effect, much later, or never)
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    info: f64,
    /// The share of operations that fail without effect
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    fail: f64,
    /// Where all choices come from: the same options give the same bytes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write one of so many values
    #[arg(long, value_name = "V")]
    values: Option<u64>,
    /// Write every value once (the default)
    #[arg(long, conflicts_with = "values")]
    unique: bool,
    /// How many objects; for transactions, how many keys are in use at a time
    #[arg(long, value_name = "K")]
    keys: Option<u32>,
    /// The isolation level of transactions
    #[arg(long, value_name = "LEVEL")]
    isolation: Option<String>,
    /// Leave out zxids, in models that have them
    #[arg(long)]
    no_zxids: bool,
    /// Break the history by this anomaly; standard error says where
    #[arg(long = "break", value_name = "ANOMALY")]
    breaking: Option<String>,
    /// How often to break it
    #[arg(long, value_name = "N", default_value_t = 1, requires = "breaking")]
    break_count: u64,
    /// Where to; else standard output. A name that ends in .zst is compressed
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The models, their anomalies and their isolation levels
    #[arg(long)]
    list: bool,
}

/// Writes a history.
pub(super) fn generate(args: GenerateArgs, json: bool) -> Result<Exit, Failure> {
    if args.list {
        return list(json);
    }
    let options = Options {
        model: args.model.unwrap_or_default(),
        operations: args.ops,
        concurrency: args.concurrency,
        info: args.info,
        fail: args.fail,
        seed: args.seed,
        values: args.values,
        keys: args.keys,
        breaking: args.breaking,
        break_count: args.break_count,
        isolation: args.isolation,
        zxids: !args.no_zxids,
    };
    let report = match &args.output {
        None => write(&options, &mut io::stdout().lock()),
        Some(path) => {
            let mut file = Output { path, file: None };
            match path.extension().is_some_and(|end| end == "zst") {
                false => write(&options, &mut file),
                true => packed(&options, &mut file),
            }
        }
    };
    match report {
        Ok(report) => {
            tell(&options, &report);
            Ok(Exit::Valid)
        }
        // A reader that has had enough is no error.
        Err(GenerateError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Exit::Valid)
        }
        Err(GenerateError::Io(error)) => Err(match &args.output {
            Some(path) => unwritten(path, &error),
            None => Failure::Machinery(format!(
                "could not write the history: {error}; what was written is incomplete"
            )),
        }),
        Err(error) => Err(Failure::Usage(error.to_string())),
    }
}

/// A file that is made when there is something to write: options that make no sense leave what stood there.
struct Output<'a> {
    path: &'a Path,
    file: Option<File>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::create(self.path)?),
        };
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn packed(options: &Options, file: &mut Output<'_>) -> Result<Report, GenerateError> {
    let mut encoder = zstd::Encoder::new(file, 3)?;
    let report = write(options, &mut encoder)?;
    encoder.finish()?;
    Ok(report)
}

fn tell(options: &Options, report: &Report) {
    let anomaly = options.breaking.as_deref().unwrap_or_default();
    for broken in &report.broken {
        let (first, last) = (broken.first_line, broken.last_line);
        let text = &broken.text;
        aside::say(format_args!("{anomaly} at index {first} to {last}: {text}"));
    }
}

fn list(json: bool) -> Result<Exit, Failure> {
    let models = models();
    if json {
        let rows: Vec<_> = models
            .iter()
            .map(|model| {
                json!({ "name": model.name, "about": model.about, "breaks": model.breaks, "levels": model.levels })
            })
            .collect();
        print_json(&rows)?;
        return Ok(Exit::Valid);
    }
    print(&catalogue())?;
    Ok(Exit::Valid)
}

/// The models with their anomalies and isolation levels, in words.
fn catalogue() -> String {
    let mut text = String::new();
    for model in models() {
        text.push_str(&format!("{:<20}{}\n", model.name, model.about));
        text.push_str(&format!(
            "{:<20}  --break {}\n",
            "",
            model.breaks.join(", ")
        ));
        if !model.levels.is_empty() {
            let levels = model.levels.join(", ");
            text.push_str(&format!("{:<20}  --isolation {levels}\n", ""));
        }
    }
    text
}
