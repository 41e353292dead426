//! Places where a test may interfere. In any other build they compile to nothing.
//!
//! A *point* is a moment between two steps of the protocol: a test suspends a thread there and
//! requires the others to go on. A *bug* is a step done wrong: a test plants it and requires that
//! somebody notices. A *stride* is how much of a resize one operation does. All belong to the
//! calling thread, so that tests do not meet.
//!
//! # What this module does not do
//!
//! It adds no atomic and no branch to a build without `cfg(test)`.

/// A moment of the boxed kernel at which a thread may stop for ever, and the others must not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::raw) enum Point {
    /// An entry was offered and is not committed.
    Offered,
    /// It is committed and not promoted.
    Committed,
    /// An entry was replaced or removed and is not retired.
    Unlinked,
    /// A row got a spill that is not on the table's list.
    Extended,
    /// A table got a next one.
    Resized,
    /// A header is frozen, and no slot yet.
    HeaderFrozen,
    /// A slot is frozen, and others perhaps not.
    SlotFrozen,
    /// A place in the next table was filled, and others perhaps not.
    Filled,
    /// A bin is marked as moved, and its unit not counted.
    Finished,
    /// The last unit is counted, and the root not moved on.
    Counted,
    /// The root has moved on, and the old table is not retired.
    TableUnlinked,
}

/// A step done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The newest commit is not promoted before the search.
    SkipsPromotion,
    /// A commit succeeds whatever the header is.
    CommitsBlindly,
    /// A slot that the header names is offered again.
    OffersNamedSlot,
    /// An entry comes to a spill, and the bin does not tell.
    HidesSpills,
    /// A removal leaves a slot that looks never used.
    ForgetsStamp,
    /// Slots are not frozen before they are copied.
    SkipsFreeze,
    /// The last place of a bin is not copied.
    SkipsCopy,
    /// A bin is marked as moved before it is.
    FinishesEarly,
    /// A search does not follow a bin that has moved.
    IgnoresMoved,
    /// An entry is freed while others may look at it.
    FreesEarly,
    /// Inline: a slot is given away and the version stays.
    KeepsVersion,
    /// Inline: a search does not look at the version again.
    TrustsFirstRead,
    /// Inline: a tag is set before its slot is filled.
    TagsEarly,
    /// Inline: a tag is set by a store that orders nothing.
    TagsRelaxed,
    /// Inline: a lock is taken without the fence behind it.
    LocksWithoutFence,
    /// Inline: a value is changed without looking whether it is still the one that was seen.
    OverwritesBlindly,
    /// Inline: the entries of an annex are not copied.
    ForgetsAnnex,
    /// Inline: bins are moved without their locks.
    MovesUnlocked,
    /// Inline: a bin is said to have moved before its entries have.
    MovesEarly,
}

#[cfg(not(test))]
#[inline(always)]
pub(in crate::raw) fn reach(_point: Point) {}

#[cfg(not(test))]
#[inline(always)]
pub(in crate::raw) fn planted(_bug: Bug) -> bool {
    false
}

/// What one operation moves of a table that is being resized, in units of its kernel, where `usual`
/// is what it moves in any other build.
#[cfg(not(test))]
#[inline(always)]
pub(in crate::raw) fn stride(usual: usize) -> usize {
    usual
}

#[cfg(test)]
pub(crate) use interfere::{plant, with_stride};
#[cfg(test)]
#[cfg_attr(any(loom, shuttle), expect(unused_imports, reason = "as at `suspend_at`"))]
pub(in crate::raw) use interfere::{planted, reach, stride, suspend_at};

/// Strides under which a map must be right: a unit, several, and all of a table at once.
#[cfg(test)]
pub(crate) const STRIDES: [usize; 3] = [1, 32, usize::MAX];

#[cfg(test)]
mod interfere {
    use std::cell::{Cell, RefCell};

    use super::{Bug, Point};

    /// What a thread does at a point: once, when it has passed it so many times.
    struct Suspension {
        point: Point,
        passes_left: u32,
        action: Box<dyn FnOnce()>,
    }

    thread_local! {
        static SUSPENSION: RefCell<Option<Suspension>> = const { RefCell::new(None) };
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
        static STRIDE: Cell<Option<usize>> = const { Cell::new(None) };
    }

    pub(in crate::raw) fn stride(usual: usize) -> usize {
        STRIDE.get().unwrap_or(usual)
    }

    /// Runs `test`, in which an operation of the calling thread moves so much.
    pub(crate) fn with_stride<R>(stride: usize, test: impl FnOnce() -> R) -> R {
        /// Makes it the usual one again, though the test may panic.
        struct Usual;
        impl Drop for Usual {
            fn drop(&mut self) {
                STRIDE.set(None);
            }
        }
        let _usual = Usual;
        STRIDE.set(Some(stride));
        test()
    }

    pub(in crate::raw) fn reach(point: Point) {
        let due = SUSPENSION.with_borrow_mut(|suspension| {
            let planned = suspension.as_mut().filter(|it| it.point == point)?;
            if planned.passes_left > 0 {
                planned.passes_left -= 1;
                return None;
            }
            suspension.take()
        });
        if let Some(due) = due {
            (due.action)();
        }
    }

    pub(in crate::raw) fn planted(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }

    #[cfg_attr(any(loom, shuttle), expect(dead_code, reason = "explorers suspend by themselves"))]
    /// The calling thread does `action` when it has passed `point` `passes` times and comes again.
    pub(in crate::raw) fn suspend_at(point: Point, passes: u32, action: impl FnOnce() + 'static) {
        let suspension = Suspension { point, passes_left: passes, action: Box::new(action) };
        SUSPENSION.set(Some(suspension));
    }

    /// The calling thread makes this mistake from now on.
    pub(crate) fn plant(bug: Option<Bug>) {
        BUG.set(bug);
    }
}
