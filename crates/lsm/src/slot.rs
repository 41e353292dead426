//! A place for an `Arc` that readers use without counting.
//!
//! Every read of the store needs the present state, and every block that it looks at. To clone an
//! `Arc` for that writes to a counter that all processors fight for. Here a reader pins the epoch,
//! which writes to memory of its own alone, and borrows what is in the slot for as long as it is
//! pinned. What is taken out of a slot is dropped once nobody can be borrowing it any more (Fraser,
//! "Practical lock-freedom", section 5.2.3).
#![expect(unsafe_code, reason = "a slot owns one strong count of the `Arc` it holds, by pointer")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crossbeam_epoch::{self as epoch, Guard};

/// A place for an `Arc<T>`, or for none.
pub(crate) struct Slot<T: Send + Sync + 'static> {
    /// Null, or a pointer of `Arc::into_raw` whose count belongs to the slot.
    pointer: AtomicPtr<T>,
    owns: PhantomData<Arc<T>>,
}

impl<T: Send + Sync + 'static> Slot<T> {
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        let pointer = value.map_or(ptr::null_mut(), |it| Arc::into_raw(it).cast_mut());
        Self { pointer: AtomicPtr::new(pointer), owns: PhantomData }
    }

    /// What is in the slot, for as long as the guard pins the epoch, whatever becomes of the slot.
    #[inline]
    pub(crate) fn load<'g>(&self, _guard: &'g Guard) -> Option<&'g T> {
        // Acquire: pairs with the release that put the value in; it is seen whole.
        let pointer = self.pointer.load(Ordering::Acquire);
        // SAFETY: a pointer that was loaded while pinned is of an `Arc` whose count is given up
        // only after this guard is gone: `take_out` defers that.
        unsafe { pointer.as_ref() }
    }

    /// Whether there is nothing in it now.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // Relaxed: nothing is reached through it.
        self.pointer.load(Ordering::Relaxed).is_null()
    }

    /// A count of one's own of what is in the slot.
    pub(crate) fn share(&self, guard: &Guard) -> Option<Arc<T>> {
        let pointer: *const T = self.load(guard)?;
        // SAFETY: the pointer is of `Arc::into_raw`, and the slot's count is held while pinned.
        unsafe { Arc::increment_strong_count(pointer) };
        // SAFETY: the count that was just added is handed over.
        Some(unsafe { Arc::from_raw(pointer) })
    }

    /// Puts another value in; the old one goes when no reader borrows it any more.
    pub(crate) fn replace<'g>(&self, value: Option<Arc<T>>, guard: &'g Guard) -> Option<&'g T> {
        let new = value.map_or(ptr::null_mut(), |it| Arc::into_raw(it).cast_mut());
        // Release: readers see the value whole. Acquire: so do we, who drop the old one.
        let old = self.pointer.swap(new, Ordering::AcqRel);
        Self::take_out(old, guard)
    }

    /// Puts a value into an empty slot; where somebody was faster, theirs stays. Returns what is in
    /// the slot now, and whether it is the new value.
    pub(crate) fn fill<'g>(&self, value: Arc<T>, _guard: &'g Guard) -> (&'g T, bool) {
        let new = Arc::into_raw(value).cast_mut();
        let empty = ptr::null_mut();
        // Release, Acquire: as in `replace`, for the winner and the loser.
        let outcome =
            self.pointer.compare_exchange(empty, new, Ordering::AcqRel, Ordering::Acquire);
        let inside = match outcome {
            Ok(_) => new,
            Err(other) => {
                // SAFETY: nobody else has seen the pointer; its count is still ours.
                drop(unsafe { Arc::from_raw(new) });
                other
            }
        };
        // SAFETY: as in `load`: it was in the slot while pinned.
        (unsafe { &*inside }, outcome.is_ok())
    }

    fn take_out(old: *mut T, guard: &Guard) -> Option<&T> {
        if old.is_null() {
            return None;
        }
        let count = Count(old);
        // SAFETY: the pointer has left the slot, so no later guard can load it; the count is given
        // up once, after every present guard. `T: Send + 'static` lets any thread do so.
        unsafe { guard.defer_unchecked(move || count.give_up()) };
        // SAFETY: the deferred drop waits for this guard too.
        Some(unsafe { &*old })
    }
}

/// A count of an `Arc` on its way to be given up.
struct Count<T>(*mut T);

impl<T> Count<T> {
    fn give_up(self) {
        // SAFETY: `take_out` made this from a pointer of `Arc::into_raw` and runs it once.
        drop(unsafe { Arc::from_raw(self.0.cast_const()) });
    }
}

/// What was borrowed from a slot may outlive it, so that its end is one more replacement.
impl<T: Send + Sync + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        let pointer = *self.pointer.get_mut();
        Self::take_out(pointer, &epoch::pin());
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

#[cfg(test)]
mod tests;
