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
    forget(folder)?;
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

/// Endings of what is written for an anomaly.
const ENDINGS: [&str; 4] = ["svg", "dot", "jsonl", "txt"];

/// Takes away what an earlier explanation wrote here, which would look like this one's: files by the names that are given here, and
/// where the words are among them.
fn forget(folder: &Path) -> Result<(), Failure> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("read the directory", folder)(error)),
    };
    let names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    let words = names.iter().filter_map(|name| name.strip_suffix(".txt"));
    let stems: Vec<&str> = words.filter(|stem| is_ours(stem)).collect();
    for stem in stems {
        let has_picture = names.iter().any(|name| *name == format!("{stem}.svg"));
        for ending in ENDINGS.iter().filter(|_| has_picture) {
            let name = format!("{stem}.{ending}");
            if names.contains(&name) {
                let path = folder.join(name);
                fs::remove_file(&path).map_err(cannot("remove the earlier", &path))?;
            }
        }
    }
    Ok(())
}

/// Whether it is a number and the kind of an anomaly: `3-G-single`.
fn is_ours(stem: &str) -> bool {
    let parts = stem.split_once('-');
    parts.is_some_and(|(number, kind)| {
        let number = number.parse::<usize>();
        number.is_ok_and(|number| (1..=MOST).contains(&number)) && safe(kind) == kind
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_explanation_wrote_is_taken_away_and_nothing_else() {
        let folder =
            std::env::temp_dir().join(format!("keelhaul-explained-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let ours = [
            "1-lost.svg",
            "1-lost.dot",
            "1-lost.txt",
            "2-G-single.svg",
            "2-G-single.txt",
        ];
        let others = [
            "1-notes.txt",
            "plan.svg",
            "40-lost.svg",
            "40-lost.txt",
            "lost.jsonl",
        ];
        for name in ours.iter().chain(&others) {
            fs::write(folder.join(name), "").expect("a file");
        }
        forget(&folder).expect("it can be read");
        let left: Vec<bool> = ours
            .iter()
            .chain(&others)
            .map(|name| folder.join(name).exists())
            .collect();
        fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!(left, [[false; 5], [true; 5]].concat());
        assert!(forget(&folder).is_ok());
    }
}
