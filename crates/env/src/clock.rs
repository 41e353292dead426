//! Clocks: who may say what time it is.
//!
//! A [`Clock`] counts nanoseconds since an origin of its own and never promises to be monotonic:
//! whoever stores a timestamp must stay correct when a later reading is smaller. A [`WallClock`]
//! says the date and is used for nothing but showing it and for expiry that must outlive the
//! process.
//!
//! | clock              | reads                         | cost of a reading      | for                  |
//! |--------------------|-------------------------------|------------------------|----------------------|
//! | [`FastClock`]      | the counter if it is sound    | about 10 ns            | hot paths            |
//! | [`TscClock`]       | processor's time stamp counter| about 10 ns            | where it must be it  |
//! | [`MonotonicClock`] | `CLOCK_MONOTONIC`             | about 23 ns            | everything else      |
//! | [`ManualClock`]    | a number that the test sets   | a load                 | tests                |
//! | [`SystemWallClock`]| `CLOCK_REALTIME`              | about 23 ns            | dates                |

mod manual;
mod monotonic;
mod tsc;

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

pub use manual::ManualClock;
pub use monotonic::{MonotonicClock, SystemWallClock};
pub use tsc::{FastClock, TscClock, TscUnusable};

/// A moment: nanoseconds since the origin of the clock that it was read from.
///
/// Two timestamps compare only when they come from the same clock. The range is 584 years; the
/// arithmetic saturates instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);
    /// The last moment that can be named.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::ZERO`].
    fn sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// The present moment. May be smaller than an earlier reading.
    fn now(&self) -> Timestamp;

    /// Returns once `duration` has passed on this clock. A [`ManualClock`] lets it pass at once.
    fn sleep(&self, duration: Duration);
}

/// Tells the date.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// Time since 1970-01-01T00:00:00Z; zero where the machine believes in an earlier date.
    fn unix_time(&self) -> Duration;
}

macro_rules! clock_through_pointer {
    ($($pointer:ty),*) => {$(
        impl<C: Clock + ?Sized> Clock for $pointer {
            #[inline]
            fn now(&self) -> Timestamp {
                (**self).now()
            }

            fn sleep(&self, duration: Duration) {
                (**self).sleep(duration);
            }
        }
    )*};
}

clock_through_pointer!(&C, Arc<C>);

#[cfg(test)]
mod tests;
