//! The disk thread: carries out what the core asks of the disk, in order.
//!
//! While it waits for an fsync, more is queued: it takes all of it at once, so that one fsync serves all (group
//! commit). After an error it does nothing more.

use super::NodeError;
use super::event::Event;
use crate::storage::{StorageError, Store};
use crate::zab::DiskOp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// The engine's end.
#[derive(Debug)]
pub(super) struct Disk {
    queue: blocking::Sender<Vec<DiskOp>>,
    pending: Vec<DiskOp>,
}

impl Disk {
    /// To be handed over with the next [`Disk::flush`].
    pub(super) fn push(&mut self, op: DiskOp) {
        self.pending.push(op);
    }

    /// Hands everything over.
    pub(super) fn flush(&mut self) {
        if !self.pending.is_empty() {
            // The thread is gone only after an error, of which the engine hears by an event.
            let _ = self.queue.send(std::mem::take(&mut self.pending));
        }
    }
}

/// Starts the thread. It ends when the [`Disk`] is dropped. Entries wait in memory for `patience` before they are written.
pub(super) fn start(
    store: Store,
    patience: Duration,
    events: mpsc::Sender<Event>,
) -> Result<(Disk, JoinHandle<()>), NodeError> {
    let (queue, work) = blocking::channel();
    let thread = std::thread::Builder::new()
        .name("disk".into())
        .spawn(move || {
            let work = || perform_all(store, patience, &work, &events);
            // A node whose disk does nothing any more must not go on as if it were only slow.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                let _ = events.blocking_send(Event::DiskFailed(StorageError::Panicked));
            }
        })
        .map_err(|e| NodeError::Start {
            what: "a thread for the disk",
            problem: e.to_string(),
        })?;
    Ok((
        Disk {
            queue,
            pending: Vec::new(),
        },
        thread,
    ))
}

fn perform_all(
    mut store: Store,
    patience: Duration,
    work: &blocking::Receiver<Vec<DiskOp>>,
    events: &mpsc::Sender<Event>,
) {
    let mut count = 0;
    while let Ok(mut ops) = work.recv() {
        if !patience.is_zero() && ops.iter().all(|op| matches!(op, DiskOp::Append(_))) {
            std::thread::sleep(patience);
        }
        while let Ok(more) = work.try_recv() {
            ops.extend(more);
        }
        count += ops.len() as u64;
        let event = match store.perform(ops) {
            Ok(reads) => Event::DiskDone { count, reads },
            Err(error) => Event::DiskFailed(error),
        };
        let failed = matches!(event, Event::DiskFailed(_));
        if events.blocking_send(event).is_err() || failed {
            return;
        }
    }
}
