//! The list of workloads: adding one is one new file and one line here.

use crate::options::WorkloadOptions;
use crate::workload::Workload;
use serde::Serialize;
use std::sync::Arc;

/// A workload, as `list` shows it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WorkloadInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What it proves and what it cannot prove.
    pub proves: &'static str,
    #[serde(skip)]
    build: fn(&WorkloadOptions) -> Arc<dyn Workload>,
}

const WORKLOADS: &[WorkloadInfo] = &[
    WorkloadInfo {
        name: "register",
        about: "many independent znodes: read, write, compare-and-set by version",
        proves: "every key behaves as one versioned register (local reads: every session sees its own order)",
        build: crate::register::build,
    },
    WorkloadInfo {
        name: "set",
        about: "unique elements under rotating parents: add, read all",
        proves: "no acknowledged element is lost, none is unexpected, duplicated or seen too late",
        build: crate::set::build,
    },
];

/// No workload has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no workload `{name}`; did you mean `{nearest}`? `keelhaul list workloads` shows all"
)]
pub struct UnknownWorkload {
    /// The name asked for.
    pub name: String,
    /// The nearest name that exists.
    pub nearest: &'static str,
}

/// All workloads, in the order in which they are shown.
pub fn list() -> &'static [WorkloadInfo] {
    WORKLOADS
}

/// The workload of this name, at its beginning.
///
/// # Errors
/// If there is none; the error carries the nearest name.
pub fn build(name: &str, options: &WorkloadOptions) -> Result<Arc<dyn Workload>, UnknownWorkload> {
    match WORKLOADS.iter().find(|info| info.name == name) {
        Some(info) => Ok((info.build)(options)),
        None => Err(UnknownWorkload {
            name: name.to_owned(),
            nearest: nearest(name),
        }),
    }
}

fn nearest(name: &str) -> &'static str {
    WORKLOADS
        .iter()
        .map(|info| info.name)
        .min_by_key(|known| strsim::damerau_levenshtein(known, name))
        .unwrap_or("register")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_built_under_its_own_name() {
        for info in list() {
            let workload = build(info.name, &WorkloadOptions::default());
            assert_eq!(
                workload.map(|workload| workload.name()).ok(),
                Some(info.name)
            );
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_one() {
        let error = build("regsiter", &WorkloadOptions::default()).err();
        assert_eq!(error.map(|error| error.nearest), Some("register"));
    }
}
