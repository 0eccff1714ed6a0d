//! The disk thread: carries out what the core asks of the disk, in order.
//!
//! While it waits for an fsync, more is queued: it takes all of it at once, so that one fsync serves all (group
//! commit). After an error it does nothing more.

use super::NodeError;
use super::event::Event;
use super::metrics::{Metrics, SLOW_SYNC};
use crate::storage::{StorageError, Store, Timing};
use crate::zab::DiskOp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The engine's end.
#[derive(Debug)]
pub(super) struct Disk {
    queue: blocking::Sender<Handed>,
    pending: Vec<DiskOp>,
    /// Operations that were handed over and are not done.
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    events: mpsc::Sender<Event>,
}

/// Operations, and when they were handed over.
type Handed = (Vec<DiskOp>, Instant);

impl Disk {
    /// Where its times are counted.
    pub(super) fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Where what is read from the disk is told.
    pub(super) fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    /// To be handed over with the next [`Disk::flush`].
    pub(super) fn push(&mut self, op: DiskOp) {
        self.pending.push(op);
    }

    /// Hands everything over.
    pub(super) fn flush(&mut self) {
        if !self.pending.is_empty() {
            let count = self.pending.len();
            let before = self.waiting.fetch_add(count, Ordering::Relaxed);
            self.metrics.sync_processor_queue_size.add(before as u64);
            self.metrics.sync_processor_request_queued.add(count as u64);
            // The thread is gone only after an error, of which the engine hears by an event.
            let _ = self
                .queue
                .send((std::mem::take(&mut self.pending), Instant::now()));
        }
    }
}

/// Starts the thread. It ends when the [`Disk`] is dropped. Entries wait in memory for `patience` before they are written.
pub(super) fn start(
    store: Store,
    patience: Duration,
    metrics: Arc<Metrics>,
    events: mpsc::Sender<Event>,
) -> Result<(Disk, JoinHandle<()>), NodeError> {
    let (queue, work) = blocking::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let disk = Disk {
        queue,
        pending: Vec::new(),
        waiting: waiting.clone(),
        metrics: metrics.clone(),
        events: events.clone(),
    };
    let thread = std::thread::Builder::new()
        .name("disk".into())
        .spawn(move || {
            let work = || perform_all(store, patience, &work, &waiting, &metrics, &events);
            // A node whose disk does nothing any more must not go on as if it were only slow.
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                let _ = events.blocking_send(Event::DiskFailed(StorageError::Panicked));
            }
        })
        .map_err(|e| NodeError::Start {
            what: "a thread for the disk",
            problem: e.to_string(),
        })?;
    Ok((disk, thread))
}

fn perform_all(
    mut store: Store,
    patience: Duration,
    work: &blocking::Receiver<Handed>,
    waiting: &AtomicUsize,
    metrics: &Metrics,
    events: &mpsc::Sender<Event>,
) {
    let mut count = 0;
    let mut handed: Vec<Instant> = Vec::new();
    // A piece of a snapshot at a time is written between what is asked for meanwhile.
    while let Some(first) = next(work, store.is_saving()) {
        let mut ops = Vec::new();
        if let Some((asked, at)) = first {
            handed.push(at);
            ops = asked;
        }
        if !patience.is_zero() && ops.iter().all(|op| matches!(op, DiskOp::Append(_))) {
            std::thread::sleep(patience);
        }
        while let Ok((more, at)) = work.try_recv() {
            handed.push(at);
            ops.extend(more);
        }
        let event = match ops.is_empty() {
            true => None,
            false => {
                let (batch, start) = (ops.len(), Instant::now());
                count += batch as u64;
                let done = store.perform(ops);
                waiting.fetch_sub(batch, Ordering::Relaxed);
                metrics.sync_processor_batch_size.add(batch as u64);
                metrics
                    .sync_processor_queue_flush_time_ms
                    .add(micros(start.elapsed()));
                Some(done.map(|performed| Event::DiskDone { count, performed }))
            }
        };
        for at in handed.drain(..) {
            let took = micros(at.elapsed());
            metrics.sync_processor_queue_and_flush_time_ms.add(took);
        }
        let saved = match &event {
            Some(Err(_)) => None,
            _ => store.save_more().transpose(),
        };
        let saved = saved.map(|saved| saved.map(Event::SnapshotSaved));
        for event in event.into_iter().chain(saved) {
            let (event, failed) = match event {
                Ok(event) => (event, false),
                Err(error) => (Event::DiskFailed(error), true),
            };
            if events.blocking_send(event).is_err() || failed {
                return;
            }
        }
    }
}

/// The next that is asked for, if the thread has nothing else to do; `None` if nobody asks any more.
fn next(work: &blocking::Receiver<Handed>, busy: bool) -> Option<Option<Handed>> {
    match busy {
        false => work.recv().ok().map(Some),
        true => match work.try_recv() {
            Ok(handed) => Some(Some(handed)),
            Err(blocking::TryRecvError::Empty) => Some(None),
            Err(blocking::TryRecvError::Disconnected) => None,
        },
    }
}

/// Counts what the store's files say about their times.
pub(super) fn count(metrics: &Metrics, timing: Timing) {
    match timing {
        Timing::LogSynced(took) => {
            metrics.fsynctime.add(micros(took));
            if micros(took) > SLOW_SYNC {
                metrics.slow_syncs.inc();
            }
        }
        Timing::SnapshotWritten(took) => metrics.snapshottime.add(micros(took)),
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("no process runs for 500,000 years")
}
