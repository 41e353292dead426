//! Batches: many keys at once, so that their cache misses overlap.
//!
//! A lookup waits for two lines one after the other: the bin, then the entry. Lookups of different
//! keys do not depend on each other, so a batch asks for the bins of a whole window first, then for
//! the entries that their tags promise, and only then compares.

use std::hash::{BuildHasher, Hash};

use super::Pinned;
use crate::raw::boxed::Owned;

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
                found(window * WINDOW + index, entry.map(|it| &it.value));
            }
        }
    }

    /// How many of `keys` are there, by the same way.
    pub fn count_many(&self, keys: &[K]) -> usize {
        let mut count = 0;
        self.get_many(keys, |_, value| count += usize::from(value.is_some()));
        count
    }

    /// Inserts all of `entries`. Each insertion is atomic for itself.
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>) {
        let mut entries = entries.into_iter();
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
                return;
            }
            for entry in window {
                self.map.raw.insert(entry, &self.pin);
            }
        }
    }
}
