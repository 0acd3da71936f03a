//! What is told of many durations.

use std::time::Duration;

use serde::Serialize;

/// In microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Statistics {
    pub(super) runs: usize,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) min: f64,
}

impl Statistics {
    /// Of at least one duration.
    pub(super) fn of(durations: &[Duration]) -> Option<Statistics> {
        let mut sorted: Vec<f64> = durations.iter().map(|duration| duration.as_nanos() as f64 / 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |percent| sorted.get(rank(sorted.len(), percent)?).copied();
        Some(Statistics { runs: sorted.len(), p50: percentile(50)?, p99: percentile(99)?, min: *sorted.first()? })
    }
}

/// The index of the smallest value that `percent` of all are not above: the nearest rank.
fn rank(count: usize, percent: usize) -> Option<usize> {
    (count * percent).div_ceil(100).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(microseconds: impl IntoIterator<Item = u64>) -> Option<Statistics> {
        let durations: Vec<Duration> = microseconds.into_iter().map(Duration::from_micros).collect();
        Statistics::of(&durations)
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let all = of((1..=100).rev());
        assert_eq!(all, Some(Statistics { runs: 100, p50: 50.0, p99: 99.0, min: 1.0 }));
        assert_eq!(of([7]), Some(Statistics { runs: 1, p50: 7.0, p99: 7.0, min: 7.0 }));
        assert_eq!(of([3, 1]), Some(Statistics { runs: 2, p50: 1.0, p99: 3.0, min: 1.0 }));
    }

    #[test]
    fn nothing_measured_is_nothing_told() {
        assert_eq!(of([]), None);
    }
}
