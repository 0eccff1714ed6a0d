//! Live counts for progress displays: never evidence.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest latency that is told apart: one minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Counts of completions and their latency, shared by all workers.
#[derive(Debug)]
pub struct Meter {
    ok: AtomicU64,
    fail: AtomicU64,
    info: AtomicU64,
    connects: AtomicU64,
    latency_us: Mutex<Histogram<u64>>,
}

/// What a [`Meter`] showed at one moment. Latencies are of `ok` completions since the last [`Meter::snapshot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Snapshot {
    /// Operations answered, since the start.
    pub ok: u64,
    /// Operations that certainly did not happen, since the start.
    pub fail: u64,
    /// Indeterminate operations, since the start.
    pub info: u64,
    /// Connections that were opened, since the start.
    pub connects: u64,
    /// Median latency: microseconds; 0 if nothing was answered.
    pub p50_us: u64,
    /// 99th percentile: microseconds.
    pub p99_us: u64,
    /// Longest: microseconds.
    pub max_us: u64,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Meter {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 2)
            .expect("constant bounds are in order, and two significant digits are allowed");
        Meter {
            ok: AtomicU64::new(0),
            fail: AtomicU64::new(0),
            info: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            latency_us: Mutex::new(histogram),
        }
    }

    /// Counts an answered operation.
    pub fn ok(&self, latency: Duration) {
        self.ok.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US);
        self.histogram().saturating_record(micros.max(1));
    }

    /// Counts an operation that certainly did not happen.
    pub fn fail(&self) {
        self.fail.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an indeterminate operation.
    pub fn info(&self) {
        self.info.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that was opened.
    pub fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far; latency starts afresh.
    pub fn snapshot(&self) -> Snapshot {
        let mut latency = self.histogram();
        let snapshot = Snapshot {
            ok: self.ok.load(Ordering::Relaxed),
            fail: self.fail.load(Ordering::Relaxed),
            info: self.info.load(Ordering::Relaxed),
            connects: self.connects.load(Ordering::Relaxed),
            p50_us: latency.value_at_quantile(0.5),
            p99_us: latency.value_at_quantile(0.99),
            max_us: latency.max(),
        };
        latency.reset();
        snapshot
    }

    /// A worker that panicked while counting leaves a histogram that is still good enough for a display.
    fn histogram(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.latency_us
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stay_and_latency_starts_afresh_at_each_snapshot() {
        let meter = Meter::new();
        meter.ok(Duration::from_millis(2));
        meter.fail();
        meter.info();
        let first = meter.snapshot();
        assert_eq!((first.ok, first.fail, first.info), (1, 1, 1));
        assert!(first.max_us >= 2_000);
        let second = meter.snapshot();
        assert_eq!((second.ok, second.max_us), (1, 0));
    }
}
