//! Whose data directory it is: a file that names the server and its cluster, written when the directory is made or first used.
//!
//! A directory of another server or cluster is refused: started on it, a server would speak for promises and acknowledgements
//! that another one gave. It cannot tell two clusters of the same name apart.

use crate::config::NodeConfig;
use crate::storage::StorageError;
use crate::zab::NodeId;
use std::io::{ErrorKind, Write};

const NAME: &str = "belongs-to";

fn owner(config: &NodeConfig) -> String {
    format!("server {} of cluster {:?}\n", config.id, config.cluster)
}

/// Who it is, and what the file says of it; `None` if there is no file, or an empty one.
fn read(config: &NodeConfig) -> Result<Option<(NodeId, String)>, StorageError> {
    let path = config.data_dir.join(NAME);
    let found = match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => StorageError::io("read", path.clone(), found)?,
    };
    let found = String::from_utf8_lossy(&found);
    match understand(&found) {
        None if !found.is_empty() => Err(StorageError::Refused {
            path,
            problem: "it is damaged and does not say whose directory this is; if it is this server's, remove that file".into(),
        }),
        owner => Ok(owner),
    }
}

fn understand(text: &str) -> Option<(NodeId, String)> {
    let said = text.strip_suffix('\n')?;
    let (id, cluster) = said.strip_prefix("server ")?.split_once(" of cluster ")?;
    let is_quoted = cluster.len() > 1 && cluster.starts_with('"') && cluster.ends_with('"');
    let id = id.parse().ok().filter(|_| is_quoted)?;
    Some((NodeId(id), said.to_owned()))
}

/// Refuses a directory that belongs to another server.
pub fn check(config: &NodeConfig) -> Result<(), StorageError> {
    let owner = owner(config);
    refuse_unless(config, |_, said| said == owner.trim_end())
}

/// Refuses a directory that belongs to a server with another id, in whichever cluster.
pub fn check_id(config: &NodeConfig) -> Result<(), StorageError> {
    refuse_unless(config, |id, _| id == config.id)
}

fn refuse_unless(
    config: &NodeConfig,
    is_right: impl Fn(NodeId, &str) -> bool,
) -> Result<(), StorageError> {
    match read(config)? {
        Some((id, said)) if !is_right(id, &said) => Err(StorageError::Refused {
            path: config.data_dir.clone(),
            problem: format!(
                "it belongs to {said}, and this is {}; start with that server's id and cluster, or with another directory",
                owner(config).trim_end()
            ),
        }),
        _ => Ok(()),
    }
}

/// Writes whose directory it is: all of it, or nothing.
pub fn claim(config: &NodeConfig) -> Result<(), StorageError> {
    let (path, owner) = (config.data_dir.join(NAME), owner(config));
    if std::fs::read_to_string(&path).is_ok_and(|found| found == owner) {
        return Ok(());
    }
    let temporary = path.with_extension("tmp");
    let mut file = StorageError::io(
        "create",
        temporary.clone(),
        std::fs::File::create(&temporary),
    )?;
    StorageError::io("write", temporary.clone(), file.write_all(owner.as_bytes()))?;
    StorageError::io("sync", temporary.clone(), file.sync_all())?;
    StorageError::io(
        "rename",
        temporary.clone(),
        std::fs::rename(&temporary, &path),
    )?;
    let dir = &config.data_dir;
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    StorageError::io("sync", dir.clone(), synced)
}
