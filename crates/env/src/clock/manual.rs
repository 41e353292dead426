//! A clock that stands still until it is told otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Clock, Timestamp};

/// A clock for tests: it shows what it was last set to, backward jumps included.
///
/// ```
/// use env::clock::{Clock, ManualClock, Timestamp};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp::ZERO);
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now().as_nanos(), 1_000_000_000);
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self { nanos: AtomicU64::new(now.as_nanos()) }
    }

    /// Moves the clock forward. Saturates at [`Timestamp::MAX`].
    pub fn advance(&self, duration: Duration) {
        // Relaxed: the clock orders nothing; a test that needs order has it from its own joins.
        self.nanos
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |nanos| {
                Some((Timestamp::from_nanos(nanos) + duration).as_nanos())
            })
            .expect("the closure never gives up");
    }

    /// Sets the clock, also to an earlier moment.
    pub fn set(&self, now: Timestamp) {
        // Relaxed: as in `advance`.
        self.nanos.store(now.as_nanos(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    #[inline]
    fn now(&self) -> Timestamp {
        // Relaxed: as in `advance`.
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}
