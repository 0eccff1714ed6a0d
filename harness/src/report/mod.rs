//! `report.html`: a run for a person to read, in one self-contained file.
//!
//! Everything is drawn here, in Rust, when the run is over: the page loads nothing, and it is complete without scripts.
//! It judges nothing: verdicts, tables and witnesses are the checkers', curves and lanes are counted from the history.
//!
//! - `page`: what stands where; `style.css` and `hover.js` go into it;
//! - `verdict`, `witness`, `window`: the answer first, and the evidence against it;
//! - `timeline`, `lanes`, `plots`: the run on one axis of time;
//! - `recovery`, `tables`: what came back how soon, what was tested, what was counted;
//! - `story`, `series`: the history, read for drawing;
//! - `svg`, `text`: shapes and scales, numbers and durations.
//!
//! Limits: at most `BUCKETS` points a curve, `EPISODES` rows, `ANOMALIES` witnesses, and texts cut
//! where they would run away: the file stays under 2 MB, however long the run.

mod lanes;
mod page;
mod plots;
mod recovery;
mod series;
mod story;
mod svg;
mod tables;
mod text;
mod timeline;
mod verdict;
mod window;
mod witness;

#[cfg(test)]
mod tests;

use crate::failure::Failure;
use crate::plan::Plan;
use crate::store::{RunDirectory, write_whole};
use keelhaul_checkers::{History, Results};

/// Episodes that are drawn and listed at most; all are in `results.json`.
const EPISODES: usize = 1_000;

/// Anomalies that are shown at most; all are in `results.json`.
const ANOMALIES: usize = 20;

/// Writes the page.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    run: &RunDirectory,
    plan: &Plan,
    history: &History,
    results: &Results,
) -> Result<(), Failure> {
    let page = page::render(run, plan, history, results);
    write_whole(&run.path().join("report.html"), page.as_bytes())
}
