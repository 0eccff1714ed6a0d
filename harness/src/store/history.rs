//! The history's writer: one lock, one order, one thread that writes.
//!
//! Whoever records a line takes the lock, and index and time are stamped under it: index, time and order in the file
//! agree always. A thread of its own compresses what has gathered, at least every 200 ms, into one complete zstd frame
//! and appends it; so a controller that is killed loses at most the last batch. Memory is bounded: when the writer
//! falls behind, those who record wait. After a write that failed (a full disk) nothing more is taken, and
//! [`HistoryWriter::failure`] says so to the run, which ends as a failure of the harness.

use crate::failure::Failure;
use keelhaul_checkers::{Kind, Nanos, Process};
use keelhaul_workloads::Record;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest that a line stays in memory.
const BATCH: Duration = Duration::from_millis(200);

/// A batch that has this many bytes is written at once.
const BATCH_BYTES: usize = 1 << 20;

/// What may gather at most while the disk is slow.
const MOST_BYTES: usize = 16 << 20;

/// Histories are read about as often as they are written: speed before size.
const COMPRESSION: i32 = 1;

/// Writes a history. Lines come through [`Record`].
pub struct HistoryWriter {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    path: PathBuf,
    began: Instant,
    gathered: Mutex<Gathered>,
    /// Tells the writer that there is enough, or that this is the end.
    to_write: Condvar,
    /// Tells those who record that there is room again.
    room: Condvar,
    failure: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Gathered {
    next_index: u64,
    lines: Vec<u8>,
    closing: bool,
    failed: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    time: Nanos,
    process: &'a Process,
    #[serde(rename = "type")]
    kind: Kind,
    f: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    value: &'a Value,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl HistoryWriter {
    /// Creates the file and starts the clock of the history: time 0 is now.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path) -> Result<HistoryWriter, Failure> {
        let file = File::create_new(path).map_err(Failure::file("create the history", path))?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            began: Instant::now(),
            gathered: Mutex::default(),
            to_write: Condvar::new(),
            room: Condvar::new(),
            failure: watch::Sender::new(None),
        });
        let for_writer = shared.clone();
        let writer = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || for_writer.write_to(file))
            .map_err(|error| {
                Failure::Machinery(format!("could not start the history's thread: {error}"))
            })?;
        Ok(HistoryWriter {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Now, by the history's clock.
    pub fn now(&self) -> Nanos {
        self.shared.now()
    }

    /// Why the history cannot be written any more, once that is so.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.shared.failure.subscribe()
    }

    /// Writes what is left and closes the file; lines that come later are dropped.
    ///
    /// # Errors
    /// If this or an earlier write failed.
    pub fn finish(&self) -> Result<(), Failure> {
        self.shared.lock().closing = true;
        self.shared.to_write.notify_one();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            return Err(Failure::Machinery(
                "the history's thread panicked".to_owned(),
            ));
        }
        match &*self.shared.failure.borrow() {
            Some(reason) => Err(Failure::Machinery(reason.clone())),
            None => Ok(()),
        }
    }

    /// Records a line of the controller's own.
    pub fn controller(&self, f: &str, value: Value) -> Nanos {
        self.named("controller", f, value)
    }

    /// Records a line of the nemesis.
    pub fn nemesis(&self, f: &str, value: Value) -> Nanos {
        self.named("nemesis", f, value)
    }

    fn named(&self, name: &str, f: &str, value: Value) -> Nanos {
        let process = Process::Named(name.into());
        self.record(process, Kind::Info, f, None, value, Map::new())
    }
}

