//! The protocol of one bin: place, commit, promote, freeze.
//!
//! These functions know words and headers, not keys, so that the explorers can drive them bare. The
//! argument for them is in the header of `boxed`; the step numbers here are those there.

use super::table::{Bin, ROW, Row, Table};
use super::word::{Header, PLACES_MAX, Word};
use crate::raw::hook::{Bug, Point, planted, reach};
use crate::sync::{AtomicPtr, Ordering};

/// A slot and its content as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) slot: &'a AtomicPtr<()>,
    pub(super) word: Word,
    /// Number of the slot along the chain.
    pub(super) place: usize,
}

impl Seen<'_> {
    /// Replaces the content if it is still the one that was seen.
    ///
    /// This is the linearisation point of replace and remove.
    #[inline(always)]
    pub(super) fn exchange(&self, new: Word) -> bool {
        // Release: who sees the new entry sees what is in it. Acquire: what we base the next step
        // on (a header not older than the word) is read after it.
        self.slot
            .compare_exchange(self.word.raw(), new.raw(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[inline(always)]
pub(super) fn load(slot: &AtomicPtr<()>) -> Word {
    // Acquire: pairs with the Release of whoever put the entry there; we see what is in it.
    Word::from_raw(slot.load(Ordering::Acquire))
}

impl Bin {
    #[inline(always)]
    pub(super) fn header(&self) -> Header {
        // Acquire: pairs with the Release in `step_header`. Behind a commit we see every commit
        // before it promoted; behind *moved* we see the next table filled.
        Header::from_raw(self.header.load(Ordering::Acquire))
    }

    #[inline(always)]
    fn step_header(&self, seen: Header, new: Header) -> bool {
        // Release: publishes what we did before: offered, promoted, filled. Acquire: the next step
        // reads slots behind it.
        self.header
            .compare_exchange(seen.raw(), new.raw(), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Calls `visit` for each slot of the chain in order of places, until it breaks.
    #[inline(always)]
    pub(super) fn walk<'a, B>(
        &'a self,
        table: &'a Table,
        mut visit: impl FnMut(Seen<'a>) -> Option<B>,
    ) -> Result<B, &'a Row> {
        let mut row = &self.row;
        let mut place = 0;
        loop {
            for (index, slot) in row.slots.iter().enumerate() {
                let seen = Seen { slot, word: load(slot), place: place + index };
                if let Some(found) = visit(seen) {
                    return Ok(found);
                }
            }
            match table.after(row) {
                Some(next) => row = next,
                None => return Err(row),
            }
            place += ROW;
        }
    }

    /// Step 1: makes the newest commit visible, if its thread has not yet done so and this is its
    /// slot. Returns the slot as it then is.
    ///
    /// This is the linearisation point of an insertion.
    #[inline(always)]
    pub(super) fn promoted<'a>(&self, seen: Seen<'a>, header: Header) -> Seen<'a> {
        if seen.word.is_offered() && header.last() == Some(seen.place) {
            self.promote(&seen, header);
            return Seen { word: load(seen.slot), ..seen };
        }
        seen
    }

    #[cold]
    fn promote(&self, seen: &Seen<'_>, header: Header) {
        if planted(Bug::SkipsPromotion) {
            return;
        }
        // The slot may have been vacated and offered anew since `header` was read. If the header
        // still names it, it was not: a slot that the header names is not offered to anyone.
        if self.header().version() == header.version() {
            // Failure: another thread has promoted it.
            seen.exchange(seen.word.as_live());
        }
    }

    fn slot_at<'a>(&'a self, table: &'a Table, place: usize) -> Option<&'a AtomicPtr<()>> {
        let mut row = &self.row;
        for _ in 0..place / ROW {
            row = table.after(row)?;
        }
        row.slots.get(place % ROW)
    }

    /// Whether an insertion that has read `header` may take this slot.
    #[inline(always)]
    pub(super) fn is_free(seen: &Seen<'_>, header: Header) -> bool {
        assert!(seen.place < PLACES_MAX, "the hashes of {} keys are alike", seen.place);
        let is_named = header.last() == Some(seen.place) && !planted(Bug::OffersNamedSlot);
        seen.word.is_vacant_at(header) && !is_named
    }

    /// Steps 2 to 4: offers `entry` in the slot, commits, promotes. False, and nothing done, where
    /// another commit came between; `entry` is then the caller's again.
    #[inline(always)]
    pub(super) fn insert(&self, vacancy: &Seen<'_>, header: Header, entry: Word) -> bool {
        let offered = entry.as_offered();
        if vacancy.place >= ROW {
            // Before the entry can be live: who reads the link without the mark does so before
            // that.
            self.row.announce(entry.probe());
        }
        if !vacancy.exchange(offered) {
            return false;
        }
        reach(Point::Offered);
        if planted(Bug::CommitsBlindly) {
            (Seen { word: offered, ..*vacancy }).exchange(entry);
            return true;
        }
        if !self.step_header(header, header.after_commit(Some(vacancy.place))) {
            // Release: nothing is published, but the vacancy must not appear before the failed
            // commit. Nobody else changes an offer that was not committed, so a store will do.
            vacancy.slot.store(vacancy.word.raw(), Ordering::Release);
            return false;
        }
        reach(Point::Committed);
        let seen = Seen { word: offered, ..*vacancy };
        // Failure: another thread has promoted it.
        seen.exchange(entry);
        true
    }

    /// Lets the slot that the header names be offered again.
    #[cold]
    pub(super) fn release_last(&self, header: Header) {
        // Failure: another commit has done so.
        self.step_header(header, header.after_commit(None));
    }

    /// Ends all change of this bin in this table: no commit follows, and no entry is replaced or
    /// removed. Returns the header.
    pub(super) fn freeze(&self, table: &Table) -> Header {
        let mut header = self.header();
        while !header.is_frozen() {
            if self.step_header(header, header.as_frozen()) {
                header = header.as_frozen();
            } else {
                header = self.header();
            }
        }
        if !header.is_moved() {
            reach(Point::HeaderFrozen);
            if let Some(place) = header.last()
                && let Some(slot) = self.slot_at(table, place)
            {
                self.promoted(Seen { slot, word: load(slot), place }, header);
            }
            // No slot becomes live from here on. One that is not can be passed by.
            let end = self.walk(table, |seen| {
                freeze_slot(seen);
                None::<()>
            });
            debug_assert!(end.is_err(), "the walk visits the whole chain");
        }
        header
    }

    /// Says that the entries are in the next table. True for the one call that made it so.
    pub(super) fn finish(&self) -> bool {
        let header = self.header();
        debug_assert!(header.is_frozen(), "only a frozen bin moves");
        !header.is_moved() && self.step_header(header, header.as_moved())
    }
}

fn freeze_slot(seen: Seen<'_>) {
    let Seen { slot, mut word, place } = seen;
    if planted(Bug::SkipsFreeze) {
        return;
    }
    while word.is_live() && !word.is_frozen() {
        if (Seen { slot, word, place }).exchange(word.as_frozen()) {
            reach(Point::SlotFrozen);
            return;
        }
        word = load(slot);
    }
}
