//! `keelhaul run`.

use super::{Places, duration, own_program, print, print_json, runtime};
use crate::aside;
use crate::cluster::binary;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::plan::{Options, Plan};
use crate::run::{Finished, Screen, execute, summary};
use crate::system;
use clap::Args;
use keelhaul_checkers::Validity;
use keelhaul_nemesis::{FaultKind, plan::generate};
use keelhaul_workloads::{Reads, build};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// How many nodes
    #[arg(
        long,
        help_heading = "The system",
        default_value_t = 5,
        allow_hyphen_values = true
    )]
    nodes: u16,
    /// What clients do (see `list`)
    #[arg(long, help_heading = "The work", default_value = "register")]
    workload: String,
    /// What goes wrong: kinds of fault with commas between them, or none
    #[arg(
        long,
        help_heading = "The faults",
        default_value = "kill,pause,partition",
        value_delimiter = ','
    )]
    nemesis: Vec<String>,
    /// How long the work lasts: 30, 30s, 500ms, 2m
    #[arg(long, help_heading = "The work", value_name = "DURATION", default_value = "30", value_parser = duration::parse, allow_hyphen_values = true)]
    time_limit: Duration,
    /// Operations per second of all workers together; 0: as fast as answers come
    #[arg(
        long,
        help_heading = "The work",
        default_value_t = 0.0,
        allow_hyphen_values = true
    )]
    rate: f64,
    /// How many clients work at a time
    #[arg(
        long,
        help_heading = "The work",
        default_value_t = 10,
        allow_hyphen_values = true
    )]
    workers: u64,
    /// How many keys are worked on at a time
    #[arg(
        long,
        help_heading = "The work",
        default_value_t = 8,
        allow_hyphen_values = true
    )]
    keys: u64,
    /// What stands before each read: fenced, sync or local
    #[arg(long, help_heading = "The work", default_value = "sync")]
    reads: Reads,
    /// Within how long every node must serve again after the last heal
    #[arg(long, help_heading = "The faults", value_name = "DURATION", default_value = "30", value_parser = duration::parse, allow_hyphen_values = true)]
    recovery_limit: Duration,
    /// Seed of all that is chosen at random; drawn if not given
    #[arg(long, help_heading = "The plan", allow_hyphen_values = true)]
    seed: Option<u64>,
    /// What is tested
    #[arg(long, help_heading = "The system", default_value = "node")]
    system: String,
    /// A bug planted in every node on purpose: the run should find it
    #[arg(long, help_heading = "The system", value_name = "NAME")]
    bug: Option<String>,
    /// Run a recorded plan: a plan.json, or a run directory
    #[arg(long, help_heading = "The plan", value_name = "FILE", conflicts_with_all = [
        "nodes", "workload", "nemesis", "time_limit", "rate", "workers", "keys", "reads", "recovery_limit", "seed",
        "system", "bug",
    ])]
    plan: Option<PathBuf>,
    /// Print the plan and run nothing
    #[arg(long, help_heading = "The plan")]
    dry_run: bool,
    #[command(flatten)]
    places: Places,
}

/// Runs one test.
pub(super) fn run(args: RunArgs, json: bool) -> Result<Exit, Failure> {
    let plan = match &args.plan {
        Some(path) => replayed(&args, path)?,
        None => fresh(&args)?,
    };
    for note in plan.notes() {
        aside::say(format_args!("note: {note}"));
    }
    if args.dry_run {
        return print_json(&plan).map(|()| Exit::Valid);
    }
    let screen = Screen::new();
    let running = execute(&plan, &args.places.store, own_program()?, &screen);
    let runtime = runtime()?;
    let finished = runtime.block_on(running);
    // Nobody waits for what a probe or a proxy still does.
    runtime.shutdown_background();
    let finished = finished?;
    tell(&plan, &finished, json)?;
    Ok(finished.results.valid.into())
}

fn tell(plan: &Plan, finished: &Finished, json: bool) -> Result<(), Failure> {
    let Finished { run, results } = finished;
    if json {
        print_json(&serde_json::json!({
            "test": plan.test,
            "seed": plan.seed,
            "run": run.path(),
            "again": plan.again(run),
            "results": results,
        }))?;
    } else {
        print(&summary::of_run(plan, run, results))?;
    }
    if plan.options.bug.is_some() && results.valid == Validity::Valid {
        aside::say(
            "note: the planted bug was not found in this run; try another --seed, or a longer --time-limit",
        );
    }
    Ok(())
}

/// A plan from the options.
fn fresh(args: &RunArgs) -> Result<Plan, Failure> {
    let system = system::by_name(&args.system).ok_or_else(|| {
        let known: Vec<&str> = system::SYSTEMS.iter().map(|system| system.name).collect();
        Failure::Usage(names::unknown("system", &args.system, &known))
    })?;
    let options = Options {
        nodes: args.nodes,
        workload: args.workload.clone(),
        nemesis: faults(&args.nemesis)?,
        time_limit_ms: duration::millis(args.time_limit),
        rate: args.rate,
        workers: args.workers,
        keys: args.keys,
        reads: args.reads,
        recovery_limit_ms: duration::millis(args.recovery_limit),
        bug: args.bug.clone(),
    };
    options.validate()?;
    let workload = build(&options.workload, &options.for_workload())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let mut checkers: Vec<String> = workload
        .checkers()
        .iter()
        .map(ToString::to_string)
        .collect();
    for always in ["recovery", "coverage", "stats"] {
        if !checkers.iter().any(|name| name == always) {
            checkers.push(always.to_owned());
        }
    }
    let program = binary::find(args.places.node_bin.as_deref(), options.bug.as_deref())?;
    let seed = args.seed.unwrap_or_else(drawn_seed);
    Ok(Plan {
        test: options.test(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        node: binary::inspect(&program, options.bug.as_deref())?,
        system: system.name.to_owned(),
        contract: system.contract.to_owned(),
        schedule: generate(seed, &options.for_schedule()),
        checkers,
        options,
    })
}

/// A recorded plan, with the node that is here now.
fn replayed(args: &RunArgs, path: &std::path::Path) -> Result<Plan, Failure> {
    let mut plan = Plan::read(path)?;
    let bug = plan.options.bug.as_deref();
    let program = binary::find(args.places.node_bin.as_deref(), bug)?;
    let node = binary::inspect(&program, bug)?;
    if node.sha256 != plan.node.sha256 {
        aside::say(format_args!(
            "the plan was recorded with {} ({}); this run uses {} ({})",
            plan.node.version,
            short(&plan.node.sha256),
            node.version,
            short(&node.sha256)
        ));
    }
    plan.node = node;
    plan.version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(plan)
}

/// The only number that is not of a seed: the seed itself, short enough to be read aloud.
fn drawn_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() >> 32
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The kinds of fault by name; `none` is the empty list.
fn faults(names: &[String]) -> Result<Vec<FaultKind>, Failure> {
    if names == ["none"] {
        return Ok(Vec::new());
    }
    names.iter().map(|name| fault(name)).collect()
}

fn fault(name: &str) -> Result<FaultKind, Failure> {
    let text = match name {
        "" => "--nemesis has an empty name in it: write `kill,pause`, say, or `none` for no fault"
            .to_owned(),
        "none" => "--nemesis: `none` stands alone; leave it out, or all the others".to_owned(),
        name => match name.parse() {
            Ok(kind) => return Ok(kind),
            Err(_) => {
                let known = FaultKind::ALL.iter().map(|kind| kind.name());
                let known: Vec<&str> = known.chain(["none"]).collect();
                names::unknown("fault", name, &known)
            }
        },
    };
    Err(Failure::Usage(text))
}
