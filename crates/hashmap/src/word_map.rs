//! The map of words.

use std::fmt;
use std::hash::BuildHasher;
use std::marker::PhantomData;

use crate::hash::RandomState;
use crate::raw::inline::{Core, Session, Walk, bins_for};
use crate::word::Word;

/// A concurrent map of small `Copy` keys and values.
pub struct WordMap<K, V, S = RandomState> {
    core: Core<S>,
    entries: PhantomData<fn(K, V) -> (K, V)>,
}

/// A thread at work on a [`WordMap`].
pub struct WordMapRef<'m, K, V, S = RandomState> {
    session: Session<'m, S>,
    entries: PhantomData<fn(K, V) -> (K, V)>,
}

impl<K, V> WordMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty map with room for `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, RandomState::default())
    }
}

impl<K, V, S> WordMap<K, V, S> {
    /// An empty map with room for `capacity` entries, and a hasher.
    pub fn with_capacity_and_hasher(capacity: usize, hasher: S) -> Self {
        let core = bins_for(capacity).and_then(|bins| Core::new(bins, hasher));
        Self { core: core.expect("memory for the table"), entries: PhantomData }
    }

    /// A handle.
    #[inline]
    pub fn pin(&self) -> WordMapRef<'_, K, V, S> {
        WordMapRef { session: Session::new(&self.core), entries: PhantomData }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Word, V: Word, S: BuildHasher> WordMap<K, V, S> {
    /// The value.
    pub fn get(&self, key: K) -> Option<V> {
        self.pin().get(key)
    }

    /// Sets the value.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.pin().insert(key, value)
    }
}

impl<K: Word, V: Word, S: BuildHasher> WordMapRef<'_, K, V, S> {
    /// The value of a key.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.session.get(key.into_word()).map(V::from_word)
    }

    /// Sets the value of a key and returns the former one.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.session.insert(key.into_word(), value.into_word()).map(V::from_word)
    }

    /// Removes a key and returns its value.
    #[inline]
    pub fn remove(&self, key: K) -> Option<V> {
        self.session.remove(key.into_word()).map(V::from_word)
    }

    /// Updates.
    #[inline]
    pub fn update(&self, key: K, mut change: impl FnMut(V) -> V) -> Option<V> {
        let change = |word| change(V::from_word(word)).into_word();
        self.session.update(key.into_word(), change).map(V::from_word)
    }

    /// Visits.
    pub fn for_each(&self, mut visit: impl FnMut(K, V)) {
        let guard = crossbeam_epoch::pin();
        let core = self.session.core();
        let mut walk = Walk::new(core, &guard);
        let mut entries = Vec::new();
        loop {
            core.walk_on(&mut walk, &guard, &mut entries);
            if entries.is_empty() {
                return;
            }
            for &(key, value) in &entries {
                visit(K::from_word(key), V::from_word(value));
            }
        }
    }
}

impl<K, V, S> fmt::Debug for WordMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordMap").finish_non_exhaustive()
    }
}

impl<K, V, S> fmt::Debug for WordMapRef<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordMapRef").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
