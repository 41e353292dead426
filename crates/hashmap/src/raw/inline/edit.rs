//! Changing a bin: the one protocol under insert, remove, update and their kin.
//!
//! ```text
//!   1  state, not LOCKED, not MOVED       (else wait, or go to the next table)
//!   2  find the key
//!   3  CAS header -> state | LOCKED       (fails if anything was added, removed or moved since 1:
//!                                           so what 2 found is still so)
//!   4  write
//!   5  store state, without LOCKED
//! ```
//!
//! One atomic read-modify-write and some plain stores. Each change becomes visible to readers, who
//! do not heed the lock, by one store:
//!
//! | change                    | that store                | the version                       |
//! |---------------------------|---------------------------|-----------------------------------|
//! | a value                   | the value                 | stays: no reader need search anew |
//! | an entry in or out        | the tag, or the annex's   | grows: others must search anew    |
//! | a larger annex            | the annex's word          | grows                             |
//!
//! A slot is filled only while it holds no entry, and it is free to be filled again only after the
//! version has grown. The lock is held for some ten nanoseconds and over no call of foreign code:
//! no hasher, no closure, no allocation.
//!
//! # What this module does not do
//!
//! It is not lock-free: a writer that the system suspends between 3 and 5 holds up the writers of
//! *its bin* (one in hundreds of thousands), until it runs again. Readers and the writers of other
//! bins go on. With a compare-and-swap of 16 bytes a writer could do without the lock; each write
//! would then need two of them, one for the entry and one for the state.

use super::annex::{Annex, POOL_CLASS_MAX, Pooled};
use super::bin::{Bin, Slot};
use super::block::Block;
use super::find::{Found, Place};
use super::reclaim::retire_block;
use super::state::State;
use super::table::Table;
use crate::raw::hook::{Bug, planted};
use crate::sync::{Backoff, Ordering};

/// What to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Nothing.
    Keep,
    /// Give it this value, whether or not it has one.
    Set(u64),
    /// Remove it, if it is there.
    Remove,
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edited {
    /// The value before.
    pub(super) former: Option<u64>,
    /// Entries more, or less, than before.
    pub(super) change: isize,
    /// The bin needed a larger annex: time to see whether the table is full.
    pub(super) crowded: bool,
}

/// Where a new entry of a bin can go.
enum Room<'t> {
    Annex(Pooled, usize),
    Block(&'t Block, usize),
    Larger(Larger<'t>),
}

/// A larger annex, still without the entries of the one before.
struct Larger<'t> {
    former: Annex<'t>,
    new: NewAnnex,
}

enum NewAnnex {
    Pool(Pooled),
    Block(Block),
}

impl Table {
    /// Does with a key what `decide` says to its value, as one atomic step. It is asked before the
    /// lock is taken, and again where the value has changed since.
    #[inline(always)]
    pub(super) fn edit(
        &self,
        hash: u64,
        key: u64,
        mut decide: impl FnMut(Option<u64>) -> Edit,
    ) -> Edited {
        let mut table = self;
        let mut backoff = Backoff::default();
        loop {
            let bin = table.bin(hash);
            bin.head.prefetch_to_write();
            let state = bin.head.state();
            if state.is_moved() {
                table = table.successor();
                continue;
            }
            let edited = match table.find(bin, hash, key) {
                Some(found) => table.edit_found(bin, state, hash, found, &mut decide),
                None => table.edit_missing(bin, state, hash, key, &mut decide),
            };
            match edited {
                Some(edited) => return edited,
                None if state.is_locked() => backoff.wait(),
                None => {}
            }
        }
    }

    /// The key was found; `None` where the bin has changed since, or is locked.
    #[inline(always)]
    fn edit_found(
        &self,
        bin: Bin<'_>,
        state: State,
        hash: u64,
        found: Found<'_>,
        mut decide: impl FnMut(Option<u64>) -> Edit,
    ) -> Option<Edited> {
        let seen = found.slot.value();
        let unchanged = Edited { former: Some(seen), change: 0, crowded: false };
        let edit = decide(Some(seen));
        if edit == Edit::Keep {
            return bin.head.is_still(state).then_some(unchanged);
        }
        if state.is_locked() || !bin.head.try_lock(state) {
            return None;
        }
        if found.slot.value() != seen && !planted(Bug::OverwritesBlindly) {
            bin.head.publish(state);
            return None;
        }
        if let Edit::Set(value) = edit {
            found.slot.set_value(value);
            bin.head.publish(state);
            return Some(unchanged);
        }
        self.vacate(bin, state, hash, found.place);
        Some(Edited { change: -1, ..unchanged })
    }

