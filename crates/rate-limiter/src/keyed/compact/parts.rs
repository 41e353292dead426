//! A quota in parts of a cell, and time in them; see `compact`.

use super::{SLACK, TAT_MASK, TOLERANCE_MAX};
use crate::quota::{Quota, Scale};
use crate::ratio::mul_div_ceil;

/// A quota in parts of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// `k`: a cell has `2^k`.
    pub(super) bits: u32,
    /// Parts a nanosecond, times 2^64, rounded down. Below one, so that it fits.
    per_ns: u64,
    pub(super) tolerance: u64,
}

impl Parts {
    pub(super) fn new(quota: &Quota) -> Option<Self> {
        let scale = Scale::wide(quota);
        let burst = quota.burst();
        let fits = |bits: &u32| {
            burst.checked_mul(1 << bits).is_some_and(|parts| parts <= TOLERANCE_MAX)
                && scale.ticks_per_ns << bits < scale.ticks_per_cell
        };
        let bits = (0..=20).rev().find(fits)?;
        let per_ns = (scale.ticks_per_ns << bits << 64) / scale.ticks_per_cell;
        let per_ns = u64::try_from(per_ns).expect("less than a part a nanosecond");
        Some(Self { bits, per_ns, tolerance: burst << bits })
    }

    /// At most two parts behind the true number, and never ahead of it.
    #[inline(always)]
    pub(super) fn at(&self, elapsed_ns: u64) -> u64 {
        let product = u128::from(elapsed_ns) * u128::from(self.per_ns);
        (product >> 64) as u64
    }

    /// `debt` parts of `old` as parts of these, where `turn` speaks of ticks and a cell has `cells`
    /// ticks of each kind. Rounded up.
    pub(super) fn turned(
        &self,
        debt: u64,
        old: &Self,
        cells: [u128; 2],
        turn: impl Fn(u128) -> u128,
    ) -> u64 {
        let ticks = turn(mul_div_ceil(debt.into(), cells[0], 1 << old.bits));
        let parts = mul_div_ceil(ticks, 1 << self.bits, cells[1]);
        u64::try_from(parts).unwrap_or(u64::MAX).min(self.tolerance)
    }

    /// Parts that a bucket misses at `now`, at least as many as it does, that is full or from which
    /// a cell was taken at `took_at_ns`.
    pub(super) fn first_debt(&self, took_at_ns: Option<u64>, now: u64) -> u64 {
        let back = |nanos| self.at(nanos).saturating_add(2).saturating_add(1 << self.bits);
        took_at_ns.map_or(0, |nanos| back(nanos).saturating_sub(now))
    }

    /// Nanoseconds after which `parts` more have passed for certain.
    pub(super) fn nanos(&self, parts: u64) -> u64 {
        let nanos = ((u128::from(parts) + 1) << 64) / u128::from(self.per_ns.max(1)) + 1;
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Parts that a TAT lies ahead of `now`; none where it has passed.
    #[inline(always)]
    pub(super) fn debt(&self, slot: u64, now: u64) -> u64 {
        let ahead = (slot & TAT_MASK).wrapping_sub(now) & TAT_MASK;
        if ahead <= self.tolerance + 2 * SLACK { ahead } else { 0 }
    }
}
