//! Looking a key up, without a lock and without a write.
//!
//! ```text
//!   header  ->  slots of the line  ->  annex, where a tag is equal  ->  header again
//! ```
//!
//! If the header is the same both times (the lock apart), then between the two no slot that held
//! an entry was given to another: each key that was read was in the bin all the time. The value is
//! one word and changes in one store, so whatever was read was its value at that moment.
//!
//! A search is begun again only when a writer has *finished* a removal, an insertion or a move in
//! this very bin meanwhile. A writer that stands still with the lock in its hand stops no reader.

use super::annex::Annex;
use super::header::Header;
use super::line::{HOME, Line, Slot};
use super::table::Table;
use crate::sync::Ordering;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A slot of the line.
    Home(usize),
    /// A slot of the annex.
    Annex(usize),
}

/// An entry that was found; whether it is still there is for the header to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t> {
    pub(super) slot: &'t Slot,
    pub(super) place: Place,
}

impl Table {
    /// The value of a key.
    #[inline(always)]
    pub(super) fn get(&self, hash: u64, key: u64) -> Option<u64> {
        let mut table = self;
        loop {
            let line = table.line(hash);
            let header = line.header();
            if header.is_moved() {
                table = table.successor();
                continue;
            }
            let found = table.find(line, header, hash, key);
            // Acquire: pairs with the Release in `edit`; who sees a value sees what its writer
            // did before.
            let value = found.map(|found| found.slot.value.load(Ordering::Acquire));
            if line.is_still(header) {
                return value;
            }
        }
    }

    /// The table that has the entries of a moved bin.
    #[inline(always)]
    pub(super) fn successor(&self) -> &Self {
        self.next().expect("a bin moves to the next table")
    }

    /// The slot of a key in a bin whose header was just read.
    #[inline(always)]
    pub(super) fn find<'t>(
        &'t self,
        line: &'t Line,
        header: Header,
        hash: u64,
        key: u64,
    ) -> Option<Found<'t>> {
        let mut equal = 0;
        for index in 0..HOME {
            // Relaxed: behind the header, and `is_still` or the lock judges.
            let same = line.slots[index].key.load(Ordering::Relaxed) == key;
            equal |= u64::from(same) << index;
        }
        let equal = equal & header.home();
        if equal != 0 {
            let index = equal.trailing_zeros() as usize;
            return Some(Found { slot: &line.slots[index], place: Place::Home(index) });
        }
        match line.annex() {
            0 => None,
            word => self.find_in_annex(word, hash, key),
        }
    }

    fn find_in_annex(&self, word: u64, hash: u64, key: u64) -> Option<Found<'_>> {
        // Relaxed: as in `find`.
        let is_key = |slot: &&Slot| slot.key.load(Ordering::Relaxed) == key;
        match self.annex(word) {
            Annex::None => None,
            Annex::Pool(annex) => {
                let slots = self.pool.slots(annex.class, annex.unit);
                annex.candidates(hash).find_map(|index| {
                    let slot = slots.get(index).filter(is_key)?;
                    Some(Found { slot, place: Place::Annex(index) })
                })
            }
            Annex::Block(block) => block.occupied().find_map(|index| {
                let slot = Some(&block.slots[index]).filter(is_key)?;
                Some(Found { slot, place: Place::Annex(index) })
            }),
        }
    }
}
