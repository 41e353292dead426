//! A count that many threads change and few read.
//!
//! # How
//!
//! Each thread has a *seat*, a small number that no other living thread has. A counter has a stripe
//! for each of the first seats, on a cache line of its own. The owner of a stripe is the only one
//! that writes it, so that it needs no atomic read-modify-write: it loads, adds and stores. Threads
//! without a stripe of their own share the last one and pay for an atomic addition.
//!
//! ```text
//!   seat:      0      1      2    ...   n-1    n, n+1, ...
//!           | +7  | |  -3 | | +12 | ... |  0 |  |  +2  |       sum: O(stripes)
//!            own     own     own         own     shared
//! ```
//!
//! A seat is free again when its thread has ended *and* the last handle that holds it is gone; the
//! list of free seats is behind a lock, which orders the writes of one owner before those of the
//! next.
//!
//! # What this module does not do
//!
//! The sum is not a snapshot. Where counting goes on meanwhile it is the sum of values that each
//! stripe had at some moment; one thread's increment may be seen and another's earlier decrement
//! missed. Alone it is exact.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use crate::sync::{AtomicU64, Ordering};

/// Bounds of the number of stripes with an owner: four for each processor.
const STRIPES_MIN: usize = 4;
const STRIPES_MAX: usize = 64;

/// A count in stripes.
#[derive(Debug)]
pub(crate) struct Counter {
    /// The last one is shared by all seats that have none of their own.
    stripes: Box<[Stripe]>,
}

/// Two lines, since processors fetch lines in pairs. The word is a signed number.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(AtomicU64);

/// Seats that have been given back, and the first that was never taken.
#[derive(Debug)]
struct Seats {
    free: BinaryHeap<Reverse<usize>>,
    next: usize,
}

static SEATS: Mutex<Seats> = Mutex::new(Seats { free: BinaryHeap::new(), next: 0 });

/// What a thread counts on. Neither `Send` nor `Sync`: it is the thread's own.
#[derive(Debug)]
pub(crate) struct Seat {
    number: usize,
    /// Operations since the thread began, for chores that are done now and then.
    ticks: Cell<u32>,
}

thread_local! {
    static SEAT: Rc<Seat> = Rc::new(Seat::take());
}

impl Seat {
    /// The seat of this thread.
    #[inline]
    pub(crate) fn current() -> Rc<Self> {
        // A thread whose locals are gone (a destructor is running) gets a seat for the moment.
        SEAT.try_with(Rc::clone).unwrap_or_else(|_| Rc::new(Self::take()))
    }

    fn take() -> Self {
        let mut seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
        let number = seats.free.pop().map_or_else(
            || {
                seats.next += 1;
                seats.next - 1
            },
            |Reverse(number)| number,
        );
        Self { number, ticks: Cell::new(0) }
    }

    /// Counts an operation of this thread; true for one in `period`, a power of two.
    #[inline(always)]
    pub(crate) fn tick(&self, period: u32) -> bool {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        ticks & (period - 1) == 0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        SEATS.lock().unwrap_or_else(PoisonError::into_inner).free.push(Reverse(self.number));
    }
}

impl Counter {
    /// Zero.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let owned = (4 * processors).clamp(STRIPES_MIN, STRIPES_MAX);
        Self { stripes: (0..=owned).map(|_| Stripe(AtomicU64::new(0))).collect() }
    }

    /// Adds `change`, as the owner of `seat`, and returns what the stripe held before.
    #[inline(always)]
    pub(crate) fn add_at(&self, seat: &Seat, change: isize) -> i64 {
        let shared = self.stripes.len() - 1;
        // Explorers run all their threads on one of the system's, so that a seat has no owner.
        if seat.number < shared && !cfg!(any(loom, shuttle)) {
            let stripe = &self.stripes[seat.number].0;
            // Relaxed: nobody else writes this stripe, and a count publishes nothing.
            let count = stripe.load(Ordering::Relaxed);
            stripe.store(count.wrapping_add_signed(change as i64), Ordering::Relaxed);
            count.cast_signed()
        } else {
            let stripe = &self.stripes[shared].0;
            // Relaxed: a count publishes nothing.
            let count = stripe.fetch_add((change as i64).cast_unsigned(), Ordering::Relaxed);
            count.cast_signed()
        }
    }

    /// As [`add_at`](Self::add_at) the seat of this thread.
    #[inline(always)]
    pub(crate) fn add(&self, change: isize) -> i64 {
        let added = SEAT.try_with(|seat| self.add_at(seat, change));
        added.unwrap_or_else(|_| self.add_at(&Seat::current(), change))
    }

    /// The sum of all stripes, at least zero.
    pub(crate) fn sum(&self) -> usize {
        // Relaxed: see the module's header.
        let sum = self
            .stripes
            .iter()
            .fold(0_u64, |sum, stripe| sum.wrapping_add(stripe.0.load(Ordering::Relaxed)));
        usize::try_from(sum.cast_signed()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