    /// The key was not found; `None` where the bin has changed since, or is locked.
    #[inline(always)]
    fn edit_missing(
        &self,
        bin: Bin<'_>,
        state: State,
        hash: u64,
        key: u64,
        mut decide: impl FnMut(Option<u64>) -> Edit,
    ) -> Option<Edited> {
        let edited = Edited { former: None, change: 0, crowded: false };
        let Edit::Set(value) = decide(None) else {
            return bin.head.is_still(state).then_some(edited);
        };
        if state.is_locked() {
            return None;
        }
        let Some(slot) = bin.head.tags().free_slot() else {
            return self.add_to_annex(bin, state, hash, key, value);
        };
        if !bin.head.try_lock(state) {
            return None;
        }
        if planted(Bug::TagsEarly) {
            bin.head.set_tag(slot, hash);
        }
        bin.slots[slot].fill(key, value);
        bin.head.set_tag(slot, hash);
        bin.head.publish(state.changed());
        Some(Edited { change: 1, ..edited })
    }

    /// Takes an entry out of a bin whose lock the caller holds, and gives up the lock.
    #[inline(always)]
    fn vacate(&self, bin: Bin<'_>, state: State, hash: u64, place: Place) {
        match place {
            Place::Home(slot) => {
                bin.head.clear_tag(slot);
                bin.head.publish(after_removal(state));
            }
            Place::Annex(slot) => self.vacate_annex(bin, state, hash, slot),
        }
    }

    fn vacate_annex(&self, bin: Bin<'_>, state: State, hash: u64, slot: usize) {
        let word = bin.head.annex();
        match self.annex(word) {
            Annex::None => unreachable!("the entry was found in the annex"),
            Annex::Pool(annex) => {
                let rest = annex.without(slot);
                let emptied = rest.tags == 0;
                bin.head.set_annex(if emptied { 0 } else { rest.word() });
                bin.head.publish(after_removal(state));
                if emptied {
                    self.pool.give_back(annex.class, annex.unit, hash);
                }
            }
            Annex::Block(block) => {
                block.vacate(slot);
                let emptied = block.len() == 0;
                if emptied {
                    bin.head.set_annex(0);
                }
                bin.head.publish(after_removal(state));
                if emptied {
                    retire_block(word);
                }
            }
        }
    }

    /// Adds an entry to a bin whose own slots are taken.
    #[cold]
    fn add_to_annex(
        &self,
        bin: Bin<'_>,
        state: State,
        hash: u64,
        key: u64,
        value: u64,
    ) -> Option<Edited> {
        let word = bin.head.annex();
        let room = self.room_in_annex(word, hash, key);
        if !bin.head.try_lock(state) {
            self.cancel(&room, hash);
            return None;
        }
        debug_assert_eq!(word, bin.head.annex(), "the annex changes with the version only");
        let crowded = matches!(room, Room::Larger(_));
        self.settle(bin, room, hash, key, value);
        bin.head.publish(state.changed());
        if crowded {
            self.give_back(word, hash);
        }
        Some(Edited { former: None, change: 1, crowded })
    }

    /// Adds an entry to a bin that nobody else can reach yet.
    pub(super) fn settle_alone(&self, bin: Bin<'_>, hash: u64, key: u64, value: u64) {
        if let Some(slot) = bin.head.tags().free_slot() {
            bin.slots[slot].fill(key, value);
            bin.head.set_tag(slot, hash);
            return;
        }
        let word = bin.head.annex();
        let room = self.room_in_annex(word, hash, key);
        let replaces = matches!(room, Room::Larger(_));
        self.settle(bin, room, hash, key, value);
        if replaces {
            self.give_back(word, hash);
        }
    }

