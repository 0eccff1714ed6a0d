//! The command line: what can be asked for, and how it is answered.
//!
//! With `--json` a command prints JSON on standard output and everything else on standard error.

mod bench;
mod check;
mod convert;
mod duration;
mod generate;
mod heal;
mod help;
mod list;
mod run;
mod up;

use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(
    name = "keelhaul",
    version,
    about = "Starts a cluster, breaks it on purpose, and proves from the recorded history what it did",
    after_help = "Exit codes: 0 valid, 1 invalid, 2 unknown, 64 usage, 70 the harness itself failed, 130 interrupted twice",
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON on standard output, and all else on standard error
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One test: deploy, work, break, heal, check, report
    Run(Box<run::RunArgs>),
    /// Judge a history: a file by a model, or a whole run directory again
    Check(check::CheckArgs),
    /// A local cluster to play with
    Up(up::UpArgs),
    /// A history from one form into another: JSON lines, EDN, JSON
    Convert(convert::ConvertArgs),
    /// A history of any size, sound or broken on purpose
    Generate(generate::GenerateArgs),
    /// Load and recovery figures: one system, or two side by side
    Bench(Box<bench::BenchArgs>),
    /// Undo what a killed controller left
    Heal(heal::HealArgs),
    /// Workloads, faults, models and systems
    List(list::ListArgs),
}

/// Where the nodes' program and the runs are: the same for every command that deploys.
#[derive(Debug, Args)]
struct Places {
    /// Where runs are stored
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// The nodes' program; else it is built by cargo, or stands beside keelhaul
    #[arg(long, value_name = "PATH")]
    node_bin: Option<PathBuf>,
}

/// Does what the command line asks for.
pub fn main() -> Exit {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // If even this cannot be printed, the exit code still says it.
            let _ = error.print();
            return Exit::Usage;
        }
        Err(help) => return ended(printed(help.print()).map(|()| Exit::Valid)),
    };
    let done = match cli.command {
        Command::Run(args) => run::run(*args, cli.json),
        Command::Check(args) => check::check(args, cli.json),
        Command::Up(args) => up::up(args, cli.json),
        Command::Convert(args) => convert::convert(args, cli.json),
        Command::Generate(args) => generate::generate(args, cli.json),
        Command::Bench(args) => bench::bench(*args, cli.json),
        Command::Heal(args) => heal::heal(args, cli.json),
        Command::List(args) => list::list(args, cli.json),
    };
    ended(done)
}

fn parse() -> Result<Cli, clap::Error> {
    let mut command = help::grouped(Cli::command());
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn ended(done: Result<Exit, Failure>) -> Exit {
    done.unwrap_or_else(|failure| {
        crate::aside::say(format_args!("keelhaul: {failure}"));
        failure.exit()
    })
}

/// The runtime of the commands that talk to nodes. Two threads carry every byte of a test on a small machine; what
/// blocks (checking) has threads of its own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Machinery(format!("could not start the runtime: {error}")))
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| {
        Failure::Machinery(format!("could not find keelhaul's own program: {error}"))
    })
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).expect("answers are plain data with string keys");
    print(&text)
}

/// A reader that has had enough (`keelhaul list | head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout();
    printed(writeln!(output, "{}", text.trim_end()).and_then(|()| output.flush()))
}

fn printed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Machinery(
            format!("could not write to standard output: {error}; the answer is incomplete"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
