//! Insertion: a new key takes a slot, a known one replaces its entry.
#![expect(unsafe_code, reason = "an entry changes hands through a raw pointer")]

use super::entry::{Entry, Owned};
use super::find::{Free, Site};
use super::resize::grow;
use super::word::Word;
use super::{LOAD, Raw};
use crate::pin::Pin;
use crate::raw::hook::{Bug, Point, planted, reach};

/// The entry that a key has, and the one that was not put in its place.
pub(crate) type Occupied<'g, K, V> = (&'g Entry<K, V>, Owned<K, V>);

impl<K: Eq, V> Raw<K, V> {
    /// Puts the entry in, and returns the one that it replaces.
    #[inline]
    pub(crate) fn insert<'g>(&self, fresh: Owned<K, V>, pin: &'g Pin) -> Option<&'g Entry<K, V>> {
        let hash = fresh.hash;
        loop {
            match self.locate(hash, |key| *key == fresh.key, pin) {
                Site::Taken(taken) => {
                    if taken.seen.exchange(fresh.word(taken.table)) {
                        fresh.publish();
                        retire(taken.seen.word, pin);
                        self.help(pin);
                        return Some(taken.entry);
                    }
                }
                Site::Free(free) => {
                    if self.fill(&free, fresh.word(free.table), pin) {
                        fresh.publish();
                        return None;
                    }
                }
            }
        }
    }

    /// Puts the entry in if its key is new, and returns it; else returns the one that is there, and
    /// gives the new one back.
    pub(crate) fn try_insert<'g>(
        &self,
        fresh: Owned<K, V>,
        pin: &'g Pin,
    ) -> Result<&'g Entry<K, V>, Occupied<'g, K, V>> {
        let hash = fresh.hash;
        loop {
            match self.locate(hash, |key| *key == fresh.key, pin) {
                Site::Taken(taken) => return Err((taken.entry, fresh)),
                Site::Free(free) => {
                    if self.fill(&free, fresh.word(free.table), pin) {
                        return Ok(published(fresh, pin));
                    }
                }
            }
        }
    }
}

impl<K, V> Raw<K, V> {
    /// Tries to put a new key where the search for it ended.
    #[inline]
    pub(super) fn fill(&self, free: &Free<'_>, word: Word, pin: &Pin) -> bool {
        let Some(vacancy) = &free.vacancy else {
            self.make_room(free);
            return false;
        };
        if !free.bin.insert(vacancy, free.header, word) {
            return false;
        }
        self.count.add(1);
        self.help(pin);
        true
    }

    /// Sees to it that the bin has a slot that may be taken.
    #[cold]
    fn make_room(&self, free: &Free<'_>) {
        if free.is_held_up {
            free.bin.release_last(free.header);
            return;
        }
        let (_, is_new) = free.table.extend(free.end);
        if is_new && self.count.sum() > free.table.len() * LOAD {
            grow(free.table);
        }
    }
}

/// Gives up the entry of a word that was just unlinked.
#[inline]
pub(super) fn retire(word: Word, pin: &Pin) {
    reach(Point::Unlinked);
    if planted(Bug::FreesEarly) {
        pin.free_at_once(word.entry());
        return;
    }
    // SAFETY: the exchange that unlinked it succeeded for one thread, this one; a pin of this map
    // disposes of its entries.
    unsafe { pin.retire(word.entry()) };
}

/// The entry that was just put into the map.
#[inline]
pub(super) fn published<K, V>(fresh: Owned<K, V>, _pin: &Pin) -> &Entry<K, V> {
    // SAFETY: the map has it, and while we are pinned nobody frees it.
    unsafe { fresh.publish().as_ref() }
}
