//! The last so many values of something: mean, deviation and the largest. What every threshold here is learned from.

use std::collections::VecDeque;

/// The last `capacity` values.
#[derive(Debug, Clone)]
pub(super) struct Window {
    values: VecDeque<f64>,
    capacity: usize,
    /// Of whole milliseconds, so that nothing is rounded when values come and go.
    sum: f64,
    squares: f64,
    largest: f64,
}

impl Window {
    pub(super) fn new(capacity: usize) -> Window {
        assert!(capacity > 0, "a window shows something");
        Window {
            values: VecDeque::new(),
            capacity,
            sum: 0.0,
            squares: 0.0,
            largest: 0.0,
        }
    }

    /// A further value; the oldest goes when there are too many.
    pub(super) fn add(&mut self, value: f64) {
        let value = value.round();
        self.values.push_back(value);
        (self.sum, self.squares) = (self.sum + value, self.squares + value * value);
        self.largest = self.largest.max(value);
        if self.values.len() > self.capacity {
            let gone = self.values.pop_front().expect("just filled");
            (self.sum, self.squares) = (self.sum - gone, self.squares - gone * gone);
            if gone >= self.largest {
                self.largest = self.values.iter().copied().fold(0.0, f64::max);
            }
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / self.count()
    }

    pub(super) fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.squares / self.count() - mean * mean).max(0.0).sqrt()
    }

    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn count(&self) -> f64 {
        self.values.len().max(1) as f64
    }

    /// The largest value in it; 0 if there is none.
    pub(super) fn largest(&self) -> f64 {
        self.largest
    }

    /// A limit for what comes: so many times the largest value seen, but between these bounds. The lower one is what no
    /// operator minds, whatever the machine; the upper one is what every operator minds.
    pub(super) fn limit(&self, times: f64, (least, most): (f64, f64)) -> f64 {
        (times * self.largest).clamp(least, most)
    }
}

/// A measure that comes and goes, as a queue does: a peak is usual once it has passed by itself, never while it grows.
#[derive(Debug, Clone)]
pub(super) struct Peaks {
    passed: Window,
    peak: f64,
}

impl Peaks {
    pub(super) fn new(capacity: usize) -> Peaks {
        Peaks {
            passed: Window::new(capacity),
            peak: 0.0,
        }
    }

    /// The measure is this now. A peak above `most` was a failure, and is not usual.
    pub(super) fn add(&mut self, value: f64, most: f64) {
        if value < self.peak / 2.0 {
            if self.peak <= most {
                self.passed.add(self.peak);
            }
            self.peak = value;
        }
        self.peak = self.peak.max(value);
    }

    /// See [`Window::limit`].
    pub(super) fn limit(&self, times: f64, bounds: (f64, f64)) -> f64 {
        self.passed.limit(times, bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_what_is_old() {
        let mut window = Window::new(3);
        assert_eq!(
            (window.mean(), window.deviation(), window.largest()),
            (0.0, 0.0, 0.0)
        );
        for value in [100.0, 2.0, 4.0, 6.0] {
            window.add(value);
        }
        assert_eq!((window.mean(), window.largest()), (4.0, 6.0));
        assert!((window.deviation() - (8.0f64 / 3.0).sqrt()).abs() < 1e-9);
        assert_eq!(window.limit(2.0, (1.0, 100.0)), 12.0);
        assert_eq!(window.limit(2.0, (20.0, 100.0)), 20.0);
        assert_eq!(window.limit(2.0, (1.0, 10.0)), 10.0);
    }

    #[test]
    fn what_grows_is_not_usual_before_it_has_passed() {
        let mut peaks = Peaks::new(10);
        for value in 1..=30 {
            peaks.add(f64::from(value), 40.0);
            assert_eq!(peaks.limit(4.0, (8.0, 1000.0)), 8.0);
        }
        peaks.add(10.0, 40.0);
        assert_eq!(peaks.limit(4.0, (8.0, 1000.0)), 120.0);
        peaks.add(100.0, 40.0);
        peaks.add(0.0, 40.0);
        assert_eq!(peaks.limit(4.0, (8.0, 1000.0)), 120.0, "a failure");
    }
}
