//! `keelhaul bench`.

use super::{Places, duration, own_program, print, print_json, runtime};
use crate::aside;
use crate::bench::figures::{self, FIGURES};
use crate::bench::rows::Rows;
use crate::bench::side::Side;
use crate::bench::system::{self, Started, System};
use crate::bench::{self, Options};
use crate::cluster::binary;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::run::Interrupts;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(
    after_help = "Two sides are measured in turn, and their ratio is printed: --system node --system zookeeper, or two --endpoints. \
Figures: memory, writes, pipelined-writes, reads, mixed, leader-kill, leader-stop, tree"
)]
pub(super) struct BenchArgs {
    /// A cluster to start and measure; twice for a comparison
    #[arg(long, value_name = "SYSTEM")]
    system: Vec<SystemName>,
    /// Servers that run already: host:port,host:port,…; twice for a comparison
    #[arg(long, value_name = "LIST")]
    endpoints: Vec<String>,
    /// What to measure, separated by commas [default: the loads, and memory where the bench starts the servers]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measure: Vec<String>,
    /// Servers of each cluster that is started
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=7))]
    servers: u16,
    /// How often each load is measured on each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// How long each load is measured in a round
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    duration: Duration,
    /// How long each load runs before it is measured
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    warm_up: Duration,
    /// Bytes of each value
    #[arg(long, value_name = "BYTES", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    value_bytes: u32,
    /// How many leaders are killed or stopped, one after another
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    leaders: u32,
    /// Znodes of the large tree
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    znodes: u64,
    /// For the choice of operations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    places: Places,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SystemName {
    /// Our own node
    Node,
    /// Apache ZooKeeper, from Debian's package
    Zookeeper,
}

impl From<SystemName> for System {
    fn from(name: SystemName) -> System {
        match name {
            SystemName::Node => System::Node,
            SystemName::Zookeeper => System::Zookeeper,
        }
    }
}

/// Measures one side or two.
pub(super) fn bench(args: BenchArgs, json: bool) -> Result<Exit, Failure> {
    let options = options(&args)?;
    sides_fit(&args, &options)?;
    let systems: Vec<System> = match (args.system.is_empty(), args.endpoints.is_empty()) {
        (true, true) => vec![System::Node],
        _ => args.system.iter().copied().map(System::from).collect(),
    };
    let node: Option<PathBuf> = match systems.contains(&System::Node) {
        true => {
            Some(binary::inspect(&binary::find(args.places.node_bin.as_deref(), None)?, None)?.path)
        }
        false => None,
    };
    let places = system::Places {
        keelhaul: own_program()?,
        node,
        store: args.places.store.clone(),
    };
    let (rows, complete) = runtime()?.block_on(async {
        let interrupts = Interrupts::listen()?;
        let mut sides = Vec::new();
        for system in systems {
            sides.push(Side::started(
                Started::start(system, args.servers, &places).await?,
            ));
        }
        for endpoints in &args.endpoints {
            sides.push(Side::endpoints(endpoints)?);
        }
        let mut rows = Rows::new(sides.iter().map(|side| side.name.clone()).collect());
        let complete = tokio::select! {
            measured = bench::measure(&sides, &options, &mut rows) => measured.map(|()| true),
            () = interrupts.wait() => Ok(false),
        };
        for side in &sides {
            if let Some(started) = &side.started {
                started.shut_down().await?;
            }
        }
        Ok((rows, complete?))
    })?;
    match json {
        true => print_json(&rows.to_json())?,
        false => print(&rows.to_text())?,
    }
    if !complete {
        aside::say("interrupted: these are the figures so far");
        return Ok(Exit::Unknown);
    }
    Ok(Exit::Valid)
}

fn options(args: &BenchArgs) -> Result<Options, Failure> {
    let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    for name in &args.measure {
        if figures::by_name(name).is_none() {
            return Err(Failure::Usage(names::unknown("figure", name, &known)));
        }
    }
    if args.duration.is_zero() {
        return Err(Failure::Usage("--duration: longer than nothing".to_owned()));
    }
    // In the order of the list, which measures what disturbs the others last.
    let figures = FIGURES
        .iter()
        .filter(|figure| match args.measure.is_empty() {
            true => figure.is_default() && (args.endpoints.is_empty() || !figure.needs_processes()),
            false => args.measure.iter().any(|name| name == figure.name),
        });
    Ok(Options {
        figures: figures.collect(),
        rounds: args.rounds,
        duration: args.duration,
        warm_up: args.warm_up,
        value_bytes: args.value_bytes as usize,
        leaders: args.leaders,
        znodes: args.znodes,
        seed: args.seed,
    })
}

/// Refuses what cannot be measured, before anything is started.
fn sides_fit(args: &BenchArgs, options: &Options) -> Result<(), Failure> {
    if args.system.len() + args.endpoints.len() > 2 {
        return Err(Failure::Usage(
            "at most two sides are compared: two of --system and --endpoints together".to_owned(),
        ));
    }
    let needs = options
        .figures
        .iter()
        .find(|figure| figure.needs_processes());
    match needs {
        Some(figure) if !args.endpoints.is_empty() => Err(Failure::Usage(format!(
            "`{}` needs servers that the bench has started itself: use --system or leave it out",
            figure.name
        ))),
        _ => Ok(()),
    }
}
