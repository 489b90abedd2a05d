//! Latencies in buckets of a fixed relative width: any number of them in little memory.

use std::time::Duration;

/// Buckets in each doubling: a value is known to within 1/32.
const STEPS: u64 = 32;

/// How often each latency, in microseconds, was seen.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    largest: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, latency: Duration) {
        let value = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.add(index(value), 1);
        self.sum = self.sum.saturating_add(value);
        self.largest = self.largest.max(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (index, count) in other.buckets.iter().enumerate() {
            self.add(index, *count);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.largest = self.largest.max(other.largest);
    }

    fn add(&mut self, index: usize, count: u64) {
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += count;
            self.count += count;
        }
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) const fn largest(&self) -> u64 {
        self.largest
    }

    pub(super) fn mean(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// At most so many microseconds for this many of 1000; the upper end of a bucket, so never too good.
    pub(super) fn per_mille(&self, part: u64) -> u64 {
        let wanted = (self.count * part).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_end(index).min(self.largest);
            }
        }
        self.largest
    }
}

/// The bucket of a value: each its own below [`STEPS`], from there on [`STEPS`] for each doubling.
fn index(value: u64) -> usize {
    let doublings = value.checked_ilog2().unwrap_or(0).saturating_sub(STEPS.ilog2());
    let index = u64::from(doublings) * STEPS + (value >> doublings);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper_end(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    let doublings = (index / STEPS).saturating_sub(1);
    let steps = index - doublings * STEPS;
    ((steps + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_its_bucket() {
        for value in (0..100_000).chain([1 << 30, (1 << 40) + 12_345]) {
            let end = upper_end(index(value));
            assert!(end >= value && end - value <= value / STEPS, "{value}: {end}");
            assert_eq!(index(end), index(value), "{value}");
            assert_eq!(index(end + 1), index(value) + 1, "{value}");
        }
    }

    #[test]
    fn percentiles_of_two_halves() {
        let (mut all, mut other) = (Histogram::default(), Histogram::default());
        for value in 1..=500 {
            all.record(Duration::from_micros(value));
            other.record(Duration::from_micros(value + 500));
        }
        all.merge(&other);
        assert_eq!((all.count(), all.largest(), all.mean()), (1000, 1000, 500));
        for (part, value) in [(1, 1), (500, 500), (900, 900), (999, 999), (1000, 1000)] {
            let found = all.per_mille(part);
            assert!(found >= value && found <= value + value / STEPS, "{part}: {found}");
        }
        assert_eq!(Histogram::default().per_mille(500), 0);
    }
}
