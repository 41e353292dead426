//! The pin that keeps what a thread reads alive, and the bag of what it has unlinked.
//!
//! A pin is a guard of crossbeam's default collector: while it is held, nothing that was reachable
//! since it was taken is freed. What an operation unlinks goes into the pin's own bag; a full bag
//! is handed to the collector as one piece, so that its cost is shared by [`BAG`] entries.
//!
//! ```text
//!   unlink -> bag of this pin -> (full, or the pin ends) -> collector -> freed two epochs later
//!             \_____________________ the map's ledger counts ________________________/
//! ```
//!
//! # What this module does not do
//!
//! It cannot free what a stalled thread holds back: while one pin is held, nothing that was
//! unlinked after it is freed, in any structure of the process that uses the default collector. It
//! counts it, and [`Pin::admit`] says when there is too much of it.
#![expect(unsafe_code, reason = "freeing is deferred; that it is late enough is argued here")]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_epoch::{self as epoch, Guard};

use crate::ledger::Ledger;

/// Entries of a full bag. The collector pays some 300 ns for whatever it is handed, two kilobytes
/// of its own included; a bag of 120 makes that 3 ns for an entry, and is still a small allocation.
const BAG: usize = 120;

/// Bytes unlinked and not freed beyond which every full bag makes the collector work harder.
pub(crate) const GARBAGE_GOAL: usize = 1 << 20;

/// Renewals of a pin between two of its rounds of collection.
const RENEWALS: u32 = 8;

/// Rounds of collection that are then made.
const HARDER: usize = 4;

/// Rounds of collection that free nothing of the map before a thread is not admitted. What was
/// unlinked is due after three; but each frees a few bags, and those of others may come first.
const ADMISSION_ROUNDS: usize = 64;

/// How entries of one map are freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disposal {
    /// Frees one.
    ///
    /// # Safety
    ///
    /// The address is that of an entry of this map, which nobody will use again.
    pub(crate) free: unsafe fn(*mut ()),
    /// Bytes of one.
    pub(crate) size: usize,
    pub(crate) ledger: &'static Ledger,
}

/// Keeps what was read alive until it ends.
pub(crate) struct Pin {
    guard: Guard,
    disposal: Disposal,
    bag: [Cell<MaybeUninit<*mut ()>>; BAG],
    /// Invariant: so many of `bag`, from the front, are set.
    count: Cell<usize>,
    renewals: Cell<u32>,
}

impl Pin {
    #[inline]
    pub(crate) fn new(disposal: Disposal) -> Self {
        Self {
            guard: epoch::pin(),
            disposal,
            bag: [const { Cell::new(MaybeUninit::uninit()) }; BAG],
            count: Cell::new(0),
            renewals: Cell::new(0),
        }
    }

    /// Frees an entry when no pin can reach it any more.
    ///
    /// # Safety
    ///
    /// It is an entry of the map that `disposal` is of, it was unlinked, and it is retired once.
    #[inline]
    pub(crate) unsafe fn retire(&self, entry: *mut ()) {
        let count = self.count.get();
        self.bag[count].set(MaybeUninit::new(entry));
        self.count.set(count + 1);
        if count + 1 == BAG {
            self.hand_over();
        }
    }

