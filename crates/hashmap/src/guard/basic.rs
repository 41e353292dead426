//! Lookup, insertion, removal, and the whole map at once.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use super::Pinned;
use super::atomic::OccupiedError;
use crate::error::CapacityError;
use crate::raw::boxed::{Entry, Owned};

impl<K, V, S> Pinned<'_, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// The value of `key`.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        Some(&self.find(key)?.value)
    }

    /// The stored key and the value of `key`.
    #[inline]
    pub fn get_key_value<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.find(key)?;
        Some((&entry.key, &entry.value))
    }

    /// Whether `key` is there.
    #[inline]
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.find(key).is_some()
    }

    #[inline(always)]
    pub(crate) fn find<Q>(&self, key: &Q) -> Option<&Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.raw.find(self.hash_of(key), |it| it.borrow() == key, &self.pin)
    }

    /// Sets the value of `key` and returns the former one. The stored key becomes this one.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Option<&V> {
        let hash = self.hash_of(&key);
        Some(&self.map.raw.insert(Owned::new(hash, key, value), &self.pin)?.value)
    }

    /// Sets the value of `key` if it has none, and returns it. Otherwise gives both back, with the
    /// value that is there.
    #[inline]
    pub fn try_insert(&self, key: K, value: V) -> Result<&V, OccupiedError<'_, K, V>> {
        let hash = self.hash_of(&key);
        let inserted = self.map.raw.try_insert(Owned::new(hash, key, value), &self.pin);
        inserted.map(|it| &it.value).map_err(|(current, entry)| {
            let (key, value) = entry.into_parts();
            OccupiedError { current: &current.value, key, value }
        })
    }

    /// The value of `key`, or else `value`, which it then has.
    #[inline]
    pub fn get_or_insert(&self, key: K, value: V) -> &V {
        self.try_insert(key, value).unwrap_or_else(|error| error.current)
    }

    /// The value of `key`, or else the one that `make` makes, which it then has. `make` runs once
    /// at most; what it made is dropped where another thread was faster.
    #[inline]
    pub fn get_or_insert_with(&self, key: K, make: impl FnOnce() -> V) -> &V {
        match self.find(&key) {
            Some(entry) => &entry.value,
            None => self.get_or_insert(key, make()),
        }
    }

    /// Removes `key` and returns its value.
    #[inline]
    pub fn remove<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes `key` and returns the stored key and its value.
    #[inline]
    pub fn remove_entry<Q>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let hash = self.hash_of(key);
        let removed = self.map.raw.remove_if(hash, |it| it.borrow() == key, |_| true, &self.pin);
        removed.ok().map(|it| (&it.key, &it.value))
    }

    /// Removes `key` if `may_go` holds for its entry, as one atomic step. `Err` has the value that
    /// stays, if there is one. `may_go` runs again when another thread was faster.
    pub fn remove_if<Q>(
        &self,
        key: &Q,
        mut may_go: impl FnMut(&K, &V) -> bool,
    ) -> Result<&V, Option<&V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let raw = &self.map.raw;
        let hash = self.hash_of(key);
        raw.remove_if(hash, |it| it.borrow() == key, |it| may_go(&it.key, &it.value), &self.pin)
            .map(|it| &it.value)
            .map_err(|stays| stays.map(|it| &it.value))
    }

    /// Removes the entries for which `may_stay` does not hold. Each is judged as
    /// [`iter`](Self::iter) finds it and removed only if it has not been replaced since.
    pub fn retain(&self, mut may_stay: impl FnMut(&K, &V) -> bool) {
        for entry in self.map.raw.sweep(&self.pin) {
            if !may_stay(&entry.key, &entry.value) {
                self.map.raw.remove_exactly(entry, &self.pin);
            }
        }
    }

    /// Removes the entries that are there, one after the other.
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }

    /// Removes the entries that are there, one after the other, and shows each to `visit` after it
    /// was removed. Of the threads that drain, one sees an entry.
    pub fn drain_with(&self, mut visit: impl FnMut(&K, &V)) {
        for entry in self.map.raw.sweep(&self.pin) {
            if self.map.raw.remove_exactly(entry, &self.pin) {
                visit(&entry.key, &entry.value);
            }
        }
    }

    /// Makes room for `more` entries, so that the map does not grow before it has that many more.
    /// Renews the pin.
    pub fn reserve(&mut self, more: usize) -> Result<(), CapacityError> {
        let capacity = self.map.len().saturating_add(more);
        self.map.raw.reserve(capacity, &mut self.pin)
    }

    /// Makes the table as small as the entries allow. Renews the pin.
    pub fn shrink_to_fit(&mut self) -> Result<(), CapacityError> {
        self.map.raw.shrink_to_fit(&mut self.pin)
    }
}
