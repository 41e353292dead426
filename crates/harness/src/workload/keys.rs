//! Which key comes next: one stream type over all distributions.
//!
//! [`KeyDistribution`] is the description (data, comparable, nameable) and [`KeyStream`] the
//! generator that it makes for a number of keys and a seed. Keys are the numbers `0 .. count`;
//! [`scatter`] turns a number into one that looks random where neighbours must not be neighbours.

use super::zipf::{Latest, ScrambledZipfian, Zipfian};
use super::{WorkloadError, check_fraction};
use crate::rng::SplitMix64;

/// How keys are drawn from `0 .. count`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDistribution {
    /// One after the other, and again from zero after the last.
    Sequential,
    /// Each as likely as any other.
    Uniform,
    /// [`ScrambledZipfian`]: YCSB's default; a few scattered keys are popular.
    ScrambledZipfian,
    /// [`Zipfian`]: the smaller the key, the more popular.
    Zipfian {
        /// The exponent, between 0 and 1.
        theta: f64,
    },
    /// [`Latest`]: the newest keys are popular.
    Latest,
    /// The first `hot_keys` of the keys get `hot_operations` of the operations; both parts are
    /// uniform in themselves. YCSB's `HotspotIntegerGenerator`.
    Hotspot {
        /// Share of the keys that are hot.
        hot_keys: f64,
        /// Share of the operations that go to them.
        hot_operations: f64,
    },
}

impl KeyDistribution {
    /// The word that names of workloads use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Uniform => "uniform",
            Self::ScrambledZipfian => "zipf",
            Self::Zipfian { .. } => "zipf-clustered",
            Self::Latest => "latest",
            Self::Hotspot { .. } => "hotspot",
        }
    }

    /// The stream over `count` keys that `seed` determines.
    pub fn stream(&self, count: u64, seed: u64) -> Result<KeyStream, WorkloadError> {
        if count == 0 {
            return Err(WorkloadError::NoKeys);
        }
        let source = match *self {
            Self::Sequential => Source::Sequential { next: 0, count },
            Self::Uniform => Source::Uniform { count },
            Self::ScrambledZipfian => Source::Scrambled(ScrambledZipfian::new(count)?),
            Self::Zipfian { theta } => Source::Zipfian(Zipfian::new(count, theta)?),
            Self::Latest => Source::Latest(Latest::new(count)?),
            Self::Hotspot { hot_keys, hot_operations } => {
                Source::hotspot(count, hot_keys, hot_operations)?
            }
        };
        Ok(KeyStream { source, rng: SplitMix64::new(seed) })
    }
}

/// An endless stream of keys.
#[derive(Clone, Debug)]
pub struct KeyStream {
    source: Source,
    rng: SplitMix64,
}

#[derive(Clone, Debug)]
enum Source {
    Sequential { next: u64, count: u64 },
    Uniform { count: u64 },
    Scrambled(ScrambledZipfian),
    Zipfian(Zipfian),
    Latest(Latest),
    Hotspot { hot: u64, cold: u64, hot_operations: f64 },
}

impl Source {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fraction is meant to go, and a share is never negative"
    )]
    fn hotspot(count: u64, hot_keys: f64, hot_operations: f64) -> Result<Self, WorkloadError> {
        check_fraction("share of hot keys", hot_keys)?;
        check_fraction("share of hot operations", hot_operations)?;
        let hot = ((count as f64 * hot_keys) as u64).min(count);
        let cold = count - hot;
        if hot == 0 && hot_operations > 0.0 {
            return Err(WorkloadError::EmptySet { part: "hot", count });
        }
        if cold == 0 && hot_operations < 1.0 {
            return Err(WorkloadError::EmptySet { part: "cold", count });
        }
        Ok(Self::Hotspot { hot, cold, hot_operations })
    }
}

impl KeyStream {
    /// The next key.
    #[inline]
    pub fn next_key(&mut self) -> u64 {
        match &mut self.source {
            Source::Sequential { next, count } => {
                let key = *next;
                *next = if key + 1 == *count { 0 } else { key + 1 };
                key
            }
            Source::Uniform { count } => self.rng.below(*count),
            Source::Scrambled(scrambled) => scrambled.next(&mut self.rng),
            Source::Zipfian(zipfian) => zipfian.next(&mut self.rng),
            Source::Latest(latest) => latest.next(&mut self.rng),
            Source::Hotspot { hot, cold, hot_operations } => {
                if self.rng.next_f64() < *hot_operations {
                    self.rng.below(*hot)
                } else {
                    *hot + self.rng.below(*cold)
                }
            }
        }
    }

    /// Fills `keys`, so that nothing is generated while time is taken.
    pub fn fill(&mut self, keys: &mut [u64]) {
        for key in keys {
            *key = self.next_key();
        }
    }

    /// Tells the stream that keys were added and there are `count` now.
    ///
    /// Sequential, uniform and latest streams draw from the new keys too. Zipfian and hotspot
    /// streams stay with the keys that they were made for: there, more keys would change which
    /// ones are popular.
    pub fn grow_to(&mut self, count: u64) {
        match &mut self.source {
            Source::Sequential { count: known, .. } | Source::Uniform { count: known } => {
                *known = count.max(*known);
            }
            Source::Latest(latest) => latest.grow_to(count),
            Source::Scrambled(_) | Source::Zipfian(_) | Source::Hotspot { .. } => {}
        }
    }
}

impl Iterator for KeyStream {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        Some(self.next_key())
    }
}

/// A number for each number, one to one, in which neighbours lie far apart.
///
/// The finaliser of `SplitMix64`. Unlike a hash that is reduced to a range it never maps two keys
/// to one, so a store that is loaded with `scatter(0 .. n)` holds `n` records.
#[inline]
pub const fn scatter(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
