//! Quotas: what is to be kept, checked once so that the hot path need not.
//!
//! A quota of `cells` a `period` has the interval `period / cells` between two cells. Reduced to
//! lowest terms, in nanoseconds, that is `p / n`. Counting time in ticks of `1 / n` nanoseconds
//! makes the nanosecond `n` ticks and the interval `p` ticks: both whole, so that sums of them are
//! exact for ever.
//!
//! ```text
//!   600,000,000 a second:  10^9 / (6 * 10^8) = 5/3 ns    ->  3 ticks a ns, 5 ticks a cell
//!             3 a second:  10^9 / 3 ns                   ->  3 ticks a ns, 10^9 ticks a cell
//!           1 in 10 years: 3.15 * 10^17 ns               ->  1 tick a ns, 3.15 * 10^17 a cell
//! ```
//!
//! # Limits
//!
//! [`CELLS_MAX`], [`PERIOD_NS_MAX`] and [`BURST_MAX`] bound what a quota may be, so that the
//! largest sum that the algorithm forms, `elapsed + 2 * tolerance` in ticks, fits in 128 bits. The
//! same sum decides whether 64 bits are enough: see [`Scale::narrow`].

use std::time::Duration;

/// Most cells that a quota may name: 2^60.
pub(crate) const CELLS_MAX: u64 = 1 << 60;

/// Longest period that a quota may name: 2^62 ns, 146 years.
pub(crate) const PERIOD_NS_MAX: u64 = 1 << 62;

/// Largest burst that a quota may name: 2^60 cells.
pub(crate) const BURST_MAX: u64 = 1 << 60;

/// How long the ticks of a bucket must last at least: 2^60 ns, 36.5 years.
const ELAPSED_NS_MIN: u64 = 1 << 60;

// The default burst, as many cells as the rate names, is a legal one.
const _: () = assert!(CELLS_MAX <= BURST_MAX);

// Elapsed time and twice the tolerance fit in 128 bits, whatever the quota.
const _: () = assert!(
    u128::MAX - (u64::MAX as u128) * (CELLS_MAX as u128)
        >= 2 * (BURST_MAX as u128) * (PERIOD_NS_MAX as u128)
);

/// Why a quota cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// A quota of no cells.
    #[error("a quota of zero cells admits nothing; name at least one cell")]
    NoCells,
    /// A period of no length.
    #[error("a quota's period is zero; name at least one nanosecond")]
    NoPeriod,
    /// A burst of no cells.
    #[error("a burst of zero cells admits nothing; name at least one cell")]
    NoBurst,
    /// More cells than the arithmetic can bear.
    #[error("{cells} cells are too many; the most is {CELLS_MAX}")]
    TooManyCells {
        /// What was asked for.
        cells: u64,
    },
    /// A longer period than the arithmetic can bear.
    #[error("a period of {period:?} is too long; the longest is {PERIOD_NS_MAX} ns, 146 years")]
    PeriodTooLong {
        /// What was asked for.
        period: Duration,
    },
    /// More cells than a window can count, or than there is memory for.
    #[error("a window of {cells} cells is too large; use fewer cells, or a bucket")]
    WindowTooLarge {
        /// What was asked for.
        cells: u64,
    },
    /// A warm-up of no cells, or one that outgrows the arithmetic.
    #[error(
        "a warm-up of {cells} cells, {factor} times slower at first, is not 1 to 2^20 of each \
             at a rate that leaves room for them; use smaller numbers"
    )]
    WarmUpTooLong {
        /// The cells that were asked for.
        cells: u64,
        /// How many times slower it was to begin.
        factor: u64,
    },
    /// A larger burst than the arithmetic can bear.
    #[error("a burst of {burst} cells is too large; the largest is {BURST_MAX}")]
    BurstTooLarge {
        /// What was asked for.
        burst: u64,
    },
}

/// A rate and a burst: `cells` in each `period` in the long run, `burst` at once.
///
/// Over any stretch of time `t`, a bucket admits at most `burst + t * cells / period` cells, and
/// it denies only what would break that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Invariant: `1 ..= CELLS_MAX`.
    cells: u64,
    /// Invariant: `1 ..= PERIOD_NS_MAX`.
    period_ns: u64,
    /// Invariant: `1 ..= BURST_MAX`.
    burst: u64,
}

impl Quota {
    /// `cells` in each `period`, and as many at once.
    ///
    /// ```
    /// use rate_limiter::{Quota, QuotaError};
    /// use std::time::Duration;
    ///
    /// assert!(Quota::new(7, Duration::from_secs(60)).is_ok());
    /// assert_eq!(Quota::new(0, Duration::from_secs(60)), Err(QuotaError::NoCells));
    /// ```
    pub fn new(cells: u64, period: Duration) -> Result<Self, QuotaError> {
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        match (cells, period_ns) {
            (0, _) => Err(QuotaError::NoCells),
            (_, 0) => Err(QuotaError::NoPeriod),
            _ if cells > CELLS_MAX => Err(QuotaError::TooManyCells { cells }),
            _ if period_ns > PERIOD_NS_MAX => Err(QuotaError::PeriodTooLong { period }),
            _ => Ok(Self { cells, period_ns, burst: cells }),
        }
    }

