//! A counter and a summary that any thread may add to: a few relaxed atomic additions, no lock, no allocation.
//!
//! A summary keeps count, sum, least and greatest since the start (or the last reset), and quantiles of the last minutes: a
//! ring of histograms, of which the oldest is emptied now and then, as in Prometheus's own clients. A histogram has eight
//! buckets for each power of two, so a quantile is off by at most an eighth.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How many histograms a summary has.
const RING: usize = 5;

/// Buckets for each power of two, as a power of two.
const SUB_BITS: u32 = 3;
const SUB: usize = 1 << SUB_BITS;

/// What is beyond 2^32 (an hour, in microseconds) is counted in the last bucket.
const BUCKETS: usize = (32 - SUB_BITS as usize) * SUB + SUB;

/// It only grows, but for a reset.
#[derive(Debug, Default)]
pub(in crate::server) struct Counter(AtomicU64);

impl Counter {
    pub(in crate::server) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(in crate::server) fn inc(&self) {
        self.add(1);
    }

    pub(in crate::server) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What a summary's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Unit {
    /// Microseconds, shown as milliseconds.
    Time,
    /// Numbers, shown as they are.
    Number,
}

/// How much is told of a summary, as ZooKeeper has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Detail {
    /// The median.
    Basic,
    /// Higher quantiles too.
    Advanced,
}

/// Values, summed up.
#[derive(Debug)]
pub(in crate::server) struct Summary {
    pub(super) unit: Unit,
    pub(super) detail: Detail,
    count: AtomicU64,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    current: AtomicUsize,
    ring: Box<[[AtomicU32; BUCKETS]; RING]>,
}

/// A summary as it was when it was read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::server) struct Summed {
    pub(super) unit: Unit,
    pub(super) detail: Detail,
    pub(in crate::server) count: u64,
    pub(in crate::server) sum: u64,
    /// 0 if there is no value.
    pub(in crate::server) min: u64,
    pub(in crate::server) max: u64,
    /// The histogram of the last minutes.
    buckets: Vec<u64>,
}

impl Summary {
    pub(in crate::server) fn new(unit: Unit, detail: Detail) -> Summary {
        Summary {
            unit,
            detail,
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
            current: AtomicUsize::new(0),
            ring: Box::new([const { [const { AtomicU32::new(0) }; BUCKETS] }; RING]),
        }
    }

    pub(in crate::server) fn add(&self, value: u64) {
        self.sum.fetch_add(value, Relaxed);
        self.count.fetch_add(1, Relaxed);
        // Seldom: most values are neither.
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
        self.ring[self.current.load(Relaxed) % RING][bucket(value)].fetch_add(1, Relaxed);
    }

    /// Forgets the oldest histogram. To be called every [`super::WINDOW_MS`] / 5.
    pub(super) fn turn(&self) {
        let next = (self.current.load(Relaxed) + 1) % RING;
        for bucket in &self.ring[next] {
            bucket.store(0, Relaxed);
        }
        self.current.store(next, Relaxed);
    }

    pub(super) fn reset(&self) {
        self.count.store(0, Relaxed);
        self.sum.store(0, Relaxed);
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
        for bucket in self.ring.iter().flatten() {
            bucket.store(0, Relaxed);
        }
    }

    pub(in crate::server) fn read(&self) -> Summed {
        let (count, min) = (self.count.load(Relaxed), self.min.load(Relaxed));
        let sum_of = |at: usize| {
            let of = |histogram: &[AtomicU32; BUCKETS]| u64::from(histogram[at].load(Relaxed));
            self.ring.iter().map(of).sum()
        };
        Summed {
            unit: self.unit,
            detail: self.detail,
            count,
            sum: self.sum.load(Relaxed),
            min: if min == u64::MAX { 0 } else { min },
            max: self.max.load(Relaxed),
            buckets: (0..BUCKETS).map(sum_of).collect(),
        }
    }
}

