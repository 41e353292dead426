//! Atomics that count what is written through them, in the tests' own build.
//!
//! A line that one core writes is taken from all others that hold it. So what an operation costs
//! the *other* threads is the lines that it writes, and that is a number: it can be counted where
//! there are no cores to show it by. Counted are the atomics of this crate; not the pin of the
//! epoch, which is a line of the thread's own and is taken once for many operations.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{self, Ordering};

/// Bytes of a cache line.
const LINE: usize = 64;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writes {
    /// Stores.
    pub(crate) stores: usize,
    /// Atomic read-modify-writes, also those that failed.
    pub(crate) exchanges: usize,
    lines: BTreeSet<usize>,
}

impl Writes {
    /// Cache lines that were written.
    pub(crate) fn lines(&self) -> usize {
        self.lines.len()
    }
}

thread_local! {
    static WRITES: RefCell<Option<Writes>> = const { RefCell::new(None) };
}

/// What the calling thread writes while it does `work`.
pub(crate) fn writes_of<R>(work: impl FnOnce() -> R) -> Writes {
    WRITES.set(Some(Writes::default()));
    std::hint::black_box(work());
    WRITES.take().expect("set above, and taken by nobody else")
}

fn count<T>(atomic: &T, add: impl FnOnce(&mut Writes)) {
    // Failure: the thread is ending, and nobody counts.
    let _ = WRITES.try_with(|writes| {
        if let Some(writes) = &mut *writes.borrow_mut() {
            writes.lines.insert(std::ptr::from_ref(atomic).addr() / LINE);
            add(writes);
        }
    });
}

macro_rules! counted {
    ($name:ident $(<$of:ident>)?, $value:ty, [$($exchange:ident)*]) => {
        #[repr(transparent)]
        pub(crate) struct $name $(<$of>)? (atomic::$name $(<$of>)?);

        impl $(<$of>)? std::fmt::Debug for $name $(<$of>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl $(<$of>)? Default for $name $(<$of>)? {
            fn default() -> Self {
                Self(atomic::$name::default())
            }
        }

        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, ordering: Ordering) -> $value {
                self.0.load(ordering)
            }

            pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                count(self, |writes| writes.stores += 1);
                self.0.store(value, ordering);
            }

            $(pub(crate) fn $exchange(&self, value: $value, ordering: Ordering) -> $value {
                count(self, |writes| writes.exchanges += 1);
                self.0.$exchange(value, ordering)
            })*
        }
    };
}

/// The exchange of what is expected, for those that need it.
macro_rules! compared {
    ($name:ident $(<$of:ident>)?, $value:ty) => {
        impl $(<$of>)? $name $(<$of>)? {
            pub(crate) fn compare_exchange(
                &self,
                expected: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                count(self, |writes| writes.exchanges += 1);
                self.0.compare_exchange(expected, new, success, failure)
            }
        }
    };
}

counted!(AtomicU64, u64, [swap fetch_add fetch_or]);
counted!(AtomicUsize, usize, [fetch_add fetch_sub fetch_max]);
counted!(AtomicPtr<T>, *mut T, [swap]);
compared!(AtomicU64, u64);
compared!(AtomicPtr<T>, *mut T);

impl<T> AtomicPtr<T> {
    /// Not counted: who has it alone has not published it.
    pub(crate) fn get_mut(&mut self) -> &mut *mut T {
        self.0.get_mut()
    }
}
