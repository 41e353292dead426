//! Operations on all entries, and on the size of the table.

use std::hash::BuildHasher;

use super::{Iter, WordMapRef};
use crate::raw::inline::bins_for;
use crate::word::Word;

impl<K: Word, V: Word, S: BuildHasher> WordMapRef<'_, K, V, S> {
    /// Calls `visit` for entries. Each entry that is present from before the call until after it is
    /// visited exactly once; one that comes or goes meanwhile, at most once. `visit` may use the
    /// map.
    pub fn for_each(&self, mut visit: impl FnMut(K, V)) {
        Iter::new(self.session.core()).for_each(|(key, value)| visit(key, value));
    }

    /// Removes the entries that `keep` does not say so of. An entry whose value changes after it
    /// was asked about is asked about again; one that comes meanwhile may be missed.
    pub fn retain(&self, mut keep: impl FnMut(K, V) -> bool) {
        self.for_each(|key, value| {
            if !keep(key, value) {
                let word = value.into_word();
                self.remove_if(key, |now| now.into_word() == word || !keep(key, now));
            }
        });
    }

    /// Removes all entries, one after the other. One that comes meanwhile may stay.
    pub fn clear(&self) {
        self.for_each(|key, _value| {
            self.remove(key);
        });
    }

    /// Makes room for `additional` more entries than there are, so that the map need not grow for
    /// them, and moves the entries there. It does not shrink below that by itself from now on.
    /// Where there is no memory for it, nothing happens.
    pub fn reserve(&self, additional: usize) {
        let entries = self.session.core().len().saturating_add(additional);
        if let Some(bins) = bins_for(entries) {
            self.session.reserve(bins);
        }
    }

    /// Gives back memory that the entries do not need, and forgets what was reserved.
    pub fn shrink_to_fit(&self) {
        self.session.shrink_to_fit();
    }
}
