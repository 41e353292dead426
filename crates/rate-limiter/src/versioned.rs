//! Words that change together while others read them: a sequence lock.
//!
//! A version stands before the words, and is odd while a change writes them. Who reads looks at it
//! before and after, and knows by it that all that was read belongs together; it writes nothing
//! that another reader reads:
//!
//! ```text
//!   read:    version -> words, and what else is looked at -> version   even and the same: valid
//!   change:  version + 1 -> words -> version + 2                       one at a time
//! ```
//!
//! # Orderings
//!
//! The words are stored with `Release` and loaded with `Acquire`, so that who saw one of a change
//! sees the odd version before it. Likewise what else a change writes, such as a bucket that is
//! carried over. On x86-64 these are plain loads and stores.
//!
//! # What this module does not do
//!
//! It is not lock-free for readers that meet a change: they wait out some dozen stores.

use std::fmt;

use crate::sync::{AtomicU64, Ordering, hint};

/// What is kept in words that change together.
pub(crate) trait Together: Copy {
    /// The words.
    type Words: Send + Sync;

    /// The words for it, which nobody else sees yet.
    fn keep(self) -> Self::Words;

    /// Loads every word with `Acquire`; `version` is theirs.
    fn acquire(words: &Self::Words, version: u64) -> Self;

    /// Stores every word with `Release`.
    fn release(self, words: &Self::Words);
}

/// Words and their version, on cache lines of their own, which only a change writes.
#[repr(align(64))]
pub(crate) struct Versioned<T: Together> {
    /// Odd while a change writes.
    version: AtomicU64,
    words: T::Words,
}

impl<T: Together> Versioned<T> {
    /// Begins with `first`, as version zero.
    pub(crate) fn new(first: T) -> Self {
        Self { version: AtomicU64::new(0), words: first.keep() }
    }

    /// What `look` sees, and the words that were in force when it did.
    ///
    /// `look` loads with `Acquire` whatever a change writes.
    #[inline(always)]
    pub(crate) fn read<R>(&self, look: impl Fn() -> R) -> (T, R) {
        loop {
            // Acquire: who sees the version sees the words of it.
            let version = self.version.load(Ordering::Acquire);
            let words = T::acquire(&self.words, version);
            let seen = look();
            // Relaxed: all loads between acquire, so that this one comes after them.
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return (words, seen);
            }
            hint::spin_loop();
        }
    }

    /// Puts into force what `next` makes of the words, if anything. Readers wait meanwhile.
    ///
    /// The caller sees to it that changes come one at a time. `next` does not panic.
    pub(crate) fn change(&self, next: impl FnOnce(T) -> Option<T>) {
        // Relaxed: nobody else writes it.
        let version = self.version.load(Ordering::Relaxed);
        // Relaxed: the stores after it release it.
        self.version.store(version + 1, Ordering::Relaxed);
        if let Some(next) = next(T::acquire(&self.words, version)) {
            next.release(&self.words);
        }
        // Release: see the header.
        self.version.store(version + 2, Ordering::Release);
    }
}

impl<T: Together + fmt::Debug> fmt::Debug for Versioned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read(|| ()).0, f)
    }
}
