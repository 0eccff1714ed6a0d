//! The binary: reads the command line and the configuration, and runs a node until it is told to stop.

use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};
use keelhaul_node::config::{EXAMPLE, NodeConfig, Zoo, in_zookeepers_words};
use keelhaul_node::offline::{self, Consent, Done};
use keelhaul_node::{server, zab};
use std::future::Future;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

const FEATURES: &str = if cfg!(feature = "bugs") {
    "bugs"
} else {
    "none"
};

/// A ZooKeeper-compatible coordination service.
///
/// Ready when the four-letter word `srvr` on the client port is answered with a mode. Logs go to stderr; RUST_LOG
/// filters them (default: info).
#[derive(Debug, Parser)]
#[command(name = "keelhaul-node", args_conflicts_with_subcommands = true)]
struct Cli {
    /// The configuration: TOML, or ZooKeeper's own if its name ends in .cfg
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The same, as an option
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,

    /// Print a configuration with every key, its default and what it means
    #[arg(long)]
    example_config: bool,

    /// Print the version and the compiled features
    #[arg(long, short = 'V')]
    version: bool,

    /// Plant a bug: commit-without-quorum, ack-before-write, stale-sync, divergence, amnesiac-acts or old-copy-acts
    #[cfg(feature = "bugs")]
    #[arg(long, value_name = "NAME", value_parser = bug)]
    bug: Option<zab::Bug>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the data directory of a new member: once, before its first start
    Format {
        #[command(flatten)]
        of: Of,
    },
    /// Make a stopped server the only member of its ensemble, when a majority of the members is lost for good
    ///
    /// What that majority acknowledged without this server is lost. The members of before must not run on their disks any more: move
    /// their data directories away. The server leads what it holds from its next start on; others can then be added to it.
    Recover {
        #[command(flatten)]
        of: Of,
        /// Say what there is to go on from, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Also if this server may have forgotten what it acknowledged
        #[arg(long)]
        without_memory: bool,
        /// Also if something answers where another member does
        #[arg(long)]
        beside_others: bool,
    },
    /// Print the digest of a name and password, for access control lists and `security.super_digest`
    Digest {
        /// The name and the password
        #[arg(value_name = "NAME:PASSWORD")]
        secret: String,
    },
}

