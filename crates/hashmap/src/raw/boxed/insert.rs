//! Insertion: a new key takes a slot, a known one replaces its entry.
#![expect(unsafe_code, reason = "an entry changes hands through a raw pointer")]

use std::mem::ManuallyDrop;

use super::entry::Entry;
use super::find::{Free, Site};
use super::word::Word;
use super::{LOAD, Raw};
use crate::pin::Pin;

/// An entry that is not in the map yet: freed if it never gets there.
pub(super) struct Fresh<K, V>(*mut Entry<K, V>);

impl<K, V> Fresh<K, V> {
    pub(super) fn new(entry: Box<Entry<K, V>>) -> Self {
        Self(Box::into_raw(entry))
    }

    pub(super) fn entry(&self) -> &Entry<K, V> {
        // SAFETY: ours until it is published.
        unsafe { &*self.0 }
    }

    pub(super) fn word(&self) -> Word {
        Word::live(self.0.cast(), self.entry().hash)
    }

    /// Lets go of it: the map has it.
    pub(super) fn publish(self) -> *mut Entry<K, V> {
        ManuallyDrop::new(self).0
    }

    /// Takes it back, for the caller.
    pub(super) fn take_back(self) -> Box<Entry<K, V>> {
        let entry = ManuallyDrop::new(self).0;
        // SAFETY: it was made from a box, and nobody else has it.
        unsafe { Box::from_raw(entry) }
    }
}

impl<K, V> Drop for Fresh<K, V> {
    fn drop(&mut self) {
        // SAFETY: as in `take_back`.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl<K: Eq, V> Raw<K, V> {
    /// Puts the entry in, and returns the one that it replaces.
    #[inline]
    pub(crate) fn insert<'g>(
        &self,
        entry: Box<Entry<K, V>>,
        pin: &'g Pin,
    ) -> Option<&'g Entry<K, V>> {
        let fresh = Fresh::new(entry);
        let (hash, word) = (fresh.entry().hash, fresh.word());
        loop {
            match self.locate(hash, |key| *key == fresh.entry().key, pin) {
                Site::Taken(taken) => {
                    if taken.seen.exchange(word) {
                        fresh.publish();
                        self.retire(taken.seen.word, pin);
                        self.help(pin);
                        return Some(taken.entry);
                    }
                }
                Site::Free(free) => {
                    if self.fill(&free, word, pin) {
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
        entry: Box<Entry<K, V>>,
        pin: &'g Pin,
    ) -> Result<&'g Entry<K, V>, (&'g Entry<K, V>, Box<Entry<K, V>>)> {
        let fresh = Fresh::new(entry);
        let (hash, word) = (fresh.entry().hash, fresh.word());
        loop {
            match self.locate(hash, |key| *key == fresh.entry().key, pin) {
                Site::Taken(taken) => return Err((taken.entry, fresh.take_back())),
                Site::Free(free) => {
                    if self.fill(&free, word, pin) {
                        // SAFETY: just published, and not freed while we are pinned.
                        return Ok(unsafe { &*fresh.publish() });
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
            self.make_room(free, pin);
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
    fn make_room(&self, free: &Free<'_>, pin: &Pin) {
        if free.is_held_up {
            free.bin.release_last(free.header);
            return;
        }
        let (_, is_new) = free.table.extend(free.end);
        if is_new && self.count.sum() > free.table.len() * LOAD {
            self.grow(free.table, pin);
        }
    }

    /// Gives up the entry of a word that was just unlinked.
    #[inline]
    pub(super) fn retire(&self, word: Word, pin: &Pin) {
        // SAFETY: the exchange that unlinked it succeeded for one thread, this one; pins of this
        // map dispose of its entries.
        unsafe { pin.retire(word.entry()) };
    }
}
