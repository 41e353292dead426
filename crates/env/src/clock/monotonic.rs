//! The clocks of the operating system.
#![expect(clippy::disallowed_methods, reason = "the one place that may read the system's clocks")]

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Clock, Timestamp, WallClock};

/// `CLOCK_MONOTONIC`, counted from the creation of this value.
///
/// Copies share their origin, so that timestamps of one clock can be compared across threads.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
}

impl MonotonicClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed();
        // Seconds times 10^9 stays below 2^64 for 584 years after the origin.
        Timestamp::from_nanos(elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos()))
    }

    fn sleep(&self, duration: Duration) {
        // The one place where a thread sleeps: all others ask a clock to, so that a test's clock
        // can stand in for it.
        thread::sleep(duration);
    }
}

/// `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
    }
}
