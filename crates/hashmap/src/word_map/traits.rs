//! What the standard library's maps implement.

use std::fmt;
use std::hash::BuildHasher;

use super::{Iter, WordMap, WordMapRef};
use crate::word::Word;

impl<K, V, S: Default> Default for WordMap<K, V, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

/// The copy has the entries that an [`Iter`] returns.
impl<K: Word, V: Word, S: BuildHasher + Clone> Clone for WordMap<K, V, S> {
    fn clone(&self) -> Self {
        let copy = Self::with_capacity_and_hasher(self.len(), self.hasher().clone());
        copy.pin().extend(self);
        copy
    }
}

/// As [`Clone`], where nobody writes either map meanwhile. Values are compared as words.
impl<K: Word, V: Word, S: BuildHasher> PartialEq for WordMap<K, V, S> {
    fn eq(&self, other: &Self) -> bool {
        let theirs = other.pin();
        let has = |(key, value): (K, V)| {
            theirs.get(key).is_some_and(|it| it.into_word() == value.into_word())
        };
        self.len() == other.len() && self.iter().all(has)
    }
}

impl<K: Word + fmt::Debug, V: Word + fmt::Debug, S: BuildHasher> fmt::Debug for WordMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V, S> fmt::Debug for WordMapRef<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordMapRef").finish_non_exhaustive()
    }
}

impl<K: Word, V: Word, S: BuildHasher> WordMapRef<'_, K, V, S> {
    /// Sets the values of many keys, in their order.
    pub fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Word, V: Word, S: BuildHasher> Extend<(K, V)> for WordMap<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.pin().extend(entries);
    }
}

impl<K: Word, V: Word, S: BuildHasher> Extend<(K, V)> for &WordMap<K, V, S> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.pin().extend(entries);
    }
}

impl<K: Word, V: Word, S: BuildHasher + Default> FromIterator<(K, V)> for WordMap<K, V, S> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let map = Self::with_capacity_and_hasher(entries.size_hint().0, S::default());
        map.pin().extend(entries);
        map
    }
}

impl<K: Word, V: Word, const N: usize> From<[(K, V); N]> for WordMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<'m, K: Word, V: Word, S: BuildHasher> IntoIterator for &'m WordMap<K, V, S> {
    type Item = (K, V);
    type IntoIter = Iter<'m, K, V, S>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
