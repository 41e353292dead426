//! Locks and threads, or the schedule explorer's, and the places where it may change threads.
//!
//! Built with `--cfg shuttle`, the locks of commits and version swaps are those of `harness::sync`,
//! and at each [`point`] another thread may go on: before and after a reader loads the state of a
//! family or the number of the last write, and before and after these change. Locks of single
//! structures stay as they are, because nobody stops while holding one.

#[cfg(shuttle)]
mod under_shuttle;

use std::time::Duration;

#[cfg(not(shuttle))]
use env::clock::{Clock, MonotonicClock};

#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(shuttle))]
pub(crate) use std::thread;

#[cfg(shuttle)]
pub(crate) use harness::sync::thread;

#[cfg(shuttle)]
pub(crate) use self::under_shuttle::{Condvar, Mutex, MutexGuard, RwLock};

/// Lets time go by that is too short to sleep. The processor is kept: on a busy machine it would
/// come back only after milliseconds.
pub(crate) fn linger(delay: Duration) {
    #[cfg(not(shuttle))]
    {
        let clock = MonotonicClock::new();
        let start = clock.now();
        while clock.now().saturating_since(start) < delay {
            std::hint::spin_loop();
        }
    }
    // No explorer knows time.
    #[cfg(shuttle)]
    {
        _ = delay;
        point();
    }
}

/// Gives the processor up for a while.
pub(crate) fn nap(delay: Duration) {
    #[cfg(not(shuttle))]
    MonotonicClock::new().sleep(delay);
    // No explorer knows time.
    #[cfg(shuttle)]
    {
        _ = delay;
        point();
    }
}

/// Here the explorer may let another thread go on. Nothing in a plain build.
#[inline]
pub(crate) fn point() {
    #[cfg(shuttle)]
    thread::yield_now();
}
