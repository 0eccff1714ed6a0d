//! Apache ZooKeeper's data, where this node is told to keep its own. It is neither read nor changed; who does not know that would take an
//! empty service for the one that he had.

use super::{ConfigError, NodeConfig};
use crate::storage::Store;
use std::path::{Path, PathBuf};

/// The folder in which ZooKeeper keeps its logs and snapshots.
const FOLDER: &str = "version-2";

/// Refuses to begin beside ZooKeeper's data. `dirs`: where the configuration says that data is. `Some`: it is there, beside a
/// server's that has begun long ago.
pub fn beside(
    path: &Path,
    config: &NodeConfig,
    dirs: &[PathBuf],
) -> Result<Option<PathBuf>, ConfigError> {
    let found = dirs.iter().map(|dir| dir.join(FOLDER));
    let Some(found) = found.into_iter().find(|folder| has_files(folder)) else {
        return Ok(None);
    };
    match Store::is_begun(&config.data_dir) {
        true => Ok(Some(found)),
        false => Err(ConfigError::Foreign {
            path: path.to_owned(),
            found,
        }),
    }
}

fn has_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_beside_zookeepers_data_but_who_has_begun_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (data, logs) = (dir.path().join("data"), dir.path().join("logs"));
        std::fs::create_dir_all(logs.join(FOLDER)).unwrap();
        std::fs::create_dir_all(data.join("keelhaul")).unwrap();
        let path = dir.path().join("zoo.cfg");
        let text = format!("dataDir={}\nclientPort=2181\n", data.display());
        std::fs::write(&path, text + &format!("dataLogDir={}\n", logs.display())).unwrap();
        let zoo = super::super::Zoo::read(&path).unwrap();
        assert_eq!(zoo.dirs, [data.clone(), logs.clone()]);
        let look = || beside(&path, &zoo.config, &zoo.dirs);
        assert_eq!(look().unwrap(), None, "nothing is in it");
        std::fs::write(logs.join(FOLDER).join("log.1"), b"").unwrap();
        let error = look().unwrap_err().to_string();
        for part in [
            "logs/version-2",
            "Apache ZooKeeper",
            "another dataDir",
            "a client",
        ] {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
        Store::format(&zoo.config.data_dir).unwrap();
        assert_eq!(look().unwrap(), Some(logs.join(FOLDER)));
    }
}