impl Summed {
    pub(in crate::server) fn average(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum as f64 / self.count as f64
        }
    }

    /// The value below which this part of the last minutes' values lies, at most an eighth too great; `None` without values.
    pub(in crate::server) fn quantile(&self, part: f64) -> Option<u64> {
        let all: u64 = self.buckets.iter().sum();
        let wanted = ((all as f64 * part).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        for (n, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(greatest_in(n).min(self.max));
            }
        }
        None
    }
}

/// Small values have a bucket each; then every power of two has [`SUB`].
fn bucket(value: u64) -> usize {
    if value < SUB as u64 {
        return value as usize;
    }
    let power = value.ilog2();
    let sub = (value >> (power - SUB_BITS)) as usize & (SUB - 1);
    (((power - SUB_BITS + 1) as usize) * SUB + sub).min(BUCKETS - 1)
}

fn greatest_in(bucket: usize) -> u64 {
    if bucket < SUB {
        return bucket as u64;
    }
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    let shift = bucket / SUB - 1;
    let first = ((SUB + bucket % SUB) as u64) << shift;
    first + (1 << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Summary {
        let summary = Summary::new(Unit::Number, Detail::Advanced);
        values.into_iter().for_each(|value| summary.add(value));
        summary
    }

    #[test]
    fn every_value_falls_into_the_bucket_whose_bounds_hold_it() {
        let powers = (0..64)
            .flat_map(|power| [0, 1, 2].map(|n| (1u64 << power).wrapping_add(n).wrapping_sub(1)));
        for value in (0..5000).chain(powers) {
            let n = bucket(value);
            assert!(value <= greatest_in(n), "{value} is beyond bucket {n}");
            assert!(
                n == 0 || n == BUCKETS - 1 || value > greatest_in(n - 1),
                "{value} is before bucket {n}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_too_small_and_at_most_an_eighth_too_great(
            mut values in proptest::collection::vec(0u64..1 << 31, 1..300),
            part in 0.0..1.0f64,
        ) {
            let summed = of(values.iter().copied()).read();
            values.sort_unstable();
            let rank = ((values.len() as f64 * part).ceil() as usize).max(1) - 1;
            let (right, told) = (values[rank], summed.quantile(part).unwrap());
            prop_assert!(told >= right && told - right <= right / 8, "{told} for {right}");
            prop_assert_eq!(summed.min, values[0]);
            prop_assert_eq!(summed.max, *values.last().unwrap());
            prop_assert_eq!(summed.sum, values.iter().sum::<u64>());
        }
    }

    #[test]
    fn quantiles_forget_and_totals_do_not() {
        let summary = of([1000; 10]);
        for turn in 0..RING {
            assert_eq!(
                summary.read().quantile(0.5),
                Some(1000),
                "after {turn} turns"
            );
            summary.turn();
        }
        assert_eq!(summary.read().quantile(0.5), None);
        assert_eq!((summary.read().count, summary.read().max), (10, 1000));
        summary.reset();
        assert_eq!(
            (summary.read().count, summary.read().min, summary.read().max),
            (0, 0, 0)
        );
    }

    #[test]
    fn without_values_there_is_no_quantile_and_the_average_is_nought() {
        let summed = of([]).read();
        assert_eq!(
            (summed.quantile(0.99), summed.average(), summed.min),
            (None, 0.0, 0)
        );
    }

    #[test]
    fn threads_add_without_losing_any() {
        let (summary, counter) = (of([]), Counter::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..10_000).for_each(|n| {
                        summary.add(n);
                        counter.inc();
                    })
                });
            }
        });
        let summed = summary.read();
        assert_eq!(
            (summed.count, summed.sum, counter.get()),
            (40_000, 4 * 9_999 * 5_000, 40_000)
        );
        assert_eq!(summed.buckets.iter().sum::<u64>(), 40_000);
    }
}
