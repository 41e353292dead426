//! A thread at work on a map of words.

use std::hash::BuildHasher;
use std::marker::PhantomData;

use super::Entries;
use crate::raw::inline::Session;
use crate::word::Word;

/// A thread at work on a [`WordMap`](crate::WordMap); made by
/// [`WordMap::pin`](crate::WordMap::pin).
///
/// It may be held as long as the thread likes, and used by it alone: it is neither `Send` nor
/// `Sync`, so that the compiler refuses to hold it across an `await` of a task that may move.
/// Tables that the map has outgrown are freed when every handle has been used since, or dropped.
pub struct WordMapRef<'m, K, V, S = crate::hash::RandomState> {
    pub(super) session: Session<'m, S>,
    entries: Entries<K, V>,
}

impl<'m, K, V, S> WordMapRef<'m, K, V, S> {
    #[inline]
    pub(super) fn new(session: Session<'m, S>) -> Self {
        Self { session, entries: PhantomData }
    }
}

impl<K: Word, V: Word, S: BuildHasher> WordMapRef<'_, K, V, S> {
    /// The value of a key.
    #[inline]
    pub fn get(&self, key: K) -> Option<V> {
        self.session.get(key.into_word()).map(V::from_word)
    }

    /// Whether a key is there.
    #[inline]
    pub fn contains_key(&self, key: K) -> bool {
        self.session.get(key.into_word()).is_some()
    }

    /// Sets the value of a key; returns the one before.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.session.insert(key.into_word(), value.into_word()).map(V::from_word)
    }

    /// Sets the value of a key that has none; else changes nothing and returns what it has.
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<(), V> {
        match self.session.try_insert(key.into_word(), value.into_word()) {
            None => Ok(()),
            Some(word) => Err(V::from_word(word)),
        }
    }

    /// Removes a key; returns its value.
    #[inline]
    pub fn remove(&self, key: K) -> Option<V> {
        self.session.remove(key.into_word()).map(V::from_word)
    }

    /// Removes a key if `condition` says so of its value, as one atomic step; returns the value.
    /// `condition` may run more than once, each time for a newer value.
    #[inline]
    pub fn remove_if(&self, key: K, mut condition: impl FnMut(V) -> bool) -> Option<V> {
        let condition = |word| condition(V::from_word(word));
        self.session.remove_if(key.into_word(), condition).map(V::from_word)
    }

    /// Replaces a value by what `change` makes of it, as one atomic step; returns the new one.
    /// `None`, and nothing changed, where the key is absent. `change` may run more than once, each
    /// time for a newer value; it runs under no lock and may use the map.
    #[inline]
    pub fn update(&self, key: K, mut change: impl FnMut(V) -> V) -> Option<V> {
        let change = |word| change(V::from_word(word)).into_word();
        self.session.update(key.into_word(), change).map(V::from_word)
    }

    /// Replaces what a key has by what `change` makes of it, as one atomic step, where `None` is no
    /// value; returns what it had and what it has now. `change` may run more than once, as for
    /// [`update`](WordMapRef::update).
    #[inline]
    pub fn compute(
        &self,
        key: K,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> (Option<V>, Option<V>) {
        let change = |word: Option<u64>| change(word.map(V::from_word)).map(V::into_word);
        let (former, new) = self.session.compute(key.into_word(), change);
        (former.map(V::from_word), new.map(V::from_word))
    }

    /// The value of a key. If it has none, it is given the one that `make` makes; if another thread
    /// is faster, that thread's value is returned and the made one forgotten.
    #[inline]
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> V {
        if let Some(value) = self.get(key) {
            return value;
        }
        let value = make();
        match self.try_insert(key, value) {
            Ok(()) => value,
            Err(present) => present,
        }
    }

    /// Replaces what a key has by `new`, if it is `expected`, where `None` is no value; else
    /// returns what it has. Values are compared as words.
    #[inline]
    pub fn compare_exchange(
        &self,
        key: K,
        expected: Option<V>,
        new: Option<V>,
    ) -> Result<(), Option<V>> {
        let [expected, new] = [expected, new].map(|value| value.map(V::into_word));
        let result = self.session.compare_exchange(key.into_word(), expected, new);
        result.map_err(|present| present.map(V::from_word))
    }
}
