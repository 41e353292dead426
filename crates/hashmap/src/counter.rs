//! A count that many threads change without meeting.
//!
//! ```text
//!   thread 0 -> | stripe 0 |   thread 1 -> | stripe 1 |   ...   (128 bytes apart)
//!   sum = stripe 0 + stripe 1 + ...
//! ```
//!
//! Each thread adds to the stripe of its own number, so that an addition is one atomic instruction
//! on a cache line that nobody else wants. The price is the sum, which reads them all.
//!
//! # What this module does not do
//!
//! A sum taken while others add is no snapshot: it lies between the least and the greatest value
//! that the count had meanwhile, give or take one addition per thread.

use std::cell::Cell;
// Not `crate::sync`: a count is no part of a protocol to explore.
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::thread;

/// A stripe alone on its line, and on the neighbour that the processor fetches with it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicIsize);

/// The count.
#[derive(Debug)]
pub(crate) struct Counter {
    /// Invariant: a power of two of them.
    stripes: Box<[Stripe]>,
}

impl Counter {
    /// Zero, with a stripe for each processor.
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let stripes = processors.next_power_of_two();
        Self { stripes: (0..stripes).map(|_| Stripe::default()).collect() }
    }

    /// Adds `change` and returns what the calling thread's stripe held before.
    #[inline(always)]
    pub(crate) fn add(&self, change: isize) -> isize {
        let stripe = &self.stripes[thread_number() & (self.stripes.len() - 1)];
        // Relaxed: a count publishes nothing.
        stripe.0.fetch_add(change, Ordering::Relaxed)
    }

    /// The count.
    pub(crate) fn sum(&self) -> usize {
        // Relaxed: see the header; there is no snapshot to be had.
        let sum: isize = self.stripes.iter().map(|it| it.0.load(Ordering::Relaxed)).sum();
        // A removal may be counted before the insertion that it undoes.
        sum.try_into().unwrap_or(0)
    }
}

/// A small number of the calling thread: 0 for the first that asks, 1 for the next, and so on.
#[inline(always)]
fn thread_number() -> usize {
    /// Not yet asked for.
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(NONE) };
    }
    NUMBER.with(|number| {
        if number.get() == NONE {
            // Relaxed: only that no two threads get one number matters.
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}
