//! Removal: the slot becomes vacant, with a stamp.

use std::ptr;

use super::find::{Site, Taken};
use super::insert::retire;
use super::word::Word;
use super::{Entry, Raw};
use crate::pin::Pin;
use crate::raw::hook::{Bug, planted};

/// Removals by one thread's stripe of the count between two looks at whether to shrink.
const SHRINK_PERIOD: i64 = 64;

impl<K, V> Raw<K, V> {
    /// Removes the key with this hash for which `is_key` holds, if `may_go` allows it.
    #[inline]
    pub(crate) fn remove_if<'g>(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        mut may_go: impl FnMut(&'g Entry<K, V>) -> bool,
        pin: &'g Pin,
    ) -> Result<&'g Entry<K, V>, Option<&'g Entry<K, V>>> {
        loop {
            let Site::Taken(taken) = self.locate(hash, &is_key, pin) else { return Err(None) };
            if !may_go(taken.entry) {
                return Err(Some(taken.entry));
            }
            if self.vacate(&taken, pin) {
                return Ok(taken.entry);
            }
        }
    }

    /// Removes this entry, if the map still has it.
    pub(crate) fn remove_exactly(&self, entry: &Entry<K, V>, pin: &Pin) -> bool
    where
        K: Eq,
    {
        self.remove_if(entry.hash, |key| *key == entry.key, |it| ptr::eq(it, entry), pin).is_ok()
    }

    /// Empties the slot, if it still holds this entry.
    #[inline]
    pub(super) fn vacate(&self, taken: &Taken<'_, K, V>, pin: &Pin) -> bool {
        // Read after the word: so the stamp is not below the version that placed the entry.
        let vacant = if planted(Bug::ForgetsStamp) {
            Word::VIRGIN
        } else {
            Word::vacant(taken.bin.header())
        };
        if !taken.seen.exchange(vacant) {
            return false;
        }
        retire(taken.seen.word, pin);
        if self.count.add(-1) % SHRINK_PERIOD == 0 {
            self.shrink_if_sparse(pin);
        }
        self.help(pin);
        true
    }
}
