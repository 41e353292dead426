//! Medians, and how far to trust them.
//!
//! The interval is a percentile bootstrap (Efron 1979) of the median, two-staged as the data are:
//! it draws episodes with replacement, and rounds with replacement within each drawn episode. A
//! handful of episodes says little about how much episodes differ, so that the plain percentiles
//! would promise too much; they are *expanded* as Hesterberg proposes ("What Teachers Should Know
//! About the Bootstrap", 2015, section 5.3), by what Student's t adds to the normal distribution.
//! The seed is fixed, so that one record always has one interval.

use crate::rng::SplitMix64;

/// Resamples behind an interval.
const RESAMPLES: usize = 2_000;

/// Seed of the resampling.
const SEED: u64 = 0x5EED;

/// The part of the resamples that lies beyond either end of a 95 % interval, by the number of
/// episodes from two on: `normal(-sqrt(n / (n - 1)) * t(0.975, n - 1))`. It tends to 0.025.
const TAILS: [f64; 30] = [
    0.0, 0.0, 0.000_12, 0.000_96, 0.002_43, 0.004_11, 0.005_73, 0.007_22, 0.008_55, 0.009_73,
    0.010_76, 0.011_67, 0.012_5, 0.013_2, 0.013_87, 0.014_44, 0.014_96, 0.015_44, 0.015_88,
    0.016_28, 0.016_63, 0.016_98, 0.017_28, 0.017_58, 0.017_83, 0.018_08, 0.018_32, 0.018_57,
    0.018_76, 0.018_96,
];

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

/// The median; of an even number, the mean of the two in the middle. Linear time on average.
///
/// Panics when there are no values or one of them is not a number.
pub fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "there is no median of no values");
    assert!(values.iter().all(|value| !value.is_nan()), "figures are numbers");
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if odd {
        return upper;
    }
    let lower =
        below.iter().copied().max_by(f64::total_cmp).expect("an even number is two or more");
    f64::midpoint(lower, upper)
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
    medians.sort_unstable_by(f64::total_cmp);
    let tail = tail(episodes.len());
    Estimate { median: centre, lo: medians[tail], hi: medians[RESAMPLES - 1 - tail] }
}

/// Resamples beyond either end of the interval.
fn tail(episodes: usize) -> usize {
    let part = TAILS[episodes.saturating_sub(2).min(TAILS.len() - 1)];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 .. RESAMPLES/2")]
    let count = (part * RESAMPLES as f64) as usize;
    count
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
