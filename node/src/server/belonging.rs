//! Whose data directory it is: a file that names the server and its cluster, written when the directory is first used.
//!
//! A directory of another server or cluster is refused: started on it, a server would speak for promises and acknowledgements
//! that another one gave. It cannot tell two clusters of the same name apart.

use crate::config::NodeConfig;
use crate::storage::StorageError;
use std::io::{ErrorKind, Write};
use std::path::Path;

const NAME: &str = "belongs-to";

fn io<T>(action: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, StorageError> {
    result.map_err(|source| StorageError::Io {
        action,
        path: path.to_owned(),
        source,
    })
}

fn owner(config: &NodeConfig) -> String {
    format!("server {} of cluster {:?}\n", config.id, config.cluster)
}

/// Refuses a directory that belongs to another server.
pub(super) fn check(config: &NodeConfig) -> Result<(), StorageError> {
    let path = config.data_dir.join(NAME);
    let found = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => io("read", &path, found)?,
    };
    let owner = owner(config);
    if found.is_empty() || found == owner {
        // Empty: the machine died while it was being written.
        return Ok(());
    }
    Err(StorageError::Refused {
        path: config.data_dir.clone(),
        problem: format!(
            "it belongs to {}, and this is {}; start with that server's id and cluster, or with another directory",
            found.trim_end(),
            owner.trim_end()
        ),
    })
}

/// Writes whose directory it is.
pub(super) fn claim(config: &NodeConfig) -> Result<(), StorageError> {
    let (path, owner) = (config.data_dir.join(NAME), owner(config));
    if std::fs::read_to_string(&path).is_ok_and(|found| found == owner) {
        return Ok(());
    }
    let mut file = io("create", &path, std::fs::File::create(&path))?;
    io("write", &path, file.write_all(owner.as_bytes()))?;
    io("sync", &path, file.sync_all())
}
