//! The canary: a small file in the data directory, written in place and synced again and again.
//!
//! It has a thread of its own, so that a disk that does not answer stops nothing but the canary; the lookout sees that it does not come
//! back. Nothing of it is ever read.

use super::NodeError;
use super::event::Event;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Its file.
const NAME: &str = "canary";

/// Between its return and its next flight.
const PAUSE: Duration = Duration::from_millis(500);

/// Starts the thread. It ends by itself when nobody takes its events; if the disk never answers, with the process.
pub(super) fn start(data_dir: &Path, events: mpsc::Sender<Event>) -> Result<(), NodeError> {
    let path = data_dir.join(NAME);
    let thread = std::thread::Builder::new().name("canary".into());
    thread
        .spawn(move || fly(&path, &events))
        .map(drop)
        .map_err(|e| NodeError::Start {
            what: "a thread for the canary",
            problem: e.to_string(),
        })
}

fn fly(path: &PathBuf, events: &mpsc::Sender<Event>) {
    let (mut file, mut said) = (None, String::new());
    for number in 1.. {
        if events.blocking_send(Event::CanarySent(number)).is_err() {
            return;
        }
        match once(&mut file, path, number) {
            Ok((free, total)) => {
                let back = Event::CanaryBack {
                    number,
                    free,
                    total,
                };
                if events.blocking_send(back).is_err() {
                    return;
                }
            }
            // It stays away, and the lookout will say so.
            Err(error) => {
                let problem = error.to_string();
                if problem != said {
                    tracing::warn!(path = %path.display(), problem, "the canary cannot be written");
                    said = problem;
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Writes, syncs, and looks how much room there is: bytes free, and in all.
fn once(file: &mut Option<File>, path: &PathBuf, number: u64) -> io::Result<(u64, u64)> {
    if file.is_none() {
        let options = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        *file = Some(options);
    }
    let file = file.as_ref().expect("just opened");
    file.write_all_at(&number.to_le_bytes(), 0)?;
    file.sync_data()?;
    let room = rustix::fs::fstatvfs(file)?;
    Ok((room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize))
}