/// Which server it is about.
#[derive(Debug, clap::Args)]
struct Of {
    /// The configuration: TOML, or ZooKeeper's own if its name ends in .cfg
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl Of {
    fn file(&self) -> &Path {
        let path = self.config.as_deref().or(self.file.as_deref());
        path.expect("one of them is required")
    }
}

impl Cli {
    /// The configuration file, if one is named.
    fn file(&self) -> Option<&Path> {
        match &self.command {
            Some(Command::Format { of } | Command::Recover { of, .. }) => Some(of.file()),
            Some(Command::Digest { .. }) => None,
            None => self.config.as_deref().or(self.file.as_deref()),
        }
    }
}

#[cfg(feature = "bugs")]
fn bug(name: &str) -> Result<zab::Bug, String> {
    match name {
        "commit-without-quorum" => Ok(zab::Bug::CommitWithoutQuorum),
        "ack-before-write" => Ok(zab::Bug::AckBeforeWrite),
        "stale-sync" => Ok(zab::Bug::StaleSync),
        "divergence" => Ok(zab::Bug::Divergence),
        "amnesiac-acts" => Ok(zab::Bug::AmnesiacActs),
        "old-copy-acts" => Ok(zab::Bug::OldCopyActs),
        _ => Err(
            "the bugs are commit-without-quorum, ack-before-write, stale-sync, divergence, amnesiac-acts and old-copy-acts"
                .into(),
        ),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let has_zookeepers = cli.file().is_some_and(Zoo::is_meant);
    match try_main(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let words = in_words(&error);
            match has_zookeepers {
                true => eprintln!("keelhaul-node: {}", in_zookeepers_words(&words)),
                false => eprintln!("keelhaul-node: {words}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn try_main(cli: Cli) -> anyhow::Result<()> {
    if cli.version {
        println!(
            "keelhaul-node {} (features: {FEATURES})",
            env!("CARGO_PKG_VERSION")
        );
        return Ok(());
    }
    if cli.example_config {
        print!("{EXAMPLE}");
        return Ok(());
    }
    match &cli.command {
        Some(Command::Format { of }) => return format(of.file()),
        Some(Command::Recover {
            of,
            dry_run,
            without_memory,
            beside_others,
        }) => {
            let consent = Consent {
                only_look: *dry_run,
                without_memory: *without_memory,
                beside_others: *beside_others,
            };
            return recover(of.file(), consent);
        }
        Some(Command::Digest { secret }) => {
            println!("{}", keelhaul_node::acl::digest(secret));
            return Ok(());
        }
        None => {}
    }
    let Some(path) = cli.file() else {
        bail!(
            "no configuration is given\n\n{}",
            Cli::command().render_usage()
        );
    };
    let read = read_config(path)?;
    let beside = read.beside(path)?;
    let (config, without_effect) = (read.config, read.without_effect);
    let zab = zab_config(&cli, &config);
    log_to_stderr();
    if let Some(folder) = beside {
        tracing::warn!(folder = %folder.display(), "the data of an Apache ZooKeeper stands beside this server's, and is not read");
    }
    for option in without_effect {
        tracing::warn!(option, "has no effect");
    }
    // One thread moves the bytes and thinks; the disk has its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let stop = asked_to_stop().context("cannot listen for signals")?;
        Ok(server::run(config, zab, stop).await?)
    })
}

#[cfg(feature = "bugs")]
fn zab_config(cli: &Cli, config: &NodeConfig) -> zab::Config {
    zab::Config {
        bug: cli.bug,
        ..config.zab()
    }
}

#[cfg(not(feature = "bugs"))]
fn zab_config(_: &Cli, config: &NodeConfig) -> zab::Config {
    config.zab()
}

/// A configuration that was read.
struct Read {
    config: NodeConfig,
    /// The options in it that have no effect.
    without_effect: Vec<String>,
    /// Where it says that data is.
    dirs: Vec<PathBuf>,
}

impl Read {
    /// Where Apache ZooKeeper's data is, if it is beside this server's; a server that has not begun does not begin there.
    fn beside(&self, path: &Path) -> anyhow::Result<Option<PathBuf>> {
        Ok(keelhaul_node::config::beside(
            path,
            &self.config,
            &self.dirs,
        )?)
    }
}

fn read_config(path: &Path) -> anyhow::Result<Read> {
    if Zoo::is_meant(path) {
        let zoo = Zoo::read(path)?;
        return Ok(Read {
            config: zoo.config,
            without_effect: zoo.without_effect,
            dirs: zoo.dirs,
        });
    }
    let config = NodeConfig::read(path)?;
    Ok(Read {
        without_effect: Vec::new(),
        dirs: vec![config.data_dir.clone()],
        config,
    })
}

fn format(path: &Path) -> anyhow::Result<()> {
    let read = read_config(path)?;
    read.beside(path)?;
    let config = read.config;
    offline::format(&config)?;
    println!(
        "formatted {} for server {} of cluster {:?}",
        config.data_dir.display(),
        config.id,
        config.cluster
    );
    Ok(())
}

fn recover(path: &Path, consent: Consent) -> anyhow::Result<()> {
    let config = read_config(path)?.config;
    log_to_stderr();
    let recovery = offline::recover(&config, consent)?;
    let (id, dir) = (config.id, config.data_dir.display());
    let (before, last) = (&recovery.before, recovery.last);
    match recovery.done {
        Done::Looked => {
            println!("server {id} holds up to {last} in {dir}; members, by its log: {before}");
            if recovery.was_amnesiac {
                println!("It is without memory: it may have forgotten what it acknowledged.");
            }
            println!("Nothing was changed.");
            return Ok(());
        }
        Done::Before(version) => {
            println!(
                "server {id} is the only member of its ensemble since version {version}. Nothing was changed."
            );
        }
        Done::Alone(version) => {
            println!(
                "server {id} is the only member of its ensemble from version {version} on; before, by its log: {before}"
            );
            println!(
                "It goes on from {last}, the last transaction in {dir}; what the others acknowledged after it is lost."
            );
            if before.observers.contains(&config.id) {
                println!("It was an observer, and has a vote now.");
            }
            if recovery.was_amnesiac {
                println!(
                    "It was without memory: what it acknowledged itself before it lost it is lost as well, if no other has told it."
                );
            }
        }
    }
    println!(
        "Start it. Move the data directories of the others away, start those that are to come back on empty ones, and add them one by one \
         (reconfig -add)."
    );
    if !config.reconfig.enabled {
        println!(
            "For that the configuration needs {} on every server.",
            match Zoo::is_meant(path) {
                true => "reconfigEnabled=true",
                false => "reconfig.enabled = true",
            }
        );
    }
    Ok(())
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
}

fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The error with its causes, but for those that it names itself.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}
