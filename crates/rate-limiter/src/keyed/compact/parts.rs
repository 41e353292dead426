//! A quota in parts of a cell, and time in them; see `compact`.
//!
//! They are a [`Scale`] whose ticks a nanosecond are times 2^-64.

use super::{SLACK, TAT_MASK, TOLERANCE_MAX};
use crate::quota::{Quota, Scale};

/// The parts of `quota`; `None` where they are too many or too fine.
pub(super) fn scale(quota: &Quota) -> Option<Scale<u64>> {
    let wide = Scale::wide(quota);
    let burst = quota.burst();
    let fits = |bits: &u32| {
        burst.checked_mul(1 << bits).is_some_and(|parts| parts <= TOLERANCE_MAX)
            && wide.ticks_per_ns << bits < wide.ticks_per_cell
    };
    let bits = (0..=20).rev().find(fits)?;
    let per_ns = (wide.ticks_per_ns << bits << 64) / wide.ticks_per_cell;
    Some(Scale {
        ticks_per_ns: u64::try_from(per_ns).expect("less than a part a nanosecond"),
        ticks_per_cell: 1 << bits,
        tolerance: burst << bits,
        burst,
        elapsed_ns_max: u64::MAX,
    })
}

/// Parts that pass in so many nanoseconds: at most two fewer, and never more.
#[inline(always)]
pub(super) fn within(scale: &Scale<u64>, nanos: u64) -> u64 {
    let product = u128::from(nanos) * u128::from(scale.ticks_per_ns);
    (product >> 64) as u64
}

/// Nanoseconds after which `parts` more have passed for certain.
pub(super) fn nanos(scale: &Scale<u64>, parts: u64) -> u64 {
    let nanos = ((u128::from(parts) + 1) << 64) / u128::from(scale.ticks_per_ns.max(1)) + 1;
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Parts that a TAT lies ahead of `now`; none where it has passed.
#[inline(always)]
pub(super) fn ahead(scale: &Scale<u64>, tat: u64, now: u64) -> u64 {
    let ahead = (tat & TAT_MASK).wrapping_sub(now) & TAT_MASK;
    if ahead <= scale.tolerance + 2 * SLACK { ahead } else { 0 }
}
