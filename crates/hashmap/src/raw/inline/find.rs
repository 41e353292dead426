//! Looking a key up, without a lock and without a write.
//!
//! ```text
//!   state  ->  tags  ->  key and value where a tag is equal  ->  annex  ->  state again
//! ```
//!
//! If the state is the same both times (the lock apart), then between the two no slot that held
//! an entry was given to another: each key that was read was in the bin all the time. The value is
//! one word and changes in one store, so whatever was read was its value at that moment.
//!
//! A search is begun again only when a writer has *finished* a removal, an insertion or a move in
//! this very bin meanwhile. A writer that stands still with the lock in its hand stops no reader.

use super::annex::Annex;
use super::bin::{Bin, Slot};
use super::table::Table;
use super::tags::tag_of;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of the bin's own slots.
    Home(usize),
    /// A slot of the annex.
    Annex(usize),
}

/// An entry that was found; whether it is still there is for the state to tell.
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
            let bin = table.bin(hash);
            let state = bin.head.state();
            if state.is_moved() {
                table = table.successor();
                continue;
            }
            let value = table.value_in(bin, hash, key);
            if bin.head.is_still(state) {
                return value;
            }
        }
    }

    /// The value of a key in a bin whose state was just read.
    #[inline(always)]
    fn value_in(&self, bin: Bin<'_>, hash: u64, key: u64) -> Option<u64> {
        for index in bin.head.tags().equal(tag_of(hash)) {
            let slot = &bin.slots[index];
            if slot.has_key(key) {
                return Some(slot.value());
            }
        }
        match bin.head.annex() {
            0 => None,
            word => self.find_in_annex(word, hash, key).map(|found| found.slot.value()),
        }
    }

    /// The table that has the entries of a moved bin.
    #[inline(always)]
    pub(super) fn successor(&self) -> &Self {
        self.next().expect("a bin moves to the next table")
    }

    /// The slot of a key in a bin whose state was just read.
    #[inline(always)]
    pub(super) fn find<'t>(&'t self, bin: Bin<'t>, hash: u64, key: u64) -> Option<Found<'t>> {
        for index in bin.head.tags().equal(tag_of(hash)) {
            let slot = &bin.slots[index];
            if slot.has_key(key) {
                return Some(Found { slot, place: Place::Home(index) });
            }
        }
        match bin.head.annex() {
            0 => None,
            word => self.find_in_annex(word, hash, key),
        }
    }

    #[cold]
    fn find_in_annex(&self, word: u64, hash: u64, key: u64) -> Option<Found<'_>> {
        let found = |slot: &'_ Slot, index| slot.has_key(key).then_some(Place::Annex(index));
        match self.annex(word) {
            Annex::None => None,
            Annex::Pool(annex) => {
                let slots = self.pool.slots(annex.class, annex.unit);
                annex.candidates(hash).find_map(|index| {
                    let slot = slots.get(index)?;
                    found(slot, index).map(|place| Found { slot, place })
                })
            }
            Annex::Block(block) => block
                .find(key)
                .map(|index| Found { slot: block.slot(index), place: Place::Annex(index) }),
        }
    }
}
