//! What explains each anomaly, as files in a folder.

use crate::failure::Failure;
use keelhaul_checkers::explain::explain;
use keelhaul_checkers::{Anomaly, History, Results};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Anomalies that are explained at most: nobody reads more.
const MOST: usize = 32;

/// The folder of one file's anomalies: the one that was named, or one in it for each of several files.
pub(super) fn folder_of(folder: &Path, place: usize, files: &[PathBuf]) -> PathBuf {
    if files.len() == 1 {
        return folder.to_owned();
    }
    let name = files[place].file_stem().unwrap_or_default();
    folder.join(format!("{}-{}", place + 1, safe(&name.to_string_lossy())))
}

/// Writes picture, graph, words and sub-history of each anomaly; gives a line for each.
pub(super) fn write(
    folder: &Path,
    history: &History,
    results: &Results,
) -> Result<Vec<String>, Failure> {
    let all = results.anomalies.len() + results.outside_contract.len();
    if all == 0 {
        return Ok(Vec::new());
    }
    fs::create_dir_all(folder).map_err(cannot("create the directory", folder))?;
    let anomalies = results.anomalies.iter().chain(&results.outside_contract);
    let mut told = Vec::new();
    for (place, anomaly) in anomalies.enumerate().take(MOST) {
        told.push(write_one(folder, place + 1, history, anomaly)?);
    }
    if all > MOST {
        told.push(format!(
            "the first {MOST} of {all} anomalies are explained; the others are in --json"
        ));
    }
    Ok(told)
}

fn write_one(
    folder: &Path,
    number: usize,
    history: &History,
    anomaly: &Anomaly,
) -> Result<String, Failure> {
    let explanation = explain(history, anomaly);
    let stem = folder.join(format!("{number}-{}", safe(&anomaly.kind)));
    let mut text = format!("{}\n", explanation.text);
    let mut kinds = vec![(".svg", explanation.svg), (".dot", explanation.dot)];
    match &anomaly.witness["history"] {
        Value::Array(lines) => {
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            text.push_str(&format!(
                "\nThe smallest sub-history that was found to show it has {} lines; judged by itself, it is invalid for the same reason.\n",
                lines.lines().count()
            ));
            kinds.push((".jsonl", lines));
        }
        _ => {
            if let Some(note) = anomaly.witness["history_note"].as_str() {
                text.push_str(&format!("\nNo sub-history: {note}.\n"));
            }
        }
    }
    kinds.push((".txt", text));
    for (ending, content) in &kinds {
        let path = PathBuf::from(format!("{}{ending}", stem.display()));
        fs::write(&path, content).map_err(cannot("write", &path))?;
    }
    let endings: Vec<&str> = kinds.iter().map(|(ending, _)| *ending).collect();
    Ok(format!(
        "explained in {}{{{}}}",
        stem.display(),
        endings.join(",")
    ))
}

/// The folder was named on the command line: another one may do.
fn cannot(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| {
        let path = path.display();
        Failure::Usage(format!(
            "could not {attempt} {path}: {error}; choose another folder with --explain DIR"
        ))
    }
}

/// A name for files.
fn safe(name: &str) -> String {
    let safe = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
        _ => '-',
    };
    name.chars().map(safe).take(60).collect()
}

/// The lines that say where explanations are.
pub(super) fn told(explained: &[String], indent: &str) -> String {
    explained
        .iter()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}