impl Record for HistoryWriter {
    fn record(
        &self,
        process: Process,
        kind: Kind,
        f: &str,
        key: Option<&str>,
        value: Value,
        extra: Map<String, Value>,
    ) -> Nanos {
        let mut gathered = self.shared.lock();
        while gathered.lines.len() >= MOST_BYTES && !gathered.failed {
            gathered = self
                .shared
                .room
                .wait(gathered)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        let time = self.shared.now();
        if gathered.failed || gathered.closing {
            return time;
        }
        let line = Line {
            index: gathered.next_index,
            time,
            process: &process,
            kind,
            f,
            key,
            value: &value,
            extra: &extra,
        };
        serde_json::to_writer(&mut gathered.lines, &line)
            .expect("a line is plain data with string keys, and memory does not fail to write");
        gathered.lines.push(b'\n');
        gathered.next_index += 1;
        if gathered.lines.len() >= BATCH_BYTES {
            self.shared.to_write.notify_one();
        }
        time
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `finish`.
        let _ = self.finish();
    }
}

impl Shared {
    fn now(&self) -> Nanos {
        // 2^64 ns are 584 years.
        Nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The writer's thread.
    fn write_to(&self, mut file: File) {
        let mut batch = Vec::new();
        loop {
            let closing = self.take_batch(&mut batch);
            if let Err(error) = append_frame(&mut file, &batch) {
                return self.fail(&error);
            }
            batch.clear();
            if closing {
                if let Err(error) = file.sync_all() {
                    self.fail(&error);
                }
                return;
            }
        }
    }

    /// Waits for a batch and takes it; whether it is the last.
    fn take_batch(&self, batch: &mut Vec<u8>) -> bool {
        let gathered = self.lock();
        let (mut gathered, _) = self
            .to_write
            .wait_timeout_while(gathered, BATCH, |gathered| {
                !gathered.closing && gathered.lines.len() < BATCH_BYTES
            })
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        std::mem::swap(&mut gathered.lines, batch);
        self.room.notify_all();
        gathered.closing
    }

    fn fail(&self, error: &io::Error) {
        let mut gathered = self.lock();
        gathered.failed = true;
        gathered.lines = Vec::new();
        drop(gathered);
        self.room.notify_all();
        let failure = Failure::file("append to the history", &self.path)(io::Error::new(
            error.kind(),
            error.to_string(),
        ));
        self.failure.send_replace(Some(failure.to_string()));
    }
}

fn append_frame(file: &mut File, batch: &[u8]) -> io::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    file.write_all(&zstd::bulk::compress(batch, COMPRESSION)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keelhaul_checkers::History;

    fn read(path: &Path) -> History {
        let (history, notes) = History::read(File::open(path).unwrap()).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        history
    }

    #[test]
    fn index_time_and_order_agree_whoever_records() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl.zst");
        let writer = Arc::new(HistoryWriter::create(&path).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|process| {
                let writer = writer.clone();
                std::thread::spawn(move || {
                    for value in 0..2_500 {
                        for kind in [Kind::Invoke, Kind::Ok] {
                            let (process, value) = (Process::Client(process), Value::from(value));
                            writer.record(process, kind, "write", Some("r0"), value, Map::new());
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        writer.finish().unwrap();
        let events = read(&path).to_events();
        assert_eq!(events.len(), 20_000);
        assert!(
            events
                .iter()
                .zip(0..)
                .all(|(event, index)| event.index == index)
        );
        assert!(events.is_sorted_by_key(|event| event.time));
    }

    #[test]
    fn a_line_is_on_disk_soon_even_if_nobody_closes_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl.zst");
        let writer = HistoryWriter::create(&path).unwrap();
        writer.controller("phase", serde_json::json!({"phase": "setup"}));
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::metadata(&path).unwrap().len() == 0 {
            assert!(Instant::now() < deadline, "the batch was never written");
            std::thread::sleep(Duration::from_millis(5));
        }
        let events = read(&path).to_events();
        assert_eq!(&*events[0].f, "phase");
        assert_eq!(events[0].process, Process::Named("controller".into()));
    }

    /// `/dev/full` is Linux's disk without space.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl.zst");
        let writer = HistoryWriter::create(&path).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let shared = writer.shared.clone();
        let thread = std::thread::spawn(move || shared.write_to(full));
        let text = Value::from("x".repeat(1 << 16));
        let mut lines = 0;
        while writer.failure().borrow().is_none() || lines < 1_000 {
            writer.controller("noise", text.clone());
            lines += 1;
        }
        thread.join().unwrap();
        let error = writer.finish().unwrap_err().to_string();
        assert!(error.contains("--store DIR"), "{error}");
    }
}
