//! Planted bugs: places in the code where a test can make it wrong, to see that the oracle notices.
//!
//! Outside of tests nothing of it is compiled: [`is`] is then the constant `false`.

/// What can be made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A slab has a block more than fits.
    SlabTooLong,
    /// Slices that were used are said to be zero.
    DirtyIsZero,
    /// Changing a size loses the end of the contents.
    LosesTheEnd,
    /// A thread that ends keeps the blocks that it freed for others.
    ForgetsParcels,
    /// A thread that ends keeps the blocks of others that it was about to use again.
    KeepsGuests,
    /// A span grows into slices that are used.
    GrowsOver,
    /// A round of the purge forgets what it purged.
    ForgetsPurged,
    /// A full slab that is taken over from an orphan is thought to be on a list.
    ForgetsFull,
    /// A heap of one's own takes slabs over from orphans, with the blocks of others in them.
    DestroysStrangers,
    /// A block that comes back to a full slab is not noticed.
    StaysFull,
    /// Parcels of slabs that were taken over meanwhile are not passed on.
    KeepsStrangers,
    /// An orphan is looked at, and not claimed.
    ClaimsNothing,
    /// An orphan is handed back before the slab is taken over from it.
    HandsBackEarly,
    /// Whether the slab still belongs to the orphan is not looked at once it is claimed.
    AdoptsBlindly,
    /// A slab that is taken over stays on the list of the orphan.
    StaysOnList,
}

/// Whether the code is to be wrong here.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn is(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use of_tests::{is, with};

#[cfg(test)]
mod of_tests {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether the code is to be wrong here.
    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Runs `act` on this thread with a bug.
    pub(crate) fn with<R>(bug: Bug, act: impl FnOnce() -> R) -> R {
        PLANTED.set(Some(bug));
        let result = act();
        PLANTED.set(None);
        result
    }
}
