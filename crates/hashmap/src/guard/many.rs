//! Batches: many keys at once, so that their cache misses overlap.
//!
//! A lookup waits for two lines one after the other: the bin, then the entry. Lookups of different
//! keys do not depend on each other, so a batch asks for the bins of a whole window first, then for
//! the entries that their tags promise, and only then compares.

use std::hash::{BuildHasher, Hash};

use super::Pinned;
use crate::raw::boxed::{Entry, Owned};

/// Keys whose misses overlap. A core has ten to sixteen outstanding misses; more keys would evict
/// what the first ones fetched.
const WINDOW: usize = 16;

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// Looks up each of `keys` and calls `found` with its number in `keys` and its value. Each
    /// lookup is atomic for itself. Much faster than as many calls of [`get`](Self::get) where the
    /// map is larger than the caches.
    pub fn get_many<'p>(&'p self, keys: &[K], mut found: impl FnMut(usize, Option<&'p V>)) {
        self.find_many(keys, |index, entry| found(index, entry.map(|it| &it.value)));
    }

    /// Whether each key is there, in their order, by the same way.
    pub fn contains_many(&self, keys: &[K]) -> Vec<bool> {
        let mut present = vec![false; keys.len()];
        self.find_many(keys, |index, entry| present[index] = entry.is_some());
        present
    }

    /// How many of `keys` are there, by the same way.
    pub fn count_many(&self, keys: &[K]) -> usize {
        let mut count = 0;
        self.find_many(keys, |_, entry| count += usize::from(entry.is_some()));
        count
    }

    /// Inserts all of `entries`, in their order; returns how many of the keys were new. Each
    /// insertion is atomic for itself.
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> usize {
        self.place_many(entries, |entry| self.map.raw.insert(entry, &self.pin).is_none())
    }

    pub(crate) fn find_many<'p>(
        &'p self,
        keys: &[K],
        mut found: impl FnMut(usize, Option<&'p Entry<K, V>>),
    ) {
        let mut hashes = [0; WINDOW];
        for (window, keys) in keys.chunks(WINDOW).enumerate() {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                *hash = self.hash_of(key);
                self.map.raw.prefetch_bin(*hash, &self.pin);
            }
            for &hash in &hashes[..keys.len()] {
                self.map.raw.prefetch_entry(hash, &self.pin);
            }
            for (index, (&hash, key)) in hashes.iter().zip(keys).enumerate() {
                let entry = self.map.raw.find(hash, |it| it == key, &self.pin);
                found(window * WINDOW + index, entry);
            }
        }
    }

    /// Places each of `entries` by `place`, which says whether its key was new; how many were.
    pub(crate) fn place_many(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        mut place: impl FnMut(Owned<K, V>) -> bool,
    ) -> usize {
        let (mut entries, mut new) = (entries.into_iter(), 0);
        loop {
            let window: Vec<_> = entries
                .by_ref()
                .take(WINDOW)
                .map(|(key, value)| {
                    let hash = self.hash_of(&key);
                    self.map.raw.prefetch_bin(hash, &self.pin);
                    Owned::new(hash, key, value)
                })
                .collect();
            if window.is_empty() {
                return new;
            }
            for entry in window {
                new += usize::from(place(entry));
            }
        }
    }
}