    /// Finds room in the annex, or makes a larger one. A guess, until the lock has been taken.
    fn room_in_annex(&self, word: u64, hash: u64, key: u64) -> Room<'_> {
        let former = self.annex(word);
        let new = match former {
            Annex::None => self.larger_annex(1, 1, hash),
            Annex::Pool(annex) => match annex.free_slot() {
                Some(slot) => return Room::Annex(annex, slot),
                None => self.larger_annex(annex.class + 1, annex.capacity() + 1, hash),
            },
            Annex::Block(block) => match block.free_slot(key) {
                Some(slot) => return Room::Block(block, slot),
                None => NewAnnex::Block(Block::new(block.len() + 1)),
            },
        };
        Room::Larger(Larger { former, new })
    }

    /// An annex of the pool, or a block where the pool has none.
    fn larger_annex(&self, class: u32, entries: usize, hash: u64) -> NewAnnex {
        let unit = (class <= POOL_CLASS_MAX).then(|| self.pool.take(class, hash)).flatten();
        if let Some(unit) = unit {
            return NewAnnex::Pool(Pooled::new(class, unit));
        }
        // Relaxed: read when nobody else has the table.
        self.crowded.fetch_add(1, Ordering::Relaxed);
        NewAnnex::Block(Block::new(entries))
    }

    /// Returns a larger annex that is not needed.
    fn cancel(&self, room: &Room<'_>, hash: u64) {
        if let Room::Larger(Larger { new: NewAnnex::Pool(annex), .. }) = room {
            self.pool.give_back(annex.class, annex.unit, hash);
        }
    }

    /// Returns an annex that was replaced, after the version has grown.
    fn give_back(&self, word: u64, hash: u64) {
        match self.annex(word) {
            Annex::None => {}
            Annex::Pool(annex) => self.pool.give_back(annex.class, annex.unit, hash),
            Annex::Block(_) => retire_block(word),
        }
    }

    /// Writes an entry to where there is room, as the lock's owner.
    fn settle(&self, bin: Bin<'_>, room: Room<'_>, hash: u64, key: u64, value: u64) {
        match room {
            Room::Annex(annex, slot) => {
                self.pool.slots(annex.class, annex.unit)[slot].fill(key, value);
                bin.head.set_annex(annex.with(slot, hash).word());
            }
            Room::Block(block, slot) => {
                block.fill(slot, key, value);
            }
            Room::Larger(larger) => {
                let word = self.enlarge(larger, hash, key, value);
                bin.head.set_annex(word);
            }
        }
    }

    /// Fills a larger annex with the entries of the one before and one more; its word.
    fn enlarge(&self, larger: Larger<'_>, hash: u64, key: u64, value: u64) -> u64 {
        let Larger { former, new } = larger;
        match new {
            NewAnnex::Pool(annex) => {
                let slots = self.pool.slots(annex.class, annex.unit);
                let (tags, count) = match former {
                    Annex::Pool(former) => (former.tags, former.capacity()),
                    _ => (0, 0),
                };
                if let Annex::Pool(former) = former {
                    let old = self.pool.slots(former.class, former.unit);
                    old.iter().zip(slots).for_each(|(old, new)| copy(old, new));
                }
                slots[count].fill(key, value);
                Pooled { tags, ..annex }.with(count, hash).word()
            }
            NewAnnex::Block(block) => {
                let add = |(key, value)| {
                    let slot = block.free_slot(key).expect("it was made for so many entries");
                    block.fill(slot, key, value);
                };
                match former {
                    Annex::None => {}
                    Annex::Pool(annex) => {
                        let slots = self.pool.slots(annex.class, annex.unit);
                        annex.occupied().for_each(|slot| add(slots[slot].entry()));
                    }
                    Annex::Block(old) => {
                        old.occupied().for_each(|slot| add(old.slot(slot).entry()));
                    }
                }
                add((key, value));
                block.into_word()
            }
        }
    }
}

/// The state of a bin that an entry was taken out of: others must search anew, since its slot will
/// be filled again.
#[inline(always)]
fn after_removal(state: State) -> State {
    if planted(Bug::KeepsVersion) { state } else { state.changed() }
}

/// Copies an entry, as the lock's owner.
fn copy(old: &Slot, new: &Slot) {
    let (key, value) = old.entry();
    new.fill(key, value);
}

#[cfg(test)]
mod tests;
