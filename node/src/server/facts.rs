//! What can be told about the host and the data directory by looking.

use super::engine::Engine;
use super::words::VERSION;
use crate::zab::Zxid;
use serde_json::Value;
use std::fs::DirEntry;
use std::time::UNIX_EPOCH;

/// The host, as far as it is known without asking anybody; ZooKeeper's keys, but for Java's own.
pub(super) fn environment() -> Vec<(String, Value)> {
    let host = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    let directory = std::env::current_dir().map_or(String::new(), |dir| dir.display().to_string());
    let variable = |name| std::env::var(name).unwrap_or_default();
    let all = [
        ("zookeeper.version", VERSION.to_owned()),
        ("host.name", text(host.nodename())),
        ("os.name", text(host.sysname())),
        ("os.arch", text(host.machine())),
        ("os.version", text(host.release())),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", directory),
    ];
    all.map(|(key, value)| (key.to_owned(), value.into()))
        .into()
}

impl Engine {
    /// Bytes of all snapshots, and of the log.
    pub(super) fn sizes_on_disk(&self) -> (u64, u64) {
        let (mut snapshots, mut log) = (0, 0);
        for file in self.files() {
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            if file.file_name().to_string_lossy().starts_with("log-") {
                log += bytes;
            } else {
                snapshots += bytes;
            }
        }
        (snapshots, log)
    }

    /// The zxid of the newest snapshot on disk, and when it was written, in seconds since 1970.
    pub(super) fn newest_snapshot(&self) -> Option<(Zxid, u64)> {
        let snapshot = |file: DirEntry| {
            let name = file.file_name();
            let zxid = name.to_str()?.strip_prefix("snapshot-")?;
            let zxid = Zxid(u64::from_str_radix(zxid, 16).ok()?);
            let written = file.metadata().ok()?.modified().ok()?;
            Some((zxid, written.duration_since(UNIX_EPOCH).ok()?.as_secs()))
        };
        self.files().into_iter().filter_map(snapshot).max()
    }

    /// One level of histories, each with its files; what cannot be read counts nothing.
    fn files(&self) -> Vec<DirEntry> {
        let entries = |dir| std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries(self.config.data_dir.clone())
            .flat_map(|history| entries(history.path()))
            .collect()
    }
}
