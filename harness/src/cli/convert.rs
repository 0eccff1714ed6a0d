//! `keelhaul convert`.

use super::print_json;
use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::run::judge;
use clap::{Args, ValueEnum};
use keelhaul_checkers::{Exported, Format, History, ReadOptions};
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// A history in any form (JSON lines, a JSON list, EDN, history.txt; plain or zstd), or - for standard input
    #[arg(value_name = "FILE|-")]
    from: PathBuf,
    /// The form to write; else OUT's name says it, or it is jsonl
    #[arg(long, value_name = "FORM")]
    to: Option<To>,
    /// Where to write: compressed with zstd if the name ends in .zst; - is standard output
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

/// What cannot always be told from a history itself.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Reading {
    /// Take every client's value for [key value], as Jepsen's independent workloads write it
    #[arg(long, conflicts_with = "no_independent")]
    independent: bool,
    /// Take no value for [key value], even if all look like one
    #[arg(long)]
    no_independent: bool,
}

impl Reading {
    pub(super) fn options(self) -> ReadOptions {
        let said = self.independent || self.no_independent;
        ReadOptions {
            independent: said.then_some(self.independent),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// One JSON object a line: keelhaul's own
    Jsonl,
    /// A map a line, as Jepsen's history.edn
    Edn,
    /// A list of JSON objects, as elle-cli takes it
    Json,
}

impl To {
    fn by_name(path: &Path) -> Option<To> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".zst").unwrap_or(name);
        match name.rsplit_once('.')?.1 {
            "edn" => Some(To::Edn),
            "json" => Some(To::Json),
            "jsonl" => Some(To::Jsonl),
            _ => None,
        }
    }

    fn format(self) -> Format {
        match self {
            To::Jsonl => Format::JsonLines,
            To::Edn => Format::Edn,
            To::Json => Format::Json,
        }
    }
}

/// Reads a history, and writes it again.
pub(super) fn convert(args: ConvertArgs, json: bool) -> Result<Exit, Failure> {
    let to_standard_output = args.output == Path::new("-");
    if json && to_standard_output {
        return Err(Failure::Usage(
            "--json and the history cannot both go to standard output: name a file with -o"
                .to_owned(),
        ));
    }
    let options = args.reading.options();
    let stored = match args.from == Path::new("-") {
        true => judge::read_from_with(io::stdin().lock(), "standard input", &options)?,
        false => judge::read_with(&args.from, &options)?,
    };
    for note in &stored.notes {
        aside::say(format_args!("note: {note}"));
    }
    let to = args.to.or_else(|| To::by_name(&args.output));
    let to = to.unwrap_or(To::Jsonl);
    let exported = match to_standard_output {
        true => written(&stored.history, to, io::stdout().lock()),
        false => to_file(&stored.history, to, &args.output),
    };
    let exported = match exported {
        // A reader that has had enough is no error.
        Err(error) if to_standard_output && error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(Exit::Valid);
        }
        exported => exported.map_err(|error| unwritten(&args.output, &error))?,
    };
    for line in exported.to_string().lines() {
        aside::say(format_args!("note: {line}"));
    }
    if json {
        print_json(&json!({
            "events": stored.history.len(),
            "notes": stored.notes,
            "written": exported,
        }))?;
    }
    Ok(Exit::Valid)
}

/// The file was named on the command line, unless the disk is to blame.
pub(super) fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let text = format!(
        "could not write {}: {error}; name another file with -o",
        path.display()
    );
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Machinery(text),
        _ => Failure::Usage(text),
    }
}

fn to_file(history: &History, to: To, path: &Path) -> io::Result<Exported> {
    let file = File::create(path)?;
    if path.extension().is_none_or(|extension| extension != "zst") {
        return written(history, to, file);
    }
    let mut packed = zstd::Encoder::new(file, 0)?;
    let exported = written(history, to, &mut packed)?;
    packed.finish()?;
    Ok(exported)
}

fn written(history: &History, to: To, out: impl Write) -> io::Result<Exported> {
    history.write(to.format(), out)
}
