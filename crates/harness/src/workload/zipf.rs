//! Zipfian numbers, the way YCSB makes them.
//!
//! Rank `k` (from zero) of a Zipfian distribution over `n` items has the probability
//! `1 / ((k + 1)^theta * zeta(n))`, where `zeta(n) = sum of 1 / i^theta for i in 1 ..= n`. Gray and
//! others ("Quickly generating billion-record synthetic databases", SIGMOD 1994) turn one uniform
//! number `u` into a rank without a table:
//!
//! ```text
//!   u < 1 / zeta(n)                 rank 0              exact
//!   u < (1 + 0.5^theta) / zeta(n)   rank 1              exact
//!   else   n * (eta * u - eta + 1) ^ (1 / (1 - theta))  the sum replaced by an integral
//! ```
//!
//! where `eta` joins the curve to the two exact ranks. From rank 2 on the result is therefore close
//! to Zipf's law and not equal to it; [`Zipfian::cumulative`] gives what is really generated, and
//! the tests hold the generator against that.
//!
//! Three generators build on it: [`Zipfian`] itself, whose popular items are neighbours;
//! [`ScrambledZipfian`], which scatters them; and [`Latest`], in which the newest are popular.

use super::WorkloadError;
use crate::rng::SplitMix64;

/// YCSB's exponent.
pub const ZIPFIAN_CONSTANT: f64 = 0.99;

/// Ranks `0 .. count`, the smaller the more popular.
#[derive(Clone, Debug, PartialEq)]
pub struct Zipfian {
    count: u64,
    theta: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
    /// Share of the two exact ranks together, times zeta: `1 + 0.5^theta`.
    two_heads: f64,
}

impl Zipfian {
    /// Over `count` ranks with exponent `theta`. Sums `count` terms, about 20 ns each.
    pub fn new(count: u64, theta: f64) -> Result<Self, WorkloadError> {
        check(count, theta)?;
        Ok(Self::with_zeta(count, theta, zeta(0, count, theta)))
    }

    /// As [`Zipfian::new`], with the sum known beforehand.
    fn with_zeta(count: u64, theta: f64, zeta: f64) -> Self {
        let two_heads = 1.0 + 0.5_f64.powf(theta);
        // With one or two ranks the exact cases above are all there is.
        let eta = if count <= 2 {
            1.0
        } else {
            (1.0 - (2.0 / as_f64(count)).powf(1.0 - theta)) / (1.0 - two_heads / zeta)
        };
        Self { count, theta, zeta, alpha: 1.0 / (1.0 - theta), eta, two_heads }
    }

    /// Ranks that are drawn from.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Adds ranks until there are `count` of them; does nothing where there are already. Sums only
    /// the new terms.
    pub fn grow_to(&mut self, count: u64) {
        if count > self.count {
            let zeta = self.zeta + zeta(self.count, count, self.theta);
            *self = Self::with_zeta(count, self.theta, zeta);
        }
    }

    /// The next rank.
    #[inline]
    pub fn next(&self, rng: &mut SplitMix64) -> u64 {
        let u = rng.next_f64();
        let scaled = u * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < self.two_heads {
            return 1;
        }
        let rank = as_f64(self.count) * (self.eta * u - self.eta + 1.0).powf(self.alpha);
        // `u` just below one rounds up to `count` itself once in a great while.
        truncate(rank).min(self.count - 1)
    }

    /// Probability that [`Zipfian::next`] yields a rank below `rank`.
    pub fn cumulative(&self, rank: u64) -> f64 {
        match rank {
            0 => 0.0,
            _ if rank >= self.count => 1.0,
            1 => 1.0 / self.zeta,
            _ => {
                let part = (as_f64(rank) / as_f64(self.count)).powf(1.0 - self.theta);
                (part - 1.0 + self.eta) / self.eta
            }
        }
    }
}

/// Keys `0 .. count`, of which a few, scattered over the whole range, are popular.
///
/// YCSB's `ScrambledZipfianGenerator`: the rank is drawn from 10^10 virtual items, whatever
/// `count` is, hashed, and reduced to the range. The most popular key therefore has the share
/// `1 / 26.469 = 3.78 %` (plus its part of the tail) for every `count`, where a true Zipfian over
/// a small range would give its first item more.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrambledZipfian {
    count: u64,
    virtual_items: Zipfian,
}

impl ScrambledZipfian {
    /// YCSB draws from `0 ..= 10^10`: its upper bound is inclusive.
    const VIRTUAL_ITEMS: u64 = 10_000_000_001;
    /// The sum over those items for [`ZIPFIAN_CONSTANT`], as YCSB states it.
    pub const ZETA: f64 = 26.469_028_201_783_02;

    /// Over `count` keys. Takes constant time: the sum is known.
    pub fn new(count: u64) -> Result<Self, WorkloadError> {
        if count == 0 {
            return Err(WorkloadError::NoKeys);
        }
        let virtual_items = Zipfian::with_zeta(Self::VIRTUAL_ITEMS, ZIPFIAN_CONSTANT, Self::ZETA);
        Ok(Self { count, virtual_items })
    }

    /// The next key.
    #[inline]
    pub fn next(&self, rng: &mut SplitMix64) -> u64 {
        fnv_hash_64(self.virtual_items.next(rng)) % self.count
    }

    /// The key that rank `rank` is mapped to; several ranks share a key.
    pub const fn key_of_rank(&self, rank: u64) -> u64 {
        fnv_hash_64(rank) % self.count
    }
}

/// Keys `0 .. count`, of which the newest, that is the largest, are popular.
///
/// YCSB's `SkewedLatestGenerator`, except that here the oldest key can be drawn too: YCSB uses the
/// largest key as the number of keys and so never reaches key zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    age: Zipfian,
}

impl Latest {
    /// Over `count` keys, with YCSB's constant.
    pub fn new(count: u64) -> Result<Self, WorkloadError> {
        Ok(Self { age: Zipfian::new(count, ZIPFIAN_CONSTANT)? })
    }

    /// Tells of keys that were added, up to `count` in all.
    pub fn grow_to(&mut self, count: u64) {
        self.age.grow_to(count);
    }

    /// The next key.
    #[inline]
    pub fn next(&self, rng: &mut SplitMix64) -> u64 {
        self.age.count() - 1 - self.age.next(rng)
    }
}

/// YCSB's hash of a number: FNV-1a over its eight bytes, the lowest first, as a non-negative `i64`.
///
/// The last step is Java's `Math.abs`, which leaves the smallest `i64` negative. YCSB would then
/// compute a negative key; here that one value becomes `2^63`, which keeps the result a key.
#[inline]
pub const fn fnv_hash_64(value: u64) -> u64 {
    const OFFSET_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    let mut hash = OFFSET_BASIS;
    let mut octet = 0;
    while octet < 8 {
        hash ^= (value >> (8 * octet)) & 0xFF;
        hash = hash.wrapping_mul(PRIME);
        octet += 1;
    }
    hash.cast_signed().unsigned_abs()
}

/// The sum of `1 / i^theta` for `i` in `from + 1 ..= to`.
fn zeta(from: u64, to: u64, theta: f64) -> f64 {
    (from..to).map(|item| as_f64(item + 1).powf(-theta)).sum()
}

fn check(count: u64, theta: f64) -> Result<(), WorkloadError> {
    if count == 0 {
        return Err(WorkloadError::NoKeys);
    }
    if theta > 0.0 && theta < 1.0 { Ok(()) } else { Err(WorkloadError::ZipfianConstant(theta)) }
}

fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the fraction is meant to go, and ranks are never negative"
)]
fn truncate(rank: f64) -> u64 {
    rank as u64
}
