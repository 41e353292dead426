//! A lock of one word that neither allocates nor needs a destructor, and that a child of `fork` can
//! open although its parent closed it.
//!
//! ```text
//!   0 open --lock--> 1 closed --lock by another--> 2 closed, and somebody sleeps
//!     ^                                                     |
//!     '------------------------- unlock <-------------------'  (wakes one)
//! ```
//!
//! # What this module does not do
//!
//! It is not fair, and knows no poison: nothing that is done under a lock of this crate panics.

#![expect(unsafe_code, reason = "a lock hands out its contents, and waits in the kernel")]

use std::cell::UnsafeCell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

const OPEN: u32 = 0;
const CLOSED: u32 = 1;
const AWAITED: u32 = 2;

/// How often a closed lock is looked at before the thread goes to sleep.
const SPINS: u32 = 100;

/// A value behind a lock.
pub(crate) struct Locked<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: `with` hands the value to one thread at a time.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}

impl<T> Locked<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { word: AtomicU32::new(OPEN), value: UnsafeCell::new(value) }
    }

    /// Runs `act` with the value. `act` must not come back here.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        self.close();
        // SAFETY: the lock is closed by this thread, so that nobody else has a reference.
        let result = act(unsafe { &mut *self.value.get() });
        self.open();
        result
    }

    /// Runs `act` with the value, unless somebody holds the lock.
    #[cfg(feature = "secure")]
    pub(crate) fn try_with<R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        // Acquire: as in `close`.
        self.word.compare_exchange(OPEN, CLOSED, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: as in `with`.
        let result = act(unsafe { &mut *self.value.get() });
        self.open();
        Some(result)
    }

    /// Closes the lock and leaves it so: before a `fork`, so that the child finds the value whole.
    pub(crate) fn close(&self) {
        // Acquire: pairs with the Release in `open`; we see what the last holder wrote.
        if self.word.compare_exchange(OPEN, CLOSED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
    }

    /// Opens a lock that this thread closed, or, in the child of a `fork`, its parent.
    pub(crate) fn open(&self) {
        // Release: whoever closes the lock next sees what was written under it.
        if self.word.swap(OPEN, Ordering::Release) == AWAITED {
            futex(&self.word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
        }
    }

    /// An explorer must not be kept from running the holder.
    #[cold]
    #[cfg(any(loom, shuttle))]
    fn wait(&self) {
        // Acquire: as in `close`.
        while self.word.swap(CLOSED, Ordering::Acquire) != OPEN {
            crate::sync::yield_now();
        }
    }

    #[cold]
    #[cfg(not(any(loom, shuttle)))]
    fn wait(&self) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            let open = self.word.load(Ordering::Relaxed) == OPEN; // Relaxed: only a hint.
            // Acquire: as in `close`.
            if open
                && self
                    .word
                    .compare_exchange(OPEN, CLOSED, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
        }
        // Acquire: as in `close`. From here on the lock is closed as awaited, since others may
        // sleep.
        while self.word.swap(AWAITED, Ordering::Acquire) != OPEN {
            futex(&self.word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, AWAITED);
        }
    }
}

fn futex(word: &AtomicU32, operation: i32, value: u32) {
    let errno = Errno::save();
    // SAFETY: the word lives as long as the call; a wait without a time limit takes a null pointer.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, std::ptr::null::<u8>());
    }
    errno.restore();
}

/// The error number of the calling thread, which an allocator must not disturb.
#[derive(Debug)]
pub(crate) struct Errno(i32);

impl Errno {
    pub(crate) fn save() -> Self {
        // SAFETY: always sound.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: it is the place of this thread's own number.
        Self(unsafe { *place })
    }

    pub(crate) fn restore(self) {
        // SAFETY: always sound.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: as in `save`.
        unsafe { *place = self.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::Locked;

    #[test]
    fn one_thread_at_a_time() {
        let counter = Locked::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.with(|count| *count += 1)));
            }
        });
        assert_eq!(counter.with(|count| *count), 40_000);
    }
}
