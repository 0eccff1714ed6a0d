//! The store: one directory for each run, `store/<test>/<UTC time>-<seed>/`, and `store/latest` for the newest.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `plan.json` | options, seed, versions and schedule: enough to run it again |
//! | `history.jsonl.zst` | every event, in one global order; each batch is one complete zstd frame |
//! | `undo.jsonl` | what undoes each fault, written before the fault went in |
//! | `results.json` | the verdict and everything that was found and measured |
//! | `report.html` | the same for a person, in one self-contained file |
//! | `junit.xml` | the same for a CI system |
//! | `nodes/<name>/` | configuration (`node.toml`) and output (`stdout.log`, `stderr.log`) of each node; `data/` is kept on failure |
//!
//! It never reads or judges what it stores.

mod history;

pub use history::HistoryWriter;

use crate::failure::Failure;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The directory of one run.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
}

/// The files of one node.
#[derive(Debug, Clone)]
pub struct NodeFiles {
    /// Everything of this node.
    pub directory: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its data: removed after a valid run.
    pub data: PathBuf,
    /// Its standard output.
    pub stdout: PathBuf,
    /// Its standard error: the log.
    pub stderr: PathBuf,
}

impl RunDirectory {
    /// Makes a new directory for a run of `test`.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn create(
        store: &Path,
        test: &str,
        seed: u64,
        now: DateTime<Utc>,
    ) -> Result<RunDirectory, Failure> {
        let name = format!("{}-{seed}", now.format("%Y%m%dT%H%M%S%.3fZ"));
        let path = store.join(test).join(&name);
        let create = || -> std::io::Result<()> {
            fs::create_dir_all(store.join(test))?;
            // Never into another run's directory.
            fs::create_dir(&path)?;
            fs::create_dir(path.join("nodes"))
        };
        create().map_err(Failure::file("create the run directory", &path))?;
        let path = fs::canonicalize(&path).map_err(Failure::file("find", &path))?;
        Ok(RunDirectory { path })
    }

    /// Points the store's `latest` at this run.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn become_latest(&self, store: &Path) -> Result<(), Failure> {
        let root = fs::canonicalize(store).map_err(Failure::file("find", store))?;
        let inside = self.path.strip_prefix(&root).unwrap_or(&self.path);
        point_latest(store, inside)
    }

    /// A directory that holds a run already.
    ///
    /// # Errors
    /// If it holds neither a plan nor undos.
    pub fn existing(path: &Path) -> Result<RunDirectory, Failure> {
        let run = RunDirectory {
            path: path.to_owned(),
        };
        path.metadata().map_err(Failure::input("find", path))?;
        if run.plan().is_file() || run.undo().is_file() {
            return Ok(run);
        }
        Err(Failure::Usage(format!(
            "{} is not a run directory: it has no plan.json; runs are in store/<test>/<time>-<seed>, the newest is store/latest",
            path.display()
        )))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `plan.json`.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// `history.jsonl.zst`.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl.zst")
    }

    /// `results.json`.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.json")
    }

    /// `undo.jsonl`.
    pub fn undo(&self) -> PathBuf {
        self.path.join("undo.jsonl")
    }

    /// `junit.xml`.
    pub fn junit(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    /// The files of a node.
    pub fn node(&self, name: &str) -> NodeFiles {
        let directory = self.path.join("nodes").join(name);
        NodeFiles {
            config: directory.join("node.toml"),
            data: directory.join("data"),
            stdout: directory.join("stdout.log"),
            stderr: directory.join("stderr.log"),
            directory,
        }
    }
}

/// Writes a value as indented JSON; whoever reads the file sees the old one or the whole new one.
///
/// # Errors
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .expect("what the store writes is plain data with string keys");
    text.push('\n');
    write_whole(path, text.as_bytes())
}

/// Writes a whole file; whoever reads it sees the old one or the whole new one.
///
/// # Errors
/// If the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(Failure::file("write", path))
}

/// Makes `latest` point at a run, in one step, so that it always points at one.
fn point_latest(store: &Path, run: &Path) -> Result<(), Failure> {
    let latest = store.join("latest");
    let fresh = store.join(format!(".latest-{}", std::process::id()));
    let point = || -> std::io::Result<()> {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(run, &fresh)?;
        fs::rename(&fresh, &latest)
    };
    point().map_err(Failure::file("point at the new run", &latest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_follows_the_newest_run() {
        let store = tempfile::tempdir().unwrap();
        for seed in [7, 8] {
            let run = RunDirectory::create(store.path(), "register", seed, Utc::now()).unwrap();
            run.become_latest(store.path()).unwrap();
            write_json(&run.plan(), &seed).unwrap();
            let latest = RunDirectory::existing(&store.path().join("latest")).unwrap();
            assert_eq!(
                fs::read_to_string(latest.plan()).unwrap(),
                format!("{seed}\n")
            );
        }
    }

    #[test]
    fn a_directory_without_a_plan_is_no_run() {
        let store = tempfile::tempdir().unwrap();
        let error = RunDirectory::existing(store.path()).unwrap_err();
        assert!(error.to_string().contains("plan.json"), "{error}");
    }
}
