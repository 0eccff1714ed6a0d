//! Load and recovery figures of one system, or of two side by side: what `keelhaul bench` measures.
//!
//! - [`side`]: what is measured: endpoints that somebody else runs, or a cluster of [`system`]s started for it;
//! - [`load`]: clients that work as fast as they are answered, and `drive`, how they do it; [`recovery`]: what a lost leader or a restart costs;
//! - [`figures`]: the list of what can be measured, as data; [`rows`]: what came out, and the ratios.
//!
//! Two sides are measured in turn, round by round, so that what else the machine does falls on both; the ratio of the
//! medians counts, not the numbers. Nothing is judged here, and no fault but a kill or a stop of a node of its own is made.

mod drive;
pub mod figures;
pub mod load;
pub mod recovery;
pub mod rows;
pub mod side;
pub mod system;

use crate::aside;
use crate::failure::Failure;
use figures::{Figure, Kind};
use rows::{Row, Rows};
use side::Side;
use std::time::Duration;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Figures, in the order in which they are measured.
    pub figures: Vec<&'static Figure>,
    /// How often each load is measured on each side.
    pub rounds: u32,
    /// How long each load is measured.
    pub duration: Duration,
    /// How long it runs before.
    pub warm_up: Duration,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Leaders killed or stopped.
    pub leaders: u32,
    /// Znodes of the large tree.
    pub znodes: u64,
    /// For the choice of operations.
    pub seed: u64,
}

/// Measures every figure on every side, in turn. What was measured is in `rows` even if this is dropped half way.
///
/// # Errors
/// If a side cannot be reached, or loses connections under load: a figure of half the clients is none.
pub async fn measure(sides: &[Side], options: &Options, rows: &mut Rows) -> Result<(), Failure> {
    for side in sides {
        load::prepare(side, options).await?;
    }
    for figure in &options.figures {
        let rounds = match figure.kind {
            Kind::Load(_) => options.rounds,
            _ => 1,
        };
        for round in 1..=rounds {
            for (place, side) in sides.iter().enumerate() {
                aside::say(format_args!(
                    "{} of {} ({round}/{rounds})",
                    figure.name, side.name
                ));
                for (row, value) in one(figure, side, options, round).await? {
                    rows.add(row, place, value);
                }
            }
        }
    }
    // The data of a cluster of the bench's own is deleted as a whole.
    for side in sides.iter().filter(|side| side.started.is_none()) {
        load::clear(side, options).await?;
    }
    Ok(())
}

async fn one(
    figure: &Figure,
    side: &Side,
    options: &Options,
    round: u32,
) -> Result<Vec<(Row, f64)>, Failure> {
    match &figure.kind {
        Kind::Load(load) => load::measure(load, figure.name, side, options, round).await,
        Kind::Memory => recovery::memory(side).await,
        Kind::Tree => recovery::tree(side, options).await,
        Kind::Leader(loss) => recovery::leader(side, *loss, options).await,
    }
}
