//! Search: for readers, and for writers who need the slot.
#![expect(unsafe_code, reason = "entries are reached through words")]

use super::bin::{Seen, load};
use super::entry::Entry;
use super::table::{Bin, Row, Table};
use super::word::{Header, Probe, Word};
use super::{Raw, next};
use crate::pin::Pin;
use crate::prefetch;
use crate::raw::hook::{Bug, planted};

/// Where a search for writing ended, in a bin that was open when it began.
pub(super) enum Site<'g, K, V> {
    /// The key is here.
    Taken(Taken<'g, K, V>),
    /// The key is nowhere.
    Free(Free<'g>),
}

/// A slot that holds the key.
pub(super) struct Taken<'g, K, V> {
    pub(super) table: &'g Table,
    pub(super) bin: &'g Bin,
    pub(super) seen: Seen<'g>,
    pub(super) entry: &'g Entry<K, V>,
}

/// A bin that does not hold the key.
pub(super) struct Free<'g> {
    pub(super) table: &'g Table,
    pub(super) bin: &'g Bin,
    /// Read before the search.
    pub(super) header: Header,
    /// The first slot that may be taken.
    pub(super) vacancy: Option<Seen<'g>>,
    /// Whether there was a vacant slot that may not be taken at this version.
    pub(super) is_held_up: bool,
    /// The last row of the chain.
    pub(super) end: &'g Row,
}

/// The entry of a live word.
#[inline(always)]
pub(super) fn entry<K, V>(word: Word, _pin: &Pin) -> &Entry<K, V> {
    debug_assert!(word.is_live(), "only a live word is an entry");
    // SAFETY: a live word was made from an entry of this map, by a Release that our load acquired.
    // The entry is freed after it was unlinked and all pins from before that have ended.
    unsafe { &*word.entry().cast::<Entry<K, V>>() }
}

impl<K, V> Raw<K, V> {
    /// The entry of the key with this hash for which `is_key` holds.
    #[inline]
    pub(crate) fn find<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        pin: &'g Pin,
    ) -> Option<&'g Entry<K, V>> {
        let mut table = self.root(pin);
        loop {
            let probe = Probe::new(hash, table.base());
            let bin = table.bin_of(hash);
            if bin.header().is_moved() && !planted(Bug::IgnoresMoved) {
                table = next(table).expect("a bin moves to the next table");
                continue;
            }
            let found = bin.walk(table, |seen| {
                if seen.word.matches(probe) {
                    let entry: &Entry<K, V> = entry(seen.word, pin);
                    if entry.hash == hash && is_key(&entry.key) {
                        return Some(entry);
                    }
                }
                None
            });
            return found.ok();
        }
    }

    /// Asks for the line of the bin that this hash has in the oldest table.
    #[inline]
    pub(crate) fn prefetch_bin(&self, hash: u64, pin: &Pin) {
        prefetch::read(self.root(pin).bin_of(hash));
    }

    /// Asks for the line of the first entry in that bin whose tag is that of this hash.
    #[inline]
    pub(crate) fn prefetch_entry(&self, hash: u64, pin: &Pin) {
        let table = self.root(pin);
        let probe = Probe::new(hash, table.base());
        let row = &table.bin_of(hash).row;
        if let Some(word) = row.slots.iter().map(load).find(|it| it.matches(probe)) {
            prefetch::read(word.entry());
        }
    }

    /// Finds the slot of the key, or the place where it may go. Moves the bin if it is frozen.
    #[inline]
    pub(super) fn locate<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        pin: &'g Pin,
    ) -> Site<'g, K, V> {
        let mut table = self.root(pin);
        loop {
            let probe = Probe::new(hash, table.base());
            let bin = table.bin_of(hash);
            let header = bin.header();
            if header.is_frozen() {
                table = self.move_on(table, hash, pin);
                continue;
            }
            let mut vacancy = None;
            let mut is_held_up = false;
            let has_key = |word: Word| {
                let entry: &Entry<K, V> = entry(word, pin);
                (entry.hash == hash && is_key(&entry.key)).then_some(entry)
            };
            let found = bin.walk(table, |seen| {
                if seen.word.matches(probe) {
                    return has_key(seen.word).map(|entry| (seen, entry));
                }
                if seen.word.is_live() {
                    return None;
                }
                let seen = bin.promoted(seen, header);
                if seen.word.matches(probe) {
                    return has_key(seen.word).map(|entry| (seen, entry));
                }
                if vacancy.is_none() && !seen.word.is_live() {
                    if Bin::is_free(&seen, header) {
                        vacancy = Some(seen);
                    } else {
                        is_held_up |= seen.word.is_vacant();
                    }
                }
                None
            });
            match found {
                Ok((seen, _)) if seen.word.is_frozen() => table = self.move_on(table, hash, pin),
                Ok((seen, entry)) => return Site::Taken(Taken { table, bin, seen, entry }),
                Err(end) => {
                    return Site::Free(Free { table, bin, header, vacancy, is_held_up, end });
                }
            }
        }
    }
}
