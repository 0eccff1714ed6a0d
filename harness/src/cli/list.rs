//! `keelhaul list`.

use super::run::FAULTS;
use super::{print, print_json};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// One part only
    #[arg(value_name = "WHAT")]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Workloads,
    Faults,
    Models,
    Systems,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    about: String,
}

/// Lists what there is.
pub(super) fn list(args: ListArgs, json: bool) -> Result<Exit, Failure> {
    let parts = [
        (Part::Workloads, "workloads", workloads()),
        (Part::Faults, "faults", named(FAULTS)),
        (Part::Models, "models", models()),
        (
            Part::Systems,
            "systems",
            named([("node", "our own coordination service, keelhaul-node")]),
        ),
    ];
    let wanted = parts
        .into_iter()
        .filter(|(part, ..)| args.part.is_none_or(|only| only == *part));
    if json {
        let all: serde_json::Map<_, _> = wanted
            .map(|(_, title, rows)| (title.to_owned(), serde_json::json!(rows)))
            .collect();
        print_json(&all);
        return Ok(Exit::Valid);
    }
    for (_, title, rows) in wanted {
        let mut text = format!("{title}:\n");
        for row in rows {
            writeln!(text, "  {:<22} {}", row.name, row.about)
                .expect("writing to a string does not fail");
        }
        print(&text);
    }
    Ok(Exit::Valid)
}

fn named<const N: usize>(rows: [(&str, &str); N]) -> Vec<Named> {
    let named = |(name, about): (&str, &str)| Named {
        name: name.to_owned(),
        about: about.to_owned(),
    };
    rows.map(named).into()
}

fn workloads() -> Vec<Named> {
    let all = keelhaul_workloads::list().iter();
    all.map(|info| Named {
        name: info.name.to_owned(),
        about: info.about.to_owned(),
    })
    .collect()
}

fn models() -> Vec<Named> {
    let all = keelhaul_checkers::list().into_iter();
    all.map(|info| Named {
        name: info.name.to_owned(),
        about: info.about.to_owned(),
    })
    .collect()
}
