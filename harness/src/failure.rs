//! Why a command could not do its work: failures of the harness or of its input, never verdicts on the system.

use crate::exit::Exit;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong: what was tried, where, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, or a file that it names, is wrong.
    #[error("{0}")]
    Usage(String),
    /// A file operation failed.
    #[error("could not {attempt} {}: {source}{}", path.display(), advice(attempt, source))]
    File {
        /// What was tried: "write", "create the directory".
        attempt: &'static str,
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A node could not be deployed.
    #[error("{node}: {problem}")]
    Node {
        /// The node's name.
        node: String,
        /// What was tried, what happened, and where to look.
        problem: String,
    },
    /// The harness's machinery failed.
    #[error("{0}")]
    Machinery(String),
}

impl Failure {
    /// For `map_err` on file operations.
    pub fn file(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure + use<> {
        let path = path.to_owned();
        move |source| Failure::File {
            attempt,
            path,
            source,
        }
    }

    /// For `map_err` on a file that the user named: if it cannot be read, the command line is wrong.
    pub fn input(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure + use<> {
        let path = path.to_owned();
        move |source| {
            let path = path.display();
            Failure::Usage(format!(
                "could not {attempt} {path}: {source}; check the name and that you may read it"
            ))
        }
    }

    /// A failure of a node's deployment.
    pub fn node(node: &str, problem: impl Into<String>) -> Failure {
        Failure::Node {
            node: node.to_owned(),
            problem: problem.into(),
        }
    }

    /// The exit code that it ends a command with.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::File { .. } | Failure::Node { .. } | Failure::Machinery(_) => Exit::Harness,
        }
    }
}

/// What to do about it, where the file is in the store: all that is written is.
fn advice(attempt: &str, source: &io::Error) -> &'static str {
    if ["run", "read", "find"].contains(&attempt) {
        return "";
    }
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or choose another disk with --store DIR"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a directory that you may write with --store DIR"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a part of this path is a file: choose a directory with --store DIR"
        }
        io::ErrorKind::NotFound => "; check the path, or choose another with --store DIR",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_cannot_be_written_comes_with_advice() {
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::NotFound,
            io::ErrorKind::StorageFull,
        ] {
            let failed = |attempt| Failure::file(attempt, Path::new("/x"))(kind.into()).to_string();
            assert!(failed("write").contains("--store DIR"), "{kind:?}");
            assert!(!failed("run").contains("--store DIR"), "{kind:?}");
        }
    }
}