    /// Frees an entry although others may look at it: a mistake, to be planted.
    #[cfg(test)]
    pub(crate) fn free_at_once(&self, entry: *mut ()) {
        // SAFETY: it was unlinked and comes here once. That is not enough, as the tests notice:
        // they look at the words of entries whose memory the pool keeps.
        unsafe { (self.disposal.free)(entry) };
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the tests' version needs it")]
    pub(crate) fn free_at_once(&self, _entry: *mut ()) {
        unreachable!("nothing is planted outside tests");
    }

    /// Frees what is not an entry, and perhaps large, when no pin can reach it any more.
    /// `free_part` frees a part and says whether there is more: that waits for a later round, so
    /// that nobody has to free it all at once.
    pub(crate) fn retire_large(
        &self,
        bytes: usize,
        free_part: impl FnMut() -> bool + Send + 'static,
    ) {
        let ledger = self.disposal.ledger;
        ledger.add(bytes);
        defer_parts(&self.guard, Box::new(free_part), ledger, bytes);
    }

    /// Hands the bag to the collector, and lets it free what is due.
    #[cold]
    fn hand_over(&self) {
        let Disposal { free, size, ledger } = self.disposal;
        let count = self.count.replace(0);
        let bag: Box<[*mut ()]> = self.bag[..count]
            .iter()
            // SAFETY: the first `count` are set.
            .map(|it| unsafe { it.get().assume_init() })
            .collect();
        ledger.add(count * size);
        // SAFETY: the entries were unlinked before this pin ends, so a pin taken later cannot reach
        // them; the closure owns what it frees and may run on any thread, since keys and values are
        // `Send` and `'static` (demanded where a map is made).
        unsafe { self.guard.defer_unchecked(move || dispose(&bag, free, size, ledger)) };
        let is_much = ledger.bytes() > GARBAGE_GOAL;
        flush(&self.guard, if is_much { 1 + HARDER } else { 1 });
    }

    /// Lets go of everything read so far and pins anew.
    #[inline]
    pub(crate) fn renew(&mut self) {
        self.guard.repin();
        let renewals = self.renewals.get().wrapping_add(1);
        self.renewals.set(renewals);
        // A thread that unlinks nothing lets the collector work now and then as well: a map that
        // only grows has old tables to free.
        if renewals.is_multiple_of(RENEWALS) && self.disposal.ledger.bytes() > 0 {
            flush(&self.guard, 1);
        }
    }

    /// Bytes that the map has unlinked and not freed: those handed over, and those in this bag.
    pub(crate) fn garbage(&self) -> usize {
        self.disposal.ledger.bytes() + self.count.get() * self.disposal.size
    }

    /// Whether [`garbage`](Self::garbage) is at most `max`. If it is more, the collector works for
    /// it first, for which the pin is renewed.
    #[inline]
    pub(crate) fn admit(&mut self, max: usize) -> bool {
        self.garbage() <= max || self.collect_down_to(max)
    }

    #[cold]
    fn collect_down_to(&mut self, max: usize) -> bool {
        let (mut least, mut rounds) = (usize::MAX, 0);
        while rounds < ADMISSION_ROUNDS {
            self.flush();
            self.guard.repin();
            let garbage = self.garbage();
            if garbage <= max {
                return true;
            }
            rounds = if garbage < least { 0 } else { rounds + 1 };
            least = least.min(garbage);
        }
        false
    }

    /// Hands over what was unlinked and lets the collector free what is due.
    pub(crate) fn flush(&self) {
        if self.count.get() > 0 {
            self.hand_over();
        } else {
            flush(&self.guard, 1);
        }
    }
}

thread_local! {
    /// Whether this thread is having the collector work.
    static IS_FLUSHING: Cell<bool> = const { Cell::new(false) };
}

/// Has the collector work for so many rounds, unless it is working for this thread already: what it
/// frees, a table or a value whose destructor writes to a map, may come back here, and each round
/// would stand on the stack of the one before.
pub(crate) fn flush(guard: &Guard, rounds: usize) {
    /// Says that the work is over, though a destructor may have panicked.
    struct Flushing;
    impl Drop for Flushing {
        fn drop(&mut self) {
            // Failure: the thread is ending; nobody will ask.
            let _ = IS_FLUSHING.try_with(|it| it.set(false));
        }
    }
    // Failure: the thread is ending, and hands over what it has.
    let is_first = IS_FLUSHING.try_with(|it| !it.replace(true)).unwrap_or(false);
    if is_first {
        let _flushing = Flushing;
        (0..rounds).for_each(|_| guard.flush());
    }
}

/// Frees a part when the time has come, and defers the rest.
fn defer_parts(
    guard: &Guard,
    mut free_part: Box<dyn FnMut() -> bool + Send>,
    ledger: &'static Ledger,
    bytes: usize,
) {
    guard.defer(move || {
        if free_part() {
            defer_parts(&epoch::pin(), free_part, ledger, bytes);
        } else {
            ledger.settle(bytes);
        }
    });
    flush(guard, 1);
}

/// Frees the entries of a bag. Each is freed even if the destructor of another panics; the panic
/// has been reported by the hook and ends here, since whoever pins next is not to blame.
fn dispose(bag: &[*mut ()], free: unsafe fn(*mut ()), size: usize, ledger: &Ledger) {
    for &entry in bag {
        // SAFETY: the entry was retired once, and the collector calls us when nobody can reach it.
        let freed = catch_unwind(AssertUnwindSafe(|| unsafe { free(entry) }));
        drop(freed);
        ledger.settle(size);
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        match self.count.get() {
            0 => {}
            1 => self.hand_over_one(),
            _ => self.hand_over(),
        }
    }
}

impl Pin {
    /// As `hand_over`, without a bag: the common end of a pin that was taken for one operation.
    fn hand_over_one(&self) {
        let Disposal { free, size, ledger } = self.disposal;
        // SAFETY: the first is set.
        let entry = unsafe { self.bag[0].get().assume_init() };
        self.count.set(0);
        ledger.add(size);
        // SAFETY: as in `hand_over`.
        unsafe { self.guard.defer_unchecked(move || dispose(&[entry], free, size, ledger)) };
    }
}

/// Lets the collector free what is due: one round.
pub(crate) fn collect() {
    flush(&epoch::pin(), 1);
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pin").field("unlinked", &self.count).finish_non_exhaustive()
    }
}
