//! `keelhaul list`.

use super::{print, print_json};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use keelhaul_checkers::CheckerInfo;
use keelhaul_nemesis::FaultKind;
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
    Checkers,
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
        (Part::Faults, "faults", faults()),
        (Part::Models, "models", checkers(|info| info.model)),
        (Part::Checkers, "checkers", checkers(|info| !info.model)),
        (Part::Systems, "systems", systems()),
    ];
    let wanted = parts
        .into_iter()
        .filter(|(part, ..)| args.part.is_none_or(|only| only == *part));
    if json {
        let all: serde_json::Map<_, _> = wanted
            .map(|(_, title, rows)| (title.to_owned(), serde_json::json!(rows)))
            .collect();
        print_json(&all)?;
        return Ok(Exit::Valid);
    }
    for (part, title, rows) in wanted {
        if args.part == Some(Part::Models) && part == Part::Models {
            print(&models())?;
            continue;
        }
        let mut text = format!("{title}:\n");
        for row in rows {
            writeln!(text, "  {:<22} {}", row.name, row.about)
                .expect("writing to a string does not fail");
        }
        print(&text)?;
    }
    Ok(Exit::Valid)
}

/// The models with the operations of each.
fn models() -> String {
    let mut text =
        String::from("models, with what each is asked, → what it answers, and an example line:\n");
    for info in keelhaul_checkers::list()
        .into_iter()
        .filter(|info| info.model)
    {
        let told = format!(
            "  {:<22} {}\n{:25}{}\n{:25}{}\n",
            info.name, info.about, "", info.operations, "", info.example
        );
        text.push_str(&told);
    }
    text
}

fn named(name: &str, about: &str) -> Named {
    Named {
        name: name.to_owned(),
        about: about.to_owned(),
    }
}

fn workloads() -> Vec<Named> {
    let all = keelhaul_workloads::list().iter();
    all.map(|info| named(info.name, info.about)).collect()
}

fn faults() -> Vec<Named> {
    let all = FaultKind::ALL.iter();
    all.map(|kind| named(kind.name(), kind.about())).collect()
}

fn systems() -> Vec<Named> {
    let all = crate::system::SYSTEMS.iter();
    all.map(|system| named(system.name, system.about)).collect()
}

/// Models judge a bare history; the other checkers need a run's own lines.
fn checkers(wanted: impl Fn(&CheckerInfo) -> bool) -> Vec<Named> {
    let all = keelhaul_checkers::list().into_iter().filter(wanted);
    all.map(|info| named(info.name, info.about)).collect()
}
