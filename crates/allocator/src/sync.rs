//! What threads meet by, or the schedule explorer's versions of it.
//!
//! Built with `--cfg loom` or `--cfg shuttle`, heaps run on `harness::sync` where they meet: at the
//! word by which blocks and heaps change hands ([`handover`](crate::handover)). All else that one
//! thread reads of another goes by a look at that word before or after it, or is under a lock,
//! which then lets the explorer run others instead of waiting in the kernel. What an explorer
//! cannot see into, constants and raw memory, is not compiled: threads have no heaps of their own
//! there, and a test hands them out.

#[cfg(not(any(loom, shuttle)))]
mod world {
    pub(crate) use std::sync::atomic::{AtomicPtr, Ordering};
    pub(crate) use std::thread::yield_now;

    /// See [`Sole`](crate::sync::Sole).
    #[derive(Debug)]
    pub(crate) struct Sole;

    impl Sole {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[inline(always)]
        #[expect(clippy::unused_self, reason = "there is nothing to it here")]
        pub(crate) const fn visit(&self) {}
    }
}

#[cfg(shuttle)]
mod world {
    pub(crate) use harness::sync::atomic::{AtomicPtr, Ordering};
    pub(crate) use harness::sync::thread::yield_now;

    use harness::sync::atomic::AtomicBool;

    /// See [`Sole`](crate::sync::Sole).
    #[derive(Debug)]
    pub(crate) struct Sole(AtomicBool);

    impl Sole {
        pub(crate) fn new() -> Self {
            Self(AtomicBool::new(false))
        }

        pub(crate) fn visit(&self) {
            assert!(!self.0.swap(true, Ordering::SeqCst), "two owners at once");
            self.0.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(loom)]
mod world {
    pub(crate) use harness::sync::atomic::{AtomicPtr, Ordering};
    pub(crate) use harness::sync::thread::yield_now;

    use harness::sync::cell::UnsafeCell;

    /// See [`Sole`](crate::sync::Sole).
    #[derive(Debug)]
    pub(crate) struct Sole(UnsafeCell<()>);

    #[expect(unsafe_code, reason = "loom watches the cell")]
    // SAFETY: there is nothing in it.
    unsafe impl Sync for Sole {}

    impl Sole {
        pub(crate) fn new() -> Self {
            Self(UnsafeCell::new(()))
        }

        pub(crate) fn visit(&self) {
            // Loom sees to it that whoever was here before happened before.
            self.0.with_mut(|_| ());
        }
    }
}

pub(crate) use world::{AtomicPtr, Ordering, yield_now};

/// A place that is for one thread at a time: where an explorer notices that two are there, or that
/// one does not know what the other did. In a plain build it is nothing.
pub(crate) use world::Sole;
