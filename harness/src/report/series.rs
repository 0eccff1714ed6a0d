//! Rates and latencies over time, counted in one pass over the history.
//!
//! An operation counts where it ended, so that a bucket shows what the clients heard in it. Latencies are those of answered
//! operations; how long the clients waited for what became indeterminate is kept apart.

use keelhaul_checkers::{History, Kind, Nanos, Process};
use std::collections::BTreeMap;

/// Buckets at most; a long run gets wider ones.
pub(super) const BUCKETS: u64 = 720;

/// Widths that a bucket may have: milliseconds.
const WIDTHS: [u64; 9] = [
    250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000,
];

/// The run in buckets of equal width.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) width: Nanos,
    pub(super) buckets: Vec<Bucket>,
}

/// What ended in one stretch of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    pub(super) ok: u64,
    pub(super) fail: u64,
    pub(super) info: u64,
    /// Of ok operations; `None` where there was none.
    pub(super) latency: Option<Latency>,
    /// The longest wait for an operation that became indeterminate.
    pub(super) given_up: Option<Nanos>,
}

/// Exact percentiles, by nearest rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    pub(super) p50: Nanos,
    pub(super) p95: Nanos,
    pub(super) p99: Nanos,
    pub(super) max: Nanos,
}

impl Latency {
    fn of(latencies: &mut [Nanos]) -> Option<Latency> {
        latencies.sort_unstable();
        let max = *latencies.last()?;
        let rank = |percent: usize| latencies[(latencies.len() * percent).div_ceil(100).max(1) - 1];
        Some(Latency {
            p50: rank(50),
            p95: rank(95),
            p99: rank(99),
            max,
        })
    }
}

impl Series {
    /// Counts the clients' operations of a history that ends at `end`.
    pub(super) fn of(history: &History, end: Nanos) -> Series {
        let width = width(end);
        let mut series = Series {
            width,
            buckets: vec![Bucket::default(); (end.0 / width.0 + 1) as usize],
        };
        let mut open: BTreeMap<u64, Nanos> = BTreeMap::new();
        // Times never run backwards, so one bucket's latencies at a time are enough.
        let mut place = 0;
        let mut latencies: Vec<Nanos> = Vec::new();
        for event in history.events() {
            let Process::Client(process) = *event.process() else {
                continue;
            };
            if event.kind() == Kind::Invoke {
                open.insert(process, event.time());
                continue;
            }
            let here = (event.time().0 / width.0) as usize;
            if here != place {
                series.buckets[place].latency = Latency::of(&mut latencies);
                latencies.clear();
                place = here;
            }
            let began = open.remove(&process).unwrap_or(event.time());
            let took = Nanos(event.time().0 - began.0);
            let bucket = &mut series.buckets[place];
            match event.kind() {
                Kind::Ok => {
                    bucket.ok += 1;
                    latencies.push(took);
                }
                Kind::Fail => bucket.fail += 1,
                Kind::Info | Kind::Invoke => {
                    bucket.info += 1;
                    bucket.given_up = bucket.given_up.max(Some(took));
                }
            }
        }
        series.buckets[place].latency = Latency::of(&mut latencies);
        series
    }

    /// The middle of a bucket.
    pub(super) fn middle(&self, place: usize) -> Nanos {
        Nanos(self.width.0 * place as u64 + self.width.0 / 2)
    }

    /// A count of one bucket as operations per second.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 * 1e9 / self.width.0 as f64
    }

    /// The most operations per second of any bucket.
    pub(super) fn highest_rate(&self) -> f64 {
        let totals = self
            .buckets
            .iter()
            .map(|bucket| bucket.ok + bucket.fail + bucket.info);
        self.per_second(totals.max().unwrap_or(0))
    }
}

fn width(end: Nanos) -> Nanos {
    let millis = WIDTHS
        .into_iter()
        .find(|width| end.0 / (width * 1_000_000) < BUCKETS)
        // A run of days: still so many buckets at most.
        .unwrap_or(end.0 / 1_000_000 / BUCKETS + 1);
    Nanos(millis * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_the_run_the_buckets_are_few() {
        for seconds in [0, 1, 30, 149, 151, 600, 86_400, 1_000_000] {
            let end = Nanos(seconds * 1_000_000_000);
            let series = Series::of(&History::default(), end);
            assert!(series.buckets.len() as u64 <= BUCKETS, "{seconds} s");
        }
    }
}
