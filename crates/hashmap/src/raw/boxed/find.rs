//! Search: for readers, and for writers who need the slot.
#![expect(unsafe_code, reason = "entries are reached through words")]

use std::hint::select_unpredictable;

use super::bin::{Seen, load};
use super::entry::Entry;
use super::table::{Bin, Row, Table};
use super::word::{Header, Probe, Word};
use super::{Raw, next};
use crate::pin::Pin;
use crate::prefetch;
use crate::raw::hook::{Bug, planted};

impl Row {
    /// The last word of this row with the tag of `probe`, whatever its state; a vacancy has tag 0.
    ///
    /// There is no branch on the way. In which slot a key lies is up to chance, so a processor
    /// guesses it wrong, and with the guess it throws away what it has begun of the searches after
    /// this one: their misses no longer overlap with this one's.
    #[inline(always)]
    fn candidate(&self, probe: Probe) -> Option<Word> {
        let candidate = self.slots.iter().map(load).fold(Word::NONE, |candidate, word| {
            select_unpredictable(word.has_tag(probe), word, candidate)
        });
        (candidate != Word::NONE).then_some(candidate)
    }
}

/// A candidate of this row or of those behind it.
#[cold]
fn spilled_candidate<'a>(table: &'a Table, mut row: &'a Row, probe: Probe) -> Option<Word> {
    loop {
        if let Some(word) = row.candidate(probe) {
            return Some(word);
        }
        row = table.after(row)?;
    }
}

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
pub(super) fn entry<K, V>(word: Word, pin: &Pin) -> &Entry<K, V> {
    debug_assert!(word.is_live(), "only a live word is an entry");
    // SAFETY: words with addresses are had from slots alone. Those who call this loaded theirs from
    // a slot of this map while they held the pin, and asked whether it is live.
    unsafe { entry_at(word.entry(), pin) }
}

/// The entry at the address that a live word has.
///
/// # Safety
///
/// The word was loaded from a slot of this map by `load`, under this pin.
#[inline(always)]
unsafe fn entry_at<K, V>(address: *mut (), _pin: &Pin) -> &Entry<K, V> {
    // SAFETY: a live word was made from an entry of this map, by a Release that our load acquired.
    // The entry is freed after it was unlinked and all pins from before that have ended.
    unsafe { &*address.cast::<Entry<K, V>>() }
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
        Self::find_in(self.root(pin), hash, is_key, pin)
    }

    /// The same, in a table from which on all entries are that the hash may have.
    #[inline(always)]
    fn find_in<'g>(
        table: &'g Table,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        pin: &'g Pin,
    ) -> Option<&'g Entry<K, V>> {
        let bin = table.bin_of(hash);
        if bin.header().is_moved() && !planted(Bug::IgnoresMoved) {
            return Self::find_in_next(table, hash, is_key, pin);
        }
        let probe = Probe::new(hash, table.tail());
        let candidate = match bin.row.candidate(probe) {
            Some(word) => word,
            None => spilled_candidate(table, table.spill_for(bin, probe)?, probe)?,
        };
        if let Some(address) = candidate.open_entry() {
            // SAFETY: `open_entry` gives the address of a live word alone, and the candidate was
            // loaded from a slot of this map under the pin.
            let entry: &Entry<K, V> = unsafe { entry_at(address, pin) };
            if is_key(&entry.key) {
                return Some(entry);
            }
        }
        Self::find_among(bin, table, probe, is_key, pin)
    }

    #[cold]
    fn find_in_next<'g>(
        table: &'g Table,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        pin: &'g Pin,
    ) -> Option<&'g Entry<K, V>> {
        let next = next(table).expect("a bin moves to the next table");
        Self::find_in(next, hash, is_key, pin)
    }

    /// The same, slot by slot: for when a word has the tag and is not the one. It is frozen, or is
    /// no entry's, or another key has the tag as well.
    #[cold]
    fn find_among<'g>(
        bin: &'g Bin,
        table: &'g Table,
        probe: Probe,
        is_key: impl Fn(&K) -> bool,
        pin: &'g Pin,
    ) -> Option<&'g Entry<K, V>> {
        let found = bin.walk(table, |seen| {
            let entry = seen.word.matches(probe).then(|| entry(seen.word, pin));
            entry.filter(|entry: &&Entry<K, V>| is_key(&entry.key))
        });
        found.ok()
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
        let probe = Probe::new(hash, table.tail());
        if let Some(word) = table.bin_of(hash).row.candidate(probe) {
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
            let probe = Probe::new(hash, table.tail());
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
                is_key(&entry.key).then_some(entry)
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
