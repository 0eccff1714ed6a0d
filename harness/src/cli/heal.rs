//! `keelhaul heal`.

use super::{print, print_json};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::store::RunDirectory;
use crate::undo;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct HealArgs {
    /// The run directory of the controller that was killed
    #[arg(value_name = "RUN", default_value = "store/latest")]
    run: PathBuf,
}

/// Undoes what a killed controller left.
pub(super) fn heal(args: HealArgs, json: bool) -> Result<Exit, Failure> {
    let healed = undo::heal(&RunDirectory::existing(&args.run)?)?;
    let is_whole = healed.failed.is_empty() && healed.unreadable.is_empty();
    if json {
        print_json(&healed)?;
    } else {
        let told = [
            ("undone", &healed.undone),
            ("nothing to do", &healed.already),
            ("FAILED", &healed.failed),
            ("UNREADABLE", &healed.unreadable),
        ];
        for (word, lines) in told {
            for line in lines {
                print(&format!("{word}: {line}"))?;
            }
        }
        if healed.undone.is_empty() && is_whole {
            print("nothing is left to undo")?;
        }
    }
    match is_whole {
        true => Ok(Exit::Valid),
        false => Ok(Exit::Harness),
    }
}
