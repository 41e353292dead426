//! A key that was looked up, to be acted on later.
//!
//! An entry does not lock its key. It remembers what it saw, and acts only if that is still so;
//! otherwise it hands back what it was given, and the caller looks again. So entries of one key may
//! be held by many threads, or several by one, without a deadlock.

use std::hash::{BuildHasher, Hash};

use crate::guard::{OccupiedError, Pinned};
use crate::raw::boxed;

/// What a key was found to be.
#[derive(Debug)]
pub enum Entry<'p, K, V, S> {
    /// It has a value.
    Occupied(OccupiedEntry<'p, K, V, S>),
    /// It is absent.
    Vacant(VacantEntry<'p, K, V, S>),
}

/// A key that had a value.
pub struct OccupiedEntry<'p, K, V, S> {
    pinned: &'p Pinned<'p, K, V, S>,
    seen: &'p boxed::Entry<K, V>,
    hash: u64,
    key: K,
}

/// A key that was absent.
pub struct VacantEntry<'p, K, V, S> {
    pinned: &'p Pinned<'p, K, V, S>,
    key: K,
}

impl<'m, K, V, S> Pinned<'m, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// Looks `key` up, to act on what is found.
    pub fn entry<'p>(&'p self, key: K) -> Entry<'p, K, V, S>
    where
        'm: 'p,
    {
        match self.find(&key) {
            Some(seen) => {
                let hash = self.hash_of(&key);
                Entry::Occupied(OccupiedEntry { pinned: self, seen, hash, key })
            }
            None => Entry::Vacant(VacantEntry { pinned: self, key }),
        }
    }
}

impl<'p, K, V, S> Entry<'p, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// The key.
    pub fn key(&self) -> &K {
        match self {
            Self::Occupied(entry) => &entry.key,
            Self::Vacant(entry) => &entry.key,
        }
    }

    /// The value that was seen, or else `value`, which the key then has.
    pub fn or_insert(self, value: V) -> &'p V {
        self.or_insert_with(|| value)
    }

    /// The value that was seen, or else the one that `make` makes, which the key then has; or the
    /// one that another thread was faster with.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'p V {
        match self {
            Self::Occupied(entry) => entry.get(),
            Self::Vacant(entry) => entry.try_insert(make()).unwrap_or_else(|it| it.current),
        }
    }
}

impl<'p, K, V, S> OccupiedEntry<'p, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// The value that was seen.
    pub fn get(&self) -> &'p V {
        &self.seen.value
    }

    /// Sets the value, if the key still has the one that was seen. Else hands `value` back.
    pub fn try_replace(self, value: V) -> Result<&'p V, V> {
        let new = boxed::Owned::new(self.hash, self.key, value);
        let pin = &self.pinned.pin;
        match self.pinned.map.raw.replace_exactly(self.seen, new, pin) {
            Ok(()) => Ok(&self.seen.value),
            Err((_, new)) => Err(new.into_parts().1),
        }
    }

    /// Removes the key, if it still has the value that was seen. Says whether it did.
    pub fn try_remove(self) -> bool {
        self.pinned.map.raw.remove_exactly(self.seen, &self.pinned.pin)
    }
}

impl<'p, K, V, S> VacantEntry<'p, K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher,
{
    /// Sets the value, if the key is still absent. Else hands key and value back.
    pub fn try_insert(self, value: V) -> Result<&'p V, OccupiedError<'p, K, V>> {
        self.pinned.try_insert(self.key, value)
    }
}

impl<K: std::fmt::Debug, V: std::fmt::Debug, S> std::fmt::Debug for OccupiedEntry<'_, K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OccupiedEntry")
            .field("key", &self.key)
            .field("value", &self.seen.value)
            .finish_non_exhaustive()
    }
}

impl<K: std::fmt::Debug, V, S> std::fmt::Debug for VacantEntry<'_, K, V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VacantEntry").field("key", &self.key).finish_non_exhaustive()
    }
}
