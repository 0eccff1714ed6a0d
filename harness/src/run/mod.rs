//! One test from beginning to end: deploy, work, break, heal, recover, read back, check, report.
//!
//! Each phase begins with a line of the history. Whatever goes wrong, what was broken is healed and what was seen is
//! saved; a failure of the harness itself ends the run without a verdict.

mod interrupt;
pub mod judge;
mod live;
mod progress;
mod recover;
pub mod summary;
mod watch;
mod work;

pub use interrupt::Interrupts;
pub use progress::Screen;

use crate::alarm::Alarm;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::store::{HistoryWriter, RunDirectory, write_json};
use crate::undo::UndoLog;
use crate::{junit, report};
use keelhaul_checkers::{Results, Validity};
use live::{Ending, Live, Stage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// A run that came to its end, with its verdict.
#[derive(Debug)]
pub struct Finished {
    /// Where everything is.
    pub run: RunDirectory,
    /// The verdict and what it rests on.
    pub results: Results,
}

/// Runs a plan. `keelhaul` is the controller's own program.
///
/// # Errors
/// Failures of the harness and of its input. What was seen until then is in the run directory.
pub async fn execute(
    plan: &Plan,
    store: &Path,
    keelhaul: PathBuf,
    screen: &Screen,
) -> Result<Finished, Failure> {
    let began = Instant::now();
    let interrupts = Interrupts::listen()?;
    let run = RunDirectory::create(store, &plan.test, plan.seed, chrono::Utc::now())?;
    write_json(&run.plan(), plan)?;
    run.become_latest(store)?;
    let at = run.path().display();
    screen.say(&format!("{} · seed {} · {at}", plan.test, plan.seed));

    let history = Arc::new(HistoryWriter::create(&run.history())?);
    let alarm = Alarm::default();
    let _watch = watch::history(&history, &alarm);
    let interruption = watch::interruption(
        &interrupts,
        screen,
        "interrupted: healing, saving and checking what there is; Ctrl-C again stops at once",
    );
    let stage = Stage {
        plan,
        run: &run,
        history: history.clone(),
        undo: Arc::new(UndoLog::create(&run.undo())?),
        interrupts: interrupts.clone(),
        alarm,
        screen,
    };
    let ended = Live::run(&stage, keelhaul).await;
    screen.show("saving the history".to_owned());
    let saved = history.finish();
    let ending = ended
        .and_then(|ending| saved.map(|()| ending))
        .inspect_err(|_| {
            screen.clear();
            screen.say(&format!("what was seen until then is in {at}"));
        })?;

    drop(interruption);
    screen.show("checking the history".to_owned());
    let _interruption = (!interrupts.is_interrupted()).then(|| {
        let answer = "the run is complete and is being checked; Ctrl-C again stops at once";
        watch::interruption(&interrupts, screen, answer)
    });
    let results = check(plan, &run, ending, began).await;
    screen.clear();
    let results = results?;
    if results.valid == Validity::Valid {
        remove_data(plan, &run)?;
    }
    Ok(Finished { run, results })
}

/// Judges the stored history, and writes every file that says so.
async fn check(
    plan: &Plan,
    run: &RunDirectory,
    ending: Ending,
    began: Instant,
) -> Result<Results, Failure> {
    let (plan, run) = (plan.clone(), run.clone());
    let work = move || {
        let stored = judge::read(&run.history())?;
        let known = match ending {
            Ending::Complete => Vec::new(),
            Ending::Interrupted(text) => vec![judge::unknown("run", text)],
        };
        let results = judge::judge(&stored, &plan.checkers, &plan.parameters(), known);
        write_json(&run.results(), &results)?;
        junit::write(&run, &plan, &results, began.elapsed())?;
        report::write(&run, &plan, &stored.history, &results)?;
        Ok(results)
    };
    // A second Ctrl-C must be heard while the checkers work.
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::Machinery(format!("a checker failed: {error}")))?
}

/// After a valid run nobody needs the nodes' data.
fn remove_data(plan: &Plan, run: &RunDirectory) -> Result<(), Failure> {
    for node in plan.nodes() {
        let data = run.node(&node).data;
        std::fs::remove_dir_all(&data).map_err(Failure::file("remove", &data))?;
    }
    Ok(())
}