    /// `cells` a second, and as many at once.
    pub fn per_second(cells: u64) -> Result<Self, QuotaError> {
        Self::new(cells, Duration::from_secs(1))
    }

    /// `cells` a minute, and as many at once.
    pub fn per_minute(cells: u64) -> Result<Self, QuotaError> {
        Self::new(cells, Duration::from_mins(1))
    }

    /// `cells` an hour, and as many at once.
    pub fn per_hour(cells: u64) -> Result<Self, QuotaError> {
        Self::new(cells, Duration::from_hours(1))
    }

    /// The same rate with another burst.
    pub fn with_burst(self, burst: u64) -> Result<Self, QuotaError> {
        match burst {
            0 => Err(QuotaError::NoBurst),
            1..=BURST_MAX => Ok(Self { burst, ..self }),
            _ => Err(QuotaError::BurstTooLarge { burst }),
        }
    }

    /// Cells that each period replenishes.
    pub const fn cells(&self) -> u64 {
        self.cells
    }

    /// The period.
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period_ns)
    }

    /// Cells that a full bucket holds: the largest request that can ever be admitted.
    pub const fn burst(&self) -> u64 {
        self.burst
    }
}

/// A quota in ticks, in words of type `W`.
///
/// Invariant: `elapsed_ns_max * ticks_per_ns + 2 * tolerance` fits in a `W`, and is below its
/// largest value, which is a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale<W> {
    /// `n`: ticks in a nanosecond.
    pub(crate) ticks_per_ns: W,
    /// `p`: ticks between two cells at the quota's rate.
    pub(crate) ticks_per_cell: W,
    /// Ticks that a full bucket holds: `burst * p`.
    pub(crate) tolerance: W,
    /// Cells that a full bucket holds.
    pub(crate) burst: u64,
    /// Nanoseconds after its origin at which the clock counts as standing still.
    pub(crate) elapsed_ns_max: u64,
}

impl Scale<u128> {
    /// The ticks of `quota` in 128 bits, which suffice for every quota and every clock.
    pub(crate) fn wide(quota: &Quota) -> Self {
        let shared = greatest_common_divisor(quota.period_ns, quota.cells);
        let ticks_per_cell = u128::from(quota.period_ns / shared);
        Self {
            ticks_per_ns: u128::from(quota.cells / shared),
            ticks_per_cell,
            tolerance: ticks_per_cell * u128::from(quota.burst),
            burst: quota.burst,
            elapsed_ns_max: u64::MAX,
        }
    }

    /// The same where `base` ticks have been used up before; `None` where the rest would not last
    /// for 36.5 years.
    pub(crate) fn wide_after(quota: &Quota, base: u128) -> Option<Self> {
        let wide = Self::wide(quota);
        let elapsed_ns_max = wide.elapsed_within(u128::MAX - 1, base)?;
        Some(Self { elapsed_ns_max, ..wide })
    }

    /// Nanoseconds until the ticks come to `end`, from `base`, less what buckets reach ahead.
    fn elapsed_within(&self, end: u128, base: u128) -> Option<u64> {
        let room = end.checked_sub(2 * self.tolerance)?.checked_sub(base)?;
        let elapsed = u64::try_from(room / self.ticks_per_ns).unwrap_or(u64::MAX);
        (elapsed >= ELAPSED_NS_MIN).then_some(elapsed)
    }
}

impl Scale<u64> {
    /// The ticks of `quota` in 64 bits; `None` where they would not last for 36.5 years.
    ///
    /// Every rate whose interval is a multiple of 1/15 ns or coarser fits, together with a burst
    /// worth some decades: all the usual ones.
    pub(crate) fn narrow(quota: &Quota) -> Option<Self> {
        Self::narrow_after(quota, 0)
    }

    /// The same where `base` ticks have been used up before.
    pub(crate) fn narrow_after(quota: &Quota, base: u64) -> Option<Self> {
        let wide = Scale::wide(quota);
        // One below the maximum, which is a mark.
        let elapsed_ns_max = wide.elapsed_within(u128::from(u64::MAX - 1), base.into())?;
        Some(Self {
            ticks_per_ns: u64::try_from(wide.ticks_per_ns).ok()?,
            ticks_per_cell: u64::try_from(wide.ticks_per_cell).ok()?,
            tolerance: u64::try_from(wide.tolerance).ok()?,
            burst: wide.burst,
            elapsed_ns_max,
        })
    }
}

/// Euclid's algorithm.
fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
