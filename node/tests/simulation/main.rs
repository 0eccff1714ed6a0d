//! Simulates ensembles of 3 and 5 voters with up to 2 observers, whose members change in half of the seeds, seed by seed, and checks after every event what a replica owes.
//!
//! The protocol core and the store are the real ones; network, disk, clock and clients are simulated, and everything that is
//! random comes from the seed. `KEELHAUL_SIM_SEEDS=20000` runs so many seeds, `KEELHAUL_SIM_SEED=7` runs one and
//! prints what happened.

#![allow(clippy::unwrap_used)] // A poisoned lock means that another thread of this test has failed already.
#![allow(clippy::needless_update)] // With the feature `bugs`, there is one field more.

mod copies;
mod coverage;
mod disk;
mod doubt;
mod durable;
mod ensemble;
mod layer;
mod network;
mod oracle;
mod traps;
mod world;

use coverage::Coverage;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::{Setting, World};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")),
    )
}

fn run(setting: &Setting) -> Result<Coverage, String> {
    let mut world = World::new(setting.clone());
    let result = world.run();
    world.log.iter().for_each(|line| println!("{line}"));
    let (seed, what) = (setting.seed, again(setting));
    let again = format!(
        "KEELHAUL_SIM_SEED={seed} cargo test -p keelhaul-node --test simulation {what} -- --nocapture"
    );
    result.map_err(|problem| {
        format!(
            "seed {seed}, event {}: {problem}\nagain: {again}",
            world.events
        )
    })?;
    Ok(world.coverage)
}

#[cfg(feature = "bugs")]
fn again(setting: &Setting) -> String {
    setting.bug.map_or("no_seed".to_owned(), |bug| {
        format!("--features bugs {}", planted::test_of(bug))
    })
}

#[cfg(not(feature = "bugs"))]
fn again(_: &Setting) -> String {
    "no_seed".to_owned()
}

/// Runs the one seed that was asked for, if one was, and prints what happened.
fn run_asked(setting: &Setting) -> Option<Result<Coverage, String>> {
    let seed = number("KEELHAUL_SIM_SEED")?;
    Some(run(&Setting {
        seed,
        trace: true,
        ..setting.clone()
    }))
}

/// Runs seeds from 0 on all processors; stops at the first failure.
fn run_seeds(seeds: u64, setting: &Setting) -> Result<Coverage, String> {
    let (next, total, failure) = (
        AtomicU64::new(0),
        Mutex::new(Coverage::default()),
        Mutex::new(None),
    );
    let worker = || {
        while failure.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            match run(&Setting {
                seed,
                ..setting.clone()
            }) {
                Ok(coverage) => total.lock().unwrap().add(&coverage),
                Err(problem) => *failure.lock().unwrap() = Some(problem),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker))));
    match failure.into_inner().unwrap() {
        Some(problem) => Err(problem),
        None => Ok(total.into_inner().unwrap()),
    }
}

#[test]
fn no_seed_breaks_a_promise() {
    if let Some(result) = run_asked(&Setting::default()) {
        result.unwrap_or_else(|problem| panic!("{problem}"));
        return;
    }
    let seeds = number("KEELHAUL_SIM_SEEDS").unwrap_or(300);
    let coverage =
        run_seeds(seeds, &Setting::default()).unwrap_or_else(|problem| panic!("{problem}"));
    println!("{seeds} seeds; situations reached:");
    for &(situation, name) in coverage::ALL {
        println!("{:>9}  {name}", coverage.count(situation));
    }
    // A simulation that never gets there proves nothing about it.
    let least = if seeds >= 20_000 { 100 } else { 1 };
    for &(situation, name) in coverage::ALL {
        assert!(
            coverage.count(situation) >= least,
            "{name}: reached {} times",
            coverage.count(situation)
        );
    }
}

#[test]
fn the_same_seed_runs_the_same() {
    let events = |seed| {
        let mut world = World::new(Setting {
            seed,
            trace: true,
            ..Setting::default()
        });
        world.run().unwrap_or_else(|problem| panic!("{problem}"));
        (world.events, world.log)
    };
    assert_eq!(events(11), events(11));
}

#[cfg(feature = "bugs")]
mod planted {
    use super::*;
    use keelhaul_node::zab::Bug;

    pub(crate) fn test_of(bug: Bug) -> &'static str {
        match bug {
            Bug::CommitWithoutQuorum => "commit_without_quorum",
            Bug::AckBeforeWrite => "ack_before_write",
            Bug::StaleSync => "stale_sync",
            Bug::Divergence => "divergence",
            Bug::AmnesiacActs => "amnesiac_acts",
            Bug::OldCopyActs => "old_copy_acts",
        }
    }

    fn is_found(bug: Bug) {
        let setting = Setting {
            bug: Some(bug),
            ..Setting::default()
        };
        let asked = run_asked(&setting);
        let problem = asked
            .unwrap_or_else(|| run_seeds(1000, &setting))
            .expect_err("1000 seeds did not find the planted bug");
        println!("{bug:?} found: {problem}");
        assert!(
            !problem.contains("not live"),
            "found only by its lack of progress: {problem}"
        );
    }

    #[test]
    fn commit_without_quorum_is_found() {
        is_found(Bug::CommitWithoutQuorum);
    }

    #[test]
    fn ack_before_write_is_found() {
        is_found(Bug::AckBeforeWrite);
    }

    #[test]
    fn amnesiac_acts_is_found() {
        is_found(Bug::AmnesiacActs);
    }

    #[test]
    fn old_copy_acts_is_found() {
        is_found(Bug::OldCopyActs);
    }

    #[test]
    fn divergence_is_found() {
        is_found(Bug::Divergence);
    }

    #[test]
    fn stale_sync_is_found() {
        is_found(Bug::StaleSync);
    }
}
