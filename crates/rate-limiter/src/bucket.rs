//! A bucket in one atomic word: the algorithm of `gcra` in a compare-and-swap loop.
//!
//! All that a bucket is fits in one word, so that a check is one load and, when it admits, one
//! compare-and-swap; a denial writes nothing. A lost race means that another thread's request was
//! admitted in between: the system made progress, and the loop tries again on the new word. That
//! makes checks lock-free and linearizable: an admission takes effect at its successful exchange, a
//! denial at its last load.
//!
//! # Orderings
//!
//! Everything is `Relaxed`. The word publishes no other memory, and a single word has one
//! modification order on which all threads agree; nothing else is promised to the caller.

use crate::gcra::{Step, Word, step};
use crate::quota::Scale;
use crate::sync::{AtomicU64, AtomicU128, Ordering};

/// A word that threads may change at once.
pub(crate) trait AtomicWord: Send + Sync {
    /// What it holds.
    type Word: Word;

    fn new(value: Self::Word) -> Self;
    fn load(&self, order: Ordering) -> Self::Word;
    fn store(&self, value: Self::Word, order: Ordering);

    /// Replaces `current` by `new`, or returns what it found instead. A success has `order`, a
    /// failure `Relaxed`.
    fn exchange(
        &self,
        current: Self::Word,
        new: Self::Word,
        order: Ordering,
    ) -> Result<(), Self::Word>;
}

macro_rules! atomic_word {
    ($atomic:ty, $word:ty) => {
        impl AtomicWord for $atomic {
            type Word = $word;

            fn new(value: $word) -> Self {
                <$atomic>::new(value)
            }

            #[inline(always)]
            fn load(&self, order: Ordering) -> $word {
                self.load(order)
            }

            #[inline(always)]
            fn store(&self, value: $word, order: Ordering) {
                self.store(value, order);
            }

            #[inline(always)]
            fn exchange(&self, current: $word, new: $word, order: Ordering) -> Result<(), $word> {
                self.compare_exchange(current, new, order, Ordering::Relaxed).map(drop)
            }
        }
    };
}

atomic_word!(AtomicU64, u64);
atomic_word!(AtomicU128, u128);

/// Takes as many whole cells as the bucket holds at tick `now`, at least `min` and at most `max`.
///
/// Returns how many; where there are fewer than `min`, the tick from which there are as many.
/// The caller has compared `min` with the burst; it is not zero.
pub(crate) fn take_between<A: AtomicWord>(
    scale: &Scale<A::Word>,
    tat: &A,
    now: A::Word,
    min: u64,
    max: u64,
) -> Result<u64, A::Word> {
    // Relaxed, here and below: see the header.
    let mut seen = tat.load(Ordering::Relaxed);
    loop {
        let cells = scale.remaining(seen, now).min(max);
        if cells < min {
            let Step::Deny(ready) = step(scale, seen, now, scale.cost(min)) else {
                unreachable!("fewer than {min} cells remain, yet as many conform")
            };
            return Err(ready);
        }
        match tat.exchange(seen, seen.max(now) + scale.cost(cells), Ordering::Relaxed) {
            Ok(()) => return Ok(cells),
            Err(found) => seen = found,
        }
    }
}
