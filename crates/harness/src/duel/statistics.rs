//! Medians, and how far to trust them.
//!
//! The interval is a percentile bootstrap (Efron 1979) of the median, two-staged as the data are:
//! it draws episodes with replacement, and rounds with replacement within each drawn episode. The
//! seed is fixed, so that one record always has one interval.

use crate::rng::SplitMix64;

/// Resamples behind an interval.
const RESAMPLES: usize = 1_000;

/// Seed of the resampling.
const SEED: u64 = 0x5EED;

/// A median with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median of all rounds.
    pub median: f64,
    /// Lower bound of the interval.
    pub lo: f64,
    /// Upper bound of the interval.
    pub hi: f64,
}

impl Estimate {
    /// Whether the interval contains `value`.
    pub fn contains(&self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }
}

/// The median; of an even number, the mean of the two in the middle.
///
/// Panics when there are no values or one of them is not a number.
pub fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "there is no median of no values");
    values.sort_unstable_by(|a, b| a.partial_cmp(b).expect("figures are numbers"));
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// The median over all rounds of all episodes, with its interval.
///
/// Panics when there are no rounds or one of the values is not a number.
pub fn median_of_episodes(episodes: &[Vec<f64>]) -> Estimate {
    let mut all: Vec<f64> = episodes.iter().flatten().copied().collect();
    let centre = median(&mut all);
    let mut rng = SplitMix64::new(SEED);
    let mut resample = Vec::with_capacity(all.len());
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resample.clear();
            for _ in episodes {
                let episode = choose(&mut rng, episodes);
                resample.extend(episode.iter().map(|_| *choose(&mut rng, episode)));
            }
            median(&mut resample)
        })
        .collect();
    median(&mut medians);
    let tail = RESAMPLES / 40;
    Estimate { median: centre, lo: medians[tail], hi: medians[RESAMPLES - 1 - tail] }
}

fn choose<'a, T>(rng: &mut SplitMix64, items: &'a [T]) -> &'a T {
    let index = rng.below(items.len() as u64);
    &items[usize::try_from(index).expect("below a length")]
}

#[cfg(test)]
mod tests {
    use super::{median, median_of_episodes};

    #[test]
    fn median_of_odd_and_even_counts() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn the_interval_knows_that_episodes_differ() {
        // Within an episode there is no spread at all; between them there is.
        let episodes: Vec<Vec<f64>> =
            (0..9).map(|episode| vec![1.0 + f64::from(episode) / 100.0; 5]).collect();
        let estimate = median_of_episodes(&episodes);
        assert!((estimate.median - 1.04).abs() < 1e-9, "{estimate:?}");
        assert!(estimate.lo < 1.03 && estimate.hi > 1.05, "{estimate:?}");
        assert!(!estimate.contains(1.2));
    }
}
